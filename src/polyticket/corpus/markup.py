"""What is done to wikitext before the extractor sees it, and to the plain text it gives back."""

import re

from polyticket.corpus.literal import FORMULA

_MARKED_LINE = re.compile(r"^=[^\n]*$", re.MULTILINE)
_HEADING_BEGINS = re.compile(r"={1,6}[^=\n]")
_COMMENT_AFTER = re.compile(r"=[ \t]*+<!--")
_FALSE_HEADING = re.compile(r"^(?==)", re.MULTILINE)
_LIST_MARK = re.compile(r"^(?!#\w+:)(?=:*+[*#;])[*#;:]++[ \t]*+(?=[^\s*#;:])", re.MULTILINE)
_NOW = re.compile(r"\{\{\s*(?:CURRENT|LOCAL)(YEAR|MONTH|DAY|HOUR|TIME)\s*\}\}")
_TIMESTAMP = re.compile(r"(?P<YEAR>\d{4})-(?P<MONTH>\d\d)-(?P<DAY>\d\d)T(?P<TIME>(?P<HOUR>\d\d):\d\d:\d\d)")

DEEPEST_PARENTHESES = 8
"""How deep empty parentheses may stand in each other to be taken out."""

_LINE_END = re.compile("\r\n?")
_SEPARATOR = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
"""What Python takes for line ends, and MediaWiki does not."""
_PLACEHOLDER = re.compile(r"(?:formula|codice)_\d+")
_EMPTY_PARENTHESES = re.compile(r"(?<![ \t\u00a0])[ \t\u00a0]*+[(（][\s,;:،、；：，.…/–—-]*+[)）]")
_EDGES = re.compile(
    r"([(（])[ \t\u00a0]*+[,;،؛、；，][\s,;،؛、；，]*+(?=[^)）])"
    r"|(?<=[^\s(（,;،؛、；，])\s*+[,;،؛、；，][\s,;،؛、；，]*+([)）])"
)
_ODD_PARENTHESIS = re.compile(
    r"[(（](?=[\s,;:،؛、；：，.…/–—-]*+[)）]|[ \t\u00a0]*+[,;،؛、；，])|[)）](?<=[\s,;،؛、；，].)"
)
"""What there is of parentheses wherever one of the two above is found; it is looked for in a fifth of their time."""
_PARAMETER = re.compile(r"\{\{\{[^{}]*\}\}\}")
_TAG = re.compile(
    r"</?(?:ref|references|noinclude|includeonly|small|div|span|br|sup|sub|center|font|li|ul|p|nowiki)\b[^<>]*>"
)
_STRAY_LINK = re.compile(r"\[\[(?:[^\[\]|\n]{0,80}\|)?|\]\]")
"""Brackets of links that nothing opens or closes."""


def prepare(wikitext: str, timestamp: str) -> tuple[str, int]:
    """Change a template's wikitext so that the extractor gives sentences, all of them, and the same on every day.

    Headings go, since a heading is no sentence. List items become indented lines, which the extractor keeps
    where it drops list items. Words for the present time (``{{CURRENTYEAR}}``) become the revision's time.

    Args:
        wikitext: A template's wikitext.
        timestamp: The revision's time, ISO 8601.

    Returns:
        The changed wikitext, and the number of headings left out.
    """
    wikitext = present_time(wikitext, timestamp)
    headings = sum(map(_is_heading, _MARKED_LINE.findall(wikitext)))
    wikitext = _MARKED_LINE.sub(lambda line: "" if _is_heading(line[0]) else line[0], wikitext)
    # What is left of such lines goes on after its second mark: text, which the extractor would take for a heading.
    wikitext = _FALSE_HEADING.sub(":", wikitext)
    return _LIST_MARK.sub(":", wikitext), headings


def line_feeds(wikitext: str) -> str:
    """Wikitext whose lines end with line feeds, without the last one; other separators (U+2028) become spaces."""
    if "\r" in wikitext:
        wikitext = _LINE_END.sub("\n", wikitext)
    wikitext = _SEPARATOR.sub(" ", wikitext) if _SEPARATOR.search(wikitext) else wikitext
    return wikitext.removesuffix("\n")


def _is_heading(line: str) -> bool:
    """Whether a line ends as it begins, with equality signs, be it before a comment."""
    begins = _HEADING_BEGINS.match(line)
    if not begins:
        return False
    rest = line[begins.end() :].rstrip(" \t")
    return rest.endswith("=") or (rest.endswith("-->") and bool(_COMMENT_AFTER.search(rest, 0, len(rest) - 3)))


def present_time(wikitext: str, timestamp: str) -> str:
    """Replace words for the present time by the revision's time (ISO 8601), if that is known."""
    made = _TIMESTAMP.match(timestamp)
    return _NOW.sub(lambda word: made[word[1]], wikitext) if made else wikitext


def clean(text: str) -> str:
    """Take out what the extractor leaves of formulas and of templates that it drops.

    Placeholders (``formula_1``, ``codice_1``) become `FORMULA`, parentheses that hold nothing but punctuation go, runs
    of spaces become one, and so do empty lines. What punctuation a dropped word left at a parenthesis' edge goes too,
    and so do tags of references, parameters that nothing filled, and brackets of broken links.

    Args:
        text: Plain text, a paragraph a line.

    Returns:
        The paragraphs that are left, one a line; an empty string if none is.
    """
    if "_" in text:
        text = _PLACEHOLDER.sub(FORMULA, text)
    if "{{{" in text:
        text = _PARAMETER.sub("", text)
    if "<" in text:
        text = _TAG.sub("", text)
    if "[[" in text or "]]" in text:
        text = _STRAY_LINK.sub("", text)
    if ("(" in text or "（" in text) and _ODD_PARENTHESIS.search(text):
        text = _EDGES.sub(lambda edge: edge[1] or edge[2], text)
        for _ in range(DEEPEST_PARENTHESES):
            text, found = _EMPTY_PARENTHESES.subn("", text)
            if not found:
                break
    text = text.replace("\t", " ").replace("\u00a0", " ")
    while "  " in text:  # each time half as many stand in a row; faster than a pattern that finds every space
        text = text.replace("  ", " ")
    lines = map(str.strip, text.split("\n"))
    return "\n".join(line for line in lines if line)
