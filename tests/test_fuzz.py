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
