"""Trying again: growing pauses, and failures are counted since it last got further."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception

from polyticket.core.errors import PolyticketError
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
