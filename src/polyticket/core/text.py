"""Text files, read in one way, with one error line for each kind of fault."""

import errno
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from polyticket.core.errors import PolyticketError

Pathlike = str | os.PathLike[str]
UTF_8 = "UTF-8 text (iconv makes it of other encodings)"
MOST = 2**30
"""Bytes of a file that is read as a whole."""
POINTER, MOST_OF_POINTER = b"version https://git-lfs", 1024
"""How a pointer of Git LFS begins, and more bytes than it has."""
_HALF = re.compile(r"\\u[dD][89a-fA-F]")


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


@contextmanager
def read_as(what: str, path: object) -> Iterator[None]:
    """Turn whatever a damaged file makes a library or a reader stumble over into one line for the user.

    Args:
        what: What the file should be, for example ``a ticket``.
        path: The file, for the line.

    Raises:
        PolyticketError: Anything goes wrong in the block; an error that says where it is stays as it is.
    """
    try:
        yield
    except PolyticketError:
        raise
    except FileNotFoundError:
        raise PolyticketError("no such file", where=path) from None
    except IsADirectoryError:
        raise PolyticketError(f"a directory where {what} is read", where=path) from None
    except KeyError as error:
        raise PolyticketError(f"cannot be read as {what}: no {error.args[0]}", where=path) from error
    except BaseException as error:
        # libraries written in Rust panic with an exception that no `Exception` is
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        line = next(iter(str(error).splitlines()), "")[:200] or type(error).__name__
        raise PolyticketError(f"cannot be read as {what}: {line}", where=path) from error


def require_regular(path: Pathlike, *, most: int | None = None) -> None:
    """Refuse what may be read without end, such as a device or a pipe, pointers, and files of more bytes than `most`.

    Raises:
        PolyticketError: It is no regular file, too large, or a pointer of Git LFS.
        OSError: It is missing, or a directory.
    """
    found = os.stat(path)
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(found.st_mode):
        raise PolyticketError("a device or a pipe", where=path, expected="a file")
    if most is not None and found.st_size > most:
        raise PolyticketError(f"{found.st_size:,} bytes", where=path, expected=f"a file of at most {most:,}")
    if found.st_size < MOST_OF_POINTER:
        refuse_pointer(path)


def refuse_pointer(path: Pathlike) -> None:
    """Check that a file is what was meant, and not what Git keeps in its place.

    Raises:
        PolyticketError: It is a pointer of Git LFS.
    """
    if os.path.isfile(path):
        with open(path, "rb") as stream:
            if stream.read(len(POINTER)) == POINTER:
                raise PolyticketError("a pointer of Git LFS", where=path, expected="the file itself: git lfs pull")


def read_text(path: Pathlike, *, expected: str | None = None, most: int = MOST) -> str:
    """Read a UTF-8 text, without the byte order mark that may stand before it; every line end becomes a line feed.

    Raises:
        PolyticketError: The file is missing, cannot be read, is no regular file, has more bytes than `most`, or is not
            UTF-8; names the file and the byte.
    """
    with readable(path, expected=expected):
        require_regular(path, most=most)
        data = Path(path).read_bytes()
        text = data.decode("utf-8").removeprefix("\ufeff")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parsed_json(data: str | bytes, where: object, *, expected: str | None = None) -> Any:
    """The value of a JSON text: UTF-8, with or without a byte order mark, and finite numbers.

    Args:
        data: The text.
        where: Where it stands, for errors.
        expected: What would be right, for errors.

    Raises:
        PolyticketError: It is no JSON, is nested too deeply, has NaN or a number of thousands of digits, or halves of
            characters, which no file could hold; names the line and column of a text of several lines.
    """

    def refuse(name: str) -> NoReturn:
        raise PolyticketError(f"not JSON: {name}", where=where, expected=expected or "a number")

    try:
        text = (data if isinstance(data, str) else data.decode("utf-8")).removeprefix("\ufeff")
        value = json.loads(text, parse_constant=refuse)
        if _HALF.search(text):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise PolyticketError("not JSON that can be read: too deep", where=where, expected=expected) from None
    except json.JSONDecodeError as error:
        place = f":{error.lineno}:{error.colno}" if "\n" in text or isinstance(where, os.PathLike) else ""
        raise PolyticketError(f"not JSON: {error.msg}", where=f"{where}{place}", expected=expected) from None
    except UnicodeDecodeError as error:
        raise PolyticketError(f"not UTF-8 at byte {error.start}", where=where, expected=expected) from None
    except UnicodeEncodeError as error:
        raise PolyticketError(f"not Unicode: {error.reason}", where=where, expected=expected) from None
    except ValueError as error:  # more digits than Python converts
        line = str(error).partition(";")[0]
        raise PolyticketError(f"not JSON that can be read: {line}", where=where, expected=expected) from None
    return value


def lines_of(path: Pathlike) -> Iterator[str]:
    """Yield the lines of a UTF-8 text without their ends (LF or CRLF), in constant memory.

    Raises:
        PolyticketError: The file is missing or cannot be read, or a line is not UTF-8; names file and line.
    """
    with readable(path):
        require_regular(path)
        with open(path, "rb") as stream:
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
