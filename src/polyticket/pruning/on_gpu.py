"""Magnitude pruning of weights that are on a GPU, without a copy of them: the same masks as on a CPU, bit by bit.

Selection is by counting, as in `criteria`: the high 16 bits of the keys first, then the low 16 bits of one bucket.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polyticket.core.errors import PolyticketError
from polyticket.pruning.criteria import LIMIT, Cut, Pools, check_pools
from polyticket.tickets.masks import Masks

HALF = 16
BUCKETS = 1 << 15
INFINITE = 0x7F800000
PRUNED = -1
"""The key of a weight that does not compete; the keys of others are the bits of |x|."""


def prune_tensors(weights: Mapping[str, Tensor], masks: Masks, pools: Pools, keep: Mapping[str, int]) -> Masks:
    """See `criteria.prune`. Beside the weights of one pool, as much memory again is taken.

    Args:
        weights: Name to float32 [out, in], all on one device.
        masks: One row, of the weights of all pools.
        pools: Pool to its names, in order.
        keep: Pool to the number of weights that it keeps.
    """
    check_pools(masks, pools, keep)
    packed: dict[str, NDArray[np.uint8]] = {}
    for pool, names in pools.items():
        keys = {name: _keys(weights, name, masks) for name in names}
        packed |= _kept_bits(keys, _cut(keys.values(), keep[pool]))
    return Masks.of_bytes(packed, masks.shapes, 1)


def _keys(weights: Mapping[str, Tensor], name: str, masks: Masks) -> Tensor:
    """int32 [n], the bits of |x| of a matrix, `PRUNED` where the mask prunes."""
    weight, shape = weights[name].detach(), masks.shapes[name]
    if weight.dtype != torch.float32 or tuple(weight.shape) != shape:
        problem = f"{name} is {str(weight.dtype).removeprefix('torch.')} {list(weight.shape)}"
        raise PolyticketError(problem, where="weights", expected=f"float32 {list(shape)}")
    keys = weight.contiguous().view(torch.int32).flatten() & 0x7FFFFFFF
    if int(keys.max()) >= INFINITE:
        raise PolyticketError(f"{name} holds NaN or infinity", where="weights", expected="finite weights")
    return keys.masked_fill_(~_unpacked(masks.bytes_of(name)[0], keys), PRUNED)


def _unpacked(packed: NDArray[np.uint8], keys: Tensor) -> Tensor:
    """Bool [n] of bits, the highest of each byte first."""
    places = torch.arange(7, -1, -1, dtype=torch.uint8, device=keys.device)
    bits = torch.from_numpy(packed.copy()).to(keys.device)[:, None] >> places & 1
    return bits.flatten()[: keys.numel()].bool()


def _cut(matrices: Iterable[Tensor], count: int) -> Cut:
    """The threshold that keeps exactly `count` keys of a pool, see `criteria.find_cut`."""
    if not count:
        return Cut(LIMIT - 1, 0)  # no key is above, and int32 holds it
    matrices = list(matrices)
    high, above = _bucket(torch.stack([_counts((keys >> HALF) + 1, BUCKETS + 1) for keys in matrices])[:, 1:], count)
    low = [_counts(keys[keys >> HALF == high] & 0xFFFF, 1 << HALF) for keys in matrices]
    inside, higher = _bucket(torch.stack(low), count - above)
    return Cut(high << HALF | inside, count - above - higher)


def _counts(values: Tensor, size: int) -> Tensor:
    """int64 [size], how often each value occurs."""
    return torch.bincount(values, minlength=size)


def _bucket(counts: Tensor, count: int) -> tuple[int, int]:
    """The bucket of the count-th key from the top, and the number of keys in higher buckets."""
    sums = counts.sum(0).cpu().numpy()
    running = np.cumsum(sums[::-1])
    place = int(np.searchsorted(running, count))
    return sums.size - 1 - place, int(running[place] - sums[::-1][place])


def _kept_bits(keys: Mapping[str, Tensor], cut: Cut) -> dict[str, NDArray[np.uint8]]:
    """Name to the bits that are kept, uint8 [1, ceil(n/8)]; of equal keys the first ones."""
    ties, packed = cut.ties, {}
    for name, own in keys.items():
        bits = own > cut.key
        if ties:
            equal = own == cut.key
            count = int(equal.sum())
            if count > ties:
                equal &= equal.cumsum(0) <= ties
            ties -= min(count, ties)
            bits |= equal
        packed[name] = _packed(bits).cpu().numpy()[None]
    return packed


def _packed(bits: Tensor) -> Tensor:
    """uint8 [ceil(n/8)] of bool [n], the first in the highest bit."""
    whole = torch.nn.functional.pad(bits.byte(), (0, -bits.numel() % 8)).unflatten(0, (-1, 8))
    worth = 1 << torch.arange(7, -1, -1, dtype=torch.uint8, device=bits.device)
    return (whole * worth).sum(1, dtype=torch.uint8)
