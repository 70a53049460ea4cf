"""Whether languages that are alike have tickets that are alike: similarity of tickets against linguistic distances."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from polyticket.analysis.distances import Distances, Matrix, read_distances
from polyticket.analysis.mantel import PERMUTATIONS, cophenetic, joins, mantel
from polyticket.analysis.tidy import Row
from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.tasks.bootstrap import holm

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
