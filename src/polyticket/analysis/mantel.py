"""The Mantel test of two distance matrices, and the cophenetic correlation of two trees."""

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
    """The correlation of two matrices, with permutation p-values.

    Attributes:
        correlation: Over the pairs of languages; None if all values of one matrix are equal.
        p_greater: One-sided: the share of permutations with at least this correlation; None as above.
        p_two_sided: The share of permutations with at least this absolute correlation; None as above.
        permutations: The number of permutations: all L! if exact, the identity among them; otherwise random ones, and
            the observed order is counted too: (reached + 1) / (permutations + 1).
        exact: Whether each permutation was taken once.
    """

    correlation: float | None
    p_greater: float | None
    p_two_sided: float | None
    permutations: int
    exact: bool


def mantel(
    first: Matrix, second: Matrix, *, method: str = "pearson", permutations: int = PERMUTATIONS, seed: int = 0
) -> Mantel:
    """The Mantel test (1967): the correlation of the upper triangles under joint permutations of rows and columns.

    Args:
        first: float64 [L, L], symmetric; the diagonal is not read.
        second: float64 [L, L], of the same languages.
        method: `pearson`, or `spearman`: of the ranks, ties at their mean rank.
        permutations: The number of random permutations; if L! is at most this, each permutation is taken once instead.
        seed: Of the random permutations.

    Raises:
        PolyticketError: There are fewer than three languages, the shapes differ, a number is not finite, or the method
            is unknown.
    """
    _check(first, second, method)
    upper = np.triu_indices(len(first), 1)
    ranked = (_ranked(matrix, upper) if method == "spearman" else matrix for matrix in (first, second))
    left, right = (_standard(matrix, upper) for matrix in ranked)
    exact = factorial(len(first)) <= permutations
    count = factorial(len(first)) if exact else permutations
    if left is None or right is None:
        return Mantel(None, None, None, count, exact)
    fixed = right[upper]
    correlation = float(left[upper] @ fixed)
    greater = two_sided = 0
    for orders in _orders(len(first), count, exact, seed):
        correlations = left[orders[:, upper[0]], orders[:, upper[1]]] @ fixed
        greater += int((correlations >= correlation - TIE).sum())
        two_sided += int((np.abs(correlations) >= abs(correlation) - TIE).sum())
    observed = 0 if exact else 1  # the observed order is one of all
    p_greater, p_two_sided = ((reached + observed) / (count + observed) for reached in (greater, two_sided))
    return Mantel(correlation, p_greater, p_two_sided, count, exact)


def _check(first: Matrix, second: Matrix, method: str) -> None:
    if method not in METHODS:
        raise PolyticketError(f"method {method!r}", where="Mantel test", expected=" or ".join(METHODS))
    if first.shape != second.shape or first.shape != (len(first),) * 2:
        raise PolyticketError(f"{first.shape} and {second.shape}", where="Mantel test", expected="two square matrices")
    if len(first) < 3:
        raise PolyticketError(f"{len(first)} languages", where="Mantel test", expected="at least three")
    upper = np.triu_indices(len(first), 1)
    if not (np.isfinite(first[upper]).all() and np.isfinite(second[upper]).all()):
        raise PolyticketError("a pair has no number", where="Mantel test", expected="numbers for all pairs")


def _ranked(matrix: Matrix, upper: tuple[NDArray[np.intp], ...]) -> Matrix:
    ranks = np.zeros_like(matrix)
    ranks[upper] = rankdata(matrix[upper])
    return ranks + ranks.T


def _standard(matrix: Matrix, upper: tuple[NDArray[np.intp], ...]) -> Matrix | None:
    """Centred and scaled, so that the sum of products over the upper triangles is the correlation; None if constant."""
    values = matrix[upper]
    centred = values - values.mean()
    length = np.linalg.norm(centred)
    if length <= TIE * max(1.0, float(np.abs(values).max())):
        return None
    scaled = np.zeros_like(matrix)
    scaled[upper] = centred / length
    return scaled + scaled.T


def _orders(size: int, count: int, exact: bool, seed: int) -> Iterator[NDArray[np.intp]]:
    """Permutations of the languages, [block, L] at a time."""
    size_of_block = max(1, CELLS // (size * size))
    if exact:
        orders = all_orders(range(size))
        while block := list(islice(orders, size_of_block)):
            yield np.array(block)
        return
    random = np.random.default_rng(seed)
    for start in range(0, count, size_of_block):
        yield random.permuted(np.tile(np.arange(size), (min(size_of_block, count - start), 1)), axis=1)


def join_heights(distances: Matrix) -> Matrix:
    """The height at which each pair joins in the tree of average linkage (UPGMA), float64 [L, L].

    Args:
        distances: float64 [L, L], symmetric; the diagonal is not read.
    """
    square = distances.copy()
    np.fill_diagonal(square, 0)
    return squareform(cophenet(linkage(squareform(square, checks=False), "average")))


def cophenetic(first: Matrix, second: Matrix, *, permutations: int = PERMUTATIONS, seed: int = 0) -> Mantel:
    """The cophenetic correlation of two trees of average linkage: of the heights at which pairs join in each.

    Sokal & Rohlf 1962; the p-values permute the leaves of one tree, as in `mantel`.

    Args:
        first: Distances, float64 [L, L].
        second: Distances of the same languages.
        permutations: As in `mantel`.
        seed: As in `mantel`.
    """
    _check(first, second, "pearson")
    return mantel(join_heights(first), join_heights(second), permutations=permutations, seed=seed)
