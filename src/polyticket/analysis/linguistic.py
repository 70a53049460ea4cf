"""Distances between languages from CSV files: genetic, geographic, syntactic and so on."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyticket.analysis.mantel import PERMUTATIONS, cophenetic, joins, mantel
from polyticket.analysis.tidy import Row
from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.tasks.bootstrap import holm

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


KIND_COLUMNS = (
    *("kind", "languages", "pairs", "method", "correlation", "p_greater", "p_greater_holm", "p_two_sided"),
    *("permutations", "exact"),
)
FAMILY = "genetic"


def read_kinds(paths: Sequence[Pathlike], kinds: Sequence[str], languages: Sequence[str]) -> list[Distances]:
    """Read the distances of the languages at hand, a file for each kind.

    Raises:
        PolyticketError: See `read_distances`.
    """
    return [read_distances(path, languages, kind) for path, kind in zip(paths, kinds, strict=True)]


def apart(similarity: Matrix) -> Matrix:
    """1 − similarity, with zeros on the diagonal: how far apart tickets are, float64 [L, L]."""
    found = 1 - similarity
    np.fill_diagonal(found, 0.0)
    return found


def kind_rows(
    similarity: Matrix,
    kinds: Sequence[Distances],
    *,
    method: str = "pearson",
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> list[Row]:
    """The Mantel test of each kind (`KIND_COLUMNS`); a positive correlation: the nearer, the more alike the tickets.

    Args:
        similarity: float64 [L, L] of the languages of the kinds, in their order.
        kinds: Distances.
        method: See `mantel`.
        permutations: See `mantel`.
        seed: See `mantel`; the same relabellings serve all kinds.

    Returns:
        A row per kind; `p_greater_holm` is adjusted for how many kinds were tried.
    """
    how: dict[str, Any] = {"method": method, "permutations": permutations, "seed": seed}
    tests = [mantel(apart(similarity), one.matrix, **how) for one in kinds]
    adjusted = holm([test.p_greater for test in tests])
    count = len(similarity)
    return [
        {"kind": one.kind, "languages": count, "pairs": count * (count - 1) // 2, "method": method}
        | test._asdict()
        | {"p_greater_holm": value}
        for one, test, value in zip(kinds, tests, adjusted, strict=True)
    ]


def tree_facts(
    similarity: Matrix, kinds: Sequence[Distances], *, family: str = FAMILY, permutations: int, seed: int
) -> Mapping[str, Any]:
    """How the tree of the tickets compares with the family tree, both of average linkage.

    Returns:
        `family`: the kind; `correlation` and the rest of `Mantel`: cophenetic, between the trees; `own_fit` and
        `family_fit`: how well each tree tells the distances that it was made of (its own cophenetic correlation).

    Raises:
        PolyticketError: No distances of that kind.
    """
    tree = family_of(kinds, family)
    between = cophenetic(apart(similarity), tree.matrix, permutations=permutations, seed=seed)
    fits = [_correlation(joins(one), one) for one in (apart(similarity), tree.matrix)]
    return {"family": family, **between._asdict(), "own_fit": fits[0], "family_fit": fits[1]}


def facts_of(
    languages: Sequence[str], similarity: Matrix, rows: Sequence[Row], trees: Mapping[str, Any], **options: Any
) -> dict[str, Any]:
    """All that was found, as JSON values: what figures are drawn from. A language's similarity to itself is null."""
    cells = [[None if np.isnan(value) else float(value) for value in row] for row in similarity]
    found = {"languages": list(languages), "similarity": cells, "kinds": list(rows), "trees": dict(trees)}
    return found | {"options": options}


def similarity_in(facts: Mapping[str, Any]) -> Matrix:
    """The similarity of `facts_of`, float64 [L, L]."""
    return np.array([[np.nan if value is None else value for value in row] for row in facts["similarity"]])


def family_of(kinds: Sequence[Distances], family: str = FAMILY) -> Distances:
    """The distances of the family tree.

    Raises:
        PolyticketError: There are none of that kind.
    """
    for one in kinds:
        if one.kind == family:
            return one
    raise PolyticketError(f"no {family} distances", where="distances", expected=", ".join(one.kind for one in kinds))


def _correlation(one: Matrix, other: Matrix) -> float | None:
    upper = np.triu_indices(len(one), 1)
    if np.ptp(one[upper]) == 0 or np.ptp(other[upper]) == 0:
        return None
    return float(np.corrcoef(one[upper], other[upper])[0, 1])
