"""The weight matrices in which languages are compared, and where a ticket prunes them."""

from polyticket.conflict.settings import Settings, chosen_names
from polyticket.model.names import weight_entries
from polyticket.model.shape import BertShape

# a kernel's place in a layer, the mask that prunes it, and the axis of the kernel [in, out] along which the mask stands
PLACES = {
    "query": ("attention/self/query", "attention/self/attention_mask", 1),
    "key": ("attention/self/key", "attention/self/attention_mask", 1),
    "value": ("attention/self/value", "attention/self/value_attention_mask", 1),
    "attention_output": ("attention/output/dense", "attention/self/value_attention_mask", 0),
    "intermediate": ("intermediate/dense", "intermediate/intermediate_mask", 1),
    "output": ("output/dense", "intermediate/intermediate_mask", 0),
}


def chosen_matrices(shape: BertShape, settings: Settings) -> dict[str, tuple[int, int]]:
    """The chosen ones of the kernels of query, key, value, attention output, intermediate and output.

    Args:
        shape: The model's.
        settings: Which layers and matrices.

    Returns:
        Checkpoint name to shape [in, out], in the order of the forward pass.

    Raises:
        PolyticketError: The model has no such layer or matrix.
    """
    shapes = {entry.tf: entry.shape for entry in weight_entries(shape)}
    names = [_kernel(*name.split("/")) for name in chosen_names(shape.num_hidden_layers, settings)]
    return {name: (shapes[name][0], shapes[name][1]) for name in names}


def mask_of(kernel: str) -> tuple[str, int]:
    """The mask that prunes a kernel of `chosen_matrices`: its checkpoint name, and 1 for columns or 0 for rows.

    A mask multiplies the outputs of queries, keys, values and the intermediate layer, so it prunes their columns. What
    it prunes there are the inputs of the next kernel, whose rows go. The masks of the outputs of those stay one.
    """
    layer = "/".join(kernel.split("/")[:3])
    return next(
        (f"{layer}/{mask}", axis) for place, mask, axis in PLACES.values() if kernel == f"{layer}/{place}/kernel"
    )


def _kernel(layer: str, matrix: str) -> str:
    return f"bert/encoder/{layer}/{PLACES[matrix][0]}/kernel"
