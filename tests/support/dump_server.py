"""A real HTTP server on loopback that serves bytes, with ranges, and fails as it is told to."""

import hashlib
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DATE = "Sat, 01 Nov 2025 03:04:05 GMT"


@dataclass
class Fault:
    """What happens to one GET instead of the plain answer."""

    status: int | None = None  # an answer without the file
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None  # the connection ends after so many bytes of the body
    body: bytes | None = None  # other bytes in the file's place
    hang: threading.Event | None = None  # what is waited for where the connection would be cut
    first: Callable[[], object] | None = None  # done before the answer
    then: Callable[[], object] | None = None  # done after it


@dataclass
class Asked:
    """A request, and the bytes of body that were sent for it."""

    method: str
    path: str
    range: str | None
    agent: str
    sent: int = 0


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Clients that are killed or stop are no news."""


class DumpServer:
    """Serves `files` (path to bytes); `faults` (path to a list) are used up one a GET.

    With `tags` and `dates`, answers have ETag and Last-Modified; with `ranges`, they may be of a part.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.faults: defaultdict[str, list[Fault]] = defaultdict(list)
        self.tags, self.dates, self.ranges, self.claimed = True, True, True, {}
        self.asked: list[Asked] = []
        self.busy, self.busiest, self.slow = 0, 0, 0.0
        self.lock = threading.Lock()

    def __enter__(self) -> "DumpServer":
        handler = type("Handler", (_Handler,), {"house": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def gets(self, path: str) -> list[tuple[str | None, int]]:
        """Range and bytes sent of each GET of a path."""
        return [(one.range, one.sent) for one in self.asked if one.method == "GET" and one.path == path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    house: DumpServer

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._asked()
        if self.path not in self.house.files:
            self._head(404, {"Content-Length": "0"})
        else:
            self._head(200, self._versions() | {"Content-Length": str(self._length())})

    def do_GET(self) -> None:
        asked = self._asked()
        faults = self.house.faults[self.path]
        fault = faults.pop(0) if faults else Fault()
        with self.house.lock:
            self.house.busy += 1
            self.house.busiest = max(self.house.busy, self.house.busiest)
        try:
            time.sleep(self.house.slow)
            if fault.first:
                fault.first()
            self._get(asked, fault)
        finally:
            with self.house.lock:
                self.house.busy -= 1
            if fault.then:
                fault.then()

    def _get(self, asked: Asked, fault: Fault) -> None:
        if fault.status or self.path not in self.house.files:
            self._head(fault.status or 404, {"Content-Length": "0"} | fault.headers)
            return
        body, status, headers = self.house.files[self.path] if fault.body is None else fault.body, 200, {}
        start = self._start()
        if start is not None and start >= len(body):
            self._head(416, {"Content-Length": "0", "Content-Range": f"bytes */{len(body)}"})
            return
        if start is not None:
            status, headers = 206, {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}
            body = body[start:]
        length = self._length() if status == 200 and fault.body is None else len(body)
        self._head(status, self._versions() | headers | {"Content-Length": str(length)} | fault.headers)
        self._send(asked, body[: fault.cut])
        if fault.hang:
            fault.hang.wait(30)
        if fault.cut is not None or length != len(body):
            self.close_connection = True

    def _send(self, asked: Asked, body: bytes) -> None:
        asked.sent = len(body)  # before the client can go on
        try:
            self.wfile.write(body)
        except OSError:  # the client is gone
            self.close_connection = True

    def _asked(self) -> Asked:
        asked = Asked(self.command, self.path, self.headers["Range"], self.headers["User-Agent"])
        self.house.asked.append(asked)
        return asked

    def _start(self) -> int | None:
        """Where the answer begins; None for the whole file."""
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if not found or not self.house.ranges or self.headers["If-Range"] not in self._versions().values():
            return None
        return int(found[1])

    def _length(self) -> int:
        return self.house.claimed.get(self.path, len(self.house.files[self.path]))

    def _versions(self) -> dict[str, str]:
        tag = hashlib.md5(self.house.files[self.path]).hexdigest()
        return ({"ETag": f'"{tag}"'} if self.house.tags else {}) | ({"Last-Modified": DATE} if self.house.dates else {})

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
