"""MediaWiki XML dumps, read page by page with bounded memory."""

import bz2
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from polyticket.errors import PolyticketError
from polyticket.files import Pathlike

TEMPLATE_NAMESPACE = 10
LARGEST_PAGE = 256 * 2**20
"""Bytes of XML that one page may take (MediaWiki allows 2 MiB of wikitext); no dump can fill the memory."""


@dataclass(frozen=True)
class Page:
    """One page of a dump, with the wikitext of its last revision.

    Attributes:
        id: The page's number, as text.
        title: Its full title, with the namespace's name before a colon.
        namespace: The namespace's number; 0 holds the articles.
        redirect: Whether it only points to another page.
        text: Its wikitext, unescaped; empty if the dump has none.
        timestamp: When the revision was made, ISO 8601; empty if unknown.
    """

    id: str
    title: str
    namespace: int
    redirect: bool
    text: str
    timestamp: str


@dataclass
class SiteInfo:
    """What the head of a dump says of its wiki.

    Attributes:
        base: Address of the main page; empty if the dump does not say.
        namespaces: Local names of the namespaces by number.
    """

    base: str = ""
    namespaces: dict[int, str] = field(default_factory=dict)


def read_siteinfo(dump: Pathlike) -> SiteInfo:
    """Read the head of a dump; what it lacks stays empty.

    Raises:
        PolyticketError: As `read_pages`.
    """
    for name, element in _elements(dump):
        if name == "siteinfo":
            return _siteinfo(element)
        if name == "page":
            break
    return SiteInfo()


def read_pages(dump: Pathlike) -> Iterator[Page]:
    """Yield the pages of a dump in its order, holding one at a time.

    Args:
        dump: A MediaWiki export, ``.xml`` or ``.xml.bz2`` (one stream or several).

    Raises:
        PolyticketError: The file is missing, cut short, no bzip2, no well-formed XML, has a document type
            definition, or is no MediaWiki export; names the file and the line, or the byte in the compressed file.
    """
    for name, element in _elements(dump):
        if name == "page":
            yield _page(element, dump)


def _elements(dump: Pathlike) -> Iterator[tuple[str, Element]]:
    """Yield the finished children of the root, by local name, and drop each when the next is asked for."""
    with _opened(dump) as stream:
        bounded = _Bounded(stream, dump)
        root: Element | None = None
        depth = 0
        for event, element in iterparse(bounded, events=("start", "end"), forbid_dtd=True):
            if root is None:
                root = element
                if _local(root.tag) != "mediawiki":
                    raise PolyticketError(f"the root is <{_local(root.tag)}>", where=dump, expected="<mediawiki>")
            depth += 1 if event == "start" else -1
            if event == "end" and depth == 1:
                yield _local(element.tag), element
                root.clear()
                bounded.since = 0


class _Bounded:
    """A stream that refuses to give more than `LARGEST_PAGE` bytes until its count is set back."""

    def __init__(self, stream: IO[Any], dump: Pathlike) -> None:
        self.stream, self.dump, self.since = stream, dump, 0

    def read(self, size: int = -1) -> bytes:
        block = self.stream.read(size)
        self.since += len(block)
        if self.since > LARGEST_PAGE:
            raise PolyticketError(
                f"a page of over {LARGEST_PAGE:,} bytes", where=self.dump, expected="a MediaWiki dump"
            )
        return block


@contextmanager
def _opened(dump: Pathlike) -> Iterator[IO[Any]]:
    """Open a dump and turn what can be wrong with the file into one line that says where."""
    path = Path(dump)
    packed = path.suffix == ".bz2"
    try:
        with path.open("rb") as raw:
            try:
                yield bz2.BZ2File(raw) if packed else raw
            except (EOFError, OSError) as error:
                message = f"{'bad bzip2 data' if packed else 'unreadable'} at byte {raw.tell():,}: {error}"
                raise PolyticketError(message, where=dump, expected="a whole .xml or .xml.bz2 dump") from error
    except ParseError as error:
        line, column = error.position
        problem = str(error).partition(":")[0]
        raise PolyticketError(
            f"bad XML: {problem}", where=f"{dump}:{line}:{column}", expected="a whole dump"
        ) from error
    except DefusedXmlException as error:
        raise PolyticketError("a document type definition", where=dump, expected="a dump without one") from error
    except FileNotFoundError:
        raise PolyticketError("no such file", where=dump) from None


def _siteinfo(element: Element) -> SiteInfo:
    info = SiteInfo()
    for child in element.iter():
        name = _local(child.tag)
        if name == "base":
            info.base = (child.text or "").strip()
        elif name == "namespace" and child.text:
            info.namespaces[int(child.get("key", "0"))] = child.text
    return info


def _page(element: Element, dump: Pathlike) -> Page:
    children = {_local(child.tag): child for child in element}
    revision = {_local(child.tag): child for child in children.get("revision", ())}
    title, number = _text(children, "title"), _text(children, "id")
    namespace = _text(children, "ns") or "0"
    if not number.isdigit() or not namespace.lstrip("-").isdigit():
        raise PolyticketError(
            f"page {title!r} has id {number!r}, namespace {namespace!r}", where=dump, expected="numbers"
        )
    return Page(
        id=number,
        title=title,
        namespace=int(namespace),
        redirect="redirect" in children,
        text=_text(revision, "text"),
        timestamp=_text(revision, "timestamp"),
    )


def _text(children: dict[str, Element], name: str) -> str:
    return (children[name].text or "") if name in children else ""


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
