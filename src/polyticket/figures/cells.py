"""Cells of heat maps: rectangles, their sizes, colour scales, and axes placed in inches."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.transforms import Affine2D
from numpy.typing import ArrayLike, NDArray

from polyticket.figures.rows import is_dense

OVERLAP = 0.2  # points by which a cell reaches into its neighbours
STEPS = 128  # colours of a scale
ROOM = 8  # letters that a cell of 0.58 inches has room for


class Cells(Artist):
    """A rectangle per value, from the top left, in units of rows and columns; NaN leaves its place blank.

    Of an SVG only: rectangles of one colour are one path, or a map of a hundred languages would be a megabyte. They
    are shapes, not the pixels of an image, which viewers smear when they enlarge it.

    Args:
        values: float64 [rows, columns].
        levels: The colours.
        norm: What value has which.
        lefts: The left edges [columns]; 0, 1, 2, … unless given.
    """

    def __init__(
        self, values: NDArray[np.float64], levels: Colormap, norm: Normalize, lefts: ArrayLike | None = None
    ) -> None:
        super().__init__()
        finite = np.isfinite(values)
        rows, columns = np.nonzero(finite)
        edges = np.arange(values.shape[1]) if lefts is None else np.asarray(lefts)
        self.corners = np.stack([edges[columns], rows], axis=1)
        self.colours = [to_hex(colour) for colour in levels(norm(values[rows, columns]))]
        beside, below = np.zeros_like(finite), np.zeros_like(finite)
        beside[:, :-1] = finite[:, 1:] & (np.diff(edges) == 1)
        below[:-1] = finite[1:]
        self.over = OVERLAP * np.stack([beside[rows, columns], below[rows, columns]], axis=1)
        self.set_zorder(1)

    def draw(self, renderer: Any) -> None:
        """Write the rectangles; each reaches into its neighbours, so that nothing shines through between them."""
        place, shapes = self.get_transform().transform, dict[str, list[str]]()
        starts, ends = place(self.corners), place(self.corners + 1.0)
        for (x, y), (right, low), (more, deeper), colour in zip(starts, ends, self.over, self.colours, strict=True):
            corner, size = (x, renderer.height - y), (right - x + more, y - low + deeper)
            shapes.setdefault(colour, []).append("M{:g} {:g}h{:g}v{:g}h{:g}z".format(*corner, *size, -size[0]))
        for colour, paths in shapes.items():
            attributes = {"d": "".join(paths), "fill": colour, "shape-rendering": "crispEdges"}
            renderer.writer.element("path", attrib=attributes)


def draw_scale(axes: Axes, levels: Colormap, norm: Normalize, least: float | None = None) -> None:
    """Draw a scale of colours into axes, from the lowest value, or from `least`, upwards; its numbers stand right."""
    low, high = norm.vmin if least is None else least, norm.vmax
    assert low is not None
    assert high is not None
    cells = Cells(np.linspace(high, low, STEPS)[:, None], levels, norm)
    cells.set_transform(Affine2D().scale(1, (low - high) / STEPS).translate(0, high) + axes.transData)
    axes.add_artist(cells)
    axes.set(xlim=(0, 1), ylim=(low, high), xticks=[])
    axes.yaxis.tick_right()
    axes.tick_params(axis="y", labelsize=8, length=2)


def cell_size(rows: int) -> float:
    """Inches a cell: room for two numbers, for one, or none."""
    return 0.58 if rows <= 10 else 0.34 if rows <= 30 else float(np.clip(10 / rows, 0.1, 0.16))


def letter_size(rows: int, cell: float) -> float:
    """Points of the rows' names, which may not be higher than a cell."""
    return 8.0 if not is_dense(rows) else min(7.0, cell * 72 * 0.85)


def rotation(names: Sequence[str], rows: int) -> int:
    """Degrees by which names below columns are turned: none as long as each has room over its column."""
    return 90 if rows > 10 or max(map(len, names)) > ROOM else 0


def placed_axes(figure: Figure, inches: tuple[float, float, float, float]) -> Axes:
    """Axes without a frame, grid or tick marks at left, bottom, width and height."""
    width, height = figure.get_size_inches()
    left, bottom, wide, high = inches
    axes = figure.add_axes((left / width, bottom / height, wide / width, high / height))
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return axes


def say_below_title(axes: Axes, words: str) -> None:
    """A subtitle, small and grey."""
    axes.annotate(words.replace("-", "−"), (0, 1), xycoords="axes fraction", xytext=(0, 7),
                  textcoords="offset points", size=8, color="#555555")  # fmt: skip


def rule_off(axes: Axes, rows: int, columns: int) -> None:
    """White lines between cells."""
    axes.hlines(range(1, rows), 0, columns, color="white", linewidth=1)
    axes.vlines(range(1, columns), 0, rows, color="white", linewidth=1)
