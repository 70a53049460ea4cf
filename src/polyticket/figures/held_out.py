"""Scores on held-out records at the end of each phase, per language."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.figures.rows import draw_panels, mark_size, row_height, set_logarithmic
from polyticket.figures.style import FAINT, INK, colour_of

MEAN = "mean"
SPREAD = 0.6  # of a row's height, over which its runs are spread


class Measure(NamedTuple):
    """A panel: what it shows, its title, the label of its axis and, if there is one, the key of the baseline."""

    key: str
    title: str
    label: str
    baseline: str | None = None


PANELS = (
    Measure("mlm_accuracy", "Masked tokens", "accuracy", "most_frequent_accuracy"),
    Measure("perplexity", "Perplexity", "exp(loss)"),
    Measure("nsp_accuracy", "Next sentence", "accuracy", "most_frequent_nsp_accuracy"),
)
Runs = Mapping[str, Sequence[Mapping[str, Any]]]


def plot_held_out(runs: Runs, languages: Sequence[str], path: Pathlike) -> None:
    """Draw a row per language and one for the mean: accuracy of masked tokens, perplexity, accuracy of decisions.

    A run has a colour; the end of the last phase is filled, the ends of earlier ones are hollow, the earlier the paler.
    An upright line is what always saying the most frequent answer scores on the last phase's records.

    Args:
        runs: Run to its scores at the end of each phase, as the rule `score_held_out` writes them.
        languages: The codes, in the order of the rows. What has no scores has no marks.
        path: The SVG file.

    Raises:
        PolyticketError: Scores of a language are missing.
    """
    rows = [*languages, MEAN]
    for run, phases in runs.items():
        for scores in phases:
            if lost := [language for language in languages if language not in scores["languages"]]:
                raise PolyticketError(f"no scores of {lost[0]}", where=f"held-out records of {run}")
    panels = [(one.title, lambda axes, one=one: _draw(axes, one, runs, rows)) for one in PANELS]
    legend = max((len(runs) + 2) // 2, (_phases(runs) + 1) // 2)  # two entries in a line
    draw_panels(path, "Held-out records", rows, panels, width=2.9, legend=legend)


def _phases(runs: Runs) -> int:
    return max(map(len, runs.values()))


def _draw(axes: Axes, measure: Measure, runs: Runs, rows: Sequence[str]) -> None:
    for number, (run, phases) in enumerate(runs.items()):
        shift = SPREAD * ((number + 0.5) / len(runs) - 0.5)
        _draw_run(axes, [_column(scores, measure.key, rows) for scores in phases], shift, colour_of(number))
        if measure.key == "mlm_accuracy":
            axes.plot([], [], "o", color=colour_of(number), label=run)
    if measure.key == "perplexity":
        set_logarithmic(axes, FuncFormatter(lambda value, _: f"{value:,.12g}"))
        for number in range(_phases(runs)):
            axes.plot([], [], "o", label=f"after phase {number + 1}", **_face(INK, number, _phases(runs)))
    if measure.baseline:
        levels = _column(next(iter(runs.values()))[-1], measure.baseline, rows)
        high = 72 * row_height(len(rows)) * 0.85
        axes.plot(levels, np.arange(len(rows)), "|", color=INK, markersize=high, markeredgewidth=1.2)
        axes.plot([], [], "|", color=INK, markersize=9, markeredgewidth=1.2, label="always the most frequent")
    axes.axhline(len(rows) - 1.5, color=FAINT, linewidth=0.8)
    axes.set_xlabel(measure.label)


def _draw_run(axes: Axes, columns: Sequence[np.ndarray], shift: float, colour: str) -> None:
    places = np.arange(len(columns[0])) + shift
    for before, after in pairwise(columns):
        axes.hlines(places, before, after, color=colour, linewidth=0.9, alpha=0.5)
    for number, values in enumerate(columns):
        size = mark_size(len(places)) * 0.8
        axes.plot(values, places, "o", markersize=size, **_face(colour, number, len(columns)))


def _face(colour: str, number: int, phases: int) -> dict[str, Any]:
    """How the end of a phase is marked: the last one filled, the others hollow, the earlier the paler."""
    if number == phases - 1:
        return {"color": colour}
    hollow = {"markerfacecolor": "white", "markeredgecolor": colour, "markeredgewidth": 1}
    return {**hollow, "color": colour, "alpha": 0.5 + 0.5 * (number + 1) / (phases - 1)}


def _column(scores: Mapping[str, Any], key: str, rows: Sequence[str]) -> np.ndarray:
    """float64 [rows]: a measure of each language, and its mean; NaN, which is not drawn, where there is none."""
    measures = [scores["mean"] if row == MEAN else scores["languages"][row] for row in rows]
    return np.array([np.nan if one[key] is None else one[key] for one in measures], np.float64)
