"""What a job on a cluster takes before and after its script: Snakemake starts and reads the Snakefile within 3 seconds.

CPU seconds, which are what it takes where nothing else runs; on Slurm it happens twice, in the job and in its step. The
job is `collect_templates` of the sample, called as executors call it. The ratio is that of 3 seconds.
"""

import csv
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from side_by_side import report

ROOT = Path(__file__).resolve().parents[1]
MEASURED = "results/benchmarks/collect_templates/fr.tsv"
RULE = "collect_templates"
JOB = (
    *("--snakefile", str(ROOT / "Snakefile"), "--target-jobs", f"{RULE}:lang=fr", "--allowed-rules", RULE),
    *("--cores", "1", "--attempt", "1", "--force-use-threads", "--force", "--target-files-omit-workdir-adjustment"),
    *("--max-inventory-time", "0", "--retries", "0", "--nocolor", "--no-hooks", "--nolock", "--ignore-incomplete"),
    *("--rerun-triggers", "input", "mtime", "params", "software-env", "--scheduler", "greedy", "--mode", "remote"),
)
MOST_SECONDS, ROUNDS = 3.0, 3
CACHED = "a job"
CALLS = {"Snakemake --version": ("--version",), "a job, its code not digested before": JOB, CACHED: JOB}


def timed(folder: Path, *arguments: str) -> float:
    """CPU seconds of a call of Snakemake, without those of the script that it runs."""
    (folder / MEASURED).unlink(missing_ok=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "snakemake", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if (folder / MEASURED).exists():
        with (folder / MEASURED).open(encoding="utf-8") as stream:
            (row,) = csv.DictReader(stream, delimiter="\t")
        seconds -= float(row["cpu_time"])
    return seconds


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "resources").symlink_to(ROOT / "resources")
        found: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            (folder / ".snakemake/polyticket-code.json").unlink(missing_ok=True)
            for what, arguments in CALLS.items():
                found.setdefault(what, []).append(timed(folder, *arguments))
    rows = {what: min(seconds) for what, seconds in found.items()}
    report("job_start", rows, ratio=MOST_SECONDS / rows[CACHED], unit="CPU s", n=ROUNDS, least=1.0)


if __name__ == "__main__":
    main()
