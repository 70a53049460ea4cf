"""Lines of text as they are numbered in errors."""

from collections.abc import Iterable, Iterator
from itertools import chain

from polyticket.core.errors import PolyticketError

UTF_8 = "UTF-8 text (iconv makes it of other encodings)"
Lines = Iterable[tuple[int, str]]
"""Numbers from 1 and lines without their ends."""


def decoded(stream: Iterable[bytes], where: str) -> Iterator[tuple[int, str]]:
    """Number and decode the lines of a binary file: UTF-8, with or without a byte order mark, LF or CRLF.

    Only a line feed ends a line: words may hold U+2028 and other characters that `str.splitlines` would cut at.

    Raises:
        PolyticketError: A line is not UTF-8; names it.
    """
    for number, data in enumerate(stream, 1):
        try:
            line = data.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise PolyticketError(f"not UTF-8: {error.reason}", where=f"{where}:{number}", expected=UTF_8) from None
        if "\0" in line:
            raise PolyticketError("not UTF-8: a zero byte, as UTF-16 has", where=f"{where}:{number}", expected=UTF_8)
        yield number, line.removesuffix("\n").removesuffix("\r")


def is_blank(line: str) -> bool:
    """Whether a line has nothing but spaces."""
    return not line.strip(" ")


def blocks(lines: Lines) -> Iterator[list[tuple[int, str]]]:
    """Group lines by the blank lines between them, of which any number may stand anywhere."""
    block: list[tuple[int, str]] = []
    for number, line in chain(lines, [(0, "")]):
        if not is_blank(line):
            block.append((number, line))
        elif block:
            yield block
            block = []


def count_of_columns(columns: list[str]) -> str:
    """For errors: ``3 columns``."""
    return f"{len(columns)} column{'s' * (len(columns) > 1)}"
