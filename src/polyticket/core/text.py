"""Text files, read in one way, with one error line for each kind of fault."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from polyticket.core.errors import PolyticketError

Pathlike = str | os.PathLike[str]
UTF_8 = "UTF-8 text (iconv makes it of other encodings)"


@contextmanager
def readable(path: Pathlike, *, expected: str | None = None) -> Iterator[None]:
    """Turn what goes wrong when a file is opened or read into one line for the user.

    Args:
        path: The file, for the line.
        expected: What the file should be, for example ``a JSON file``; a missing file's line leaves it out.

    Raises:
        PolyticketError: Inside the block, the file is missing, cannot be read, or a whole text is not UTF-8.
    """
    try:
        yield
    except FileNotFoundError:
        raise PolyticketError("no such file", where=path) from None
    except OSError as error:
        raise PolyticketError(error.strerror or "unreadable", where=path, expected=expected) from None
    except UnicodeDecodeError as error:
        raise PolyticketError(f"not UTF-8 at byte {error.start}", where=path, expected=expected) from None


def read_text(path: Pathlike, *, expected: str | None = None) -> str:
    """Read a UTF-8 text, without the byte order mark that may stand before it; every line end becomes a line feed.

    Raises:
        PolyticketError: The file is missing, cannot be read, or is not UTF-8; names the file and the byte.
    """
    with readable(path, expected=expected), open(path, "rb") as stream:
        data = stream.read()
        text = data.decode("utf-8").removeprefix("\ufeff")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def lines_of(path: Pathlike) -> Iterator[str]:
    """Yield the lines of a UTF-8 text without their ends (LF or CRLF), in constant memory.

    Raises:
        PolyticketError: The file is missing or cannot be read, or a line is not UTF-8; names file and line.
    """
    with readable(path), open(path, "rb") as stream:
        yield from (line for _, line in decoded(stream, path))


def decoded(stream: Iterable[bytes], where: object, *, expected: str = UTF_8) -> Iterator[tuple[int, str]]:
    """Number and decode the lines of a binary file: UTF-8, with or without a byte order mark, LF or CRLF.

    Only a line feed ends a line: words may hold U+2028 and other characters that `str.splitlines` would cut at.

    Args:
        stream: Lines of bytes.
        where: The file, for errors.
        expected: What would be right, for errors.

    Raises:
        PolyticketError: A line is not UTF-8 or holds a zero byte; names it.
    """
    for number, data in enumerate(stream, 1):
        try:
            line = data.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise PolyticketError(f"not UTF-8: {error.reason}", where=f"{where}:{number}", expected=expected) from None
        if "\0" in line:
            raise PolyticketError("not UTF-8: a zero byte, as UTF-16 has", where=f"{where}:{number}", expected=expected)
        yield number, line.removesuffix("\n").removesuffix("\r")
