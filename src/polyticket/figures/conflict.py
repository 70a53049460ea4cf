"""Conflict between languages: heat maps of cosines at a step, and lines over the steps of pretraining."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from polyticket.conflict.cosines import Matrix, mean_cosine, share_negative
from polyticket.conflict.settings import KINDS, SHARED
from polyticket.conflict.trace import Table, Trace
from polyticket.core.files import Pathlike
from polyticket.figures.heat import Heat, Look, draw_heat_maps, signed
from polyticket.figures.style import FAINT, INK, colour_of, count_steps, drawing

TITLES = {
    "updates": "Cosine of the sums of updates since step {since}, at step {step}",
    "recent_updates": "Cosine of the sums of updates from step {since} to {step}",
    "own": "Cosine of own parts of updates since step {since}, at step {step}",
    "recent_own": "Cosine of own parts of updates from step {since} to {step}",
    "gradients": "Cosine of gradients at step {step}",
}


def plot_conflict(tables: Mapping[str, Table], path: Pathlike) -> None:
    """Draw a heat map per run with its dendrogram, a row and a column per language; all with one scale about zero.

    Args:
        tables: Run to its cosines.
        path: The SVG file.
    """
    about = next(iter(tables.values())).about
    kind = about["kind"].removesuffix("_shared")
    shared = ", over shared weights" if kind != about["kind"] else ""
    look = Look(
        f"Conflict of {kind.replace('_', ' ')}{shared}",
        TITLES[kind].format(**about) + shared,
        "cosine",
        "0",
        "joined at a\nmean cosine of",
    )
    draw_heat_maps([_heat(run, table) for run, table in tables.items()], look, path)


def _heat(run: str, table: Table) -> Heat:
    off = np.where(np.eye(len(table.languages), dtype=bool), np.nan, table.cosines)
    return Heat(run, _subtitle(table), table.languages, table.cosines, off)


def _subtitle(table: Table) -> str:
    """What all pairs come to, and how far a cosine may be off; a note where there are none."""
    about = table.about
    if about["share_negative"] is None:
        return f"one language ({table.languages[0]}): no pairs to compare"
    error = f"; each ± {about['standard_error']:.2g}" if about["standard_error"] else ""
    shared = ", over shared weights" if about["kind"] in SHARED else ""
    return f"{about['share_negative']:.0%} of pairs negative, mean {signed(about['mean_cosine'])}{shared}{error}"


KIND_NAMES = {
    "gradients": "gradients at the step",
    "own": "own parts of updates since the start",
    "recent_own": "own parts since the point before",
    "updates": "updates since the start",
    "recent_updates": "updates since the point before",
}
MARKS: dict[str, tuple[str, Any]] = {
    "gradients": ("^", "-"),
    "own": ("o", "-"),
    "recent_own": ("o", "--"),
    "updates": ("", ":"),
    "recent_updates": ("", "-."),
}


class Panel(NamedTuple):
    """What is drawn of each matrix of cosines."""

    title: str
    measure: Callable[[Matrix], float]


PANELS = (Panel("Pairs of languages with a negative cosine", share_negative), Panel("Mean cosine", mean_cosine))


def trend(trace: Trace, kind: str, measure: Callable[[Matrix], float]) -> NDArray[np.float64]:
    """A measure of a kind at all points where every language was seen: float64 [points, 2] of step and value."""
    number = KINDS.index(kind)
    pairs = [(point.step, measure(point.cosines[number])) for point in trace.points]
    return np.array([pair for pair in pairs if np.isfinite(pair[1])], np.float64).reshape(-1, 2)


def plot_conflict_trend(traces: Mapping[str, Trace], path: Pathlike) -> None:
    """Draw both measures over steps, a colour per run and a line per kind.

    Args:
        traces: Run to its trace.
        path: The SVG file.
    """
    with drawing(path, (9.5, 4.6), "Conflict between languages over pretraining") as figure:
        figure.subplots_adjust(left=0.07, right=0.985, bottom=0.33, top=0.92, wspace=0.16)
        for axes, panel in zip(figure.subplots(1, 2), PANELS, strict=True):
            drawn = [_draw(axes, trace, panel, colour_of(number)) for number, trace in enumerate(traces.values())]
            axes.set_title(panel.title)
            axes.set_xlabel("step")
            axes.set_xlim(0, max(trace.last() for trace in traces.values()) * 1.03 or 1)
            count_steps(axes)
            if not any(drawn):
                axes.text(0.5, 0.5, "no point at which every language was seen", ha="center", transform=axes.transAxes)
        share, mean = figure.axes
        share.set_ylim(-0.02, 1.02)
        share.yaxis.set_major_formatter(PercentFormatter(1))
        mean.axhline(0, color=FAINT, linewidth=1)
        runs = [Line2D([], [], color=colour_of(number), label=run) for number, run in enumerate(traces)]
        kinds = [_key(kind) for kind in MARKS]
        figure.legend(handles=runs, loc="lower center", ncols=6, bbox_to_anchor=(0.5, 0.12))
        figure.legend(handles=kinds, loc="lower center", ncols=3, bbox_to_anchor=(0.5, 0.0), handlelength=3)


def _draw(axes: Axes, trace: Trace, panel: Panel, colour: str) -> int:
    points = 0
    for kind, (mark, line) in MARKS.items():
        values = trend(trace, kind, panel.measure)
        size = 4 if len(values) <= 60 else 0
        axes.plot(*values.T, color=colour, marker=mark, linestyle=line, linewidth=1.5, markersize=size)
        points += len(values)
    return points


def _key(kind: str) -> Line2D:
    mark, line = MARKS[kind]
    return Line2D([], [], color=INK, marker=mark, linestyle=line, markersize=4, label=KIND_NAMES[kind])
