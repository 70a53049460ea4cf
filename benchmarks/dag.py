"""`snakemake -n` for the 103 languages of the paper, with their dumps in some 400 parts: within 8 seconds and 1 GB.

The ratio is that of 20 seconds, what a start may cost at most, and must be 2.5. A dry run is one thread of Python, so
its CPU seconds are what it takes where nothing else runs. A bare workflow of as many jobs, rules in a chain without
functions, is measured in turn and tells how fast the machine is.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from side_by_side import Used, machine, report

from polyticket.core.languages import CODES

ROOT = Path(__file__).resolve().parents[1]
PRESET = ROOT / "config/presets/tickets-paper.yaml"
ENOUGH_SECONDS, ENOUGH_MB = 20, 1000
LEAST_RATIO = 2.5
MOST_OF_BARE = 2.0
"""How many times what Snakemake needs for a bare workflow of as many jobs a start may take."""
ROUNDS = 3
LARGE = {"en": 60, "de": 20, "fr": 18, "es": 16, "ru": 16, "ja": 14, "it": 14, "pl": 12, "zh": 12, "pt": 10, "nl": 8}
OTHERS, PART_MB, SMALL_PART_MB = 2, 350, 60  # parts of each other language, and what a part holds


def parts_of(lang: str) -> int:
    """How many files a language's dump has."""
    return LARGE.get(lang, OTHERS)


def write_inputs(folder: Path) -> int:
    """Files of the sizes that dumps have, without their bytes, and empty files of the tasks; gives how many dumps."""
    for lang in CODES:
        (folder / "wiki" / lang).mkdir(parents=True)
        for part in range(parts_of(lang)):
            dump = folder / "wiki" / lang / f"{lang}wiki-pages-articles{part + 1}.xml.bz2"
            dump.touch()
            os.truncate(dump, (PART_MB if lang in LARGE else SMALL_PART_MB) * 10**6)
        for task, suffix in (("panx", ""), ("udpos", ".tsv")):
            (folder / task / lang).mkdir(parents=True)
            for split in ("train", "dev", "test"):
                (folder / task / lang / f"{split}{suffix}").touch()
    return sum(map(parts_of, CODES))


def paper_config(folder: Path, languages: Sequence[str] = tuple(CODES)) -> dict[str, Any]:
    """The preset of the paper, with the languages, all by default, and the data of `folder`."""
    config = yaml.safe_load(PRESET.read_text(encoding="utf-8"))
    places = {name: f"{folder}/{name}/{{lang}}" for name in ("panx", "udpos")}
    data = {"dumps": f"{folder}/wiki/{{lang}}/*-pages-articles*.xml.bz2", **places}
    evaluate = {task: [one for one in chosen if one in languages] for task, chosen in config["evaluate"].items()}
    return config | {"languages": list(languages), "evaluate": evaluate, "data": data, "store": "file://store"}


BARE_STAGES = 5
BARE_RULE = """
rule stage_{number}:
    input: "{before}/{{name}}"
    output: "{number}/{{name}}"
    log: "logs/{number}/{{name}}"
    benchmark: "benchmarks/{number}/{{name}}"
    threads: 1
    resources: mem_mb=1000, runtime=10
    params: setting=1
    script: "stage.py"
"""


def write_bare(folder: Path, jobs: int) -> Path:
    """A workflow of about so many jobs in a chain of rules without functions; gives its Snakefile."""
    names = [str(number) for number in range(jobs // BARE_STAGES)]
    (folder / "0").mkdir(parents=True)
    for name in names:
        (folder / "0" / name).touch()
    rules = [BARE_RULE.format(number=number, before=number - 1) for number in range(1, BARE_STAGES + 1)]
    wanted = f"rule all:\n    input: expand('{BARE_STAGES}/{{name}}', name={names})\n"
    (folder / "stage.py").touch()
    (folder / "Snakefile").write_text(wanted + "".join(rules), encoding="utf-8")
    return folder / "Snakefile"


class DryRun(NamedTuple):
    """What a dry run took and said.

    Attributes:
        seconds: From its start to its end.
        cpu_seconds: Of the processor, user and system: what the seconds would be on a machine with nothing else to do.
        megabytes: Peak of resident memory.
        text: What it printed.
    """

    seconds: float
    cpu_seconds: float
    megabytes: float
    text: str


def dry_run(folder: Path, snakefile: Path = ROOT / "Snakefile", languages: Sequence[str] = tuple(CODES)) -> DryRun:
    """Run `snakemake -n --quiet rules` in `folder`: of this workflow with the paper's configuration, or of another.

    Raises:
        SystemExit: Snakemake failed; with what it said.
    """
    arguments = []
    if snakefile.parent == ROOT:
        config = folder / "config.yaml"
        config.write_text(yaml.safe_dump(paper_config(folder, languages)), encoding="utf-8")
        arguments = ["--configfile", str(config)]
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "-n",
        "--quiet",
        "rules",
        "--cores",
        "2",
        "--snakefile",
        str(snakefile),
    ]
    command += ["--directory", str(folder), *arguments]
    said = folder / "said.txt"
    with said.open("wb") as out:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out)
        kilobytes = ended = 0
        while not ended:  # what the system reports at the end may be the peak of the process that started this one
            kilobytes = max(kilobytes, _peak_kilobytes(process.pid))
            time.sleep(0.02)
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    text = said.read_text(encoding="utf-8")
    if process.returncode:
        sys.exit(f"snakemake -n failed:\n{text}")
    return DryRun(seconds, used.ru_utime + used.ru_stime, kilobytes * 1024 / 10**6, text)


def _peak_kilobytes(process: int) -> int:
    """The largest resident memory so far of a process that runs; 0 if it has ended."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) if found else 0


def job_counts(text: str) -> dict[str, int]:
    """Jobs by rule, and in all under `total`, as a dry run prints them last."""
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", text, re.MULTILINE)}


def least(runs: list[DryRun]) -> DryRun:
    """The run that took the fewest CPU seconds: what else runs only ever adds."""
    return min(runs, key=lambda run: run.cpu_seconds)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dumps = write_inputs(folder / "paper")
        first = dry_run(folder / "paper")
        jobs = job_counts(first.text)
        total = jobs.pop("total")
        quarter = dry_run(folder / "paper", languages=CODES[: len(CODES) // 4])
        sizes = {job_counts(quarter.text)["total"]: Used(quarter.cpu_seconds, quarter.megabytes)}
        snakefile = write_bare(folder / "bare", total)
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(dry_run(folder / "paper"))
            theirs.append(dry_run(folder / "bare", snakefile))
    found, bare, megabytes = least(ours), least(theirs), first.megabytes
    ratio, of_bare = ENOUGH_SECONDS / found.cpu_seconds, found.cpu_seconds / bare.cpu_seconds
    print(f"{len(CODES)} languages, {dumps} dump files, {total} jobs: {machine(1)}")
    print(", ".join(f"{rule} {count}" for rule, count in sorted(jobs.items())))
    print(f"peak of memory: {megabytes:.0f} MB, {'within' if megabytes <= ENOUGH_MB else 'ABOVE'} {ENOUGH_MB} MB")
    print(f"{of_bare:.2f} times a bare workflow, {'within' if of_bare <= MOST_OF_BARE else 'ABOVE'} {MOST_OF_BARE:g}")
    rows = {
        "snakemake -n, by the clock": found.seconds,
        "CPU seconds of it": found.cpu_seconds,
        "CPU seconds of the first": first.cpu_seconds,
        "CPU seconds, a bare workflow": bare.cpu_seconds,
        "per 1000 jobs": 1000 * found.cpu_seconds / total,
        "enough": ENOUGH_SECONDS,
    }
    sizes[total] = Used(found.cpu_seconds, megabytes)
    report("dag", rows, ratio=ratio, unit="s", n=total, least=LEAST_RATIO, sizes=sizes)
    if ratio < LEAST_RATIO or of_bare > MOST_OF_BARE or megabytes > ENOUGH_MB:
        sys.exit(1)


if __name__ == "__main__":
    main()
