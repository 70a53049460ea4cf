"""Tidy tables as CSV: a fact per row, the same bytes for the same facts."""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, write_text

Row = dict[str, Any]
DIGITS = 6


def write_rows(path: Pathlike, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV; fractions have six decimals, what is unknown (None, NaN) is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row[column]) for column in columns] for row in rows)
    write_text(path, text.getvalue())


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value + 0.0:.{DIGITS}f}".replace("-0.000000", "0.000000") if isinstance(value, float) else str(value)


def read_rows(path: Pathlike, columns: Sequence[str], numbers: Sequence[str] = ()) -> list[Row]:
    """Read rows of a CSV file.

    Args:
        path: The file.
        columns: What must be there; further columns are kept.
        numbers: The columns that hold numbers, read as float; NaN where empty.

    Raises:
        PolyticketError: There is no such file, a column is missing, a row has another width, or a number is none.
    """
    try:
        with open(path, encoding="utf-8", newline="") as stream:
            head, *lines = list(csv.reader(stream)) or [[]]
    except FileNotFoundError:
        raise PolyticketError("no such file", where=path) from None
    if missing := [column for column in columns if column not in head]:
        raise PolyticketError(f"no column {missing[0]}", where=path, expected=", ".join(columns))
    found = []
    for number, line in enumerate(lines, 2):
        if len(line) != len(head):
            raise PolyticketError(f"{len(line)} columns", where=f"{path}:{number}", expected=f"{len(head)}")
        row: Row = dict(zip(head, line, strict=True))
        row |= {column: _number(row[column], column, f"{path}:{number}") for column in numbers}
        found.append(row)
    return found


def _number(text: str, column: str, where: str) -> float:
    try:
        return float(text) if text else math.nan
    except ValueError:
        raise PolyticketError(f"{column} is {text!r}", where=where, expected="a number") from None
