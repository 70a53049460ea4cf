"""Cosines between languages, and what they come to."""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
BLOCK = 2**16  # columns that are held in double precision at a time


def cosines(sums: NDArray[np.float32], steps: NDArray[np.int64]) -> Matrix:
    """The cosine of every pair of rows.

    Args:
        sums: float32 [L, size].
        steps: int64 [L], how many steps each row sums up.

    Returns:
        float64 [L, L], symmetric. Rows and columns without a step, or without direction (all zeros), are NaN.
    """
    products = np.zeros((len(sums), len(sums)))
    for start in range(0, sums.shape[1], BLOCK):
        block = sums[:, start : start + BLOCK].astype(np.float64)
        products += block @ block.T
    norms = np.sqrt(products.diagonal())
    norms[(norms == 0) | (steps == 0)] = np.nan
    found = np.clip(products / norms[:, None] / norms[None, :], -1, 1)
    found[np.diag_indices(len(found))] = np.where(np.isnan(norms), np.nan, 1.0)
    return np.triu(found) + np.triu(found, 1).T


def share_negative(cosines: Matrix) -> float:
    """The share of pairs i < j whose cosine is below zero; NaN where there is no pair, or one was not measured."""
    found = _pairs(cosines)
    return float((found < 0).mean()) if len(found) and not np.isnan(found).any() else np.nan


def mean_cosine(cosines: Matrix) -> float:
    """The mean cosine of pairs i < j; NaN where there is no pair, or one was not measured."""
    found = _pairs(cosines)
    return float(found.mean()) if len(found) else np.nan


def standard_error(mode: str, width: int) -> float:
    """The standard deviation of a cosine near zero, at most: 1/√S of a sketch, 0 of exact sums."""
    return width**-0.5 if mode == "sketch" else 0.0


def _pairs(cosines: Matrix) -> NDArray[np.float64]:
    return cosines[np.triu_indices(len(cosines), 1)]
