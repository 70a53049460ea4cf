"""Heat maps of transfer: trained on one language, predicted in another."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from polyticket.figures.rows import is_dense, label_of
from polyticket.figures.style import COLOURS, INK, drawing
from polyticket.files import Pathlike
from polyticket.tasks.registry import task_named

Matrix = Mapping[str, Any]
LEFT, ABOVE, BELOW, GAP, SCALE = 1.95, 0.62, 0.85, 0.3, 1.1  # inches
# darker is better, in grey print too
LEVELS = LinearSegmentedColormap.from_list("better", ["#F1F5F8", COLOURS[5], COLOURS[0], "#00233A"])


def plot_zero_shot(matrices: Mapping[str, Matrix], path: Pathlike) -> None:
    """Draw a heat map per run, run below run with one scale: a row per language trained on, a column per predicted one.

    Scores of a language in itself are outlined. Cells of up to 30 languages say their mean over seeds, of up to 10 also
    the standard deviation if there is one.

    Args:
        matrices: What `tabulate` says, by run.
        path: The SVG file.
    """
    task, first = (next(iter(matrices.values()))[key] for key in ("task", "targets"))
    rows = max(max(len(found["sources"]), len(found["targets"])) for found in matrices.values())
    cell, norm = _cell(rows), _scale(list(matrices.values()))
    heights = [len(found["sources"]) * cell for found in matrices.values()]
    wide = max(len(found["targets"]) for found in matrices.values()) * cell
    size = max(LEFT + wide + GAP + SCALE, 4.6), sum(heights) + len(heights) * (ABOVE + BELOW)
    top, shown = size[1], task_named(task).shown
    with drawing(path, size, f"Transfer in {task}", f"{shown}; {len(first)} languages") as figure:
        for (run, found), high in zip(matrices.items(), heights, strict=True):
            bottom = top - ABOVE - high
            axes = _place(figure, (LEFT, bottom, len(found["targets"]) * cell, high))
            axes.set_title(f"{run}: {task}, {shown}", pad=19)
            _annotate(axes, found)
            _draw_cells(axes, found, norm, cell, rows)
            long = min(max(high, 1.1), 3)
            _draw_scale(_place(figure, (LEFT + wide + GAP, bottom + high - long, 0.14, long)), norm)
            top = bottom - BELOW


def _cell(rows: int) -> float:
    """Inches a cell: room for two numbers, for one, or none."""
    return 0.58 if rows <= 10 else 0.34 if rows <= 30 else float(np.clip(10 / rows, 0.1, 0.16))


def _scale(matrices: Sequence[Matrix]) -> Normalize:
    values = np.concatenate([np.ravel(found["mean"]) for found in matrices])
    ticks = _locator().tick_values(values.min(), values.max())
    return Normalize(ticks[0], ticks[-1])


def _locator() -> MaxNLocator:
    return MaxNLocator(6, steps=[1, 2, 5, 10])


def _place(figure: Figure, inches: tuple[float, float, float, float]) -> Axes:
    width, height = figure.get_size_inches()
    left, bottom, wide, high = inches
    axes = figure.add_axes((left / width, bottom / height, wide / width, high / height))
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return axes


def _annotate(axes: Axes, found: Matrix) -> None:
    words = f"mean of {found['seeds']} seeds" if found["seeds"] > 1 else "one seed"
    if found["gap"] is not None:
        means = f"in the language itself {found['in_language']:.2f}, from another {found['zero_shot']:.2f}"
        words = f"{means}: gap {found['gap']:.2f}; {words}"
    axes.annotate(words.replace("-", "−"), (0, 1), xycoords="axes fraction", xytext=(0, 7),
                  textcoords="offset points", size=8, color="#555555")  # fmt: skip


def _draw_cells(axes: Axes, found: Matrix, norm: Normalize, cell: float, languages: int) -> None:
    sources, targets, values = found["sources"], found["targets"], np.array(found["mean"])
    rows, columns = values.shape
    letters = 8.0 if not is_dense(languages) else min(7.0, cell * 72 * 0.85)
    # one image instead of a path for each of ten thousand cells
    axes.imshow(values, LEVELS, norm, interpolation="none", aspect="auto", extent=(0, columns, rows, 0))
    if not is_dense(languages):
        axes.hlines(range(1, rows), 0, columns, color="white", linewidth=1)
        axes.vlines(range(1, columns), 0, rows, color="white", linewidth=1)
        spreads = np.array(found["sd"]) if found["sd"] is not None and languages <= 10 else None
        _write_values(axes, values, spreads, norm, size=9 if languages <= 10 else 7)
    _outline(
        axes,
        [(targets.index(one), row) for row, one in enumerate(sources) if one in targets],
        dense=is_dense(languages),
    )
    axes.set(xlim=(0, columns), ylim=(rows, 0), ylabel="trained on", xlabel="predicted")
    axes.set_xticks(np.arange(columns) + 0.5, targets, rotation=90 if languages > 10 else 0, size=letters)
    axes.set_yticks(np.arange(rows) + 0.5, [label_of(name) for name in sources], size=letters)
    axes.tick_params(pad=2)


def _write_values(
    axes: Axes, values: NDArray[np.float64], spreads: NDArray[np.float64] | None, norm: Normalize, *, size: float
) -> None:
    for row, column in np.ndindex(values.shape):
        value = float(values[row, column])
        colour = "white" if np.dot(LEVELS(norm(value))[:3], (0.299, 0.587, 0.114)) < 0.5 else INK
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
    bar = axes.figure.colorbar(ScalarMappable(norm, LEVELS), cax=axes)
    bar.outline.set_visible(False)
    bar.locator = _locator()
    bar.update_ticks()
    axes.tick_params(labelsize=8, length=2)
