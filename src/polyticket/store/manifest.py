"""What a complete folder of a store holds: its manifest."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypedDict

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, visible_files
from polyticket.store.base import Store, checked_name, file_stat, joined, url_of

MANIFEST = "manifest.json"
FORMAT = 1


class Entry(TypedDict):
    """One file of a folder.

    Args:
        name: Relative to the folder, with ``/``.
        size: Length in bytes.
        crc32c: CRC-32C as in `Stat`, base64.
    """

    name: str
    size: int
    crc32c: str


def scan_folder(local_folder: Pathlike) -> list[Entry]:
    """The visible files below a local folder, sorted by name.

    Raises:
        PolyticketError: The folder is missing or empty, or holds a file of a name that cannot be stored.
    """
    folder = Path(local_folder)
    if not folder.is_dir():
        raise PolyticketError("no such folder", where=folder)
    entries: list[Entry] = []
    for name, path in visible_files(folder):
        if path.name == MANIFEST:
            raise PolyticketError(f"{MANIFEST} is a reserved name", where=path, expected="a folder without such a file")
        size, crc32c = file_stat(path)
        entries.append({"name": checked_name(name, where=str(folder)), "size": size, "crc32c": crc32c})
    if not entries:
        raise PolyticketError("the folder is empty", where=folder, expected="at least one file")
    return entries


def manifest_bytes(entries: list[Entry]) -> bytes:
    """The manifest of a folder: JSON with ``format`` and ``files``, the same bytes for the same files."""
    return (json.dumps({"format": FORMAT, "files": entries}, indent=2, ensure_ascii=False) + "\n").encode()


def manifest_digest(entries: list[Entry]) -> str:
    """The SHA-256 digest of a folder's manifest: of its files' names, sizes and checksums; 64 hexadecimal digits."""
    return hashlib.sha256(manifest_bytes(entries)).hexdigest()


def entries_of(files: Iterable[Mapping[str, Any]]) -> list[Entry]:
    """The files that JSON names.

    Raises:
        KeyError, TypeError, ValueError: It is not what a manifest or a receipt has.
    """
    return [{"name": str(file["name"]), "size": int(file["size"]), "crc32c": str(file["crc32c"])} for file in files]


def parse_manifest(data: bytes, url: str) -> list[Entry]:
    """The files that a manifest names.

    Raises:
        PolyticketError: It is damaged, of another format, or names a file outside its folder; says the URL.
    """
    try:
        value = json.loads(data)
        form = value["format"]
        entries = entries_of(value["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise PolyticketError(f"damaged manifest ({type(error).__name__})", where=url) from error
    if form != FORMAT:
        raise PolyticketError(f"manifest of format {form!r}", where=url, expected=str(FORMAT))
    for entry in entries:
        checked_name(entry["name"], where=url)
    return entries


def read_manifest(store: Store, prefix: str = "") -> list[Entry]:
    """The files of a complete folder, sorted by name.

    Raises:
        PolyticketError: There is no manifest, or it is of another format or damaged.
    """
    name = joined(prefix, MANIFEST)
    if store.stat(name) is None:
        raise PolyticketError(
            f"no {MANIFEST}", where=url_of(store, joined(prefix)), expected="a folder whose upload came to its end"
        )
    return parse_manifest(store.read(name), url_of(store, name))
