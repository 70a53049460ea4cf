"""One language's text as three arrays: tokens, sentences, documents."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from tokenizers import Tokenizer

from polyticket.errors import PolyticketError
from polyticket.files import Pathlike
from polyticket.logs import Progress

LINES_PER_BATCH = 4096


@dataclass(frozen=True)
class Tokens:
    """A tokenized corpus of S sentences in D documents, none of them empty.

    Attributes:
        ids: int32 [tokens]: the pieces of all sentences, end to end.
        sentences: int64 [S + 1]: where each sentence begins in `ids`; the last entry is the number of tokens.
        documents: int64 [D + 1]: where each document begins in `sentences`; the last entry is S.
    """

    ids: np.ndarray
    sentences: np.ndarray
    documents: np.ndarray


def read_tokens(path: Pathlike, tokenizer: Tokenizer) -> Tokens:
    """Tokenize a file of sentences: one a line, a blank line between documents.

    Lines that give no piece (control characters) are no sentences, documents without sentences no documents.

    Args:
        path: UTF-8 text.
        tokenizer: As `polyticket.tokenizer.load_for_text` sets it.

    Raises:
        PolyticketError: The file is missing, is not UTF-8 (names the line), or holds no sentence.
    """
    ids, sentences, documents = array("i"), array("q", [0]), array("q", [0])
    progress = Progress(f"tokenize {path}", None, "lines")
    lines = _lines(path)
    while batch := list(islice(lines, LINES_PER_BATCH)):
        for line, encoding in zip(batch, tokenizer.encode_batch_fast(batch, add_special_tokens=False), strict=True):
            if not line and len(sentences) - 1 > documents[-1]:
                documents.append(len(sentences) - 1)
            elif pieces := encoding.ids:
                ids.extend(pieces)
                sentences.append(len(ids))
        progress.add(len(batch))
    if len(sentences) - 1 > documents[-1]:
        documents.append(len(sentences) - 1)
    if len(documents) == 1:
        raise PolyticketError("no sentence in the file", where=path, expected="one sentence a line")
    return Tokens(np.frombuffer(ids, np.int32), np.frombuffer(sentences, np.int64), np.frombuffer(documents, np.int64))


def _lines(path: Pathlike) -> Iterator[str]:
    """The stripped lines; only line feeds end a line, whatever else Unicode calls a line break."""
    try:
        with open(path, "rb") as stream:
            for number, line in enumerate(stream, 1):
                try:
                    yield line.decode().strip()
                except UnicodeDecodeError as error:
                    raise PolyticketError(f"not UTF-8: {error.reason}", where=f"{path}:{number}") from None
    except OSError as error:
        raise PolyticketError(f"cannot be read: {error.strerror}", where=path) from None
