"""How alike the languages' tickets are: a clustered heat map of Jaccard for each run, against what chance gives."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray
from scipy.cluster.hierarchy import dendrogram, linkage
from scipy.spatial.distance import squareform

from polyticket.figures.rows import is_dense, label_of
from polyticket.figures.style import COLOURS, FAINT, INK, drawing
from polyticket.files import Pathlike
from polyticket.tickets.algebra import Similarity, similarities
from polyticket.tickets.ticket import Ticket

Shares = NDArray[np.float64]
LEFT, ABOVE, BELOW, GAP, TREE, SCALE = 1.75, 0.62, 0.72, 0.12, 1.4, 1.25  # inches
NARROWEST = 0.05  # what the scale spans at least, so that noise about chance stays pale
# grey is chance, white is left to what is not compared; darker is further away, in grey print too
LEVELS = LinearSegmentedColormap.from_list(
    "chance", ["#4A1F00", COLOURS[4], COLOURS[1], "#E6E6E6", COLOURS[5], COLOURS[0], "#00233A"]
)


class Panel(NamedTuple):
    """One run's comparisons.

    Attributes:
        run: Its name.
        languages: The L rows.
        jaccard: float64 [L, L], |A ∩ B| / |A ∪ B| over all sites; NaN of two empty masks.
        chance: float64 [L, L], what `chance_jaccard` expects.
    """

    run: str
    languages: tuple[str, ...]
    jaccard: Shares
    chance: Shares

    @property
    def beyond(self) -> Shares:
        """Jaccard less chance, float64 [L, L]; the diagonal, which compares nothing, is NaN."""
        return np.where(np.eye(len(self.languages), dtype=bool), np.nan, self.jaccard - self.chance)


def panel_of(run: str, ticket: Ticket) -> Panel:
    """The panel of a run, from its ticket."""
    whole, sites = similarities(ticket, "all", "site")
    return Panel(run, ticket.languages, whole.jaccard()[0], chance_jaccard(sites))


def chance_jaccard(sites: Similarity) -> Shares:
    """The Jaccard over all sites to expect of independent random masks that keep as much of each site as these do.

    Σ n d₁d₂ / Σ n (d₁ + d₂ − d₁d₂) over the sites, of n bits and densities d. It is above the chance of the densities
    over all sites, since languages that keep the same sites more meet there more often, whatever they keep in them.

    Args:
        sites: The comparison by `site`.

    Returns:
        float64 [L, L]; NaN where neither keeps anything.
    """
    kept = sites.kept.astype(np.float64)
    common = np.einsum("gi,gj->ij", kept, sites.density())
    total = kept.sum(0)
    with np.errstate(invalid="ignore"):
        return common / (total[:, None] + total[None, :] - common)


def clustered(jaccard: Shares) -> tuple[list[int], Shares | None]:
    """Order rows by average linkage of 1 − Jaccard, with the leaf order that puts the most alike beside each other.

    The same in reverse is as good; the first row stands in the first half, so that runs look alike where they are.

    Args:
        jaccard: float64 [L, L]; two empty masks (NaN) count as the same.

    Returns:
        The order of the L rows, and SciPy's linkage float64 [L − 1, 4]; of fewer than three rows, theirs and None.
    """
    if len(jaccard) < 3:
        return list(range(len(jaccard))), None
    distance = squareform(1 - np.nan_to_num(jaccard, nan=1.0), checks=False)
    tree = linkage(distance, "average", optimal_ordering=True)
    order = dendrogram(tree, no_plot=True)["leaves"]
    if order.index(0) >= len(order) / 2:
        tree[:, [0, 1]] = tree[:, [1, 0]]
        order.reverse()
    return order, tree


def plot_similarity(panels: Sequence[Panel], path: Pathlike) -> None:
    """Draw a heat map per run with its dendrogram, a row and a column per language; all with one scale.

    Colours are Jaccard less chance. Cells of up to 30 languages also say Jaccard, of up to 10 both.

    Args:
        panels: A run each.
        path: The SVG file.
    """
    rows = max(len(panel.languages) for panel in panels)
    cell, (norm, least) = _cell(rows), _scale(panels)
    heights = [len(panel.languages) * cell for panel in panels]
    size = LEFT + rows * cell + GAP + TREE + SCALE, sum(heights) + len(panels) * (ABOVE + BELOW)
    top = size[1]
    with drawing(path, size, "Similarity of tickets", "Jaccard of all pairs of languages, less chance") as figure:
        for panel, high in zip(panels, heights, strict=True):
            bottom = top - ABOVE - high
            order, tree = clustered(panel.jaccard)
            axes = _place(figure, (LEFT, bottom, high, high))
            _draw_cells(axes, panel, order, norm, cell)
            if tree is not None:
                _draw_tree(_place(figure, (LEFT + high + GAP, bottom, TREE, high)), tree, len(order))
            if len(order) > 1:
                long = min(max(high, 1.1), 4)
                _draw_scale(_place(figure, (size[0] - SCALE + 0.3, bottom + high - long, 0.14, long)), norm, least)
            top -= ABOVE + high + BELOW


def _cell(rows: int) -> float:
    """Inches a cell: room for two numbers, for one, or none."""
    return 0.58 if rows <= 10 else 0.34 if rows <= 30 else float(np.clip(10 / rows, 0.1, 0.16))


def _scale(panels: Sequence[Panel]) -> tuple[Normalize, float]:
    """As far below chance as above it, to the next 0.05 beyond all values; and from where on the scale is shown."""
    found = np.concatenate([panel.beyond.ravel() for panel in panels])
    found = found[np.isfinite(found)]
    least, most = found.min(initial=0), np.abs(found).max(initial=NARROWEST)
    reach = _next(most)
    return Normalize(-reach, reach), -_next(-least)


def _next(value: float) -> float:
    return math.ceil(round(value * 20, 9)) / 20


def _place(figure: Figure, inches: tuple[float, float, float, float]) -> Axes:
    width, height = figure.get_size_inches()
    left, bottom, wide, high = inches
    axes = figure.add_axes((left / width, bottom / height, wide / width, high / height))
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return axes


def _draw_cells(axes: Axes, panel: Panel, order: list[int], norm: Normalize, cell: float) -> None:
    rows, names = len(order), [panel.languages[row] for row in order]
    letters = 8.0 if not is_dense(rows) else min(7.0, cell * 72 * 0.85)
    axes.set_title(panel.run, pad=19)
    axes.annotate(_subtitle(panel), (0, 1), xycoords="axes fraction", xytext=(0, 7), textcoords="offset points",
                  size=8, color="#555555")  # fmt: skip
    if rows == 1:
        axes.set(xticks=[], yticks=[])
        return
    values = panel.beyond[np.ix_(order, order)]
    # one image instead of a path for each of ten thousand cells
    axes.imshow(values, LEVELS, norm, interpolation="none", aspect="auto", extent=(0, rows, rows, 0))
    if not is_dense(rows):
        axes.hlines(range(1, rows), 0, rows, color="white", linewidth=1)
        axes.vlines(range(1, rows), 0, rows, color="white", linewidth=1)
        _write_values(axes, panel.jaccard[np.ix_(order, order)], values, norm)
    axes.set_xticks(np.arange(rows) + 0.5, names, rotation=90 if rows > 10 else 0, size=letters)
    axes.set_yticks(np.arange(rows) + 0.5, [label_of(name) for name in names], size=letters)
    axes.tick_params(pad=2)


def _subtitle(panel: Panel) -> str:
    """What chance gives, of all pairs; a note where there are none."""
    found = panel.chance[np.triu_indices(len(panel.languages), 1)]
    found = found[np.isfinite(found)]
    if len(panel.languages) == 1:
        return f"one language ({panel.languages[0]}): no pairs to compare"
    if not len(found):
        return "nothing is kept"
    least, most = f"{found.min():.2f}", f"{found.max():.2f}"
    return f"Jaccard by chance: {least}" + (f" to {most}" if most != least else "")


def _write_values(axes: Axes, jaccard: Shares, beyond: Shares, norm: Normalize) -> None:
    both = len(jaccard) <= 10
    for row, column in zip(*np.nonzero(np.isfinite(beyond)), strict=True):
        value = float(beyond[row, column])
        colour = "white" if np.dot(LEVELS(norm(value))[:3], (0.299, 0.587, 0.114)) < 0.45 else INK
        at = row + (0.4 if both else 0.5)
        axes.text(column + 0.5, at, f"{jaccard[row, column]:.2f}", ha="center", va="center", size=9 if both else 7,
                  color=colour)  # fmt: skip
        if both:
            axes.text(column + 0.5, row + 0.72, signed(value), ha="center", va="center", size=6.5, color=colour)


def signed(value: float) -> str:
    """Two decimals and a sign, with no −0.00."""
    return f"{round(value, 2) + 0.0:+.2f}".replace("-", "−")


def _draw_tree(axes: Axes, tree: Shares, rows: int) -> None:
    """Branches from the rows to the right; where two join is the mean Jaccard of their pairs."""
    found = dendrogram(tree, no_plot=True)
    heights, places = np.array(found["dcoord"]), np.array(found["icoord"]) / 10
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
    axes.xaxis.set_major_formatter(FuncFormatter(lambda distance, _: f"{1 - distance:.3g}"))
    axes.spines["bottom"].set_visible(True)
    axes.tick_params(axis="x", length=2, labelsize=7, color=FAINT)
    axes.set_xlabel("joined at a\nmean Jaccard of", size=7.5)


def _draw_scale(axes: Axes, norm: Normalize, least: float) -> None:
    bar = axes.figure.colorbar(ScalarMappable(norm, LEVELS), cax=axes)
    bar.outline.set_visible(False)
    bar.locator = MaxNLocator(6, steps=[1, 2, 5, 10])
    bar.formatter = FuncFormatter(lambda value, _: "chance" if abs(value) < 1e-9 else signed(value))
    bar.update_ticks()
    axes.tick_params(labelsize=8, length=2)
    axes.axhline(0, color=INK, linewidth=1)
    axes.set_ylim(least, norm.vmax)
    axes.set_title("Jaccard\n− chance", size=8, weight="normal", loc="left", pad=8)
