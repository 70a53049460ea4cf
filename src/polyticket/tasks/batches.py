"""Batches of windows of like length, so that there is little padding."""

from collections.abc import Iterator

import numpy as np

from polyticket.tasks.encoded import Indices

POOL_STEPS = 16
Random = np.random.Generator


def epoch_steps(lengths: Indices, batch_size: int, accumulation: int, random: Random) -> list[list[Indices]]:
    """Shuffle one epoch into optimiser steps of micro-batches of windows of like length.

    Windows are shuffled, sorted by length within pools of `POOL_STEPS` steps, cut into micro-batches, and these are
    shuffled within their pool.

    Args:
        lengths: int64 [n], the windows' lengths in pieces.
        batch_size: Windows in a micro-batch.
        accumulation: Micro-batches in a step; the last step may hold fewer.
        random: Shuffles.

    Returns:
        For each step its micro-batches, arrays of window numbers; each window is in exactly one.
    """
    batches: list[Indices] = []
    for pool in _chunks(random.permutation(len(lengths)), POOL_STEPS * batch_size * accumulation):
        cut = list(_chunks(pool[np.argsort(lengths[pool], kind="stable")], batch_size))
        batches += [cut[number] for number in random.permutation(len(cut))]
    return [batches[start : start + accumulation] for start in range(0, len(batches), accumulation)]


def sorted_batches(lengths: Indices, batch_size: int) -> Iterator[Indices]:
    """All windows, short ones first, so many at a time."""
    return _chunks(np.argsort(lengths, kind="stable"), batch_size)


def _chunks(numbers: Indices, size: int) -> Iterator[Indices]:
    return (numbers[start : start + size] for start in range(0, len(numbers), size))
