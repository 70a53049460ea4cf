"""Files of arrays: safetensors with a header, a JSON object that describes them, and NumPy's own."""

import json
import math
import mmap
import os
import zipfile
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, written_beside
from polyticket.core.text import parsed_json, read_as, require_regular

KEY = "polyticket"
KINDS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "U8": "u1"}
KNOWN = {"BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "F16", "F32", "F64"}  # to NumPy


def write_arrays(arrays: Mapping[str, NDArray[Any]], header: Mapping[str, Any], path: Pathlike) -> None:
    """Write arrays and their header, the whole file or none. The same content gives the same bytes."""
    with written_beside(path) as temporary:
        save_file(dict(arrays), temporary, metadata={KEY: json.dumps(header, sort_keys=True)})


def read_arrays(path: Pathlike, what: str) -> tuple[dict[str, NDArray[np.generic]], dict[str, Any]]:
    """Read arrays and their header. A file without a header has an empty one.

    Args:
        path: The file.
        what: What the file should be, for errors: `a ticket`.

    Raises:
        PolyticketError: The file is missing, is not such a file, or holds arrays that NumPy does not know (bfloat16).
    """
    with read_as(what, path):
        require_regular(path)
        with safe_open(path, framework="numpy") as stream:
            header = _header(stream.metadata(), path)
            names = list(stream.keys())
            if other := [kind for name in names if (kind := stream.get_slice(name).get_dtype()) not in KNOWN]:
                raise PolyticketError(f"cannot be read as {what}: holds {other[0]}", where=path)
            return {name: stream.get_tensor(name) for name in names}, header


def map_arrays(path: Pathlike, what: str) -> tuple[dict[str, NDArray[np.generic]], dict[str, Any]]:
    """Map arrays into memory as read-only views of the file, without a copy. The header is read as by `read_arrays`.

    Raises:
        PolyticketError: The file is missing, is not such a file, or holds arrays of other kinds than `KINDS`.
    """
    with read_as(what, path):
        require_regular(path)
        with safe_open(path, framework="numpy") as stream:  # checks the layout that is relied on below
            header = _header(stream.metadata(), path)
        with open(path, "rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        start = 8 + int.from_bytes(content[:8], "little")
        arrays: dict[str, NDArray[np.generic]] = {}
        for name, entry in json.loads(content[8:start]).items():
            if name != "__metadata__":
                first, last = entry["data_offsets"]
                if entry["dtype"] not in KINDS:
                    raise PolyticketError(f"cannot be read as {what}: holds {entry['dtype']}", where=path)
                kind = np.dtype(KINDS[entry["dtype"]])
                flat = np.frombuffer(content, kind, (last - first) // kind.itemsize, start + first)
                arrays[name] = flat.reshape(entry["shape"])
    return arrays, header


def _header(metadata: Mapping[str, str] | None, path: Pathlike) -> dict[str, Any]:
    header = parsed_json((metadata or {}).get(KEY, "{}"), f"{path}: the header")
    if not isinstance(header, dict):
        raise PolyticketError("the header is damaged: no JSON object", where=path)
    return header


def read_array(path: Pathlike, what: str, *, mapped: bool = False) -> NDArray[Any]:
    """Read an `.npy` file, which has no Python objects and exactly the bytes that its header says.

    Args:
        path: The file.
        what: What it should be, for errors.
        mapped: Map it into memory, read-only.

    Raises:
        PolyticketError: It is missing, or is no such file.
    """
    with read_as(what, path):
        with open(path, "rb") as stream:
            _check_size(stream, os.fstat(stream.fileno()).st_size, path, what)
        array = np.lib.format.open_memmap(path, mode="r")
        return array if mapped else np.array(array)


def read_archive(path: Pathlike, what: str) -> dict[str, NDArray[Any]]:
    """Read the arrays of an `.npz` file by name; none has Python objects, or other bytes than its header says.

    Raises:
        PolyticketError: It is missing, or is no such file.
    """
    with read_as(what, path), zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            with archive.open(member) as stream:
                _check_size(stream, member.file_size, f"{path}: {member.filename}", what)
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}


def _check_size(stream: IO[bytes], size: int, where: Pathlike, what: str) -> None:
    """Refuse an `.npy` file with Python objects, of another size than its header says, or of elements that have none.

    NumPy computes with what the header says before it is looked at: a dimension of less than nothing, or elements of
    no bytes, can end the process.
    """
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, kind = read(stream)
    if kind.hasobject:
        raise PolyticketError(f"cannot be read as {what}: holds Python objects", where=where)
    if kind.itemsize == 0 or min(shape, default=0) < 0:
        raise PolyticketError(f"cannot be read as {what}: {kind!s} of the shape {shape}", where=where)
    if stream.tell() + math.prod(shape) * kind.itemsize != size:
        raise PolyticketError(f"cannot be read as {what}: more or fewer bytes than its header says", where=where)
