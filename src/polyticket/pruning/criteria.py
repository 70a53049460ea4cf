"""Pruning criteria: by magnitude, and by the controls that magnitude pruning is compared with.

The highest keys are selected in exact number by counting: without a sort and without a copy of all keys. Keys are whole
numbers below 2^31, and keys with the same high 16 bits are a bucket. A sample tells between which buckets the last key
that is kept lies; where it tells too little, a pass counts all buckets. Another pass counts the keys of these buckets
one by one, and those above them together. A last pass writes the mask. Each pass reads one block at a time.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import isqrt, prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyticket.core.errors import PolyticketError
from polyticket.core.random_streams import stream
from polyticket.core.ranking import keep_count
from polyticket.tickets.masks import Masks, Shapes

BLOCK = 1 << 16  # keys of a block: they fit the cache, and their bits are whole bytes of a mask
LIMIT = 1 << 31
HALF = np.uint32(16)
STRIDE = 512  # one key of so many is in the sample
MOST_BUCKETS = 64  # whose keys are counted one by one
AT_ONCE = 1 << 20  # keys that are counted in one call
Keys = NDArray[np.uint32]
Packed = NDArray[np.uint8]
Blocks = Callable[[int], Iterable[tuple[Keys, Packed]]]
Pools = Mapping[str, Sequence[str]]
Weights = Mapping[str, Any]
KeysOf = Callable[[str, int], Iterator[Keys]]
Pruner = Callable[[Weights, Masks, Pools, float, int], Masks]
_MAGNITUDE = np.uint32(0x7FFFFFFF)
_INFINITE = 0x7F800000


def full_masks(shapes: Shapes, pools: Pools) -> Masks:
    """Masks of one row that keep all weights of the pools. Pruning starts from them.

    Args:
        shapes: Name to shape [out, in]; names in no pool are left out.
        pools: Pool to its names.
    """
    chosen = {name: tuple(shapes[name]) for names in pools.values() for name in names}
    packed = {}
    for name, shape in chosen.items():
        size = prod(shape)
        packed[name] = np.full((1, -(-size // 8)), 0xFF, np.uint8)
        packed[name][0, -1] = 0xFF00 >> (size % 8 or 8) & 0xFF
    return Masks.of_bytes(packed, chosen, 1)


def prune(weights: Weights, masks: Masks, pools: Pools, keep: Mapping[str, int], block: int = BLOCK) -> Masks:
    """Keep the N weights of each pool with the largest magnitudes, among those that the masks keep.

    Of equal magnitudes the earlier is kept: that of the earlier name in the pool's order, then of the earlier row, then
    of the earlier column. A magnitude is taken as the bits of |x|, which order as |x| does.

    Args:
        weights: Name to float32 [out, in]: NumPy arrays or PyTorch tensors. What is on a GPU is pruned there. They are
            copied only if they are not contiguous, and then one at a time.
        masks: The present masks: one row, of the weights of all pools and no others. They are not changed.
        pools: Pool to its names, in order.
        keep: Pool to the number of weights that it keeps.
        block: Keys that are read at a time, a multiple of 8; it changes no result.

    Returns:
        The new masks, one bit per weight.

    Raises:
        PolyticketError: A weight is missing, is not float32, has another shape than its mask, or holds NaN or infinity;
            names it. A pool has fewer weights than it should keep.
    """
    if masks and all(getattr(weights.get(name), "is_cuda", False) for name in masks):
        from polyticket.pruning.on_gpu import prune_tensors  # PyTorch is not imported for arrays

        return prune_tensors(weights, masks, pools, keep)
    return _pruned(lambda *of: _magnitudes(weights, masks.shapes, block, *of), masks, pools, keep, block)


def by_magnitude(weights: Weights, masks: Masks, pools: Pools, density: float, seed: int = 0) -> Masks:  # noqa: ARG001
    """Keep floor(n · density) of each pool's n weights, by magnitude among those that the masks keep."""
    return prune(weights, masks, pools, pool_counts(masks.sizes, pools, density))


def by_full_magnitude(weights: Weights, masks: Masks, pools: Pools, density: float, seed: int = 0) -> Masks:
    """As `by_magnitude`, but among all weights, also those that the masks prune: every level from the same weights."""
    return by_magnitude(weights, full_masks(masks.shapes, pools), pools, density, seed)


def by_component(weights: Weights, masks: Masks, pools: Pools, density: float, seed: int = 0) -> Masks:
    """Keep floor(n · density) of each matrix's n weights, by magnitude among those that the masks keep."""
    return by_magnitude(weights, masks, {name: [name] for names in pools.values() for name in names}, density, seed)


def at_random(
    weights: Weights,  # noqa: ARG001
    masks: Masks,
    pools: Pools,
    density: float,
    seed: int = 0,
    block: int = BLOCK,
) -> Masks:
    """Keep floor(n · density) of each pool's n weights, drawn among those that the masks keep.

    The values of the weights do not matter. Each weight draws a number of 31 bits that depends only on the seed and on
    the weight's name and position, so that the masks of one seed are nested, whatever rounds led to them. Equal numbers
    are decided as equal magnitudes are.
    """

    def draws(name: str, stride: int) -> Iterator[Keys]:
        random, size = stream(seed, "", "random subnetwork " + name), masks.sizes[name]
        for first in range(0, size, block):
            count = min(block, size - first)
            yield random.bit_generator.random_raw(-(-count // 2)).view(np.uint32)[:count:stride] >> np.uint32(1)

    return _pruned(draws, masks, pools, pool_counts(masks.sizes, pools, density), block)


PRUNERS: dict[str, Pruner] = {
    "magnitude": by_magnitude,
    "finetuned": by_full_magnitude,
    "random": at_random,
    "component": by_component,
}


def pruner(name: str) -> Pruner:
    """A pruning criterion by its name.

    Raises:
        PolyticketError: There is none of that name.
    """
    if name not in PRUNERS:
        raise PolyticketError(f"unknown pruning {name!r}", where="subnetwork.pruning", expected=", ".join(PRUNERS))
    return PRUNERS[name]


def pool_counts(sizes: Mapping[str, int], pools: Pools, density: float) -> dict[str, int]:
    """Pool to the number of weights that it keeps: floor(n · density) of its n, exact for the written decimal."""
    return {pool: keep_count(sum(sizes[name] for name in names), density) for pool, names in pools.items()}


class Cut(NamedTuple):
    """The threshold of a pool.

    Attributes:
        key: The lowest key that is kept.
        ties: The number of keys equal to it that are kept: the first ones.
    """

    key: int
    ties: int


def find_cut(blocks: Blocks, count: int) -> Cut:
    """The threshold that keeps exactly `count` keys.

    Args:
        blocks: Gives the keys of each block in order, all or each n-th, uint32 [b] and below 2^31, with one bit per
            key, uint8 [ceil(b/8)], highest bit first: whether the key competes. They are read before the next block.
        count: From 0 to the number of keys that compete.
    """
    if not count:
        return Cut(LIMIT, 0)
    low, high = _sampled_buckets(blocks, count)
    above, counts = _key_counts(blocks, low, high) if high - low < MOST_BUCKETS else (count, np.zeros(0, np.int64))
    if not above < count <= above + int(counts.sum()):  # the sample told too little, or misled
        low, _ = _place(_bucket_counts(blocks), count)
        above, counts = _key_counts(blocks, low, low)
    key, higher = _place(counts, count - above)
    return Cut((low << 16) + key, count - above - higher)


def _place(counts: NDArray[np.int64], count: int) -> tuple[int, int]:
    """The entry that the count-th from the top falls into, and the sum of the entries above it."""
    running = np.cumsum(counts[::-1])
    place = int(np.searchsorted(running, count))
    return counts.size - 1 - place, int(running[place] - counts[::-1][place])


def _sampled_buckets(blocks: Blocks, count: int) -> tuple[int, int]:
    """The lowest and the highest bucket that the count-th key from the top is likely to be in."""
    competing = [keys[np.unpackbits(packed, count=keys.size).view(np.bool_)] for keys, packed in blocks(STRIDE)]
    sample = np.sort(np.concatenate(competing))
    if not sample.size:
        return 0, MOST_BUCKETS
    place, margin, last = sample.size - count // STRIDE, 4 * isqrt(sample.size), sample.size - 1
    low, high = (sample[min(max(at, 0), last)] >> HALF for at in (place - margin, place + margin))
    return int(low), int(high)


def _key_counts(blocks: Blocks, low: int, high: int) -> tuple[int, NDArray[np.int64]]:
    """How many keys lie in buckets above `high`, and how many are equal to each key of the buckets from `low` on."""
    first, end = np.uint32(low << 16), np.uint32(high + 1 << 16)
    above, size, counts, waiting = 0, 0, np.zeros(end - first, np.int64), []
    for keys, packed in blocks(1):
        higher = np.packbits(keys >= end) & packed
        above += int(np.bitwise_count(higher).sum(dtype=np.int64))
        inside = (np.packbits(keys >= first) & packed) ^ higher
        waiting.append(keys[np.flatnonzero(np.unpackbits(inside, count=keys.size))] - first)
        size += waiting[-1].size
        if size > AT_ONCE:
            counts += np.bincount(np.concatenate(waiting), minlength=counts.size)
            size, waiting = 0, []
    if waiting:
        counts += np.bincount(np.concatenate(waiting), minlength=counts.size)
    return above, counts


def _bucket_counts(blocks: Blocks) -> NDArray[np.int64]:
    """How many competing keys each bucket holds, int64 [2^15]."""
    counts = np.zeros(1 << 16, np.int64)
    for keys, packed in blocks(1):
        competes = np.unpackbits(packed, count=keys.size)
        # to count all keys with the bit as a further digit is much faster than to select some and count those
        counts += np.bincount(
            (keys >> HALF).astype(np.uint16) | competes.astype(np.uint16) << 15, minlength=counts.size
        )
    return counts[1 << 15 :]


def _kept_bits(blocks: Blocks, cut: Cut) -> Iterator[Packed]:
    """For each block the bits that are kept, uint8 [ceil(b/8)]."""
    ties = cut.ties
    for keys, packed in blocks(1):
        bits = np.packbits(keys > cut.key) & packed
        if ties:
            equal = np.packbits(keys == cut.key) & packed
            if (count := int(np.bitwise_count(equal).sum(dtype=np.int64))) > ties:
                positions = np.flatnonzero(np.unpackbits(equal))
                first = np.zeros(8 * equal.size, np.uint8)
                first[positions[:ties]] = 1
                equal = np.packbits(first)
            ties -= min(count, ties)
            bits |= equal
        yield bits


def check_pools(masks: Masks, pools: Pools, keep: Mapping[str, int]) -> None:
    """Check that masks are of the weights of all pools, and that each pool has as many as it should keep."""
    names = [name for pool in pools.values() for name in pool]
    if len(masks.words) != 1 or sorted(names) != list(masks):
        raise PolyticketError("masks of other weights than the pools'", where="subnetwork", expected="one row of them")
    counts = dict(zip(masks, masks.counts()[:, 0].tolist(), strict=True))
    for pool, members in pools.items():
        present = sum(counts[name] for name in members)
        if not 0 <= keep[pool] <= present:
            raise PolyticketError(f"{pool} keeps {present}", where="subnetwork", expected=f"at least {keep[pool]}")


def _pruned(keys_of: KeysOf, masks: Masks, pools: Pools, keep: Mapping[str, int], block: int) -> Masks:
    check_pools(masks, pools, keep)
    packed: dict[str, Packed] = {}
    for pool, members in pools.items():
        blocks = _blocks(keys_of, masks, members, block)
        bits = _kept_bits(blocks, find_cut(blocks, keep[pool]))
        for name in members:
            count = -(-masks.sizes[name] // block)
            packed[name] = np.concatenate([next(bits) for _ in range(count)])[None]
    return Masks.of_bytes(packed, masks.shapes, 1)


def _blocks(keys_of: KeysOf, masks: Masks, names: Sequence[str], block: int) -> Blocks:
    def blocks(stride: int) -> Iterator[tuple[Keys, Packed]]:
        for name in names:
            bits, start = masks.bytes_of(name)[0], 0
            for keys in keys_of(name, stride):
                end = min(start + block // 8, bits.size)
                here = bits[start:end]
                yield keys, here if stride == 1 else np.packbits(np.unpackbits(here)[::stride][: keys.size])
                start = end

    return blocks


def _magnitudes(weights: Weights, shapes: Shapes, block: int, name: str, stride: int) -> Iterator[Keys]:
    """The bits of |x|, a block at a time, in memory that the next block takes again."""
    bits = _array(weights, name, tuple(shapes[name])).reshape(-1).view(np.uint32)
    place = np.empty(min(block, bits.size), np.uint32)
    for first in range(0, bits.size, block):
        some = bits[first : first + block : stride]
        keys = np.bitwise_and(some, _MAGNITUDE, out=place[: some.size])
        if keys.max() >= _INFINITE:
            raise PolyticketError(f"{name} holds NaN or infinity", where="weights", expected="finite weights")
        yield keys


def _array(weights: Weights, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if name not in weights:
        raise PolyticketError(f"no {name}", where="weights", expected="all weights that are pruned")
    array = weights[name]
    if hasattr(array, "detach"):  # a tensor, known by what it can do, so that PyTorch is not imported for arrays
        array = array.detach()
        if str(array.dtype) == "torch.float32":
            array = array.cpu().numpy()
    if str(array.dtype) != "float32" or tuple(array.shape) != shape:
        problem = f"{name} is {array.dtype} {list(array.shape)}"
        raise PolyticketError(problem, where="weights", expected=f"float32 {list(shape)}")
    return np.ascontiguousarray(array)
