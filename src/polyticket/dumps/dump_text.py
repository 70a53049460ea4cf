"""The XML of a dump, cut at the tags of its pages.

Each page is cut out by its tags and parsed by itself, so that nothing of a page outlives it. That is exact: in an
export every ``<`` of a page's text is escaped, so the bytes ``<page>`` and ``</page>`` are nothing but tags.
MediaWiki writes no CDATA sections; where one, or a comment, holds such a tag, the parts of it are refused as bad XML.
"""

import re
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.dumps.blocks import PLAIN, Blocks
from polyticket.dumps.page import BadPage, Page, parse_page

LARGEST_HEAD = 2**20
"""Bytes that may stand before the first page, between two, and after the last."""

_PAGE, _PAGE_END = re.compile(rb"<page[\s>]"), re.compile(rb"</page>")
_LONGEST = 7
_ROOT = re.compile(rb"<([^\s!?/>]+)")
_ENCODING = re.compile(rb"""(?:\xef\xbb\xbf)?<\?xml[^>]*\sencoding\s*=\s*["']([^"']*)""")


class DumpText:
    """What a range of a dump's bytes holds, to be taken piece after piece: head, page, what is between, page, ...

    Args:
        dump: The file, ``.xml`` or ``.bz2``.
        begin: First byte of the range in the file.
        end: The byte after the range.
    """

    def __init__(self, dump: Pathlike, begin: int, end: int) -> None:
        self._dump, self._source = dump, Blocks(dump, begin, end)
        self._blocks = iter(self._source)
        self._buffer = bytearray()
        self._offset = 0  # of the buffer in the text
        self._own: int | None = None  # how much of the text is the range's own, once what follows was read
        self._ended = False
        self._at_page = False

    def head(self) -> Element:
        """Take what is before the first page and return the root element as it stands there.

        Raises:
            PolyticketError: It is no head of a MediaWiki export in UTF-8, or as `Blocks`.
        """
        head = self._upto_page()
        root = _ROOT.search(head)
        if root and root[1] != b"mediawiki":
            name = root[1][:30].decode(errors="replace")
            raise PolyticketError(f"the root is <{name}>", where=self._dump, expected="<mediawiki>")
        declared = _ENCODING.match(head)
        if declared and declared[1].lower() not in (b"utf-8", b"us-ascii"):
            name = declared[1][:30].decode(errors="replace")
            raise PolyticketError(f"the encoding {name!r}", where=self._dump, expected="UTF-8")
        return self._parsed(head + b"</mediawiki>" if self._at_page else head, 0)

    def skip_to_page(self) -> bool:
        """Drop the rest of a page that began before; False if no page begins in the range."""
        while (span := self._search(_PAGE, PLAIN)) is None:
            self._take(max(len(self._buffer) - _LONGEST + 1, 0))
            if self._ended or not self._is_own():
                return False
        self._take(span[0])
        self._at_page = True
        return True

    def at_own_page(self) -> bool:
        """Whether a page comes next that begins in the range."""
        return self._at_page and self._is_own()

    def page(self, largest: int) -> Page:
        """Take the page that comes next.

        Args:
            largest: Bytes that it may take.

        Raises:
            PolyticketError: It is larger, cut short, or as `parse_page`; or as `Blocks`.
        """
        span = self._search(_PAGE_END, largest)
        if len(self._buffer) > largest and (span is None or span[1] > largest):
            raise self._error(f"a page of over {largest:,} bytes that begins", 0, "a dump of current revisions")
        if span is None:
            raise self._error("cut short within the page that begins", 0, "a whole dump")
        try:
            page = parse_page(self._peek(span[1]))
        except BadPage as error:
            raise self._error(error.problem, error.offset, error.expected) from error
        self._take(span[1])
        return page

    def between(self) -> None:
        """Take what is between two pages or after the last, which is to be nothing but space and the root's end.

        Raises:
            PolyticketError: It is no well-formed XML, or the dump is cut short; or as `Blocks`.
        """
        offset, text = self._offset, self._upto_page()
        if self._at_page and text.strip():
            self._parsed(b"<mediawiki>" + text + b"</mediawiki>", offset)
        elif not self._at_page and not text.strip():
            raise self._error("cut short after the page that ends", offset - self._offset, "</mediawiki>")
        elif not self._at_page:
            self._parsed(b"<mediawiki>" + text, offset)

    def _upto_page(self) -> bytes:
        """Take all up to a page or to the end."""
        span = self._search(_PAGE, LARGEST_HEAD)
        self._at_page = span is not None
        text = self._peek(span[0] if span else len(self._buffer))
        if len(text) > LARGEST_HEAD:
            raise self._error(f"over {LARGEST_HEAD:,} bytes without a page", 0, "a MediaWiki dump")
        self._take(len(text))
        return text

    def _parsed(self, xml: bytes, offset: int) -> Element:
        try:
            return fromstring(xml, forbid_dtd=True)
        except DefusedXmlException as error:
            message = "a document type definition"
            raise PolyticketError(message, where=self._dump, expected="a dump without one") from error
        except (ParseError, ValueError) as error:
            problem = str(error).partition(":")[0]
            message = f"bad XML outside pages: {problem}, in what begins"
            raise self._error(message, offset - self._offset, "a whole MediaWiki dump") from error

    def _search(self, pattern: re.Pattern[bytes], limit: int) -> tuple[int, int] | None:
        """Where the pattern is next; None if it is not before the end, or not within about `limit` bytes."""
        searched = 0
        while True:
            found = pattern.search(self._buffer, searched)
            if found or self._ended or len(self._buffer) > limit:
                return found.span() if found else None
            searched = max(len(self._buffer) - _LONGEST + 1, 0)
            self._more()

    def _more(self) -> None:
        block, own = next(self._blocks, (b"", True))
        if not own and self._own is None:
            self._own = self._offset + len(self._buffer)
        self._buffer += block
        self._ended = not block

    def _peek(self, size: int) -> bytes:
        with memoryview(self._buffer) as view:
            return bytes(view[:size])

    def _take(self, size: int) -> None:
        del self._buffer[:size]
        self._offset += size

    def _is_own(self) -> bool:
        return self._own is None or self._offset < self._own

    def _error(self, problem: str, offset: int, expected: str) -> PolyticketError:
        place = self._source.place(self._offset + offset)
        return PolyticketError(f"{problem} at {place}", where=self._dump, expected=expected)
