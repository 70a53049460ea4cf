"""Snakemake in a process forked from this one, which has imported it: each run then costs a second or two less."""

import os
import signal
import sys
import tempfile
import time
import uuid
from pathlib import Path

from snakemake.cli import main as run_snakemake

from tests.faults.processes import PAUSE, TOKEN, kill, marked_with
from tests.support.snakemake_server import become
from tests.support.workflow import UMASK, Workflow


class Run:
    """Snakemake as a user runs it, in a session of its own; it and all that it starts have a token in common.

    Attributes:
        pid: The process.
        exit: Its exit code, or minus the signal that ended it; null while it runs.
    """

    def __init__(self, workflow: Workflow, *arguments: str) -> None:
        self.token, self.exit = uuid.uuid4().hex, None
        self._printed = tempfile.NamedTemporaryFile()  # noqa: SIM115 - closed by `said`
        call = {
            "folder": str(workflow.folder),
            "arguments": [*arguments, *workflow.arguments],
            "umask": UMASK,
            "environment": workflow.variables() | {TOKEN: self.token},
            "printed": self._printed.name,
        }
        self.pid = os.fork()
        if not self.pid:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            try:
                for name in [name for name in sys.modules if name.partition(".")[0] == "polyticket"]:
                    del sys.modules[name]  # the package is that of the workflow's folder
                become(call)
                sys.exit(run_snakemake())
            except SystemExit as ended:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(ended.code if isinstance(ended.code, int) else ended.code is not None)
            finally:
                os._exit(1)

    def is_running(self) -> bool:
        """Whether Snakemake has not ended yet."""
        if self.exit is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self.exit = os.waitstatus_to_exitcode(status) if ended else None
        return self.exit is None

    def wait(self, within: float) -> None:
        """Wait until Snakemake has ended.

        Raises:
            TimeoutError: It has not after a number of seconds.
        """
        deadline = time.monotonic() + within
        while self.is_running():
            if time.monotonic() > deadline:
                raise TimeoutError(f"Snakemake runs for over {within} seconds")
            time.sleep(PAUSE)

    def left(self, within: float) -> list[int]:
        """The processes that it started and that have not ended by themselves after a number of seconds."""
        deadline = time.monotonic() + within
        while (left := marked_with(self.token)) and time.monotonic() < deadline:
            time.sleep(PAUSE)
        return left

    def kill(self) -> None:
        """Kill Snakemake and all that it started."""
        while self.is_running() or self.left(0):
            kill([self.pid] if self.exit is None else [], signal.SIGKILL)
            kill(self.left(0), signal.SIGKILL)
            time.sleep(PAUSE)

    def said(self) -> str:
        """All that was printed; once, at the end."""
        with self._printed:
            return Path(self._printed.name).read_text(encoding="utf-8", errors="replace")
