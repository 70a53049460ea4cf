"""Safetensors files with a header: arrays by name, and a JSON object that describes them."""

import json
import mmap
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, written_beside

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
    try:
        with safe_open(path, framework="numpy") as stream:
            header = _header(stream.metadata(), path)
            names = list(stream.keys())
            if other := [kind for name in names if (kind := stream.get_slice(name).get_dtype()) not in KNOWN]:
                raise PolyticketError(f"cannot be read as {what}: holds {other[0]}", where=path)
            return {name: stream.get_tensor(name) for name in names}, header
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise PolyticketError(f"cannot be read as {what}: {error}", where=path) from None


def map_arrays(path: Pathlike, what: str) -> tuple[dict[str, NDArray[np.generic]], dict[str, Any]]:
    """Map arrays into memory as read-only views of the file, without a copy. The header is read as by `read_arrays`.

    Raises:
        PolyticketError: The file is missing, is not such a file, or holds arrays of other kinds than `KINDS`.
    """
    try:
        with safe_open(path, framework="numpy") as stream:  # checks the layout that is relied on below
            header = _header(stream.metadata(), path)
        with open(path, "rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        start = 8 + int.from_bytes(content[:8], "little")
        arrays: dict[str, NDArray[np.generic]] = {}
        for name, entry in json.loads(content[8:start]).items():
            if name != "__metadata__":
                first, last = entry["data_offsets"]
                kind = np.dtype(KINDS[entry["dtype"]])
                flat = np.frombuffer(content, kind, (last - first) // kind.itemsize, start + first)
                arrays[name] = flat.reshape(entry["shape"])
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise PolyticketError(f"cannot be read as {what}: {error}", where=path) from None
    except KeyError as error:
        raise PolyticketError(f"cannot be read as {what}: holds {error.args[0]}", where=path) from None
    return arrays, header


def _header(metadata: Mapping[str, str] | None, path: Pathlike) -> dict[str, Any]:
    header = json.loads((metadata or {}).get(KEY, "{}"))
    if not isinstance(header, dict):
        raise PolyticketError("the header is damaged: no JSON object", where=path)
    return header
