"""The text ledger: what became of every page, line and character of a language's dumps.

A ledger is a JSON object. Its numbers add up: the ledger of a language is the sum of the ledgers of its pieces
(`add_ledgers`), to which the gather adds what became of the sentences.

| key | meaning | exact |
|---|---|---|
| ``language`` | the Wikipedia's code | |
| ``pages`` | ``read``: ``kept``, ``redirects``, ``other_namespaces``, ``disambiguation``, ``empty``, ``broken`` | yes |
| ``characters`` | code points of ``wikitext`` (of article pages), of ``text`` (extracted), of ``sentences`` | yes |
| ``lines`` | of the article pages' wikitext, by kind: ``read`` = ``kept`` + all that was ``dropped`` | below |
| ``text_lines`` | paragraphs extracted; those ``made`` came out of templates and were no line | yes |
| ``templates`` | ``written`` out, ``silent``; unknown: ``shown``, ``dropped`` (``names``), ``learnt`` of both | below |
| ``lost`` | ``templates`` and ``links`` dropped from within sentences, the commonest by name; ``formulas`` | below |
| ``broken`` | titles of pages and documents that could not be taken, the first few; their text is not counted | yes |
| ``end_matter`` | ``sections`` of references and links, by ``headings``; list ``lines`` in them left out | below |
| ``documents`` | articles extracted: ``written``, ``without_sentences``, ``broken`` when they were split | yes |
| ``paragraphs`` | ``read`` = all that were extracted; ``duplicates`` of them were left out | yes |
| ``sentences`` | ``found`` = ``kept`` + ``dropped`` by reason; of kept ones: ``one_word``, ``median_length`` | yes |
| ``abbreviations`` | ``learnt`` from the text; the ``frequent`` ones; points ``vetoed`` as ends of sentences | yes |
| ``leftover`` | markup in the sentences: ``kinds``, their ``total``, ``lines`` that hold any, ``examples`` | yes |

``lines``: how many lines there are, and which came back as text, is exact (each is marked). A line came back if
anything of it did: words lost from its middle are not seen here, but under ``templates``. Whether a line is prose or
list is told by its first character; a line that a template spans to the next counts as a line of the template. Reasons
are exact for what is dropped on purpose; ``nothing_left`` is what the extractor emptied (pictures, links to files,
templates alone on the line). ``templates.names`` holds the most frequent names of each piece: a lower bound for rare
ones; so do ``end_matter.headings``, while the other numbers of ``end_matter`` are exact. ``lost`` counts the dropped
templates that stand where a word does in a line of prose and not within another template; what a template shows of
itself is not known, so some sentences miss nothing; ``names`` and ``examples`` are theirs. ``links`` are alike: to
files, categories and other languages, and addresses without a label (``http://``), by ``link_names``. ``formulas`` are
sentences left out. ``leftover`` finds what looks
like markup, so prose about markup counts too; bare addresses are counted as ``addresses``, beside the total, since a
reader of the page sees them as well; two bars after an Indic letter are a full stop. ``median_length`` is in code
points; what counts as ``one_word``, and in scripts without spaces between words, is told in
`polyticket.corpus.lengths`; ``one_word_share`` is of the sentences kept. ``vetoed`` counts points before white space
and no small letter (see `polyticket.corpus.abbreviations`).
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from polyticket.core.errors import PolyticketError

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
