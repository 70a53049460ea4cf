"""Where the rows of ragged heads stand in packed projections: a few groups of heads, padded with zeros to one width."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyticket.export.layout import LayerSizes

Indices = NDArray[np.int64]
GROUP_COST = 64
"""What one more group costs, in rows and columns of the projections: a call of attention, not longer products."""
NEAR = 6
"""Query·key and value widths of a group that differ by at most this become one: zero rows cost less than copies."""


class Group(NamedTuple):
    """Heads that attention treats at once.

    Attributes:
        heads: Which.
        query_key: Rows of each head's queries and keys, rows of zeros included.
        value: Rows of each head's values.
    """

    heads: tuple[int, ...]
    query_key: int
    value: int


def groups_of(sizes: LayerSizes) -> tuple[Group, ...]:
    """Cut the heads, sorted by width, into the groups that cost least; heads without values are left out."""
    order = sorted(
        (head for head, value in enumerate(sizes.value) if value),
        key=lambda head: (max(sizes.query_key[head], sizes.value[head]), head),
    )
    best: list[tuple[int, tuple[Group, ...]]] = [(0, ())]
    for end in range(1, len(order) + 1):
        ways = []
        for start in range(end):
            group = _group(order[start:end], sizes)
            rows = 2 * len(group.heads) * (group.query_key + group.value)
            ways.append((best[start][0] + rows + GROUP_COST, (*best[start][1], group)))
        best.append(min(ways, key=lambda way: way[0]))
    return best[-1][1]


def _group(heads: Sequence[int], sizes: LayerSizes) -> Group:
    qk, v = max(sizes.query_key[head] for head in heads), max(sizes.value[head] for head in heads)
    if abs(qk - v) <= NEAR:
        qk = v = max(qk, v)
    return Group(tuple(heads), qk, v)


class Packing(NamedTuple):
    """Places of one layer's rows in its packed query-key-value projection, and of its values in what attention gives.

    Packed are the queries of all groups, then their keys, then their values; attention gives the values alone.

    Attributes:
        rows: Packed rows, zeros included.
        query: int64, the place of each row that is kept, heads in order; `key` and `value` likewise.
        mixed: Width of what attention gives, zeros included.
        output: int64, the place of each kept value in it.
    """

    rows: int
    query: Indices
    key: Indices
    value: Indices
    mixed: int
    output: Indices


def packing_of(sizes: LayerSizes) -> Packing:
    """The packing of a layer."""
    groups = groups_of(sizes)
    qk, matched = _spread([(group.heads, group.query_key) for group in groups], sizes.query_key)
    v, mixed = _spread([(group.heads, group.value) for group in groups], sizes.value)
    return Packing(2 * matched + mixed, qk, matched + qk, 2 * matched + v, mixed, v)


def _spread(groups: Sequence[tuple[tuple[int, ...], int]], sizes: Sequence[int]) -> tuple[Indices, int]:
    starts, end = {}, 0
    for heads, width in groups:
        for head in heads:
            starts[head] = end
            end += width
    places = [np.arange(starts[head], starts[head] + sizes[head]) for head in sorted(starts)]
    return (np.concatenate(places) if places else np.zeros(0, np.int64)), end
