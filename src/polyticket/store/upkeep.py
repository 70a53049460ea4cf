"""Upkeep of a store by hand: what is in it, whether it is sound, and the removal of one directory."""

import re
from typing import NamedTuple

from polyticket.core.errors import PolyticketError
from polyticket.store.base import Stat, Store, joined
from polyticket.store.directories import MANIFEST, complete_directories, read_manifest

_RUN = "[0-9a-f]{16}"
_OWN = re.compile(rf"(?:^|/)(?:run-{_RUN}(?:-{_RUN})?/step-\d{{9}}|initial-{_RUN}-{_RUN})(?=/)")
"""The names that this program gives to directories at a store."""


class Content(NamedTuple):
    """A directory of a store.

    Args:
        name: Its name, relative to the store's URL; empty for the store's root.
        files: The number of its files, without the manifest.
        total_bytes: The sum of their sizes as the manifest says; None for a directory without one.
    """

    name: str
    files: int
    total_bytes: int | None


def contents(store: Store) -> list[Content]:
    """The directories of a store, sorted by name: complete ones, and what killed or running uploads have sent."""
    names = store.names()
    complete = complete_directories(names)
    manifests = {name: read_manifest(store, name) for name in complete}
    found = [Content(name, len(files), sum(file["size"] for file in files)) for name, files in manifests.items()]
    begun = [directory for name in names if (directory := _own_directory(store, name)) not in (None, *complete)]
    found += [Content(name, begun.count(name), None) for name in set(begun) if name is not None]
    return sorted(found)


def faults(store: Store, directory: str) -> list[str]:
    """What is wrong with the files of a complete directory: a line for each that is missing or damaged.

    Sizes and checksums are compared as the store holds them. A local store computes them from the bytes.
    """
    wrong = []
    for entry in read_manifest(store, directory):
        name = joined(directory, entry["name"])
        stat = store.stat(name)
        if stat is None:
            wrong.append(f"{name}: missing")
        elif stat.size != entry["size"]:
            wrong.append(f"{name}: {stat.size} bytes; expected {entry['size']}")
        elif stat != Stat(entry["size"], entry["crc32c"]):
            wrong.append(f"{name}: crc32c {stat.crc32c}; expected {entry['crc32c']}")
    return wrong


def removable(store: Store, *, incomplete: bool = False) -> list[str]:
    """The files that make up the directory at a store's URL, its manifest first: those that the manifest names.

    Args:
        store: The store, opened at the directory.
        incomplete: Also take a directory without a manifest, if its name is one that this program gives; all its files.

    Raises:
        PolyticketError: There is no such directory, it holds other directories, or it is not this program's.
    """
    names = store.names()
    below = [name for name in complete_directories(names) if name]
    if below:
        raise PolyticketError(f"holds another directory, {below[0]}", where=store.url, expected="one directory")
    if MANIFEST in names:
        return [MANIFEST, *(entry["name"] for entry in read_manifest(store) if entry["name"] in names)]
    if not names:
        raise PolyticketError("nothing is there", where=store.url, expected="a directory of `polyticket store ls`")
    if incomplete and _own_directory(store, names[0]) == "":
        return names
    raise PolyticketError(
        f"not a directory of polyticket: no {MANIFEST}",
        where=store.url,
        expected="one that `polyticket store ls` lists; with --incomplete, one of an upload that did not end",
    )


def _own_directory(store: Store, name: str) -> str | None:
    """The directory, relative to the store's URL, of a file in a directory that this program has named."""
    path = f"{store.url.rstrip('/')}/{name}"
    found = _OWN.search(path)
    return None if found is None else path[len(store.url.rstrip("/")) + 1 : found.end()]
