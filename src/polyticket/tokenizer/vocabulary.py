"""Vocabularies as files: one piece a line."""

import re
from collections.abc import Sequence
from pathlib import Path

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike

UNKNOWN = "[UNK]"
SPECIAL_TOKENS = ("[PAD]", UNKNOWN, "[CLS]", "[SEP]", "[MASK]")
WITH_COUNT = re.compile(r"\S+[ \t]+-?\d+(\.\d+)?")


def check_vocabulary(tokens: Sequence[str], where: object, special: Sequence[str] = SPECIAL_TOKENS) -> None:
    """Refuse a vocabulary with a piece twice, an empty piece, a count beside a piece, or a special token missing.

    Args:
        tokens: The pieces.
        where: Their file.
        special: The special tokens that there must be.

    Raises:
        PolyticketError: It has one of these faults; names the line, from 1.
    """
    lines: dict[str, int] = {}
    for number, token in enumerate(tokens, start=1):
        if not token or WITH_COUNT.fullmatch(token):
            what = f"{token!r} is a piece and a number" if token else "an empty piece"
            raise PolyticketError(what, where=f"{where}:{number}", expected="one piece a line")
        if token in lines:
            raise PolyticketError(
                f"{token!r} stands on line {lines[token]} already",
                where=f"{where}:{number}",
                expected="each piece once",
            )
        lines[token] = number
    missing = [token for token in special if token not in lines]
    if missing:
        raise PolyticketError(f"no {', '.join(missing)}", where=where, expected=" ".join(special))


def read_vocabulary(path: Pathlike, special: Sequence[str] = SPECIAL_TOKENS) -> list[str]:
    """Read a ``vocab.txt``: one piece a line, its id the line's number from 0.

    Lines end with LF or CRLF. A byte order mark and blank lines at the end are no pieces.

    Args:
        path: The file.
        special: See `check_vocabulary`.

    Raises:
        PolyticketError: The file is missing or not UTF-8, or see `check_vocabulary`.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise PolyticketError("no such file", where=path) from None
    except UnicodeDecodeError as error:
        raise PolyticketError(f"not UTF-8: {error.reason}", where=path) from None
    tokens = text.rstrip("\n").split("\n")
    check_vocabulary(tokens, path, special)
    return tokens
