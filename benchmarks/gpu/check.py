"""The PyTorch paths on a GPU: whether they are right, whether they are deterministic, and how fast they are.

It needs a checkout, PyTorch, transformers, safetensors, NumPy and pyarrow; no network, and no data but what it makes.
Each part has a time budget. A part that fails does not hide the others, and all of it takes at most 8 minutes. The
figures are written as JSON after each part; the exit code is 0 if every part ran and met what is asserted.

    python benchmarks/gpu/check.py --out check.json        # on the first GPU
    python benchmarks/gpu/check.py --tiny                  # tiny sizes on a CPU: whether it runs
"""

import argparse
import gc
import json
import os
import platform
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path[:0] = [str(HERE.parents[1] / "src"), str(HERE)]

import numpy as np
import right
import speed
import torch
import transformers
from measuring import PRECISIONS, Part, Place
from sides import FULL, TINY

from polyticket.model.torch_setup import prepare_torch

MINUTES = 8
PATIENT = 600
"""The budget of a part with tiny sizes, in seconds: a busy machine is no fault."""


PARTS: dict[str, tuple[Callable[[Place, Part], None], int]] = {
    "saliency is right": (right.saliency_is_right, 30),
    "forward is right": (right.forward_is_right, 20),
    "fine-tuning is right": (right.finetuning_is_right, 25),
    "pruning is right": (right.pruning_is_right, 30),
    "retrieval is right": (right.retrieval_is_right, 20),
    "the same seed gives the same bytes": (right.is_deterministic, 40),
    "peak": (speed.peak, 20),
    "saliency, BERT-base": (speed.saliency_of_base, 60),
    "saliency, 1024/16": (speed.saliency_of_large, 70),
    "fine-tuning": (speed.finetuning_speed, 50),
    "a pruning step": (speed.pruning_speed, 45),
    "a step under a mask": (speed.step_under_a_mask, 40),
    "compact by masked": (speed.compact_speed, 30),
}
"""Part by name, and its budget in seconds: 480 in all."""


class OutOfTime(Exception):  # noqa: N818 (it names what happened)
    """A part took longer than its budget."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """End what takes longer."""

    def stop(*_: object) -> None:
        raise OutOfTime(f"more than {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def run(work: Callable[[Place, Part], None], place: Place, budget: float) -> Part:
    """A part, whatever becomes of it."""
    part, began = Part(), time.monotonic()
    try:
        if budget <= 0:
            raise OutOfTime("no time is left")
        with limited(budget):
            work(place, part)
    except Exception:
        part.error = traceback.format_exc()
    part.seconds = round(time.monotonic() - began, 2)
    gc.collect()
    if place.device.type == "cuda":
        torch.cuda.empty_cache()
    return part


def described(device: torch.device) -> dict[str, Any]:
    """The card and the versions."""
    found: dict[str, Any] = {"python": platform.python_version(), "torch": torch.__version__}
    found |= {"transformers": transformers.__version__, "numpy": np.__version__, "device": device.type}
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        found |= {"card": card.name, "memory_gb": round(card.total_memory / 1e9, 1), "cuda": torch.version.cuda}
    return found


def shares(parts: dict[str, Part]) -> None:
    """Put the share of the measured peak beside each rate of operations."""
    for part in parts.values():
        for precision in PRECISIONS:
            most = parts["peak"].figures.get(f"{precision}, TFLOP/s") if "peak" in parts else None
            if part is not parts.get("peak") and most and f"{precision}, TFLOP/s" in part.figures:
                part.note(f"{precision}, share of the peak", part.figures[f"{precision}, TFLOP/s"] / most)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts; 0 if all of them ran and met what is asserted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, on a CPU unless --device says otherwise")
    parser.add_argument("--device", choices=["cpu", "cuda"], help="default: cuda")
    parser.add_argument("--out", type=Path, default=Path("gpu-check.json"), help="the JSON file to write")
    parser.add_argument(
        "--only", nargs="+", choices=list(PARTS), default=list(PARTS), help="some parts", metavar="PART"
    )
    asked = parser.parse_args(arguments)
    began, name = time.monotonic(), asked.device or ("cpu" if asked.tiny else "cuda")
    if name == "cuda" and not torch.cuda.is_available():
        print("no GPU is found", file=sys.stderr)
        return 2
    prepare_torch(1 if asked.tiny else torch.get_num_threads())
    place = Place(torch.device(name), TINY if asked.tiny else FULL, timed=not asked.tiny)
    found: dict[str, Any] = {**described(place.device), "tiny": asked.tiny, "parts": {}}
    parts: dict[str, Part] = {}
    for title in asked.only:
        work, budget = PARTS[title]
        left = 60 * MINUTES - 5 - (time.monotonic() - began)
        parts[title] = part = run(work, place, PATIENT if asked.tiny else min(budget, left))
        shares(parts)
        show(title, part)
        found["parts"] = {title: asdict(part) for title, part in parts.items()}
        found["ok"] = not any(part.error or part.missed for part in parts.values())
        found["seconds"] = round(time.monotonic() - began, 1)
        beside = asked.out.with_name(f".{asked.out.name}.new")
        beside.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        beside.replace(asked.out)
    print(f"{'all met' if found['ok'] else 'NOT all met'} in {found['seconds']:.0f} s; {asked.out}")
    return 0 if found["ok"] else 1


def show(title: str, part: Part) -> None:
    """Print what a part found."""
    print(f"\n{title} ({part.seconds:.0f} s)")
    for name, value in part.figures.items():
        print(f"  {name}: {value:.4g}")
    for line in part.missed:
        print(f"  MISSED {line}")
    if part.error:
        print(f"  FAILED {part.error.strip().splitlines()[-1]}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
