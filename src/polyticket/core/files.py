"""Files that are complete or absent: each is written beside its path and then renamed."""

import errno
import hashlib
import json
import os
import re
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from polyticket.core.errors import PolyticketError
from polyticket.core.processes import is_alive, start_time
from polyticket.core.text import Pathlike as Pathlike
from polyticket.core.text import parsed_json, read_text


def remove(path: Pathlike) -> None:
    """Remove a file, or a directory with its contents, if it exists."""
    path = Path(path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def written_beside(path: Pathlike, *, folder: bool = False) -> Iterator[Path]:
    """Yield a new path beside `path`, and rename it to `path` if the block ends without an error.

    Args:
        path: The path of the finished file or directory. An existing one is replaced, as is a link.
        folder: Create a directory. A file does not exist until the block writes it.

    Yields:
        The path to write to. It is removed if the block raises, and so is what killed processes of this host left.

    All written files and directories get the mode of new ones there, by the umask and by what the parent passes on:
    some libraries write files that only their owner can read.

    Raises:
        PolyticketError: The disk is full, or a device or a pipe stands there.
        IsADirectoryError: A directory stands where a file is to be written.
    """
    path = Path(path)
    if not folder and path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not (path.is_dir() or path.is_file()):
        raise PolyticketError("a device or a pipe", where=path, expected="the path of a file that is written")
    with on_disk_of(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _written_beside(path, folder) as place:
            yield place


@contextmanager
def on_disk_of(path: Path) -> Iterator[None]:
    """Let the error of a full disk name what was being written; the system's names no path.

    Raises:
        PolyticketError: The disk is full.
    """
    try:
        yield
    except PolyticketError:
        raise
    except Exception as error:
        if (what := _full_disk(error)) is None:
            raise
        raise PolyticketError(what, where=path, expected="more space, and the same command again") from error


def _full_disk(error: Exception) -> str | None:
    """What the system calls a full disk, if that is the error; libraries pass on its text, and NumPy not even that."""
    if isinstance(error, OSError) and error.errno in FULL:
        return os.strerror(error.errno)
    if re.search(r"\d requested and \d+ written", str(error)):
        return os.strerror(errno.ENOSPC)
    return next((text for text in map(os.strerror, FULL) if text in str(error)), None)


@contextmanager
def _written_beside(path: Path, folder: bool) -> Iterator[Path]:
    with scratch_folder(path.parent, f".{path.name}") as scratch:
        place = scratch / path.name
        if folder:
            place.mkdir()
        yield place
        _open_up(place, scratch)
        if folder:
            remove(path)
        place.replace(path)


def require_apart(out: Pathlike, *sources: Pathlike) -> None:
    """Refuse to write a file in the place of what it is made of.

    Args:
        out: The file to write.
        sources: Files and folders that are read, or names of something else.

    Raises:
        PolyticketError: It is one of them, or a file within one.
    """
    place = Path(out).resolve()
    for source in sources:
        if os.path.exists(source) and place.exists() and place.is_relative_to(Path(source).resolve()):
            raise PolyticketError(f"would be replaced, and is read from {source}", where=out, expected="another file")


def require_replaceable(folder: Pathlike, known: tuple[str, ...], mark: str, *sources: Pathlike | None) -> None:
    """Refuse to write a folder where more than a former one of its kind would go.

    Args:
        folder: Where it is to stand.
        known: How the names of files begin that such a folder holds.
        mark: A file that every such folder holds.
        sources: What it is made of; None counts for nothing.

    Raises:
        PolyticketError: There is a file, a link, something of another name, or what the folder is made of.
    """
    place = Path(folder)
    expected = "a new or an empty directory, or one that the same command wrote"
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise PolyticketError("not a directory", where=place, expected=expected)
    for source in (*sources, Path.cwd()):
        if source is not None and os.path.exists(source) and Path(source).resolve().is_relative_to(place.resolve()):
            raise PolyticketError(f"would be removed, and {source} with it", where=place, expected=expected)
    stands = sorted(place.iterdir()) if place.is_dir() else []
    known = (*known, ".snakemake_timestamp")
    foreign = [path.name for path in stands if path.is_dir() or not path.name.startswith(known)]
    if not foreign and not (place / mark).is_file():
        foreign = [path.name for path in stands if path.name.startswith(known[:-1])]
    if foreign:
        raise PolyticketError(f"would be removed, and {foreign[0]} with it", where=place, expected=expected)


FULL = (errno.ENOSPC, errno.EDQUOT)
SCRATCH = "polyticket"
"""How the names of scratch folders begin in the directory for temporary files."""


@contextmanager
def scratch_folder(parent: Pathlike | None = None, name: str = SCRATCH) -> Iterator[Path]:
    """Yield a new directory, which only its owner can read, and remove it when the block ends.

    Its name tells the process that owns it. What killed processes of this host left under the same name is removed
    first, so that a kill leaves it only until the next use; every job's start removes it from the default place too.

    Args:
        parent: The directory that it is made in; None for the directory for temporary files.
        name: How its name begins.
    """
    parent = Path(parent or tempfile.gettempdir())
    remove_leftovers(parent, name)
    process = os.getpid()
    prefix = f"{_short(name)}.{process}-{start_time(process)}@{socket.gethostname()}."
    scratch = Path(tempfile.mkdtemp(prefix=prefix, suffix=".part", dir=parent))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def remove_leftovers(parent: Pathlike | None = None, name: str | None = SCRATCH) -> None:
    """Remove the scratch folders of that name, or of all names, whose processes, of this host, have ended."""
    host = re.escape(socket.gethostname())
    begin = ".*" if name is None else re.escape(_short(name))
    scratch = re.compile(rf"{begin}\.(\d+)-(\d+)@{host}\.[a-z0-9_]+\.part")
    for left in os.listdir(parent or tempfile.gettempdir()):
        owner = scratch.fullmatch(left)
        if owner and not is_alive(int(owner[1]), int(owner[2])):
            shutil.rmtree(Path(parent or tempfile.gettempdir(), left), ignore_errors=True)


def _short(name: str) -> str:
    """A name, or its beginning and a digest if it is so long that a longer one may not be a file's name."""
    data = os.fsencode(name)
    return name if len(data) <= 120 else name[:25] + hashlib.sha256(data).hexdigest()[:16]


def _open_up(place: Path, scratch: Path) -> None:
    """Give a file, or a directory and all below it, the modes of new files and directories in `scratch`.

    New ones are created to see their modes: a process can read its umask only by changing it, for all its threads.
    """
    new_file, new_folder = scratch / ".file", scratch / ".folder"
    new_file.touch()
    new_folder.mkdir()
    modes = {False: _mode(new_file), True: _mode(new_folder)}
    for path in [place, *place.rglob("*")]:
        if not path.is_symlink() and _mode(path) != modes[path.is_dir()]:
            path.chmod(modes[path.is_dir()])


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def write_text(path: Pathlike, text: str) -> None:
    """Write UTF-8 text in one step: complete or absent."""
    with written_beside(path) as place:
        place.write_text(text, encoding="utf-8")


def write_json(path: Pathlike, value: Any) -> None:
    """Write a value as readable JSON (UTF-8, two spaces, final newline), complete or absent."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def read_json(path: Pathlike) -> Any:
    """Read a JSON file, with or without a byte order mark.

    Raises:
        PolyticketError: The file is missing, cannot be read or is not JSON in UTF-8; names file, line and column.
    """
    return parsed_json(read_text(path, expected="JSON in UTF-8"), Path(path))


def read_object(path: Pathlike, what: str) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Args:
        path: The file.
        what: What it should be, for errors: ``the statistics of records``.

    Raises:
        PolyticketError: See `read_json`; or it holds something else.
    """
    found = read_json(path)
    if not isinstance(found, dict):
        raise PolyticketError("no JSON object", where=path, expected=what)
    return found


def sha256(path: Pathlike) -> str:
    """The SHA-256 digest of a file, as 64 hexadecimal digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def folder_sha256(folder: Pathlike) -> str:
    """One SHA-256 digest of a directory: of the sorted relative names and the digests of its `visible_files`."""
    lines = [f"{sha256(path)}  {name}\n" for name, path in visible_files(folder)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def visible_files(folder: Pathlike) -> list[tuple[str, Path]]:
    """Relative name (with ``/``) and path of all files below a directory, sorted by name.

    Hidden files are left out: tools such as Snakemake write them.
    """
    found = ((path.relative_to(folder), path) for path in Path(folder).rglob("*") if path.is_file())
    return sorted((name.as_posix(), path) for name, path in found if not any(p.startswith(".") for p in name.parts))
