"""Work that is cut into tasks, done by several processes."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from typing import Any


def in_order(
    work: Callable[..., Any],
    tasks: Iterable[tuple[Any, ...]],
    processes: int,
    *,
    start: Callable[..., object] | None = None,
    start_with: tuple[Any, ...] = (),
) -> Generator[Any, None, None]:
    """Call ``work(*task)`` for every task and yield the results in the order of the tasks, few of them waiting.

    Processes are forked: a fresh interpreter would import the main module, which is a rule's script, and run it again.

    Args:
        work: A function of a module; tasks and results are sent from process to process, so they should be small.
        tasks: The arguments of each call.
        processes: How many at once; with 1, this process does the work.
        start: Called in each process that works, before its first task.
        start_with: What it is called with; large things may be among it, since nothing of it is sent.

    Raises:
        Exception: The first that a task raises, as it is; no further task is begun.
    """
    tasks = list(tasks)
    processes = min(processes, len(tasks))
    if processes <= 1:
        if start:
            start(*start_with)
        yield from (work(*task) for task in tasks)
        return
    left = iter(tasks)
    with ProcessPoolExecutor(processes, get_context("fork"), start, start_with) as pool:
        try:
            waiting: deque[Future[Any]] = deque(pool.submit(work, *task) for task in islice(left, 2 * processes))
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(work, *task) for task in islice(left, 1))
                yield result
        finally:
            pool.shutdown(cancel_futures=True)
