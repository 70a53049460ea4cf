"""Languages whose text is unlike that of the run's others, since their text may be cut or read wrongly.

A figure of a language is unlike if it differs from the median of the other languages' figures by more than the factor
that is given for it, and by more than `DEVIATIONS` of their standard deviations, estimated by the median absolute
deviation, so that no other language that is unlike hides it. Both are compared on a scale of logarithms.
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
"""Sentences, or lines, without which a language has no figure."""
LETTERS = {"Hiragana": 2.4, "Hangul": 2.1, "Ethiopic": 1.6, "Han": 3.3}
"""Letters of an alphabet that a character of other writing stands for, by one of a language's scripts, the first here.

Measured on the articles of the Universal Declaration of Human Rights in ``tests/data/sentences``: median lengths of
sentences beside the median of the languages with alphabets.
"""
LETTERS_OF_CLAUSES = 2.0
"""The same where spaces part clauses, and nothing sentences; a guess."""


class Figure(NamedTuple):
    """What languages are compared by: a part, or its share of the whole; a factor within which they are alike."""

    name: str
    part: str
    whole: str
    form: str
    factor: float
    is_share: bool = True

    def of(self, counts: Counts) -> float | None:
        """The figure of a language; None if there is too little to tell."""
        whole = counts.get(self.whole, 0)
        if whole < FEWEST:
            return None
        return counts.get(self.part, 0) / (whole if self.is_share else 1)

    def scaled(self, value: float, language: str) -> float:
        """The logarithm by which a figure is compared."""
        return float(np.log(value + NOISE if self.is_share else max(value, 1) * letters_of(language)))

    def shown(self, value: float, language: str = "") -> str:
        """The figure in words."""
        weight = 1.0 if self.is_share else letters_of(language)
        letters = f" (of {format(value * weight, self.form)} letters)" if weight != 1 else ""
        return format(value, self.form) + letters


FIGURES = (
    Figure("median length of sentences", "sentences.median_length", "sentences.kept", ",.0f", 2.2, is_share=False),
    Figure("share of sentences of one word", "sentences.one_word", "sentences.kept", ".1%", 4.0),
    Figure("abbreviations' points per sentence", "abbreviations.vetoed", "sentences.kept", ".2f", 6.0),
    Figure("share of end matter in list lines", "lines.list.dropped.end_matter", "lines.list.read", ".1%", 6.0),
)


def letters_of(language: str) -> float:
    """How many letters of an alphabet a character of a language stands for; 1 for a language that is not known."""
    if language in SPACE_SPLIT:
        return LETTERS_OF_CLAUSES
    scripts = LANGUAGES[language].scripts if language in LANGUAGES else ()
    return next((letters for script, letters in LETTERS.items() if script in scripts), 1.0)


def unlike_others(table: Mapping[str, Counts]) -> dict[str, list[str]]:
    """What lies far outside the range of the other languages, in words.

    Args:
        table: The counts of each language, see `polyticket.figures.ledger`.

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
        scaled = {language: figure.scaled(value, language) for language, value in values.items()}
        for language, value in values.items():
            others = sorted((code for code in values if code != language), key=scaled.__getitem__)
            if _is_far(scaled[language], [scaled[code] for code in others], figure.factor):
                least, most = (figure.shown(values[code], code) for code in (others[0], others[-1]))
                said[language].append(f"{figure.name} {figure.shown(value, language)}, of the others {least} to {most}")
    return said


def _is_far(value: float, others: list[float], factor: float) -> bool:
    middle = np.median(others)
    deviation = _OF_DEVIATION * np.median(np.abs(np.asarray(others) - middle))
    return bool(abs(value - middle) > max(np.log(factor), DEVIATIONS * deviation))
