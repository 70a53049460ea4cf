"""Directories in a store: complete or invisible, uploads that resume file by file, verified downloads."""

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypedDict, TypeVar

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, read_json, scratch_folder, visible_files, write_text, written_beside
from polyticket.core.logs import Progress
from polyticket.core.provenance import digest
from polyticket.core.text import parsed_json, read_as
from polyticket.store.base import (
    ABSENT,
    ConflictError,
    Stat,
    Store,
    bytes_stat,
    checked_name,
    file_stat,
    joined,
    open_store,
    url_of,
)
from polyticket.store.transfers import RESENT, WORKERS, each

MANIFEST = "manifest.json"
FORMAT = 1


class Entry(TypedDict):
    """One file of a directory.

    Args:
        name: Relative to the directory, with ``/``.
        size: Length in bytes.
        crc32c: CRC-32C as in `Stat`, base64.
    """

    name: str
    size: int
    crc32c: str


def scan_directory(local_directory: Pathlike) -> list[Entry]:
    """The visible files below a local directory, sorted by name.

    Raises:
        PolyticketError: The directory is missing or empty, or holds a file of a name that cannot be stored.
    """
    directory = Path(local_directory)
    if not directory.is_dir():
        raise PolyticketError("no such directory", where=directory)
    entries: list[Entry] = []
    for name, path in visible_files(directory):
        if path.name == MANIFEST:
            raise PolyticketError(f"{MANIFEST} is a reserved name", where=path, expected="another file name")
        stat = file_stat(path)
        entries.append({"name": checked_name(name, where=str(directory)), "size": stat.size, "crc32c": stat.crc32c})
    if not entries:
        raise PolyticketError("the directory is empty", where=directory, expected="at least one file")
    return entries


def manifest_bytes(entries: list[Entry]) -> bytes:
    """The manifest of a directory: JSON with ``format`` and ``files``, the same bytes for the same files."""
    return (json.dumps({"format": FORMAT, "files": entries}, indent=2, ensure_ascii=False) + "\n").encode()


def manifest_digest(entries: list[Entry]) -> str:
    """The SHA-256 digest of a directory's manifest: of its files' names, sizes and checksums; 64 hexadecimal digits."""
    return hashlib.sha256(manifest_bytes(entries)).hexdigest()


def entries_of(files: Iterable[Mapping[str, Any]]) -> list[Entry]:
    """The entries in the JSON of a manifest or a receipt.

    Raises:
        KeyError, TypeError, ValueError: It is not of that form.
    """
    return [{"name": str(file["name"]), "size": int(file["size"]), "crc32c": str(file["crc32c"])} for file in files]


def parse_manifest(data: bytes, url: str) -> list[Entry]:
    """The files that a manifest names.

    Raises:
        PolyticketError: It is damaged, of another format, or names a file outside its directory.
    """
    with read_as("a manifest", url):
        value = parsed_json(data, url)
        form = value["format"]
        entries = entries_of(value["files"])
    if form != FORMAT:
        raise PolyticketError(f"manifest of format {form!r}", where=url, expected=str(FORMAT))
    for entry in entries:
        checked_name(entry["name"], where=url)
    return entries


def read_manifest(store: Store, prefix: str = "") -> list[Entry]:
    """The files of a complete directory, sorted by name.

    Raises:
        PolyticketError: There is no manifest, or it is of another format or damaged.
    """
    name = joined(prefix, MANIFEST)
    if store.stat(name) is None:
        raise PolyticketError(
            f"no {MANIFEST}", where=url_of(store, joined(prefix)), expected="a directory whose upload is complete"
        )
    return parse_manifest(store.read(name), url_of(store, name))


_REMEDY = "remove that receipt and rerun"

_Out = TypeVar("_Out")


class Receipt(TypedDict):
    """The result of an upload or download, as JSON: the same for the same directory and URL.

    Args:
        url: The directory's URL in the store.
        files: Its files, sorted by name; the manifest is not among them.
        total_bytes: The sum of their sizes.
        digest: The SHA-256 digest of the manifest.
    """

    url: str
    files: list[Entry]
    total_bytes: int
    digest: str


class StoredDirectory(NamedTuple):
    """A directory of a store as a receipt names it.

    Args:
        url: The directory's URL.
        digest: The SHA-256 digest of its manifest.
        receipt: The receipt that names it; for messages.
    """

    url: str
    digest: str
    receipt: str


def upload_directory(
    store: Store,
    local_directory: Pathlike,
    prefix: str = "",
    *,
    progress: Progress | None = None,
    workers: int = WORKERS,
) -> Receipt:
    """Make a directory of the store equal to a local one.

    The manifest of an older directory of that name is removed first and the new manifest is written last. So the
    directory is complete or invisible at every moment. Files that are in the store with the right size and checksum are
    not sent. After a kill, the same call sends the rest; for a finished directory it sends nothing.

    Of two uploads of different content into one directory at the same time, one at most succeeds, and what it has
    stored agrees with its manifest. A file is replaced only if nobody has changed it since this upload looked at it,
    the manifest is written only if there is none, and then all files are looked at again. An upload sends all its files
    before it writes its manifest, so none that succeeds changes the files of one that succeeds after it.

    Args:
        store: The store.
        local_directory: The directory to send. Empty directories in it are not kept; links are followed to files.
        prefix: The directory's name in the store; empty for the root of the store.
        progress: Counts the bytes of finished files; by default, a line in the log.
        workers: Files that are sent at a time.

    Raises:
        ConflictError: Another upload changes the directory at the same time.
        PolyticketError: The directory is missing, is empty, holds a ``manifest.json`` or changes during the upload; or
            the store fails.
    """
    entries = scan_directory(local_directory)
    receipt = _receipt(store, prefix, entries)
    manifest, data = joined(prefix, MANIFEST), manifest_bytes(entries)
    before = store.stat(manifest)
    found = list(each(lambda entry: store.stat(joined(prefix, entry["name"])), entries, workers))
    missing = [(entry, stat) for entry, stat in zip(entries, found, strict=True) if stat != _stat(entry)]
    if before == bytes_stat(data) and not missing:
        return receipt
    if before is not None:
        old = _read_if_there(store, manifest)
        store.delete(manifest, over=before.version)
        _delete_stale(store, prefix, old, {entry["name"] for entry in entries})
    progress = progress or Progress(f"upload {receipt['url']}", sum(e["size"] for e, _ in missing), "bytes")

    def send(task: tuple[Entry, Stat | None]) -> int:
        return _send(store, Path(local_directory), prefix, *task)

    for task in missing[:1]:  # alone, so that one of two uploads that begin at once stops before it has changed a file
        progress.add(send(task))
    for size in each(send, missing[1:], workers):
        progress.add(size)
    _finish(store, prefix, entries, workers)
    return receipt


def _send(store: Store, directory: Path, prefix: str, entry: Entry, before: Stat | None) -> int:
    """Send one file in place of what was found there, unless another writer was there first; its bytes."""
    path, name = directory / entry["name"], joined(prefix, entry["name"])
    try:
        sent = store.put(path, name, over=ABSENT if before is None else before.version)
    except ConflictError:
        if store.stat(name) != _stat(entry):
            raise
        sent = _stat(entry)  # another upload of the same file, or this one, whose answer was lost
    if sent != _stat(entry):
        raise _changed(store, path, name, entry)
    return entry["size"]


def _finish(store: Store, prefix: str, entries: list[Entry], workers: int) -> None:
    """Write the manifest if there is none, and remove it again if the files are others by then."""
    manifest, data = joined(prefix, MANIFEST), manifest_bytes(entries)
    try:
        written = store.write(manifest, data, over=ABSENT)
    except ConflictError:
        there = store.stat(manifest)
        if there is None or there != bytes_stat(data):
            raise
        written = there
    found = each(lambda entry: store.stat(joined(prefix, entry["name"])), entries, workers)
    for entry, stat in zip(entries, found, strict=True):
        if stat != _stat(entry):
            with suppress(ConflictError):
                store.delete(manifest, over=written.version)
            raise _overtaken(url_of(store, joined(prefix, entry["name"])))


def _changed(store: Store, path: Path, name: str, entry: Entry) -> PolyticketError:
    if file_stat(path) != _stat(entry):
        return PolyticketError("the file changed while it was sent", where=path)
    return _overtaken(url_of(store, name))


def _overtaken(url: str) -> ConflictError:
    return ConflictError("another upload changes the same directory", where=url, expected="one upload at a time")


def download_directory(
    store: Store,
    prefix: str,
    local_directory: Pathlike,
    *,
    entries: list[Entry] | None = None,
    progress: Progress | None = None,
    workers: int = WORKERS,
) -> Receipt:
    """Make a local directory equal to a complete directory of the store; it replaces an older one at the end.

    Args:
        store: The store.
        prefix: The directory's name in the store; empty for the root of the store.
        local_directory: The directory to make.
        entries: Its manifest, if it has been read before.
        progress: Counts the bytes of finished files; by default, a line in the log.
        workers: Files that are fetched at a time.

    Raises:
        PolyticketError: The directory has no manifest, or a file is missing or has another size or checksum.
    """
    entries = read_manifest(store, prefix) if entries is None else entries
    receipt = _receipt(store, prefix, entries)
    progress = progress or Progress(f"download {receipt['url']}", receipt["total_bytes"], "bytes")
    with written_beside(local_directory, folder=True) as place:

        def fetch(entry: Entry) -> int:
            name, path = joined(prefix, entry["name"]), place / entry["name"]
            for _ in range(RESENT):
                store.get(name, path)
                if file_stat(path) == _stat(entry) or store.stat(name) != _stat(entry):
                    break  # otherwise the store holds the right bytes
            _compare(file_stat(path), entry, url_of(store, name))
            return entry["size"]

        for size in each(fetch, entries, workers):
            progress.add(size)
    return receipt


def read_directory(
    store: Store, prefix: str, read: Callable[[Path], _Out], *, entries: list[Entry] | None = None
) -> _Out:
    """Download a complete directory to a temporary one, verify it, and return the result of `read` for it."""
    with scratch_folder() as scratch:
        directory = scratch / "directory"
        download_directory(store, prefix, directory, entries=entries)
        return read(directory)


def stored_directory(receipt: Pathlike) -> StoredDirectory:
    """The directory that a receipt on disk names, with the digest of its content when the receipt was written.

    Raises:
        PolyticketError: The file is not a receipt, or its digest is not that of the files that it lists.
    """
    found = read_json(receipt)
    try:
        url, computed = str(found["url"]), manifest_digest(entries_of(found["files"]))
        if found.get("digest", computed) != computed:  # receipts of older versions have none
            raise ValueError("its digest is not that of its files")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"not the receipt of a stored directory ({error})"
        raise PolyticketError(what, where=receipt, expected=_REMEDY) from None
    return StoredDirectory(url, computed, str(receipt))


def read_stored_directory(named: StoredDirectory, read: Callable[[Path], _Out]) -> _Out:
    """The result of `read` for the directory that a receipt names, downloaded and verified as by `read_directory`.

    Raises:
        PolyticketError: The directory is gone, or its content has changed since the receipt was written.
    """
    store, expected = open_store(named.url), f"what {named.receipt} names: {_REMEDY}"
    if store.stat(MANIFEST) is None:
        raise PolyticketError("no complete directory is there any more", where=named.url, expected=expected)
    entries = read_manifest(store)
    if manifest_digest(entries) != named.digest:
        raise PolyticketError("its content has changed", where=named.url, expected=expected)
    return read_directory(store, "", read, entries=entries)


def list_directories(store: Store, prefix: str = "") -> list[str]:
    """The sorted names of the complete directories at or below a prefix, at any depth.

    The name of a directory at the root of the store is the empty text.
    """
    start = f"{joined(prefix)}/" if joined(prefix) else ""
    return complete_directories(store.names(start))


def complete_directories(names: Iterable[str]) -> list[str]:
    """The sorted directories, among the names of a store's files, that have a manifest."""
    return sorted(name.rpartition("/")[0] for name in names if name.rpartition("/")[2] == MANIFEST)


def delete_directory(store: Store, prefix: str) -> None:
    """Remove a directory, complete or not: its manifest first, so that it is invisible before a file is missing.

    Raises:
        PolyticketError: The prefix is empty, or there are other complete directories below it. Nothing is removed then.
    """
    if not joined(prefix):
        raise PolyticketError("the root of the store is never deleted", where=store.url, expected="a directory in it")
    below = [name for name in list_directories(store, prefix) if name != joined(prefix)]
    if below:
        raise PolyticketError(f"holds another directory, {below[0]}", where=url_of(store, joined(prefix)))
    store.delete(joined(prefix, MANIFEST))
    for name in store.names(f"{joined(prefix)}/"):
        store.delete(name)


def _read_if_there(store: Store, name: str) -> bytes:
    """The bytes of a file; none if another writer has removed it meanwhile."""
    try:
        return store.read(name)
    except PolyticketError:
        if store.stat(name) is not None:
            raise
        return b""


def _delete_stale(store: Store, prefix: str, old: bytes, kept: set[str]) -> None:
    try:
        entries = parse_manifest(old, url_of(store, joined(prefix, MANIFEST)))
    except PolyticketError:
        return  # without a readable manifest the old files are not known
    for entry in entries:
        if entry["name"] not in kept:
            store.delete(joined(prefix, entry["name"]))


def _receipt(store: Store, prefix: str, entries: list[Entry]) -> Receipt:
    total = sum(entry["size"] for entry in entries)
    url = url_of(store, joined(prefix))
    return {"url": url, "files": entries, "total_bytes": total, "digest": manifest_digest(entries)}


def _stat(entry: Entry) -> Stat:
    return Stat(entry["size"], entry["crc32c"])


def _compare(found: Stat, entry: Entry, url: str) -> None:
    if found.size != entry["size"]:
        raise PolyticketError(f"{found.size} bytes", where=url, expected=f"{entry['size']}, as its manifest says")
    if found.crc32c != entry["crc32c"]:
        raise PolyticketError(
            f"crc32c {found.crc32c}",
            where=url,
            expected=f"{entry['crc32c']}, as its manifest says; the file is damaged",
        )


OWNER = ".store-owner"


def owner_of(results: Pathlike) -> str:
    """The name at stores of the run whose results are in a directory: 16 hexadecimal digits.

    The name is a digest of a random text, which is kept in the directory, and of the time at which the file system last
    changed the entry of that file. A copy has another such time. So a directory that is moved within its file system
    stays the same run, on every host, and a copy of it is another run.
    """
    path = Path(results) / OWNER
    if not path.is_file() or path.is_symlink() or path.stat().st_nlink > 1:  # a copy may also consist of links
        write_text(path, secrets.token_hex(16) + "\n")
    return digest([path.read_bytes().hex(), path.stat().st_ctime_ns])


def upload_owned(store: Store, local_directory: Pathlike, stem: str, owner: str) -> Receipt:
    """Upload a directory as `stem-<content>-<owner>`, then remove the run's earlier directories of that stem.

    Args:
        store: The store.
        local_directory: The directory to send.
        stem: The beginning of the directory's name in the store, for example `variants/small/initial`.
        owner: From `owner_of`.

    Raises:
        PolyticketError: As `upload_directory`.
    """
    name = f"{stem}-{manifest_digest(scan_directory(local_directory))[:16]}-{owner}"
    receipt = upload_directory(store, local_directory, name)
    delete_superseded(store, stem, owner, kept=name)
    return receipt


def delete_superseded(store: Store, stem: str, owner: str, *, kept: str) -> None:
    """Remove all directories `stem-<16 digits>-<owner>` but one, complete or not; their manifests go first."""
    own = re.compile(rf"{re.escape(joined(stem))}-[0-9a-f]{{16}}-{re.escape(owner)}/")
    names = [name for name in store.names(f"{joined(stem)}-") if own.match(name) and not name.startswith(f"{kept}/")]
    for name in sorted(names, key=lambda name: name.rpartition("/")[2] != MANIFEST):
        store.delete(name)
