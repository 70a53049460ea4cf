"""The table of pairs, read again: means per kind of pair, and one measure as a matrix of rows or of languages."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from polyticket.analysis.overlap import MEASURES, PAIR_COLUMNS, sparsity_of
from polyticket.analysis.row_names import OTHER, fields_of, language_of
from polyticket.analysis.tidy import Row, read_rows
from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike

BEYOND = "jaccard_beyond_chance"
SUMMARY_COLUMNS = (
    *("sparsity", "by", "group", "kind", "differs", "pairs", *MEASURES),
    *("jaccard_least", "jaccard_most"),
)
EVERY = "any"


def read_pairs(path: Pathlike) -> list[Row]:
    """Read a table of pairs, with its shares as numbers.

    Raises:
        PolyticketError: It is no such table; names file and line.
    """
    return read_rows(path, PAIR_COLUMNS, MEASURES)


def summary_rows(pairs: Sequence[Row]) -> list[Row]:
    """Means over the pairs of each kind, by sparsity and group (`SUMMARY_COLUMNS`).

    A kind stands once for each way its pairs differ (such as `language` and `language+seed`) and once, with `any`, for
    all of them. The pairs of one kind share rows, so that their spread is no standard error.

    Args:
        pairs: Of `pair_rows`. Pairs whose names have no fields, and those of two sparsities, are not counted.
    """
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in pairs:
        if row["kind"] in ("", OTHER["sparsity"]):
            continue
        for how in (EVERY, row["differs"]):
            key = sparsity_of(row["row"]), row["by"], row["group"], row["kind"], how
            found.setdefault(key, []).append(row)
    return [_mean(key, rows) for key, rows in found.items()]


def _mean(key: tuple[str, ...], rows: Sequence[Row]) -> Row:
    means = {name: _nanmean([row[name] for row in rows]) for name in MEASURES}
    jaccards = [row["jaccard"] for row in rows if not np.isnan(row["jaccard"])]
    reach = {"jaccard_least": min(jaccards, default=None), "jaccard_most": max(jaccards, default=None)}
    about = dict(zip(("sparsity", "by", "group", "kind", "differs"), key, strict=True))
    return about | {"pairs": len(rows)} | means | reach


def _nanmean(values: Sequence[float]) -> float | None:
    """The mean of those that are known; of none, none."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else None


def row_matrix(
    pairs: Sequence[Row], measure: str = "jaccard", *, sparsity: str | None = None, where: object = "pairs"
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """One measure of the whole masks as a symmetric matrix of rows; the diagonal is 1, of a difference from chance 0.

    Args:
        pairs: A table of pairs.
        measure: One of `MEASURES`, or `jaccard_beyond_chance`: Jaccard less what is expected by matrix.
        sparsity: Take only rows whose names say it; None for all.
        where: The file, for errors.

    Returns:
        The R rows in the order of the table, and float64 [R, R].

    Raises:
        PolyticketError: There is no such pair or measure, or pairs of the rows are missing.
    """
    chosen = [row for row in pairs if row["by"] == "all" and sparsity in (None, sparsity_of(row["row"]))]
    chosen = [row for row in chosen if row["kind"] != OTHER["sparsity"]]
    names = list(dict.fromkeys(name for row in chosen for name in (row["row"], row["other"])))
    if not names:
        raise PolyticketError(f"no pairs of sparsity {sparsity}", where=where, expected="at least two rows of it")
    found = np.full((len(names),) * 2, np.nan)
    np.fill_diagonal(found, 0.0 if measure == BEYOND else 1.0)
    given = np.eye(len(names), dtype=bool)
    for row in chosen:
        one, other = names.index(row["row"]), names.index(row["other"])
        found[one, other] = found[other, one] = value_of(row, measure)
        given[one, other] = given[other, one] = True
    if not given.all():
        one, other = np.argwhere(~given)[0]
        raise PolyticketError(
            f"no pair of {names[one]} and {names[other]}", where=where, expected="one sparsity, all pairs"
        )
    return tuple(names), found


def value_of(row: Row, measure: str) -> float:
    """A measure of a pair.

    Raises:
        PolyticketError: There is no such measure.
    """
    if measure == BEYOND:
        return float(row["jaccard"] - row["expected_jaccard_by_matrix"])
    if measure not in MEASURES:
        raise PolyticketError(f"measure {measure!r}", where="comparison", expected=", ".join((*MEASURES, BEYOND)))
    return float(row[measure])


def language_matrix(
    pairs: Sequence[Row],
    measure: str = "jaccard",
    *,
    task: str | None = None,
    sparsity: str | None = None,
    where: object = "pairs",
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """One measure as a symmetric matrix of languages: the mean over all pairs of rows of one task and two languages.

    Rows without fields, those of a multilingual ticket, are languages themselves.

    Args:
        pairs: A table of pairs.
        measure: See `row_matrix`.
        task: Take only this task; None for all (pairs of two tasks never count).
        sparsity: Take only this sparsity; None for all.
        where: The file, for errors.

    Returns:
        The L languages in the order of the table, and float64 [L, L]; the diagonal is NaN, nothing compares there.

    Raises:
        PolyticketError: Two languages have no pair.
    """
    sums: dict[tuple[str, str], list[float]] = {}
    for row in pairs:
        one, other = language_of(row["row"]), language_of(row["other"])
        if row["by"] == "all" and one != other and _is_of(row["row"], row["other"], task, sparsity):
            sums.setdefault((one, other), []).append(value_of(row, measure))
            sums.setdefault((other, one), []).append(value_of(row, measure))
    names = list(dict.fromkeys(name for pair in sums for name in pair))
    found = np.full((len(names),) * 2, np.nan)
    for i, one in enumerate(names):
        for j, other in enumerate(names):
            if i != j:
                found[i, j] = np.mean(sums.get((one, other), [np.nan]))
    off = ~np.eye(len(names), dtype=bool)
    if len(names) < 2 or np.isnan(found[off]).any():
        what = f"task {task}, sparsity {sparsity}"
        raise PolyticketError(f"no {measure} of all pairs of languages ({what})", where=where, expected="all pairs")
    return tuple(names), found


def _is_of(one: str, other: str, task: str | None, sparsity: str | None) -> bool:
    a, b = fields_of(one), fields_of(other)
    if a is None or b is None:
        return True
    same = a.task == b.task and a.sparsity == b.sparsity
    return same and task in (None, a.task) and sparsity in (None, a.sparsity)
