"""The processes of one run of Snakemake: its jobs, and what outlives it."""

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

SCRIPT = re.compile(r"\.snakemake/scripts/tmp\w+\.(\w+)\.py$")
TOKEN = "POLYTICKET_FAULT"
PAUSE = 0.1
"""Seconds between two looks at processes."""


def rule_of(process: psutil.Process) -> str | None:
    """The rule whose script a process was started to run; null for a shell, for workers and for others."""
    with suppress(psutil.Error):
        words = process.cmdline()
        found = SCRIPT.search(words[1]) if len(words) > 1 else None
        return found and found[1]
    return None


def jobs_below(snakemake: int) -> dict[psutil.Process, str]:
    """The processes of jobs that run below Snakemake, each with its rule; workers that a job forked are left out."""
    with suppress(psutil.Error):
        below = {process: rule_of(process) for process in psutil.Process(snakemake).children(recursive=True)}
        return {process: rule for process, rule in below.items() if rule and _parent_rule(process) != rule}
    return {}


def _parent_rule(process: psutil.Process) -> str | None:
    with suppress(psutil.Error):
        parent = process.parent()
        return rule_of(parent) if parent else None
    return None


def seconds_of(process: psutil.Process) -> float:
    """CPU seconds that a process and its ended children have taken."""
    with suppress(psutil.Error):
        return sum(process.cpu_times()[:4])
    return 0.0


def marked_with(token: str) -> list[int]:
    """All processes that were started with a token in their environment, zombies left out."""
    mark, found = f"{TOKEN}={token}\0".encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (folder / "environ").read_bytes() + b"\0":
                found.append(int(folder.name))
    return found


def kill(processes: Iterable[int], number: int) -> None:
    """Send a signal to processes; those that have ended are left out."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)
