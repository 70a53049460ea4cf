"""A heat map of masks taken elsewhere: where the mask comes from, and the language that is fine-tuned under it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from polyticket.core.files import Pathlike
from polyticket.figures.matrix import Matrix, draw_matrices
from polyticket.pruning.mask_sources import NAMED, origin_of
from polyticket.tasks.registry import task_named


def plot_transfer(found: Mapping[str, Any], path: Pathlike) -> None:
    """Draw the matrix: a row per origin of a mask, a column per language; a language's own mask is outlined.

    Args:
        found: What `transfer_table` says.
        path: The SVG file.
    """
    task, origins, targets = found["task"], found["origins"], found["targets"]
    seeds, shown = len(found["seeds"]), task_named(task).shown
    own = [
        (column, row)
        for row, origin in enumerate(origins)
        for column, target in enumerate(targets)
        if origin.split("-")[:-1] == [task, target]
    ]
    panel = Matrix(
        f"{task}: {shown}, under masks from elsewhere",
        f"mean of {seeds} seeds" if seeds > 1 else "one seed",
        [_label(origin, percent) for origin, percent in zip(origins, found["sparsity"], strict=True)],
        targets,
        np.array(found["mean"], np.float64),
        None if found["sd"] is None else np.array(found["sd"], np.float64),
        own,
        ("mask of", "fine-tuned"),
    )
    draw_matrices([panel], path, f"Transfer of masks in {task}", f"{shown}; {len(origins)} masks")


def _label(origin: str, percent: float) -> str:
    *words, last = origin.split("-")
    if last.replace(".", "").isdecimal():
        return f"{' '.join(words)}, {last} %"
    return origin.replace("-", " ") + (f", {percent:.1f} %" if origin_of(origin).kind == NAMED else "")
