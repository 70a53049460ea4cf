"""The plan of a run against the benchmark files that Snakemake wrote when it ran."""

import csv
import io
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, visible_files
from polyticket.core.text import read_text
from polyticket.costs.jobs import Listing
from polyticket.costs.plan import TOTAL, aligned, as_csv, core_seconds
from polyticket.costs.sizes import Sizes
from polyticket.costs.table import Table
from polyticket.costs.work import work_of

SHORT, LONG, MANY = 0.5, 30.0, 31
"""Snakemake reads the CPU time of a job every half second, 31 times, and then every 30 seconds."""
COLUMNS = ("rule", "jobs", "planned_core_seconds", "measured_core_seconds", "factor")


@dataclass(frozen=True)
class Compared:
    """A rule, planned and measured.

    Attributes:
        rule: Its name.
        jobs: Those with a benchmark.
        planned, measured: Core seconds of these.
    """

    rule: str
    jobs: int
    planned: float
    measured: float

    @property
    def factor(self) -> float:
        """How many times what was measured is planned."""
        return self.planned / self.measured if self.measured else float("inf")


def last_reading(seconds: float) -> float:
    """The second at which Snakemake read the CPU time of a job last."""
    dense = SHORT * (MANY - 1)
    if seconds < dense:
        return SHORT * (seconds // SHORT)
    return dense + LONG * ((seconds - dense) // LONG)


def cpu_seconds(seconds: float, read: float) -> float:
    """The CPU seconds of a job.

    Args:
        seconds: From its start to its end.
        read: The CPU time at the last reading; what follows is reckoned at the load up to it.
    """
    last = last_reading(seconds)
    return read * seconds / last if last else read


def read_benchmarks(place: Pathlike) -> dict[str, float]:
    """The CPU seconds of jobs.

    Args:
        place: The folder of a run's benchmark files, or a CSV file of `job,core_seconds`.

    Returns:
        The path of a job's file within the folder, without its suffix, to CPU seconds.

    Raises:
        PolyticketError: There are none, or a file is no benchmark.
    """
    path = Path(place)
    if path.is_file():
        return _read_table(path)
    found = {}
    for name, file in visible_files(path) if path.is_dir() else ():
        if name.endswith(".tsv") and (seconds := _read_benchmark(file)) is not None:
            found[name.removesuffix(".tsv")] = seconds
    if not found:
        raise PolyticketError("no benchmark files", where=path, expected="the folder <benchmarks> of a finished run")
    return found


def _read_table(path: Path) -> dict[str, float]:
    rows = csv.DictReader(io.StringIO(read_text(path, expected="CSV")))
    try:
        found = {row["job"]: float(row["core_seconds"]) for row in rows}
    except (KeyError, TypeError, ValueError, csv.Error):
        raise PolyticketError("not a table of jobs", where=path, expected="job,core_seconds") from None
    if wrong := [job for job, seconds in found.items() if not 0 <= seconds < math.inf]:
        raise PolyticketError(f"{found[wrong[0]]} seconds for {wrong[0]}", where=path, expected="seconds from 0")
    return found


def _read_benchmark(path: Path) -> float | None:
    """The CPU seconds of a job in all its repeats; None where it ended before they could be read."""
    rows = csv.DictReader(io.StringIO(read_text(path, expected="a benchmark file of Snakemake")), delimiter="\t")
    try:
        read = [(float(row["s"]), row["cpu_time"]) for row in rows]
        told = [cpu_seconds(seconds, float(time)) for seconds, time in read if time not in ("NA", "-")]
    except (KeyError, TypeError, ValueError, csv.Error):
        raise PolyticketError("not a benchmark file", where=path, expected="columns s and cpu_time") from None
    return sum(told) if told else None


def compare(listing: Listing, table: Table, measured: Mapping[str, float]) -> list[Compared]:
    """Every rule that has a benchmark, planned and measured, the dearest first, and the total last.

    Raises:
        PolyticketError: No job of the run has one.
    """
    sizes = Sizes(listing, table)
    found: dict[str, list[tuple[float, float]]] = {}
    for job in listing.jobs:
        seconds = job.benchmark and _measured(job.benchmark, measured)
        if seconds:
            found.setdefault(job.rule, []).append((core_seconds(work_of(job, sizes), table), seconds))
    rows = [Compared(rule, len(pairs), *map(sum, zip(*pairs, strict=True))) for rule, pairs in found.items()]
    if not rows:
        raise PolyticketError("no benchmark is of a job of this run", expected="those of the same configuration")
    rows.sort(key=lambda row: (-row.measured, row.rule))
    sums = (sum(row.jobs for row in rows), sum(row.planned for row in rows), sum(row.measured for row in rows))
    return [*rows, Compared(TOTAL, *sums)]


def _measured(benchmark: str, measured: Mapping[str, float]) -> float | None:
    """The seconds of the job whose benchmark path ends as one of the names does."""
    parts = PurePosixPath(benchmark.removesuffix(".tsv")).parts
    names = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((measured[name] for name in names if name in measured), None)


def compared_text(rows: Sequence[Compared]) -> str:
    """A comparison for a terminal."""
    lines = [
        [row.rule, str(row.jobs), f"{row.planned:.1f}", f"{row.measured:.1f}", f"{row.factor:.2f}"] for row in rows
    ]
    return aligned([[name.replace("_", " ") for name in COLUMNS], *lines])


def compared_csv(rows: Sequence[Compared]) -> str:
    """A comparison as CSV."""
    lines = [[row.rule, row.jobs, row.planned, row.measured, row.factor] for row in rows]
    return as_csv([COLUMNS, *lines])


def benchmarks_csv(measured: Mapping[str, float]) -> str:
    """CPU seconds as a table that `read_benchmarks` reads."""
    return as_csv([["job", "core_seconds"], *([job, seconds] for job, seconds in sorted(measured.items()))])


if __name__ == "__main__":  # python -m polyticket.costs.benchmarks results/benchmarks > table.csv
    sys.stdout.write(benchmarks_csv(read_benchmarks(sys.argv[1])))
