"""A made-up language: a WordPiece tokenizer and a small corpus."""

import json
import random
from pathlib import Path

import numpy as np
from scipy.stats import chi2_contingency
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from polyticket.records.instances import Instances, Pairing, count_blocks, pair_block
from polyticket.records.shuffle import Order, count_buckets, list_block_ranges, pair_blocks, write_index
from polyticket.records.tokens import Corpus, Spans, Tokens, open_tokens

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


def save_tokens(folder: Path, tokens: Tokens, **stats: object) -> Path:
    """The folder that `open_tokens` opens."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("ids", "sentences", "documents"):
        np.save(folder / f"{name}.npy", getattr(tokens, name))
    counts = {"tokens": len(tokens.ids), "sentences": len(tokens.sentences) - 1, "documents": len(tokens.documents) - 1}
    (folder / "stats.json").write_text(json.dumps(counts | {"dtype": tokens.ids.dtype.name} | stats))
    return folder


def joined_instances(batches: list[Instances]) -> Instances:
    return Instances(
        **{name: np.concatenate([getattr(b, name) for b in batches]) for name in Instances.__annotations__}
    )


def pair_segments(tokens: Tokens, how: Pairing) -> Instances:
    """All instances of all dupes, before they are shuffled."""
    blocks = [
        (dupe, block)
        for dupe in range(how.dupe_factor)
        for block in range(count_blocks(len(tokens.sentences) - 1, how.sizes))
    ]
    return joined_instances([batch for dupe, block in blocks for batch in pair_block(Corpus(tokens), how, dupe, block)])


def order_segments(tokens: Tokens, how: Pairing, folder: Path) -> Order:
    """All instances in their final order, by way of files."""
    saved = save_tokens(folder / "tokens", tokens)
    parts, buckets = list_block_ranges(tokens, how), count_buckets(tokens, how)
    pairs = folder / f"pairs-{how.seed}"
    pairs.mkdir()
    write_index(pairs, [pair_blocks(saved, how, part, buckets, pairs) for part in parts])
    return Order(pairs, how)


def gather(ids: np.ndarray, pairs: Instances) -> np.ndarray:
    """A and B of each instance, end to end."""
    starts = np.stack([pairs.a_start, pairs.b_start], 1).ravel()
    lengths = np.stack([pairs.a_length, pairs.b_length], 1).ravel()
    return Spans(ids).read(starts.tolist(), (starts + lengths).tolist())


FILES = ["documents.npy", "ids.npy", "sentences.npy", "stats.json"]


def lists(folder: Path) -> list[list[list[int]]]:
    """The ids of each sentence of each document."""
    found = open_tokens(folder)
    sentences = [
        found.ids[begin:end].tolist() for begin, end in zip(found.sentences, found.sentences[1:], strict=False)
    ]
    return [sentences[begin:end] for begin, end in zip(found.documents, found.documents[1:], strict=False)]


HOW = Pairing(seed=3, language="xx", dupe_factor=1, max_seq_length=32, short_seq_prob=0.1)


def as_tokens(documents: list[list[list[int]]]) -> Tokens:
    sentences = [sentence for document in documents for sentence in document]
    return Tokens(
        np.array([token for sentence in sentences for token in sentence], np.uint32),
        np.cumsum([0, *map(len, sentences)]),
        np.cumsum([0, *map(len, documents)]),
    )


def pairs_of(a_lengths, b_lengths) -> Instances:
    a, b = np.array(a_lengths), np.array(b_lengths)
    return Instances(np.zeros(len(a), np.int64), a, np.full(len(a), 1000), b, np.zeros(len(a), bool))


def same_distribution(ours, theirs, *, least=10) -> float:
    """The p-value of a chi-square test that two samples of integers have one distribution; rare values are pooled."""
    counts = np.array([np.bincount(x, minlength=max(ours.max(), theirs.max()) + 1) for x in (ours, theirs)])
    common = counts.sum(0) >= least
    table = np.column_stack([counts[:, common], counts[:, ~common].sum(1)])
    return chi2_contingency(table[:, table.sum(0) > 0]).pvalue
