"""Grids of small panels of curves with one legend."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from polyticket.analysis.winning import Winning
from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.figures.rows import label_of
from polyticket.figures.style import FAINT, INK, colour_of, drawing, shortened

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


Line = tuple[str, str]


def plot_winning(results: Mapping[Line, Winning], path: Pathlike, *, score: str) -> None:
    """Draw a panel per language, and in it a line per pruner with a band of one standard deviation.

    Dashed is the full model's mean less (or, for a perplexity, plus) one standard deviation; a ring marks the highest
    winning sparsity. Of one seed there is neither band nor ring.

    Args:
        results: The winning sparsity of each panel and line. The threshold drawn is that of the panel's first line;
            others that differ from it are dotted in the line's colour.
        path: The SVG file.
        score: The label of the vertical axis.
    """
    lines, panels = list(dict.fromkeys(line for _, line in results)), []
    for group in dict.fromkeys(group for group, _ in results):
        own = {line: one for (at, line), one in results.items() if at == group}
        panels.append((label_of(group), partial(_draw_winning, own=own, lines=lines)))
    about = "Score against sparsity, beside the full model's mean less one standard deviation over seeds"
    draw_curves(path, "Winning sub-networks", panels, x="weights pruned (%)", y=score, description=about)


def _draw_winning(axes: Axes, own: Mapping[str, Winning], lines: Sequence[str]) -> None:
    for line, one in own.items():
        _draw_line(axes, one, line, colour_of(lines.index(line)))
    axes.axhline(next(iter(own.values())).full.mean, color=FAINT, linewidth=1, label="full model")
    drawn: set[float] = set()
    for line, one in own.items():
        if one.threshold is None or round(one.threshold, 9) in drawn:
            continue
        look: dict[str, Any] = {"color": colour_of(lines.index(line)), "linestyle": ":"}
        if not drawn:
            look = {"color": INK, "linestyle": "--", "label": "full model, one standard deviation off"}
        axes.axhline(one.threshold, linewidth=1, **look)
        drawn.add(round(one.threshold, 9))


def _draw_line(axes: Axes, one: Winning, line: str, colour: str) -> None:
    x = np.array([level.sparsity for level in one.levels])
    mean = np.array([level.mean for level in one.levels])
    sd = np.array([np.nan if level.sd is None else level.sd for level in one.levels])
    axes.fill_between(x, mean - sd, mean + sd, color=colour, alpha=0.18, linewidth=0)
    axes.plot(x, mean, "o-", color=colour, markersize=3, linewidth=1.5, label=line)
    if one.sparsity is not None:
        at = one.levels[[level.sparsity for level in one.levels].index(one.sparsity)]
        ring: dict[str, Any] = {"markerfacecolor": "none", "markeredgewidth": 1.6, "zorder": 4}
        axes.plot([at.sparsity], [at.mean], "o", markersize=9, markeredgecolor=colour, **ring)
        axes.plot([], [], "o", markersize=8, markeredgecolor=INK, **ring, label="highest that wins")


Scores = Mapping[str, Any]


def plot_retrieval(runs: Mapping[str, Sequence[Scores]], path: Pathlike, *, margin: str) -> None:
    """Draw a panel per pair of languages: accuracy at each layer (0: the embeddings), a colour per encoder.

    Lines with dots are of retrieval from source to target, dashed ones from target to source; a fine line is chance.

    Args:
        runs: What an encoder is called (such as `dense` or `50 %`) to its scores of each pair, as the rule
            `score_retrieval` writes them. The first is drawn black.
        path: The SVG file.
        margin: `absolute`, `distance` or `ratio`.

    Raises:
        PolyticketError: Scores by this margin are missing.
    """
    pairs: dict[tuple[str, str], dict[str, Scores]] = {}
    for run, scores in runs.items():
        for one in scores:
            if margin not in one["margins"]:
                expected = ", ".join(one["margins"])
                raise PolyticketError(f"no scores by {margin}", where=f"retrieval of {run}", expected=expected)
            pairs.setdefault((one["source"], one["target"]), {})[run] = one
    colours = {run: INK if number == 0 else colour_of(number - 1) for number, run in enumerate(runs)}
    panels = [
        (
            f"{label_of(source)} – {target}",
            lambda axes, encoders=encoders: _draw_retrieval(axes, encoders, colours, margin),
        )
        for (source, target), encoders in pairs.items()
    ]
    title = f"Retrieval of parallel sentences, {margin} margin"
    draw_curves(path, title, panels, x="layer", y="accuracy", description="Accuracy by layer, in both directions")


def _draw_retrieval(axes: Axes, encoders: Mapping[str, Scores], colours: Mapping[str, str], margin: str) -> None:
    for run, scores in encoders.items():
        layers = [layer["layer"] for layer in scores["layers"]]
        there, back = ([layer[margin][way] for layer in scores["layers"]] for way in ("forward", "backward"))
        axes.plot(layers, there, "o-", color=colours[run], markersize=3, linewidth=1.4, label=run)
        axes.plot(layers, back, "--", color=colours[run], linewidth=1.1)
    axes.plot([], [], "o-", color=FAINT, markersize=3, label="to the second language")
    axes.plot([], [], "--", color=FAINT, label="to the first")
    axes.axhline(next(iter(encoders.values()))["chance"], color=FAINT, linewidth=0.8, label="chance")
    axes.set_ylim(-0.02, 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
