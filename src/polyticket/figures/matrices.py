"""Heat maps of score matrices: zero-shot transfer, and transfer of masks; darker is better."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from polyticket.core.files import Pathlike
from polyticket.figures.cells import (
    Cells,
    cell_size,
    draw_scale,
    letter_size,
    placed_axes,
    rotation,
    rule_off,
    say_below_title,
)
from polyticket.figures.rows import is_dense, label_of
from polyticket.figures.style import COLOURS, drawing, ink_on
from polyticket.pruning.mask_sources import NAMED, mask_source_of
from polyticket.tasks.table import task_named

Values = NDArray[np.float64]
LEFT, ABOVE, BELOW, GAP, SCALE = 1.95, 0.62, 0.85, 0.3, 1.1  # inches
# darker is better, in grey print too
LEVELS = LinearSegmentedColormap.from_list("better", ["#F1F5F8", COLOURS[5], COLOURS[0], "#00233A"])


class Matrix(NamedTuple):
    """One panel.

    Attributes:
        title: Above it.
        subtitle: Below the title.
        rows: What the rows are called.
        columns: What the columns are called.
        values: float64 [rows, columns]; NaN is left blank.
        spreads: As many standard deviations; None where there are none.
        outlined: Column and row of cells to frame.
        axis: What the rows are, and the columns.
    """

    title: str
    subtitle: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: Values
    spreads: Values | None
    outlined: Sequence[tuple[int, int]]
    axis: tuple[str, str]


def draw_matrices(matrices: Sequence[Matrix], path: Pathlike, title: str, description: str) -> None:
    """Draw a heat map per matrix, one below the other with one scale.

    Cells of up to 30 rows or columns say their value, of up to 10 also the standard deviation if there is one.

    Args:
        matrices: The panels.
        path: The SVG file.
        title: For the file's metadata, as is the description.
        description: What is shown.
    """
    most = max(max(matrix.values.shape) for matrix in matrices)
    cell, norm = cell_size(most), _scale(matrices)
    heights = [len(matrix.rows) * cell for matrix in matrices]
    wide = max(len(matrix.columns) for matrix in matrices) * cell
    size = max(LEFT + wide + GAP + SCALE, 6.5), sum(heights) + len(heights) * (ABOVE + BELOW)
    top = size[1]
    with drawing(path, size, title, description) as figure:
        for matrix, high in zip(matrices, heights, strict=True):
            bottom = top - ABOVE - high
            axes = placed_axes(figure, (LEFT, bottom, len(matrix.columns) * cell, high))
            axes.set_title(matrix.title, pad=19)
            say_below_title(axes, matrix.subtitle)
            _draw_cells(axes, matrix, norm, cell, most)
            long = min(max(high, 1.1), 3)
            _draw_scale(placed_axes(figure, (LEFT + wide + GAP, bottom + high - long, 0.14, long)), norm)
            top = bottom - BELOW


def _scale(matrices: Sequence[Matrix]) -> Normalize:
    values = np.concatenate([found.values.ravel() for found in matrices])
    values = values[np.isfinite(values)] if np.isfinite(values).any() else np.zeros(1)
    middle, half = (values.max() + values.min()) / 2, max(np.ptp(values), 0.1) / 2
    ticks = _locator().tick_values(middle - half, middle + half)
    return Normalize(ticks[0], ticks[-1])


def _locator() -> MaxNLocator:
    return MaxNLocator(6, steps=[1, 2, 5, 10])


def _draw_cells(axes: Axes, matrix: Matrix, norm: Normalize, cell: float, most: int) -> None:
    rows, columns = matrix.values.shape
    letters = letter_size(most, cell)
    axes.add_artist(Cells(matrix.values, LEVELS, norm))
    if not is_dense(most):
        rule_off(axes, rows, columns)
        _write_values(axes, matrix.values, matrix.spreads if most <= 10 else None, norm, size=9 if most <= 10 else 7)
    _outline(axes, matrix.outlined, dense=is_dense(most))
    axes.set(xlim=(0, columns), ylim=(rows, 0), ylabel=matrix.axis[0], xlabel=matrix.axis[1])
    axes.set_xticks(np.arange(columns) + 0.5, matrix.columns, rotation=rotation(matrix.columns, most), size=letters)
    axes.set_yticks(np.arange(rows) + 0.5, matrix.rows, size=letters)
    axes.tick_params(pad=2)


def _write_values(axes: Axes, values: Values, spreads: Values | None, norm: Normalize, *, size: float) -> None:
    for row, column in zip(*np.nonzero(np.isfinite(values)), strict=True):
        value = float(values[row, column])
        colour = ink_on(LEVELS(norm(value)))
        at = row + (0.5 if spreads is None else 0.4)
        words = f"{value:.2f}".replace("-", "−")
        axes.text(column + 0.5, at, words, ha="center", va="center", size=size, color=colour)
        if spreads is not None:
            words = f"± {spreads[row, column]:.2f}"
            axes.text(column + 0.5, row + 0.72, words, ha="center", va="center", size=6.5, color=colour)


def _outline(axes: Axes, cells: Sequence[tuple[int, int]], *, dense: bool) -> None:
    """A frame around cells (column, row)."""
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)])
    frames = [corners + cell for cell in cells]
    axes.add_collection(LineCollection(frames, colors=COLOURS[4], linewidths=0.8 if dense else 1.6, clip_on=False))


def _draw_scale(axes: Axes, norm: Normalize) -> None:
    draw_scale(axes, LEVELS, norm)
    axes.yaxis.set_major_locator(_locator())


def plot_zero_shot(matrices: Mapping[str, Mapping[str, Any]], path: Pathlike) -> None:
    """Draw a heat map per run, run below run with one scale: a row per language trained on, a column per predicted one.

    Scores of a language in itself are outlined.

    Args:
        matrices: What `tabulate` says, by run.
        path: The SVG file.
    """
    first = next(iter(matrices.values()))
    shown = task_named(first["task"]).shown
    panels = [_zero_shot_panel(f"{run}: {first['task']}, {shown}", scores) for run, scores in matrices.items()]
    languages = len(first["targets"])
    draw_matrices(panels, path, f"Transfer in {first['task']}", f"{shown}; {languages} languages")


def _zero_shot_panel(title: str, scores: Mapping[str, Any]) -> Matrix:
    sources, targets = scores["sources"], scores["targets"]
    return Matrix(
        title,
        _zero_shot_subtitle(scores),
        [label_of(source) for source in sources],
        targets,
        np.array(scores["mean"], np.float64),
        None if scores["sd"] is None else np.array(scores["sd"], np.float64),
        [(targets.index(one), row) for row, one in enumerate(sources) if one in targets],
        ("trained on", "predicted"),
    )


def _zero_shot_subtitle(scores: Mapping[str, Any]) -> str:
    words = f"mean of {scores['seeds']} seeds" if scores["seeds"] > 1 else "one seed"
    if scores["gap"] is not None:
        means = f"in the language itself {scores['in_language']:.2f}, from another {scores['zero_shot']:.2f}"
        words = f"{means}: gap {scores['gap']:.2f}; {words}"
    return words


def plot_transfer(table: Mapping[str, Any], path: Pathlike) -> None:
    """Draw the matrix: a row per mask source, a column per language; a language's own mask is outlined.

    Args:
        table: What `transfer_table` says.
        path: The SVG file.
    """
    task, mask_sources, targets = table["task"], table["mask_sources"], table["targets"]
    seeds, shown = len(table["seeds"]), task_named(task).shown
    own = [
        (column, row)
        for row, mask_source in enumerate(mask_sources)
        for column, target in enumerate(targets)
        if mask_source.split("-")[:-1] == [task, target]
    ]
    panel = Matrix(
        f"{task}: {shown}, under masks from elsewhere",
        f"mean of {seeds} seeds" if seeds > 1 else "one seed",
        [
            _mask_label(mask_source, percent)
            for mask_source, percent in zip(mask_sources, table["sparsity"], strict=True)
        ],
        targets,
        np.array(table["mean"], np.float64),
        None if table["sd"] is None else np.array(table["sd"], np.float64),
        own,
        ("mask of", "fine-tuned"),
    )
    draw_matrices([panel], path, f"Transfer of masks in {task}", f"{shown}; {len(mask_sources)} masks")


def _mask_label(mask_source: str, percent: float) -> str:
    *words, last = mask_source.split("-")
    if last.replace(".", "").isdecimal():
        return f"{' '.join(words)}, {last} %"
    return mask_source.replace("-", " ") + (f", {percent:.1f} %" if mask_source_of(mask_source).kind == NAMED else "")
