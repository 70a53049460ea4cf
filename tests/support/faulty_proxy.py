"""An HTTP proxy on loopback, in front of the server of a store, that damages requests and answers as it is told.

As a program it serves until it is ended: ``python -m tests.support.faulty_proxy http://127.0.0.1:9023 --kind cut``.
"""

import argparse
import http.client
import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

KINDS = {
    "status": "the request is not passed on; the answer is an error status",
    "lost": "the request is passed on; the answer is an error status",
    "cut": "the connection ends after a share of the answer",
    "truncated": "the answer is a share of itself, and its length says so",
    "flipped": "a bit of the answer is another",
    "stalled": "after a share of the answer nothing comes any more",
    "unanswered": "the request is passed on; no answer comes",
    "cut upload": "the connection ends after a share of the request, which is not passed on",
    "flipped upload": "a bit of the request is another",
}
SECRET = b'{"error": {"message": "secret-token"}}'


class Fault(NamedTuple):
    """What happens to one request: one of `KINDS`, at a share of the body, with a status and what the service says."""

    kind: str
    share: float = 0.5
    status: int = 503
    said: bytes = SECRET


def refused(status: int, said: bytes | dict = SECRET) -> Fault:
    """An error status in place of the server's answer; a dictionary is the `error` of its JSON."""
    return Fault("status", 0.0, status, said if isinstance(said, bytes) else json.dumps({"error": said}).encode())


Plan = Callable[[str, str], Fault | None]
"""The fault for the method and path of a request, or None. It is asked by several threads."""


class FaultyProxy(ThreadingHTTPServer):
    """The proxy. `injected` counts the faults by kind, `requests` all requests."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, plan: Plan, target: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.plan, self.target = plan, target
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.injected: Counter[str] = Counter()
        self.requests = 0
        self.ended = threading.Event()
        self._lock = threading.Lock()

    def fault_for(self, method: str, path: str) -> Fault | None:
        with self._lock:
            self.requests += 1
            fault = self.plan(method, path)
            if fault:
                self.injected[fault.kind] += 1
            return fault

    def handle_error(self, *_: object) -> None:
        """Clients that give up are expected."""


class Handler(BaseHTTPRequestHandler):
    server: FaultyProxy
    protocol_version = "HTTP/1.1"

    def serve(self) -> None:
        fault = self.server.fault_for(self.command, self.path)
        kind, length = fault.kind if fault else "", int(self.headers.get("Content-Length", 0))
        if fault and kind == "cut upload":
            self.rfile.read(int(length * fault.share))
            self.hang_up()
            return
        body = self.rfile.read(length)
        if fault and kind == "flipped upload":
            body = flipped(body, fault.share)
        if fault and kind == "status":
            self.answer(fault.status, [], fault.said)
            return
        status, headers, data = self.passed_on(body)
        if fault and kind == "lost":
            self.answer(fault.status, [], fault.said)
        elif kind == "unanswered":
            self.server.ended.wait(60)
            self.hang_up()
        elif fault and kind in ("cut", "stalled"):
            self.answer(status, headers, data, sent=int(len(data) * fault.share))
            if kind == "stalled":
                self.server.ended.wait(60)
            self.hang_up()
        elif fault and kind == "truncated":
            self.answer(status, headers, data[: int(len(data) * fault.share)])
        elif fault and kind == "flipped":
            self.answer(status, headers, flipped(data, fault.share))
        else:
            self.answer(status, headers, data)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = serve  # noqa: N815 -- the standard library's names

    def passed_on(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        target = self.server.target or ""
        connection = http.client.HTTPConnection(target.removeprefix("http://"), timeout=30)
        try:
            headers = {key: value for key, value in self.headers.items() if key.lower() != "expect"}
            connection.request(self.command, self.path, body, headers)
            reply = connection.getresponse()
            kept = [(key, value.replace(target, self.server.url)) for key, value in reply.getheaders()]
            return reply.status, kept, reply.read()
        finally:
            connection.close()

    def answer(self, status: int, headers: list[tuple[str, str]], data: bytes, *, sent: int | None = None) -> None:
        self.send_response(status)
        length = next((value for key, value in headers if key.lower() == "content-length"), "0")
        for key, value in headers:
            if key.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(key, value)
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[:sent])
        self.wfile.flush()

    def hang_up(self) -> None:
        """End the connection in the middle; what was sent before still arrives."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Be quiet."""


def flipped(data: bytes, share: float) -> bytes:
    """The bytes with one bit changed, at a share of their length."""
    place = min(int(len(data) * share), len(data) - 1)
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :] if data else data


@contextmanager
def faulty_proxy(plan: Plan, target: str | None = None) -> Iterator[FaultyProxy]:
    """A proxy that serves within the block."""
    with FaultyProxy(plan, target) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()


def first(count: int, fault: Fault, method: str = "", part: str = "") -> Plan:
    """The same fault for the first requests of a method whose path holds a text."""
    left = [count]

    def plan(asked: str, path: str) -> Fault | None:
        if left[0] and asked.startswith(method) and part in path:
            left[0] -= 1
            return fault
        return None

    return plan


def at_random(kinds: list[str], rate: float, seed: int) -> Plan:
    """A fault of one of the kinds for a share of the requests, at 10, 50 or 90 % of a body."""
    drawn = random.Random(seed)

    def plan(*_: str) -> Fault | None:
        if drawn.random() >= rate:
            return None
        return Fault(drawn.choice(kinds), drawn.choice((0.1, 0.5, 0.9)), drawn.choice((408, 429, 500, 502, 503, 504)))

    return plan


def main() -> None:
    parser = argparse.ArgumentParser(description="An HTTP proxy that damages requests and answers.")
    parser.add_argument("target", help="the server's address, for example http://127.0.0.1:9023")
    parser.add_argument("--kind", choices=KINDS, action="append", help="a kind of fault (default: all)")
    parser.add_argument("--rate", type=float, default=0.1, help="the share of requests with a fault (default: 0.1)")
    parser.add_argument("--seed", type=int, default=1, help="the seed (default: 1)")
    options = parser.parse_args()
    with faulty_proxy(at_random(options.kind or list(KINDS), options.rate, options.seed), options.target) as server:
        print(server.url, flush=True)
        with suppress(KeyboardInterrupt):
            while True:
                time.sleep(60)


if __name__ == "__main__":
    main()
