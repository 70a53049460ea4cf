"""Corpus size and sampling ratio of each language."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, FuncFormatter

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.figures.rows import draw_panels, mark_size, set_logarithmic, write_beside_rows
from polyticket.figures.style import COLOURS, FAINT, INK
from polyticket.pretraining.sampling import ratios_of

MEASURES = {"characters": COLOURS[0], "tokens": COLOURS[2], "sentences": COLOURS[5], "instances": COLOURS[1]}
RATIO = COLOURS[4]


class Corpus(NamedTuple):
    """One language's text.

    Attributes:
        language: Its code.
        sizes: Measure to count.
        share: The share of its instances in those of all languages.
        ratio: The share of pretraining steps that draw it.
    """

    language: str
    sizes: dict[str, int]
    share: float
    ratio: float


def corpora_of(
    languages: Sequence[str],
    stats: Sequence[Mapping[str, Any]],
    ledgers: Sequence[Mapping[str, Any]],
    options: Mapping[str, Any],
) -> list[Corpus]:
    """Sizes and ratios of the L languages, the one with most instances first.

    Args:
        languages: Their codes.
        stats: The statistics of their records.
        ledgers: The ledgers of their text.
        options: What `polyticket.pretraining.sampling.ratios_of` takes.

    Raises:
        PolyticketError: Records or a ledger are of another language, or the ratios cannot be worked out.
    """
    for what, sources in ("records", stats), ("ledger", ledgers):
        for language, one in zip(languages, sources, strict=True):
            if one["language"] != language:
                raise PolyticketError(f"{what} of {one['language']}", where="corpus", expected=f"{what} of {language}")
    instances = [int(found["instances"]) for found in stats]
    ratios = ratios_of(options, languages, instances).tolist()
    corpora = []
    for language, found, ledger, ratio in zip(languages, stats, ledgers, ratios, strict=True):
        sizes = {name: int(found[name]) for name in MEASURES if name in found}
        sizes |= {"characters": int(ledger["characters"]["sentences"])}
        corpora.append(Corpus(language, sizes, sizes["instances"] / max(1, sum(instances)), ratio))
    return sorted(corpora, key=lambda corpus: (-corpus.sizes["instances"], corpus.language))


def plot_corpora(corpora: Sequence[Corpus], path: Pathlike) -> None:
    """Draw a row per language: the sizes of its corpus (left), its share of instances and its sampling ratio (right).

    Both axes are logarithmic, since sizes differ by orders of magnitude. At the right end stands how many times its
    share a language is drawn.

    Args:
        corpora: In the order of the rows.
        path: The SVG file.
    """
    panels = [
        ("Size", lambda axes: _draw_sizes(axes, corpora)),
        ("Share and sampling ratio", lambda axes: _draw_ratios(axes, corpora)),
    ]
    languages = [corpus.language for corpus in corpora]
    draw_panels(path, "Corpus sizes and sampling ratios", languages, panels, width=3.7, legend=1)


def _draw_sizes(axes: Axes, corpora: Sequence[Corpus]) -> None:
    for measure, colour in MEASURES.items():
        points = [(corpus.sizes[measure], row) for row, corpus in enumerate(corpora) if corpus.sizes.get(measure)]
        if points:
            counts, places = zip(*points, strict=True)
            axes.plot(counts, places, "o", color=colour, markersize=mark_size(len(corpora)), label=measure)
    set_logarithmic(axes, EngFormatter(sep=""))
    axes.set_xlabel("count")


def _draw_ratios(axes: Axes, corpora: Sequence[Corpus]) -> None:
    places = np.arange(len(corpora))
    both = np.array([(corpus.share, corpus.ratio) for corpus in corpora])
    shares, ratios = np.where(both > 0, both, np.nan).T  # what is none has no place on a logarithmic axis
    axes.hlines(places, shares, ratios, color=FAINT, linewidth=1)
    hollow: Any = {"markerfacecolor": "white", "markeredgecolor": INK, "markeredgewidth": 0.9}
    axes.plot(shares, places, "o", markersize=mark_size(len(corpora)), label="share of all instances", **hollow)
    axes.plot(ratios, places, "o", color=RATIO, markersize=mark_size(len(corpora)), label="sampling ratio")
    write_beside_rows(axes, [_times(found) for found in ratios / shares])
    set_logarithmic(axes, FuncFormatter(lambda value, _: f"{100 * value:.12g} %"), of_none=(0.01, 1))
    axes.set_xlabel("share of instances, of steps")


def _times(quotient: float) -> str:
    """How many times its share a language is drawn; of none there is nothing to say."""
    if np.isnan(quotient):
        return ""
    return f"×{quotient:.2g}" if quotient < 99.5 else f"×{quotient:,.0f}"
