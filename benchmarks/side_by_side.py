"""How every benchmark measures and speaks: both sides in turn, a table for people, one JSON line for programs."""

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from polyticket.core.processes import set_for_jobs
from polyticket.core.processor import X86, described, processor, usable

set_for_jobs()

HERE = Path(__file__).resolve().parent
ONE_THREAD = dict.fromkeys(("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
NO_GPU = {"CUDA_VISIBLE_DEVICES": ""}


def machine(threads: int) -> str:
    """The processor, its instruction set, the threads and the load, for people."""
    return f"{described(threads)}, load {os.getloadavg()[0]:.1f}"


def target(least: dict[str, float]) -> float:
    """The least ratio that is asked for on this processor.

    Args:
        least: Ratio by instruction set; that of the highest one that the libraries use counts.
    """
    found = usable()
    known = [one for one in least if found not in X86 or X86.index(one) <= X86.index(found)]
    return least[known[-1]] if known else next(iter(least.values()))


def in_turn(
    sides: dict[str, Callable[[], Any]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Median seconds of each side, measured in turn, so that a busy moment hits both.

    With `time.process_time` as the clock these are the seconds that the process computed.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, work in sides.items():
            began = clock()
            work()
            seconds[name].append(clock() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}


def environment(name: str) -> Path:
    """The Python of a side's own virtual environment, made of ``requirements/<name>.txt`` when it is first asked for.

    It stands in ``$POLYTICKET_BENCH/<name>``, or in ``.bench/<name>`` of the repository, and is made anew when the
    requirements change.
    """
    requirements = HERE / "requirements" / f"{name}.txt"
    folder = Path(os.environ.get("POLYTICKET_BENCH") or HERE.parent / ".bench").resolve() / name
    python, stamp = folder / "bin/python", folder / "made-of"  # the stamp comes last: what lacks it is half made
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if not stamp.is_file() or stamp.read_text(encoding="ascii") != digest:
        print(f"making {folder} (once)", file=sys.stderr)
        began = time.perf_counter()
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install = ["install", "--quiet", "--disable-pip-version-check", "--no-compile", "--no-deps", "--requirement"]
        subprocess.run([str(python), "-m", "pip", *install, str(requirements)], check=True)
        stamp.write_text(digest, encoding="ascii")
        size = sum(file.lstat().st_size for file in folder.rglob("*") if not file.is_dir())
        print(f"made in {time.perf_counter() - began:.0f} s, {size / 1e6:.0f} MB", file=sys.stderr)
    return python


def run_side(script: str, job: dict[str, Any], folder: Path, *, python: Path | None = None) -> Any:
    """Run ``sides/<script>.py`` on one thread with a job, and give what it found; both travel as JSON files.

    Args:
        script: The side's name.
        job: What it is asked; it gets `folder` besides.
        folder: Where it may write.
        python: The Python of its own environment, which sees nothing of this one; None for this one.

    Raises:
        subprocess.CalledProcessError: The side failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    asked, found = folder / "job.json", folder / "found.json"
    asked.write_text(json.dumps(job | {"folder": str(folder)}), encoding="utf-8")
    command = [str(python), "-I"] if python else [sys.executable]
    command += [str(HERE / "sides" / f"{script}.py"), str(asked), str(found)]
    subprocess.run(command, check=True, env=os.environ | ONE_THREAD | NO_GPU)
    return json.loads(found.read_text(encoding="utf-8"))


def report(
    benchmark: str,
    rows: dict[str, float],
    *,
    ratio: float,
    unit: str,
    n: int,
    threads: int = 1,
    least: float | None = None,
) -> None:
    """Print a table of named figures in `unit`, and last the JSON line, which names the processor.

    Args:
        benchmark: The benchmark's name.
        rows: Figures by name.
        ratio: What it is about.
        unit: Of the figures.
        n: How large the task was.
        threads: Compute threads.
        least: The target of the ratio, see `target`.
    """
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:<{width}}  {value:12.4g} {unit}")
    aim = "" if least is None else f"  target {least:g}"
    print(f"{'ratio':<{width}}  {ratio:12.4g}{aim}")
    found = {"benchmark": benchmark, "ratio": round(ratio, 3), "unit": unit, "n": n}
    found |= {} if least is None else {"target": least}
    print(json.dumps(found | {"load": round(os.getloadavg()[0], 1), **processor(threads)}))
