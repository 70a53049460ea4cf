"""A file that is still coming over HTTP, and what must be known to go on with it."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polyticket.core.errors import PolyticketError
from polyticket.core.files import read_json, write_json

_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class Partial:
    """``<name>.part``, beside it ``<name>.part.json`` with where it is from and which version of it the server had.

    The version is the server's ``ETag``, or else its ``Last-Modified``. A partial file without one is never continued.

    Args:
        url: Where the file is from.
        final: Where it is to stand once it is whole.
    """

    def __init__(self, url: str, final: Path) -> None:
        self.url, self.final = url, final
        self.path = final.with_name(f"{final.name}.part")
        self._note_path = final.with_name(f"{final.name}.part.json")

    def size(self) -> int:
        """How many bytes are on the disk, of whatever version."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def held(self) -> int:
        """How many bytes are there to go on from."""
        note, have = self._note(), self.size()
        if not note:
            return 0
        total = note["bytes"]
        return have if have == total or (note["version"] and (total is None or have < total)) else 0

    def is_whole(self) -> bool:
        """Whether all bytes are there."""
        note = self._note()
        return note is not None and self.path.is_file() and self.size() == note["bytes"]

    def asks(self) -> dict[str, str]:
        """The headers that ask for the rest; none if there is nothing to go on from."""
        note, have = self._note(), self.held()
        return {"Range": f"bytes={have}-", "If-Range": note["version"]} if note and have else {}

    def goes_on(self, status: int, headers: Mapping[str, str]) -> bool:
        """Whether an answer to `asks` is the rest of this file."""
        note, found = self._note(), _RANGE.fullmatch(headers.get("Content-Range", ""))
        if status != 206 or not note or not found or int(found[1]) != self.held():
            return False
        return found[2] == "*" or note["bytes"] in (None, int(found[2]))

    def begin(self, headers: Mapping[str, str], total: int | None) -> None:
        """Start anew with the headers of an answer that has the whole file, of `total` bytes if that is known."""
        self.discard()
        tag = headers.get("ETag", "")
        # A weak tag calls different bytes the same.
        version = headers.get("Last-Modified") if tag.startswith("W/") or not tag else tag
        self._write_note(version, total)

    def end(self) -> None:
        """Note that all bytes have come, for servers that did not say how many there would be.

        Raises:
            ValueError: There are fewer or more than the server said.
        """
        note, have = self._note(), self.size()
        assert note is not None, self.path
        if note["bytes"] not in (None, have):
            raise ValueError(f"{have:,} of {note['bytes']:,} bytes came")
        self._write_note(note["version"], have)

    def discard(self) -> None:
        """Remove it; its bytes first, so that none is ever taken for those of another version."""
        self.path.unlink(missing_ok=True)
        self._note_path.unlink(missing_ok=True)

    def finish(self) -> None:
        """Put it in its final place, safely on the disk."""
        with self.path.open("rb") as stream:
            os.fsync(stream.fileno())
        self.path.replace(self.final)
        self.discard()

    def _note(self) -> dict[str, Any] | None:
        try:
            note = read_json(self._note_path)
        except PolyticketError:
            return None
        known = isinstance(note, dict) and note.keys() == {"url", "version", "bytes"} and note["url"] == self.url
        return note if known else None

    def _write_note(self, version: str | None, total: int | None) -> None:
        write_json(self._note_path, {"url": self.url, "version": version, "bytes": total})
