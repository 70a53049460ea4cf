"""One language's text as three arrays in a directory: tokens, sentences, documents."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np
from tokenizers import Tokenizer

from polyticket.core.array_files import read_array
from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, read_object, write_json, written_beside
from polyticket.core.logs import Progress
from polyticket.core.processes import in_order
from polyticket.tokenizer.fast_wordpiece.encoding import encoder_of
from polyticket.tokenizer.unknown_words import Limits, count_unknown, sampled_lines
from polyticket.tokenizer.wordpiece import UNKNOWN, load_for_text, vocabulary_of

STATS = "stats.json"
ID_TYPES = ("uint16", "uint32")
RANGE_BYTES = 16 << 20
"""Bytes of text that one job tokenizes, for any number of processes."""
BLOCK_BYTES = 1 << 20
"""Bytes of text that are read at a time."""
LARGE = 1 << 26
"""Bytes of an array from which on it is read by calls instead of being mapped into memory."""


@dataclass(frozen=True)
class Tokens:
    """A tokenized corpus of S sentences in D documents. No sentence or document is empty; S and D may be zero.

    Attributes:
        ids: uint16 [tokens], or uint32 if the vocabulary has more than 65536 entries: the token ids of all sentences,
            end to end.
        sentences: int64 [S + 1]: where each sentence begins in `ids`; the last entry is the number of tokens.
        documents: int64 [D + 1]: where each document begins in `sentences`; the last entry is S.
    """

    ids: np.ndarray
    sentences: np.ndarray
    documents: np.ndarray


def open_tokens(directory: Pathlike) -> Tokens:
    """Map the arrays that `tokenize_corpus` wrote into memory, read-only.

    Raises:
        PolyticketError: A file is missing, damaged or truncated, or the files do not belong together.
    """
    directory = Path(directory)
    stats = read_object(directory / STATS, "the statistics of tokens")
    if not isinstance(stats.get("dtype"), str) or stats["dtype"] not in ID_TYPES:
        raise PolyticketError("not the statistics of tokens", where=directory / STATS)
    kinds = {"ids": stats["dtype"], "sentences": "int64", "documents": "int64"}
    tokens = Tokens(**{name: _mapped(directory / f"{name}.npy", kind) for name, kind in kinds.items()})
    sizes = {"tokens": len(tokens.ids), "sentences": len(tokens.sentences) - 1, "documents": len(tokens.documents) - 1}
    for name, bounds, end in (
        ("sentences", tokens.sentences, sizes["tokens"]),
        ("documents", tokens.documents, sizes["sentences"]),
    ):
        if len(bounds) < 1 or bounds[0] != 0 or bounds[-1] != end:
            what = f"not the {name} of {end} {'tokens' if name == 'sentences' else 'sentences'}"
            raise PolyticketError(what, where=directory / f"{name}.npy")
    for name, count in sizes.items():
        if stats.get(name) != count:
            raise PolyticketError(f"{stats.get(name)} {name}, but the arrays hold {count}", where=directory / STATS)
    return tokens


def _mapped(path: Path, dtype: str) -> np.ndarray:
    """One array, checked for its type, its one dimension and the length of its file."""
    array = read_array(path, "a list of numbers, as tokenize_corpus writes it", mapped=True)
    if array.dtype != dtype or array.ndim != 1:
        raise PolyticketError(f"{array.dtype} {list(array.shape)}", where=path, expected=f"a list of {dtype} alone")
    return array


class Spans:
    """A one-dimensional array that is read in spans.

    Pages of a mapped file count as memory of the process once they are touched, and the system may map megabytes around
    each, so large files are read by calls instead.

    Args:
        array: In memory, or mapped from a file.
        large: Bytes of a mapped array from which on it is read by calls.
    """

    def __init__(self, array: np.ndarray, large: int = LARGE) -> None:
        self.dtype, self._size = array.dtype, len(array)
        self._array, self._file = np.asarray(array), None
        if isinstance(array, np.memmap) and array.nbytes >= large and array.filename is not None:
            self._file = open(array.filename, "rb", buffering=0)  # noqa: SIM115 - open as long as this object lives
            self._offset = array.offset
            os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: SupportsIndex) -> int:
        return int(self.read([int(index)], [int(index) + 1])[0])

    def read(self, starts: Sequence[int], ends: Sequence[int]) -> np.ndarray:
        """The spans from `starts` to `ends`, end to end. This is much faster than an index of each entry.

        Raises:
            PolyticketError: The file ends before a span does.
        """
        spans = zip(starts, ends, strict=True)
        if self._file is None:
            view = self._array.data
            return np.frombuffer(b"".join([view[start:end] for start, end in spans]), self.dtype)
        file, size, offset = self._file.fileno(), self.dtype.itemsize, self._offset
        data = b"".join([os.pread(file, (end - start) * size, offset + start * size) for start, end in spans])
        if len(data) != (sum(ends) - sum(starts)) * size:
            raise PolyticketError("ends before its last entry", where=self._file.name)
        return np.frombuffer(data, self.dtype)


class Corpus:
    """The three arrays of `Tokens` as `Spans`."""

    def __init__(self, tokens: Tokens, large: int = LARGE) -> None:
        arrays = (tokens.ids, tokens.sentences, tokens.documents)
        self.ids, self.sentences, self.documents = (Spans(array, large) for array in arrays)


def tokenize_corpus(
    sentences: Pathlike,
    tokenizer: Pathlike,
    directory: Pathlike,
    *,
    language: str,
    processes: int = 1,
    limits: Limits = Limits(),  # noqa: B008 (it is immutable)
    range_bytes: int = RANGE_BYTES,
    block_bytes: int = BLOCK_BYTES,
) -> dict[str, Any]:
    """Tokenize a file of sentences of any size into a directory that `open_tokens` opens.

    Lines without a token (control characters alone) are no sentences; documents without sentences are no documents.
    The directory appears whole, at the end. Its bytes depend on neither `processes`, `range_bytes` nor `block_bytes`.
    Memory does not grow with the text.

    Args:
        sentences: UTF-8 text: one sentence a line, a blank line between documents.
        tokenizer: A folder with ``tokenizer.json``, or what `load_for_text` takes.
        directory: Where to write ``ids.npy``, ``sentences.npy``, ``documents.npy`` and ``stats.json``.
        language: The language's code, for the statistics.
        processes: The number of processes.
        limits: The limits of unknown words, checked on lines spread over the text before it is tokenized.
        range_bytes: Bytes of text that one job tokenizes.
        block_bytes: Bytes of text that a job reads at a time.

    Returns:
        The content of ``stats.json``.

    Raises:
        PolyticketError: The tokenizer cannot be used; the text is missing, is not UTF-8 (names the line), or has no
            sentence or too many unknown words.
    """
    size = _size(sentences)
    loaded = load_for_text(tokenizer)
    unknown = count_unknown(loaded, loaded.token_to_id(UNKNOWN), sampled_lines(sentences))
    unknown.require(limits, language, tokenizer)
    reader = RangeReader(sentences, loaded, block_bytes)
    ranges = [(begin, min(begin + range_bytes, size)) for begin in range(0, size, range_bytes)]
    progress = Progress(f"tokenize {language}", size, "bytes")
    with written_beside(directory, folder=True) as temporary:
        counted = _write(temporary, tokenize_ranges(reader, ranges, processes), reader.dtype, progress)
        if not counted["sentences"]:
            raise PolyticketError("no sentence in the file", where=sentences, expected="one sentence a line")
        stats = {
            "language": language,
            **counted,
            "unknown_rate": counted["unknown_tokens"] / counted["tokens"],
            "vocab_size": loaded.get_vocab_size(),
            "vocabulary_sha256": vocabulary_sha256(loaded),
            "dtype": reader.dtype.name,
        }
        write_json(temporary / STATS, stats)
    return stats


def vocabulary_sha256(tokenizer: Tokenizer) -> str:
    """The SHA-256 digest of a tokenizer's entries in the order of their ids, as 64 hexadecimal digits."""
    return hashlib.sha256("\0".join(vocabulary_of(tokenizer)).encode()).hexdigest()


def _size(path: Pathlike) -> int:
    try:
        return Path(path).stat().st_size
    except OSError as error:
        raise PolyticketError(f"cannot be read: {error.strerror}", where=path) from None


@dataclass(frozen=True)
class TokenizedRange:
    """The tokens of some lines of a text.

    Attributes:
        ids: uint16 or uint32 [tokens].
        lengths: int64 [S]: the number of tokens of each sentence.
        breaks: int64 [B]: the sentences (0 to S) that have a blank line before them, ascending.
        bytes: Size of the text.
        characters: Code points of the text, without line feeds.
        unknown: Unknown tokens.
    """

    ids: np.ndarray
    lengths: np.ndarray
    breaks: np.ndarray
    bytes: int
    characters: int
    unknown: int

    def counts(self) -> dict[str, int]:
        """The counts that add up over the ranges of a text."""
        return {
            "sentences": len(self.lengths),
            "tokens": len(self.ids),
            "unknown_tokens": self.unknown,
            "characters": self.characters,
            "bytes": self.bytes,
        }


def _write(directory: Path, ranges: Iterable[TokenizedRange], dtype: np.dtype, progress: Progress) -> dict[str, int]:
    """Append the ranges to the three files; returns the counts."""
    counted = dict.fromkeys(("documents", "sentences", "tokens", "unknown_tokens", "characters", "bytes"), 0)
    offsets = np.dtype(np.int64)
    with ExitStack() as stack:
        ids = stack.enter_context(ListFile(directory / "ids.npy", dtype))
        sentences = stack.enter_context(ListFile(directory / "sentences.npy", offsets))
        documents = stack.enter_context(ListFile(directory / "documents.npy", offsets))
        sentences.append(np.zeros(1, offsets))
        documents.append(np.zeros(1, offsets))
        last = 0  # the last entry of documents.npy
        for tokenized in ranges:
            breaks = counted["sentences"] + tokenized.breaks
            breaks = breaks[np.diff(breaks, prepend=last) > 0]
            ids.append(tokenized.ids)
            sentences.append(counted["tokens"] + np.cumsum(tokenized.lengths))
            documents.append(breaks)
            last = int(breaks[-1]) if len(breaks) else last
            for name, count in tokenized.counts().items():
                counted[name] += count
            progress.add(tokenized.bytes, **{"MB/s": counted["bytes"] / 1e6 / progress.seconds()})
        if counted["sentences"] > last:
            documents.append(np.array([counted["sentences"]]))
        counted["documents"] = documents.size - 1
    return counted


class ListFile:
    """A one-dimensional array of unknown size, which is appended to a ``.npy`` file.

    Args:
        path: The file.
        dtype: The type of the entries.

    Attributes:
        size: The number of entries so far.
    """

    def __init__(self, path: Path, dtype: np.dtype) -> None:
        self.dtype, self.size = dtype, 0
        self.stream = path.open("wb")

    def __enter__(self) -> "ListFile":
        self._write_header()
        return self

    def __exit__(self, *_: object) -> None:
        # numpy pads the header, so that it has the same length for every size
        self.stream.seek(0)
        self._write_header()
        self.stream.close()

    def append(self, array: np.ndarray) -> None:
        """Add entries at the end."""
        self.size += len(array)
        self.stream.write(np.ascontiguousarray(array, self.dtype).data)

    def _write_header(self) -> None:
        header = {"descr": self.dtype.str, "fortran_order": False, "shape": (self.size,)}
        np.lib.format.write_array_header_1_0(self.stream, header)


class RangeReader:
    """Tokenizes ranges of a file's bytes, cut at line ends.

    Args:
        path: UTF-8 text: a sentence a line, a blank line between documents.
        tokenizer: What `polyticket.tokenizer.wordpiece.load_for_text` gives.
        block_bytes: Bytes that are read at a time.
    """

    def __init__(self, path: Pathlike, tokenizer: Tokenizer, block_bytes: int = BLOCK_BYTES) -> None:
        self.path, self.block_bytes = path, block_bytes
        self.dtype = np.dtype(np.uint16 if tokenizer.get_vocab_size() <= 1 << 16 else np.uint32)
        self.unknown = tokenizer.token_to_id(UNKNOWN)
        self.encoder = encoder_of(tokenizer)

    def read(self, begin: int, end: int) -> TokenizedRange:
        """Tokenize the lines whose first byte lies in [begin, end).

        Raises:
            PolyticketError: The text is not UTF-8; names the line.
        """
        ids, counts, size, characters = [np.zeros(0, self.dtype)], [np.zeros(0, np.int64)], 0, 0
        for start, block in self._blocks(begin, end):
            try:
                block_ids, lines = self.encoder.encode(block if block.endswith(b"\n") else block + b"\n")
            except UnicodeDecodeError as error:
                line = _line_of(self.path, start + error.start)
                raise PolyticketError(f"not UTF-8: {error.reason}", where=f"{self.path}:{line}") from None
            ids.append(block_ids.astype(self.dtype))
            counts.append(lines)
            size += len(block)
            # all but the continuation bytes 0b10xxxxxx begin a code point
            characters += int(np.count_nonzero(np.frombuffer(block, np.int8) >= -64)) - block.count(b"\n")
        all_ids, lines = np.concatenate(ids), np.concatenate(counts)
        breaks = np.cumsum(lines > 0)[lines < 0]
        unknown = int(np.count_nonzero(all_ids == self.unknown)) if self.unknown is not None else 0
        return TokenizedRange(all_ids, lines[lines > 0], breaks, size, characters, unknown)

    def _blocks(self, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Yield the first byte and the bytes of runs of whole lines: those whose first byte lies in [begin, end)."""
        with open(self.path, "rb") as stream:
            if begin:
                stream.seek(begin - 1)
                stream.readline()
            while (start := stream.tell()) < end:
                block = stream.read(min(self.block_bytes, end - start))
                yield start, block if block.endswith(b"\n") else block + stream.readline()


def tokenize_ranges(reader: RangeReader, ranges: Sequence[tuple[int, int]], processes: int) -> Iterator[TokenizedRange]:
    """Tokenize byte ranges, in their order.

    Args:
        reader: Reads a range.
        ranges: First byte and end of each.
        processes: The number of processes. A few ranges for each are in memory.
    """
    return in_order(_read, ranges, processes, start=_keep_reader, start_with=(reader,))


_reader: RangeReader | None = None


def _keep_reader(reader: RangeReader) -> None:
    global _reader
    _reader = reader
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # a core for each process


def _read(begin: int, end: int) -> TokenizedRange:
    assert _reader is not None
    return _reader.read(begin, end)


def _line_of(path: Pathlike, offset: int) -> int:
    """The number of the line, from 1, of the byte at an offset."""
    number, left = 1, offset
    with open(path, "rb") as stream:
        while left and (block := stream.read(min(BLOCK_BYTES, left))):
            number += block.count(b"\n")
            left -= len(block)
    return number
