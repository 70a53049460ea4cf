"""Transfers in threads: many files at a time, and a large file in ranges."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_attempt

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike

WORKERS = 4
"""Files that are sent or fetched at a time."""
RANGE = 8 * 1024 * 1024
"""Bytes of a large file that one request fetches, and that a thread holds in memory."""
RANGES = 8
"""Ranges that a store fetches at a time, of all files together."""
RESENT = 3
"""How often a file is sent or fetched that arrives damaged."""

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class DamagedError(Exception):
    """Other bytes have arrived than were sent; to be transferred again."""


def each(function: Callable[[_In], _Out], items: Iterable[_In], workers: int) -> Iterator[_Out]:
    """Call a function on each item in threads. Results come in order; after a failure no further call begins."""
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(function, item) for item in items]
        try:
            for future in futures:
                yield future.result()
        finally:
            for future in futures:
                future.cancel()


def resent(transfer: Callable[[], _Out], again: Callable[[BaseException], bool]) -> _Out:
    """Do a transfer, and do it anew after failures that `again` knows; at most `RESENT` times in all."""
    return Retrying(retry=retry_if_exception(again), stop=stop_after_attempt(RESENT), reraise=True)(transfer)


def in_ranges(size: int, length: int, one: Callable[[int, int], _Out], pool: Executor) -> list[_Out]:
    """Call a function on each range of a file in threads; after a failure no further call begins, and none goes on.

    Args:
        size: The file's length in bytes.
        length: The length of a range.
        one: Takes a range's first byte, and the one after its last.
        pool: The threads; those that call this function must not be among them.
    """
    futures = [pool.submit(one, start, min(start + length, size)) for start in range(0, size, length)]
    try:
        return [future.result() for future in futures]
    finally:
        for future in futures:
            future.cancel()
        for future in futures:
            if not future.cancelled():
                future.exception()


def fetch_in_ranges(path: Path, size: int, fetch: Callable[[int, int], bytes], pool: Executor) -> None:
    """Write a file from ranges that are fetched in threads.

    Args:
        path: The file to write.
        size: Its length in bytes.
        fetch: Gives the bytes from a first one up to and without a last one.
        pool: The threads; those that call this function must not be among them.

    Raises:
        DamagedError: A range has another length than was asked for.
    """

    def place(start: int, end: int) -> None:
        data = fetch(start, end)
        if len(data) != end - start:
            raise DamagedError(f"{len(data)} bytes of {end - start}")
        while data:
            written = os.pwrite(target.fileno(), data, start)
            data, start = data[written:], start + written

    with open(path, "wb", buffering=0) as target:
        in_ranges(size, RANGE, place, pool)


@contextmanager
def disk(path: Pathlike) -> Iterator[None]:
    """Let what the disk refuses within name the file that is written, for example where no space is left.

    Raises:
        PolyticketError: The system refused an operation on a file.
    """
    try:
        yield
    except OSError as error:
        if type(error) not in (OSError, FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError):
            raise  # of a connection
        if error.errno is None:
            raise
        raise PolyticketError(error.strerror or "the disk refuses it", where=path) from error
