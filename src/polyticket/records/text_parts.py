"""Ranges of a text file's bytes -> their tokens, in one process or several."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.core.workers import in_order
from polyticket.tokenizer.fast_wordpiece.encoding import encoder_of
from polyticket.tokenizer.wordpiece import UNKNOWN

BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Part:
    """The tokens of some lines of a text.

    Attributes:
        ids: uint16 or uint32 [tokens].
        lengths: int64 [S]: the number of tokens of each sentence.
        breaks: int64 [B]: before which of the part's sentences (0 to S) a blank line stands, ascending.
        bytes: Size of the text.
        characters: Code points of text, without line feeds.
        unknown: How many tokens stand for what the vocabulary lacks.
    """

    ids: np.ndarray
    lengths: np.ndarray
    breaks: np.ndarray
    bytes: int
    characters: int
    unknown: int

    def counts(self) -> dict[str, int]:
        """What adds up over the parts of a text."""
        return {
            "sentences": len(self.lengths),
            "tokens": len(self.ids),
            "unknown_tokens": self.unknown,
            "characters": self.characters,
            "bytes": self.bytes,
        }


class Reader:
    """Tokenizes ranges of a file's bytes, cut at line ends.

    Args:
        path: UTF-8 text: a sentence a line, a blank line between documents.
        tokenizer: As `polyticket.tokenizer.wordpiece.load_for_text` sets it.
    """

    def __init__(self, path: Pathlike, tokenizer: Tokenizer) -> None:
        self.path = path
        self.dtype = np.dtype(np.uint16 if tokenizer.get_vocab_size() <= 1 << 16 else np.uint32)
        self.unknown = tokenizer.token_to_id(UNKNOWN)
        self.encoder = encoder_of(tokenizer)

    def read(self, begin: int, end: int) -> Part:
        """Tokenize the lines whose first byte lies in [begin, end).

        Raises:
            PolyticketError: The text is not UTF-8; names the line.
        """
        ids, counts, size, characters = [np.zeros(0, self.dtype)], [np.zeros(0, np.int64)], 0, 0
        for place, block in _blocks(self.path, begin, end):
            try:
                found, lines = self.encoder.encode(block if block.endswith(b"\n") else block + b"\n")
            except UnicodeDecodeError as error:
                line = _line_of(self.path, place + error.start)
                raise PolyticketError(f"not UTF-8: {error.reason}", where=f"{self.path}:{line}") from None
            ids.append(found.astype(self.dtype))
            counts.append(lines)
            size += len(block)
            # All but the continuation bytes 0b10xxxxxx begin a code point.
            characters += int(np.count_nonzero(np.frombuffer(block, np.int8) >= -64)) - block.count(b"\n")
        together, lines = np.concatenate(ids), np.concatenate(counts)
        breaks = np.cumsum(lines > 0)[lines < 0]
        unknown = int(np.count_nonzero(together == self.unknown)) if self.unknown is not None else 0
        return Part(together, lines[lines > 0], breaks, size, characters, unknown)


def read_parts(reader: Reader, ranges: Sequence[tuple[int, int]], processes: int) -> Iterator[Part]:
    """Tokenize ranges of bytes, in their order.

    Args:
        reader: What reads a range.
        ranges: First byte and end of each.
        processes: How many work at once; a few parts for each are held.
    """
    return in_order(_read, ranges, processes, start=_keep_reader, start_with=(reader,))


_reader: Reader | None = None


def _keep_reader(reader: Reader) -> None:
    global _reader
    _reader = reader
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # a core for each process


def _read(begin: int, end: int) -> Part:
    assert _reader is not None
    return _reader.read(begin, end)


def _blocks(path: Pathlike, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield place and bytes of runs of whole lines: those whose first byte lies in [begin, end)."""
    with open(path, "rb") as stream:
        if begin:
            stream.seek(begin - 1)
            stream.readline()
        while (place := stream.tell()) < end:
            block = stream.read(min(BLOCK_BYTES, end - place))
            yield place, block if block.endswith(b"\n") else block + stream.readline()


def _line_of(path: Pathlike, place: int) -> int:
    """The number of the line, from 1, that the byte at `place` stands in."""
    number, left = 1, place
    with open(path, "rb") as stream:
        while left and (block := stream.read(min(BLOCK_BYTES, left))):
            number += block.count(b"\n")
            left -= len(block)
    return number
