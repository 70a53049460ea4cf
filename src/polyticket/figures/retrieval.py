"""Retrieval of parallel sentences by layer, the dense encoder beside pruned ones."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.figures.curves import draw_curves
from polyticket.figures.rows import label_of
from polyticket.figures.style import FAINT, INK, colour_of

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
        (f"{label_of(source)} – {target}", lambda axes, found=found: _draw(axes, found, colours, margin))
        for (source, target), found in pairs.items()
    ]
    title = f"Retrieval of parallel sentences, {margin} margin"
    draw_curves(path, title, panels, x="layer", y="accuracy", description="Accuracy by layer, in both directions")


def _draw(axes: Axes, found: Mapping[str, Scores], colours: Mapping[str, str], margin: str) -> None:
    for run, scores in found.items():
        layers = [layer["layer"] for layer in scores["layers"]]
        there, back = ([layer[margin][way] for layer in scores["layers"]] for way in ("forward", "backward"))
        axes.plot(layers, there, "o-", color=colours[run], markersize=3, linewidth=1.4, label=run)
        axes.plot(layers, back, "--", color=colours[run], linewidth=1.1)
    axes.plot([], [], "o-", color=FAINT, markersize=3, label="to the second language")
    axes.plot([], [], "--", color=FAINT, label="to the first")
    axes.axhline(next(iter(found.values()))["chance"], color=FAINT, linewidth=0.8, label="chance")
    axes.set_ylim(-0.02, 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
