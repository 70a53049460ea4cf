"""How far pruning goes: score against sparsity, the full model's spread, and the winning sparsity."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from polyticket.analysis.winning import Winning
from polyticket.core.files import Pathlike
from polyticket.figures.curves import draw_curves
from polyticket.figures.rows import label_of
from polyticket.figures.style import FAINT, INK, colour_of

Line = tuple[str, str]


def plot_winning(found: Mapping[Line, Winning], path: Pathlike, *, score: str, named: bool = True) -> None:
    """Draw a panel per group, such as a language, and in it a line per pruner with a band of one standard deviation.

    Dashed is the full model's mean less (or, for a perplexity, plus) one standard deviation; a ring marks the highest
    winning sparsity. Of one seed there is neither band nor ring.

    Args:
        found: Panel and line to what was found. The threshold drawn is that of the panel's first line; others that
            differ from it are dotted in the line's colour.
        path: The SVG file.
        score: The label of the vertical axis.
        named: Whether panels are language codes, to be written with the language's name.
    """
    lines, panels = list(dict.fromkeys(line for _, line in found)), []
    for group in dict.fromkeys(group for group, _ in found):
        own = {line: one for (at, line), one in found.items() if at == group}
        panels.append((label_of(group) if named else group, partial(_draw, own=own, lines=lines)))
    about = "Score against sparsity, beside the full model's mean less one standard deviation over seeds"
    draw_curves(path, "Winning sub-networks", panels, x="weights pruned (%)", y=score, description=about)


def _draw(axes: Axes, own: Mapping[str, Winning], lines: Sequence[str]) -> None:
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
