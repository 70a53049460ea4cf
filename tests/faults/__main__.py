"""Kill runs of the workflow at random moments, and check that each rerun ends with the same bytes.

    python -m tests.faults --runs 30 --seed 1 --folder faults

A run of the sample without faults comes first. Then come campaigns, each a run from dumps to a score that is struck
once in every stage: in turn with a store in a directory and with one at `gs://` (a server on loopback). Each runs on a
small tmpfs in a mount namespace of its own, which the disk's faults fill. A program that was ended goes on where it was
begun again with the same folder; only a campaign that was under way is run anew. `--only` runs some campaigns, so that
several programs can share a folder; `--page` writes the figures into a page of the documentation.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from polyticket.core.files import write_json
from polyticket.core.processor import name
from tests.faults.campaign import Base, finished, full_plan, run_campaign, survived
from tests.faults.kinds import BUCKET, Emulator
from tests.faults.page import write_between
from tests.faults.stages import RESULT, STAGES
from tests.support.workflow import Workflow

INSIDE = "POLYTICKET_FAULTS_INSIDE"
DISK_MB = 400
"""Size of the tmpfs that a campaign runs on; the workflow, its code and its results take about a third of it."""
NAMES = [stage.name for stage in STAGES]
MARK = "random faults"


def main() -> int:
    """Run the campaigns that are left; 0 if every rerun ended well."""
    given = arguments()
    if INSIDE not in os.environ:
        enter_namespace()
    folder = given.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # and end what it has started
    undisturbed = base_of(folder, given.small)
    base = Base.of(undisturbed)
    for number in given.only if given.only is not None else range(-(-given.runs // len(STAGES))):
        record = folder / f"campaign-{number}.json"
        if not record.is_file() or not read(record)["complete"]:
            run(record, undisturbed, base, number, given.seed, given.stages)
    found = [read(path) for path in sorted(folder.glob("campaign-*.json"))]
    told = report(found)
    print(told)
    if given.page:
        write_between(given.page, MARK, told)
    bad = [row for campaign in found for row in campaign["rows"] if not survived(row)]
    for row in bad:
        print(json.dumps(row, indent=1), file=sys.stderr)
    return bool(bad)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=30, help="faults at least; campaigns are run whole")
    parser.add_argument("--small", action="store_true", help="two languages and a smaller model, as in the tests")
    parser.add_argument("--seed", type=int, default=1, help="decides kinds and moments")
    parser.add_argument(
        "--folder", type=Path, default=Path("faults"), help="where it writes what it found, and resumes"
    )
    parser.add_argument("--only", type=int, nargs="*", help="the numbers of the campaigns to run, from 0")
    parser.add_argument("--stages", nargs="*", choices=NAMES, default=NAMES, help="only these are struck")
    parser.add_argument("--page", type=Path, help="a page of the documentation, rewritten between its marks")
    return parser.parse_args()


def enter_namespace() -> None:
    """Start this program again where it may mount a tmpfs that nobody else sees; without the right, it goes on here."""
    inside = ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") and subprocess.run([*inside, "true"], capture_output=True).returncode == 0:
        os.environ[INSIDE] = "tmpfs"
        os.execvp("unshare", [*inside, sys.executable, "-m", "tests.faults", *sys.argv[1:]])
    print("no tmpfs can be mounted here: the disk's faults are left out", file=sys.stderr)
    os.environ[INSIDE] = ""


def base_of(folder: Path, small: bool) -> Workflow:
    """The run without faults, which is made if it is not there, of the sample or of the configuration of tests."""
    workflow = Workflow(folder / "base") if (folder / "base").exists() else Workflow.made(folder / "base")
    workflow.arguments = workflow.arguments if small else ()
    if not (workflow.folder / RESULT).exists() and (made := finished(workflow, "--cores", "2", RESULT)).exit:
        sys.exit(made.said())
    return workflow


def read(record: Path) -> dict[str, Any]:
    """What a campaign found."""
    return json.loads(record.read_text(encoding="utf-8"))


def languages_of(workflow: Workflow) -> list[str]:
    """The languages of its configuration."""
    path = workflow.folder / ("small.yaml" if workflow.arguments else "config/config.yaml")
    return yaml.safe_load(path.read_text(encoding="utf-8"))["languages"]


def run(record: Path, undisturbed: Workflow, base: Base, number: int, seed: int, stages: list[str]) -> None:
    """Strike a run in each of some stages, on a tmpfs of its own; every second campaign has its store at `gs://`."""
    rng, began = random.Random(f"{seed} {number}"), sum(os.times()[:4])
    disk, store = bool(os.environ[INSIDE]), Emulator() if number % 2 else None
    place = Path(tempfile.mkdtemp(prefix="faults."))
    found: dict[str, Any] = {"seed": seed, "number": number, "processor": name(), "complete": False, "rows": []}
    try:
        if disk:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "faults", place], check=True)
        workflow = Workflow.made(place / "run", undisturbed.folder)
        (workflow.folder / "tmp").mkdir()
        workflow.environment["TMPDIR"] = str(workflow.folder / "tmp")
        if store:
            store.make_bucket()
        workflow.arguments = (*undisturbed.arguments, *(("--config", f"store=gs://{BUCKET}/run") if store else ()))
        languages, stores = languages_of(undisturbed), 0 if not store else 4 if number == 1 else 2
        full = full_plan(rng, stores=stores, disk=disk)
        plan = [(stage.of(languages), kind) for stage, kind in full if stage.name in stages]
        for row in run_campaign(workflow, base, plan, rng, store):
            found["rows"].append({"store": "gs://" if store else "file://", **row})
            found["cpu_seconds"] = round(sum(os.times()[:4]) - began, 1)
            write_json(record, found)
            print(line(number, found["rows"][-1]), flush=True)
        write_json(record, found | {"complete": True})
    finally:
        if disk:
            subprocess.run(["umount", "--lazy", place], check=False)
        shutil.rmtree(place, ignore_errors=True)
        if store:
            store.stop()


def line(number: int, row: Mapping[str, Any]) -> str:
    """A fault in a line: where, what, how the run and its rerun ended."""
    end = "same bytes" if survived(row) else "NOT AS BEFORE"
    at = f"{row['rule']} at {row['share']:.0%}"
    return (
        f"{time.strftime('%H:%M:%S')} {number} {row['store']:8}{row['stage']:14}{row['kind']:10}{at:25}"
        f" exit {row['exit']:3}, clean-up {row['clean_up'] or 'none':9}, {row['compared']:3} files: {end}"
    )


SHOWN = {
    "job": "a process of a job is killed",
    "snakemake": "Snakemake is killed",
    "all": "all processes are killed",
    "disk": "the disk is full",
    "store": "the store's server is killed and started again",
}


def report(campaigns: Iterable[Mapping[str, Any]]) -> str:
    """Tables in Markdown: by kind of fault, and by stage; and what it took."""
    found = list(campaigns)
    rows = [row for campaign in found for row in campaign["rows"]]
    good, whole = sum(map(survived, rows)), sum(row["result"] is not None for row in rows)
    left = [stage for stage in NAMES if stage not in {row["stage"] for row in rows}]
    seconds = sum(campaign["cpu_seconds"] for campaign in found)
    compared = sum(row["compared"] for row in rows)
    processors = ", ".join(sorted({campaign["processor"] for campaign in found}))
    return "\n".join(
        [
            "",
            f"{len(rows)} faults in {len(found)} campaigns, of which {whole} went on to the score; after {good} of the"
            f" faults the rerun ended as an undisturbed run does. {compared:,} times a file was compared."
            f" {seconds / 60:.0f} CPU minutes on {processors}.",
            *([f"Not struck: {', '.join(left)}."] if left else []),
            "",
            *tabulated("fault", [SHOWN[kind] for kind in SHOWN], rows, lambda row: SHOWN[row["kind"]]),
            "",
            *tabulated("stage", NAMES, rows, lambda row: row["stage"]),
            "",
        ]
    )


def tabulated(head: str, names: Iterable[str], rows: list[dict[str, Any]], name_of: Any) -> list[str]:
    """A row for each name: faults, what became of the run, and what became of the rerun."""
    counts = {
        "faults": lambda row: 1,
        "run ended well by retries": lambda row: row["exit"] == 0,
        "same bytes after the rerun": survived,
        "`--unlock` needed": lambda row: bool(row["clean_up"]),
        "processes left": lambda row: row["orphans"] + row["rerun_orphans"],
        "scratch files left": lambda row: len(row["leftovers"]),
    }
    lines = [f"| {head} | {' | '.join(counts)} |", "|---|" + "--:|" * len(counts)]
    for name_ in names:
        own = [row for row in rows if name_of(row) == name_]
        if own:
            lines.append(f"| {name_} | {' | '.join(str(sum(map(count, own))) for count in counts.values())} |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
