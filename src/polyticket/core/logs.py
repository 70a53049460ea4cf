"""How a job speaks: one line to the user, everything to its log file."""

import logging
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polyticket.core.errors import PolyticketError

log = logging.getLogger("polyticket")


@contextmanager
def logged(path: str) -> Iterator[None]:
    """Send the package's messages to a log file and, from INFO up, to standard error.

    A failure inside the block ends the process with exit code 1 and one line for the user; the log has the traceback.

    Args:
        path: The log file; it is started anew.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    file = logging.FileHandler(path, mode="w", encoding="utf-8")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    screen = logging.StreamHandler(sys.stderr)
    screen.setFormatter(logging.Formatter("%(message)s"))
    level, handlers = log.level, log.handlers[:]
    log.setLevel(logging.INFO)
    log.handlers[:] = [file, screen]
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    except Exception as error:
        log.handlers[:] = [file]
        log.exception("failed")
        known = isinstance(error, PolyticketError)
        line = str(error) if known else f"{type(error).__name__}: {error}".splitlines()[0]
        print(f"polyticket: error: {line}" + ("" if known else f" (traceback in {path})"), file=sys.stderr)
        sys.exit(1)
    finally:
        signal.signal(signal.SIGTERM, before)
        log.setLevel(level)
        log.handlers[:] = handlers
        file.close()


@contextmanager
def spoken() -> Iterator[None]:
    """Send the package's messages from INFO up to standard error, as a command does that has no log file."""
    level, screen = log.level, logging.StreamHandler(sys.stderr)
    log.setLevel(logging.INFO)
    log.addHandler(screen)
    try:
        yield
    finally:
        log.removeHandler(screen)
        log.setLevel(level)


def _end(*_: object) -> None:
    """A job that is told to end does it in order: scratch files go, and so do the processes that it has started."""
    sys.exit(128 + signal.SIGTERM)


class Progress:
    """A line of progress at most every few seconds: count, rate, what is measured, time left.

    Args:
        what: What is being done, for example ``records fr``.
        total: How many units there are; None when unknown.
        unit: The name of a unit, for example ``steps``.
        start: Units done by an earlier run, left out of the rate.
        every: Seconds between two lines.
    """

    def __init__(self, what: str, total: int | None, unit: str, *, start: int = 0, every: float = 5.0) -> None:
        self.what, self.total, self.unit, self.every = what, total, unit, every
        self.done = self.first = start
        self.began = self.said = time.monotonic()

    def seconds(self) -> float:
        """Seconds since the work began."""
        return max(time.monotonic() - self.began, 1e-9)

    def add(self, count: int = 1, **measured: float) -> None:
        """Count further units and, when it is time, say where the work stands."""
        self.done += count
        now = time.monotonic()
        if now - self.said >= self.every or self.done == self.total:
            self.said = now
            log.info(self._line(self.seconds(), measured))

    def _line(self, seconds: float, measured: dict[str, float]) -> str:
        rate = (self.done - self.first) / seconds
        parts = [f"{self.what}: {self.done:,}" + (f"/{self.total:,}" if self.total else "") + f" {self.unit}"]
        parts.append(f"{rate:,.1f} {self.unit}/s")
        parts += [f"{name} {value:.4g}" for name, value in measured.items()]
        if self.total and self.done < self.total and rate > 0:
            left = round((self.total - self.done) / rate)
            parts.append(f"{left // 3600}:{left // 60 % 60:02d}:{left % 60:02d} left")
        return ", ".join(parts)
