"""What is done to wikitext before the extractor sees it, and to the plain text it gives back."""

import re

_HEADING = re.compile(r"^={1,6}[^=\n].*?=[ \t]*(?:<!--[^\n]*-->[ \t]*)?$", re.MULTILINE)
_FALSE_HEADING = re.compile(r"^(?==)", re.MULTILINE)
_LIST_MARK = re.compile(r"^(?!#\w+:)[*#;:]*[*#;][*#;:]*[ \t]*(?=[^\s*#;:])", re.MULTILINE)
_NOW = re.compile(r"\{\{\s*(?:CURRENT|LOCAL)(YEAR|MONTH|DAY|HOUR|TIME)\s*\}\}")
_TIMESTAMP = re.compile(r"(?P<YEAR>\d{4})-(?P<MONTH>\d\d)-(?P<DAY>\d\d)T(?P<TIME>(?P<HOUR>\d\d):\d\d:\d\d)")

_PLACEHOLDER = re.compile(r"[ \t]*(?:formula|codice)_\d+")
_EMPTY_PARENTHESES = re.compile(r"[ \t\u00a0]*[(（][\s,;:،、；：，.…/–—-]*[)）]")
_SPACES = re.compile(r"[ \t\u00a0]+")


def prepare(wikitext: str, timestamp: str) -> tuple[str, int]:
    """Change wikitext so that the extractor gives sentences, all of them, and the same on every day.

    Headings go, since a heading is no sentence. List items become indented lines, which the extractor keeps
    where it drops list items. Words for the present time (``{{CURRENTYEAR}}``) become the revision's time.

    Args:
        wikitext: A page's wikitext.
        timestamp: The revision's time, ISO 8601.

    Returns:
        The changed wikitext, and the number of headings left out.
    """
    made = _TIMESTAMP.match(timestamp)
    if made:
        wikitext = _NOW.sub(lambda word: made[word[1]], wikitext)
    wikitext, headings = _HEADING.subn("", wikitext)
    # What is left of such lines goes on after its second mark: text, which the extractor would take for a heading.
    wikitext = _FALSE_HEADING.sub(":", wikitext)
    return _LIST_MARK.sub(":", wikitext), headings


def clean(text: str) -> str:
    """Take out what the extractor leaves of formulas and of templates that it drops.

    Placeholders (``formula_1``, ``codice_1``) and parentheses that hold nothing but punctuation go, runs of spaces
    become one, and so do empty lines.

    Args:
        text: Plain text, a paragraph a line.

    Returns:
        The paragraphs that are left, one a line; an empty string if none is.
    """
    text = _PLACEHOLDER.sub("", text)
    found = 1
    while found:
        text, found = _EMPTY_PARENTHESES.subn("", text)
    lines = (_SPACES.sub(" ", line).strip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line)
