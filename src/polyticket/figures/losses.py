"""Loss curves of pretraining."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.core.tables import read_rows
from polyticket.figures.style import FAINT, INK, colour_of, count_steps, drawing

Curves = dict[str, NDArray[np.float64]]
PANELS = (("masked_lm_loss", "Masked LM"), ("next_sentence_loss", "Next sentence"))
POINTS = 400


def read_curves(path: Pathlike) -> Curves:
    """Read a loss history.

    Returns:
        `step` and both losses (nats), float64 [points] each.

    Raises:
        PolyticketError: A column is missing or holds no number, or there are no rows; names the file.
    """
    names = ("step", *(name for name, _ in PANELS))
    rows = read_rows(path, names, names)
    if not rows:
        raise PolyticketError("no rows", where=path, expected="a loss history")
    return {name: np.array([row[name] for row in rows]) for name in names}


def thinned(curves: Curves, points: int = POINTS) -> Curves:
    """Means over equal stretches where there are more points than can be seen; each stands at its last step."""
    size = -(-len(curves["step"]) // points)
    starts = np.arange(0, len(curves["step"]), size)
    counts = np.diff([*starts, len(curves["step"])])
    means = {name: np.add.reduceat(values, starts) / counts for name, values in curves.items()}
    return means | {"step": curves["step"][starts + counts - 1]}


def plot_losses(histories: Mapping[str, Curves], phases: Sequence[Mapping[str, Any]], path: Pathlike) -> None:
    """Draw both losses over steps, a line per run, with the ends of the phases marked.

    Args:
        histories: Run to its whole loss history.
        phases: `until_step` and `max_seq_length` of each phase, in order.
        path: The SVG file.
    """
    with drawing(path, (9.5, 4.0), "Pretraining losses") as figure:
        figure.subplots_adjust(left=0.07, right=0.985, bottom=0.22, top=0.84, wspace=0.16)
        for axes, (name, title) in zip(figure.subplots(1, 2), PANELS, strict=True):
            for number, (run, curves) in enumerate(histories.items()):
                line = thinned(curves)
                look: Any = {"color": colour_of(number), "linewidth": 1.5}
                look["marker"] = "o" if len(line["step"]) == 1 else ""  # a line of one point is not seen
                axes.plot(line["step"], line[name], label=run, **look)
            axes.set_title(title, pad=20)
            axes.set_xlabel("step")
            axes.set_xlim(0, phases[-1]["until_step"])
            count_steps(axes)
            _mark_phases(axes, phases)
        figure.axes[0].set_ylabel("loss (nats)")
        figure.axes[1].axhline(
            math.log(2), color=INK, linewidth=1, linestyle=":", label="next sentence by chance, ln 2"
        )
        handles, labels = figure.axes[1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="lower center", ncols=min(len(labels), 6))


def _mark_phases(axes: Axes, phases: Sequence[Mapping[str, Any]]) -> None:
    begin, total = 0, phases[-1]["until_step"]
    for phase in phases:
        end = phase["until_step"]
        if end < total:
            axes.axvline(end, color=FAINT, linewidth=1, linestyle="--")
        narrow = (end - begin) / total < 0.2  # the text would run over its neighbours
        words = f"{phase['max_seq_length']}" if narrow else f"{phase['max_seq_length']} tokens"
        place = axes.get_xaxis_transform()
        axes.text((begin + end) / 2, 1.02, words, transform=place, ha="center", va="bottom", color="#555555")
        begin = end
