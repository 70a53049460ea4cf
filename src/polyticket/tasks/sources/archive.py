"""Archives with a file for each split, as WikiANN is given: read in place, nothing is written to disk."""

import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from polyticket.core.errors import PolyticketError

LIMIT = 2**30
"""Bytes of a member beyond which an archive is refused."""

Result = TypeVar("Result")


def read_members(
    path: str, names: Sequence[str], read: Callable[[Iterable[bytes], str], Result], *, limit: int = LIMIT
) -> tuple[dict[str, Result], list[str]]:
    """Read members of a tar archive, packed or not.

    Args:
        path: The archive.
        names: Names of members; they may stand in one folder. All else is passed over.
        read: Takes the lines of a member and what it is called in errors.
        limit: Bytes that a member may have.

    Returns:
        What `read` made of each, and the names of all other members.

    Raises:
        PolyticketError: It is no archive or is cut off; a member is missing, there twice, no plain file, or too big.
    """
    found: dict[str, Result] = {}
    others: list[str] = []
    with _opened(path) as archive:
        for member in archive:
            if member.isdir():
                continue
            folder, _, name = member.name.removeprefix("./").rpartition("/")
            if name not in names or "/" in folder:
                others.append(member.name)
                continue
            _check(member, path, found, name, limit)
            stream = archive.extractfile(member)
            assert stream is not None
            found[name] = read(stream, f"{path}/{member.name}")
    for name in names:
        if name not in found:
            there = ", ".join([*found, *others][:8]) or "nothing"
            expected = f"a member {name}, or another split in its place (splits)"
            raise PolyticketError(f"no {name} split among {there}", where=path, expected=expected)
    return found, others


@contextmanager
def _opened(path: str) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(path, "r:*") as archive:
            yield archive
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise PolyticketError(
            f"no archive that can be read: {error}", where=path, expected="a whole tar file"
        ) from None


def _check(member: tarfile.TarInfo, path: str, found: dict[str, Result], name: str, limit: int) -> None:
    where = f"{path}/{member.name}"
    if not member.isreg():
        raise PolyticketError("no plain file", where=where, expected="a file with the lines of a split")
    if name in found:
        raise PolyticketError(f"a second {name}", where=where, expected="one member for each split")
    if member.size > limit:
        raise PolyticketError(f"{member.size} bytes", where=where, expected=f"at most {limit}")
