"""A tagging task that a tiny model learns: a word's first letter decides its tag."""

import random
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers

from polyticket.model.shape import BertShape
from polyticket.tasks.examples import Sentence
from polyticket.tasks.options import FinetuneOptions

ENDINGS = [f"##{letter}" for letter in "abcdefghijklmnopqrst"]

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "P", "L", "o", *ENDINGS, *(f"unused{n}" for n in range(30))]

SHAPE = BertShape(len(PIECES), 32, 2, 2, 64, max_position_embeddings=32)

QUICK = FinetuneOptions(
    learning_rate=5e-3, epochs=2, adaptive_least_seen=0, max_seq_length=32, save_steps=10, threads=1
)


def toy(count: int, seed: int) -> list[Sentence]:
    """A word's first letter decides its tag, its random ending makes most words new."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        first = draw.choices("PLo", k=draw.randint(2, 7))
        words = [letter + "".join(draw.choices("abcdefghijklmnopqrst", k=3)) for letter in first]
        found.append(Sentence(tuple(words), tuple({"P": "B-PER", "L": "B-LOC", "o": "O"}[f] for f in first)))
    return found


SPLITS = {"train": toy(160, 1), "dev": toy(20, 2), "test": toy(30, 3)}


def write_tokenizer(folder: Path) -> Path:
    folder.mkdir()
    made = Tokenizer(models.WordPiece({piece: n for n, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.save(str(folder / "tokenizer.json"))
    return folder
