"""The rounds of a search that are done, on disk: masks as bits, metrics, and the head; complete or absent."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, from_numpy

from polyticket.core.files import Pathlike, remove, written_beside
from polyticket.tickets.masks import Masks

KEY = "polyticket"


class ResumeState(NamedTuple):
    """Where a search stands.

    Attributes:
        masks: Of the levels so far, one row each: one more than rounds are done, or all.
        metrics: Of the rounds that are done.
        head: The head's weights after the last of them.
    """

    masks: Sequence[Masks]
    metrics: Sequence[Mapping[str, Any]]
    head: Mapping[str, Tensor]


def save(folder: Pathlike, live: ResumeState) -> None:
    """Keep the state after a round, and remove that of the round before."""
    path = Path(folder) / f"round_{len(live.metrics):03d}.safetensors"
    tensors = {f"head/{name}": tensor.contiguous() for name, tensor in live.head.items()}
    for level, masks in enumerate(live.masks):
        tensors |= {f"mask/{level}/{name}": from_numpy(np.array(masks.bytes_of(name))) for name in masks}
    shapes = {name: list(shape) for name, shape in live.masks[0].shapes.items()}
    about = {"levels": len(live.masks), "shapes": shapes, "metrics": list(live.metrics)}
    with written_beside(path) as place:
        save_file(tensors, place, metadata={KEY: json.dumps(about)})
    for old in path.parent.glob("round_*.safetensors"):
        if old != path:
            remove(old)


def newest(folder: Pathlike) -> ResumeState | None:
    """The state after the last complete round; None if none is."""
    found = sorted(Path(folder).glob("round_*.safetensors"))
    if not found:
        return None
    with safe_open(found[-1], framework="pt") as file:
        about = json.loads(file.metadata()[KEY])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    shapes = {name: tuple(shape) for name, shape in about["shapes"].items()}
    masks = [
        Masks.of_bytes({name: tensors[f"mask/{level}/{name}"].numpy() for name in shapes}, shapes, 1)
        for level in range(about["levels"])
    ]
    head = {name.removeprefix("head/"): tensor for name, tensor in tensors.items() if name.startswith("head/")}
    return ResumeState(masks, about["metrics"], head)
