"""Worker processes, and environment variables of jobs. Variables that the user has set stay."""

import json
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from typing import Any

from polyticket.core.errors import PolyticketError

ONEDNN = ("TF_ENABLE_ONEDNN_OPTS", "1")
LANGUAGE_NAMES = "POLYTICKET_LANGUAGE_NAMES"
"""Tells jobs the languages' names that a configuration gives: a JSON object, code to name."""


def set_for_tensorflow() -> None:
    """Have TensorFlow compute with oneDNN on every processor; called when this package is imported.

    TensorFlow by itself uses it only on those with VNNI instructions, and takes four times as long on others. It reads
    the variable when it is imported, so nothing is set after that: the variable always tells how TensorFlow computes.
    """
    if "tensorflow" not in sys.modules:
        os.environ.setdefault(*ONEDNN)


def limit_tokenizers(threads: int) -> None:
    """Keep `tokenizers` to a number of threads; it takes a thread for each core by itself. Call before it works."""
    os.environ.setdefault("RAYON_NUM_THREADS", str(threads))


def set_for_jobs(*, user_project: str | None = None, language_names: Mapping[str, str] | None = None) -> None:
    """Set environment variables for the processes of jobs, tests and benchmarks.

    The package is found by rules that have a software environment of their own (`--use-conda`), TensorFlow does not
    describe the processor at every start, and waiting threads leave the cores to those that compute. Who pays for a
    store's requests decides no result, so jobs are told it here and not by what reruns them.

    Args:
        user_project: The Google Cloud project that pays; None for what the environment says.
        language_names: Code to name of the languages that a configuration names; None for what the environment says.
    """
    paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    os.environ.setdefault(*ONEDNN)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if user_project:
        os.environ["GOOGLE_CLOUD_QUOTA_PROJECT"] = user_project
    if language_names is not None:
        os.environ[LANGUAGE_NAMES] = json.dumps(dict(language_names))


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
    They end with this process, however it ends. If one of them is killed, the work ends with an error.

    Args:
        work: A function of a module; tasks and results are sent from process to process, so they should be small.
        tasks: The arguments of each call.
        processes: How many at once; with 1, this process does the work.
        start: Called in each process that works, before its first task.
        start_with: What it is called with; large things may be among it, since nothing of it is sent.

    Raises:
        PolyticketError: A process was killed, as the system does when memory runs out.
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
    with ProcessPoolExecutor(processes, get_context("fork"), _begin, (start, start_with)) as pool:
        try:
            waiting: deque[Future[Any]] = deque(pool.submit(work, *task) for task in islice(left, 2 * processes))
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(work, *task) for task in islice(left, 1))
                yield result
        except BrokenProcessPool:
            expected = "enough memory for all processes, or fewer of them"
            raise PolyticketError("a process that did a part of the work was killed", expected=expected) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _begin(start: Callable[..., object] | None, start_with: tuple[Any, ...]) -> None:
    """Begin a process that works: it is to end with its parent."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if start:
        start(*start_with)


def _end_with_parent() -> None:
    """Wait for the parent's end, and end at once.

    A process inherits the sentinels of those that were forked before it and keeps them open. So the youngest sees the
    parent's end first; its own end then shows the parent's to the one before it.
    """
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
