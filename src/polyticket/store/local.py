"""A store in a local directory."""

import glob
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tenacity import Retrying, retry_if_exception, stop_after_attempt

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, remove, written_beside
from polyticket.store.base import URL_FORMS, Stat, checked_name, file_stat, url_of


def open_rest(rest: str, *, deadline: float) -> "LocalStore":  # noqa: ARG001 -- a disk answers at once
    """Open the store of a ``file://`` URL from what follows the slashes; ``~`` is the home directory."""
    where = repr(f"file://{rest}")
    if not rest:
        raise PolyticketError("no directory is named", where=where, expected=URL_FORMS)
    if not rest.isprintable():
        raise PolyticketError("a character that cannot be printed", where=where, expected=URL_FORMS)
    path = os.path.expanduser(rest.removeprefix("localhost") if rest.startswith("localhost/") else rest)
    if path.startswith("~"):
        what = f"no home directory is known for {path.partition('/')[0]}"
        raise PolyticketError(what, where=where, expected=f"an absolute path, or ./{path} for a directory of that name")
    return LocalStore(path)


class LocalStore:
    """A directory as a `Store`. One process writes a name at a time; others may write and delete other names.

    Args:
        directory: The directory; the first `put` or `write` creates it.
    """

    def __init__(self, directory: str) -> None:
        self.url = f"file://{directory.rstrip('/') or '/'}"
        self.root = Path(directory).resolve()

    def names(self, prefix: str = "") -> list[str]:
        """See `Store.names`; what an interrupted `put` left is not shown."""
        base = self.root / prefix.rpartition("/")[0]
        if ".." in prefix.split("/"):
            raise PolyticketError(f"bad prefix {prefix!r}", where=self.url, expected="a prefix without '..'")
        with self._told(prefix):
            files = (Path(folder, name) for folder, _, names in os.walk(base, onerror=_unless_gone) for name in names)
            found = [path.relative_to(self.root) for path in files if path.is_file()]
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
            _write(path, lambda place: shutil.copyfile(local_path, place))
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
        with self._told(name):
            _write(self._path(name), lambda place: place.write_bytes(data))

    def delete(self, name: str) -> None:
        """See `Store.delete`; directories that become empty are removed too, up to the root of the store."""
        with self._told(name):
            path = self._path(name)
            path.unlink(missing_ok=True)
            _remove_unfinished(path)
            for folder in path.parents:
                if folder == self.root or not folder.is_relative_to(self.root):
                    break
                try:
                    folder.rmdir()
                except OSError:  # it holds something, or somebody else has removed it
                    break

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


def _write(path: Path, fill: Callable[[Path], object]) -> None:
    """Write a file; a parent directory that another process removes as empty is created again."""
    raced = (FileNotFoundError, FileExistsError)  # the latter: it was there for mkdir, and no more for a second look
    lost = retry_if_exception(lambda error: isinstance(error, raced) and _leads_to(error.filename, path))
    for attempt in Retrying(retry=lost, stop=stop_after_attempt(20), reraise=True):
        with attempt, written_beside(path) as place:
            fill(place)


def _leads_to(missing: str, path: Path) -> bool:
    return path.is_relative_to(missing) or Path(missing).is_relative_to(path.parent)


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _unfinished(path: Path) -> bool:
    return any(part.startswith(".") and part.endswith(".part") for part in path.parts)


def _remove_unfinished(path: Path) -> None:
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        remove(left)
