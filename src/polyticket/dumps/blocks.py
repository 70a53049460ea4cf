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
from pathlib import Path
from typing import IO

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
