"""Damaged and hostile files end in one line: a few at random of each kind, and those that once did not."""

import subprocess
import sys

import pytest

from polyticket.core.errors import PolyticketError
from tests.fuzz.readers import READERS

EXAMPLES = 10
DEEP_LIST = b"[" * 3000 + b"]" * 3000
FOUND = [
    ("JSON", DEEP_LIST),
    ("configuration", DEEP_LIST),
    ("configuration", b"seed: 2001-99-99"),
    ("losses", b"step,masked_lm_loss,next_sentence_loss,total_loss,learning_rate\nstep,1,1,1,1\n"),
    ("losses", b"step,masked_lm_loss,next_sentence_loss,total_loss,learning_rate\n1,1,1,1,\n"),
    ("losses", b"step,a\rb\n1,2\n\0,"),
]

GREEDY_INDEX = bytes.fromhex(
    "00000608011a020801001813626572742f706f6f6c65722f64656e73652f6b65726e656c080112081202080412020804"
    "284035676aa2be000b0d676c6f62616c5f73746570080912002040280835b099490e000000000100000000e0b652cd00"
    "0000000100000000c0f2a1b000010268005a000000000100000000ededb0a4c200000000000000000000000000000000"
    "0000000000000000000000000000000057fb808b247547db"
)
"""An index of a TensorFlow checkpoint that asks for more memory than there is."""
READ_LIMITED = """
import sys
from polyticket.core.errors import PolyticketError
from polyticket.model.tf_checkpoint import read_checkpoint
from tests.fuzz.__main__ import limit_memory

limit_memory()
try:
    read_checkpoint(sys.argv[1])
except PolyticketError as error:
    print(error)
"""


def test_damaged_files_end_in_a_value_or_in_one_line():
    """In a process of its own: its memory is limited, and what it opens is watched."""
    command = [sys.executable, "-m", "tests.fuzz", "--examples", str(EXAMPLES)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" files, ") == len(READERS), done.stdout


@pytest.mark.parametrize(("name", "data"), FOUND)
def test_files_that_once_ended_otherwise(name, data, tmp_path):
    reader = next(one for one in READERS if one.name == name)
    path = reader.make(tmp_path)
    path.write_bytes(data)
    with pytest.raises(PolyticketError):
        reader.read(path)


def test_a_checkpoint_that_asks_for_too_much_memory_ends_in_one_line(tmp_path):
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "model.ckpt"\n', encoding="utf-8")
    (tmp_path / "model.ckpt.index").write_bytes(GREEDY_INDEX)
    (tmp_path / "model.ckpt.data-00000-of-00001").write_bytes(bytes(100))
    command = [sys.executable, "-c", READ_LIMITED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == f"{tmp_path}: no readable TensorFlow checkpoint: std::bad_alloc\n", done.stderr
