"""Fewer examples, drawn with a seed."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def sampled(examples: Sequence[Any], most: int | None, seed: Sequence[int]) -> Sequence[Any]:
    """All examples, or so many random ones, in random order.

    Args:
        examples: All.
        most: How many; None for all.
        seed: Draws.
    """
    if most is None:
        return examples
    order = np.random.default_rng(list(seed)).permutation(len(examples))[:most]
    return [examples[number] for number in order]


def thinned(examples: Sequence[Any], most: int | None, seed: Sequence[int]) -> Sequence[Any]:
    """All examples, or so many random ones, in their order."""
    if most is None or len(examples) <= most:
        return examples
    order = np.random.default_rng(list(seed)).permutation(len(examples))[:most]
    return [examples[number] for number in sorted(order.tolist())]
