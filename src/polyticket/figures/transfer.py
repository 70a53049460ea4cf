"""A heat map of masks taken elsewhere: where the mask comes from, and the language that is fine-tuned under it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from polyticket.core.files import Pathlike
from polyticket.figures.matrix import Matrix, draw_matrices
from polyticket.pruning.mask_sources import NAMED, mask_source_of
from polyticket.tasks.table import task_named


def plot_transfer(found: Mapping[str, Any], path: Pathlike) -> None:
    """Draw the matrix: a row per mask source, a column per language; a language's own mask is outlined.

    Args:
        found: What `transfer_table` says.
        path: The SVG file.
    """
    task, mask_sources, targets = found["task"], found["mask_sources"], found["targets"]
    seeds, shown = len(found["seeds"]), task_named(task).shown
    own = [
        (column, row)
        for row, mask_source in enumerate(mask_sources)
        for column, target in enumerate(targets)
        if mask_source.split("-")[:-1] == [task, target]
    ]
    panel = Matrix(
        f"{task}: {shown}, under masks from elsewhere",
        f"mean of {seeds} seeds" if seeds > 1 else "one seed",
        [_label(mask_source, percent) for mask_source, percent in zip(mask_sources, found["sparsity"], strict=True)],
        targets,
        np.array(found["mean"], np.float64),
        None if found["sd"] is None else np.array(found["sd"], np.float64),
        own,
        ("mask of", "fine-tuned"),
    )
    draw_matrices([panel], path, f"Transfer of masks in {task}", f"{shown}; {len(mask_sources)} masks")


def _label(mask_source: str, percent: float) -> str:
    *words, last = mask_source.split("-")
    if last.replace(".", "").isdecimal():
        return f"{' '.join(words)}, {last} %"
    return mask_source.replace("-", " ") + (f", {percent:.1f} %" if mask_source_of(mask_source).kind == NAMED else "")
