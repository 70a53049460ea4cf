"""Whether two matrices of distances go together: the Mantel test; and whether two trees do."""

from collections.abc import Iterator
from itertools import islice
from itertools import permutations as all_orders
from math import factorial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.spatial.distance import squareform
from scipy.stats import rankdata

from polyticket.core.errors import PolyticketError

METHODS = ("pearson", "spearman")
PERMUTATIONS = 10_000
CELLS = 1 << 21  # of permuted matrices at once
TIE = 1e-12  # correlations nearer than this are equal but for rounding
Matrix = NDArray[np.float64]


class Mantel(NamedTuple):
    """A correlation of two matrices and how often chance reaches it.

    Attributes:
        correlation: Over the pairs of languages; None where one matrix holds one value alone.
        p_greater: One-sided: the share of relabellings with at least this correlation; None as above.
        p_two_sided: The share with at least this absolute correlation; None as above.
        permutations: Relabellings looked at: all L! of them where exact, the identity among them; otherwise random
            ones, and the observed labelling is counted besides: (reached + 1) / (permutations + 1).
        exact: Whether all were looked at.
    """

    correlation: float | None
    p_greater: float | None
    p_two_sided: float | None
    permutations: int
    exact: bool


def mantel(
    one: Matrix, other: Matrix, *, method: str = "pearson", permutations: int = PERMUTATIONS, seed: int = 0
) -> Mantel:
    """The Mantel test (1967): the correlation of the upper triangles under joint permutations of rows and columns.

    Args:
        one: float64 [L, L], symmetric; the diagonal does not count.
        other: float64 [L, L], of the same languages.
        method: `pearson`, or `spearman`: of the ranks, ties at their mean rank.
        permutations: Random relabellings; where L! is no more than this, all of them are taken instead.
        seed: Of the random ones.

    Raises:
        PolyticketError: Fewer than three languages, matrices of two shapes, a number that is none, an unknown method.
    """
    _check(one, other, method)
    upper = np.triu_indices(len(one), 1)
    ranked = (_ranked(matrix, upper) if method == "spearman" else matrix for matrix in (one, other))
    left, right = (_standard(matrix, upper) for matrix in ranked)
    exact = factorial(len(one)) <= permutations
    count = factorial(len(one)) if exact else permutations
    if left is None or right is None:
        return Mantel(None, None, None, count, exact)
    fixed = right[upper]
    correlation = float(left[upper] @ fixed)
    greater = both = 0
    for orders in _orders(len(one), count, exact, seed):
        found = left[orders[:, upper[0]], orders[:, upper[1]]] @ fixed
        greater += int((found >= correlation - TIE).sum())
        both += int((np.abs(found) >= abs(correlation) - TIE).sum())
    extra = 0 if exact else 1  # the observed labelling is one of all
    p_greater, p_two_sided = ((reached + extra) / (count + extra) for reached in (greater, both))
    return Mantel(correlation, p_greater, p_two_sided, count, exact)


def _check(one: Matrix, other: Matrix, method: str) -> None:
    if method not in METHODS:
        raise PolyticketError(f"method {method!r}", where="Mantel test", expected=" or ".join(METHODS))
    if one.shape != other.shape or one.shape != (len(one),) * 2:
        raise PolyticketError(f"{one.shape} and {other.shape}", where="Mantel test", expected="two square matrices")
    if len(one) < 3:
        raise PolyticketError(f"{len(one)} languages", where="Mantel test", expected="at least three")
    upper = np.triu_indices(len(one), 1)
    if not (np.isfinite(one[upper]).all() and np.isfinite(other[upper]).all()):
        raise PolyticketError("a pair has no number", where="Mantel test", expected="numbers for all pairs")


def _ranked(matrix: Matrix, upper: tuple[NDArray[np.intp], ...]) -> Matrix:
    found = np.zeros_like(matrix)
    found[upper] = rankdata(matrix[upper])
    return found + found.T


def _standard(matrix: Matrix, upper: tuple[NDArray[np.intp], ...]) -> Matrix | None:
    """Centred and scaled, so that the sum of products over the upper triangles is the correlation; None if constant."""
    values = matrix[upper]
    centred = values - values.mean()
    length = np.linalg.norm(centred)
    if length <= TIE * max(1.0, float(np.abs(values).max())):
        return None
    found = np.zeros_like(matrix)
    found[upper] = centred / length
    return found + found.T


def _orders(size: int, count: int, exact: bool, seed: int) -> Iterator[NDArray[np.intp]]:
    """Permutations of the labels, [some, L] at a time."""
    some = max(1, CELLS // (size * size))
    if exact:
        orders = all_orders(range(size))
        while block := list(islice(orders, some)):
            yield np.array(block)
        return
    random = np.random.default_rng(seed)
    for start in range(0, count, some):
        yield random.permuted(np.tile(np.arange(size), (min(some, count - start), 1)), axis=1)


def joins(distances: Matrix) -> Matrix:
    """The height at which each pair joins in the tree of average linkage (UPGMA), float64 [L, L].

    Args:
        distances: float64 [L, L], symmetric; the diagonal does not count.
    """
    square = distances.copy()
    np.fill_diagonal(square, 0)
    return squareform(cophenet(linkage(squareform(square, checks=False), "average")))


def cophenetic(one: Matrix, other: Matrix, *, permutations: int = PERMUTATIONS, seed: int = 0) -> Mantel:
    """The cophenetic correlation of two trees of average linkage: of the heights at which pairs join in each.

    Sokal & Rohlf 1962; how often chance reaches it is told by relabelling the leaves of one tree, as in `mantel`.

    Args:
        one: Distances, float64 [L, L].
        other: Distances of the same languages.
        permutations: As in `mantel`.
        seed: As in `mantel`.
    """
    _check(one, other, "pearson")
    return mantel(joins(one), joins(other), permutations=permutations, seed=seed)
