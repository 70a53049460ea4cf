"""Spans of arrays on disk, read so that what was read does not add up in memory."""

import os
from collections.abc import Sequence
from typing import SupportsIndex

import numpy as np

from polyticket.core.errors import PolyticketError
from polyticket.records.tokens import Tokens

LARGE = 1 << 26
"""Bytes of an array from which on it is read piece by piece instead of being mapped into memory."""


class Spans:
    """A one-dimensional array that is read in spans.

    Pages of a mapped file count as memory of the process once they were touched, and the system may map megabytes
    around each, so large files are read by calls instead.

    Args:
        array: In memory, or mapped from a file.
    """

    def __init__(self, array: np.ndarray) -> None:
        self.dtype, self._size = array.dtype, len(array)
        self._array, self._file = np.asarray(array), None
        if isinstance(array, np.memmap) and array.nbytes >= LARGE and array.filename is not None:
            self._file = open(array.filename, "rb", buffering=0)  # noqa: SIM115 - open as long as this object lives
            self._offset = array.offset
            os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, place: SupportsIndex) -> int:
        return int(self.read([int(place)], [int(place) + 1])[0])

    def read(self, starts: Sequence[int], ends: Sequence[int]) -> np.ndarray:
        """The spans from `starts` to `ends`, end to end: much quicker than an index of each entry.

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

    def __init__(self, tokens: Tokens) -> None:
        self.ids, self.sentences, self.documents = map(Spans, (tokens.ids, tokens.sentences, tokens.documents))
