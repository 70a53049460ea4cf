"""How long sentences are: their median length, and how many are of one word."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any

from polyticket.core.errors import PolyticketError

LONGEST_SENTENCE = 10_000
"""Code points that are told apart; longer sentences count as of so many."""
LONGEST_WORD = 60
"""Code points of the longest sentence that is taken for one word."""
MOST_LETTERS = 4
"""Letters and digits of a word, at most, in scripts that set no spaces between words."""
_TWO_WORDS = re.compile(r"[^\W_]\S*\s[\W_]*[^\W_]")
_ALPHANUMERIC = re.compile(r"[^\W_]")
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u0f00-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aad\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Thai, Lao, Tibetan, Burmese, Khmer, Tai scripts, Kana, Han."""


def is_one_word(sentence: str) -> bool:
    """Whether a sentence has no more than a word.

    A word is what stands between white space and holds a letter or digit, in a sentence of at most `LONGEST_WORD` code
    points. If it has a letter of a script that sets no spaces, it has at most `MOST_LETTERS` letters and digits.
    """
    if len(sentence) > LONGEST_WORD or _TWO_WORDS.search(sentence):
        return False
    return _UNSPACED.search(sentence) is None or len(_ALPHANUMERIC.findall(sentence)) <= MOST_LETTERS


def median_length(lengths: Mapping[int, int]) -> int:
    """The median of sentence lengths in code points, of an even number the lower one in the middle; 0 of none.

    Args:
        lengths: How many sentences there are of each length.
    """
    ordered = sorted(lengths.items())
    below = accumulate(number for _, number in ordered)
    half = (sum(lengths.values()) + 1) // 2
    return (
        next((length for (length, _), number in zip(ordered, below, strict=True) if number >= half), 0) if half else 0
    )


Ledger = dict[str, Any]

MOST_EXAMPLES, LONGEST_EXAMPLE = 5, 160
"""How many lines a ledger shows, and how many characters of each."""
_LEFTOVER = re.compile(
    r"(?P<template_open>\{\{)|(?P<template_close>\}\})|(?P<link_open>\[\[)|(?P<link_close>\]\])"
    r"|(?P<table>\{\||\|\}|^\|-|(?<![\u0900-\u0dff])(?<![\u0900-\u0dff] )\|\|)"
    r"|(?P<placeholder>\b(?:formula|codice)_\d+)|(?P<switch>__[A-Z]{3,}__)"
    r"|(?P<quotes>'')|(?P<entity>&(?:nbsp|amp|lt|gt|quot|ndash|mdash|thinsp|#\d{2,6}|#x[0-9a-fA-F]{2,5});)"
    r"|(?P<private>[\ue000-\ue007])|(?P<attribute>\b(?:style|class|colspan|rowspan|align|bgcolor)\s*=\s*[\"'])"
    r"|(?P<variant>-\{)"
    r"|(?P<tag></?(?:ref|references|br|hr|div|span|small|sup|sub|table|t[drh]|center|gallery|nowiki|math|code|font|blockquote"
    r"|includeonly|noinclude|onlyinclude|poem|li|ul|ol|p|b|i|u|s|big|cite|syntaxhighlight|source|pre)\b[^<>]*>)|(?P<comment><!--)"
)
_MAYBE = re.compile(r"[{}\[\]<|&_=\ue000-\ue007]")
_ADDRESS = re.compile(r"https?://")
ADDRESSES = "addresses"
LEFTOVER_KINDS = tuple(_LEFTOVER.groupindex)
"""The kinds of markup that are told apart."""


def add_ledgers(ledgers: Iterable[Mapping[str, Any]]) -> Ledger:
    """The sum of ledgers: numbers are added key by key, lists laid end to end and cut, words must agree.

    Raises:
        PolyticketError: Two ledgers disagree on a word, such as the language.
    """
    total: Ledger = {}
    for ledger in ledgers:
        _add(total, ledger, "")
    return total


def _add(total: Ledger, part: Mapping[str, Any], key: str) -> None:
    for name, value in part.items():
        where = f"{key}{name}"
        if isinstance(value, Mapping):
            _add(total.setdefault(name, {}), value, f"{where}.")
        elif isinstance(value, list):
            total[name] = [*total.get(name, []), *value][:MOST_EXAMPLES]
        elif isinstance(value, str):
            if total.setdefault(name, value) != value:
                raise PolyticketError(f"{value!r} beside {total[name]!r}", where=f"ledger: {where}", expected="one")
        else:
            total[name] = total.get(name, 0) + value


def commonest(counts: Mapping[str, int], most: int) -> dict[str, int]:
    """The largest counts, the largest first; equal ones in the order of their names."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most])


def count_leftover(line: str, found: Counter[str]) -> bool:
    """Count the markup left in a line of text, by kind, and its bare addresses; whether there is markup."""
    if "://" in line:
        found[ADDRESSES] += len(_ADDRESS.findall(line))
    if not _MAYBE.search(line) and "''" not in line:
        return False
    kinds = [str(match.lastgroup) for match in _LEFTOVER.finditer(line)]
    found.update(kinds)
    return bool(kinds)


def around_leftover(line: str) -> str:
    """The part of a line that shows the first markup left in it."""
    match = _LEFTOVER.search(line)
    start = max(0, match.start() - LONGEST_EXAMPLE // 2) if match else 0
    return line[start : start + LONGEST_EXAMPLE]


def leftover_per_million(ledger: Mapping[str, Any]) -> float:
    """Pieces of markup left per million characters of sentences."""
    return 1e6 * ledger["leftover"]["total"] / max(1, ledger["characters"]["sentences"])


def check_ledger(ledger: Mapping[str, Any], most_leftover_per_million: float | None) -> None:
    """Refuse a language whose sentences hold too much markup.

    Args:
        ledger: The ledger of a language after the gather.
        most_leftover_per_million: The most pieces of markup per million characters; None allows any number.

    Raises:
        PolyticketError: There is more; names the language, the figure, the threshold and the first lines.
    """
    figure = leftover_per_million(ledger)
    if most_leftover_per_million is None or figure <= most_leftover_per_million:
        return
    examples = "; ".join(f"{title}: {line!r}" for title, line in ledger["leftover"]["examples"])
    raise PolyticketError(
        f"{figure:,.1f} pieces of markup are left per million characters, the first in {examples}",
        where=ledger["language"],
        expected=f"at most {most_leftover_per_million:g}",
    )
