"""The weights for a batch under a language's ticket: dense, masked or compact.

Masked and compact weights are linear maps of the full ones, so the model itself knows nothing of tickets: it computes
with what `weights` gives, and `gradients` takes the gradients of that back to the full weights (the transposed map).
The products then cost what the given weights cost. The mask of queries and keys is left to the model, where it is free.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from polyticket.model.compact import Group, LayerSizes, groups_of, projections
from polyticket.model.shape import BertShape, mask_entries, mask_sites, tf_name
from polyticket.model.tf_fused import compiled

Tensors = Mapping[str, tf.Tensor]
Masks = Mapping[str, NDArray[np.float32]]
Heads = tuple[tuple[Group, ...], ...]


class Weighting(Protocol):
    """How the weights of a batch come about.

    Attributes:
        heads: The groups of heads of each layer, as the attention of the given weights has them.
    """

    heads: Heads

    def rows(self, language: tf.Tensor) -> dict[str, tf.Tensor]:
        """What decides the weights of a language (int scalar): rows of all that is kept per language."""
        ...

    def weights(self, v: Tensors, rows: Tensors) -> dict[str, tf.Tensor]:
        """The weights that compute for a language, by checkpoint name; the model gets `rows` too, for inline masks."""
        ...

    def gradients(self, found: Tensors, rows: Tensors) -> dict[str, tf.Tensor]:
        """Gradients of the full weights from those of what `weights` gave."""
        ...


def whole_heads(shape: BertShape) -> Heads:
    """Every layer with all heads of one size."""
    heads, size = tuple(range(shape.num_attention_heads)), shape.head_size
    return ((Group(heads, size, size),),) * shape.num_hidden_layers


class Dense:
    """The weights as they are."""

    def __init__(self, shape: BertShape) -> None:
        self.heads = whole_heads(shape)

    def rows(self, language: tf.Tensor) -> dict[str, tf.Tensor]:  # noqa: ARG002
        """Nothing is kept per language."""
        return {}

    def weights(self, v: Tensors, rows: Tensors) -> dict[str, tf.Tensor]:  # noqa: ARG002
        """What is given."""
        return dict(v)

    def gradients(self, found: Tensors, rows: Tensors) -> dict[str, tf.Tensor]:  # noqa: ARG002
        """What is given."""
        return dict(found)


@cache
def masked_projections(shape: BertShape) -> dict[str, str]:
    """The dense layers whose outputs masks multiply: their names in a checkpoint to those of the masks."""
    return {tf_name(dense): tf_name(site.name) for site in mask_sites(shape) for dense in projections(site.name)}


def is_inline(site: str) -> bool:
    """Whether the model multiplies by a mask on its way, where that costs nothing.

    It does so for queries, which it scales anyhow; their product with the keys leaves nothing of masked positions.
    """
    return site.endswith("/self/attention_mask")


def multiplied(v: Tensors, shape: BertShape, rows: Tensors) -> dict[str, tf.Tensor]:
    """Kernels and biases with the columns of masked outputs at zero: (x W + b) m = x (W m) + b m.

    Args:
        v: Weights, or their gradients, by checkpoint name.
        shape: Of the model.
        rows: Mask name to row [size]; what is not named is not masked, and what is inline is left to the model.
    """
    found = dict(v)
    for dense, site in masked_projections(shape).items():
        if site in rows and not is_inline(site):
            for name in (f"{dense}/kernel", f"{dense}/bias"):
                found[name] = v[name] * rows[site]
    return found


class Masked:
    """Every masked output multiplied by its language's mask; sites that no language prunes are left alone.

    Args:
        shape: Of the model.
        masks: Checkpoint name to float32 [L, size].
        variable: Makes a variable that is not trained of a name and an array.
    """

    def __init__(self, shape: BertShape, masks: Masks, variable: "MakeVariable") -> None:
        self.shape, self.heads = shape, whole_heads(shape)
        self.masks = {name: variable(name, array) for name, array in masks.items() if not (array == 1).all()}

    def rows(self, language: tf.Tensor) -> dict[str, tf.Tensor]:
        """Mask rows [size]."""
        return {name: tf.gather(array, language) for name, array in self.masks.items()}

    def weights(self, v: Tensors, rows: Tensors) -> dict[str, tf.Tensor]:
        """Masked columns are zero."""
        return multiplied(v, self.shape, rows)

    def gradients(self, found: Tensors, rows: Tensors) -> dict[str, tf.Tensor]:
        """Masked columns get none."""
        return multiplied(found, self.shape, rows)


class MakeVariable(Protocol):
    """Makes a variable that is not trained, where the model's variables are."""

    def __call__(self, name: str, value: NDArray[np.generic]) -> tf.Variable:
        """A variable of a name and a value."""
        ...


class Cut(NamedTuple):
    """Which outputs of a dense layer each language keeps, in an order and padded to a size that serves all of them.

    Attributes:
        positions: int32 [L, K], the outputs; where `kept` is zero, any.
        kept: float32 [L, K] of zeros and ones.
        back: int32 [L, size], the position of each output among the K; any where it is not kept.
        mask: float32 [L, size], whether it is kept.
    """

    positions: NDArray[np.int32]
    kept: NDArray[np.float32]
    back: NDArray[np.int32]
    mask: NDArray[np.float32]


def cut_of(slots: Sequence[Sequence[NDArray[np.int64]]], widths: Sequence[int], size: int) -> Cut:
    """Put what each language keeps into slots of given widths.

    Args:
        slots: For each language, the outputs in each slot, at most as many as it is wide.
        widths: Of the slots, in order.
        size: How many outputs there are.
    """
    starts = np.concatenate([[0], np.cumsum(widths)])
    L, K = len(slots), int(starts[-1])
    cut = Cut(*(np.zeros((L, n), kind) for n, kind in ((K, "i4"), (K, "f4"), (size, "i4"), (size, "f4"))))
    for row, parts in enumerate(slots):
        for start, part in zip(starts, parts, strict=False):
            at = np.arange(start, start + len(part))
            cut.positions[row, at], cut.kept[row, at] = part, 1
            cut.back[row, part], cut.mask[row, part] = at, 1
    return cut


class Compact:
    """What a language prunes is cut out: smaller products, of one static size that serves all languages.

    The heads of a layer are sorted by what the language keeps of them, and the n-th is as wide as the widest n-th head
    of all languages; heads of like width go through attention together. The feed-forward width is that of the language
    that keeps most. The pooler, and projections that are never pruned, are multiplied where a mask has zeros.

    Args:
        shape: Of the model.
        masks: Checkpoint name to float32 [L, size]; at least one. What is not named is not masked.
        variable: Makes a variable that is not trained of a name and an array.
        multiple: Widths of heads are rounded up to a multiple of this, the feed-forward width to one of four times it.
    """

    def __init__(self, shape: BertShape, masks: Masks, variable: MakeVariable, *, multiple: int = 8) -> None:
        cuts: dict[str, Cut] = {}
        self.columns: dict[str, str] = {}  # dense layer to the cut of its outputs
        self.inputs: dict[str, str] = {}  # dense layer to the cut of its inputs
        heads = []
        masks = {**_whole(shape, len(next(iter(masks.values())))), **masks}
        for layer in range(shape.num_hidden_layers):
            at = f"bert/encoder/layer_{layer}"
            groups, matched, valued = _cut_heads(shape, masks, f"{at}/attention/self", multiple)
            heads.append(groups)
            cuts |= {f"{at}/qk": matched, f"{at}/v": valued, f"{at}/wide": _cut_wide(shape, masks, at, multiple)}
            self.columns |= {f"{at}/attention/self/{name}": f"{at}/qk" for name in ("query", "key")}
            self.columns |= {f"{at}/attention/self/value": f"{at}/v", f"{at}/intermediate/dense": f"{at}/wide"}
            self.inputs |= {f"{at}/attention/output/dense": f"{at}/v", f"{at}/output/dense": f"{at}/wide"}
        self.heads: Heads = tuple(heads)
        cut_here = {site for dense, site in masked_projections(shape).items() if dense in self.columns}
        self.rest = Masked(shape, {name: array for name, array in masks.items() if name not in cut_here}, variable)
        self.cuts = {
            f"{name}/{part}": variable(f"{name}/{part}", array)
            for name, cut in cuts.items()
            for part, array in cut._asdict().items()
        }

    def rows(self, language: tf.Tensor) -> dict[str, tf.Tensor]:
        """The rows of every `Cut`, and of masks that are multiplied by."""
        return self.rest.rows(language) | {name: tf.gather(array, language) for name, array in self.cuts.items()}

    def weights(self, v: Tensors, rows: Tensors) -> dict[str, tf.Tensor]:
        """Columns and rows that the language keeps; padded columns are zero."""
        found = self.rest.weights(v, rows)
        for dense, cut in self.columns.items():
            for name in (f"{dense}/kernel", f"{dense}/bias"):
                found[name] = _columns(found[name], rows[f"{cut}/positions"], rows[f"{cut}/kept"])
        for dense, cut in self.inputs.items():
            found[f"{dense}/kernel"] = tf.gather(found[f"{dense}/kernel"], rows[f"{cut}/positions"], axis=0)
        return found

    def gradients(self, found: Tensors, rows: Tensors) -> dict[str, tf.Tensor]:
        """Every kept column and row gets its own back, the others zero: a gather, where a scatter would be slow."""
        full = dict(found)
        for dense, cut in self.columns.items():
            for name in (f"{dense}/kernel", f"{dense}/bias"):
                full[name] = _columns(full[name], rows[f"{cut}/back"], rows[f"{cut}/mask"])
        for dense, cut in self.inputs.items():
            name = f"{dense}/kernel"
            full[name] = tf.gather(full[name], rows[f"{cut}/back"], axis=0) * rows[f"{cut}/mask"][:, None]
        return self.rest.gradients(full, rows)


@compiled  # gathers along the last axis are slow otherwise
def _columns(x: tf.Tensor, positions: tf.Tensor, kept: tf.Tensor) -> tf.Tensor:
    return tf.gather(x, positions, axis=-1) * kept


def _whole(shape: BertShape, languages: int) -> dict[str, NDArray[np.float32]]:
    """Masks of ones for every site of the layers."""
    return {e.tf: np.ones(e.shape, np.float32) for e in mask_entries(shape, languages)}


def _cut_heads(shape: BertShape, masks: Masks, at: str, multiple: int) -> tuple[tuple[Group, ...], Cut, Cut]:
    """The groups of a layer's heads, and the cuts of queries and keys, and of values."""
    qk, v = (masks[f"{at}/{name}"].astype(bool) for name in ("attention_mask", "value_attention_mask"))
    by_head = [mask.reshape(len(mask), shape.num_attention_heads, -1) for mask in (qk, v)]
    by_head[0] = by_head[0] & by_head[1].any(2, keepdims=True)  # a head without values adds nothing
    counts = [mask.sum(2) for mask in by_head]  # [L, h]
    order = np.argsort(counts[0] + counts[1], axis=1, kind="stable")
    widest = [np.take_along_axis(count, order, 1).max(0) for count in counts]
    for widths in widest:
        widths[-1] = max(widths[-1], 1)  # so that nothing is empty
    padded = [tuple(_rounded(int(width), multiple, shape.head_size) for width in widths) for widths in widest]
    groups = groups_of(LayerSizes(padded[0], padded[1], 0))
    positions = [position for group in groups for position in group.heads]
    cuts = []
    for number, mask in enumerate(by_head):
        widths = [group[1 + number] for group in groups for _ in group.heads]
        slots = [
            [shape.head_size * head + np.flatnonzero(kept[head]) for head in ranked[positions]]
            for kept, ranked in zip(mask, order, strict=True)
        ]
        cuts.append(cut_of(slots, widths, shape.hidden_size))
    return groups, cuts[0], cuts[1]


def _cut_wide(shape: BertShape, masks: Masks, at: str, multiple: int) -> Cut:
    kept = masks[f"{at}/intermediate/intermediate_mask"].astype(bool)
    width = _rounded(max(int(kept.sum(1).max()), 1), 4 * multiple, shape.intermediate_size)
    return cut_of([[np.flatnonzero(row)] for row in kept], [width], shape.intermediate_size)


def _rounded(width: int, multiple: int, most: int) -> int:
    return min(-(-width // multiple) * multiple, most)
