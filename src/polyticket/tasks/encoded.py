"""Examples as token ids: ragged columns, tokenised once and stored as Arrow files that are mapped into memory."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import ipc

from polyticket.core.code_digest import code_digest
from polyticket.core.files import Pathlike, written_beside
from polyticket.core.provenance import digest

Indices = NDArray[np.int64]
HEADS = Path(__file__).with_name("heads") / "registry.py"
"""The module that imports all code that encodes."""


class Ragged(NamedTuple):
    """Rows of different lengths: row n is `values[offsets[n] : offsets[n + 1]]`; int32 and int64."""

    values: NDArray[np.int32]
    offsets: Indices

    @classmethod
    def of(cls, rows: Iterable[Sequence[int]]) -> "Ragged":
        """Pack rows."""
        listed = [np.asarray(row, np.int32) for row in rows]
        offsets = np.cumsum([0, *map(len, listed)], dtype=np.int64)
        return cls(np.concatenate([np.zeros(0, np.int32), *listed]), offsets)

    def lengths(self) -> Indices:
        """The length of each row, int64 [n]."""
        return np.diff(self.offsets)

    def row(self, number: int) -> NDArray[np.int32]:
        """One row, not copied."""
        return self.values[self.offsets[number] : self.offsets[number + 1]]

    def rows(self, numbers: Iterable[int]) -> list[NDArray[np.int32]]:
        """Chosen rows, not copied."""
        return [self.row(number) for number in numbers]


class Encoded:
    """Windows of a split, each with a row in every column.

    Column `ids` has the tokens that the model reads, column `example` the number of the window's example.

    Args:
        columns: By name.
        truncated: The number of examples that were too long and lost tokens.
    """

    def __init__(self, columns: Mapping[str, Ragged], truncated: int = 0) -> None:
        self.columns, self.truncated = dict(columns), truncated

    def __len__(self) -> int:
        return len(self.columns["ids"].offsets) - 1

    def __getitem__(self, name: str) -> Ragged:
        return self.columns[name]

    def lengths(self) -> Indices:
        """Tokens of each window, int64 [n]."""
        return self["ids"].lengths()

    def tokens(self) -> Indices:
        """The distinct tokens that the windows hold, sorted."""
        return np.unique(self["ids"].values).astype(np.int64)

    def renumbered(self, used: Indices) -> "Encoded":
        """The same with tokens numbered by their place among `used`, which is sorted and holds them all."""
        ids = self["ids"]
        return Encoded(
            self.columns | {"ids": Ragged(np.searchsorted(used, ids.values).astype(np.int32), ids.offsets)},
            self.truncated,
        )

    def write(self, path: Pathlike) -> None:
        """Write an Arrow file, complete or absent."""
        arrays = [pa.LargeListArray.from_arrays(pa.array(c.offsets), pa.array(c.values)) for c in self.columns.values()]
        table = pa.table(arrays, names=list(self.columns)).replace_schema_metadata({"truncated": str(self.truncated)})
        with written_beside(path) as place, ipc.new_file(str(place), table.schema) as writer:
            writer.write_table(table)

    @classmethod
    def read(cls, path: Pathlike) -> "Encoded":
        """Map a file into memory."""
        table = ipc.open_file(pa.memory_map(str(path))).read_all()
        columns = {}
        for name in table.column_names:
            rows = table[name].combine_chunks()
            values, offsets = (part.to_numpy(zero_copy_only=True) for part in (rows.values, rows.offsets))
            columns[name] = Ragged(values, offsets)
        return cls(columns, int(table.schema.metadata[b"truncated"]))


def cached(folder: Pathlike | None, key: Sequence[Any], make: Callable[[], Encoded]) -> Encoded:
    """Read encoded examples from the cache, or make and cache them.

    A file's name is a digest of the key and of the code that encodes. So no file is ever stale, and the
    directory may be removed at any time.

    Args:
        folder: The directory of the cache; None caches nothing.
        key: JSON values that determine the result.
        make: Encodes the examples.
    """
    if folder is None:
        return make()
    path = Path(folder) / f"{digest([*key, code_digest(HEADS)])}.arrow"
    if not path.is_file():
        make().write(path)
    return Encoded.read(path)


def encoded_beside(examples: Pathlike) -> Path:
    """The cache of encoded splits that belongs to a file of examples, `tasks/{task}/{lang}/{split}.arrow`."""
    return Path(examples).parents[2] / "encoded"


def examples_digest(examples: Sequence[Any]) -> str:
    """SHA-256 of examples, as 64 hexadecimal digits."""
    sha = hashlib.sha256()
    for example in examples:
        sha.update(repr(tuple(example)).encode())
    return sha.hexdigest()


def padded(rows: Sequence[NDArray[np.int32]], fill: int = 0) -> Indices:
    """Rows as a matrix, int64 [rows, longest], short ones filled up at the end."""
    lengths = np.array([len(row) for row in rows])
    matrix = np.full((len(rows), lengths.max(initial=0)), fill, np.int64)
    matrix[np.arange(matrix.shape[1]) < lengths[:, None]] = np.concatenate(rows) if len(rows) else []
    return matrix
