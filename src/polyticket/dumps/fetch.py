"""One file over HTTP: tried again with growing pauses, and continued where it was cut."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from polyticket import __version__
from polyticket.core.errors import PolyticketError
from polyticket.dumps.partial import Partial
from polyticket.dumps.patience import PATIENT, InterruptedTryError, Patience, patiently

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
