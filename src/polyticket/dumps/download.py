"""Dumps of one language from a server into a folder: found by their published checksums, continued, checked."""

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
class Wanted:
    """A file to have: its URL, its place, its published digest and how many bytes it is said to have."""

    url: str
    path: Path
    digest: str | None
    size: int | None = None

    @property
    def algorithm(self) -> str:
        """The name of the digest, SHA-256 if none is published."""
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
    """Have the dumps of a language in a folder, each whole and with the checksum that the server publishes.

    What an earlier run has brought is kept: whole files with the right checksum are not fetched again, and partial
    ones (``<name>.part``) are continued as long as the server has the same version. A file whose checksum is wrong
    is fetched a second time, from its first byte. Nothing but whole and checked files has a final name.

    Args:
        pattern: See `url_of`. A glob is matched against the names in the file of checksums.
        folder: Where the files are to be; it is made, and one process at a time may fetch a language into it.
        lang: The language's code.
        date: The dump's date, if the pattern has one.
        sums_url: A URL pattern of the file of checksums: lines of an MD5, SHA-1 or SHA-256 digest and a name. None
            takes the place where Wikimedia has it, see `sums_url_of`.
        require_sums: Whether a server without checksums is an error; else its files are checked by length alone.
        connections: How many files are fetched at once. Wikimedia allows three for an address in all.
        contact: An e-mail address or URL at which the server's keepers find you; part of the ``User-Agent``.
        patience: How long the server is waited for.

    Returns:
        The receipt: ``lang``, ``date``, ``url`` (filled in), ``sums`` (URL or None), ``folder`` as given, and
        ``files`` in natural order, each with ``name``, ``url``, ``bytes`` and ``md5``, ``sha1`` or ``sha256``.

    Raises:
        PolyticketError: There is no such dump; the pattern matches no name, or articles twice; a checksum is wrong
            twice or missing; the disk has too little space; the server refuses or cannot be reached with patience.
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
            wanted = _wanted(url, folder, sums, published)
            missing = [one for one in wanted if not _is_there(one, client)]
            _check_space(missing, folder)
            _fetch_all(missing, client, lang, connections)
        except MissingError as error:
            raise PolyticketError(
                f"no dump of {lang!r} at {error}",
                expected=f"a language and date whose dump is finished, see {INDEX}",
            ) from None
    known = {"lang": lang, "date": date, "url": url, "sums": None if published is None else sums}
    return known | {"folder": str(folder), "files": [_entry(one) for one in wanted]}


def _published(client: Client, url: str, sums: str | None, required: bool) -> dict[str, str] | None:
    """Digests by name; None if the server has no sums and can do without."""
    if sums:
        try:
            return parse_sums(client.text(sums), sums)
        except MissingError:
            if is_glob(url):
                raise
            client.size(url)  # which says whether the dump itself is missing
    if required or is_glob(url):
        raise PolyticketError(
            f"no checksums at {sums}" if sums else "where its checksums are is not known",
            where=url,
            expected="the URL of a file of checksums" + ("" if is_glob(url) else ", or that none are required"),
        )
    log.warning("%s: no checksums are published; only its length is checked", url)
    return None


def parse_sums(text: str, where: str) -> dict[str, str]:
    """Digests (hexadecimal, small letters) by file name, from lines as ``sha1sum`` writes them.

    Raises:
        PolyticketError: A line is none of a digest and a name, or a name has two digests.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        match = _SUM.fullmatch(line.rstrip())
        if not match and line.strip():
            raise PolyticketError(f"not a checksum: {line[:80]!r}", where=f"{where}:{number}", expected="digest  name")
        if match and found.setdefault(match[2], match[1].lower()) != match[1].lower():
            raise PolyticketError(f"two digests of {match[2]!r}", where=f"{where}:{number}", expected="one")
    return found


def _wanted(url: str, folder: Path, sums: str | None, published: dict[str, str] | None) -> list[Wanted]:
    base, _, pattern = url.rpartition("/")
    if published is None:
        return [Wanted(url, folder / pattern, None)]
    fits = fnmatchcase if is_glob(pattern) else str.__eq__
    names = natural_order(name for name in published if fits(name, pattern))
    if not names:
        near = ", ".join(get_close_matches(pattern, published, 3, 0.0))
        raise PolyticketError(
            f"{pattern} is none of {len(published)} names", where=sums, expected=f"such as {near}" if near else None
        )
    check_once(names, where=url)
    for name in names:
        # Names are a stranger's: they must stay in the folder, and out of the way of partial files.
        if re.search(r"[/\\\x00-\x1f\x7f]|^\.", name) or name.endswith((".part", ".part.json")):
            raise PolyticketError(f"refused file name {name!r}", where=sums, expected="a plain name")
    return [
        Wanted(f"{base}/{quote(name) if is_glob(pattern) else name}", folder / name, published[name]) for name in names
    ]


def _is_there(one: Wanted, client: Client) -> bool:
    """Whether a file is there already; asks for the length of one that isn't."""
    if one.digest and one.path.is_file():
        if _digest(one.path, one.algorithm) == one.digest:
            Partial(one.url, one.path).discard()
            return True
        log.warning("%s: not what %s has now; fetched again", one.path, one.url)
    one.size = client.size(one.url)
    return one.digest is None and one.path.is_file() and one.path.stat().st_size == one.size


def _check_space(missing: list[Wanted], folder: Path) -> None:
    needed = sum((one.size or 0) - Partial(one.url, one.path).size() for one in missing)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise PolyticketError(
            f"too little space: {needed:,} bytes are to come, {free:,} are free", where=folder, expected="a bigger disk"
        )


def _fetch_all(missing: list[Wanted], client: Client, lang: str, connections: int) -> None:
    """Fetch files beside each other; the first that fails stops the others."""
    sizes = [one.size for one in missing]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    held = sum(Partial(one.url, one.path).size() for one in missing)
    progress, lock = Progress(f"download {lang}", total, "bytes", start=held), threading.Lock()

    def told(count: int) -> None:
        with lock:
            progress.add(count)

    def fetch(one: Wanted) -> None:
        try:
            _fetch(one, client, told)
        except BaseException:
            client.stopped.set()
            raise

    with ThreadPoolExecutor(connections) as pool:
        futures = [pool.submit(fetch, one) for one in missing]
        try:
            wait(futures)
        except BaseException:
            client.stopped.set()
            raise
    errors = [error for error in (future.exception() for future in futures) if error]
    for error in sorted(errors, key=lambda error: isinstance(error, StoppedError)):
        raise error


def _fetch(one: Wanted, client: Client, told: Callable[[int], None]) -> None:
    """Fetch a file and check it; once more from its first byte if it is not what is published."""
    coming = Partial(one.url, one.path)
    for last in (False, True):
        client.fill(coming, told)
        found = _digest(coming.path, one.algorithm)
        if one.digest in (None, found):
            coming.finish()
            return
        told(-coming.size())
        coming.discard()
        what = f"{one.algorithm} {found} of what came from {one.url}"
        if last:
            raise PolyticketError(what, where=one.path.name, expected=f"the published {one.digest}; twice it was wrong")
        log.warning("%s: %s, %s is published; fetched again", one.path.name, what, one.digest)


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, partial(hashlib.new, algorithm, usedforsecurity=False)).hexdigest()


def _entry(one: Wanted) -> dict[str, Any]:
    digest = one.digest or _digest(one.path, one.algorithm)
    return {"name": one.path.name, "url": one.url, "bytes": one.path.stat().st_size, one.algorithm: digest}


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other processes from the same files."""
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PolyticketError("another process fetches into it", where=path.parent, expected="one") from None
        yield
