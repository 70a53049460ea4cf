"""Scores of all runs, a row per language, and the differences of variants from the main run."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from polyticket.core.files import Pathlike
from polyticket.figures.rows import draw_panels, is_dense, mark_size
from polyticket.figures.style import FAINT, INK, colour_of
from polyticket.tasks.table import task_named

SURE = 0.05
WIDTH = 4.4  # of a panel, in inches
Row = Mapping[str, Any]


def plot_comparison(table: Mapping[str, Any], baselines: Sequence[Mapping[str, Any]], path: Pathlike) -> None:
    """Draw the score of each run as a point with its standard deviation over seeds, and differences to the main run.

    A variant's mark is filled where Holm's p of the paired bootstrap is below 0.05. Below the languages stands their
    mean. The panel of differences, with their 95 % intervals, is left out if there is one run only.

    Args:
        table: What `compare` says.
        baselines: The baselines of some or all languages; none for tasks without.
        path: The SVG file.
    """
    task, runs, score = table["task"], table["runs"], table["score"]
    rows: list[Row] = list(table["languages"])
    floors = {floor["language"]: floor["test"][score] for floor in baselines}
    if len(rows) > 1:
        rows.append({"language": "mean", **table["mean"]})
    languages = [row["language"] for row in rows]

    def draw_scores(axes: Axes) -> None:
        """The scores of all runs and the baselines."""
        _draw_points(axes, runs, rows, first=0)
        ticks = [(floors[language], row) for row, language in enumerate(languages) if language in floors]
        if ticks:
            values, places = np.array(ticks).T
            label = "most frequent tag or label"
            axes.plot(values, places, "|", color=INK, markersize=8 if is_dense(len(rows)) else 11, label=label)
        if len(runs) > 1:
            _say_hollow(axes, runs[0], table["resampled"])
        _separate(axes, rows)

    def draw_differences(axes: Axes) -> None:
        """The differences of variants to the main run."""
        axes.axvline(0, color=FAINT, linewidth=1)
        _draw_points(axes, runs, rows, first=1)
        if not axes.dataLim.intervalx.any():
            axes.set_xlim(-0.1, 0.1)  # no difference stands in the middle
        _separate(axes, rows)

    panels = [(f"{task}: {task_named(task).shown}", draw_scores)]
    if len(runs) > 1:
        panels.append((f"Difference to {runs[0]}, 95 % interval", draw_differences))
    entries = len(runs) + (len(runs) > 1) + bool(floors)
    draw_panels(path, f"Runs on {task}", languages, panels, width=WIDTH, legend=max(-(-entries // 2), 1))


def _draw_points(axes: Axes, runs: Sequence[str], rows: Sequence[Row], *, first: int) -> None:
    """Marks of the runs from `first` on; of 0 scores, of 1 differences."""
    size = mark_size(len(rows)) * (0.8 if len(runs) > 2 else 1)
    for number, run in enumerate(runs[first:], first):
        places = np.arange(len(rows)) + _shift(number, len(runs))
        results = [row["runs"][run] for row in rows]
        values, spreads = _scores(results) if first == 0 else _differences(results)
        sure = np.array([one["difference"] is None or one["difference"]["p_holm"] < SURE for one in results])
        colour = colour_of(number)
        axes.errorbar(values, places, xerr=spreads, fmt="none", ecolor=colour, elinewidth=1.2)
        marks: dict[str, Any] = {"color": colour, "markersize": size, "markeredgewidth": 1.2}
        axes.plot(values[~sure], places[~sure], "o", markerfacecolor="white", **marks)
        axes.plot(values[sure], places[sure], "o", **marks)
        axes.plot([], [], "o", label=run, **marks)


def _shift(number: int, runs: int) -> float:
    """How far below the middle of its row a run stands; the main run is on top."""
    return (number - (runs - 1) / 2) * min(0.7 / runs, 0.25)


def _scores(results: Sequence[Row]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.array([one["mean"] for one in results]), np.array([one["sd"] or 0.0 for one in results])


def _differences(results: Sequence[Row]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    numbers = np.array([[one["difference"][name] for name in ("difference", "low", "high")] for one in results])
    values, low, high = numbers.T
    return values, np.maximum([values - low, high - values], 0)


def _say_hollow(axes: Axes, base: str, resampled: str) -> None:
    label = f"hollow: p ≥ {SURE:g} against {base} (Holm; {resampled})"
    axes.plot([], [], "o", color="#777777", markerfacecolor="white", markeredgewidth=1.2, label=label)


def _separate(axes: Axes, rows: Sequence[Row]) -> None:
    """Rows by faint stripes, and the mean by a line."""
    for row in range(0, len(rows), 2):
        axes.axhspan(row - 0.5, row + 0.5, color="#F6F6F6", zorder=0)
    if len(rows) > 1:
        axes.axhline(len(rows) - 1.5, color=FAINT, linewidth=0.8)
