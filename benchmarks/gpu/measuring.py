"""What a part of the check finds, where it runs, and how differences, times and memory are measured."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from sides import Sizes
from torch import Tensor

PRECISIONS = ("float32", "bfloat16")


@dataclass
class Part:
    """What a part found.

    Attributes:
        figures: By name.
        missed: What is asserted and not met, in words.
        error: The traceback of what ended it, if anything did.
        seconds: What it took.
    """

    figures: dict[str, Any] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)
    error: str | None = None
    seconds: float = 0.0

    def note(self, name: str, value: float) -> None:
        """Keep a figure."""
        self.figures[name] = float(f"{value:.5g}")

    def most(self, name: str, value: float, limit: float) -> None:
        """Keep a figure that must not be above a limit, nor NaN."""
        self.note(name, value)
        if not value <= limit:
            self.missed.append(f"{name}: {value:.3g}; at most {limit:g}")

    def least(self, name: str, value: float, limit: float) -> None:
        """Keep a figure that must not be below a limit, nor NaN."""
        self.note(name, value)
        if not value >= limit:
            self.missed.append(f"{name}: {value:.3g}; at least {limit:g}")


@dataclass(frozen=True)
class Place:
    """Where the parts run, and how large.

    Attributes:
        device: The GPU.
        sizes: How large everything is.
        timed: Whether targets of speed are asserted.
    """

    device: torch.device
    sizes: Sizes
    timed: bool

    def faster(self, part: Part, name: str, value: float, limit: float) -> None:
        """Keep a ratio of speed, asserted where it means something."""
        if self.timed:
            part.least(name, value, limit)
        else:
            part.note(name, value)

    def wait(self) -> None:
        """Wait for the GPU."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def seconds(self, work: Callable[[], Any]) -> float:
        """Seconds of a call, the mean of as many as fit the time of a measurement, three at least; two are not counted.

        What calls leave queued on the GPU is waited for at the end.
        """
        for _ in range(2):
            work()
        self.wait()
        began, calls = time.perf_counter(), 0
        while calls < 3 or time.perf_counter() - began < self.sizes.seconds:
            work()
            calls += 1
            if calls % 8 == 0:
                self.wait()
        self.wait()
        return (time.perf_counter() - began) / calls

    def peak_gb(self, work: Callable[[], Any]) -> float:
        """The most memory of the GPU that a call takes beyond what was taken before, in GB; 0 on a CPU."""
        if self.device.type != "cuda":
            work()
            return 0.0
        self.wait()
        torch.cuda.reset_peak_memory_stats(self.device)
        before = torch.cuda.memory_allocated(self.device)
        work()
        self.wait()
        return (torch.cuda.max_memory_allocated(self.device) - before) / 1e9


def away(found: Any, wanted: Any) -> float:
    """The largest difference, relative to the largest value."""
    one, other = (np.asarray(x.detach().cpu() if isinstance(x, Tensor) else x, np.float64) for x in (found, wanted))
    return float(np.abs(one - other).max() / np.abs(other).max())


def digest(arrays: Sequence[Any]) -> str:
    """SHA-256 of the bytes of arrays or tensors."""
    sha = hashlib.sha256()
    for each in arrays:
        sha.update(np.ascontiguousarray(each.detach().cpu().numpy() if isinstance(each, Tensor) else each).tobytes())
    return sha.hexdigest()
