"""Windows drawn at random into steps, and sorted by length within each, so that there is little padding."""

from collections.abc import Iterator

import numpy as np

from polyticket.tasks.encoded import Indices

Random = np.random.Generator


def epoch_steps(lengths: Indices, batch_size: int, accumulation: int, random: Random) -> list[list[Indices]]:
    """Draw one epoch's optimiser steps at random, and cut each into micro-batches of windows of like length.

    A random permutation decides which windows a step holds. Only these are sorted by length, so that which windows
    meet in a step has nothing to do with their lengths.

    Args:
        lengths: int64 [n], the windows' lengths in subword tokens.
        batch_size: Windows in a micro-batch.
        accumulation: Micro-batches in a step; the last step may hold fewer.
        random: Draws the permutation.

    Returns:
        For each step its micro-batches, arrays of window numbers; each window is in exactly one.
    """
    steps = _chunks(random.permutation(len(lengths)), batch_size * accumulation)
    return [list(_chunks(step[np.argsort(lengths[step], kind="stable")], batch_size)) for step in steps]


def sorted_batches(lengths: Indices, batch_size: int) -> Iterator[Indices]:
    """All windows, short ones first, so many at a time."""
    return _chunks(np.argsort(lengths, kind="stable"), batch_size)


def _chunks(numbers: Indices, size: int) -> Iterator[Indices]:
    return (numbers[start : start + size] for start in range(0, len(numbers), size))
