"""The wikiextractor program: pages go in on one pipe, a JSON line for each comes out on another, in order."""

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
from polyticket.corpus.budget import MOST_BROKEN, SECONDS_PER_MEGABYTE
from polyticket.corpus.templates import layout

PATIENCE = 120.0
"""Seconds after which a page that is not done is taken for one that never will be, if nobody allows it more."""

GRACE = 5.0
"""Seconds that the program's processes have to end when asked to."""

_STARTED = re.compile(r"DEBUG: .{0,99}?PAGE_START pid=\d+ ordinal=\d+ id=(\d+) ")


class Extractor:
    """One run of wikiextractor (AGPL, so it is run as a program and never imported).

    At the end of its ``with`` no process of the program is left, nor any shared memory (it holds all templates there).

    Args:
        templates: A file with template pages; None drops templates.
        processes: How many processes extract at once.
        follow: Whether the program says which page it works on, for `page`.

    Attributes:
        page: The id of the page that was begun last; None until one is, or without `follow`.
        crashed: Whether one of its processes died, or stood still for longer than `patience`.
        patience: Seconds that it may stand still; whoever draws the pages raises it for large ones.
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
        self.page: int | None = None
        self.crashed = False
        self.patience = PATIENCE
        self._crash = ""
        self._failure: BaseException | None = None
        self._drawing = True
        self._moved = time.monotonic()
        self._done = threading.Event()
        self._gone = threading.Event()
        self._timer: threading.Timer | None = None
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._listen, self._watch)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def extract(self, head: str, pages: Iterable[str]) -> Iterator[str]:
        """Yield one JSON line per page, in the pages' order.

        Args:
            head: The dump's head.
            pages: The pages as XML; they are drawn in another thread, no further ahead than the pipes are long.

        Raises:
            PolyticketError: The program failed.
            Exception: Whatever drawing the pages raised.
        """
        feeder = threading.Thread(target=self._feed, args=(head, pages), daemon=True)
        self._threads.append(feeder)
        feeder.start()
        assert self._process.stdout
        for line in self._process.stdout:
            self._moved = time.monotonic()
            if line.endswith("\n"):  # a killed program may leave a part of a line
                yield line
                self._moved = time.monotonic()
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
        for stream in (self._process.stdout, self._process.stderr):
            if stream:
                stream.close()

    def _feed(self, head: str, pages: Iterable[str]) -> None:
        stream = self._process.stdin
        assert stream
        try:
            stream.write(head)
            for page in pages:
                self._drawing, self._moved = False, time.monotonic()
                stream.write(page)
                self._drawing, self._moved = True, time.monotonic()
            self._drawing = False
            stream.write("</mediawiki>\n")
            stream.close()
        except BaseException as error:
            self._failure = error
            self._end()

    def _listen(self) -> None:
        """Log what the program says, and end it when a worker dies: it would wait for that worker for ever.

        All its processes hold the pipe, so the pipe ends with the last of them.
        """
        assert self._process.stderr
        falling = False
        for line in self._process.stderr:
            if line.startswith("DEBUG: "):
                started = _STARTED.match(line)
                self.page = int(started[1]) if started else self.page
                continue
            if self._timer:  # it is being ended; the tracker of shared memory says what it frees
                continue
            if not falling or not line.startswith(" "):
                log.info("wikiextractor: %s", line.rstrip())
            falling = falling or line.startswith("Traceback")
            if falling and not line.startswith(("Traceback", " ")):
                self._crash = line.strip()
                self._end()
        self._gone.set()

    def _watch(self) -> None:
        """End the program when nothing goes in or comes out though pages are there for it."""
        while not self._done.wait(min(5.0, self.patience / 4)):
            if not self._drawing and time.monotonic() - self._moved > self.patience:
                self._crash = f"no page was done for {self.patience:g} s"
                self._end()
                return

    def _end(self) -> None:
        """Have the program and all its processes end, unless they have: ask, and kill those that stay for `GRACE`.

        Asked, all end but the tracker of shared memory, which stays to free what they leave, and ends then.
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


Known = TypeVar("Known")


@dataclass
class Sent(Generic[Known]):
    """A page on its way through the extractor.

    Attributes:
        number: Its number in the piece, by which the extractor knows it.
        title: Its title.
        text: Its wikitext as the extractor gets it.
        known: What the caller wants back with its plain text.
        seconds: How long the extractor may take for it.
        broken: Whether the extractor cannot take it.
    """

    number: int
    title: str
    text: str
    known: Known
    seconds: float = SECONDS_PER_MEGABYTE
    broken: bool = False

    def xml(self) -> str:
        """The page as the extractor reads it."""
        return layout(self.number, 0, self.title, "" if self.broken else self.text)


def texts_of(
    pages: Iterable[Sent[Known]], head: str, templates: Path | None, processes: int
) -> Generator[tuple[Sent[Known], str], None, None]:
    """Yield each page with its plain text, in order; the text of a page that is `broken` is empty.

    The program dies with any of its workers and does not say over which page. So the pages that were under way are
    given to one worker again, until the one that breaks it is known.

    Args:
        pages: The pages; they are drawn in another thread.
        head: The dump's head, for the extractor.
        templates: A file of template pages, or None.
        processes: How many processes extract at once.

    Raises:
        PolyticketError: More than `MOST_BROKEN` pages broke the extractor, it failed without a page, or lost pages.
        Exception: Whatever drawing the pages raised.
    """
    source = iter(pages)
    waiting: deque[Sent[Known]] = deque()
    broken = 0
    again = False
    while True:
        under_way = iter(tuple(waiting)) if again else source
        waiting.clear()
        with Extractor(templates, 1 if again else processes, follow=again) as extractor:
            try:
                yield from _run(extractor, head, under_way, waiting)
            except PolyticketError as error:
                if not extractor.crashed:
                    raise
                if again:
                    waiting.extend(under_way)
                    broken += 1
                    _leave_out(waiting, extractor.page, broken, error)
                again = True
                continue
        if waiting:
            raise PolyticketError(f"lost {len(waiting)} pages, the first {waiting[0].title!r}", where="wikiextractor")
        if not again:
            return
        again = False


def _run(
    extractor: Extractor, head: str, pages: Iterator[Sent[Known]], waiting: deque[Sent[Known]]
) -> Iterator[tuple[Sent[Known], str]]:
    def drawn() -> Iterator[str]:
        longest = 0.0
        for page in pages:
            longest = extractor.patience = max(longest, page.seconds)
            waiting.append(page)
            yield page.xml()

    for line in extractor.extract(head, drawn()):
        yield waiting.popleft(), json.loads(line)["text"]


def _leave_out(waiting: Iterable[Sent[Known]], number: int | None, broken: int, error: PolyticketError) -> None:
    page = next((page for page in waiting if page.number == number), None)
    if page is None or page.broken:
        raise error
    if broken > MOST_BROKEN:
        raise PolyticketError(f"{error}: on {broken} pages, the last {page.title!r}", where=None)
    log.warning("left out page %r, which breaks the extractor: %s", page.title, error)
    page.broken = True
