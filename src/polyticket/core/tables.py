"""Tables as CSV, with the same bytes for the same rows."""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from polyticket.core.errors import PolyticketError
from polyticket.core.files import write_text
from polyticket.core.text import Pathlike, read_text

Row = dict[str, Any]
DIGITS = 6


def write_rows(
    path: Pathlike, columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, digits: int | None = DIGITS
) -> None:
    """Write rows as CSV below a line of column names.

    Args:
        path: The file.
        columns: Which values of each row are written, in order.
        rows: Column name to value; None and NaN are unknown and become empty cells.
        digits: Decimals of fractions; None writes as many as each fraction needs.
    """
    write_cells(path, [columns, *([_cell(row[column], digits) for column in columns] for row in rows)])


def write_cells(path: Pathlike, lines: Iterable[Sequence[object]]) -> None:
    """Write lines of cells as CSV, complete or absent; cells are written as `str` says them."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    write_text(path, text.getvalue())


def _cell(value: Any, digits: int | None) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if not isinstance(value, float) or digits is None:
        return str(value)
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def read_cells(path: Pathlike) -> list[list[str]]:
    """Read the lines of a CSV file as cells; empty lines are left out.

    Raises:
        PolyticketError: The file is missing, cannot be read, or is not UTF-8.
    """
    return [cells for _, cells in _numbered_cells(path)]


def _numbered_cells(path: Pathlike) -> list[tuple[int, list[str]]]:
    lines = csv.reader(io.StringIO(read_text(path, expected="a CSV file in UTF-8"), newline=""))
    try:
        return [(lines.line_num, cells) for cells in lines if cells]
    except csv.Error as error:
        raise PolyticketError(f"not CSV: {error}", where=f"{path}:{lines.line_num}") from None


def read_rows(path: Pathlike, columns: Sequence[str] = (), numbers: Sequence[str] = ()) -> list[Row]:
    """Read the rows of a CSV file below its line of column names.

    Args:
        path: The file.
        columns: What must be there; further columns are kept.
        numbers: The columns that hold numbers, read as float; NaN where empty. The others are text.

    Raises:
        PolyticketError: The file is missing or not UTF-8, a column is missing, a row has another width, or a number is
            none; names file and line.
    """
    (_, names), *lines = _numbered_cells(path) or [(1, [])]
    if missing := [column for column in columns if column not in names]:
        raise PolyticketError(f"no column {missing[0]}", where=path, expected=", ".join(columns))
    rows = []
    for number, cells in lines:
        if len(cells) != len(names):
            raise PolyticketError(f"{len(cells)} columns", where=f"{path}:{number}", expected=f"{len(names)}")
        row: Row = dict(zip(names, cells, strict=True))
        rows.append(row | {column: _number(row[column], column, f"{path}:{number}") for column in numbers})
    return rows


def _number(text: str, column: str, where: str) -> float:
    try:
        return float(text) if text else math.nan
    except ValueError:
        raise PolyticketError(f"{column} is {text!r}", where=where, expected="a number") from None
