"""The jobs of a run, as Snakemake's own graph has them: listed by the program `workflow/list_jobs.py`."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike

PROGRAM = "workflow/list_jobs.py"
TARGET_RULE = "all"
"""The rule that computes nothing."""


@dataclass(frozen=True)
class Job:
    """A job of the graph.

    Attributes:
        rule: Its rule.
        needed: Whether Snakemake would run it.
        wildcards: Name to value.
        threads: That it asks for.
        resources: `mem_mb`, `disk_mb` and `runtime` that it asks for; None where only its inputs will tell.
        benchmark: The path of its benchmark file; None without one.
        params: Those of its parameters that say how much it computes.
        given: Bytes of those of its inputs that no job makes, by path.
    """

    rule: str
    needed: bool
    wildcards: Mapping[str, str]
    threads: int
    resources: Mapping[str, int | None]
    benchmark: str | None
    params: Mapping[str, Any]
    given: Mapping[str, int]


@dataclass(frozen=True)
class Listing:
    """All jobs of a run.

    Attributes:
        config: The configuration with all defaults.
        jobs: All but the target rule.
    """

    config: Mapping[str, Any]
    jobs: Sequence[Job]


def list_jobs(workflow: Pathlike, arguments: Sequence[str]) -> Listing:
    """Ask Snakemake for the jobs of a run; nothing runs.

    Args:
        workflow: The folder with the Snakefile.
        arguments: Further options and targets of `snakemake`.

    Raises:
        PolyticketError: There is no workflow, or Snakemake refuses the configuration; the line is that of Snakemake.
    """
    folder = Path(workflow)
    if not (folder / PROGRAM).is_file():
        raise PolyticketError(f"no {PROGRAM}", where=folder, expected="the folder of the workflow, see --workflow")
    command = [sys.executable, str(folder / PROGRAM), "--snakefile", str(folder / "Snakefile"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode:
        raise PolyticketError(_complaint(done.stderr))
    found = json.loads(done.stdout)
    return Listing(found["config"], [Job(**one) for one in found["jobs"] if one["rule"] != TARGET_RULE])


def _complaint(said: str) -> str:
    """The line of an error: that of this package, or the last one of Snakemake."""
    own = "polyticket: error: "
    lines = [line.strip() for line in said.splitlines() if line.strip()] or ["snakemake failed without a word"]
    return next((line.removeprefix(own) for line in lines if line.startswith(own)), lines[-1])
