"""One page of a MediaWiki export, from its XML."""

import re
from dataclasses import dataclass
from xml.parsers import expat

LARGEST_TAG = 2**16
"""Bytes of a tag with its attributes, or of a comment, from which on a page is refused; expat holds them whole."""
DEEPEST = 32
"""Elements within one another; exports have five."""

_WANTED = frozenset(("page/title", "page/ns", "page/id", "page/revision/text", "page/revision/timestamp"))
_ID, _NAMESPACE = re.compile(r"[0-9]{1,18}"), re.compile(r"-?[0-9]{1,9}")


@dataclass(frozen=True)
class Page:
    """One page of a dump, with the wikitext of its last revision.

    Attributes:
        id: The page's number, as text.
        title: Its full title, with the namespace's name before a colon.
        namespace: The namespace's number; 0 holds the articles. None where the page does not say (exports before
            0.6, of 2012).
        redirect: Whether it only points to another page.
        text: Its wikitext, unescaped; empty if the dump has none.
        timestamp: When the revision was made, ISO 8601; empty if unknown.
    """

    id: str
    title: str
    namespace: int | None
    redirect: bool
    text: str
    timestamp: str


class BadPage(Exception):  # noqa: N818 - it becomes the user's error where the file is known
    """What is wrong with a page, and at which of its bytes."""

    def __init__(self, problem: str, offset: int, expected: str) -> None:
        super().__init__(problem)
        self.problem, self.offset, self.expected = problem, offset, expected


def parse_page(xml: bytes) -> Page:
    """Read a page.

    Memory is bounded by a few times the page's size: depth, attributes and tags are limited, and as a page has no
    document type definition, it has no entities of its own.

    Args:
        xml: From ``<page>`` to ``</page>``, UTF-8.

    Raises:
        BadPage: It is no well-formed XML or no valid UTF-8, goes beyond the limits, or its numbers are none.
    """
    reader = _Reader()
    reader.read(xml)
    get = reader.found.get
    title, number, namespace = get("page/title", ""), get("page/id", ""), get("page/ns")
    if not _ID.fullmatch(number) or not _NAMESPACE.fullmatch(namespace or "0"):
        raise BadPage(f"page {title!r} has id {number[:30]!r}, namespace {(namespace or '0')[:30]!r}", 0, "numbers")
    return Page(
        id=number,
        title=title,
        namespace=int(namespace) if namespace else None,
        redirect=reader.redirect,
        text=get("page/revision/text", ""),
        timestamp=get("page/revision/timestamp", ""),
    )


class _Reader:
    """Takes what is wanted of a page while expat goes through it."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self.redirect = False
        self._paths: list[str] = []
        self._parts: list[str] = []
        self._parser = expat.ParserCreate("utf-8")
        self._parser.buffer_text = True
        self._parser.buffer_size = LARGEST_TAG

    def read(self, xml: bytes) -> None:
        """Go through a page's XML; raises `BadPage` where it cannot be read."""
        parser, at = self._parser, 0
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        try:
            for begin in range(0, len(xml), LARGEST_TAG):
                end = begin + LARGEST_TAG
                parser.Parse(xml[begin:end], end >= len(xml))
                # Where expat stands; newer versions say -1 while they wait for the rest of something long.
                if end < len(xml) and parser.CurrentByteIndex <= begin:
                    raise BadPage(f"a tag of over {LARGEST_TAG:,} bytes", at, "a MediaWiki dump")
                at = parser.CurrentByteIndex
        except expat.ExpatError as error:
            problem = f"bad XML: {expat.ErrorString(error.code)}"
            raise BadPage(problem, parser.ErrorByteIndex, "a whole MediaWiki dump in UTF-8") from error
        finally:  # the parser and its handlers hold each other, and with them the page
            parser.StartElementHandler = parser.EndElementHandler = parser.CharacterDataHandler = None

    def _start(self, name: str, _: dict[str, str]) -> None:
        path = f"{self._paths[-1]}/{name}" if self._paths else name
        self._paths.append(path)
        if len(self._paths) > DEEPEST:
            problem = f"over {DEEPEST} elements within one another"
            raise BadPage(problem, self._parser.CurrentByteIndex, "a MediaWiki dump")
        self._parts = []
        self._parser.CharacterDataHandler = self._parts.append if path in _WANTED else None
        if path == "page/redirect":
            self.redirect = True
        elif path == "page/revision":
            self.found.pop("page/revision/text", None)
            self.found.pop("page/revision/timestamp", None)

    def _end(self, _: str) -> None:
        path = self._paths.pop()
        self._parser.CharacterDataHandler = None
        if path in _WANTED:
            self.found[path] = "".join(self._parts)
