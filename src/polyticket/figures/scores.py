"""Bars of the scores."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from polyticket.figures.style import INK, colour_of, drawing
from polyticket.figures.table import Row
from polyticket.files import Pathlike

BARS = 60  # in one line of a panel
TITLES = {"panx": "panx: F1 of entities (micro)", "udpos": "udpos: F1 of tags (macro)"}


def plot_scores(rows: Sequence[Row], path: Pathlike) -> None:
    """Draw test F1 as bars: a panel per task, a group per language, a colour per run; a line for the baseline.

    Args:
        rows: The table. Tasks with many languages take several lines of bars.
        path: The SVG file.
    """
    runs = list(dict.fromkeys(row["run"] for row in rows))
    lines = [line for task in dict.fromkeys(row["task"] for row in rows) for line in _lines(task, rows, len(runs))]
    widest = max(len(languages) for _, languages in lines)
    width = min(14.0, max(5.5, 1.4 + widest * (0.25 + 0.3 * len(runs))))
    height = 2.3 * len(lines) + 0.8
    with drawing(path, (width, height), "Scores") as figure:
        above, below = 0.35 / height, 0.95 / height
        figure.subplots_adjust(left=0.65 / width, right=1 - 0.15 / width, top=1 - above, bottom=below, hspace=0.45)
        grid = figure.subplots(len(lines), 1, squeeze=False)[:, 0]
        for axes, (task, languages) in zip(grid, lines, strict=True):
            _draw_bars(axes, [row for row in rows if row["task"] == task], runs, languages, widest)
            axes.set_title(TITLES.get(task, task))
        baseline, *bars = grid[0].get_legend_handles_labels()[0]  # lines come before bars
        labels = [*runs, "most frequent tag"]
        figure.legend([*bars, baseline], labels, loc="lower center", ncols=min(len(labels), max(2, int(width / 1.6))))


def _lines(task: str, rows: Sequence[Row], runs: int) -> list[tuple[str, list[str]]]:
    languages = list(dict.fromkeys(row["language"] for row in rows if row["task"] == task))
    count = -(-len(languages) * runs // BARS)
    size = -(-len(languages) // count)
    return [(task, languages[start : start + size]) for start in range(0, len(languages), size)]


def _draw_bars(axes: Axes, rows: Sequence[Row], runs: list[str], languages: list[str], groups: int) -> None:
    found = {(row["run"], row["language"]): float(row["test_f1"]) for row in rows}
    floors = {row["language"]: float(row["baseline_f1"]) for row in rows}
    places, wide = np.arange(len(languages)), 0.8 / len(runs)
    for number, run in enumerate(runs):
        heights = [found.get((run, language), 0.0) for language in languages]
        shift = (number - (len(runs) - 1) / 2) * wide
        axes.bar(places + shift, heights, wide * 0.94, color=colour_of(number), label=run)
        for place, height in zip(places + shift, heights if groups * len(runs) <= 24 else (), strict=False):
            _write_value(axes, place, height, colour_of(number))
    levels = [floors[language] for language in languages]
    axes.hlines(levels, places - 0.46, places + 0.46, color="white", linewidth=3.5)  # a rim, to be seen on bars
    axes.hlines(levels, places - 0.45, places + 0.45, color=INK, linewidth=1.6, label="most frequent tag")
    axes.set_xticks(places, languages)
    axes.set_xlim(-0.6, groups - 0.4)
    axes.set_ylim(0, 1.08)
    axes.set_yticks(np.arange(0, 1.1, 0.25))
    axes.set_ylabel("F1 on test")
    axes.tick_params(axis="x", length=0)


def _write_value(axes: Axes, place: float, value: float, colour: str) -> None:
    """At the foot of the bar, where the line of the baseline seldom is; above a bar that is too low for it."""
    inside = value >= 0.12
    dark = np.dot(to_rgb(colour), (0.299, 0.587, 0.114)) < 0.6
    ink = "white" if inside and dark else INK
    level = 0.03 if inside else value + 0.02
    axes.text(place, level, f"{value:.2f}", ha="center", va="bottom", size=7, color=ink)
