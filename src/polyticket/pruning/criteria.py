"""Pruning: which weights of a model are still kept, by magnitude and by the controls that it is compared with.

The highest keys of many are found in exact number by counting, without a sort and without moving them together. Keys
are whole numbers below 2^31. Their high 16 bits are counted first, which tells the bucket that the last kept key is in,
then the low 16 bits of what lies in that bucket: three passes over the keys, a block at a time.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyticket.core.errors import PolyticketError
from polyticket.records.randomness import stream
from polyticket.tickets.masks import Masks, Shapes
from polyticket.tickets.scopes import keep_count

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


Pools = Mapping[str, Sequence[str]]
Weights = Mapping[str, Any]
KeysOf = Callable[[str], Iterator[Keys]]
Pruner = Callable[[Weights, Masks, Pools, float, int], Masks]
_MAGNITUDE = np.uint32(0x7FFFFFFF)
_INFINITE = 0x7F800000


def all_kept(shapes: Shapes, pools: Pools) -> Masks:
    """Masks of one row that keep all weights of the pools: where pruning starts.

    Args:
        shapes: Name to shape [out, in]; those in no pool are left out.
        pools: Pool to its names.
    """
    chosen = {name: tuple(shapes[name]) for names in pools.values() for name in names}
    packed = {}
    for name, shape in chosen.items():
        size = prod(shape)
        packed[name] = np.full((1, -(-size // 8)), 0xFF, np.uint8)
        packed[name][0, -1] = 0xFF00 >> (size % 8 or 8) & 0xFF
    return Masks.of_bytes(packed, chosen, 1)


def prune(weights: Weights, masks: Masks, pools: Pools, keep: Mapping[str, int]) -> Masks:
    """Keep exactly so many weights of each pool: the largest by magnitude among those that are still kept.

    Of equal magnitudes the earlier is kept: that of the earlier name in the pool's order, then of the earlier row, then
    of the earlier column. A magnitude is taken as the bits of |x|, which order as |x| does.

    Args:
        weights: Name to float32 [out, in]: NumPy arrays or PyTorch tensors, which are not copied unless they are on
            another device or not contiguous, and then one at a time.
        masks: What is kept so far: one row, of the weights of all pools and no others. Left as it is.
        pools: Pool to its names, in order.
        keep: Pool to how many it keeps.

    Returns:
        What is kept now, a bit a weight.

    Raises:
        PolyticketError: A weight is missing, is not float32, has another shape than its mask, or holds NaN or infinity;
            names it. A pool keeps less than it should.
    """
    return _pruned(lambda name: _magnitudes(weights, name, masks.shapes[name]), masks, pools, keep)


def by_magnitude(weights: Weights, masks: Masks, pools: Pools, share: float, seed: int = 0) -> Masks:  # noqa: ARG001
    """To floor(n · share) of each pool's n weights, by magnitude among those still kept."""
    return prune(weights, masks, pools, pool_counts(masks.sizes, pools, share))


def at_once(weights: Weights, masks: Masks, pools: Pools, share: float, seed: int = 0) -> Masks:
    """As `by_magnitude`, but among all weights, whatever was kept so far: every level from the same weights."""
    return by_magnitude(weights, all_kept(masks.shapes, pools), pools, share, seed)


def by_component(weights: Weights, masks: Masks, pools: Pools, share: float, seed: int = 0) -> Masks:
    """To floor(n · share) of each matrix's n weights, by magnitude among those still kept."""
    return by_magnitude(weights, masks, {name: [name] for names in pools.values() for name in names}, share, seed)


def at_random(weights: Weights, masks: Masks, pools: Pools, share: float, seed: int = 0) -> Masks:  # noqa: ARG001
    """To floor(n · share) of each pool's n weights, drawn among those still kept; the weights do not matter.

    Each weight's lot is a number of 31 bits that depends on the seed and on the weight's name and place alone, so that
    levels of one seed lie in each other whatever rounds led there. Equal lots go by the rule of equal magnitudes.
    """

    def lots(name: str) -> Iterator[Keys]:
        random, size = stream(seed, "", "random subnetwork " + name), masks.sizes[name]
        for first in range(0, size, BLOCK):
            count = min(BLOCK, size - first)
            yield random.bit_generator.random_raw(-(-count // 2)).view(np.uint32)[:count] >> np.uint32(1)

    return _pruned(lots, masks, pools, pool_counts(masks.sizes, pools, share))


PRUNERS: dict[str, Pruner] = {
    "magnitude": by_magnitude,
    "finetuned": at_once,
    "random": at_random,
    "component": by_component,
}


def pruner(name: str) -> Pruner:
    """A way to prune, by its name.

    Raises:
        PolyticketError: There is none of that name.
    """
    if name not in PRUNERS:
        raise PolyticketError(f"unknown pruning {name!r}", where="subnetwork.pruning", expected=", ".join(PRUNERS))
    return PRUNERS[name]


def pool_counts(sizes: Mapping[str, int], pools: Pools, share: float) -> dict[str, int]:
    """Pool to how many weights it keeps: floor(n · share) of its n, exact for the decimal that was written."""
    return {pool: keep_count(sum(sizes[name] for name in names), share) for pool, names in pools.items()}


def _pruned(keys_of: KeysOf, masks: Masks, pools: Pools, keep: Mapping[str, int]) -> Masks:
    names = [name for pool in pools.values() for name in pool]
    if len(masks.words) != 1 or sorted(names) != list(masks):
        raise PolyticketError("masks of other weights than the pools'", where="subnetwork", expected="one row of them")
    counts = dict(zip(masks, masks.counts()[:, 0].tolist(), strict=True))
    packed: dict[str, Packed] = {}
    for pool, members in pools.items():
        present = sum(counts[name] for name in members)
        if not 0 <= keep[pool] <= present:
            raise PolyticketError(f"{pool} keeps {present}", where="subnetwork", expected=f"at least {keep[pool]}")
        blocks = _blocks(keys_of, masks, members)
        packed |= _laid_out(kept(blocks, find_cut(blocks, keep[pool])), masks, members)
    return Masks.of_bytes(packed, masks.shapes, 1)


def _blocks(keys_of: KeysOf, masks: Masks, names: Sequence[str]) -> Blocks:
    def blocks() -> Iterator[tuple[Keys, Packed]]:
        for name in names:
            bits, at = masks.bytes_of(name)[0], 0
            for keys in keys_of(name):
                end = at + -(-keys.size // 8)
                yield keys, bits[at:end]
                at = end

    return blocks


def _laid_out(found: Iterator[Packed], masks: Masks, names: Sequence[str]) -> dict[str, Packed]:
    packed = {}
    for name in names:
        blocks = -(-masks.sizes[name] // BLOCK)
        packed[name] = np.concatenate([next(found) for _ in range(blocks)])[None]
    return packed


def _magnitudes(weights: Weights, name: str, shape: tuple[int, ...]) -> Iterator[Keys]:
    """The bits of |x|, BLOCK at a time."""
    bits = _array(weights, name, shape).reshape(-1).view(np.uint32)
    for first in range(0, bits.size, BLOCK):
        keys = bits[first : first + BLOCK] & _MAGNITUDE
        if keys.max() >= _INFINITE:
            raise PolyticketError(f"{name} holds NaN or infinity", where="weights", expected="finite weights")
        yield keys


def _array(weights: Weights, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if name not in weights:
        raise PolyticketError(f"no {name}", where="weights", expected="all weights that are pruned")
    found = weights[name]
    if hasattr(found, "detach"):  # a tensor, known by what it can do, so that PyTorch is not imported for arrays
        found = found.detach()
        if str(found.dtype) == "torch.float32":
            found = found.cpu().numpy()
    if str(found.dtype) != "float32" or tuple(found.shape) != shape:
        said = f"{name} is {found.dtype} {list(found.shape)}"
        raise PolyticketError(said, where="weights", expected=f"float32 {list(shape)}")
    return np.ascontiguousarray(found)
