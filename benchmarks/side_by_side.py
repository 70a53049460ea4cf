"""How every benchmark measures and speaks: both sides in turn, a table for people, one JSON line for programs."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any


def machine() -> str:
    """The processor and the cores that this process may use."""
    with open("/proc/cpuinfo", encoding="utf-8") as stream:
        names = [line.split(":")[1].strip() for line in stream if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0))
    return f"{names[0] if names else platform.processor()}, {cores} cores, load {os.getloadavg()[0]:.1f}"


def in_turn(sides: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median seconds of each side, measured in turn, so that a busy moment hits both."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, work in sides.items():
            began = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}


def report(benchmark: str, rows: dict[str, float], *, ratio: float, unit: str, n: int) -> None:
    """Print a table of named figures in `unit`, and last the JSON line."""
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:<{width}}  {value:12.4g} {unit}")
    print(f"{'ratio':<{width}}  {ratio:12.4g}")
    found = {"benchmark": benchmark, "ratio": round(ratio, 3), "unit": unit, "n": n, "machine": machine()}
    print(json.dumps(found))
