"""What heat maps share: how large a cell is, and axes placed in inches."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from polyticket.figures.rows import is_dense


def cell_size(rows: int) -> float:
    """Inches a cell: room for two numbers, for one, or none."""
    return 0.58 if rows <= 10 else 0.34 if rows <= 30 else float(np.clip(10 / rows, 0.1, 0.16))


def letter_size(rows: int, cell: float) -> float:
    """Points of the rows' names, which may not be higher than a cell."""
    return 8.0 if not is_dense(rows) else min(7.0, cell * 72 * 0.85)


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
