"""The distribution of saliency scores over sites and over languages, by method."""

from collections.abc import Iterable, Mapping

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from polyticket.core.files import Pathlike
from polyticket.figures.density import ordered_sites
from polyticket.figures.style import INK, colour_of, drawing
from polyticket.saliency.score_files import Scores, normalised

Array = NDArray[np.float64]
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
HIGH, ABOVE, BELOW, LEFT = 1.5, 0.5, 0.85, 0.85  # inches
ROOM = 0.4  # beyond the extremes, as a share of them


def plot_saliency(scores: Mapping[str, Mapping[str, Scores]], path: Pathlike, *, remain_ratio: float) -> None:
    """Draw two panels per method: quantiles of each site over all languages, and of each language over all sites.

    Scores are what allocation ranks: divided by the L2 norm of their site and language. A line shows what the given
    share of all of a method's scores lies above.

    Args:
        scores: Method to language to site to float64 [size]; the same sites everywhere.
        path: The SVG file.
        remain_ratio: The share.
    """
    languages = list(next(iter(scores.values())))
    sites = ordered_sites(list(next(iter(scores.values()))[languages[0]]))
    labels = [f"{site.component}  {'' if site.layer is None else site.layer}".strip() for site in sites]
    wide = min(14.0, max(5.0, 0.2 * len(sites), 0.15 * len(languages)))
    lines = 2 * len(scores)
    size = wide + LEFT + 0.2, lines * (HIGH + ABOVE + BELOW)
    with drawing(path, size, "Saliency", "Quantiles of normalised scores by site and by language") as figure:
        for number, (method, language_scores) in enumerate(scores.items()):
            parts = {language: normalised(one) for language, one in language_scores.items()}
            by_site = [np.concatenate([one[site.name] for one in parts.values()]) for site in sites]
            by_language = [np.concatenate(list(one.values())) for one in parts.values()]
            cut = float(np.quantile(np.concatenate(by_language), 1 - remain_ratio))
            for at, (groups, names, title) in enumerate(
                ((by_site, labels, "by site"), (by_language, languages, "by language"))
            ):
                bottom = size[1] - (2 * number + at + 1) * (HIGH + ABOVE + BELOW) + BELOW
                axes = figure.add_axes((LEFT / size[0], bottom / size[1], wide / size[0], HIGH / size[1]))
                _draw(axes, np.array([quantiles(values) for values in groups]), cut, colour_of(number))
                axes.set_xticks(np.arange(len(names)), names, rotation=90, size=8 if len(names) <= 60 else 6)
                axes.set_title(f"{method}, {title}")
        axes.annotate(
            f"line: {remain_ratio:g} of all scores lie above; box: middle half; whisker: 5 % to 95 %",
            (0, 0), xycoords=("axes fraction", "figure pixels"), xytext=(0, 6), textcoords="offset points", size=7,
            color="#555555",
        )  # fmt: skip


def quantiles(values: Array) -> Array:
    """5, 25, 50, 75 and 95 % of values."""
    return np.quantile(values, QUANTILES)


def _draw(axes: Axes, bands: Array, cut: float, colour: str) -> None:
    places = np.arange(len(bands))
    axes.vlines(places, bands[:, 0], bands[:, 4], color=colour, linewidth=1)
    axes.vlines(places, bands[:, 1], bands[:, 3], color=colour, linewidth=5, alpha=0.55)
    axes.plot(places, bands[:, 2], linestyle="none", marker="_", markersize=7, color=INK)
    axes.axhline(cut, color=INK, linewidth=0.8, linestyle="--")
    _scale(axes, [*bands.ravel(), cut])
    axes.set_xlim(-0.7, len(bands) - 0.3)
    axes.set_ylabel("score / norm")
    axes.tick_params(axis="x", length=0)


def _scale(axes: Axes, drawn: Iterable[float]) -> None:
    """Logarithmic; for scores with signs or zeros, and for those within a decade, linear."""
    least, *_, most = sorted(drawn)
    if least > 0 and most >= 10 * least:
        axes.set_yscale("log")
        axes.set_ylim(least / (1 + ROOM), most * (1 + ROOM))
    elif most > least:
        axes.set_ylim(least - ROOM / 8 * (most - least), most + ROOM / 8 * (most - least))
