"""Windows drawn at random into steps, and cut by length into micro-batches within each, to pad little."""

from collections.abc import Iterator

import numpy as np

from polyticket.tasks.encoded import Indices

Random = np.random.Generator


def epoch_steps(lengths: Indices, size: int, random: Random) -> Iterator[Indices]:
    """Draw one epoch's optimiser steps at random.

    A random permutation decides which windows a step holds. Only these are sorted by length, so that which windows
    meet in a step has nothing to do with their lengths.

    Args:
        lengths: int64 [n], the windows' lengths in subword tokens.
        size: Windows in a step; the last one may hold fewer.
        random: Draws the permutation.

    Yields:
        For each step the numbers of its windows, short ones first; each window is in exactly one step.
    """
    for step in _chunks(random.permutation(len(lengths)), size):
        yield step[np.argsort(lengths[step], kind="stable")]


def cut(windows: Indices, lengths: Indices, most: int, overhead: int) -> list[Indices]:
    """Cut windows that are sorted by length into the micro-batches that take the least time.

    A micro-batch takes the time of its tokens, padding included, and of `overhead` tokens more. The best cuts are found
    exactly, by dynamic programming; of equally good ones the longest last micro-batches.

    Args:
        windows: int64 [m], their numbers, short ones first.
        lengths: int64 [n], the lengths of all windows in subword tokens.
        most: Windows in a micro-batch at most.
        overhead: What a micro-batch costs beside its tokens, in tokens.

    Returns:
        Arrays that together are `windows`.
    """
    widths = lengths[windows]
    cost, begins = np.zeros(len(windows) + 1), [0] * (len(windows) + 1)
    for end in range(1, len(windows) + 1):
        first = max(0, end - most)
        costs = cost[first:end] + np.arange(end - first, 0, -1) * widths[end - 1] + overhead
        best = int(costs.argmin())
        cost[end], begins[end] = costs[best], first + best
    found: list[Indices] = []
    end = len(windows)
    while end:
        found.append(windows[begins[end] : end])
        end = begins[end]
    return found[::-1]


def sorted_batches(lengths: Indices, batch_size: int) -> Iterator[Indices]:
    """All windows, short ones first, so many at a time."""
    return _chunks(np.argsort(lengths, kind="stable"), batch_size)


def _chunks(numbers: Indices, size: int) -> Iterator[Indices]:
    return (numbers[start : start + size] for start in range(0, len(numbers), size))
