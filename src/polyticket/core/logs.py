"""Messages of jobs: one line for the user, all details in the log file."""

import logging
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polyticket.core.errors import PolyticketError
from polyticket.core.files import remove_leftovers
from polyticket.core.processes import ended_with_snakemake

log = logging.getLogger("polyticket")
INTERRUPTED = 128 + signal.SIGINT


@contextmanager
def logged(path: str) -> Iterator[None]:
    """Send the package's messages to a log file and, from INFO up, to standard error.

    A failure inside the block ends the process with exit code 1 and one line for the user. The traceback is in the log.
    So does Ctrl-C, with exit code 130 and no traceback.

    Args:
        path: The log file. An existing file is overwritten.
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
        remove_leftovers()
        with ended_with_snakemake():
            yield
    except KeyboardInterrupt:
        log.error("interrupted")
        sys.exit(INTERRUPTED)
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
def logged_to_screen() -> Iterator[None]:
    """Send the package's messages from INFO up to standard error, for commands without a log file."""
    level, screen = log.level, logging.StreamHandler(sys.stderr)
    log.setLevel(logging.INFO)
    log.addHandler(screen)
    try:
        yield
    finally:
        log.removeHandler(screen)
        log.setLevel(level)


def _end(*_: object) -> None:
    """End a terminated job in order, so that it removes its scratch files and ends the processes that it started."""
    sys.exit(128 + signal.SIGTERM)


class Progress:
    """Progress lines with the count, the rate, measured values and the time left, one every few seconds at most.

    Args:
        what: The name of the work, for example ``records fr``.
        total: The number of units; None if unknown.
        unit: The name of the units, for example ``steps``.
        start: Units that an earlier run has done. They do not count in the rate.
        every: The least number of seconds between two lines.
    """

    def __init__(self, what: str, total: int | None, unit: str, *, start: int = 0, every: float = 5.0) -> None:
        self.what, self.total, self.unit, self.every = what, total, unit, every
        self.done = self.first = start
        self.started = self.logged_at = time.monotonic()

    def seconds(self) -> float:
        """Seconds since the work started."""
        return max(time.monotonic() - self.started, 1e-9)

    def add(self, count: int = 1, **measured: float) -> None:
        """Count further units, and log a line if it is time."""
        self.done += count
        now = time.monotonic()
        if now - self.logged_at >= self.every or self.done == self.total:
            self.logged_at = now
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
