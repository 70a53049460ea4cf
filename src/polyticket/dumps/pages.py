"""The pages of a dump: bytes are unpacked in blocks, the XML is cut at the tags of pages, each page is parsed alone.

A ``.bz2`` file holds one stream, or many end to end. The start of a stream is found in the packed bytes: each stream
starts, at a whole byte, with ``BZh``, a digit, and 48 bits that mark its first block or its end. Ten given bytes occur
by chance once in about 2^77; unpacking from there would fail with an error.

In an export each ``<`` of a text is escaped, so the bytes ``<page>`` and ``</page>`` are always tags, and cutting
there is exact. MediaWiki writes no CDATA sections. If one, or a comment, holds such a tag, its parts are bad XML.
"""

import re
from array import array
from bisect import bisect_right
from bz2 import BZ2Decompressor
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from xml.etree.ElementTree import Element, ParseError
from xml.parsers import expat

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike

PACKED, PLAIN = 2**18, 2**20
"""Most bytes that are read, and unpacked, at a time: packed data cannot fill the memory."""

_STREAM = re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")
_MAGIC = 10
_EXPECTED = "a whole .xml or .xml.bz2 dump"
_NAMED = re.compile(r".*\.(?:xml|xml-p\d+p\d+|bz2)")
"""Names of dumps. An unpacked part keeps the numbers of its pages: ``…-articles1.xml-p1p41242``."""


def dump_size(dump: Pathlike) -> int:
    """The bytes of a dump file.

    Raises:
        PolyticketError: The file is missing, empty, a directory, or has the name of another format.
    """
    path = Path(dump)
    if not _NAMED.fullmatch(path.name):
        raise PolyticketError(f"a dump of the form {path.suffix or 'without a suffix'}", where=dump, expected=_EXPECTED)
    if not path.exists():
        raise PolyticketError("no such file", where=dump)
    if not path.is_file():
        raise PolyticketError("not a file", where=dump, expected=_EXPECTED)
    if not (size := path.stat().st_size):
        raise PolyticketError("an empty file", where=dump, expected=_EXPECTED)
    return size


class Blocks:
    """The text of a dump from the first readable byte of a range to the end of the dump.

    In a plain file this is the range's first byte, in a packed file the first stream that starts in the range. The
    iterator yields blocks of at most `PLAIN` bytes, each with a flag: whether the block belongs to the range, as bytes
    in it or as text of a stream that starts in it. It yields nothing if no stream starts there.

    Args:
        dump: The file, ``.xml`` or ``.bz2``.
        begin: First byte of the range in the file.
        end: The byte after the range.

    Raises:
        PolyticketError: While iterating: unreadable, not bzip2, damaged or cut short; names the file and the byte.
    """

    def __init__(self, dump: Pathlike, begin: int, end: int) -> None:
        self.dump, self.begin, self.end = dump, begin, end
        self.packed = Path(dump).suffix == ".bz2"
        # Where streams start: in the file, and in the yielded text.
        self._starts, self._offsets = array("q"), array("q")

    def __iter__(self) -> Iterator[tuple[bytes, bool]]:
        with Path(self.dump).open("rb") as file:
            try:
                yield from self._unpacked(file) if self.packed else self._plain(file)
            except OSError as error:
                raise PolyticketError(f"unreadable at byte {file.tell():,}: {error}", where=self.dump) from error

    def place(self, offset: int) -> str:
        """The place in the file of byte `offset` of the yielded text, in words."""
        if not self.packed:
            return f"byte {self.begin + offset:,}"
        if not self._starts:
            return "byte 0"
        stream = max(bisect_right(self._offsets, offset) - 1, 0)
        return f"byte {offset - self._offsets[stream]:,} of the bzip2 stream at byte {self._starts[stream]:,}"

    def _plain(self, file: IO[bytes]) -> Iterator[tuple[bytes, bool]]:
        file.seek(self.begin)
        left = self.end - self.begin
        while block := file.read(min(PLAIN, left) if left > 0 else PLAIN):
            yield block, left > 0
            left -= len(block)

    def _unpacked(self, file: IO[bytes]) -> Iterator[tuple[bytes, bool]]:
        start = self._first_stream(file)
        if start is None:
            return
        file.seek(start)
        offset, data = 0, file.read(PACKED)
        while data:
            start = file.tell() - len(data)
            self._starts.append(start)
            self._offsets.append(offset)
            stream = BZ2Decompressor()
            while not stream.eof:
                block = self._block(stream, data, start, file)
                offset += len(block)
                if block:
                    yield block, start < self.end
                data = file.read(PACKED) if stream.needs_input and not stream.eof else b""
            data = stream.unused_data or file.read(PACKED)

    def _block(self, stream: BZ2Decompressor, data: bytes, start: int, file: IO[bytes]) -> bytes:
        if not data and stream.needs_input:
            message = f"bad bzip2 data at byte {file.tell():,}: cut short in the stream at byte {start:,}"
            raise PolyticketError(message, where=self.dump, expected=_EXPECTED)
        try:
            return stream.decompress(data, max_length=PLAIN)
        except (OSError, ValueError) as error:
            message = f"bad bzip2 data in the stream at byte {start:,}, before byte {file.tell():,}: {error}"
            raise PolyticketError(message, where=self.dump, expected=_EXPECTED) from error

    def _first_stream(self, file: IO[bytes]) -> int | None:
        """The first byte of the first stream that starts in the range; a stream must start at the file's first byte."""
        if self.begin == 0:
            return 0
        file.seek(self.begin)
        offset, data = self.begin, b""
        while offset < self.end and (block := file.read(PACKED)):
            data += block
            if match := _STREAM.search(data):
                start = offset + match.start()
                return start if start < self.end else None
            tail = data[1 - _MAGIC :]
            offset, data = offset + len(data) - len(tail), tail
        return None


LARGEST_TAG = 2**16
"""Most bytes of a tag with its attributes, or of a comment: expat holds them whole."""
DEEPEST = 32
"""Most elements within one another; exports have five."""

_OF_REVISION = ("page/revision/text", "page/revision/timestamp", "page/revision/model")
_READ = frozenset(("page/title", "page/ns", "page/id", *_OF_REVISION))
_ID, _NAMESPACE = re.compile(r"[0-9]{1,18}"), re.compile(r"-?[0-9]{1,9}")


@dataclass(frozen=True)
class Page:
    """One page of a dump, with the wikitext of its last revision.

    Attributes:
        id: The page's number, as text.
        title: Its full title, with the namespace's name before a colon.
        namespace: The namespace's number; 0 holds the articles. None if the page does not name it (exports before
            0.6, of 2012).
        redirect: Whether it is a redirect to another page.
        text: Its wikitext, unescaped; empty if the dump has none.
        timestamp: The time of the revision, ISO 8601; empty if unknown.
        model: The kind of its content, such as ``css``; ``wikitext`` if the page does not name it.
    """

    id: str
    title: str
    namespace: int | None
    redirect: bool
    text: str
    timestamp: str
    model: str = "wikitext"


class BadPage(Exception):  # noqa: N818 - the caller, which knows the file, turns it into the user's error
    """The fault of a page, and the byte of the page where it is."""

    def __init__(self, problem: str, offset: int, expected: str) -> None:
        super().__init__(problem)
        self.problem, self.offset, self.expected = problem, offset, expected


def parse_page(xml: bytes) -> Page:
    """Read a page.

    Memory is bounded by a few times the page's size: depth, attributes and tags are limited, and a page has no document
    type definition, hence no entities of its own.

    Args:
        xml: From ``<page>`` to ``</page>``, UTF-8.

    Raises:
        BadPage: It is not well-formed XML, not UTF-8 or beyond the limits, or its numbers are not numbers.
    """
    reader = _Reader()
    reader.read(xml)
    get = reader.fields.get
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
        model=get("page/revision/model") or "wikitext",
    )


class _Reader:
    """Collects the fields of a page while expat reads it."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.redirect = False
        self._paths: list[str] = []
        self._parts: list[str] = []
        self._parser = expat.ParserCreate("utf-8")
        self._parser.buffer_text = True
        self._parser.buffer_size = LARGEST_TAG

    def read(self, xml: bytes) -> None:
        """Read a page's XML; raises `BadPage`."""
        parser, offset = self._parser, 0
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        try:
            for begin in range(0, len(xml), LARGEST_TAG):
                end = begin + LARGEST_TAG
                parser.Parse(xml[begin:end], end >= len(xml))
                # The byte that expat has reached; newer versions give -1 while they wait for the rest of a long tag.
                if end < len(xml) and parser.CurrentByteIndex <= begin:
                    raise BadPage(f"a tag of over {LARGEST_TAG:,} bytes", offset, "a MediaWiki dump")
                offset = parser.CurrentByteIndex
        except expat.ExpatError as error:
            problem = f"bad XML: {expat.ErrorString(error.code)}"
            raise BadPage(problem, parser.ErrorByteIndex, "a whole MediaWiki dump in UTF-8") from error
        finally:  # parser and handlers refer to each other, and hold the page
            parser.StartElementHandler = parser.EndElementHandler = parser.CharacterDataHandler = None

    def _start(self, name: str, _: dict[str, str]) -> None:
        path = f"{self._paths[-1]}/{name}" if self._paths else name
        self._paths.append(path)
        if len(self._paths) > DEEPEST:
            problem = f"over {DEEPEST} elements within one another"
            raise BadPage(problem, self._parser.CurrentByteIndex, "a MediaWiki dump")
        self._parts = []
        self._parser.CharacterDataHandler = self._parts.append if path in _READ else None
        if path == "page/redirect":
            self.redirect = True
        elif path == "page/revision":
            for part in _OF_REVISION:
                self.fields.pop(part, None)

    def _end(self, _: str) -> None:
        path = self._paths.pop()
        self._parser.CharacterDataHandler = None
        if path in _READ:
            self.fields[path] = "".join(self._parts)


LARGEST_GAP = 2**20
"""Most bytes before the first page, between two pages, and after the last."""

_PAGE, _PAGE_END = re.compile(rb"<page[\s>]"), re.compile(rb"</page>")
_LONGEST = 7
_ROOT = re.compile(rb"<([^\s!?/>]+)")
_ENCODING = re.compile(rb"""(?:\xef\xbb\xbf)?<\?xml[^>]*\sencoding\s*=\s*["']([^"']*)""")


class DumpText:
    """The text of a byte range of a dump, read in order: header, page, gap, page, gap, ...

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
        self._own: int | None = None  # bytes of the text that belong to the range, known once more was read
        self._ended = False
        self._at_page = False

    def header(self) -> Element:
        """Read the text before the first page, and return it as the root element.

        Raises:
            PolyticketError: It is not the header of a MediaWiki export in UTF-8, or see `Blocks`.
        """
        header = self._upto_page()
        root = _ROOT.search(header)
        if root and root[1] != b"mediawiki":
            name = root[1][:30].decode(errors="replace")
            raise PolyticketError(f"the root is <{name}>", where=self._dump, expected="<mediawiki>")
        declared = _ENCODING.match(header)
        if declared and declared[1].lower() not in (b"utf-8", b"us-ascii"):
            name = declared[1][:30].decode(errors="replace")
            raise PolyticketError(f"the encoding {name!r}", where=self._dump, expected="UTF-8")
        return self._parsed(header + b"</mediawiki>" if self._at_page else header, 0)

    def skip_to_page(self) -> bool:
        """Skip the rest of a page that starts before the range; False if no page starts in the range."""
        while (span := self._search(_PAGE, LARGEST_GAP)) is None:
            self._take(max(len(self._buffer) - _LONGEST + 1, 0))
            if self._ended or not self._is_own():
                return False
        self._take(span[0])
        self._at_page = True
        return True

    def at_own_page(self) -> bool:
        """Whether the next page starts in the range."""
        return self._at_page and self._is_own()

    def page(self, largest: int) -> Page:
        """Read the next page.

        Args:
            largest: Most bytes of the page.

        Raises:
            PolyticketError: It is larger, cut short or bad (see `parse_page`), or see `Blocks`.
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
        """Read the gap between two pages or after the last. It holds nothing but white space and the root's end tag.

        Raises:
            PolyticketError: It is not well-formed XML, or the dump is cut short; or see `Blocks`.
        """
        offset, text = self._offset, self._upto_page()
        if self._at_page and text.strip():
            self._parsed(b"<mediawiki>" + text + b"</mediawiki>", offset)
        elif not self._at_page and not text.strip():
            raise self._error("cut short after the page that ends", offset - self._offset, "</mediawiki>")
        elif not self._at_page:
            self._parsed(b"<mediawiki>" + text, offset)

    def _upto_page(self) -> bytes:
        """Read all up to the next page or the end."""
        span = self._search(_PAGE, LARGEST_GAP)
        self._at_page = span is not None
        text = self._peek(span[0] if span else len(self._buffer))
        if len(text) > LARGEST_GAP:
            raise self._error(f"over {LARGEST_GAP:,} bytes without a page", 0, "a MediaWiki dump")
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
            message = f"bad XML outside pages: {problem}, in the text that begins"
            raise self._error(message, offset - self._offset, "a whole MediaWiki dump") from error

    def _search(self, pattern: re.Pattern[bytes], limit: int) -> tuple[int, int] | None:
        """The next place of the pattern; None if it is not before the end, or not within about `limit` bytes."""
        searched = 0
        while True:
            match = pattern.search(self._buffer, searched)
            if match or self._ended or len(self._buffer) > limit:
                return match.span() if match else None
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
