"""The highest keys of many, in exact number: found by counting, without a sort and without moving them together.

Keys are whole numbers below 2^31. Their high 16 bits are counted first, which tells the bucket that the last kept key
is in, then the low 16 bits of what lies in that bucket: three passes over the keys, a block at a time.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 16  # keys at a time, as the cache likes; whole bytes of a mask
LIMIT = 1 << 31
HALF = np.uint32(16)
Keys = NDArray[np.uint32]
Packed = NDArray[np.uint8]
Blocks = Callable[[], Iterable[tuple[Keys, Packed]]]


class Cut(NamedTuple):
    """Where a pool is cut.

    Attributes:
        key: The lowest key that is kept.
        ties: How many of the keys that equal it are kept: the first ones.
    """

    key: int
    ties: int


NOTHING = Cut(LIMIT, 0)


def find_cut(blocks: Blocks, count: int) -> Cut:
    """Where to cut so that exactly `count` keys stay.

    Args:
        blocks: Gives, each time anew, the keys in order, uint32 [b] and below 2^31, with a bit for each, uint8
            [ceil(b/8)], highest first: whether it competes.
        count: How many of those that compete; from 0 to all.
    """
    if not count:
        return NOTHING
    high, above = _bucket(_high_counts(blocks), count)
    low, higher = _bucket(_low_counts(blocks, high), count - above)
    return Cut(high << 16 | low, count - above - higher)


def _bucket(counts: NDArray[np.int64], count: int) -> tuple[int, int]:
    """The bucket that holds the count-th key from the top, and how many keys are in higher ones."""
    running = np.cumsum(counts[::-1])
    place = int(np.searchsorted(running, count))
    return counts.size - 1 - place, int(running[place] - counts[::-1][place])


def _high_counts(blocks: Blocks) -> NDArray[np.int64]:
    found = np.zeros(1 << 16, np.int64)
    for keys, packed in blocks():
        competes = np.unpackbits(packed, count=keys.size)
        # to count all and split them by a further bit is much quicker than to pick some and count those
        found += np.bincount((keys >> HALF).astype(np.uint16) | competes.astype(np.uint16) << 15, minlength=found.size)
    return found[1 << 15 :]


def _low_counts(blocks: Blocks, high: int) -> NDArray[np.int64]:
    found = np.zeros(1 << 16, np.int64)
    for keys, packed in blocks():
        inside = keys >> HALF == high
        inside &= np.unpackbits(packed, count=keys.size).view(np.bool_)
        if (chosen := keys[inside]).size:
            found += np.bincount(chosen.astype(np.uint16), minlength=found.size)
    return found


def kept(blocks: Blocks, cut: Cut) -> Iterator[Packed]:
    """For each block the bits that stay, uint8 [ceil(b/8)]."""
    ties = cut.ties
    for keys, packed in blocks():
        found = np.packbits(keys > cut.key) & packed
        if ties:
            equal = np.packbits(keys == cut.key) & packed
            if (count := int(np.bitwise_count(equal).sum(dtype=np.int64))) > ties:
                places = np.flatnonzero(np.unpackbits(equal))
                bits = np.zeros(8 * equal.size, np.uint8)
                bits[places[:ties]] = 1
                equal = np.packbits(bits)
            ties -= min(count, ties)
            found |= equal
        yield found
