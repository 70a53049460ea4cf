"""A made-up language: a WordPiece tokenizer and a small corpus."""

import random
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
UNUSED = [f"[unused{n}]" for n in range(1, 6)]
SYLLABLES = ["ba", "ke", "mi", "no", "ru", "sa", "ti", "vo", "la", "pe"]
ORDINARY = [*SYLLABLES, *("##" + s for s in SYLLABLES), ".", "[", "]", "SE", "##P"]
PIECES = ["[PAD]", *UNUSED, *SPECIALS[1:], *ORDINARY]
IDS = {piece: number for number, piece in enumerate(PIECES)}


def write_tokenizer(folder: Path, pieces: list[str] = PIECES) -> Path:
    ids = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens([piece for piece in SPECIALS if piece in ids])
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=3)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def make_documents(documents: int, seed: int = 1, sentences: int = 9, words: int = 7) -> list[list[str]]:
    """Documents of 1 to `sentences` sentences of 1 to `words` words of one to three pieces and a full stop."""
    rng = random.Random(seed)

    def sentence() -> str:
        made = ("".join(rng.choices(SYLLABLES, k=rng.randint(1, 3))) for _ in range(rng.randint(1, words)))
        return " ".join(made) + "."

    return [[sentence() for _ in range(rng.randint(1, sentences))] for _ in range(documents)]


def write_sentences(path: Path, documents: list[list[str]]) -> Path:
    path.write_text("\n\n".join("\n".join(document) for document in documents) + "\n", encoding="utf-8")
    return path


def split_pieces(documents: list[list[str]]) -> list[list[list[str]]]:
    """The pieces of each sentence, as the tokenizer gives them, told from the spelling alone."""

    def pieces(word: str) -> list[str]:
        stop = word.endswith(".")
        word = word.removesuffix(".")
        parts = [word[n : n + 2] for n in range(0, len(word), 2)]
        return [parts[0], *("##" + part for part in parts[1:])] + ["."] * stop

    return [[[piece for word in s.split() for piece in pieces(word)] for s in document] for document in documents]
