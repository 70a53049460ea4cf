"""Whether scores are settled: the agreement of tickets from two halves of the records."""

import numpy as np
from numpy.typing import NDArray

from polyticket.saliency.score_files import Scores, normalised
from polyticket.tickets.scopes import keep_count
from polyticket.tickets.selection import keep_highest

FIRST_CHECK = 16  # batches; then after twice as many, and so on


def kept(scores: Scores, ratio: float) -> NDArray[np.bool_]:
    """One language's own ticket, as scope `language` allocates it: floor(n · ratio) neurons.

    Args:
        scores: Site to float64 [size]; the sizes add up to n.
        ratio: The share to keep.

    Returns:
        bool [n], sites by name.
    """
    parts = normalised(scores)
    flat = np.concatenate([parts[site] for site in sorted(parts)])
    return keep_highest(flat, keep_count(flat.size, ratio)).bits


def jaccard(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Kept by both over kept by either; 1 if neither keeps any."""
    either = int(np.count_nonzero(one | other))
    return int(np.count_nonzero(one & other)) / either if either else 1.0


def agreement(one: Scores, other: Scores, ratio: float) -> float:
    """Jaccard of the tickets of two halves of the records; two random tickets have ratio / (2 − ratio)."""
    return jaccard(kept(one, ratio), kept(other, ratio))


def is_check(batches: int) -> bool:
    """Whether agreement is looked at after so many batches: 16, 32, 64, …"""
    return batches >= FIRST_CHECK and batches % FIRST_CHECK == 0 and (batches // FIRST_CHECK).bit_count() == 1
