"""Sampling ratios of languages, and the language of each language batch."""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.core.languages import CODES
from polyticket.core.text import read_text

ROW = "a file pattern and its ratio with a tab or a comma between them, for example records/en/*.tfrecord,0.25"
LARGEST = 2**20
"""Bytes of a file of ratios."""
LONG_CODES = (
    *("bat-smg", "be-tarask", "be-x-old", "cbk-zam", "fiu-vro", "map-bms", "nds-nl", "roa-rup", "roa-tara"),
    *("zh-classical", "zh-min-nan", "zh-yue"),
)
"""Codes of Wikipedias that begin or end with the code of another."""


def ratios_of(options: Mapping[str, Any], languages: Sequence[str], instances: Sequence[int]) -> NDArray[np.float64]:
    """The sampling ratios that a configuration asks for.

    Args:
        options: `sampling_ratios` (language to ratio, or the path of a CSV file for `read_ratios`) or
            `sampling_temperature` T (p_l ∝ n_l^(1/T)), or else `sampling_exponent` α (p_l ∝ n_l^α). What is None or
            absent does not count.
        languages: The L languages.
        instances: How many each has.

    Returns:
        float64 [L], summing to one.

    Raises:
        PolyticketError: Two of table and temperature are given, or the ratios cannot be used.
    """
    table, temperature = options.get("sampling_ratios") or None, options.get("sampling_temperature")
    if table is not None and temperature is not None:
        what = f"sampling_temperature is {temperature} beside sampling_ratios"
        raise PolyticketError(what, where="pretraining", expected="one of the two")
    if table is not None:
        where = None if isinstance(table, Mapping) else table
        found = table if where is None else read_ratios(where, languages)
        return table_ratios(found, languages, where=where or "pretraining.sampling_ratios")
    if temperature is None:
        return smoothed_ratios(instances, options["sampling_exponent"])
    if not 0 < temperature < math.inf:
        raise PolyticketError(f"{temperature}", where="pretraining.sampling_temperature", expected="a number above 0")
    return smoothed_ratios(instances, 1 / temperature)


def smoothed_ratios(sizes: Sequence[int], exponent: float) -> NDArray[np.float64]:
    """Sampling ratios p_l ∝ n_l^α from corpus sizes; α = 1 is proportional, 0 uniform.

    Returns:
        float64 [L], summing to one.
    """
    if min(sizes) <= 0:
        raise PolyticketError(f"corpus sizes {list(sizes)}", where="sampling", expected="records for every language")
    with np.errstate(over="ignore"):
        weights = np.asarray(sizes, np.float64) ** exponent
    if not math.isfinite(weights.sum()):
        raise PolyticketError(f"sizes to the power of {exponent:g} are too large", where="sampling", expected="0 to 1")
    return weights / weights.sum()


def table_ratios(
    table: Mapping[str, float], languages: Sequence[str], *, where: object = "pretraining.sampling_ratios"
) -> NDArray[np.float64]:
    """Sampling ratios [L] from an explicit table, scaled to sum to one; other languages in the table do not count.

    Raises:
        PolyticketError: A language is missing, or its ratio is not a positive number.
    """
    if missing := [language for language in languages if language not in table]:
        raise PolyticketError(f"no ratio for {', '.join(missing)}", where=where, expected="every language")
    for language in languages:
        if not 0 < table[language] < math.inf:
            what = f"ratio {table[language]} for {language}"
            raise PolyticketError(what, where=where, expected="a number above 0")
    weights = np.array([table[language] for language in languages], np.float64)
    return weights / weights.sum()


def read_ratios(path: Pathlike, languages: Collection[str]) -> dict[str, float]:
    """Read a CSV file of sampling ratios: a row per language with a pattern of its record files and its ratio.

    The pattern says the language, and nothing is read from it; see `language_of_pattern`. Columns are separated by a
    tab, or else by the last comma. Empty lines do not count, and neither do rows of known languages that are not asked
    for. Ratios need not sum to one.

    Args:
        path: The file, UTF-8.
        languages: The languages of the run.

    Returns:
        Ratio by language, for those in the file.

    Raises:
        PolyticketError: The file cannot be read, a row is not of this form, its pattern says no language or several, a
            ratio is not a positive number, or a language has two rows; names file and line.
    """
    found: dict[str, float] = {}
    lines: dict[str, int] = {}
    rows = read_text(path, expected=f"rows of {ROW}", most=LARGEST).splitlines()
    for number, row in enumerate(rows, start=1):
        if row.strip():
            where = f"{path}:{number}"
            pattern, ratio = _read_row(row, where)
            language = language_of_pattern(pattern, languages, where=where)
            if language in lines:
                what = f"a second ratio for {language}, after line {lines[language]}"
                raise PolyticketError(what, where=where, expected="one row per language")
            lines[language] = number
            if language in languages:
                found[language] = ratio
    return found


def _read_row(row: str, where: str) -> tuple[str, float]:
    pattern, _, text = (part.strip() for part in row.rpartition("\t" if "\t" in row else ","))
    if not pattern:
        raise PolyticketError(f"{row.strip()!r}", where=where, expected=ROW)
    try:
        ratio = float(text)
    except ValueError:
        raise PolyticketError(f"ratio {text!r} is not a number", where=where, expected=ROW) from None
    if not 0 < ratio < math.inf:
        raise PolyticketError(f"ratio {text}", where=where, expected="a number above 0")
    return pattern, ratio


def language_of_pattern(pattern: str, languages: Collection[str], *, where: object = None) -> str:
    """The language whose record files a pattern names.

    It is the code that stands alone, between characters that are neither letters nor digits, in the last part of the
    path that has one: ``gs://my-bucket/seq128/en/*.tfrecord``, ``records/en_128/*`` and ``en`` are English.
    ``zh-min-nan`` and ``zh_min_nan`` are one code, and not Chinese.

    Args:
        pattern: A path or glob with ``/``, or a bare code.
        languages: The languages of the run; those of multilingual BERT and `LONG_CODES` are known besides.
        where: The row, for errors.

    Raises:
        PolyticketError: No part has a code; or the last that has one has several, and not just one of the run's.
    """
    for part in reversed(PurePosixPath(pattern).parts):
        codes = _codes_in(part, {*languages, *CODES, *LONG_CODES})
        ours = [code for code in codes if code in languages]
        if len(codes) == 1 or len(ours) == 1:
            return (ours or codes)[0]
        if codes:
            what = f"{pattern!r} names {' and '.join(codes)}"
            raise PolyticketError(what, where=where, expected="a pattern with the code of one language")
    raise PolyticketError(
        f"{pattern!r} names no language", where=where, expected="a pattern with a language's code, for example en/*"
    )


def _codes_in(part: str, known: Collection[str]) -> list[str]:
    """The known codes in a part of a path, the longest first; what lies within a longer one does not count."""
    left, found = part.lower().replace("_", "-"), []
    for code in sorted(known, key=lambda code: (-len(code), code)):
        same = re.escape(code.lower().replace("_", "-"))
        left, count = re.subn(rf"(?<![^\W_]){same}(?![^\W_])", "/", left)
        found += [code] * (count > 0)
    return found


def draw_languages(ratios: NDArray[np.float64], parts: int, seed: int) -> NDArray[np.int64]:
    """The language index of each part of a run from 0: a function of the ratios, the seed and the part's number alone.

    A longer schedule begins with the draws of a shorter one.
    """
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 0x5A3B1E])))
    edges = np.cumsum(ratios)
    return np.minimum(np.searchsorted(edges, random.random(parts), side="right"), len(ratios) - 1)
