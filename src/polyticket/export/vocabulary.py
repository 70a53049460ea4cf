"""A vocabulary reduced to the tokens of a corpus, and the model and tokenizer for it."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tokenizers.models import WordPiece

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, scratch_folder
from polyticket.core.logs import log
from polyticket.core.text import lines_of
from polyticket.model.folder import Model, copy_tokenizer
from polyticket.records.tokens import open_tokens
from polyticket.tokenizer.wordpiece import SPECIAL_TOKENS, UNKNOWN, load_for_text, vocabulary_of, write_tokenizer

Indices = NDArray[np.int64]
ROWS = ("bert.embeddings.word_embeddings.weight", "cls.predictions.bias")
LINES, IDS = 1000, 1 << 24  # read at a time


def used_pieces(corpus: Pathlike, tokenizer: Pathlike) -> Indices:
    """The ids to keep so that a corpus is split into the same tokens by the smaller vocabulary.

    WordPiece takes the longest token that fits. What it takes from the full vocabulary is kept, and stays the longest
    there is; a word that becomes `[UNK]` keeps what was taken before it failed, so that it fails at the same place.
    Special tokens are kept, and the single characters of all kept tokens, so that other words of the same characters
    still have tokens.

    Args:
        corpus: UTF-8 sentences, one a line; or a folder of tokens of this tokenizer, which does not tell what its
            unknown words were: if it has any, they may become known ones.
        tokenizer: A `tokenizer.json` or the folder of one; WordPiece.

    Returns:
        int64 [n], ascending.

    Raises:
        PolyticketError: The tokenizer is no WordPiece, or the corpus is empty, cannot be read or is of another
            tokenizer.
    """
    loaded = load_for_text(tokenizer)
    if not isinstance(loaded.model, WordPiece):
        raise PolyticketError(f"a {type(loaded.model).__name__} tokenizer", where=tokenizer, expected="WordPiece")
    tokens = vocabulary_of(loaded)
    used = _of_tokens(corpus, loaded) if Path(corpus).is_dir() else _of_text(corpus, loaded)
    if not used:
        raise PolyticketError("no token in the corpus", where=corpus, expected="sentences, one a line")
    special = {number for number, token in enumerate(tokens) if token in SPECIAL_TOKENS}
    prefix = loaded.model.continuing_subword_prefix
    letters = {letter for number in used - special for letter in tokens[number].removeprefix(prefix)}
    used |= special | {number for number, token in enumerate(tokens) if token.removeprefix(prefix) in letters}
    return np.array(sorted(used), np.int64)


def smaller(model: Model, kept: Indices) -> Model:
    """The model with the embedding and prediction rows of the kept tokens only."""
    rows = {name: np.ascontiguousarray(model.weights[name][kept]) for name in ROWS if name in model.weights}
    return replace(model, shape=replace(model.shape, vocab_size=len(kept)), weights=model.weights | rows)


def write_smaller_tokenizer(tokenizer: Pathlike, kept: Indices, folder: Pathlike) -> None:
    """Write a tokenizer of the kept tokens into an existing folder, numbered anew in their order."""
    loaded = load_for_text(tokenizer)
    tokens = vocabulary_of(loaded)
    ids = {tokens[old]: new for new, old in enumerate(kept.tolist())}
    stated = json.loads(loaded.to_str())
    stated["model"]["vocab"] = ids
    stated["added_tokens"] = [
        one | {"id": ids[one["content"]]} for one in stated["added_tokens"] if one["content"] in ids
    ]
    _renumber(stated.get("post_processor"), ids)
    with scratch_folder() as scratch:
        Tokenizer.from_str(json.dumps(stated)).save(f"{scratch}/tokenizer.json")
        write_tokenizer(f"{scratch}/tokenizer.json", f"{scratch}/folder")
        copy_tokenizer(f"{scratch}/folder", folder)


def _renumber(processor: dict[str, Any] | None, ids: dict[str, int]) -> None:
    """Put the new ids where a BERT post-processor states ids."""
    if processor is None:
        return
    for token, stated in processor.get("special_tokens", {}).items():
        stated["ids"] = [ids[token]]
    for name in ("cls", "sep"):
        if name in processor:
            processor[name][1] = ids[processor[name][0]]


def _of_tokens(folder: Pathlike, tokenizer: Tokenizer) -> set[int]:
    ids, present = open_tokens(folder).ids, np.zeros(tokenizer.get_vocab_size(), np.bool_)
    for start in range(0, len(ids), IDS):
        part = ids[start : start + IDS]
        if part.max() >= len(present):
            raise PolyticketError("ids beyond the vocabulary", where=folder, expected="tokens of the model's tokenizer")
        present[part] = True
    if present[tokenizer.token_to_id(UNKNOWN)]:
        log.warning(f"{folder}: holds unknown words; with fewer tokens some may become known ones")
    return set(np.flatnonzero(present).tolist())


def _of_text(path: Pathlike, tokenizer: Tokenizer) -> set[int]:
    used: set[int] = set()
    unknown, ids = tokenizer.token_to_id(UNKNOWN), tokenizer.get_vocab()
    stream = lines_of(path)
    while lines := list(islice(stream, LINES)):
        for line, encoding in zip(lines, tokenizer.encode_batch(lines, add_special_tokens=False), strict=True):
            used.update(found := encoding.ids)
            if unknown in found:
                used.update(ids[token] for token in _of_failures(line, tokenizer, ids))
    return used


def _of_failures(line: str, tokenizer: Tokenizer, ids: dict[str, int]) -> Iterable[str]:
    """What WordPiece takes from each word of a line until nothing fits."""
    text = tokenizer.normalizer.normalize_str(line) if tokenizer.normalizer else line
    words = tokenizer.pre_tokenizer.pre_tokenize_str(text) if tokenizer.pre_tokenizer else [(text, (0, len(text)))]
    for word, _ in words:
        if len(word) <= tokenizer.model.max_input_chars_per_word:
            yield from _taken(word, tokenizer.model.continuing_subword_prefix, ids)


def _taken(word: str, prefix: str, ids: dict[str, int]) -> Sequence[str]:
    taken: list[str] = []
    start = 0
    while start < len(word):
        before = prefix if start else ""
        fits = (end for end in range(len(word), start, -1) if before + word[start:end] in ids)
        end = next(fits, None)
        if end is None:
            break
        taken.append(before + word[start:end])
        start = end
    return taken
