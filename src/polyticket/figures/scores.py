"""A bar chart of the scores."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from polyticket.core.files import Pathlike
from polyticket.figures.style import INK, colour_of, drawing, ink_on
from polyticket.figures.tables import Row
from polyticket.tasks.table import task_named

BARS = 60  # in one line of a panel
FLOOR = "most frequent tag or label"
NAMES = {"f1": "F1"}
LOSSES = {"log_likelihood": "cross-entropy of masked tokens (lower is better)"}


class Bar(NamedTuple):
    """How high a bar is, and how far its seeds are apart."""

    height: float
    spread: float


def plot_scores(rows: Sequence[Row], path: Pathlike) -> None:
    """Draw scores on test as bars: a panel per task, a group per language, a colour per run; a line for the baseline.

    Bars of several seeds have whiskers of one standard deviation to either side. A log-likelihood, which is negative,
    is drawn as its negative, the cross-entropy.

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
        known: dict[Any, Any] = {}
        for axes, (task, languages) in zip(grid, lines, strict=True):
            of_task = [row for row in rows if row["task"] == task]
            _draw_bars(axes, of_task, runs, languages, widest)
            axes.set_title(f"{task}: {LOSSES.get(of_task[0]['score'], task_named(task).shown)}")
            handles, labels = axes.get_legend_handles_labels()
            known |= dict(zip(labels, handles, strict=True))
        names = [name for name in (*runs, FLOOR) if name in known]
        columns = min(len(names), max(2, int(width / 1.6)))
        figure.legend([known[name] for name in names], names, loc="lower center", ncols=columns)


def _lines(task: str, rows: Sequence[Row], runs: int) -> list[tuple[str, list[str]]]:
    languages = list(dict.fromkeys(row["language"] for row in rows if row["task"] == task))
    count = -(-len(languages) * runs // BARS)
    size = -(-len(languages) // count)
    return [(task, languages[start : start + size]) for start in range(0, len(languages), size)]


def _draw_bars(axes: Axes, rows: Sequence[Row], runs: list[str], languages: list[str], groups: int) -> None:
    score = rows[0]["score"]
    loss = score in LOSSES
    bar_of = {(row["run"], row["language"]): _bar(row, loss=loss) for row in rows}
    top = (max(bar.height + bar.spread for bar in bar_of.values()) if loss else 1.0) or 1.0
    places, wide = np.arange(len(languages)), 0.8 / len(runs)
    for number, run in enumerate(runs):
        bars = [bar_of.get((run, language), Bar(0, 0)) for language in languages]
        heights, shift = [bar.height for bar in bars], (number - (len(runs) - 1) / 2) * wide
        axes.bar(places + shift, heights, wide * 0.94, color=colour_of(number), label=run)
        if any(bar.spread for bar in bars):
            _draw_whiskers(axes, places + shift, bars)
        for place, height in zip(places + shift, heights if groups * len(runs) <= 24 else (), strict=False):
            _write_value(axes, place, height, colour_of(number), top)
    _draw_floors(axes, {row["language"]: row["baseline_score"] for row in rows if row["baseline_score"]}, languages)
    axes.set_xticks(places, languages)
    axes.set_xlim(-0.6, groups - 0.4)
    axes.set_ylim(0, 1.08 * top)
    if loss:
        axes.yaxis.set_major_locator(MaxNLocator(5))
    else:
        axes.set_yticks(np.arange(0, 1.1, 0.25))
    axes.set_ylabel("nats a token on test" if loss else f"{NAMES.get(score, score)} on test")
    axes.tick_params(axis="x", length=0)


def _bar(row: Row, *, loss: bool) -> Bar:
    return Bar(float(row["test_score"]) * (-1 if loss else 1), float(row["test_score_sd"] or 0))


def _draw_whiskers(axes: Axes, places: NDArray[np.floating], bars: Sequence[Bar]) -> None:
    heights, spreads = np.array(bars).T
    axes.errorbar(places, heights, spreads, fmt="none", ecolor="white", elinewidth=2.6, capsize=2.6, capthick=2.2)
    axes.errorbar(places, heights, spreads, fmt="none", ecolor=INK, elinewidth=1, capsize=2, capthick=1)


def _draw_floors(axes: Axes, floors: dict[str, str], languages: Sequence[str]) -> None:
    known = [(place, float(floors[language])) for place, language in enumerate(languages) if language in floors]
    if known:
        places, levels = np.array(known).T
        axes.hlines(levels, places - 0.46, places + 0.46, color="white", linewidth=3.5)  # a rim, to be seen on bars
        axes.hlines(levels, places - 0.45, places + 0.45, color=INK, linewidth=1.6, label=FLOOR)


def _write_value(axes: Axes, place: float, value: float, colour: str, top: float) -> None:
    """At the foot of the bar, where the line of the baseline seldom is; above a bar that is too low for it."""
    inside = value >= 0.12 * top
    ink = ink_on(colour) if inside else INK
    level = 0.03 * top if inside else value + 0.02 * top
    axes.text(place, level, f"{value + 0.0:.2f}".replace("-", "−"), ha="center", va="bottom", size=7, color=ink)
