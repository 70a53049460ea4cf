"""A store in a local folder."""

import glob
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polyticket.errors import PolyticketError
from polyticket.files import Pathlike, remove, written_beside
from polyticket.store.base import URL_FORMS, Stat, checked_name, file_stat, url_of


def open_rest(rest: str, *, deadline: float) -> "LocalStore":  # noqa: ARG001 -- a disk answers at once
    """Open the store of a ``file://`` URL from what follows the slashes."""
    if not rest:
        raise PolyticketError("no folder is named", where="'file://'", expected=URL_FORMS)
    return LocalStore(rest)


class LocalStore:
    """A folder as a `Store`; one process writes a name at a time.

    Args:
        folder: The folder; it is made by the first `put` or `write`.
    """

    def __init__(self, folder: str) -> None:
        self.url = f"file://{folder.rstrip('/') or '/'}"
        self.root = Path(folder).resolve()

    def names(self, prefix: str = "") -> list[str]:
        """See `Store.names`; what an interrupted `put` left is not shown."""
        base = self.root / prefix.rpartition("/")[0]
        if ".." in prefix.split("/"):
            raise PolyticketError(f"bad prefix {prefix!r}", where=self.url, expected="a prefix without '..'")
        found = (p.relative_to(self.root) for p in base.rglob("*") if p.is_file())
        return sorted(p.as_posix() for p in found if p.as_posix().startswith(prefix) and not _unfinished(p))

    def stat(self, name: str) -> Stat | None:
        """See `Store.stat`; the checksum is computed from the file's bytes."""
        with self._told(name):
            path = self._path(name)
            return file_stat(path) if path.is_file() else None

    def put(self, local_path: Pathlike, name: str) -> Stat:
        """See `Store.put`."""
        with self._told(name):
            path = self._path(name)
            _remove_unfinished(path)
            with written_beside(path) as place:
                shutil.copyfile(local_path, place)
            return file_stat(path)

    def get(self, name: str, local_path: Pathlike) -> None:
        """See `Store.get`."""
        with self._told(name), written_beside(local_path) as place:
            shutil.copyfile(self._path(name), place)

    def read(self, name: str) -> bytes:
        """See `Store.read`."""
        with self._told(name):
            return self._path(name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        """See `Store.write`."""
        with self._told(name), written_beside(self._path(name)) as place:
            place.write_bytes(data)

    def delete(self, name: str) -> None:
        """See `Store.delete`; folders that are empty then are removed too, up to the store's own."""
        with self._told(name):
            path = self._path(name)
            path.unlink(missing_ok=True)
            _remove_unfinished(path)
            for folder in path.parents:
                if folder == self.root or not folder.is_relative_to(self.root):
                    break
                if not folder.is_dir() or any(folder.iterdir()):
                    break
                folder.rmdir()

    def _path(self, name: str) -> Path:
        return self.root / checked_name(name, where=self.url)

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise PolyticketError(f"no such file: {error.filename}", where=url_of(self, name)) from error
        except OSError as error:
            raise PolyticketError(f"{error.strerror or error}: {error.filename}", where=url_of(self, name)) from error


def _unfinished(path: Path) -> bool:
    return any(part.startswith(".") and part.endswith(".part") for part in path.parts)


def _remove_unfinished(path: Path) -> None:
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        remove(left)
