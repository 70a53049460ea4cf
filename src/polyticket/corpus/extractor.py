"""The wikiextractor program: it reads pages and writes JSON lines; a page that ends it is found and dropped."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Self, TypeVar

from polyticket.core.errors import PolyticketError
from polyticket.core.logs import log
from polyticket.core.processes import children_of
from polyticket.corpus.budget import MOST_BROKEN, SECONDS_PER_MEGABYTE
from polyticket.corpus.templates import layout

PATIENCE = 120.0
"""Seconds without progress after which the program is ended."""

GRACE = 5
"""Seconds between the request to end and the kill."""

LOOK = 0.5
"""Seconds between two looks at the program's processes."""

KILLED = "one of its processes was killed"
GUARD = 'read _; kill -s TERM -- "-$0"; sleep "$1"; kill -s KILL -- "-$0"'
"""A shell that waits for the end of its standard input, and then ends a group of processes."""

_STARTED = re.compile(r"DEBUG: .{0,99}?PAGE_START pid=\d+ ordinal=\d+ id=(\d+) ")


class Extractor:
    """One run of wikiextractor (AGPL: it is run as a program and never imported).

    At the end of the ``with`` block no process of the program is left, and none of its shared memory (the templates).
    If this process is killed, a shell that holds the other end of a pipe sees it and ends the program.

    Args:
        templates: A file of template pages; None drops templates.
        processes: Processes that extract at once.
        follow: Whether the program reports the page that it works on, for `page`.

    Attributes:
        page: The id of the page that was started last; None before the first, and without `follow`.
        crashed: Whether one of its processes died, or made no progress for longer than `patience`.
        killed: Whether one of its processes was killed from outside, as the system does when memory runs out.
        patience: Seconds without progress that are allowed; the iterator of pages raises it for large pages.
    """

    def __init__(self, templates: Path | None, processes: int, *, follow: bool = False) -> None:
        command = [sys.executable, "-P", "-m", "wikiextractor.WikiExtractor", "/dev/stdin", "--json", "--output", "-"]
        command += ["--html-safe", "", "--quiet", "--processes", str(max(1, processes))]
        command += ["--templates", str(templates)] if templates else ["--no-templates"]
        command += ["--debug_map_reduce"] if follow else []
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "PYTHONHASHSEED": "0"},
            start_new_session=True,
        )
        group = ["/bin/sh", "-c", GUARD, str(self._process.pid), str(GRACE)]
        silent = subprocess.DEVNULL
        self._guard = subprocess.Popen(group, stdin=pipe, stdout=silent, stderr=silent, start_new_session=True)
        self.page: int | None = None
        self.crashed = self.killed = False
        self.patience = PATIENCE
        self._crash = ""
        self._failure: BaseException | None = None
        self._is_waiting = True
        self._is_fed = False
        self._children: set[int] = set()
        self._last_progress = time.monotonic()
        self._done = threading.Event()
        self._gone = threading.Event()
        self._timer: threading.Timer | None = None
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._listen, self._watch)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def extract(self, header: str, pages: Iterable[str]) -> Iterator[str]:
        """Yield one JSON line per page, in the pages' order.

        Args:
            header: The dump's header.
            pages: The pages as XML; another thread iterates over them, no further ahead than the pipes hold.

        Raises:
            PolyticketError: The program failed.
            Exception: The error of the iterator of pages.
        """
        feeder = threading.Thread(target=self._feed, args=(header, pages), daemon=True)
        self._threads.append(feeder)
        feeder.start()
        assert self._process.stdout
        for line in self._process.stdout:
            self._last_progress = time.monotonic()
            if line.endswith("\n"):  # a killed program may leave an incomplete line
                yield line
                self._last_progress = time.monotonic()
        self._done.set()
        for thread in self._threads:
            thread.join()
        if self._failure and not isinstance(self._failure, BrokenPipeError):
            raise self._failure
        if self._process.wait() != 0 or self._failure or self._crash:
            self.crashed = True
            raise PolyticketError(self._crash or f"exit code {self._process.returncode}", where="wikiextractor")

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._end()
        self._gone.wait()
        self._process.wait()
        if self._timer:
            self._timer.cancel()
        self._guard.kill()
        self._guard.wait()
        for stream in (self._process.stdout, self._process.stderr, self._guard.stdin):
            if stream:
                stream.close()

    def _feed(self, header: str, pages: Iterable[str]) -> None:
        stream = self._process.stdin
        assert stream
        try:
            stream.write(header)
            for page in pages:
                self._is_waiting, self._last_progress = False, time.monotonic()
                stream.write(page)
                self._is_waiting, self._last_progress = True, time.monotonic()
            self._is_waiting, self._is_fed = False, True
            stream.write("</mediawiki>\n")
            stream.close()
        except BaseException as error:
            self._failure = error
            self._end()

    def _listen(self) -> None:
        """Log the program's messages, and end it if a worker dies: it would wait for this worker for ever.

        All its processes hold the pipe, so the pipe ends with the last process.
        """
        assert self._process.stderr
        in_traceback = False
        for line in self._process.stderr:
            if line.startswith("DEBUG: "):
                started = _STARTED.match(line)
                self.page = int(started[1]) if started else self.page
                continue
            if self._timer:  # the program is ending; the tracker of shared memory reports what it frees
                continue
            if not in_traceback or not line.startswith(" "):
                log.info("wikiextractor: %s", line.rstrip())
            in_traceback = in_traceback or line.startswith("Traceback")
            if in_traceback and not line.startswith(("Traceback", " ")):
                self._crash = line.strip()
                self._end()
        self._gone.set()

    def _watch(self) -> None:
        """End the program if one of its processes dies, or if nothing goes in or comes out although pages wait for it.

        The others would wait for ever for what the dead one does.
        """
        while not self._done.wait(min(LOOK, self.patience / 4)):
            if self._has_died():
                self._crash, self.killed = KILLED, True
            elif not self._is_waiting and time.monotonic() - self._last_progress > self.patience:
                self._crash = f"no page was done for {self.patience:g} s"
            else:
                continue
            self._end()
            return

    def _has_died(self) -> bool:
        """Whether a process has died before its time: with a signal, or while pages are still sent."""
        if self._timer or self._crash:
            return False
        is_fed, found = self._is_fed, children_of(self._process.pid)
        gone = self._children - found.keys()
        self._children |= found.keys()
        ended = {status for status in found.values() if status is not None}
        if self._process.poll() is not None:
            return self._process.returncode < 0
        return any(os.WIFSIGNALED(status) for status in ended) or (not is_fed and bool(gone or ended))

    def _end(self) -> None:
        """End the program and all its processes: terminate them, and kill those that are left after `GRACE`.

        The tracker of shared memory ends last: it frees the memory that the others leave.
        """
        if not self._timer and not self._gone.is_set():
            self._timer = threading.Timer(GRACE, self._signal, [signal.SIGKILL])
            self._timer.daemon = True
            self._timer.start()
            self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        if not self._gone.is_set():
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


Info = TypeVar("Info")


@dataclass
class Sent(Generic[Info]):
    """A page that is sent to the extractor.

    Attributes:
        number: Its number in the byte range; the extractor's id.
        title: Its title.
        text: Its wikitext for the extractor.
        info: Data of the caller, returned with the plain text.
        seconds: Seconds that the extractor may take.
        broken: Whether the extractor cannot take it.
        is_retried: Whether a process was killed from outside at this page, which may be no fault of the page.
    """

    number: int
    title: str
    text: str
    info: Info
    seconds: float = SECONDS_PER_MEGABYTE
    broken: bool = False
    is_retried: bool = False

    def xml(self) -> str:
        """The page as XML for the extractor."""
        return layout(self.number, 0, self.title, "" if self.broken else self.text)


def texts_of(
    pages: Iterable[Sent[Info]], header: str, templates: Path | None, processes: int
) -> Generator[tuple[Sent[Info], str], None, None]:
    """Yield each page with its plain text, in order; the text of a page that is `broken` is empty.

    The program dies with any of its workers and does not name the page. So one worker reads the unfinished pages again,
    until the page that breaks it is known.

    Args:
        pages: The pages; another thread iterates over them.
        header: The dump's header, for the extractor.
        templates: A file of template pages, or None.
        processes: Processes that extract at once.

    Raises:
        PolyticketError: More than `MOST_BROKEN` pages break the extractor, it fails without a page, or it loses pages.
        Exception: The error of the iterator of pages.
    """
    source = iter(pages)
    waiting: deque[Sent[Info]] = deque()
    broken = 0
    again = False
    while True:
        unfinished = iter(tuple(waiting)) if again else source
        waiting.clear()
        with Extractor(templates, 1 if again else processes, follow=again) as extractor:
            try:
                yield from _run(extractor, header, unfinished, waiting)
            except PolyticketError as error:
                if not extractor.crashed:
                    raise
                if again:
                    waiting.extend(unfinished)
                    broken += 1
                    _leave_out(waiting, extractor, broken, error)
                else:
                    log.warning("%s; one process reads the %d unfinished pages again", error, len(waiting))
                again = True
                continue
        if waiting:
            raise PolyticketError(f"lost {len(waiting)} pages, the first {waiting[0].title!r}", where="wikiextractor")
        if not again:
            return
        again = False


def _run(
    extractor: Extractor, header: str, pages: Iterator[Sent[Info]], waiting: deque[Sent[Info]]
) -> Iterator[tuple[Sent[Info], str]]:
    def to_extract() -> Iterator[str]:
        longest = 0.0
        for page in pages:
            longest = extractor.patience = max(longest, page.seconds)
            waiting.append(page)
            yield page.xml()

    for line in extractor.extract(header, to_extract()):
        yield waiting.popleft(), json.loads(line)["text"]


def _leave_out(waiting: Iterable[Sent[Info]], extractor: Extractor, broken: int, error: PolyticketError) -> None:
    page = next((page for page in waiting if page.number == extractor.page), None)
    if page is None or page.broken:
        raise error
    if broken > MOST_BROKEN:
        raise PolyticketError(f"{error}: on {broken} pages, the last {page.title!r}", where=None)
    if extractor.killed and not page.is_retried:
        log.warning("%s at page %r, which is read again", error, page.title)
        page.is_retried = True
        return
    log.warning("dropped page %r, which breaks the extractor: %s", page.title, error)
    page.broken = True
