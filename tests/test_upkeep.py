import pytest

from polyticket.cli import main
from polyticket.store.base import open_store
from polyticket.store.directories import upload_directory

RUN, OTHER = "a" * 16, "b" * 16
STEP = f"pretraining/phase_1/run-{RUN}-{OTHER}/step-000000100"


@pytest.fixture
def stored(tmp_path):
    """The path of a store with a complete checkpoint, one whose upload was killed, and a stranger's file."""
    (tmp_path / "checkpoint/deep").mkdir(parents=True)
    (tmp_path / "checkpoint/deep/model.bin").write_bytes(b"123456789")
    (tmp_path / "checkpoint/config.json").write_bytes(b"{}")
    store = open_store(str(tmp_path / "store"))
    upload_directory(store, tmp_path / "checkpoint", STEP)
    store.write(f"initial-{RUN}-{OTHER}/model.bin", b"half")
    store.write("photos/holiday.jpg", b"jpg")
    return tmp_path / "store"


def test_a_store_is_listed(stored, capsys):
    assert main(["store", "ls", str(stored)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"incomplete\t1\t-\tinitial-{RUN}-{OTHER}",
        f"complete\t2\t11\t{STEP}",
    ]
    assert main(["store", "ls", str(stored / STEP)]) == 0
    assert capsys.readouterr().out == "complete\t2\t11\t.\n"
    assert main(["store", "ls", str(stored / "none")]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"polyticket: file://{stored}/none: nothing is there\n")


def test_a_store_is_verified(stored, capsys):
    assert main(["store", "verify", str(stored)]) == 0
    assert capsys.readouterr().out == f"{STEP}: sound\n"
    (stored / STEP / "deep/model.bin").write_bytes(b"12345678X")
    (stored / STEP / "config.json").unlink()
    assert main(["store", "verify", f"file://{stored}"]) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines()[0] == f"{STEP}/config.json: missing"
    assert printed.out.splitlines()[1].startswith(f"{STEP}/deep/model.bin: crc32c ")
    assert printed.err == f"polyticket: error: file://{stored}: 1 of 1 directories are damaged\n"
    (stored / STEP / "deep/model.bin").write_bytes(b"")
    assert main(["store", "verify", str(stored)]) == 1
    assert f"{STEP}/deep/model.bin: 0 bytes; expected 9" in capsys.readouterr().out
    assert main(["store", "verify", str(stored / "photos")]) == 1
    assert capsys.readouterr().err.endswith("photos: no complete directory\n")


def test_a_directory_is_removed_by_its_manifest_and_nothing_else(stored, capsys):
    (stored / STEP / "notes.txt").write_text("of a stranger")
    names = open_store(str(stored)).names()
    assert main(["store", "rm", str(stored / STEP)]) == 0
    listed = ["manifest.json", "config.json", "deep/model.bin"]
    assert capsys.readouterr().out.splitlines() == [f"would remove {name}" for name in listed]
    assert open_store(str(stored)).names() == names
    assert main(["store", "rm", "--yes", str(stored / STEP)]) == 0
    assert capsys.readouterr().out.splitlines() == [f"removed {name}" for name in listed]
    gone = {f"{STEP}/{name}" for name in listed}
    assert open_store(str(stored)).names() == [name for name in names if name not in gone]


def test_what_an_upload_left_that_did_not_end_is_removed_only_when_asked_for(stored, capsys):
    left = str(stored / f"initial-{RUN}-{OTHER}")
    assert main(["store", "rm", "--yes", left]) == 1
    assert ": not a directory of polyticket: no manifest.json; expected one that" in capsys.readouterr().err
    assert main(["store", "rm", "--yes", "--incomplete", left]) == 0
    assert open_store(left).names() == []


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("", f": holds another directory, {STEP}; expected one directory"),
        ("pretraining", ": holds another directory, "),
        ("photos", ": not a directory of polyticket: no manifest.json; expected"),
        ("nowhere", ": nothing is there; expected a directory of `polyticket store ls`"),
    ],
)
def test_what_is_not_one_directory_of_a_run_is_not_removed(stored, capsys, place, told):
    names = open_store(str(stored)).names()
    assert main(["store", "rm", "--yes", "--incomplete", str(stored / place)]) == 1
    assert told in capsys.readouterr().err
    assert open_store(str(stored)).names() == names
