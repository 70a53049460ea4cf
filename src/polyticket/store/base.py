"""The interface of a store of checkpoints, opened by URL."""

import base64
import re
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Protocol

import google_crc32c

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike

URL_FORMS = (
    "gs://bucket/prefix, s3://bucket/prefix, file:///absolute/path, file://relative/path, file://~/path, "
    "or a plain path"
)
DEADLINE = 120.0

_BLOCK = 4 * 1024 * 1024
_SCHEMES = {"file": "polyticket.store.local", "gs": "polyticket.store.gcs", "s3": "polyticket.store.s3"}


ABSENT = "absent"
"""The version of a name that no file has."""


class ConflictError(PolyticketError):
    """A file was not the version that it was to be: another writer has changed it."""


@dataclass(frozen=True)
class Stat:
    """What is known of a stored file. Two are equal if the bytes are.

    Args:
        size: Its length in bytes.
        crc32c: Its CRC-32C (Castagnoli), four bytes, most significant first, in base64: the form that Google Cloud
            Storage reports.
        version: A text that changes when other bytes are written; empty for a file that is in no store.
    """

    size: int
    crc32c: str
    version: str = field(default="", compare=False)


class Store(Protocol):
    """Named files. A name is relative to the store's URL, with ``/`` between its parts.

    A file is complete or absent: `put` and `write` show nothing until all of it has arrived. What arrives, either way,
    is compared with its checksum. Every method raises `PolyticketError`, with the URL, if the store cannot be reached
    or refuses; what is tried again is bounded in number and time. Threads may share a store.

    The argument `over` is the version that a file must have to be replaced or removed: that of a `Stat`, `ABSENT` if
    there must be none, None for any. `ConflictError` is raised if it has another.
    """

    url: str

    def names(self, prefix: str = "") -> list[str]:
        """The names that begin with a text, sorted by code point."""
        ...

    def stat(self, name: str) -> Stat | None:
        """Size, checksum and version as the store holds them now, or None if there is no such file."""
        ...

    def put(self, local_path: Pathlike, name: str, *, over: str | None = None) -> Stat:
        """Store a local file, in place of what had the name; gives what the store now holds."""
        ...

    def get(self, name: str, local_path: Pathlike) -> None:
        """Write a stored file to a local path, complete or absent."""
        ...

    def read(self, name: str) -> bytes:
        """The bytes of a small stored file."""
        ...

    def write(self, name: str, data: bytes, *, over: str | None = None) -> Stat:
        """Store bytes, in place of what had the name; gives what the store now holds."""
        ...

    def delete(self, name: str, *, over: str | None = None) -> None:
        """Remove a file; nothing happens if there is none."""
        ...


def open_store(url: str, *, deadline: float = DEADLINE) -> Store:
    """Open a store.

    Args:
        url: One of the `URL_FORMS`. A relative path is relative to the working directory; ``~`` is the home
            directory.
        deadline: Seconds for which a failing request to a remote store is retried.

    Raises:
        PolyticketError: The URL is none of the forms, or the bucket is missing, refused or out of reach.
    """
    scheme, colon, rest = url.partition("://")
    if not colon:
        if not url or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", url):
            raise PolyticketError("not the URL of a store", where=repr(url), expected=URL_FORMS)
        scheme, rest = "file", url
    if "@" in rest.partition("/")[0] and scheme != "file":  # not repeated: it may be a password
        raise PolyticketError("a user or a password in the URL of a store", where=f"{scheme}://…", expected=URL_FORMS)
    if scheme not in _SCHEMES:
        raise PolyticketError(f"unknown scheme {scheme!r}", where=repr(url), expected=URL_FORMS)
    return import_module(_SCHEMES[scheme]).open_rest(rest, deadline=deadline)


def bucket_and_prefix(scheme: str, rest: str, allowed: str) -> tuple[str, str]:
    """The bucket and the prefix, without slashes at its ends, of a URL of a store.

    Args:
        scheme: What stands before the URL's slashes.
        rest: What follows them.
        allowed: A pattern of bucket names.

    Raises:
        PolyticketError: There is no bucket, or not one of such a name; or the prefix is no file's name.
    """
    bucket, _, prefix = rest.partition("/")
    prefix = prefix.strip("/")
    if not re.fullmatch(allowed, bucket):
        what = f"bad bucket name {bucket!r}" if bucket else "no bucket is named"
        raise PolyticketError(what, where=repr(f"{scheme}://{rest}"), expected=URL_FORMS)
    if prefix:
        checked_name(prefix, where=f"{scheme}://{rest}")
    return bucket, prefix


def checked_name(name: str, *, where: str) -> str:
    """The same name, if it stays below its store: no empty part, no ``.`` or ``..``, no control character.

    Raises:
        PolyticketError: It does not.
    """
    if any(part in ("", ".", "..") for part in name.split("/")) or not name.isprintable() or "\\" in name:
        raise PolyticketError(
            f"bad file name {name!r}", where=where, expected="parts between single slashes, none of them '.' or '..'"
        )
    return name


def joined(*parts: str) -> str:
    """Join names and prefixes with ``/``; empty ones are left out, slashes at their ends too."""
    return "/".join(part.strip("/") for part in parts if part.strip("/"))


def url_of(store: Store, name: str) -> str:
    """The URL of a name in a store."""
    return f"{store.url.rstrip('/')}/{name}" if name else store.url


def crc32c_text(checksum: google_crc32c.Checksum) -> str:
    """A checksum as `Stat` holds it."""
    return base64.b64encode(checksum.digest()).decode("ascii")


def bytes_stat(data: bytes) -> Stat:
    """Size and checksum of bytes."""
    return Stat(len(data), crc32c_text(google_crc32c.Checksum(data)))


def file_stat(path: Pathlike) -> Stat:
    """Size and checksum of a local file, read in blocks of 4 MiB."""
    checksum = google_crc32c.Checksum()
    size = 0
    with Path(path).open("rb") as stream:
        while block := stream.read(_BLOCK):
            checksum.update(block)
            size += len(block)
    return Stat(size, crc32c_text(checksum))
