"""Linguistic distances (genetic, geographic, …) from CSV files, compared with the similarity of masks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyticket.analysis.mantel import PERMUTATIONS, cophenetic, join_heights, mantel
from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.core.tables import Row, read_cells
from polyticket.tasks.bootstrap import holm

TOLERANCE = 1e-6
LAYOUT = "a square table: first line and first column are language codes"
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
        languages: The languages to return, in this order; None for all of the file.
        kind: The kind of the distances; by default the file's name without its ending.

    Raises:
        PolyticketError: The table is not square, a code is missing or occurs twice, a cell is no number or below zero,
            the distance of a language to itself is not zero, or the two distances of a pair differ by more than 1e-6.
    """
    names, matrix = _table(path)
    _check(names, matrix, path)
    codes = list(names if languages is None else languages)
    if missing := [code for code in codes if code not in names]:
        raise PolyticketError(f"no language {', '.join(missing)}", where=path, expected=f"some of {', '.join(names)}")
    rows = [names.index(code) for code in codes]
    chosen = matrix[np.ix_(rows, rows)]
    return Distances(kind or Path(path).stem, tuple(codes), (chosen + chosen.T) / 2)


def _table(path: Pathlike) -> tuple[list[str], Matrix]:
    lines = read_cells(path)
    names = [code.strip() for code in lines[0][1:]] if lines else []
    if not names or len(set(names)) < len(names) or "" in names:
        raise PolyticketError("no header of different codes", where=f"{path}:1", expected=LAYOUT)
    if [line[0].strip() for line in lines[1:]] != names:
        raise PolyticketError("the first column is not the first line", where=path, expected=LAYOUT)
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
        first, second = places[0]
        raise PolyticketError(
            f"distance {matrix[first, second]:g}",
            where=f"{path}: {names[first]}, {names[second]}",
            expected=f"{matrix[second, first]:g}, as from {names[second]} to {names[first]}",
        )


MANTEL_COLUMNS = (
    *("kind", "languages", "pairs", "method", "correlation", "p_greater", "p_greater_holm", "p_two_sided"),
    *("permutations", "exact"),
)
FAMILY = "genetic"


def read_all_distances(paths: Sequence[Pathlike], kinds: Sequence[str], languages: Sequence[str]) -> list[Distances]:
    """Read the distances between the given languages, a file for each kind.

    Raises:
        PolyticketError: See `read_distances`.
    """
    return [read_distances(path, languages, kind) for path, kind in zip(paths, kinds, strict=True)]


def dissimilarity(similarity: Matrix) -> Matrix:
    """1 − similarity of the tickets, with zeros on the diagonal, float64 [L, L]."""
    distances = 1 - similarity
    np.fill_diagonal(distances, 0.0)
    return distances


def mantel_rows(
    similarity: Matrix,
    kinds: Sequence[Distances],
    *,
    method: str = "pearson",
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> list[Row]:
    """The Mantel test of each kind of distance (`MANTEL_COLUMNS`).

    A positive correlation means that nearer languages have more similar tickets.

    Args:
        similarity: float64 [L, L], of the languages of the distances, in their order.
        kinds: The distances.
        method: See `mantel`.
        permutations: See `mantel`.
        seed: See `mantel`; all kinds use the same permutations.

    Returns:
        A row per kind; `p_greater_holm` is Holm-adjusted for the number of kinds.
    """
    tests = [
        mantel(dissimilarity(similarity), kind.matrix, method=method, permutations=permutations, seed=seed)
        for kind in kinds
    ]
    adjusted = holm([test.p_greater for test in tests])
    count = len(similarity)
    return [
        {"kind": kind.kind, "languages": count, "pairs": count * (count - 1) // 2, "method": method}
        | test._asdict()
        | {"p_greater_holm": value}
        for kind, test, value in zip(kinds, tests, adjusted, strict=True)
    ]


def compare_trees(
    similarity: Matrix, kinds: Sequence[Distances], *, family: str = FAMILY, permutations: int, seed: int
) -> Mapping[str, Any]:
    """The tree of the tickets against the family tree, both of average linkage.

    Returns:
        `family`: the kind; `correlation` and the other fields of `Mantel`: the cophenetic correlation of the trees;
        `own_fit` and `family_fit`: the correlation of each tree with the distances that it was built from.

    Raises:
        PolyticketError: No distances of that kind.
    """
    tree = family_distances(kinds, family)
    test = cophenetic(dissimilarity(similarity), tree.matrix, permutations=permutations, seed=seed)
    fits = [_correlation(join_heights(matrix), matrix) for matrix in (dissimilarity(similarity), tree.matrix)]
    return {"family": family, **test._asdict(), "own_fit": fits[0], "family_fit": fits[1]}


def comparison_facts(
    languages: Sequence[str], similarity: Matrix, rows: Sequence[Row], trees: Mapping[str, Any], **options: Any
) -> dict[str, Any]:
    """All results as JSON values, for figures. The similarity of a language to itself is null."""
    cells = [[None if np.isnan(value) else float(value) for value in row] for row in similarity]
    facts = {"languages": list(languages), "similarity": cells, "kinds": list(rows), "trees": dict(trees)}
    return facts | {"options": options}


def similarity_in(facts: Mapping[str, Any]) -> Matrix:
    """The similarity of `comparison_facts`, float64 [L, L]."""
    return np.array([[np.nan if value is None else value for value in row] for row in facts["similarity"]])


def family_distances(kinds: Sequence[Distances], family: str = FAMILY) -> Distances:
    """The distances of the family tree.

    Raises:
        PolyticketError: There are none of that kind.
    """
    for distances in kinds:
        if distances.kind == family:
            return distances
    expected = ", ".join(distances.kind for distances in kinds)
    raise PolyticketError(f"no {family} distances", where="distances", expected=expected)


def _correlation(first: Matrix, second: Matrix) -> float | None:
    upper = np.triu_indices(len(first), 1)
    if np.ptp(first[upper]) == 0 or np.ptp(second[upper]) == 0:
        return None
    return float(np.corrcoef(first[upper], second[upper])[0, 1])
