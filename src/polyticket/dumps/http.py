"""Trying again: growing pauses, and failures are counted since it last got further."""

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
from tenacity import RetryCallState, Retrying, retry_if_exception

from polyticket import __version__
from polyticket.core.errors import PolyticketError
from polyticket.core.files import read_json, write_json
from polyticket.core.logs import log

LONGEST_ASKED = 3600.0

_T = TypeVar("_T")


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for.

    Attributes:
        tries: Failures in a row, without getting further between them, after which a request is given up.
        pause: Seconds before the second try; they double with every further one. A server's ``Retry-After`` is
            waited for if it is longer, up to an hour.
        longest: The most seconds between two tries.
        timeout: Seconds to connect, and seconds without a byte.
    """

    tries: int = 8
    pause: float = 1.0
    longest: float = 120.0
    timeout: tuple[float, float] = (10.0, 60.0)


PATIENT = Patience()


class InterruptedTryError(Exception):
    """What is worth another try, after so many seconds at least; `gained` says whether it got further than ever."""

    def __init__(self, why: str, *, after: float = 0.0) -> None:
        super().__init__(why)
        self.after, self.gained = after, False


def patiently(work: Callable[[], _T], url: str, patience: Patience, sleep: Callable[[float], object]) -> _T:
    """Do something until it is done.

    Args:
        work: What is done; raises `InterruptedTryError` if it is to be tried again.
        url: What messages name.
        patience: How often, and how long the pauses are.
        sleep: Waits for a number of seconds.

    Returns:
        What `work` returns.

    Raises:
        PolyticketError: It is given up.
    """
    row = _Row(patience, url)

    def pause(seconds: float) -> None:
        sleep(seconds)

    tries = Retrying(retry=retry_if_exception(row.goes_on), wait=row.wait, stop=row.stop, sleep=pause, reraise=True)
    try:
        return tries(work)
    except InterruptedTryError as error:
        raise PolyticketError(
            f"given up after {row.failures} failures in a row: {error}",
            where=url,
            expected="a server that answers; what has come is kept, and the next run goes on from there",
        ) from None


class _Row:
    """Counts failures in a row, and says how long to wait and when to give up."""

    def __init__(self, patience: Patience, url: str) -> None:
        self.patience, self.url, self.failures = patience, url, 0

    def goes_on(self, error: BaseException) -> bool:
        if not isinstance(error, InterruptedTryError):
            return False
        self.failures = 1 if error.gained else self.failures + 1
        return True

    def wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.after if isinstance(error, InterruptedTryError) else 0.0
        pause = min(self.patience.longest, self.patience.pause * 2 ** (self.failures - 1))
        seconds = max(pause, min(asked, LONGEST_ASKED))
        if not self.stop(state):
            log.warning("%s: %s; again in %.3g s", self.url, error, seconds)
        return seconds

    def stop(self, _state: RetryCallState) -> bool:
        return self.failures >= self.patience.tries


_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class Partial:
    """``<name>.part``, beside it ``<name>.part.json`` with where it is from and which version of it the server had.

    The version is the server's ``ETag``, or else its ``Last-Modified``. A partial file without one is never continued.

    Args:
        url: Where the file is from.
        final: Where it is to stand once it is whole.
    """

    def __init__(self, url: str, final: Path) -> None:
        self.url, self.final = url, final
        self.path = final.with_name(f"{final.name}.part")
        self._note_path = final.with_name(f"{final.name}.part.json")

    def size(self) -> int:
        """How many bytes are on the disk, of whatever version."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def held(self) -> int:
        """How many bytes are there to go on from."""
        note, have = self._note(), self.size()
        if not note:
            return 0
        total = note["bytes"]
        return have if have == total or (note["version"] and (total is None or have < total)) else 0

    def is_whole(self) -> bool:
        """Whether all bytes are there."""
        note = self._note()
        return note is not None and self.path.is_file() and self.size() == note["bytes"]

    def asks(self) -> dict[str, str]:
        """The headers that ask for the rest; none if there is nothing to go on from."""
        note, have = self._note(), self.held()
        return {"Range": f"bytes={have}-", "If-Range": note["version"]} if note and have else {}

    def goes_on(self, status: int, headers: Mapping[str, str]) -> bool:
        """Whether an answer to `asks` is the rest of this file."""
        note, found = self._note(), _RANGE.fullmatch(headers.get("Content-Range", ""))
        if status != 206 or not note or not found or int(found[1]) != self.held():
            return False
        return found[2] == "*" or note["bytes"] in (None, int(found[2]))

    def begin(self, headers: Mapping[str, str], total: int | None) -> None:
        """Start anew with the headers of an answer that has the whole file, of `total` bytes if that is known."""
        self.discard()
        tag = headers.get("ETag", "")
        # A weak tag calls different bytes the same.
        version = headers.get("Last-Modified") if tag.startswith("W/") or not tag else tag
        self._write_note(version, total)

    def end(self) -> None:
        """Note that all bytes have come, for servers that did not say how many there would be.

        Raises:
            ValueError: There are fewer or more than the server said.
        """
        note, have = self._note(), self.size()
        assert note is not None, self.path
        if note["bytes"] not in (None, have):
            raise ValueError(f"{have:,} of {note['bytes']:,} bytes came")
        self._write_note(note["version"], have)

    def discard(self) -> None:
        """Remove it; its bytes first, so that none is ever taken for those of another version."""
        self.path.unlink(missing_ok=True)
        self._note_path.unlink(missing_ok=True)

    def finish(self) -> None:
        """Put it in its final place, safely on the disk."""
        with self.path.open("rb") as stream:
            os.fsync(stream.fileno())
        self.path.replace(self.final)
        self.discard()

    def _note(self) -> dict[str, Any] | None:
        try:
            note = read_json(self._note_path)
        except PolyticketError:
            return None
        known = isinstance(note, dict) and note.keys() == {"url", "version", "bytes"} and note["url"] == self.url
        return note if known else None

    def _write_note(self, version: str | None, total: int | None) -> None:
        write_json(self._note_path, {"url": self.url, "version": version, "bytes": total})


# A cut connection loses what has come of the current piece.
CHUNK = 64 * 1024
TEXT_LIMIT = 16 * 1024 * 1024

_PASSING = {408, 425, 429, 500, 502, 503, 504}
_PACKINGS = {"gzip", "x-gzip", "deflate", "br", "zstd"}


class MissingError(Exception):
    """The server has nothing at a URL."""


class StoppedError(Exception):
    """Another file has failed."""


class Client:
    """What asks servers for files. It may be used by several threads.

    Args:
        patience: How long a server is waited for.
        contact: An e-mail address or URL for the ``User-Agent``, where Wikimedia wants to find whom to write to.

    Raises:
        PolyticketError: The contact cannot stand in a header.
    """

    def __init__(self, patience: Patience = PATIENT, contact: str | None = None) -> None:
        if contact is not None and not re.fullmatch(r"[!-'*-~]+", contact):
            raise PolyticketError(f"bad contact {contact!r}", expected="an e-mail address or URL")
        self.patience = patience
        self.stopped = threading.Event()
        who = f"polyticket/{__version__}" + (f" ({contact})" if contact else "")
        self._session = requests.Session()
        # Bytes as they are: a server that packs them anew could not continue them.
        self._session.headers.update(
            {"User-Agent": f"{who} python-requests/{requests.__version__}", "Accept-Encoding": "identity"}
        )

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def size(self, url: str) -> int | None:
        """The bytes of what is at a URL; None if the server doesn't say.

        Raises:
            MissingError: There is nothing (404, 410).
            PolyticketError: The server refuses, or cannot be reached with patience.
        """

        def ask() -> int | None:
            with self._answer("HEAD", url) as response:
                return _length(response) if response.status_code == 200 else None

        return patiently(ask, url, self.patience, self.stopped.wait)

    def text(self, url: str) -> str:
        """A small text file, UTF-8; raises as `size`, and if it is longer than 16 MiB or not text."""

        def ask() -> str:
            got = bytearray()
            with self._answer("GET", url) as response:
                for data in self._read(response):
                    got += data
                    if len(got) > TEXT_LIMIT:
                        raise PolyticketError("too long", where=url, expected=f"a text of at most {TEXT_LIMIT:,} bytes")
            return got.decode()

        try:
            return patiently(ask, url, self.patience, self.stopped.wait)
        except UnicodeDecodeError:
            raise PolyticketError("not text", where=url, expected="UTF-8") from None

    def fill(self, partial: Partial, told: Callable[[int], Any]) -> None:
        """Bring a partial file to its full length; it is continued if the server still has the same version.

        Args:
            partial: The file; it is whole afterwards, and still in its partial place.
            told: Called with the bytes that came, and with minus the bytes that were thrown away.

        Raises:
            MissingError: There is nothing (404, 410).
            PolyticketError: The server refuses or cannot be reached with patience, or the disk is full.
        """
        best = partial.size()

        def attempt() -> None:
            """Fetch what is missing; an interruption after progress counts anew."""
            nonlocal best
            try:
                self._go_on(partial, told)
            except InterruptedTryError as error:
                # Bytes that came again are no progress: a server without ranges would be asked for ever.
                error.gained = partial.size() > best
                best = max(best, partial.size())
                raise
            except OSError as error:
                raise PolyticketError(f"cannot be written: {error.strerror}", where=partial.path) from None

        patiently(attempt, partial.url, self.patience, self.stopped.wait)

    def _go_on(self, partial: Partial, told: Callable[[int], Any]) -> None:
        if partial.is_whole():
            return
        asked = partial.asks()
        with self._answer("GET", partial.url, asked) as response:
            if not (asked and partial.goes_on(response.status_code, response.headers)):
                told(-partial.size())
                partial.discard()
                if response.status_code != 200:
                    raise InterruptedTryError(f"an answer that does not fit: {response.status_code}")
                partial.begin(response.headers, _length(response))
            with partial.path.open("ab") as out:
                for data in self._read(response):
                    told(out.write(data))
        try:
            partial.end()
        except ValueError as error:
            raise InterruptedTryError(str(error)) from None

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
            if _may_pass(error):
                raise InterruptedTryError(_reason(error)) from None
            raise PolyticketError(f"cannot be fetched: {_reason(error)}", where=url) from None
        try:
            _check(response, url)
        except BaseException:
            response.close()
            raise
        return response


def _check(response: requests.Response, url: str) -> None:
    """Let pass what is an answer: 200, and 206 and 416 to who asks for ranges."""
    status, said = response.status_code, f"the server answers {response.status_code} {response.reason}"
    if status in (404, 410):
        raise MissingError(url)
    if status in _PASSING:
        raise InterruptedTryError(said, after=_retry_after(response.headers.get("Retry-After", "")))
    if status not in (200, 206, 416) and not (response.request.method == "HEAD" and status in (405, 501)):
        hint = "; Wikimedia refuses who names no contact" if status == 403 else ""
        raise PolyticketError(said + hint, where=url, expected="a file that anybody may fetch")
    if response.headers.get("Content-Encoding", "").lower() in _PACKINGS:
        raise PolyticketError("the server packs the file anew", where=url, expected="the file as it is")


def _length(response: requests.Response) -> int | None:
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isascii() and length.isdecimal() else None


def _retry_after(said: str) -> float:
    """The seconds that a server asks for, as a number or as a date; 0 if it doesn't."""
    if said.isascii() and said.isdecimal():
        return float(said)
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except ValueError:
        return 0.0


def _may_pass(error: requests.RequestException) -> bool:
    passing = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    return isinstance(error, passing) and "CERTIFICATE_VERIFY_FAILED" not in str(error)


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]}…"
