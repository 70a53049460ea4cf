"""How every benchmark measures and speaks: both sides in turn, a table for people, one JSON line for programs."""

import hashlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from polyticket.core.processes import set_for_jobs
from polyticket.core.processor import X86, described, processor, usable

set_for_jobs()

Clock = Callable[[], float]
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


class Turns(dict[str, float]):
    """Median seconds by side.

    Attributes:
        megabytes: By side, the most memory that it takes beyond what the process holds before.
    """

    def __init__(self, seconds: Mapping[str, float], megabytes: Mapping[str, float]) -> None:
        super().__init__(seconds)
        self.megabytes = dict(megabytes)


def in_turn(sides: Mapping[str, Callable[[], Any]], rounds: int, clock: Clock = time.perf_counter) -> Turns:
    """Measure each side in turn, so that a busy moment hits both.

    With `time.process_time` as the clock the seconds are those that the process computed.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    megabytes = dict.fromkeys(sides, 0.0)
    for _ in range(rounds):
        for name, work in sides.items():
            used = measured(work, clock)
            seconds[name].append(used.seconds)
            megabytes[name] = max(megabytes[name], used.megabytes)
    return Turns({name: statistics.median(values) for name, values in seconds.items()}, megabytes)


class Used(NamedTuple):
    """What a call took: seconds, and megabytes at most beyond what the process held before."""

    seconds: float
    megabytes: float


def measured(work: Callable[[], Any], clock: Clock = time.process_time) -> Used:
    """Call `work` once."""
    forget_peak()
    before, began = resident("VmRSS"), clock()
    work()
    seconds = clock() - began
    return Used(seconds, max(resident("VmHWM") - before, 0) / 1e6)


def forget_peak() -> None:
    """Let the peak of resident memory begin anew, where the system can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def resident(what: str) -> int:
    """Bytes that this process has in memory: `VmRSS` now, `VmHWM` at most so far; 0 where the system does not say."""
    with suppress(OSError):
        found = re.search(rf"^{what}:\s+(\d+) kB$", Path("/proc/self/status").read_text("utf-8"), re.MULTILINE)
        return 1024 * int(found[1]) if found else 0
    return 0


def grown(make: Callable[[int], Callable[[], Any]], sizes: Iterable[int]) -> dict[int, Used]:
    """What a task of several sizes takes in CPU seconds and memory; each runs once before it counts.

    Args:
        make: Gives the work of a size.
        sizes: In the unit of `n` of `report`.
    """
    found = {}
    for size in sizes:
        work = make(size)
        work()
        found[size] = measured(work)
    return found


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


class Ratio(NamedTuple):
    """A ratio of two sides, and its target on this processor, None without one."""

    value: float
    least: float | None = None


def report(
    benchmark: str,
    rows: Mapping[str, float],
    *,
    ratio: float,
    unit: str,
    n: int,
    threads: int = 1,
    least: float | None = None,
    others: Mapping[str, Ratio] | None = None,
    megabytes: Mapping[str, float] | None = None,
    sizes: Mapping[int, Used] | None = None,
) -> None:
    """Print a table of named figures in `unit`, and last the JSON line, which names the processor and its load.

    Args:
        benchmark: The benchmark's name.
        rows: Figures by name.
        ratio: What it is about.
        unit: Of the figures.
        n: How large the task was.
        threads: Compute threads.
        least: The target of the ratio, see `target`.
        others: Further ratios by name.
        megabytes: Memory by name, mostly of `rows`.
        sizes: What the task took at several sizes, see `grown`.
    """
    others, megabytes, sizes = others or {}, megabytes or {}, sizes or {}
    width = max(map(len, (*rows, *others)))
    for name, value in rows.items():
        print(f"{name:<{width}}  {value:12.4g} {unit}" + (f"  {megabytes[name]:8.0f} MB" if name in megabytes else ""))
    for name, one in {"ratio": Ratio(ratio, least), **others}.items():
        print(f"{name:<{width}}  {one.value:12.4g}" + ("" if one.least is None else f"  target {one.least:g}"))
    for size, used in sizes.items():
        print(f"of {size:,}: {used.seconds:.3g} CPU s, {used.megabytes:.0f} MB")
    found: dict[str, Any] = {"benchmark": benchmark, "ratio": round(ratio, 3), "unit": unit, "n": n}
    found |= {} if least is None else {"target": least}
    found["others"] = {
        name: {"ratio": round(one.value, 3)} | ({} if one.least is None else {"target": one.least})
        for name, one in others.items()
    }
    found["megabytes"] = {name: round(value, 1) for name, value in megabytes.items()}
    found["sizes"] = {
        size: {name: float(f"{x:.4g}") for name, x in used._asdict().items()} for size, used in sizes.items()
    }
    print(json.dumps(found | {"load": round(os.getloadavg()[0], 1), **processor(threads)}))
