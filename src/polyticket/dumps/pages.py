"""The bytes of a dump from any place on, unpacked block by block.

A ``.bz2`` file is one stream or many laid end to end. Where a stream begins is found in the packed bytes themselves:
each begins, on a whole byte, with ``BZh``, a digit, and 48 bits that mark its first block or its end. Ten given bytes
come up by chance once in 2^77 or so; unpacking from there would fail with an error.
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
"""Bytes that are read and unpacked at a time, so that nothing packed can fill the memory."""

_STREAM = re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")
_MAGIC = 10
_EXPECTED = "a whole .xml or .xml.bz2 dump"
_NAMED = re.compile(r".*\.(?:xml|xml-p\d+p\d+|bz2)")
"""How dumps are named; a part that was unpacked keeps the numbers of its pages: ``…-articles1.xml-p1p41242``."""


def dump_size(dump: Pathlike) -> int:
    """The bytes of a dump file, which need not be readable further.

    Raises:
        PolyticketError: The file is missing, empty, no file, or is packed otherwise than by bzip2.
    """
    path = Path(dump)
    if not _NAMED.fullmatch(path.name):
        raise PolyticketError(f"a dump of the form {path.suffix or 'without a suffix'}", where=dump, expected=_EXPECTED)
    if not path.exists():
        raise PolyticketError("no such file", where=dump)
    if not path.is_file():
        raise PolyticketError("no file", where=dump, expected=_EXPECTED)
    if not (size := path.stat().st_size):
        raise PolyticketError("an empty file", where=dump, expected=_EXPECTED)
    return size


class Blocks:
    """The text of a dump from the first place in a range of its bytes where reading can begin, to the dump's end.

    Of a plain file that is the range's first byte, of a packed one the first stream that begins in the range.
    Iterating yields blocks of at most `PLAIN` bytes, each with whether it is the range's own: the bytes in the range,
    or what is in the streams that begin there. Nothing comes if no stream begins there.

    Args:
        dump: The file, ``.xml`` or ``.bz2``.
        begin: First byte of the range in the file.
        end: The byte after the range.

    Raises:
        PolyticketError: While iterating: unreadable, no bzip2, damaged or cut short; names the file and the byte.
    """

    def __init__(self, dump: Pathlike, begin: int, end: int) -> None:
        self.dump, self.begin, self.end = dump, begin, end
        self.packed = Path(dump).suffix == ".bz2"
        # Where streams begin: in the file, and in the text that was yielded.
        self._starts, self._offsets = array("q"), array("q")

    def __iter__(self) -> Iterator[tuple[bytes, bool]]:
        with Path(self.dump).open("rb") as file:
            try:
                yield from self._unpacked(file) if self.packed else self._plain(file)
            except OSError as error:
                raise PolyticketError(f"unreadable at byte {file.tell():,}: {error}", where=self.dump) from error

    def place(self, offset: int) -> str:
        """In words, where in the file the byte stands that is at `offset` of the text yielded."""
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
        """Where the first stream of the range begins; the file's first byte must begin one."""
        if self.begin == 0:
            return 0
        file.seek(self.begin)
        at, data = self.begin, b""
        while at < self.end and (block := file.read(PACKED)):
            data += block
            if found := _STREAM.search(data):
                start = at + found.start()
                return start if start < self.end else None
            kept = data[1 - _MAGIC :]
            at, data = at + len(data) - len(kept), kept
        return None


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
