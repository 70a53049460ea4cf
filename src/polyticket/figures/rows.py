"""The languages' names in figures and tables: those of the table of languages and those of a configuration."""

import json
import math
import os
from collections.abc import Callable, Sequence
from functools import cache
from unicodedata import bidirectional

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import findfont, get_font
from matplotlib.ticker import Formatter, LogLocator

from polyticket.core.files import Pathlike
from polyticket.core.languages import LANGUAGES
from polyticket.core.processes import LANGUAGE_NAMES
from polyticket.figures.style import STYLE, drawing, shortened


def name_of(code: str) -> str:
    """A language's English name; empty if it has none."""
    given = json.loads(os.environ.get(LANGUAGE_NAMES) or "{}").get(code)
    known = LANGUAGES[code].name if code in LANGUAGES else ""
    return str(given or known)


LEFT, RIGHT, BETWEEN, BELOW, TITLE = 1.75, 0.7, 0.4, 0.55, 0.32  # inches
LONGEST_NAME = 2.2  # inches, as `shortened` counts
Panel = tuple[str, Callable[[Axes], None]]


def label_of(language: str) -> str:
    """A language's name and code, or its code alone if it has no name or the figures' font cannot draw the name."""
    name = name_of(language)
    return f"{shortened(name, LONGEST_NAME)}  {language}" if name and _can_be_drawn(name) else language


@cache
def _can_be_drawn(name: str) -> bool:
    """Whether the font has all characters, none of which is laid out otherwise than one after the other."""
    drawn = get_font(findfont(STYLE["font.family"])).get_charmap()
    # a dollar sign would begin a formula; joining letters and those written from the right are not laid out
    return "$" not in name and all(ord(one) in drawn and bidirectional(one) not in ("R", "AL") for one in name)


def is_dense(rows: int) -> bool:
    """Whether letters and marks must be small."""
    return rows > 30


def row_height(rows: int) -> float:
    """Inches per row: 0.3 for a few, 0.15 for many."""
    return float(np.clip(0.36 - 0.007 * rows, 0.15, 0.3))


def draw_panels(
    path: Pathlike, title: str, languages: Sequence[str], panels: Sequence[Panel], *, width: float, legend: int
) -> None:
    """Draw panels side by side with a row per language, the first language on top.

    Args:
        path: The SVG file.
        title: Of the figure, for its metadata.
        languages: The codes.
        panels: Title of each, and what draws into its axes, at heights 0, 1, …; what it labels gets a legend.
        width: Of a panel, in inches.
        legend: Lines of the longest legend, which has two columns; with one line, all entries stand beside each other.
    """
    rows = len(languages) * row_height(len(languages))
    above = TITLE + 0.19 * legend + 0.15
    total = LEFT + len(panels) * width + (len(panels) - 1) * BETWEEN + RIGHT, above + rows + BELOW
    with drawing(path, total, title) as figure:
        for number, (name, draw) in enumerate(panels):
            left = LEFT + number * (width + BETWEEN)
            axes = figure.add_axes((left / total[0], BELOW / total[1], width / total[0], rows / total[1]))
            draw(axes)
            _arrange(axes, [label_of(language) for language in languages] if number == 0 else [], len(languages))
            axes.set_title(name, y=1 + (above - 0.25) / rows)
            columns = 9 if legend == 1 else 2
            place = (-0.02, 1 + (above - TITLE) / rows)
            if axes.get_legend_handles_labels()[1]:
                axes.legend(
                    loc="upper left", bbox_to_anchor=place, borderaxespad=0, fontsize=8, ncols=columns,
                    labelspacing=0.2, columnspacing=1, handletextpad=0.4,
                )  # fmt: skip


def _arrange(axes: Axes, labels: Sequence[str], rows: int) -> None:
    axes.set_ylim(rows - 0.4, -0.6)
    axes.set_yticks(np.arange(rows) if labels else [], labels, size=7 if is_dense(rows) else 9)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)
    axes.grid(visible=True, axis="x")


def mark_size(rows: int) -> float:
    """The size of a mark that stands for a number."""
    return 4 if is_dense(rows) else 6


def set_logarithmic(axes: Axes, formatter: Formatter, *, of_none: tuple[float, float] = (1, 10)) -> None:
    """Make the horizontal axis logarithmic, with labels at whole decades, or between them too if there are few.

    It spans a decade at least, so that there are labels where all values are nearly the same, and `of_none` where there
    are none.
    """
    axes.set_xscale("log")
    least, most = axes.dataLim.minposx, axes.dataLim.x1
    if not 0 < least <= most < math.inf:
        axes.set_xlim(of_none)
    elif most / least < 5:
        middle = math.sqrt(least * most)
        axes.set_xlim(middle / math.sqrt(10), middle * math.sqrt(10))
    low, high = axes.get_xlim()
    decades = math.log10(high / low)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 2 else (1,), numticks=8))
    axes.xaxis.set_major_formatter(formatter)
    axes.minorticks_off()


def write_beside_rows(axes: Axes, words: Sequence[str]) -> None:
    """Write a few words at the right end of each row."""
    for row, text in enumerate(words):
        size, place = 7 if is_dense(len(words)) else 8, axes.get_yaxis_transform()
        axes.text(1.02, row, text, transform=place, va="center", size=size, color="#555555")
