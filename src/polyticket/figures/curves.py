"""Small panels of curves beside and below each other, with one legend: for one panel as for a dozen."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from polyticket.core.files import Pathlike
from polyticket.figures.style import drawing, shortened

COLUMNS = 4
WIDE, HIGH, LEFT, RIGHT, ABOVE, LINE = 2.7, 2.1, 0.75, 0.15, 0.4, 0.2  # inches; LINE is one of the legend
ACROSS, BETWEEN = 0.3, 0.55
Panel = tuple[str, Callable[[Axes], None]]


def draw_curves(
    path: Pathlike, title: str, panels: Sequence[Panel], *, x: str, y: str, description: str = "", legend: int = 2
) -> None:
    """Draw panels, at most four in a line, that share both axes; what any of them labels is in the legend once.

    Args:
        path: The SVG file.
        title: Of the figure, for its metadata.
        panels: Title of each, and what draws into its axes.
        x: The label below the lowest panels.
        y: The label left of the leftmost ones.
        description: For its metadata.
        legend: Entries of the legend in an inch and a half of width, at most.
    """
    columns, lines = min(COLUMNS, len(panels)), -(-len(panels) // COLUMNS)
    width = LEFT + columns * WIDE + (columns - 1) * ACROSS + RIGHT
    with _grid(path, title, description, width, lines, columns) as (figure, grid, below):
        for axes, (name, draw) in zip(grid, panels, strict=False):
            draw(axes)
            axes.set_title(shortened(name, WIDE + ACROSS))
        for number, axes in enumerate(grid):
            axes.set_visible(number < len(panels))
            last = number + columns >= len(panels)
            axes.tick_params(labelbottom=last, labelleft=number % columns == 0)
            axes.set_xlabel(x if last else "")
            axes.set_ylabel(y if number % columns == 0 else "")
        _write_legend(figure, grid[: len(panels)], width, below, legend)


@contextmanager
def _grid(
    path: Pathlike, title: str, description: str, width: float, lines: int, columns: int
) -> Iterator[tuple[Figure, list[Axes], float]]:
    below = 0.55 + 3 * LINE
    height = ABOVE + lines * HIGH + (lines - 1) * BETWEEN + below
    with drawing(path, (width, height), title, description) as figure:
        figure.subplots_adjust(
            left=LEFT / width, right=1 - RIGHT / width, bottom=below / height, top=1 - ABOVE / height,
            wspace=ACROSS / WIDE, hspace=BETWEEN / HIGH,
        )  # fmt: skip
        grid: Any = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
        yield figure, list(grid.ravel()), below


def _write_legend(figure: Figure, grid: Sequence[Axes], width: float, below: float, dense: int) -> None:
    found: dict[str, Any] = {}
    for axes in grid:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    height = float(figure.get_figheight())
    figure.legend(
        list(found.values()), list(found), loc="upper left", fontsize=8, ncols=max(1, int(width / 1.5 * dense / 2)),
        bbox_to_anchor=((LEFT - 0.1) / width, (below - 0.45) / height), borderaxespad=0, labelspacing=0.3,
    )  # fmt: skip
