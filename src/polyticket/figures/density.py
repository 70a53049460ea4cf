"""A heat map of the density of each language at each site."""

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from polyticket.core.files import Pathlike
from polyticket.figures.cells import Cells, draw_scale, placed_axes
from polyticket.figures.style import drawing, ink_on
from polyticket.model.shape import BertShape, Site, mask_sites

COLOURS = matplotlib.colormaps["cividis"]
GAP = 0.3  # of a column, between layers


class Panel(NamedTuple):
    """One run's densities.

    Attributes:
        run: Its name.
        languages: The L rows.
        labels: The C columns' components.
        groups: Layer or other heading of each column.
        values: float64 [L, C] in [0, 1].
    """

    run: str
    languages: list[str]
    labels: list[str]
    groups: list[str]
    values: NDArray[np.float64]


def ordered_sites(names: Sequence[str]) -> list[Site]:
    """The sites of the given names in the order of the forward pass."""
    layers = max((int(name.split(".")[3]) for name in names if ".layer." in name), default=0) + 1
    shape = BertShape(vocab_size=1, hidden_size=1, num_hidden_layers=layers, num_attention_heads=1, intermediate_size=1)
    return [site for site in mask_sites(shape) if site.name in names]


def panel_of(run: str, stats: Mapping[str, Any]) -> Panel:
    """The panel of a run, from the statistics of its ticket; the last column is the density over all sites."""
    by_site, overall = stats["density_by_site"], stats["density"]
    sites = ordered_sites(list(by_site))
    columns = [by_site[site.name] for site in sites] + [list(overall.values())]
    groups = ["" if site.layer is None else f"layer {site.layer}" for site in sites]
    labels = [site.component for site in sites]
    return Panel(run, list(overall), [*labels, "all sites"], [*groups, " "], np.array(columns, dtype=np.float64).T)


def plot_density(tickets: Mapping[str, Mapping[str, Any]], path: Pathlike) -> None:
    """Draw a heat map per run: a row per language, a column per site, grouped by layer; all with one scale.

    Args:
        tickets: Run to the statistics of its ticket, with `density` by language and `density_by_site`.
        path: The SVG file.
    """
    panels = [panel_of(run, stats) for run, stats in tickets.items()]
    rows, columns = (max(sizes) for sizes in zip(*(panel.values.shape for panel in panels), strict=True))
    small = rows <= 30 and columns <= 16
    cell = (0.52, 0.3) if small else (0.25, 0.17)
    widths = [cell[0] * float(_places(panel.groups)[-1] + 1) for panel in panels]
    wide, high, above, below = max(widths), rows * cell[1], 0.75, 1.05
    size = (wide + 1.5, len(panels) * (high + above + below))
    norm = _scale([panel.values for panel in panels])
    with drawing(path, size, "Density") as figure:
        for number, (panel, width) in enumerate(zip(panels, widths, strict=True)):
            bottom = size[1] - (number + 1) * (high + above + below) + below
            axes = figure.add_axes((0.6 / size[0], bottom / size[1], width / size[0], high / size[1]))
            _draw_cells(axes, panel, norm, annotate=small)
        _draw_scale(figure, norm, (0.6 + wide + 0.2, size[1] - above), max(high, 1.2))


def _places(groups: Sequence[str]) -> NDArray[np.float64]:
    """The left edge of each column, in columns: a gap before each new group."""
    new = [0] + [int(one != other) for one, other in zip(groups[1:], groups, strict=False)]
    return np.arange(len(groups)) + GAP * np.cumsum(new)


def _scale(values: Sequence[NDArray[np.float64]]) -> Normalize:
    low = math.floor(min(found.min() for found in values) * 20) / 20
    high = math.ceil(max(found.max() for found in values) * 20) / 20
    return Normalize(low, high) if high > low else Normalize(max(low - 0.05, 0), min(high + 0.05, 1))


def _draw_cells(axes: Axes, panel: Panel, norm: Normalize, *, annotate: bool) -> None:
    places = _places(panel.groups)
    rows = len(panel.languages)
    axes.set(xlim=(0, places[-1] + 1), ylim=(rows, 0))
    axes.add_artist(Cells(panel.values, COLOURS, norm, places))
    axes.hlines(range(1, rows), 0, places[-1] + 1, color="white", linewidth=0.4)
    axes.vlines(places[1:], 0, rows, color="white", linewidth=0.4)
    for row, column in np.ndindex(panel.values.shape if annotate else (0, 0)):
        value = float(panel.values[row, column])
        how: Any = {"ha": "center", "va": "center", "size": 7, "color": ink_on(COLOURS(norm(value)))}
        axes.text(float(places[column]) + 0.5, row + 0.5, f"{value:.2f}", **how)
    axes.set_xticks(places + 0.5, panel.labels, rotation=90, size=8)
    axes.set_yticks(np.arange(rows) + 0.5, panel.languages, size=8)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    for name, members in groupby(zip(panel.groups, places, strict=True), key=lambda pair: pair[0]):
        inside = [place for _, place in members]
        axes.annotate(
            name if len(inside) * (3 if annotate else 1) >= 3 else name.removeprefix("layer "),
            ((inside[0] + inside[-1] + 1) / 2, 0),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            size=8,
        )
    axes.set_title(panel.run, pad=20)


def _draw_scale(figure: Figure, norm: Normalize, corner: tuple[float, float], high: float) -> None:
    high = min(high, 4)
    place = placed_axes(figure, (corner[0], corner[1] - high, 0.14, high))
    draw_scale(place, COLOURS, norm)
    place.set_title("density", size=8, weight="normal", loc="left")
