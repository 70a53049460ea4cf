"""The text ledger: counts of a language's pages, lines and characters, by what happens to them.

A ledger is a JSON object of counts. The ledger of a language is the sum of the ledgers of its byte ranges
(`add_ledgers`), to which `split_articles` adds the counts of sentences.

| key | meaning | exact |
|---|---|---|
| ``language`` | the Wikipedia's code | |
| ``pages`` | ``kept``, and by reason those that are left out (``LEFT_OUT`` of `polyticket.corpus.extract`) | yes |
| ``characters`` | code points of the ``wikitext`` of articles, of the extracted ``text``, of ``sentences`` | yes |
| ``lines`` | lines of the articles' wikitext, by kind: ``read`` = ``kept`` + ``dropped`` by reason | below |
| ``text_lines`` | extracted paragraphs, by kind; ``made``: those of templates, which are no line of the page | yes |
| ``templates`` | calls ``written`` out, ``silent``; unknown: ``shown``, ``dropped`` (``names``), ``learnt`` | below |
| ``lost`` | ``templates`` and ``links`` that sentences lack, the commonest by name; ``formulas`` | below |
| ``broken`` | titles of the first broken pages and documents; their text is not counted | yes |
| ``end_matter`` | ``sections`` of references and links, by ``headings``; dropped list ``lines`` in them | below |
| ``documents`` | articles, when they are split: ``written``, ``without_sentences``, ``broken`` | yes |
| ``paragraphs`` | ``read``: all extracted ones; dropped ``duplicates`` | yes |
| ``sentences`` | ``found`` = ``kept`` + ``dropped`` by reason; of kept ones: ``one_word``, ``median_length`` | yes |
| ``abbreviations`` | ``learnt`` ones; ``frequent`` ones; ``vetoed``: points that end no sentence | yes |
| ``residual_markup`` | markup in sentences: ``kinds``, ``total``, ``lines`` with any, ``examples`` | yes |

``lines``: the numbers of lines and of lines that come back as text are exact, since each line is marked. A line counts
as kept if any of its text comes back; words lost from its middle count under ``templates``. The first character decides
whether a line is prose or list. A line that a template continues on the next line counts as a line of the template.
Reasons are exact for lines that are dropped on purpose; ``nothing_left`` counts lines of which the extractor keeps
nothing (pictures, links to files, templates alone on the line).

``templates.names`` and ``end_matter.headings`` hold the most frequent names of each byte range: lower bounds for rare
names. The other numbers of ``end_matter`` are exact.

``lost.templates`` counts the dropped templates that stand in a line of prose as a word does, and not within another
template; some of them show nothing, and then the sentence lacks nothing. ``names`` and ``examples`` belong to them.
``lost.links`` counts links to files, categories and other languages, and addresses without a label (``http://``), with
``link_names`` and ``link_examples``. ``lost.formulas`` counts sentences that are dropped for a formula.

``residual_markup`` counts all that looks like markup, so prose about markup counts too. Two bars after an Indic letter
are a full stop. Bare ``addresses`` are counted beside the total, since a reader of the page sees them as well.

``median_length`` is in code points; see `is_one_word` for ``one_word``; ``one_word_share`` is a share of the kept
sentences. ``vetoed`` counts points before white space that no lower-case letter follows (see
`polyticket.corpus.abbreviations`).
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from polyticket.core.errors import PolyticketError

LONGEST_SENTENCE = 10_000
"""Most code points that a length counts; longer sentences count as this long."""
LONGEST_WORD = 60
"""Most code points of a sentence of one word."""
MOST_LETTERS = 4
"""Most letters and digits of a word in scripts without spaces between words."""
_TWO_WORDS = re.compile(r"[^\W_]\S*\s[\W_]*[^\W_]")
_ALPHANUMERIC = re.compile(r"[^\W_]")
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u0f00-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aad\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Thai, Lao, Tibetan, Burmese, Khmer, Tai scripts, Kana, Han."""


def is_one_word(sentence: str) -> bool:
    """Whether a sentence is a single word.

    A word is text without white space that holds a letter or digit. The sentence has at most `LONGEST_WORD` code
    points. In a script without spaces between words it has at most `MOST_LETTERS` letters and digits.
    """
    if len(sentence) > LONGEST_WORD or _TWO_WORDS.search(sentence):
        return False
    return _UNSPACED.search(sentence) is None or len(_ALPHANUMERIC.findall(sentence)) <= MOST_LETTERS


def median_length(lengths: Mapping[int, int]) -> int:
    """The median length of sentences, in code points; the lower median if their number is even; 0 without sentences.

    Args:
        lengths: The number of sentences of each length.
    """
    half = (sum(lengths.values()) + 1) // 2
    for length, number in sorted(lengths.items()):
        half -= number
        if half <= 0:
            return length
    return 0


Ledger = dict[str, Any]

MOST_EXAMPLES, LONGEST_EXAMPLE = 5, 160
"""The number of examples in a ledger, and most characters of each."""
_MARKUP = re.compile(
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
MARKUP_KINDS = tuple(_MARKUP.groupindex)
"""The kinds of residual markup."""


def add_ledgers(ledgers: Iterable[Mapping[str, Any]]) -> Ledger:
    """The sum of ledgers: numbers are added by key, lists are joined and cut, texts must be equal.

    Raises:
        PolyticketError: Two ledgers differ in a text, such as the language.
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
    """The largest counts, the largest first; equal counts in the order of their names."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most])


def count_markup(line: str, counts: Counter[str]) -> bool:
    """Count the residual markup of a line of text, by kind, and its bare addresses; tell whether it has markup."""
    if "://" in line:
        counts[ADDRESSES] += len(_ADDRESS.findall(line))
    if not _MAYBE.search(line) and "''" not in line:
        return False
    kinds = [str(match.lastgroup) for match in _MARKUP.finditer(line)]
    counts.update(kinds)
    return bool(kinds)


def around_markup(line: str) -> str:
    """The part of a line around its first residual markup."""
    match = _MARKUP.search(line)
    start = max(0, match.start() - LONGEST_EXAMPLE // 2) if match else 0
    return line[start : start + LONGEST_EXAMPLE]


def residual_markup_per_million(ledger: Mapping[str, Any]) -> float:
    """Residual markup, in occurrences per million characters of sentences."""
    return 1e6 * ledger["residual_markup"]["total"] / max(1, ledger["characters"]["sentences"])


def check_ledger(ledger: Mapping[str, Any], max_residual_markup: float | None) -> None:
    """Refuse a language whose sentences hold too much residual markup.

    Args:
        ledger: The complete ledger of a language.
        max_residual_markup: Most occurrences per million characters; None: no limit.

    Raises:
        PolyticketError: There is more; names the language, the rate, the limit and the first lines.
    """
    rate = residual_markup_per_million(ledger)
    if max_residual_markup is None or rate <= max_residual_markup:
        return
    examples = "; ".join(f"{title}: {line!r}" for title, line in ledger["residual_markup"]["examples"])
    raise PolyticketError(
        f"residual markup: {rate:,.1f} occurrences per million characters, the first in {examples}",
        where=ledger["language"],
        expected=f"at most {max_residual_markup:g}",
    )
