"""`snakemake -n` for the 103 languages of the paper, with their dumps in some 400 parts: within 20 seconds and 1 GB."""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from side_by_side import machine, report

from polyticket.languages import CODES

ROOT = Path(__file__).resolve().parents[1]
PRESET = ROOT / "config/presets/tickets-paper.yaml"
ENOUGH_SECONDS, ENOUGH_MB = 20, 1000
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


def paper_config(folder: Path) -> dict[str, Any]:
    """The preset of the paper, with all languages and the data of `folder`."""
    config = yaml.safe_load(PRESET.read_text(encoding="utf-8"))
    places = {name: f"{folder}/{name}/{{lang}}" for name in ("panx", "udpos")}
    data = {"dumps": f"{folder}/wiki/{{lang}}/*-pages-articles*.xml.bz2", **places}
    return config | {"languages": list(CODES), "data": data, "store": "file://store"}


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


def dry_run(folder: Path) -> DryRun:
    """Run `snakemake -n --quiet rules` in `folder`.

    Raises:
        SystemExit: Snakemake failed; with what it said.
    """
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(paper_config(folder)), encoding="utf-8")
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
        str(ROOT / "Snakefile"),
    ]
    command += ["--directory", str(folder), "--configfile", str(config)]
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


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dumps = write_inputs(folder)
        found = dry_run(folder)
    jobs, seconds, megabytes = job_counts(found.text), found.seconds, found.megabytes
    total = jobs.pop("total")
    print(f"{len(CODES)} languages, {dumps} dump files, {total} jobs: {machine(1)}")
    print(", ".join(f"{rule} {count}" for rule, count in sorted(jobs.items())))
    print(f"peak of memory: {megabytes:.0f} MB, {'within' if megabytes <= ENOUGH_MB else 'ABOVE'} {ENOUGH_MB} MB")
    rows = {
        "snakemake -n": seconds,
        "CPU seconds of it": found.cpu_seconds,
        "per 1000 jobs": 1000 * seconds / total,
        "enough": ENOUGH_SECONDS,
    }
    report("dag", rows, ratio=ENOUGH_SECONDS / seconds, unit="s", n=total)
    if seconds > ENOUGH_SECONDS or megabytes > ENOUGH_MB:
        sys.exit(1)


if __name__ == "__main__":
    main()
