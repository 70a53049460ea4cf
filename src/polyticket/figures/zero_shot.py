"""Heat maps of transfer: trained on one language, predicted in another."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from polyticket.core.files import Pathlike
from polyticket.figures.matrix import Matrix, draw_matrices
from polyticket.figures.rows import label_of
from polyticket.tasks.table import task_named


def plot_zero_shot(matrices: Mapping[str, Mapping[str, Any]], path: Pathlike) -> None:
    """Draw a heat map per run, run below run with one scale: a row per language trained on, a column per predicted one.

    Scores of a language in itself are outlined.

    Args:
        matrices: What `tabulate` says, by run.
        path: The SVG file.
    """
    first = next(iter(matrices.values()))
    shown = task_named(first["task"]).shown
    panels = [_panel(f"{run}: {first['task']}, {shown}", found) for run, found in matrices.items()]
    languages = len(first["targets"])
    draw_matrices(panels, path, f"Transfer in {first['task']}", f"{shown}; {languages} languages")


def _panel(title: str, found: Mapping[str, Any]) -> Matrix:
    sources, targets = found["sources"], found["targets"]
    return Matrix(
        title,
        _subtitle(found),
        [label_of(source) for source in sources],
        targets,
        np.array(found["mean"], np.float64),
        None if found["sd"] is None else np.array(found["sd"], np.float64),
        [(targets.index(one), row) for row, one in enumerate(sources) if one in targets],
        ("trained on", "predicted"),
    )


def _subtitle(found: Mapping[str, Any]) -> str:
    words = f"mean of {found['seeds']} seeds" if found["seeds"] > 1 else "one seed"
    if found["gap"] is not None:
        means = f"in the language itself {found['in_language']:.2f}, from another {found['zero_shot']:.2f}"
        words = f"{means}: gap {found['gap']:.2f}; {words}"
    return words
