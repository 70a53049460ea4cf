import subprocess
import sys

import numpy as np
import pytest

from polyticket import __version__
from polyticket.cli import main
from polyticket.tickets.ticket import Ticket, write_ticket


def test_the_installed_command_tells_its_version_without_heavy_imports():
    code = "import sys; from polyticket.cli import main\ntry: main(['--version'])\nexcept SystemExit: pass\n"
    code += "print({'torch', 'tensorflow', 'numpy', 'transformers'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines() == [f"polyticket {__version__}", "set()"]


def test_languages_are_listed_with_their_rows(capsys):
    assert main(["languages", "--tsv"]) == 0
    head, *lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert head == ["row", "code", "language", "scripts", "direction", "splitter", "rules", "own name"]
    assert lines[4] == ["4", "fr", "French", "Latin", "ltr", "sentencex", "fr", "français"]
    assert lines[10] == ["10", "ja", "Japanese", "Han, Hiragana, Katakana", "ltr", "sentencex", "ja", "日本語"]
    assert lines[37] == ["37", "azb", "South Azerbaijani", "Arabic", "rtl", "sentencex", "en", "تۆرکجه"]
    assert [line[4:7] for line in lines if line[1] == "th"] == [["ltr", "spaces", "-"]]
    assert [line[0] for line in lines] == [str(row) for row in range(103)]


def test_languages_are_listed_in_columns(capsys):
    assert main(["languages"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 103
    (swahili,) = [line for line in lines if " sw " in line]
    cells = {"code": "sw ", "language": "Swahili ", "scripts": "Latin ", "rules": "en ", "own name": "Kiswahili"}
    for column, cell in cells.items():
        start = head.index(column)
        assert swahili[start : start + len(cell)] == cell
        assert {line[start - 1] for line in lines} == {" "}


def test_a_ticket_is_shown(tmp_path, capsys):
    masks = {"site": np.array([[True, False, True, True], [False, False, True, False]])}
    write_ticket(Ticket(("en", "fr"), masks, {"remain_ratio": 0.5}), tmp_path / "t.safetensors")
    assert main(["ticket", "show", str(tmp_path / "t.safetensors")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        '{"remain_ratio": 0.5}',
        "language\tdensity",
        "en\t0.7500",
        "fr\t0.2500",
    ]


@pytest.mark.parametrize("content", [None, b"", b"not a ticket at all"])
def test_a_file_that_is_no_ticket_ends_in_one_line(tmp_path, capsys, content):
    path = tmp_path / "t.safetensors"
    if content is not None:
        path.write_bytes(content)
    assert main(["ticket", "show", str(path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"polyticket: error: {path}: cannot be read as a ticket")
