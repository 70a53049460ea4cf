"""What a language's ticket makes of the weights before a batch is computed: masked here, cut in `tf_compact`.

Both are linear maps of the weights, so that the model itself knows nothing of tickets: it computes with what `weights`
gives, and `gradients` takes the gradients of that back to the full weights (the transposed map). The products then
cost what the given weights cost. The mask of queries and keys is left to the model, for which it is free.
"""

from collections.abc import Mapping
from functools import cache
from typing import Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from polyticket.export.packing import Group
from polyticket.model.folding import projections
from polyticket.model.names import tf_name
from polyticket.model.shape import BertShape
from polyticket.model.sites import mask_sites

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

    It does so for queries, which it scales anyhow; their product with the keys leaves nothing of masked places.
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
