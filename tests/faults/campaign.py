"""A run from dumps to a score with a fault in every stage, each followed by a rerun that must end well."""

import csv
import random
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import psutil

from polyticket.core.files import remove
from tests.faults.kinds import KINDS, Emulator, Struck
from tests.faults.processes import PAUSE, jobs_below, seconds_of
from tests.faults.runs import Run
from tests.faults.stages import RESULT, STAGES, TICKET, Stage, digests, leftovers
from tests.support.workflow import Workflow

PATIENCE = 20.0
"""Seconds in which all processes of a run that has ended must have ended."""
LONGEST_RUN = 3600.0
"""Seconds that a run may take, and the wait for the moment of its fault."""
TRIES = 8
LEAST_SECONDS = 1.5
"""CPU seconds of a job that does nothing; Snakemake's samples of short jobs miss most of it."""


class Base(NamedTuple):
    """A run without faults: the digests of its results, and the CPU seconds of the longest job of each rule."""

    made: dict[str, str]
    cpu_seconds: dict[str, float]

    @classmethod
    def of(cls, workflow: Workflow) -> "Base":
        """That of a finished run; the seconds are those of Snakemake's benchmarks."""
        seconds: dict[str, float] = {}
        folder = workflow.folder / "results/benchmarks"
        for path in folder.rglob("*.tsv"):
            with open(path, encoding="utf-8", newline="") as stream:
                (row,) = csv.DictReader(stream, delimiter="\t")
            rule = path.relative_to(folder).parts[0].removesuffix(".tsv")
            seconds[rule] = max(seconds.get(rule, LEAST_SECONDS), float(row["cpu_time"]))
        return cls(digests(workflow.folder), seconds)


def run_campaign(
    workflow: Workflow, base: Base, plan: Iterable[tuple[Stage, str]], rng: random.Random, store: Emulator | None
) -> Iterator[dict[str, Any]]:
    """Strike a run once in each stage of a plan, and rerun each time.

    Args:
        workflow: Where it runs.
        base: The run without faults.
        plan: Stages in their order, each with a kind of fault.
        rng: Draws the moments.
        store: The server of a store at `gs://`, if there is one.

    Yields:
        A row per fault: what was struck and when, how the run and its rerun ended, and what differs from `base`.
    """
    for stage, kind in plan:
        if row := struck_once(workflow, base, stage, kind, rng, store):
            yield row


def struck_once(
    workflow: Workflow, base: Base, stage: Stage, kind: str, rng: random.Random, store: Emulator | None
) -> dict[str, Any] | None:
    """Strike the run in a stage, and rerun; None if the run ended before each of the moments that were tried."""
    rule, share = rng.choice(stage.rules), rng.random()
    for _ in range(TRIES):
        row = strike(workflow, base, stage, kind, rule, share, rng, store)
        if row is not None:
            return row | rerun(workflow, base, stage)
        rule, share = stage.rules[-1], share / 2
        for target in stage.targets:
            remove(workflow.folder / target)
    rerun(workflow, base, stage)
    return None


def strike(
    workflow: Workflow,
    base: Base,
    stage: Stage,
    kind: str,
    rule: str,
    share: float,
    rng: random.Random,
    store: Emulator | None,
) -> dict[str, Any] | None:
    """Run to a stage's targets, and strike when a job of a rule has done a share of its work; None if that was late."""
    began, run = time.monotonic(), Run(workflow, "--cores", "2", *stage.targets)
    try:
        job = reached(run, rule, share * base.cpu_seconds[rule])
        if job is None or not KINDS[kind](Struck(run, job, workflow.folder, store, rng)):
            return None
        run.wait(LONGEST_RUN)
        orphans = run.left(PATIENCE)
    finally:
        run.kill()
        said = run.said()
    return {
        "stage": stage.name,
        "kind": kind,
        "rule": rule,
        "share": round(share, 2),
        "exit": run.exit,
        "said": lines_of(said),
        "tracebacks": said.count("Traceback (most recent call last)"),
        "orphans": len(orphans),
        "seconds": round(time.monotonic() - began, 1),
    }


def reached(run: Run, rule: str, seconds: float) -> psutil.Process | None:
    """Wait until a job of a rule has taken a number of CPU seconds; its process, or None if the run ends before."""
    ends = time.monotonic() + LONGEST_RUN
    while run.is_running():
        assert time.monotonic() < ends, f"{rule}: the moment of the fault did not come"
        for job, found in jobs_below(run.pid).items():
            if found == rule and seconds_of(job) >= seconds:
                return job
        time.sleep(PAUSE)
    return None


def finished(workflow: Workflow, *arguments: str) -> Run:
    """Run Snakemake to its end."""
    run = Run(workflow, *arguments)
    try:
        run.wait(LONGEST_RUN)
    except BaseException:
        run.kill()
        raise
    return run


def rerun(workflow: Workflow, base: Base, stage: Stage) -> dict[str, Any]:
    """Run again as the README says: the same command, after `--unlock` where Snakemake asks for it."""
    began, cleaned = time.monotonic(), ""
    run = finished(workflow, "--cores", "2", *stage.targets)
    said = run.said()
    if run.exit and "--unlock" in said:
        cleaned = "--unlock"
        finished(workflow, "--unlock").said()
        run = finished(workflow, "--cores", "2", *stage.targets)
        said = run.said()
    orphans = run.left(PATIENCE)
    run.kill()
    found = digests(workflow.folder)
    return {
        "clean_up": cleaned,
        "rerun_exit": run.exit,
        "rerun_said": (lines_of(said) or [said[-2000:]]) if run.exit else [],
        "rerun_seconds": round(time.monotonic() - began, 1),
        "rerun_orphans": len(orphans),
        "compared": len(found.keys() & base.made.keys()),
        "differing": [path for path in found if path in base.made and found[path] != base.made[path]],
        "missing": [path for path in base.made if path not in found and path.startswith(stage.targets)],
        "ticket": None if TICKET not in found else found[TICKET] == base.made[TICKET],
        "result": None if RESULT not in found else found[RESULT] == base.made[RESULT],
        "leftovers": leftovers(workflow.folder),
    }


def survived(row: Mapping[str, Any]) -> bool:
    """Whether a rerun ended well, with the same bytes, and nothing stayed behind."""
    clean = not (row["orphans"] or row["rerun_orphans"] or row["leftovers"])
    same = not (row["differing"] or row["missing"]) and row["ticket"] is not False and row["result"] is not False
    return row["rerun_exit"] == 0 and clean and same


def lines_of(said: str) -> list[str]:
    """The lines in which the package says what went wrong."""
    return list(dict.fromkeys(re.findall(r"polyticket: error: .*", said)))


def full_plan(rng: random.Random, *, stores: int, disk: bool) -> list[tuple[Stage, str]]:
    """A kind of fault for every stage: each kind comes about equally often, in an order that is drawn.

    Args:
        rng: Draws.
        stores: At how many of the stages with a store it is the store that fails.
        disk: Whether a disk can be full.
    """
    common = ["job", "snakemake", "all"] + (["disk"] if disk else [])
    deck = [kind for _ in range(-(-len(STAGES) // len(common))) for kind in common]
    kinds = rng.sample(deck, len(STAGES))
    for number in rng.sample([number for number, stage in enumerate(STAGES) if stage.has_store], stores):
        kinds[number] = "store"
    return list(zip(STAGES, kinds, strict=True))
