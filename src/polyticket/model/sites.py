"""The places in a BERT where a mask row multiplies the output of a projection."""

from dataclasses import dataclass

from polyticket.model.shape import BertShape


@dataclass(frozen=True)
class Site:
    """One mask vector per language.

    Attributes:
        name: The parameter's name, for example `bert.encoder.layer.0.attention.self.attention_mask`.
        size: Neurons, the width of the projection.
        prunable: Whether allocation may put zeros here.
        layer: The layer's number from 0; None for the pooler.
        component: A short name for tables and figures.
    """

    name: str
    size: int
    prunable: bool
    layer: int | None
    component: str


def mask_sites(shape: BertShape) -> list[Site]:
    """All mask sites of a model, in the order of the forward pass."""
    H, width = shape.hidden_size, shape.intermediate_size
    found = []
    for layer in range(shape.num_hidden_layers):
        for suffix, size, prunable, component in (
            ("attention.self.attention_mask", H, True, "query·key"),
            ("attention.self.value_attention_mask", H, True, "value"),
            ("attention.output.output_mask", H, False, "attention output"),
            ("intermediate.intermediate_mask", width, True, "intermediate"),
            ("output.layer_mask", H, False, "output"),
        ):
            found.append(Site(f"bert.encoder.layer.{layer}.{suffix}", size, prunable, layer, component))
    return [*found, Site("bert.pooler.pool_mask", H, True, None, "pooler")]


def prunable_sites(shape: BertShape) -> list[Site]:
    """The sites that allocation decides on."""
    return [site for site in mask_sites(shape) if site.prunable]
