"""`import polyticket as pt`: the examples of docs/python.md run, and nothing heavy is imported before it is used."""

import doctest
import subprocess
import sys
from pathlib import Path

import polyticket

PAGE = Path(__file__).resolve().parents[1] / "docs/python.md"


def test_the_examples_of_the_page_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testfile(str(PAGE), module_relative=False)
    assert failed == 0
    assert tried > 20


def test_every_public_name_is_shown_on_the_page():
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in polyticket.__all__ if name not in text] == []
    assert all(getattr(polyticket, name).__module__.startswith("polyticket.") for name in polyticket.__all__)
    assert set(polyticket.__all__) <= {*dir(polyticket)}


def test_the_import_is_light():
    heavy = "{'numpy', 'torch', 'tensorflow', 'transformers'} & {*sys.modules}"
    command = [sys.executable, "-c", f"import polyticket, sys; print({heavy} or 'light')"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "light\n"
