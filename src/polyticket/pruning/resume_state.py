"""The resume state of a search: masks as bits, metrics and the task head after a round, complete or absent."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, from_numpy

from polyticket.core.files import Pathlike, remove, written_beside
from polyticket.core.text import read_as
from polyticket.tickets.masks import Masks

KEY = "polyticket"


class ResumeState(NamedTuple):
    """The state of a search after a round.

    Attributes:
        masks: One row each, of the levels so far: one more than complete rounds, or all.
        metrics: Of the complete rounds.
        head: The weights of the task head after the last of them.
    """

    masks: Sequence[Masks]
    metrics: Sequence[Mapping[str, Any]]
    head: Mapping[str, Tensor]


def save(directory: Pathlike, state: ResumeState) -> None:
    """Save the state after a round, and remove that of the round before."""
    path = Path(directory) / f"round_{len(state.metrics):03d}.safetensors"
    tensors = {f"head/{name}": tensor.contiguous() for name, tensor in state.head.items()}
    for level, masks in enumerate(state.masks):
        tensors |= {f"mask/{level}/{name}": from_numpy(np.array(masks.bytes_of(name))) for name in masks}
    shapes = {name: list(shape) for name, shape in state.masks[0].shapes.items()}
    header = {"levels": len(state.masks), "shapes": shapes, "metrics": list(state.metrics)}
    with written_beside(path) as temporary:
        save_file(tensors, temporary, metadata={KEY: json.dumps(header)})
    for old in path.parent.glob("round_*.safetensors"):
        if old != path:
            remove(old)


def newest(directory: Pathlike) -> ResumeState | None:
    """The state after the last complete round; None before the first."""
    files = sorted(Path(directory).glob("round_*.safetensors"))
    if not files:
        return None
    with read_as("the state of a search; remove it, and its round runs again", files[-1]):
        with safe_open(files[-1], framework="pt") as file:
            header = json.loads(file.metadata()[KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        shapes = {name: tuple(shape) for name, shape in header["shapes"].items()}
        masks = [
            Masks.of_bytes({name: tensors[f"mask/{level}/{name}"].numpy() for name in shapes}, shapes, 1)
            for level in range(header["levels"])
        ]
        head = {name.removeprefix("head/"): tensor for name, tensor in tensors.items() if name.startswith("head/")}
        return ResumeState(masks, header["metrics"], head)
