"""Articles as JSON lines -> sentences, one a line, with a blank line between documents."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import sentencex

from polyticket.errors import PolyticketError
from polyticket.files import Pathlike
from polyticket.languages import splitter_of as splitter_of

_SOUTH_EAST = "\u0e00-\u0eff\u0f00-\u0fff\u1780-\u17ff"
_CLAUSE_END = re.compile(
    rf"(?<=[{_SOUTH_EAST}])\s+(?=[{_SOUTH_EAST}])"  # a space, except beside a number or a foreign word
    rf"|(?<=[།༎༑།།។៕])\s*|(?<=[.!?…])\s+(?=[{_SOUTH_EAST}])"
)
_MISSED_END = re.compile(r"(?<=[。！？])(?=[0-9A-Za-z])")
"""Where sentencex misses a sentence's end: before digits and Latin letters in Chinese and Japanese."""
ABBREVIATIONS = {"sw": frozenset({"takr", "tar", "sq", "Dk"}), "de": frozenset({"hl", "Hl"})}
"""Words after which a point ends no sentence, beside those that sentencex knows."""
KNOWN_INITIALS = frozenset({"en", "de"})
"""Languages in which sentencex tells initials (``J. R. R. Tolkien``) from letters (``vitamin C.``)."""
_LAST_WORD = re.compile(r"(?:^|[\s(\[«„“\"'’.–-])([^\W\d_]{1,6})\.\s*$")
_ERA = re.compile(r"J\.-C\.\s*$")
_LITTLE_WORD = re.compile(r"\s*[A-ZÀ-Ý](?:[a-zà-ÿ]{1,2}\b(?!\.)|['’])")
"""What begins a sentence (``Le``, ``L'``) rather than a name."""
_CLOSING = re.compile(r"[»”)\]]+(?:[.,;:!?…]+\s*|\s+|$)")
"""What ends the sentence before: closing marks, if no letter follows at once (in German ``»`` opens)."""
_WORD = re.compile(r"[^\W_]")


def split_paragraph(paragraph: str, lang: str) -> list[str]:
    """Split one paragraph into sentences, without those that hold no letter or digit.

    Args:
        paragraph: Text without a paragraph's end within.
        lang: A Wikipedia's code.
    """
    return [sentence for sentence in cut_paragraph(paragraph, lang) if has_word(sentence)]


def cut_paragraph(paragraph: str, lang: str) -> list[str]:
    """Cut one paragraph where a sentence ends.

    Runs of white space become one space, so no part holds a line end, and none is empty.

    Args:
        paragraph: Text without a paragraph's end within.
        lang: A Wikipedia's code.
    """
    splitter, code = splitter_of(lang)
    split: Callable[[str], list[str]] = _CLAUSE_END.split if splitter == "spaces" else _sentencex(code)
    return [sentence for part in split(paragraph) if (sentence := " ".join(part.split()))]


def has_word(sentence: str) -> bool:
    """Whether a sentence holds a letter or digit."""
    return _WORD.search(sentence) is not None


def read_articles(articles: Pathlike) -> Iterator[tuple[str, list[str]]]:
    """Yield the title of each article (empty if it has none) and its paragraphs.

    Raises:
        PolyticketError: The file is missing, is not UTF-8, or a line is not an article; names file and line.
    """
    try:
        with Path(articles).open(encoding="utf-8", newline="\n") as lines:
            for number, line in enumerate(lines, start=1):
                yield _article(line, f"{articles}:{number}")
    except FileNotFoundError:
        raise PolyticketError("no such file", where=articles) from None
    except UnicodeDecodeError as error:
        raise PolyticketError(f"not UTF-8: {error.reason}", where=articles) from None


def _article(line: str, where: str) -> tuple[str, list[str]]:
    try:
        article = json.loads(line)
        text, title = article["text"], article.get("title", "")
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
        text = title = None
    if not isinstance(text, str):
        raise PolyticketError("not an article", where=where, expected='a JSON object with "text"')
    return str(title), [paragraph for paragraph in text.split("\n") if paragraph.strip()]


def _sentencex(code: str) -> Callable[[str], list[str]]:
    return lambda text: _mended(
        (part for found in sentencex.segment(code, text) for part in _MISSED_END.split(found)), code
    )


def _mended(parts: Iterable[str], code: str) -> list[str]:
    """Join what sentencex cuts within a sentence: after initials and abbreviations, before what cannot begin one."""
    short = ABBREVIATIONS.get(code, frozenset())
    mended: list[str] = []
    for part in parts:
        if not mended:
            mended.append(part)
            continue
        closing = _CLOSING.match(part)
        if closing:
            mended[-1] += closing[0]
            part = part[closing.end() :]
        before = mended[-1]
        if _goes_on(before, part) or _is_short(before, part, short, code):
            mended[-1] += part
        else:
            mended.append(part)
    return mended


def _goes_on(before: str, part: str) -> bool:
    """Whether a part cannot begin a sentence: empty, in small letters, with a comma, or with a hyphen without space."""
    start = part.lstrip()[:2]
    return not start or start[0].islower() or start[0] in ",;:،؛" or (start[0] == "-" and not before[-1:].isspace())


def _is_short(before: str, part: str, short: frozenset[str], code: str) -> bool:
    """Whether a part ends with an initial or an abbreviation, and what follows looks like a name."""
    word = _LAST_WORD.search(before[-24:])
    if not word:
        return False
    if _LITTLE_WORD.match(part):
        return word[1] in short
    initial = len(word[1]) == 1 and not word[1].islower() and word[1] < "\u0e00" and not _ERA.search(before)
    return (initial and code not in KNOWN_INITIALS) or word[1] in short
