"""Articles as JSON lines -> sentences, one a line, with a blank line between documents."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sentencex

from polyticket.errors import PolyticketError
from polyticket.files import Pathlike, written_beside
from polyticket.logs import Progress

SPACE_SPLIT = frozenset({"bo", "dz", "km", "lo", "th"})
"""Languages written without marks at the end of sentences, where a space stands between clauses."""

WIKI_CODES = {"be-x-old": "be-tarask", "cbk-zam": "es", "simple": "en", "tokipona": "en"}
"""Codes of Wikipedias that the splitter does not know, though it knows their language."""

_SOUTH_EAST = "\u0e00-\u0eff\u0f00-\u0fff\u1780-\u17ff"
_CLAUSE_END = re.compile(
    rf"(?<=[{_SOUTH_EAST}])\s+(?=[{_SOUTH_EAST}])"  # a space, except beside a number or a foreign word
    rf"|(?<=[།༎༑།।។៕])\s*|(?<=[.!?…])\s+(?=[{_SOUTH_EAST}])"
)
_MISSED_END = re.compile(r"(?<=[。！？])(?=[0-9A-Za-z])")
"""Where sentencex misses a sentence's end: before digits and Latin letters in Chinese and Japanese."""
_WORD = re.compile(r"[^\W_]")


def splitter_of(lang: str) -> tuple[str, str]:
    """Name the splitter for a Wikipedia's code, and the language it is asked for.

    Args:
        lang: A Wikipedia's code, with ``-`` or ``_`` (``zh-yue``, ``zh_yue``).

    Returns:
        ``("spaces", code)`` or ``("sentencex", code)``; sentencex falls back by itself on the nearest language
        whose rules it has, in the end on English.
    """
    code = lang.replace("_", "-").lower()
    code = WIKI_CODES.get(code, code)
    return ("spaces" if code in SPACE_SPLIT else "sentencex"), code


def split_paragraph(paragraph: str, lang: str) -> list[str]:
    """Split one paragraph into sentences.

    Runs of white space become one space, so no sentence holds a line end. Sentences without a letter or digit
    are left out.

    Args:
        paragraph: Text without a paragraph's end within.
        lang: A Wikipedia's code.
    """
    splitter, code = splitter_of(lang)
    split: Callable[[str], list[str]] = _CLAUSE_END.split if splitter == "spaces" else _sentencex(code)
    sentences = (" ".join(part.split()) for part in split(paragraph))
    return [sentence for sentence in sentences if _WORD.search(sentence)]


def split_articles(articles: Pathlike, sentences: Pathlike, *, lang: str) -> dict[str, Any]:
    """Write the sentences of all articles, one a line, with a blank line between documents.

    Each paragraph is split on its own, since an unbalanced quotation mark would otherwise glue a whole article.

    Args:
        articles: JSON lines whose ``text`` holds a paragraph a line.
        sentences: The file to write, UTF-8; it has no blank line at its end.
        lang: A Wikipedia's code.

    Returns:
        Counts of ``documents`` written, documents ``without_sentences``, ``sentences``, ``characters`` (code points,
        without line ends), and the ``splitter`` and ``splitter_language`` used.

    Raises:
        PolyticketError: A line is not an article; names file and line.
    """
    splitter, code = splitter_of(lang)
    counts = dict.fromkeys(("documents", "without_sentences", "sentences", "characters"), 0)
    progress = Progress(f"sentences {lang}", None, "documents")
    with written_beside(sentences) as place, place.open("w", encoding="utf-8", newline="\n") as out:
        for text in _texts(articles):
            found = [sentence for paragraph in text.split("\n") for sentence in split_paragraph(paragraph, lang)]
            if not found:
                counts["without_sentences"] += 1
                continue
            out.write(("\n" if counts["documents"] else "") + "\n".join(found) + "\n")
            counts["documents"] += 1
            counts["sentences"] += len(found)
            counts["characters"] += sum(map(len, found))
            progress.add(sentences=counts["sentences"])
    return {**counts, "splitter": splitter, "splitter_language": code}


def _sentencex(code: str) -> Callable[[str], list[str]]:
    return lambda text: [part for found in sentencex.segment(code, text) for part in _MISSED_END.split(found)]


def _texts(articles: Pathlike) -> Iterator[str]:
    """Yield the text of each article."""
    try:
        with Path(articles).open(encoding="utf-8", newline="\n") as lines:
            for number, line in enumerate(lines, start=1):
                yield _text(line, f"{articles}:{number}")
    except FileNotFoundError:
        raise PolyticketError("no such file", where=articles) from None
    except UnicodeDecodeError as error:
        raise PolyticketError(f"not UTF-8: {error.reason}", where=articles) from None


def _text(line: str, where: str) -> str:
    try:
        text = json.loads(line)["text"]
    except (json.JSONDecodeError, KeyError, TypeError):
        text = None
    if not isinstance(text, str):
        raise PolyticketError("not an article", where=where, expected='a JSON object with "text"')
    return text
