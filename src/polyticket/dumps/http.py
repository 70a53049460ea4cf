"""One file over HTTP: a failed request is repeated after a growing pause, and a broken download is resumed."""

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar

import requests

from polyticket import __version__
from polyticket.core.errors import PolyticketError
from polyticket.core.files import read_json, write_json
from polyticket.core.logs import log

CHUNK = 64 * 1024
"""Bytes that are read at a time; a cut connection loses those of the current chunk."""
TEXT_LIMIT = 16 * 1024 * 1024
LONGEST_RETRY_AFTER = 3600.0

_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
_COMPRESSIONS = {"gzip", "x-gzip", "deflate", "br", "zstd"}
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Patience:
    """The limits of repeated tries.

    Attributes:
        tries: Failures in a row, without progress between them, after which a request is given up.
        pause: Seconds before the second try; they double with each further try. A longer ``Retry-After`` of the server
            is respected, up to an hour.
        longest: Most seconds between two tries.
        timeout: Seconds to connect, and seconds without a byte.
    """

    tries: int = 8
    pause: float = 1.0
    longest: float = 120.0
    timeout: tuple[float, float] = (10.0, 60.0)


PATIENT = Patience()


class InterruptedTryError(Exception):
    """A try that failed and may be repeated, after `after` seconds at least.

    Attributes:
        progress: Whether the try got further than all tries before it.
    """

    def __init__(self, reason: str, *, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after, self.progress = after, False


class MissingError(Exception):
    """The server has nothing at a URL."""


class StoppedError(Exception):
    """Another file has failed."""


class Partial:
    """A file that is still incomplete: ``<name>.part``, and ``<name>.part.json`` with its URL and version.

    The version is the server's ``ETag``, or else its ``Last-Modified``. A file without a version is never continued.

    Args:
        url: The URL of the file.
        final: The path of the complete file.
    """

    def __init__(self, url: str, final: Path) -> None:
        self.url, self.final = url, final
        self.path = final.with_name(f"{final.name}.part")
        self._note_path = final.with_name(f"{final.name}.part.json")

    def size(self) -> int:
        """The bytes on disk, of whatever version."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def usable(self) -> int:
        """The bytes on disk that a request can continue."""
        note, size = self._note(), self.size()
        if not note:
            return 0
        total = note["bytes"]
        return size if size == total or (note["version"] and (total is None or size < total)) else 0

    def is_whole(self) -> bool:
        """Whether all bytes are on disk."""
        note = self._note()
        return note is not None and self.path.is_file() and self.size() == note["bytes"]

    def request_headers(self) -> dict[str, str]:
        """The headers of a request for the rest of the file; none if there is nothing to continue."""
        note, size = self._note(), self.usable()
        return {"Range": f"bytes={size}-", "If-Range": note["version"]} if note and size else {}

    def is_continued_by(self, status: int, headers: Mapping[str, str]) -> bool:
        """Whether an answer to a request with `request_headers` is the rest of this file."""
        note, match = self._note(), _RANGE.fullmatch(headers.get("Content-Range", ""))
        if status != 206 or not note or not match or int(match[1]) != self.usable():
            return False
        return match[2] == "*" or note["bytes"] in (None, int(match[2]))

    def begin(self, headers: Mapping[str, str], total: int | None) -> None:
        """Start again with an answer that has the whole file, of `total` bytes if this is known."""
        self.discard()
        tag = headers.get("ETag", "")
        # Files of different bytes may have the same weak tag.
        version = headers.get("Last-Modified") if tag.startswith("W/") or not tag else tag
        self._write_note(version, total)

    def end(self) -> None:
        """Note that all bytes are on disk, for servers that do not send a length.

        Raises:
            ValueError: The number of bytes is not the one that the server sent.
        """
        note, size = self._note(), self.size()
        assert note is not None, self.path
        if note["bytes"] not in (None, size):
            raise ValueError(f"{size:,} of {note['bytes']:,} bytes came")
        self._write_note(note["version"], size)

    def discard(self) -> None:
        """Remove it: its bytes first, so that they are never taken for another version's."""
        self.path.unlink(missing_ok=True)
        self._note_path.unlink(missing_ok=True)

    def finish(self) -> None:
        """Move it to its final path, safely on disk."""
        with self.path.open("rb") as stream:
            os.fsync(stream.fileno())
        self.path.replace(self.final)
        self.discard()

    def _note(self) -> dict[str, Any] | None:
        try:
            note = read_json(self._note_path)
        except PolyticketError:
            return None
        is_own = isinstance(note, dict) and note.keys() == {"url", "version", "bytes"} and note["url"] == self.url
        return note if is_own else None

    def _write_note(self, version: str | None, total: int | None) -> None:
        write_json(self._note_path, {"url": self.url, "version": version, "bytes": total})


class Client:
    """Requests files from servers. Several threads may use it.

    Args:
        patience: The limits of repeated tries.
        contact: An e-mail address or URL for the ``User-Agent``; Wikimedia asks for it.

    Raises:
        PolyticketError: The contact cannot be part of a header.
    """

    def __init__(self, patience: Patience = PATIENT, contact: str | None = None) -> None:
        if contact is not None and not re.fullmatch(r"[!-'*-~]+", contact):
            raise PolyticketError(f"bad contact {contact!r}", expected="an e-mail address or URL")
        self.patience = patience
        self.stopped = threading.Event()
        agent = f"polyticket/{__version__}" + (f" ({contact})" if contact else "")
        self._session = requests.Session()
        # Bytes as they are: a server that compresses them on the way could not continue them.
        self._session.headers.update(
            {"User-Agent": f"{agent} python-requests/{requests.__version__}", "Accept-Encoding": "identity"}
        )

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def size(self, url: str) -> int | None:
        """The bytes of the file at a URL; None if the server does not send a length.

        Raises:
            MissingError: There is no file (404, 410).
            PolyticketError: The server refuses, or the tries are used up.
        """

        def attempt() -> int | None:
            with self._answer("HEAD", url) as response:
                return _length(response) if response.status_code == 200 else None

        return self._repeated(attempt, url)

    def text(self, url: str) -> str:
        """A small text file in UTF-8; raises as `size`, and if the file is longer than 16 MiB or not text."""

        def attempt() -> str:
            content = bytearray()
            with self._answer("GET", url) as response:
                for data in self._read(response):
                    content += data
                    if len(content) > TEXT_LIMIT:
                        raise PolyticketError("too long", where=url, expected=f"a text of at most {TEXT_LIMIT:,} bytes")
            return content.decode()

        try:
            return self._repeated(attempt, url)
        except UnicodeDecodeError:
            raise PolyticketError("not text", where=url, expected="UTF-8") from None

    def fill(self, partial: Partial, count_bytes: Callable[[int], Any]) -> None:
        """Bring a partial file to its full length. It is continued if the server still has the same version.

        Args:
            partial: The file; afterwards all its bytes are at its partial path.
            count_bytes: Called with the number of new bytes, and with minus the number of discarded bytes.

        Raises:
            MissingError: There is no file (404, 410).
            PolyticketError: The server refuses, the tries are used up, or the disk is full.
        """
        most = partial.size()

        def attempt() -> None:
            """Go on with the file, and tell whether it grew beyond all tries before."""
            nonlocal most
            try:
                self._continue(partial, count_bytes)
            except InterruptedTryError as error:
                # Bytes that came before are no progress: a server without ranges would be asked for ever.
                error.progress = partial.size() > most
                most = max(most, partial.size())
                raise
            except OSError as error:
                raise PolyticketError(f"cannot be written: {error.strerror}", where=partial.path) from None

        self._repeated(attempt, partial.url)

    def _continue(self, partial: Partial, count_bytes: Callable[[int], Any]) -> None:
        if partial.is_whole():
            return
        headers = partial.request_headers()
        with self._answer("GET", partial.url, headers) as response:
            if not (headers and partial.is_continued_by(response.status_code, response.headers)):
                count_bytes(-partial.size())
                partial.discard()
                if response.status_code != 200:
                    raise InterruptedTryError(f"an answer that does not fit: {response.status_code}")
                partial.begin(response.headers, _length(response))
            with partial.path.open("ab") as out:
                for data in self._read(response):
                    count_bytes(out.write(data))
        try:
            partial.end()
        except ValueError as error:
            raise InterruptedTryError(str(error)) from None

    def _repeated(self, attempt: Callable[[], _T], url: str) -> _T:
        """What `attempt` returns; it is repeated after an `InterruptedTryError`, and given up after enough of them."""
        failures = 0
        while True:
            try:
                return attempt()
            except InterruptedTryError as error:
                failures = 1 if error.progress else failures + 1
                if failures >= self.patience.tries:
                    raise PolyticketError(
                        f"given up after {failures} failures in a row: {error}",
                        where=url,
                        expected="a server that answers; the bytes on disk are kept, and the next run continues them",
                    ) from None
                pause = min(self.patience.longest, self.patience.pause * 2 ** (failures - 1))
                seconds = max(pause, min(error.after, LONGEST_RETRY_AFTER))
                log.warning("%s: %s; again in %.3g s", url, error, seconds)
            self.stopped.wait(seconds)

    def _read(self, response: requests.Response) -> Iterator[bytes]:
        try:
            for data in response.iter_content(CHUNK):
                if self.stopped.is_set():
                    raise StoppedError
                yield data
        except requests.RequestException as error:
            raise InterruptedTryError(_reason(error)) from None

    def _answer(self, method: str, url: str, headers: dict[str, str] | None = None) -> requests.Response:
        if self.stopped.is_set():
            raise StoppedError
        try:
            response = self._session.request(method, url, headers=headers, stream=True, timeout=self.patience.timeout)
        except requests.RequestException as error:
            if _is_transient(error):
                raise InterruptedTryError(_reason(error)) from None
            raise PolyticketError(f"cannot be fetched: {_reason(error)}", where=url) from None
        try:
            _check(response, url)
        except BaseException:
            response.close()
            raise
        return response


def _check(response: requests.Response, url: str) -> None:
    """Accept 200, and 206 and 416 as answers to a request with a range; raise for all others."""
    status, message = response.status_code, f"the server answers {response.status_code} {response.reason}"
    if status in (404, 410):
        raise MissingError(url)
    if status in _TRANSIENT:
        raise InterruptedTryError(message, after=_retry_after(response.headers.get("Retry-After", "")))
    if status not in (200, 206, 416) and not (response.request.method == "HEAD" and status in (405, 501)):
        hint = "; Wikimedia refuses requests without a contact" if status == 403 else ""
        raise PolyticketError(message + hint, where=url, expected="a public file")
    if response.headers.get("Content-Encoding", "").lower() in _COMPRESSIONS:
        raise PolyticketError("the server compresses the file on the way", where=url, expected="the file as it is")


def _length(response: requests.Response) -> int | None:
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isascii() and length.isdecimal() else None


def _retry_after(header: str) -> float:
    """The seconds of a ``Retry-After``, a number or a date; 0 for anything else."""
    if header.isascii() and header.isdecimal():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return 0.0


def _is_transient(error: requests.RequestException) -> bool:
    transient = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    return isinstance(error, transient) and "CERTIFICATE_VERIFY_FAILED" not in str(error)


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]}…"
