"""Which units of a pool are kept: the highest, in exact number, with a written rule for ties."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyticket.tickets.masks import Bits
from polyticket.tickets.scopes import Grain

Array = NDArray[np.float64]
BLOCK = 1 << 16


class Units(NamedTuple):
    """One site's scores, unit by unit.

    Attributes:
        scores: float64 [L, U], the mean score of each unit's neurons.
        spread: Turns bool [L, U], which units are kept, into bool [L, size], which neurons are.
    """

    scores: Array
    spread: Callable[[Bits], Bits]


def neurons(scores: Array, _: int) -> Units:
    """Every neuron on its own."""
    return Units(scores, lambda kept: kept)


def blocks(scores: Array, unit: int) -> Units:
    """Neurons in order of score (ties by position), `unit` at a time, so that kept counts are its multiples.

    A site's blocks fall in score, so the best blocks of a pool are the best aligned choice: no other with these counts
    has a higher sum of scores.
    """
    rows, size = scores.shape
    order = np.argsort(-scores, axis=1, kind="stable")
    means = np.take_along_axis(scores, order, 1).reshape(rows, size // unit, unit).mean(2)

    def spread(kept: Bits) -> Bits:
        found = np.zeros((rows, size), np.bool_)
        np.put_along_axis(found, order, kept.repeat(unit, 1), 1)
        return found

    return Units(means, spread)


def heads(scores: Array, unit: int) -> Units:
    """Attention heads: `unit` neighbours together."""
    rows, size = scores.shape
    return Units(scores.reshape(rows, size // unit, unit).mean(2), lambda kept: kept.repeat(unit, 1))


SELECTIONS: dict[str, Callable[[Array, int], Units]] = {"neuron": neurons, "block": blocks, "head": heads}


def units_of(scores: Array, grain: Grain) -> Units:
    """A site's scores [L, size] unit by unit, as its grain says."""
    kind = "neuron" if grain.unit == 1 else "head" if grain.whole else "block"
    return SELECTIONS[kind](scores, grain.unit)


class Kept(NamedTuple):
    """bool [n], and the lowest score that competed and was kept: infinite if none was."""

    bits: Bits
    lowest: float


def keep_highest(scores: Array, count: int) -> Kept:
    """Keep exactly `count` entries, the highest; among equal scores the earlier position is kept.

    Args:
        scores: float64 [n], finite.
        count: How many, from 0 to n.
    """
    if not count:
        return Kept(np.zeros(scores.size, np.bool_), np.inf)
    if count == scores.size:
        return Kept(np.ones(scores.size, np.bool_), float(scores.min()))
    threshold = nth_lowest(scores, scores.size - count)
    kept = scores >= threshold
    if surplus := int(np.count_nonzero(kept)) - count:
        kept[np.flatnonzero(scores == threshold)[-surplus:]] = False
    return Kept(kept, threshold)


def nth_lowest(scores: Array, n: int) -> float:
    """The score that would stand at place n, from 0, if all were sorted.

    A sample says between which scores it lies; the others are counted and not moved, block by block as the cache likes.
    """
    if scores.size < 64 * BLOCK:
        return float(np.partition(scores, n)[n])
    sample = np.sort(scores[:: scores.size // BLOCK])
    place, near = n * sample.size // scores.size, 4 * math.isqrt(sample.size)
    low, high = sample[max(place - near, 0)], sample[min(place + near, sample.size - 1)]
    below, within = 0, []
    for first in range(0, scores.size, BLOCK):
        block = scores[first : first + BLOCK]
        enough = block >= low
        below += block.size - int(np.count_nonzero(enough))
        within.append(block[enough & (block <= high)])
    between = np.concatenate(within)
    if not below <= n < below + between.size:  # the sample misled
        between, below = scores, 0
    return float(np.partition(between, n - below)[n - below])


def keep_fitting(scores: Array, sizes: NDArray[np.int64], budget: int) -> Kept:
    """Keep units of size 1 and of one other size: the largest total not above the budget, the highest first.

    Units are taken in order of score (ties by position) until one does not fit. Single ones then fill the room that is
    left. If they do not suffice, one more group takes the place of the lowest single ones, when that fills the budget.

    Args:
        scores: float64 [n], the mean score of each unit.
        sizes: int64 [n], 1 or one other number.
        budget: The largest sum of sizes.
    """
    order = np.argsort(-scores, kind="stable")
    ordered = sizes[order]
    ends = np.cumsum(ordered)
    kept = ends <= budget
    room = budget - int(ordered[kept].sum())
    kept[np.flatnonzero(~kept & (ordered == 1))[:room]] = True
    room = budget - int(ordered[kept].sum())
    groups, singles = np.flatnonzero(~kept & (ordered > 1)), np.flatnonzero(kept & (ordered == 1))
    if room and groups.size and singles.size >= (lack := int(ordered[groups[0]]) - room):
        kept[groups[0]] = True
        kept[singles[singles.size - lack :]] = False
    found = np.zeros(scores.size, np.bool_)
    found[order] = kept
    return Kept(found, float(scores[order[np.flatnonzero(kept)[-1]]]) if kept.any() else np.inf)


def keep_units(scores: Array, sizes: NDArray[np.int64] | int, budget: int, forced: Bits | None = None) -> Kept:
    """Keep the forced units and, within what is left of the budget, the highest of the others.

    Args:
        scores: float64 [n], the mean score of each unit.
        sizes: The size of all units, or of each one, int64 [n].
        budget: The largest number of neurons.
        forced: bool [n], units that are kept whatever their scores.
    """
    if forced is not None and forced.any():
        free = ~forced
        of_free = sizes if isinstance(sizes, int) else sizes[free]
        spent = int(forced.sum()) * sizes if isinstance(sizes, int) else int(sizes[forced].sum())
        found = keep_units(scores[free], of_free, budget - spent)
        kept = forced.copy()
        kept[free] = found.bits
        return Kept(kept, found.lowest)
    if isinstance(sizes, int):
        return keep_highest(scores, min(budget // sizes, scores.size))
    return keep_fitting(scores, sizes, budget)
