"""Downloads of a language's dumps: found by their published checksums, resumed, and checked."""

import fcntl
import hashlib
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.core.logs import Progress, log
from polyticket.dumps.http import PATIENT, Client, MissingError, Partial, Patience, StoppedError
from polyticket.dumps.sources import INDEX, check_once, is_glob, natural_order, sums_url_of, url_of

ALGORITHMS = {32: "md5", 40: "sha1", 64: "sha256"}
"""Digest by the number of its hexadecimal digits."""

_SUM = re.compile(r"([0-9A-Fa-f]{64}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{32}) [ *]?(\S.*)")


@dataclass
class DumpFile:
    """A file of a download: its URL, its path, its published digest and its size on the server."""

    url: str
    path: Path
    digest: str | None
    size: int | None = None

    @property
    def algorithm(self) -> str:
        """The name of the digest; SHA-256 if none is published."""
        return ALGORITHMS[len(self.digest)] if self.digest else "sha256"


def download_dumps(
    pattern: str,
    folder: Pathlike,
    *,
    lang: str,
    date: str | None = None,
    sums_url: str | None = None,
    require_sums: bool = True,
    connections: int = 2,
    contact: str | None = None,
    patience: Patience = PATIENT,
) -> dict[str, Any]:
    """Download the dumps of a language into a directory, and check them by the checksums that the server publishes.

    Files of an earlier run are kept: whole files with the right checksum are not fetched again, and partial files
    (``<name>.part``) are continued if the server still has the same version. A file with a wrong checksum is fetched
    a second time, from its first byte. Only whole and checked files have their final names.

    Args:
        pattern: See `url_of`. A glob is matched with the names in the file of checksums.
        folder: The directory of the files; it is made. One process at a time may download a language into it.
        lang: The language's code.
        date: The dump's date, if the pattern has one.
        sums_url: A URL pattern of the file of checksums: lines of an MD5, SHA-1 or SHA-256 digest and a name. None:
            the URL that Wikimedia uses, see `sums_url_of`.
        require_sums: Whether missing checksums are an error; else files are checked by length alone.
        connections: Files that are fetched at once. Wikimedia allows three connections per address.
        contact: An e-mail address or URL for the server's operators; part of the ``User-Agent``.
        patience: The limits of repeated tries.

    Returns:
        The receipt: ``lang``, ``date``, ``url`` (filled in), ``sums`` (URL or None), ``folder`` as given, and
        ``files`` in natural order, each with ``name``, ``url``, ``bytes`` and ``md5``, ``sha1`` or ``sha256``.

    Raises:
        PolyticketError: There is no such dump; the pattern matches no name, or the same articles twice; a checksum is
            missing, or wrong twice; the disk has too little space; the server refuses, or the tries are used up.
    """
    if connections < 1:
        raise PolyticketError(f"connections is {connections}", expected="1, 2 or 3")
    url = url_of(pattern, lang, date)
    sums = url_of(sums_url, lang, date) if sums_url else sums_url_of(pattern, lang, date)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder / f".{lang}.lock"), closing(Client(patience, contact)) as client:
        try:
            published = _published(client, url, sums, require_sums)
            files = _files(url, folder, sums, published)
            missing = [file for file in files if not _is_there(file, client)]
            _check_space(missing, folder)
            _fetch_all(missing, client, lang, connections)
        except MissingError as error:
            raise PolyticketError(
                f"no dump of {lang!r} at {error}",
                expected=f"a language and date whose dump is finished, see {INDEX}",
            ) from None
    receipt = {"lang": lang, "date": date, "url": url, "sums": None if published is None else sums}
    return receipt | {"folder": str(folder), "files": [_entry(file) for file in files]}


def _published(client: Client, url: str, sums: str | None, required: bool) -> dict[str, str] | None:
    """Digests by name; None if the server has none and none are required."""
    if sums:
        try:
            return parse_sums(client.text(sums), sums)
        except MissingError:
            if is_glob(url):
                raise
            client.size(url)  # raises if the dump itself is missing
    if required or is_glob(url):
        raise PolyticketError(
            f"no checksums at {sums}" if sums else "the URL of its checksums is not known",
            where=url,
            expected="the URL of a file of checksums" + ("" if is_glob(url) else ", or require_sums: false"),
        )
    log.warning("%s: no checksums are published; only its length is checked", url)
    return None


def parse_sums(text: str, where: str) -> dict[str, str]:
    """Digests (hexadecimal, lower case) by file name, from lines as ``sha1sum`` writes them.

    Raises:
        PolyticketError: A line is not a digest and a name, or a name has two digests.
    """
    digests: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        match = _SUM.fullmatch(line.rstrip())
        if not match and line.strip():
            raise PolyticketError(f"not a checksum: {line[:80]!r}", where=f"{where}:{number}", expected="digest  name")
        if match and digests.setdefault(match[2], match[1].lower()) != match[1].lower():
            raise PolyticketError(f"two digests of {match[2]!r}", where=f"{where}:{number}", expected="one")
    return digests


def _files(url: str, folder: Path, sums: str | None, published: dict[str, str] | None) -> list[DumpFile]:
    base, _, pattern = url.rpartition("/")
    if published is None:
        return [DumpFile(url, folder / pattern, None)]
    matches = fnmatchcase if is_glob(pattern) else str.__eq__
    names = natural_order(name for name in published if matches(name, pattern))
    if not names:
        similar = ", ".join(get_close_matches(pattern, published, 3, 0.0))
        raise PolyticketError(
            f"{pattern} matches none of {len(published)} names",
            where=sums,
            expected=f"such as {similar}" if similar else None,
        )
    check_once(names, where=url)
    for name in names:
        # Names come from the server: files must stay in the directory, and not collide with partial files.
        if re.search(r"[/\\\x00-\x1f\x7f]|^\.", name) or name.endswith((".part", ".part.json")):
            raise PolyticketError(f"refused file name {name!r}", where=sums, expected="a plain name")
    return [
        DumpFile(f"{base}/{quote(name) if is_glob(pattern) else name}", folder / name, published[name])
        for name in names
    ]


def _is_there(file: DumpFile, client: Client) -> bool:
    """Whether a file is complete already; gets the size of one that is not."""
    if file.digest and file.path.is_file():
        if _digest(file.path, file.algorithm) == file.digest:
            Partial(file.url, file.path).discard()
            return True
        log.warning("%s: differs from %s; fetched again", file.path, file.url)
    file.size = client.size(file.url)
    return file.digest is None and file.path.is_file() and file.path.stat().st_size == file.size


def _check_space(missing: list[DumpFile], folder: Path) -> None:
    needed = sum((file.size or 0) - Partial(file.url, file.path).size() for file in missing)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise PolyticketError(
            f"too little space: {needed:,} bytes are needed, {free:,} are free", where=folder, expected="a bigger disk"
        )


def _fetch_all(missing: list[DumpFile], client: Client, lang: str, connections: int) -> None:
    """Fetch files in parallel; the first failure stops all."""
    sizes = [file.size for file in missing]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    on_disk = sum(Partial(file.url, file.path).size() for file in missing)
    progress, lock = Progress(f"download {lang}", total, "bytes", start=on_disk), threading.Lock()

    def count_bytes(count: int) -> None:
        with lock:
            progress.add(count)

    def fetch(file: DumpFile) -> None:
        try:
            _fetch(file, client, count_bytes)
        except BaseException:
            client.stopped.set()
            raise

    with ThreadPoolExecutor(connections) as pool:
        futures = [pool.submit(fetch, file) for file in missing]
        try:
            wait(futures)
        except BaseException:
            client.stopped.set()
            raise
    errors = [error for error in (future.exception() for future in futures) if error]
    for error in sorted(errors, key=lambda error: isinstance(error, StoppedError)):
        raise error


def _fetch(file: DumpFile, client: Client, count_bytes: Callable[[int], None]) -> None:
    """Fetch a file and check it; fetch it once more from its first byte if the checksum is wrong."""
    partial_file = Partial(file.url, file.path)
    for last in (False, True):
        client.fill(partial_file, count_bytes)
        digest = _digest(partial_file.path, file.algorithm)
        if file.digest in (None, digest):
            partial_file.finish()
            return
        count_bytes(-partial_file.size())
        partial_file.discard()
        problem = f"{file.algorithm} {digest} of {file.url}"
        if last:
            raise PolyticketError(
                problem, where=file.path.name, expected=f"the published {file.digest}; it was wrong twice"
            )
        log.warning("%s: %s, %s is published; fetched again", file.path.name, problem, file.digest)


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, partial(hashlib.new, algorithm, usedforsecurity=False)).hexdigest()


def _entry(file: DumpFile) -> dict[str, Any]:
    digest = file.digest or _digest(file.path, file.algorithm)
    return {"name": file.path.name, "url": file.url, "bytes": file.path.stat().st_size, file.algorithm: digest}


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Lock out other processes."""
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PolyticketError("another process downloads into it", where=path.parent, expected="one") from None
        yield
