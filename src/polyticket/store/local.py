"""A store in a local directory."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from tenacity import Retrying, retry_if_exception, stop_after_attempt

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, remove, remove_leftovers, written_beside
from polyticket.store.base import ABSENT, URL_FORMS, ConflictError, Stat, checked_name, file_stat, url_of
from polyticket.store.transfers import disk

DAY = 24 * 60 * 60


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
    """A directory as a `Store`. Others may write and delete other names at any time.

    Two processes that write one name leave the file of one of them. Whether a version is `over` is looked up just
    before the file is replaced, which no file system does in one step.

    Args:
        directory: The directory; the first `put` or `write` creates it.
    """

    def __init__(self, directory: str) -> None:
        self.url = f"file://{directory.rstrip('/') or '/'}"
        self.root = Path(directory).resolve()
        if self.root.exists() and not self.root.is_dir():
            raise PolyticketError("no directory", where=self.url, expected="a directory, which need not exist yet")

    def names(self, prefix: str = "") -> list[str]:
        """See `Store.names`; what an interrupted `put` left is not shown."""
        base = self.root / prefix.rpartition("/")[0]
        if ".." in prefix.split("/"):
            raise PolyticketError(f"bad prefix {prefix!r}", where=self.url, expected="a prefix without '..'")
        with self._told(prefix):
            files = (Path(folder, name) for folder, _, names in os.walk(base, onerror=_unless_gone) for name in names)
            found = [path.relative_to(self.root) for path in files if path.is_file()]
        return sorted(p.as_posix() for p in found if p.as_posix().startswith(prefix) and not _is_unfinished(p))

    def stat(self, name: str) -> Stat | None:
        """See `Store.stat`; the checksum is computed from the file's bytes."""
        with self._told(name):
            return _stat(self._path(name))

    def put(self, local_path: Pathlike, name: str, *, over: str | None = None) -> Stat:
        """See `Store.put`; whether the version is `over` is looked up just before."""
        return self._write(name, lambda place: shutil.copyfile(local_path, place), over)

    def get(self, name: str, local_path: Pathlike) -> None:
        """See `Store.get`."""
        with self._told(name):
            path = self._path(name)
            with disk(local_path) if path.is_file() else nullcontext(), written_beside(local_path) as place:
                shutil.copyfile(path, place)

    def read(self, name: str) -> bytes:
        """See `Store.read`."""
        with self._told(name):
            return self._path(name).read_bytes()

    def write(self, name: str, data: bytes, *, over: str | None = None) -> Stat:
        """See `Store.write`."""
        return self._write(name, lambda place: place.write_bytes(data), over)

    def delete(self, name: str, *, over: str | None = None) -> None:
        """See `Store.delete`; directories that become empty are removed too, up to the root of the store."""
        with self._told(name):
            path = self._path(name)
            if _version(path) != ABSENT:
                self._compare(path, name, over)
            path.unlink(missing_ok=True)
            for folder in path.parents:
                if folder == self.root or not folder.is_relative_to(self.root):
                    break
                try:
                    _remove_unfinished(folder)
                    folder.rmdir()
                except OSError:  # it holds something, or somebody else has removed it
                    break

    def _write(self, name: str, fill: Callable[[Path], object], over: str | None) -> Stat:
        """Write a file; a parent directory that another process removes as empty is created again."""
        with self._told(name):
            path = self._path(name)
            raced = (FileNotFoundError, FileExistsError)  # the latter: there for mkdir, and gone at a second look
            lost = retry_if_exception(lambda error: isinstance(error, raced) and _leads_to(error.filename, path))
            for attempt in Retrying(retry=lost, stop=stop_after_attempt(20), reraise=True):
                with attempt, written_beside(path) as place:
                    fill(place)
                    self._compare(path, name, over)
            return _stat(path) or Stat(-1, "")  # another process may have removed it

    def _compare(self, path: Path, name: str, over: str | None) -> None:
        if over is not None and over != _version(path):
            raise ConflictError("somebody else has changed the file meanwhile", where=url_of(self, name))

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


def _stat(path: Path) -> Stat | None:
    try:
        version = _version(path)
        found = file_stat(path)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
    return Stat(found.size, found.crc32c, version)


def _version(path: Path) -> str:
    """Every write makes a new file, which has another number or time."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    return f"{found.st_ino}-{found.st_mtime_ns}-{found.st_size}"


def _leads_to(missing: str, path: Path) -> bool:
    return path.is_relative_to(missing) or Path(missing).is_relative_to(path.parent)


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


def _is_unfinished(path: Path) -> bool:
    return any(part.startswith(".") and part.endswith(".part") for part in path.parts)


def _remove_unfinished(folder: Path) -> None:
    """Remove what killed processes of this host were writing in a directory, and those of other hosts a day ago."""
    remove_leftovers(folder, None)
    for left in folder.glob(".*.part"):
        if time.time() - max(path.stat().st_mtime for path in (left, *left.iterdir())) > DAY:
            remove(left)
