"""What a job on a cluster takes before and after its script: Snakemake starts and reads the Snakefile within 3 seconds.

CPU seconds, which are what it takes where nothing else runs; on Slurm it happens twice, in the job and in its step. The
job is `collect_templates` of the sample, called as executors call it. The ratio is that of 3 seconds. A workflow of one
rule, whose script is empty, shows how much of it is Snakemake's own. Python may keep its bytecode, as by default.
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
BARE = "a job of a workflow of one rule, its empty script included"
BARE_WORKFLOW = f"""
rule {RULE}:
    output: "{{lang}}.txt"
    params: code=1
    script: "empty.py"
"""


def bare_job(folder: Path) -> tuple[str, ...]:
    """The arguments that run the job of a workflow of one rule."""
    (folder / "Snakefile").write_text(BARE_WORKFLOW, encoding="utf-8")
    (folder / "empty.py").write_text("open(snakemake.output[0], 'w').close()\n", encoding="utf-8")
    return ("--snakefile", str(folder / "Snakefile"), *JOB[2:])


def timed(folder: Path, *arguments: str) -> float:
    """CPU seconds of a call of Snakemake, without those of the script that it runs where the rule measures them."""
    (folder / MEASURED).unlink(missing_ok=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "snakemake", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": ""}
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
        calls = CALLS | {BARE: bare_job(folder)}
        (folder / "resources").symlink_to(ROOT / "resources")
        found: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            (folder / ".snakemake/polyticket-code.json").unlink(missing_ok=True)
            for what, arguments in calls.items():
                found.setdefault(what, []).append(timed(folder, *arguments))
    rows = {what: min(seconds) for what, seconds in found.items()}
    report("job_start", rows, ratio=MOST_SECONDS / rows[CACHED], unit="CPU s", n=ROUNDS, least=1.0)


if __name__ == "__main__":
    main()
