"""Held-out documents: drawn before pretraining, and used only to score models."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from polyticket.core.files import Pathlike, write_json, written_beside
from polyticket.core.logs import Progress, log
from polyticket.core.random_streams import stream
from polyticket.records.tokens import STATS, Corpus, ListFile, Spans, open_tokens, tokenize_corpus
from polyticket.tokenizer.unknown_words import Limits
from polyticket.tokenizer.wordpiece import UNKNOWN, load_for_text

CHUNK = 1 << 22
"""Entries of an array that are in memory at a time."""
COUNTS = ("documents", "sentences", "tokens", "unknown_tokens")
Run = tuple[int, int]


def tokenize_and_hold_out(
    sentences: Pathlike,
    tokenizer: Pathlike,
    directory: Pathlike,
    held_out: Pathlike,
    *,
    language: str,
    share: float,
    most: int,
    seed: int,
    processes: int = 1,
    limits: Limits = Limits(),  # noqa: B008 (it is immutable)
    chunk: int = CHUNK,
) -> dict[str, Any]:
    """Tokenize a file of sentences into two directories that `open_tokens` opens: for training, and held out.

    Every document is in one of them, in the order of the text. The statistics of a directory are those of
    `tokenize_corpus` for its own documents; under ``whole`` they have the counts of the text, unless nothing is held
    out. In that case, no temporary second copy of the tokens is made. Memory does not grow with the text.

    Args:
        sentences: UTF-8 text: one sentence a line, a blank line between documents.
        tokenizer: A folder with ``tokenizer.json``, or what `load_for_text` takes.
        directory: Where the documents for training go.
        held_out: Where the held-out documents go; a corpus of no document if there are none.
        language: The language's code; part of the key of the random choice.
        share: The share of documents to hold out, see `choose_documents`.
        most: Hold out at most this number of documents.
        seed: The run's seed.
        processes: The number of processes that tokenize.
        limits: The limits of unknown words.
        chunk: Entries of an array that are in memory at a time.

    Returns:
        The statistics of the documents for training.

    Raises:
        PolyticketError: As `tokenize_corpus` does.
    """
    with written_beside(directory, folder=True) as training, written_beside(held_out, folder=True) as aside:
        whole = training.parent / "whole"  # removed with the directory of `training`
        counted = tokenize_corpus(sentences, tokenizer, whole, language=language, processes=processes, limits=limits)
        chosen = choose_documents(counted["documents"], share, most, seed=seed, language=language)
        if share and not len(chosen):
            log.warning("%s: a single document, kept for training: none of %s is held out", sentences, language)
        corpus = Corpus(open_tokens(whole))
        unknown = load_for_text(tokenizer).token_to_id(UNKNOWN)
        held = _write(aside, corpus, [(n, n + 1) for n in chosen.tolist()], unknown, chunk)
        _write_stats(aside, counted, held)
        if not len(chosen):
            whole.replace(training)
            return counted
        progress = Progress(f"keep {language}", counted["tokens"] - held["tokens"], "tokens")
        _write(training, corpus, _between(chosen, counted["documents"]), None, chunk, progress)
        return _write_stats(training, counted, {name: counted[name] - held[name] for name in COUNTS})


def choose_documents(documents: int, share: float, most: int, *, seed: int, language: str) -> np.ndarray:
    """Choose documents to hold out: min(most, max(1, round(share · D)), D - 1) of D, or 0 if the share is 0.

    They are drawn without replacement by a stream keyed by seed and language.

    Returns:
        int64 [n]: their numbers from 0, ascending.
    """
    count = min(most, max(1, round(share * documents)), documents - 1) if share else 0
    random = stream(seed, language, "held out")
    return np.sort(random.choice(documents, count, replace=False)).astype(np.int64)


def _between(chosen: np.ndarray, documents: int) -> list[Run]:
    """The runs of documents between the chosen ones, first and end."""
    bounds = [-1, *chosen.tolist(), documents]
    return [(before + 1, after) for before, after in pairwise(bounds) if before + 1 < after]


def _write(
    directory: Path,
    corpus: Corpus,
    runs: Sequence[Run],
    unknown: int | None,
    size: int,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Write the arrays of runs of documents, end to end; returns their counts (unknown tokens only if `unknown`)."""
    unknown_tokens = 0
    with ExitStack() as stack:
        ids, sentences, documents = (
            stack.enter_context(ListFile(directory / f"{name}.npy", getattr(corpus, name).dtype))
            for name in ("ids", "sentences", "documents")
        )
        sentences.append(np.zeros(1, np.int64))
        documents.append(np.zeros(1, np.int64))
        for run in runs:
            lines = [corpus.documents[document] for document in run]
            offsets = [corpus.sentences[line] for line in lines]
            for chunk in _chunks(corpus.documents, run[0] + 1, run[1] + 1, size):
                documents.append(chunk - lines[0] + (sentences.size - 1))
            for chunk in _chunks(corpus.sentences, lines[0] + 1, lines[1] + 1, size):
                sentences.append(chunk - offsets[0] + ids.size)
            for chunk in _chunks(corpus.ids, offsets[0], offsets[1], size):
                ids.append(chunk)
                unknown_tokens += int(np.count_nonzero(chunk == unknown)) if unknown is not None else 0
                if progress:
                    progress.add(len(chunk))
        return dict(zip(COUNTS, (documents.size - 1, sentences.size - 1, ids.size, unknown_tokens), strict=True))


def _chunks(array: Spans, begin: int, end: int, size: int) -> Iterator[np.ndarray]:
    for start in range(begin, end, size):
        yield array.read([start], [min(start + size, end)])


def _write_stats(directory: Path, whole: dict[str, Any], counted: dict[str, int]) -> dict[str, Any]:
    rate = counted["unknown_tokens"] / counted["tokens"] if counted["tokens"] else None
    own = {name: whole[name] for name in ("language", "vocab_size", "vocabulary_sha256", "dtype")}
    of_text = {name: whole[name] for name in (*COUNTS, "characters", "bytes")}
    stats = {**own, **counted, "unknown_rate": rate, "whole": of_text}
    write_json(directory / STATS, stats)
    return stats
