"""Outliers: languages whose text differs from that of the run's other languages, since it may be cut or read wrongly.

A language is an outlier in a measure if its value differs from the median of the other languages' values by more than
the factor of the measure, and by more than `DEVIATIONS` of their standard deviations, estimated by the median absolute
deviation, so that one outlier does not hide another. Both are compared on a scale of logarithms.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from polyticket.core.languages import LANGUAGES, SPACE_SPLIT
from polyticket.figures.ledger import Counts

FEWEST_LANGUAGES = 4
DEVIATIONS = 3.0
_OF_DEVIATION = 1.4826
"""The standard deviation of normal values over their median absolute deviation."""
NOISE = 0.02
"""What is added to shares before their logarithm is taken, so that none and few are near each other."""
FEWEST = 100
"""A language with fewer sentences, or lines, has no value."""
LETTERS = {"Hiragana": 2.4, "Hangul": 2.1, "Ethiopic": 1.6, "Han": 3.3}
"""Letters of an alphabet that a character of other writing stands for, by one of a language's scripts, the first here.

Measured on the articles of the Universal Declaration of Human Rights in ``tests/data/sentences``: median lengths of
sentences beside the median of the languages with alphabets.
"""
LETTERS_OF_CLAUSES = 2.0
"""The same where spaces part clauses, and nothing sentences; a guess."""


class Measure(NamedTuple):
    """A measure that languages are compared by: a count, or its share of a whole, and a tolerated factor."""

    name: str
    part: str
    whole: str
    form: str
    factor: float
    is_share: bool = True

    def of(self, counts: Counts) -> float | None:
        """The value of a language; None if it has too little text."""
        whole = counts.get(self.whole, 0)
        if whole < FEWEST:
            return None
        return counts.get(self.part, 0) / (whole if self.is_share else 1)

    def scaled(self, value: float, language: str) -> float:
        """The logarithm that is compared."""
        return float(np.log(value + NOISE if self.is_share else max(value, 1) * letters_of(language)))

    def shown(self, value: float, language: str = "") -> str:
        """A value in words."""
        weight = 1.0 if self.is_share else letters_of(language)
        letters = f" (of {format(value * weight, self.form)} letters)" if weight != 1 else ""
        return format(value, self.form) + letters


MEASURES = (
    Measure("median length of sentences", "sentences.median_length", "sentences.kept", ",.0f", 2.2, is_share=False),
    Measure("share of sentences of one word", "sentences.one_word", "sentences.kept", ".1%", 4.0),
    Measure("abbreviations' points per sentence", "abbreviations.vetoed", "sentences.kept", ".2f", 6.0),
    Measure("share of end matter in list lines", "lines.list.dropped.end_matter", "lines.list.read", ".1%", 6.0),
)


def letters_of(language: str) -> float:
    """The number of alphabetic letters that a character of a language stands for; 1 for an unknown language."""
    if language in SPACE_SPLIT:
        return LETTERS_OF_CLAUSES
    scripts = LANGUAGES[language].scripts if language in LANGUAGES else ()
    return next((letters for script, letters in LETTERS.items() if script in scripts), 1.0)


def outliers_of(table: Mapping[str, Counts]) -> dict[str, list[str]]:
    """Name the values that lie far outside the range of the other languages.

    Args:
        table: The counts of each language, see `polyticket.figures.ledger`.

    Returns:
        Each language to a line for each such measure, such as ``median length of sentences 940, of the others 90 to
        128``; without lines where fewer than `FEWEST_LANGUAGES` languages can be compared.
    """
    warnings: dict[str, list[str]] = {language: [] for language in table}
    for measure in MEASURES:
        found = {language: measure.of(counts) for language, counts in table.items()}
        values = {language: value for language, value in found.items() if value is not None}
        if len(values) < FEWEST_LANGUAGES:
            continue
        scaled = {language: measure.scaled(value, language) for language, value in values.items()}
        for language, value in values.items():
            others = sorted((code for code in values if code != language), key=scaled.__getitem__)
            if _is_far(scaled[language], [scaled[code] for code in others], measure.factor):
                least, most = (measure.shown(values[code], code) for code in (others[0], others[-1]))
                warnings[language].append(
                    f"{measure.name} {measure.shown(value, language)}, of the others {least} to {most}"
                )
    return warnings


def _is_far(value: float, others: list[float], factor: float) -> bool:
    middle = np.median(others)
    deviation = _OF_DEVIATION * np.median(np.abs(np.asarray(others) - middle))
    return bool(abs(value - middle) > max(np.log(factor), DEVIATIONS * deviation))
