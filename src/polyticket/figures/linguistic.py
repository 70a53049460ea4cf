"""The tree of masks beside the family tree, and the similarity of masks against each linguistic distance."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.cluster.hierarchy import dendrogram, leaves_list

from polyticket.analysis.linguistic import Distances, Matrix, family_distances
from polyticket.core.files import Pathlike
from polyticket.core.tables import Row
from polyticket.figures.heat import clustered
from polyticket.figures.rows import label_of, row_height
from polyticket.figures.style import FAINT, INK, colour_of, drawing

TREE, NAMES, TIES, EDGE = 1.3, 1.2, 0.7, 0.15  # inches
PLOT, HIGH, ACROSS, BETWEEN = 1.8, 1.55, 0.22, 0.75
LEFT, ABOVE, BELOW, TITLE = 0.8, 0.75, 0.6, 0.3
COLUMNS = 3
MARKED = 12  # points that have room for their names


def plot_linguistic(
    similarity: Matrix,
    kinds: Sequence[Distances],
    rows: Sequence[Row],
    trees: Mapping[str, Any],
    path: Pathlike,
    *,
    measure: str,
) -> None:
    """Draw the tree of tickets facing the family tree, and for each kind of distance a point per pair of languages.

    Points stand at the distance of the languages and at 1 − similarity of their tickets: where near languages have
    tickets that are alike, the line rises and the correlation is positive.

    Args:
        similarity: float64 [L, L] of the kinds' languages.
        kinds: Distances of each kind, all of the same languages.
        rows: Their Mantel tests, of `mantel_rows`.
        trees: How the trees compare, of `compare_trees`.
        path: The SVG file.
        measure: What the similarity is, for the axes.

    Raises:
        PolyticketError: No distances of the family tree's kind.
    """
    languages, family = kinds[0].languages, family_distances(kinds, trees["family"])
    high = max(len(languages) * row_height(len(languages)), 1.6)
    across = 2 * (TREE + NAMES) + TIES + 2 * EDGE
    columns, lines = min(COLUMNS, len(kinds)), -(-len(kinds) // COLUMNS)
    right = LEFT + columns * PLOT + (columns - 1) * ACROSS + 0.15
    height = ABOVE + BELOW + max(high, lines * HIGH + (lines - 1) * BETWEEN)
    about = "Tree of tickets beside the family tree; similarity of tickets against linguistic distances"
    with drawing(path, (across + right, height), "Tickets and linguistic distances", about) as figure:
        _draw_trees(figure, similarity, family, trees, high)
        for number, (kind, row) in enumerate(zip(kinds, rows, strict=True)):
            x = across + LEFT + (number % columns) * (PLOT + ACROSS)
            y = height - ABOVE - (number // columns) * (HIGH + BETWEEN) - HIGH
            axes = _place(figure, (x, y, PLOT, HIGH))
            _draw_points(axes, similarity, kind, row, colour_of(0))
            axes.tick_params(labelleft=number % columns == 0)
            if number % columns == 0:
                axes.set_ylabel(f"1 − {measure}")


def _place(figure: Figure, inches: tuple[float, float, float, float]) -> Axes:
    width, height = figure.get_size_inches()
    left, bottom, wide, high = inches
    return figure.add_axes((left / width, bottom / height, wide / width, high / height))


def _draw_trees(figure: Figure, similarity: Matrix, family: Distances, facts: Mapping[str, Any], high: float) -> None:
    height = float(figure.get_figheight())
    bottom = height - ABOVE - high
    alike = similarity.copy()
    np.fill_diagonal(alike, 1.0)
    (own, tree), (theirs, other) = clustered(alike), clustered(1 - family.matrix)
    if tree is not None and other is not None:
        other, theirs = untangled(other, own)
        tree, own = untangled(tree, theirs)
    places = (EDGE, EDGE + TREE, EDGE + TREE + NAMES, EDGE + TREE + NAMES + TIES, EDGE + TREE + 2 * NAMES + TIES)
    _draw_tree(_place(figure, (places[0], bottom, TREE, high)), tree, len(own), facing_left=False)
    _write_names(_place(figure, (places[1], bottom, NAMES, high)), [family.languages[at] for at in own], "left")
    _draw_ties(_place(figure, (places[2], bottom, TIES, high)), own, theirs)
    _write_names(_place(figure, (places[3], bottom, NAMES, high)), [family.languages[at] for at in theirs], "right")
    _draw_tree(_place(figure, (places[4], bottom, TREE, high)), other, len(own), facing_left=True)
    _head(figure, EDGE, height, "Tickets", "left")
    _head(figure, places[4] + TREE, height, f"Family tree ({facts['family']})", "right")
    words = "one tree has one height alone: no correlation"
    if facts["correlation"] is not None:
        words = f"cophenetic r = {_number(facts['correlation'])}, p = {facts['p_greater']:.2g}"
    figure.text(EDGE / figure.get_figwidth(), 1 - 0.5 / height, words, size=8, color="#555555")


def _head(figure: Figure, at: float, height: float, words: str, side: str) -> None:
    figure.text(at / figure.get_figwidth(), 1 - TITLE / height, words, ha=side, size=10, weight="bold")


def untangled(tree: Matrix, order: Sequence[int]) -> tuple[Matrix, list[int]]:
    """Turn branches of a tree so that its leaves stand more nearly in a given order; what joins where stays.

    Args:
        tree: SciPy's linkage, float64 [L − 1, 4].
        order: The L leaves.

    Returns:
        The tree turned, and its leaves from the top; no turn of a single branch would leave fewer lines crossing.
    """
    tree = tree.copy()
    least, better = _crossings(order, leaves_list(tree).tolist()), True
    while better:
        better = False
        for node in reversed(range(len(tree))):
            tree[node, [0, 1]] = tree[node, [1, 0]]
            crossings = _crossings(order, leaves_list(tree).tolist())
            if crossings < least:
                least, better = crossings, True
            else:
                tree[node, [0, 1]] = tree[node, [1, 0]]
    return tree, leaves_list(tree).tolist()


def _crossings(own: Sequence[int], theirs: Sequence[int]) -> int:
    places = [theirs.index(at) for at in own]
    return sum(one > other for at, one in enumerate(places) for other in places[at + 1 :])


def _draw_tree(axes: Axes, tree: Matrix | None, rows: int, *, facing_left: bool) -> None:
    """Branches with their leaves on the inner side, of 1 − similarity or of distance."""
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set(ylim=(rows, 0), yticks=[])
    if tree is None:
        axes.set_xticks([])
        return
    branches = dendrogram(tree, no_plot=True)
    heights, places = np.array(branches["dcoord"]), np.array(branches["icoord"]) / 10
    least, most = float(tree[:, 2].min()), float(tree[:, 2].max())
    room = max(0.06 * (most - least), 0.01)
    start, end = max(least - 2 * room, 0.0), most + room
    heights = np.maximum(heights, start)  # leaves begin at the edge
    axes.add_collection(
        LineCollection(list(np.stack([heights, places], axis=2)), colors=INK, linewidths=0.9, clip_on=False)
    )
    axes.hlines(places[-1][1:3].mean(), most, end, color=INK, linewidth=0.9)
    axes.set_xlim((start, end) if facing_left else (end, start))
    axes.spines["bottom"].set_visible(True)
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.tick_params(axis="x", length=2, labelsize=7, color=FAINT)
    axes.set_xlabel("joined at a mean\ndistance of" if facing_left else "joined at a mean\n1 − similarity of", size=7.5)


def _write_names(axes: Axes, languages: Sequence[str], side: str) -> None:
    axes.axis("off")
    axes.set(ylim=(len(languages), 0), xlim=(0, 1))
    for row, code in enumerate(languages):
        x = 0.04 if side == "left" else 0.96
        axes.text(x, row + 0.5, label_of(code), ha=side, va="center", size=8 if len(languages) <= 30 else 6)


def _draw_ties(axes: Axes, own: Sequence[int], theirs: Sequence[int]) -> None:
    axes.axis("off")
    axes.set(ylim=(len(own), 0), xlim=(0, 1))
    ease = np.linspace(0, 1, 24)
    bend = (1 - np.cos(np.pi * ease)) / 2
    for row, at in enumerate(own):
        end = theirs.index(at)
        axes.plot(ease, row + 0.5 + (end - row) * bend, color=FAINT, linewidth=1)


def _draw_points(axes: Axes, similarity: Matrix, kind: Distances, row: Row, colour: str) -> None:
    upper = np.triu_indices(len(similarity), 1)
    x, y = kind.matrix[upper], 1 - similarity[upper]
    axes.plot(x, y, "o", color=colour, markersize=4 if len(x) < 100 else 2.5, alpha=0.6, markeredgewidth=0)
    if row["correlation"] is not None:
        slope, start = np.polyfit(x, y, 1)
        ends = np.array([x.min(), x.max()])
        axes.plot(ends, start + slope * ends, color=INK, linewidth=0.9)
    if len(x) <= MARKED:
        _name_points(axes, kind.languages, x, y, upper)
    axes.margins(0.12)
    axes.set_title(f"{kind.kind}\n", pad=4)
    axes.text(0, 1.04, _test(row), transform=axes.transAxes, size=8, color="#555555")
    axes.set_xlabel("distance", size=8, labelpad=1)
    axes.tick_params(labelsize=7.5)


def _name_points(axes: Axes, languages: Sequence[str], x: np.ndarray, y: np.ndarray, upper: tuple) -> None:
    for one, other, at, value in zip(*upper, x, y, strict=True):
        axes.annotate(f"{languages[one]} {languages[other]}", (at, value), xytext=(3, 3),
                      textcoords="offset points", size=6.5, color="#555555")  # fmt: skip


def _test(row: Row) -> str:
    """The Mantel test in words."""
    if row["correlation"] is None:
        return "one distance alone: no correlation"
    return f"Mantel r = {_number(row['correlation'])}, p = {row['p_greater']:.2g}"


def _number(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")
