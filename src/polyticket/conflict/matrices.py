"""The weight matrices in which languages are compared."""

from collections.abc import Sequence

from polyticket.conflict.settings import chosen_layers
from polyticket.model.names import weight_entries
from polyticket.model.shape import BertShape


def chosen_matrices(shape: BertShape, layers: Sequence[int] | None) -> dict[str, tuple[int, int]]:
    """The kernels of query, key, value, attention output, intermediate and output of the chosen layers.

    Args:
        shape: The model's.
        layers: Numbers from 0, in any order; None for all.

    Returns:
        Checkpoint name to shape [in, out], in the order of the forward pass.

    Raises:
        PolyticketError: The model has no such layer.
    """
    chosen = chosen_layers(shape.num_hidden_layers, layers)
    starts = tuple(f"bert/encoder/layer_{layer}/" for layer in chosen)
    kernels = [entry for entry in weight_entries(shape) if entry.tf.endswith("/kernel")]
    return {e.tf: (e.shape[0], e.shape[1]) for e in kernels if e.tf.startswith(starts)}
