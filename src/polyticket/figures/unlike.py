"""Languages whose text is unlike that of the run's others, since their text may be cut or read wrongly.

A figure of a language is unlike if it lies more than `FENCES` quartile ranges below the first or above the third
quartile of the other languages' figures (Tukey's far-out values), on a scale of logarithms. A range counts as a factor
of `LEAST_FACTOR` at least, so that nothing within a factor of 3.4 of both quartiles is.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from polyticket.figures.ledger_table import Counts

FEWEST_LANGUAGES = 4
FENCES, LEAST_FACTOR = 3.0, 1.5
NOISE = 0.01
"""What is added to shares before their logarithm is taken, so that none and few are near each other."""
FEWEST = 100
"""Sentences, or lines, without which a language has no figure."""


class Figure(NamedTuple):
    """What languages are compared by: a part, or its share of the whole."""

    name: str
    part: str
    whole: str
    form: str
    is_share: bool = True

    def of(self, counts: Counts) -> float | None:
        """The figure of a language; None if there is too little to tell."""
        whole = counts.get(self.whole, 0)
        if whole < FEWEST:
            return None
        return counts.get(self.part, 0) / (whole if self.is_share else 1)

    def scaled(self, value: float) -> float:
        """The logarithm by which a figure is compared."""
        return float(np.log(value + NOISE if self.is_share else max(value, 1)))

    def shown(self, value: float) -> str:
        """The figure in words."""
        return format(value, self.form)


FIGURES = (
    Figure("median length of sentences", "sentences.median_length", "sentences.kept", ",.0f", is_share=False),
    Figure("share of sentences of one word", "sentences.one_word", "sentences.kept", ".1%"),
    Figure("abbreviations' points per sentence", "abbreviations.vetoed", "sentences.kept", ".2f"),
    Figure("share of end matter in list lines", "lines.list.dropped.end_matter", "lines.list.read", ".1%"),
)


def unlike_others(table: Mapping[str, Counts]) -> dict[str, list[str]]:
    """What lies far outside the range of the other languages, in words.

    Args:
        table: The counts of each language, see `polyticket.figures.ledger_table`.

    Returns:
        Each language to a line for each figure that does, such as ``median length of sentences 940, of the others 90 to
        128``; without lines where fewer than `FEWEST_LANGUAGES` languages can be compared.
    """
    said: dict[str, list[str]] = {language: [] for language in table}
    for figure in FIGURES:
        found = {language: figure.of(counts) for language, counts in table.items()}
        values = {language: value for language, value in found.items() if value is not None}
        if len(values) < FEWEST_LANGUAGES:
            continue
        for language, value in values.items():
            others = [other for code, other in values.items() if code != language]
            if _is_far(figure.scaled(value), [figure.scaled(other) for other in others]):
                least, most = figure.shown(min(others)), figure.shown(max(others))
                said[language].append(f"{figure.name} {figure.shown(value)}, of the others {least} to {most}")
    return said


def _is_far(value: float, others: list[float]) -> bool:
    first, third = np.quantile(others, (0.25, 0.75))
    fence = FENCES * max(third - first, np.log(LEAST_FACTOR))
    return not first - fence <= value <= third + fence
