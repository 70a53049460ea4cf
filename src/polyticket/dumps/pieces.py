"""A language's dumps in pieces of about equal size, each readable without the others."""

import os
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, read_json
from polyticket.dumps.dump import read_range
from polyticket.dumps.pages import Page, dump_size


def read_piece(dumps: Sequence[Pathlike], piece: int, pieces: int) -> Iterator[Page]:
    """Yield the pages of one piece; over all pieces every page comes exactly once, in order.

    Piece i of n is the range [⌊i·S/n⌋, ⌊(i+1)·S/n⌋) of the S bytes of all dumps laid end to end. A page is of the
    piece that holds the beginning of its ``<page>`` tag or, in a ``.bz2`` dump, of the bzip2 stream with that
    beginning: a dump of one stream is wholly of one piece. Files outside the range are not opened.

    Args:
        dumps: MediaWiki exports (``.xml``, ``.xml.bz2``) in the order their pages are to have.
        piece: The piece's number from 0.
        pieces: How many pieces there are; more than there are streams leave some without a page.

    Raises:
        PolyticketError: There is no such piece, or as `read_pages`.
    """
    if not 0 <= piece < pieces:
        raise PolyticketError(f"piece {piece} of {pieces}", expected=f"0 to {pieces - 1}")
    sizes = [dump_size(dump) for dump in dumps]
    total = sum(sizes)
    first, last = piece * total // pieces, (piece + 1) * total // pieces
    for dump, size, before in zip(dumps, sizes, accumulate(sizes, initial=0), strict=False):
        begin, end = max(first - before, 0), min(last - before, size)
        if begin < end:
            yield from read_range(dump, begin, end)


def dump_files(inputs: Sequence[Pathlike]) -> list[str]:
    """The dump files that are meant: each input that is a receipt (``.json``) gives way to the files it lists.

    A receipt has the keys ``folder`` (of the files) and ``files`` (a list of objects with a ``name`` each).

    Raises:
        PolyticketError: A receipt is unreadable or has another form.
    """
    files: list[str] = []
    for given in inputs:
        path = os.fspath(given)
        files += _received(path) if path.endswith(".json") else [path]
    return files


def _received(receipt: Pathlike) -> list[str]:
    value: Any = read_json(receipt)
    try:
        folder, names = Path(value["folder"]), [file["name"] for file in value["files"]]
        if any(name != Path(name).name or not name for name in names):
            raise ValueError
    except (KeyError, TypeError, ValueError):
        expected = '{"folder": "...", "files": [{"name": "..."}, ...]}'
        raise PolyticketError("no receipt of a download", where=receipt, expected=expected) from None
    return [str(folder / name) for name in names]
