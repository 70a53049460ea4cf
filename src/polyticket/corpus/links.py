"""Links whose title holds a colon: those that a reader sees are written out, and what sentences lose is told.

The extractor drops them all. Files, categories and links to the same page in another language show no text, nor do
addresses without a label; one that stands in a sentence as a word does is lost to it.
"""

import re
from collections.abc import Collection, Iterator, Mapping

from polyticket.corpus.ledger import LONGEST_EXAMPLE
from polyticket.corpus.templates import CLOSE, OPEN
from polyticket.corpus.unknown_templates import WINDOW, is_within_sentence
from polyticket.corpus.wikitext import ELEMENT_GONE, TEMPLATE_GONE, show

FILE_NAMESPACE, CATEGORY_NAMESPACE = 6, 14

_GONE = ELEMENT_GONE + TEMPLATE_GONE
_COLON_LINK = re.compile(r"\[\[(:?)([^\[\]|{}:\n]+):([^\[\]|{}\n]*)(?:\|([^\[\]\n]*))?\]\]")
_FILE = re.compile(
    r"\.(?:jpe?g|png|svg|gif|tiff?|og[gav]|webm|webp|pdf|djvu|mid|wav|mp3|flac|xcf|stl)\s*$", re.IGNORECASE
)
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[a-z]+)*|simple")
"""What a link to another language begins with, in the text; in capitals it is a title."""
_ALONE = re.compile(rf"(?:[\s{_GONE}]*+\[\[[^\[\]\n]*+\]\])++[\s{_GONE}]*+")
_LOST = re.compile(
    r"\[\[(?P<space>[^\[\]|{}:\n]+):(?:[^\[\]\n]|\[\[[^\[\]\n]*+\]\]|\[[^\[\]\n]*+\])*+\]\]"
    r"|\[(?:https?:)?//[^\s\[\]]*+\s*+\]"
)
_HIDDEN = re.compile(f"{OPEN}\\d+{CLOSE}")
_ADDRESS = "http://"
"""What addresses without a label are counted as."""
_SHOWN_BEFORE, _SHOWN_OF_LINK = 60, 50


def silent_namespaces(names: Mapping[int, str]) -> frozenset[str]:
    """The namespaces whose links show no text, case folded: files and categories, by local and general names.

    Args:
        names: The local names of a wiki's namespaces by number.
    """
    local = {names[number].casefold() for number in (FILE_NAMESPACE, CATEGORY_NAMESPACE) if number in names}
    return frozenset({"file", "image", "category"} | local)


def show_links(text: str, namespaces: Collection[str]) -> str:
    """Write out links whose title holds a colon and that a reader sees: the extractor would drop them.

    ``[[2001: A Space Odyssey]]``, ``[[Help:Chat|chat]]`` and ``[[:fr:Chat|chat]]`` are text; files, categories and
    links to the same page in another language are not.

    Args:
        text: Wikitext.
        namespaces: Those whose links show no text, see `silent_namespaces`.
    """
    alone = _Alone(text)
    return _COLON_LINK.sub(lambda match: _shown(match, namespaces, alone), text)


def lost_links(line: str) -> Iterator[tuple[str, str]]:
    """What a line of prose or list loses of links within its sentences: their namespaces, and an example each.

    Args:
        line: Wikitext as `show_links` and the templates of a page leave it.
    """
    for match in _LOST.finditer(line):
        before = line[max(0, match.start() - WINDOW) : match.start()].rstrip(_GONE)
        after = line[match.end() : match.end() + WINDOW].lstrip(_GONE)
        if is_within_sentence(before, after):
            name = f"{match['space'].strip()}:" if match["space"] else _ADDRESS
            yield name[:LONGEST_EXAMPLE], _example(before, match[0], after)


def _example(before: str, link: str, after: str) -> str:
    """A link in its place, in wikitext of `LONGEST_EXAMPLE` characters at most."""
    link = link if len(link) <= _SHOWN_OF_LINK else f"{link[:_SHOWN_OF_LINK]}…"
    text = _HIDDEN.sub("{{…}}", before)[-_SHOWN_BEFORE:] + _HIDDEN.sub("{{…}}", link + after)
    text = re.sub(f"[{_GONE}{OPEN}{CLOSE}]", "", text)
    return show(" ".join(text.split()))[:LONGEST_EXAMPLE]


class _Alone:
    """Tells whether a link's line holds nothing but links; each line is looked at once, since a line may be a page."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._end, self._answer = -1, False

    def __call__(self, place: int) -> bool:
        """Whether it is so at a place of the text, which is not before the place asked for last."""
        if place > self._end:
            start = self._text.rfind("\n", 0, place) + 1
            end = self._text.find("\n", place)
            self._end = len(self._text) if end < 0 else end
            self._answer = bool(_ALONE.fullmatch(self._text, start, self._end))
        return self._answer


def _shown(match: re.Match[str], namespaces: Collection[str], alone: _Alone) -> str:
    colon, space, title, label = match.groups()
    if colon:
        return label or f"{space}:{title}"
    if space.strip().replace("_", " ").casefold() in namespaces or _FILE.search(title):
        return match[0]
    if label and "|" in label:  # only files have several parts
        return match[0]
    if label is None and not title[:1].isspace() and (_LANGUAGE.fullmatch(space) or alone(match.start())):
        return match[0]
    return label if label and not alone(match.start()) else match[0] if label else f"{space}:{title}"
