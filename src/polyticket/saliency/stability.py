"""Whether scores are settled: the agreement of tickets from the even and from the odd batches."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
FIRST_CHECK = 16  # batches; then after twice as many, and so on


def kept(scores: Array, sizes: Sequence[int], ratio: float) -> NDArray[np.bool_]:
    """One language's own ticket: the highest floor(n · ratio) scores, each site's divided by its L2 norm (+ 1e-20).

    Args:
        scores: float64 [n], all sites side by side.
        sizes: Neurons of each site; they add up to n.
        ratio: The share to keep.

    Returns:
        bool [n]; among equal scores the earlier is kept.
    """
    parts = np.split(scores, np.cumsum(sizes)[:-1])
    flat = np.concatenate([part / (np.linalg.norm(part) + 1e-20) for part in parts])
    found = np.zeros(flat.size, np.bool_)
    found[np.argsort(-flat, kind="stable")[: int(flat.size * ratio)]] = True
    return found


def jaccard(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Kept by both over kept by either; 1 if neither keeps any."""
    either = int(np.count_nonzero(one | other))
    return int(np.count_nonzero(one & other)) / either if either else 1.0


def agreement(halves: Array, sizes: Sequence[int], ratio: float) -> float:
    """Jaccard of the tickets of two halves of the records, [2, n]; two random tickets have ratio / (2 − ratio)."""
    return jaccard(kept(halves[0], sizes, ratio), kept(halves[1], sizes, ratio))


def is_check(batches: int) -> bool:
    """Whether agreement is looked at after so many batches: 16, 32, 64, …"""
    return batches >= FIRST_CHECK and batches % FIRST_CHECK == 0 and (batches // FIRST_CHECK).bit_count() == 1
