"""CSV tables: the same bytes for the same facts, and one line for what is wrong."""

import math

import pytest

from polyticket.core.errors import PolyticketError
from polyticket.core.tables import read_cells, read_rows, write_cells, write_rows


def test_rows_are_written_and_read_back(tmp_path):
    path = tmp_path / "new" / "a.csv"
    rows = [{"name": "a, b", "share": 0.25, "count": 3, "x": 1}, {"name": "c", "share": None, "count": 4, "x": 2}]
    write_rows(path, ["name", "share", "count"], rows)
    assert path.read_text() == 'name,share,count\n"a, b",0.250000,3\nc,,4\n'
    first, second = read_rows(path, ["name"], ["share", "count"])
    assert first == {"name": "a, b", "share": 0.25, "count": 3.0}
    assert math.isnan(second["share"])


@pytest.mark.parametrize(
    ("value", "digits", "cell"),
    [
        (-1e-9, 6, "0.000000"),
        (-0.5, 1, "-0.5"),
        (float("nan"), 6, ""),
        (1 / 3, None, repr(1 / 3)),
        (10**20, 2, str(10**20)),
    ],
)
def test_a_cell_is_written_with_its_digits(tmp_path, value, digits, cell):
    write_rows(tmp_path / "a.csv", ["a", "b"], [{"a": value, "b": 0}], digits=digits)
    assert read_cells(tmp_path / "a.csv")[1] == [cell, "0"]


def test_empty_lines_and_byte_order_marks_are_no_cells(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfa,b\r\n\r\n1,2\r\n")
    assert read_cells(tmp_path / "a.csv") == [["a", "b"], ["1", "2"]]
    write_cells(tmp_path / "b.csv", [["a", 1], ["é", 2.5]])
    assert (tmp_path / "b.csv").read_bytes() == "a,1\né,2.5\n".encode()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (None, "a.csv: no such file"),
        (b"\xff", "a.csv: not UTF-8 at byte 0; expected a CSV file in UTF-8"),
        (b"", "a.csv: no column a; expected a, b"),
        (b"a,c\n", "a.csv: no column b; expected a, b"),
        (b"a,b\n\n1\n", "a.csv:3: 1 columns; expected 2"),
        (b"a,b\n1,x\n", "a.csv:2: b is 'x'; expected a number"),
    ],
)
def test_a_bad_table_ends_in_one_line(tmp_path, text, line):
    path = tmp_path / "a.csv"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(PolyticketError) as caught:
        read_rows(path, ["a", "b"], ["b"])
    assert str(caught.value) == f"{tmp_path}/{line}"
