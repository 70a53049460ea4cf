"""Files are complete or absent, whatever ends the process that writes them."""

import errno
import hashlib
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError
from safetensors.numpy import save_file

from polyticket.core.errors import PolyticketError
from polyticket.core.files import (
    folder_sha256,
    read_json,
    remove,
    remove_leftovers,
    scratch_folder,
    sha256,
    write_json,
    write_text,
    written_beside,
)
from polyticket.core.logs import logged

KILLED = """
import os, signal, sys
from pathlib import Path
from polyticket.core.files import written_beside
with written_beside(sys.argv[1], folder=sys.argv[2] == "folder") as place:
    inside = place / "part" if place.is_dir() else place
    inside.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def tree(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    with written_beside(path) as place:
        place.write_text("new")
        assert not path.exists()
        assert place.parent.parent == path.parent  # the same file system, so that renaming is one step
    assert tree(tmp_path) == {"deep/a.txt": "new"}


def test_a_file_takes_no_directorys_place(tmp_path):
    with pytest.raises(IsADirectoryError, match=re.escape(str(tmp_path))), written_beside(tmp_path):
        pass


def test_a_file_takes_no_pipes_place_but_a_links(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with (
        pytest.raises(PolyticketError, match=f"^{tmp_path}/pipe: a device or a pipe"),
        written_beside(tmp_path / "pipe"),
    ):
        pass
    assert (tmp_path / "pipe").is_fifo()
    (tmp_path / "there").write_text("old")
    (tmp_path / "link").symlink_to("there")
    with written_beside(tmp_path / "link") as place:
        place.write_text("new")
    assert ((tmp_path / "link").is_symlink(), (tmp_path / "there").read_text()) == (False, "old")


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "folder"
    (path / "old").mkdir(parents=True)
    (path / "old" / "a").write_text("1")
    with written_beside(path, folder=True) as place:
        (place / "b").write_text("2")
        assert tree(path) == {"old/a": "1"}
    assert tree(tmp_path) == {"folder/b": "2"}


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_failure_leaves_what_stood_there_and_nothing_else(tmp_path, kind):
    path = tmp_path / "target"
    with written_beside(path, folder=kind == "folder") as place:
        (place / "a" if kind == "folder" else place).write_text("old")
    before = tree(tmp_path)

    def fail() -> None:
        with written_beside(path, folder=kind == "folder") as place:
            (place / "b" if kind == "folder" else place).write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert tree(tmp_path) == before
    assert [p.name for p in tmp_path.iterdir()] == ["target"]


def test_a_block_that_writes_nothing_fails(tmp_path):
    with pytest.raises(FileNotFoundError), written_beside(tmp_path / "a"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("before", ["absent", "old"])
def test_a_killed_process_leaves_the_target_absent_or_old(tmp_path, kind, before):
    path = tmp_path / "target"
    if before == "old" and kind == "folder":
        path.mkdir()
        (path / "a").write_text("old")
    elif before == "old":
        path.write_text("old")
    code = subprocess.run([sys.executable, "-c", KILLED, path, kind]).returncode
    assert code == -signal.SIGKILL
    assert path.exists() == (before == "old")
    if before == "old":
        assert (tree(path) if kind == "folder" else path.read_text()) == ({"a": "old"} if kind == "folder" else "old")
    with written_beside(path, folder=kind == "folder") as place:
        (place / "a" if kind == "folder" else place).write_text("new")
    assert (tree(path) if kind == "folder" else path.read_text()) == ({"a": "new"} if kind == "folder" else "new")
    assert [p.name for p in tmp_path.iterdir()] == ["target"]


SCRATCH_KILLED = """
import os, signal
from polyticket.core.files import scratch_folder
with scratch_folder() as scratch:
    (scratch / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_next_job_removes_the_scratch_folders_of_killed_ones_and_no_others(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    for _ in range(2):
        assert subprocess.run([sys.executable, "-c", SCRATCH_KILLED]).returncode == -signal.SIGKILL
    assert [path.read_text() for path in tmp_path.glob("*/half")] == ["half"]  # the second has removed the first's
    others = ["polyticket-x", "polyticket.1-1@other.abc.part", "polyticket.1-1@.part", "else.999999999-1@x.abc.part"]
    for name in others:
        (tmp_path / name).mkdir()
    with scratch_folder() as own:
        (own / "kept").touch()
        with logged(str(tmp_path / "log")):
            pass
        assert (own / "kept").is_file()
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([own.name, "log", *others])
    assert not own.exists()


def test_a_later_process_of_the_same_number_owns_nothing(tmp_path):
    with scratch_folder(tmp_path) as own:
        number, rest = own.name.split(".")[1].split("-")
        started, _, host = rest.partition("@")
        (tmp_path / own.name.replace(f"-{started}@", f"-{int(started) - 1}@")).mkdir()
        remove_leftovers(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == [own.name]
        assert (int(number), host) == (os.getpid(), socket.gethostname().partition(".")[0])


@pytest.mark.parametrize("name", ["a" * 255, "é" * 127])
def test_long_names_leave_room_for_what_is_written_beside(tmp_path, name):
    assert subprocess.run([sys.executable, "-c", KILLED, tmp_path / name, "file"]).returncode == -signal.SIGKILL
    write_text(tmp_path / name, "new")
    assert tree(tmp_path) == {name: "new"}


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "a"
    with written_beside(path) as first, written_beside(path) as second:
        first.write_text("first")
        second.write_text("second")
    assert tree(tmp_path) == {"a": "first"}


@pytest.fixture(params=[0o002, 0o022, 0o027, 0o077], ids="{:03o}".format)
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {path.relative_to(folder).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}


def test_files_and_folders_have_the_umasks_mode_whoever_writes_them(tmp_path, umask):
    source = tmp_path / "source"
    source.write_text("x")
    source.chmod(0o400)
    with written_beside(tmp_path / "made" / "folder", folder=True) as place:
        save_file({"a": np.ones(2)}, place / "private.safetensors")
        (place / "deep").mkdir(0o700)
        shutil.copy(source, place / "deep" / "copied")  # with its mode
        (place / "deep" / "program").write_text("")
        (place / "deep" / "program").chmod(0o755)
        (place / "link").symlink_to(source)
    with written_beside(tmp_path / "made" / "file.safetensors") as place:
        save_file({"a": np.ones(2)}, place)
    file, folder = 0o666 & ~umask, 0o777 & ~umask
    within = {"private.safetensors": file, "deep": folder, "deep/copied": file, "deep/program": file, "link": 0o400}
    wanted = {"folder": folder, "file.safetensors": file} | {f"folder/{name}": mode for name, mode in within.items()}
    assert modes(tmp_path / "made") == wanted
    assert modes(tmp_path)["source"] == 0o400
    assert modes(tmp_path)["made"] == folder


def test_a_folders_group_is_passed_on(tmp_path):
    tmp_path.chmod(0o2775)
    with written_beside(tmp_path / "folder", folder=True) as place:
        (place / "deep").mkdir(0o700)
    assert {mode & stat.S_ISGID for mode in modes(tmp_path).values()} == {stat.S_ISGID}


def test_remove_takes_files_folders_and_links_but_not_what_links_point_to(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "a").write_text("a")
    (tmp_path / "link").symlink_to("kept")
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "file").write_text("x")
    for name in ("link", "folder", "file", "absent"):
        remove(tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]
    assert tree(tmp_path) == {"kept/a": "a"}


def test_json_is_readable_and_exact(tmp_path):
    write_json(tmp_path / "a.json", {"b": [1, 0.1, None], "a": "کتاب"})
    text = '{\n  "b": [\n    1,\n    0.1,\n    null\n  ],\n  "a": "کتاب"\n}\n'
    assert (tmp_path / "a.json").read_bytes() == text.encode()
    assert read_json(tmp_path / "a.json") == {"b": [1, 0.1, None], "a": "کتاب"}


def test_json_with_nan_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
def test_a_full_disk_ends_in_one_line_that_names_what_was_written(tmp_path):
    def write() -> None:
        with written_beside(tmp_path / "a.txt"), open("/dev/full", "wb", buffering=0) as stream:
            stream.write(b"a")

    with pytest.raises(PolyticketError, match=r"a\.txt: No space left on device; expected more space"):
        write()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error",
    [
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        OSError("100000 requested and 8176 written"),
        OSError(errno.EDQUOT, "of the system"),
    ],
    ids=["safetensors", "numpy", "quota"],
)
def test_a_full_disk_is_known_by_what_libraries_say_of_it(tmp_path, error):
    def write() -> None:
        with written_beside(tmp_path / "a.bin"):
            raise error

    with pytest.raises(PolyticketError, match=r"a\.bin: (No space left on device|Disk quota exceeded); expected more"):
        write()


def test_json_that_cannot_be_read_is_named_with_its_line(tmp_path):
    with pytest.raises(PolyticketError, match=r"absent\.json: no such file$"):
        read_json(tmp_path / "absent.json")
    write_text(tmp_path / "bad.json", '{\n "a": }\n')
    with pytest.raises(PolyticketError, match=r"bad\.json:2:7: not JSON: Expecting value$"):
        read_json(tmp_path / "bad.json")


def test_digests_of_files_and_folders(tmp_path):
    write_text(tmp_path / "folder" / "b" / "y", "")
    write_text(tmp_path / "folder" / "a", "abc")
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, example B.1
    assert sha256(tmp_path / "folder" / "a") == abc
    empty = hashlib.sha256(b"").hexdigest()
    whole = hashlib.sha256(f"{abc}  a\n{empty}  b/y\n".encode()).hexdigest()
    assert folder_sha256(tmp_path / "folder") == whole
    (tmp_path / "folder" / "a").rename(tmp_path / "folder" / "c")
    assert folder_sha256(tmp_path / "folder") != whole
