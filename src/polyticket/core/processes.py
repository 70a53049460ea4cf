"""Worker processes, and environment variables of jobs. Variables that the user has set stay."""

import json
import os
import select
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from itertools import islice
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from types import TracebackType
from typing import Any

from polyticket.core.errors import PolyticketError

ONEDNN = ("TF_ENABLE_ONEDNN_OPTS", "1")
WITHOUT_KERAS = ("TF_USE_LEGACY_KERAS", "1")
"""TensorFlow imports Keras 3 with itself, and Keras imports matplotlib, pandas and scikit-learn. No job uses any of it.

Keras 2, which this variable asks for, is not installed, so TensorFlow does without.
"""
WITHOUT_TELEMETRY = {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
"""onnxruntime and the client of the Hugging Face Hub report their use by themselves, the former with an identifier that
it keeps in the user's home."""
SNAKEMAKE = "POLYTICKET_SNAKEMAKE"
"""Tells jobs which process is Snakemake, as `_identity` writes it."""
GRACE = 20.0
"""Seconds that a job has to end in order after Snakemake has ended."""
LANGUAGE_NAMES = "POLYTICKET_LANGUAGE_NAMES"
"""Tells jobs the languages' names that a configuration gives: a JSON object, code to name."""


def set_for_libraries() -> None:
    """Have libraries report nothing, and TensorFlow compute with oneDNN; called when this package is imported.

    TensorFlow by itself uses oneDNN only on processors with VNNI instructions, and takes four times as long on others.
    It reads the variable when it is imported, so nothing is set after that: the variable always tells how TensorFlow
    computes.
    """
    for name, value in WITHOUT_TELEMETRY.items():
        os.environ.setdefault(name, value)
    if "tensorflow" not in sys.modules:
        os.environ.setdefault(*ONEDNN)


def interrupted_in_one_line() -> None:
    """Have a job, or the command, end in one line where Ctrl-C comes before its own code runs, as in slow imports."""
    if SNAKEMAKE in os.environ:
        sys.excepthook = _told_if_interrupted


def _told_if_interrupted(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print("polyticket: interrupted", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


def limit_tokenizers(threads: int) -> None:
    """Keep `tokenizers` to a number of threads; it takes a thread for each core by itself. Call before it works."""
    os.environ.setdefault("RAYON_NUM_THREADS", str(threads))


def set_for_jobs(*, user_project: str | None = None, language_names: Mapping[str, str] | None = None) -> None:
    """Set environment variables for the processes of jobs, tests and benchmarks.

    The package is found by rules that have a software environment of their own (`--use-conda`), TensorFlow imports no
    Keras and does not describe the processor at every start, waiting threads leave the cores to those that compute, and
    jobs end with this process (`ended_with_snakemake`). Who pays for a store's requests decides no result, so jobs are
    told it here and not by what reruns them.

    Args:
        user_project: The Google Cloud project that pays; None for what the environment says.
        language_names: Code to name of the languages that a configuration names; None for what the environment says.
    """
    paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    os.environ.setdefault(*ONEDNN)
    os.environ.setdefault(*WITHOUT_KERAS)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if _namespace():
        os.environ[SNAKEMAKE] = _identity(os.getpid())
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


@contextmanager
def ended_with_snakemake() -> Iterator[None]:
    """Let this process, a job, end when the Snakemake that started it ends before it, however that ends.

    It is asked to end in order (SIGTERM), and ends at once if it has not done so after `GRACE` seconds. Without the
    variable of `set_for_jobs`, or in another namespace of processes than Snakemake, nothing is watched.
    """
    starter = os.environ.get(SNAKEMAKE, "")
    if starter.split(" ", 1)[0] != _namespace():
        yield
        return
    process = int(starter.split()[1])
    try:
        watched = os.pidfd_open(process)
        ended = _identity(process) != starter  # the number may be another process's by now
    except ProcessLookupError:
        ended = True
    if ended:
        sys.exit(128 + signal.SIGTERM)
    done, finished = os.pipe()
    watch = threading.Thread(target=_end_after, args=(watched, done), daemon=True)
    watch.start()
    try:
        yield
    finally:
        os.write(finished, b"\0")  # forked processes may keep it open
        watch.join()
        for descriptor in (watched, done, finished):
            os.close(descriptor)


def _end_after(watched: int, done: int) -> None:
    """Wait until a process ends, and end this one; or until a pipe holds something."""
    ready, _, _ = select.select([watched, done], [], [])
    if done not in ready:
        os.kill(os.getpid(), signal.SIGTERM)
        if not select.select([done], [], [], GRACE)[0]:
            os._exit(128 + signal.SIGTERM)


def _identity(process: int) -> str:
    """What no other process has: the namespace, the number in it, and the clock tick at which the process started."""
    return f"{_namespace()} {process} {start_time(process)}"


def _namespace() -> str | None:
    """The name of the namespace in which processes have their numbers; null where the system does not tell."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return None


def in_new_process(work: Callable[..., Any], *arguments: Any) -> Any:
    """The result of ``work(*arguments)`` in a fresh interpreter, which ends with this process, however it ends.

    Raises:
        PolyticketError: The process was killed, as the system does when memory runs out.
        Exception: What the work raises, as it is.
    """
    with ProcessPoolExecutor(1, get_context("spawn"), _begin, (None, ())) as pool:
        try:
            return pool.submit(work, *arguments).result()
        except BrokenProcessPool:
            raise PolyticketError("a process was killed at its work", expected="enough memory for it") from None


def start_time(process: int) -> int:
    """When a process started, in clock ticks after the system; 0 where the system does not tell, -1 if it has ended.

    With it, a process is known from a later one of the same number.
    """
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as stream:
            fields = stream.read().rpartition(")")[2].split()
    except OSError:
        return 0
    return -1 if fields[0] in "ZX" else int(fields[19])


def is_alive(process: int, started: int) -> bool:
    """Whether a process of this host, which started at `started` (see `start_time`), has not ended."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        return True
    return start_time(process) == started


def children_of(process: int) -> dict[int, int | None]:
    """The children of a process, each with the status (see `os.WIFSIGNALED`) of those that have ended.

    There are none where the system does not tell. A child that its parent has asked after is gone.
    """
    numbers: list[str] = []
    found: dict[int, int | None] = {}
    for thread in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            numbers += thread.read_text(encoding="ascii").split()
    for number in map(int, numbers):
        with suppress(OSError):
            fields = (
                Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            )
            found[number] = int(fields[-1]) if fields[0] in "ZX" else None
    return found


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
