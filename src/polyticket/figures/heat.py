"""Heat maps of all pairs of languages, run below run with one scale, rows ordered by clustering, with trees."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray
from scipy.cluster.hierarchy import dendrogram, linkage
from scipy.spatial.distance import squareform

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
from polyticket.figures.style import COLOURS, FAINT, INK, drawing, ink_on, shortened

Shares = NDArray[np.float64]
LEFT, ABOVE, BELOW, GAP, TREE, SCALE = 1.75, 0.62, 0.72, 0.12, 1.4, 1.25  # inches
NARROWEST = 0.05  # what the scale spans at least, so that noise about zero stays pale
# grey is zero, white is left to what is not compared; darker is further away, in grey print too
LEVELS = LinearSegmentedColormap.from_list(
    "zero", ["#4A1F00", COLOURS[4], COLOURS[1], "#E6E6E6", COLOURS[5], COLOURS[0], "#00233A"]
)


class Heat(NamedTuple):
    """One panel.

    Attributes:
        title: Above it.
        subtitle: Below the title.
        languages: The L rows.
        alike: float64 [L, L], symmetric, at most 1: decides order and tree. NaN counts as 1.
        values: float64 [L, L], coloured about zero; NaN is left blank.
        written: float64 [L, L], what cells say first where they have room, with two decimals; None for the values.
    """

    title: str
    subtitle: str
    languages: tuple[str, ...]
    alike: Shares
    values: Shares
    written: Shares | None = None


class Look(NamedTuple):
    """What a figure says: title and description for its metadata, heading of the scale, its zero, the tree's axis."""

    title: str
    description: str
    scale: str
    zero: str
    tree: str


def clustered(alike: Shares) -> tuple[list[int], Shares | None]:
    """Order rows by average linkage of 1 − `alike`, with the leaf order that puts the most alike beside each other.

    The same in reverse is as good; the first row stands in the first half, so that runs look alike where they are.

    Args:
        alike: float64 [L, L], symmetric, at most 1; NaN counts as 1.

    Returns:
        The order of the L rows, and SciPy's linkage float64 [L − 1, 4]; of fewer than three rows, theirs and None.
    """
    if len(alike) < 3:
        return list(range(len(alike))), None
    distance = squareform(1 - np.nan_to_num(alike, nan=1.0), checks=False)
    tree = linkage(distance, "average", optimal_ordering=True)
    order = dendrogram(tree, no_plot=True)["leaves"]
    if order.index(0) >= len(order) / 2:
        tree[:, [0, 1]] = tree[:, [1, 0]]
        order.reverse()
    return order, tree


def draw_heat_maps(heats: Sequence[Heat], look: Look, path: Pathlike) -> None:
    """Draw a heat map per panel with its dendrogram, a row and a column per language; all with one scale.

    Cells of up to 30 languages say their value, of up to 10 two values if there are two.

    Args:
        heats: The panels.
        look: The words.
        path: The SVG file.
    """
    rows = max(len(heat.languages) for heat in heats)
    cell, (norm, least) = cell_size(rows), _scale(heats)
    heights = [len(heat.languages) * cell for heat in heats]
    size = LEFT + rows * cell + GAP + TREE + SCALE, sum(heights) + len(heats) * (ABOVE + BELOW)
    top = size[1]
    with drawing(path, size, look.title, look.description) as figure:
        for heat, high in zip(heats, heights, strict=True):
            bottom = top - ABOVE - high
            order, tree = clustered(heat.alike)
            axes = placed_axes(figure, (LEFT, bottom, high, high))
            _draw_cells(axes, heat, order, norm, rows)
            if tree is not None:
                place = placed_axes(figure, (LEFT + high + GAP, bottom, TREE, high))
                _draw_tree(place, tree, len(order), look.tree)
            if len(order) > 1:
                long = min(max(high, 1.1), 4)
                place = placed_axes(figure, (size[0] - SCALE + 0.3, bottom + high - long, 0.14, long))
                _draw_scale(place, norm, least, look)
            top -= ABOVE + high + BELOW


def _scale(heats: Sequence[Heat]) -> tuple[Normalize, float]:
    """As far below zero as above it, to the next 0.05 beyond all values; and from where on the scale is shown."""
    values = np.concatenate([heat.values.ravel() for heat in heats])
    values = values[np.isfinite(values)]
    least, most = values.min(initial=0), np.abs(values).max(initial=NARROWEST)
    reach = _next(most)
    return Normalize(-reach, reach), -_next(-least)


def _next(value: float) -> float:
    return math.ceil(round(value * 20, 9)) / 20


def _draw_cells(axes: Axes, heat: Heat, order: list[int], norm: Normalize, most: int) -> None:
    """A panel's cells and names, as large as those of the panel that has the most rows."""
    rows, names = len(order), [heat.languages[row] for row in order]
    cell = cell_size(most)
    letters = letter_size(most, cell)
    axes.set_title(shortened(heat.title, rows * cell + GAP + TREE), pad=19)
    say_below_title(axes, heat.subtitle)
    if rows == 1:
        axes.set(xticks=[], yticks=[])
        return
    place = np.ix_(order, order)
    values = heat.values[place]
    axes.set(xlim=(0, rows), ylim=(rows, 0))
    axes.add_artist(Cells(values, LEVELS, norm))
    if not is_dense(most):
        rule_off(axes, rows, rows)
        _write_values(axes, values, None if heat.written is None else heat.written[place], norm, few=most <= 10)
    axes.set_xticks(np.arange(rows) + 0.5, names, rotation=rotation(names, most), size=letters)
    axes.set_yticks(np.arange(rows) + 0.5, [label_of(name) for name in names], size=letters)
    axes.tick_params(pad=2)


def _write_values(axes: Axes, values: Shares, written: Shares | None, norm: Normalize, *, few: bool) -> None:
    both = few and written is not None
    for row, column in zip(*np.nonzero(np.isfinite(values)), strict=True):
        value = float(values[row, column])
        colour = ink_on(LEVELS(norm(value)))
        at = row + (0.4 if both else 0.5)
        words = signed(value) if written is None else f"{written[row, column]:.2f}"
        axes.text(column + 0.5, at, words, ha="center", va="center", size=9 if few else 7, color=colour)
        if both:
            axes.text(column + 0.5, row + 0.72, signed(value), ha="center", va="center", size=6.5, color=colour)


def signed(value: float) -> str:
    """Two decimals and a sign, with no −0.00."""
    return f"{round(value, 2) + 0.0:+.2f}".replace("-", "−")


def _draw_tree(axes: Axes, tree: Shares, rows: int, label: str) -> None:
    """Branches from the rows to the right; where two join is how alike their pairs are in the mean."""
    branches = dendrogram(tree, no_plot=True)
    heights, places = np.array(branches["dcoord"]), np.array(branches["icoord"]) / 10
    least, most = tree[:, 2].min(), tree[:, 2].max()
    room = max(0.06 * (most - least), 0.01)
    start, end = max(least - 2 * room, 0), most + room
    heights = np.maximum(heights, start)  # leaves begin at the edge
    axes.add_collection(
        LineCollection(list(np.stack([heights, places], axis=2)), colors=INK, linewidths=0.8, clip_on=False)
    )
    axes.hlines(places[-1][1:3].mean(), most, end, color=INK, linewidth=0.8)
    axes.set(xlim=(start, end), ylim=(rows, 0), yticks=[])
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda distance, _: f"{1 - distance:.3g}".replace("-", "−")))
    axes.spines["bottom"].set_visible(True)
    axes.tick_params(axis="x", length=2, labelsize=7, color=FAINT)
    axes.set_xlabel(label, size=7.5)


def _draw_scale(axes: Axes, norm: Normalize, least: float, look: Look) -> None:
    draw_scale(axes, LEVELS, norm, least)
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: look.zero if abs(value) < 1e-9 else signed(value)))
    axes.axhline(0, color=INK, linewidth=1)
    axes.set_title(look.scale, size=8, weight="normal", loc="left", pad=8)
