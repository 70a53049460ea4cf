"""Distances between languages from CSV files: genetic, geographic, syntactic and so on."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike

TOLERANCE = 1e-6
FORM = "a square table: first line and first column are language codes"
Matrix = NDArray[np.float64]


class Distances(NamedTuple):
    """Distances of one kind.

    Attributes:
        kind: Such as `genetic`.
        languages: The L languages.
        matrix: float64 [L, L], symmetric, zeros on the diagonal.
    """

    kind: str
    languages: tuple[str, ...]
    matrix: Matrix


def read_distances(path: Pathlike, languages: Sequence[str] | None = None, kind: str | None = None) -> Distances:
    """Read a matrix: the first line and the first column are language codes, the cells numbers from 0 up.

    Args:
        path: The CSV file.
        languages: Those wanted, in this order; None for all of the file.
        kind: What the distances are; by default the file's name without its ending.

    Raises:
        PolyticketError: The table is not square, a code is there twice or missing, a cell is no number or below zero, a
            distance of a language to itself is not zero, or the two distances of a pair differ by more than 1e-6.
    """
    names, matrix = _table(path)
    _check(names, matrix, path)
    wanted = list(names if languages is None else languages)
    if missing := [code for code in wanted if code not in names]:
        raise PolyticketError(f"no language {', '.join(missing)}", where=path, expected=f"some of {', '.join(names)}")
    rows = [names.index(code) for code in wanted]
    chosen = matrix[np.ix_(rows, rows)]
    return Distances(kind or Path(path).stem, tuple(wanted), (chosen + chosen.T) / 2)


def _table(path: Pathlike) -> tuple[list[str], Matrix]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            lines = [line for line in csv.reader(stream) if line]
    except FileNotFoundError:
        raise PolyticketError("no such file", where=path) from None
    except UnicodeDecodeError as error:
        raise PolyticketError(f"not UTF-8: {error.reason}", where=path) from None
    names = [code.strip() for code in lines[0][1:]] if lines else []
    if not names or len(set(names)) < len(names) or "" in names:
        raise PolyticketError("no head of different codes", where=f"{path}:1", expected=FORM)
    if [line[0].strip() for line in lines[1:]] != names:
        raise PolyticketError("the first column is not the first line", where=path, expected=FORM)
    matrix = np.empty((len(names),) * 2)
    for row, line in enumerate(lines[1:]):
        if len(line) != len(names) + 1:
            raise PolyticketError(f"{len(line) - 1} distances of {names[row]}", where=path, expected=f"{len(names)}")
        matrix[row] = [_number(cell, f"{path}: {names[row]}, {names[at]}") for at, cell in enumerate(line[1:])]
    return names, matrix


def _number(cell: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise PolyticketError(f"distance {cell!r}", where=where, expected="a number from 0 up")
    return value


def _check(names: Sequence[str], matrix: Matrix, path: Pathlike) -> None:
    if len(bad := np.flatnonzero(matrix.diagonal() > TOLERANCE)):
        where, value = f"{path}: {names[bad[0]]}, {names[bad[0]]}", matrix[bad[0], bad[0]]
        raise PolyticketError(f"distance {value:g}", where=where, expected="0 between a language and itself")
    if len(places := np.argwhere(np.abs(matrix - matrix.T) > TOLERANCE)):
        one, other = places[0]
        raise PolyticketError(
            f"distance {matrix[one, other]:g}",
            where=f"{path}: {names[one]}, {names[other]}",
            expected=f"{matrix[other, one]:g}, as from {names[other]} to {names[one]}",
        )
