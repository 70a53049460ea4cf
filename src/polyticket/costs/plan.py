"""The costs of a run before it is launched: per rule, and in all."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

from polyticket.costs.jobs import Job, Listing
from polyticket.costs.sizes import Sizes
from polyticket.costs.table import Table
from polyticket.costs.work import Work, is_modelled, work_of

HOUR = 3600
TOTAL = "total"
ON_DEVICE = ("torch_gflop", "tensorflow_gflop", "torch_layers", "tensorflow_layers")
"""What an accelerator spares the cores."""


@dataclass(frozen=True)
class Cost:
    """What a job, a rule or a run costs.

    Attributes:
        jobs: How many.
        core_hours: Hours of one core at work, or held while an accelerator is at work.
        gpu_hours, tpu_hours: Hours of the accelerators of one job.
        longest_hours: Of the longest job, on all its threads.
        memory_mb: The largest memory that a job asks for; 0 where only its inputs will tell.
        store_in_gb, store_out_gb: GB written to the store, and read from it.
        disk_gb: GB of results on disk.
        money: By the prices of the table.
    """

    jobs: int = 0
    core_hours: float = 0.0
    gpu_hours: float = 0.0
    tpu_hours: float = 0.0
    longest_hours: float = 0.0
    memory_mb: int = 0
    store_in_gb: float = 0.0
    store_out_gb: float = 0.0
    disk_gb: float = 0.0
    money: float = 0.0


PEAKS = ("longest_hours", "memory_mb")
"""The figures of which the largest counts, and not the sum."""
COLUMNS = tuple(field.name for field in fields(Cost))


@dataclass(frozen=True)
class Plan:
    """The costs of a run.

    Attributes:
        rules: Rule to cost, the dearest first.
        unknown: Rules without a model of their work: only their starts are counted.
    """

    rules: dict[str, Cost]
    unknown: tuple[str, ...]

    def total(self) -> Cost:
        """The costs of all rules together."""
        return added(list(self.rules.values()))


def plan_of(listing: Listing, table: Table, *, whole: bool = False, gpu: bool = False) -> Plan:
    """The costs of a run.

    Args:
        listing: Its configuration and jobs.
        table: Throughputs, sizes and prices.
        whole: Whether jobs count whose results are there already.
        gpu: Whether jobs in PyTorch have a GPU.
    """
    sizes = Sizes(listing, table)
    by_rule: dict[str, list[Cost]] = {}
    for job in listing.jobs:
        if job.needed or whole:
            by_rule.setdefault(job.rule, []).append(cost_of(job, work_of(job, sizes, gpu=gpu), table))
    rules = {rule: added(costs) for rule, costs in by_rule.items()}
    dearest = sorted(rules, key=lambda rule: (-rules[rule].core_hours, rule))
    return Plan({rule: rules[rule] for rule in dearest}, tuple(rule for rule in dearest if not is_modelled(rule)))


def core_seconds(work: Work, table: Table) -> float:
    """Seconds of one core for a job; of a job with an accelerator, for what the accelerator does not spare."""
    spared = ON_DEVICE if work.device else ()
    begun = table.start_seconds[work.start]
    if work.start == "graph":
        begun += table.start_seconds["tensorflow"]
    return begun + sum(
        amount / table.per_core_second[unit] for unit, amount in work.amounts.items() if unit not in spared
    )


def cost_of(job: Job, work: Work, table: Table) -> Cost:
    """The cost of one job; one that has an accelerator holds its cores for as long."""
    seconds, device_hours = core_seconds(work, table), 0.0
    if work.device:
        gflop = sum(work.amounts.get(unit, 0.0) for unit in ("torch_gflop", "tensorflow_gflop"))
        device_hours = gflop / table.accelerators[f"{work.device}_gflop"] / HOUR
    core_hours = seconds / HOUR + job.threads * device_hours
    prices = {"core_hour": core_hours, f"{work.device}_hour": device_hours, "gb_out": work.fetched_gb}
    kept = {"gb_month": work.stored_gb}
    return Cost(
        jobs=1,
        core_hours=core_hours,
        gpu_hours=device_hours if work.device == "gpu" else 0.0,
        tpu_hours=device_hours if work.device == "tpu" else 0.0,
        longest_hours=core_hours / job.threads,
        memory_mb=job.resources["mem_mb"] or 0,
        store_in_gb=work.stored_gb,
        store_out_gb=work.fetched_gb,
        disk_gb=work.disk_gb,
        money=sum(table.price(unit) * amount for unit, amount in (prices | kept).items() if unit in table.prices),
    )


def added(costs: Sequence[Cost]) -> Cost:
    """The sum of costs; of memory and of the longest job the largest."""

    def together(name: str) -> float:
        combine: Callable[[Sequence[float]], float] = max if name in PEAKS else sum
        return combine([getattr(cost, name) for cost in costs] or [0])

    return Cost(**{name: together(name) for name in COLUMNS})  # type: ignore[arg-type]


def table_text(plan: Plan, *, money: bool) -> str:
    """A plan for a terminal, a rule a line.

    Args:
        plan: The plan.
        money: Whether there are prices.
    """
    shown = [name for name in COLUMNS if money or name != "money"]
    rows = [["rule", *(name.replace("_", " ") for name in shown)]]
    rows += [
        [rule, *(_shown(getattr(cost, name)) for name in shown)]
        for rule, cost in [*plan.rules.items(), (TOTAL, plan.total())]
    ]
    return aligned(rows)


def csv_text(plan: Plan) -> str:
    """A plan as CSV, with all digits that mean something."""
    rows = [[rule, *(getattr(cost, name) for name in COLUMNS)] for rule, cost in plan.rules.items()]
    total = plan.total()
    return as_csv([["rule", *COLUMNS], *rows, [TOTAL, *(getattr(total, name) for name in COLUMNS)]])


def as_csv(rows: Sequence[Sequence[object]]) -> str:
    """Rows as CSV, floats with six digits."""
    out = io.StringIO()
    rounded = [[f"{cell:.6g}" if isinstance(cell, float) else cell for cell in row] for row in rows]
    csv.writer(out, lineterminator="\n").writerows(rounded)
    return out.getvalue()


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows in columns, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
    return "\n".join(lines) + "\n"


def _shown(value: float) -> str:
    if isinstance(value, int):
        return str(value) if value else "-"
    if not value:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
