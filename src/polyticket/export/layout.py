"""What is left of a BERT when masked rows and columns are removed: sizes that differ by layer and head."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

from polyticket.core.errors import PolyticketError
from polyticket.model.names import weight_entries
from polyticket.model.shape import BertShape


class LayerSizes(NamedTuple):
    """What one layer keeps.

    Attributes:
        query_key: For each of the h heads, the dimensions of its queries and keys.
        value: For each head, the dimensions of its values.
        intermediate: Neurons of the feed-forward half.
    """

    query_key: tuple[int, ...]
    value: tuple[int, ...]
    intermediate: int


@dataclass(frozen=True)
class Layout:
    """The sizes of a compact BERT.

    Attributes:
        shape: The full model; hidden size, attention scale and constants stay its own.
        layers: What each layer keeps.
        pooler: Rows of the pooler; None for a model without one.
    """

    shape: BertShape
    layers: tuple[LayerSizes, ...]
    pooler: int | None

    def __post_init__(self) -> None:
        shape, heads = self.shape, self.shape.num_attention_heads
        fits = len(self.layers) == shape.num_hidden_layers and 0 <= (self.pooler or 0) <= shape.hidden_size
        for layer in self.layers:
            sizes = (*layer.query_key, *layer.value)
            fits &= len(layer.query_key) == len(layer.value) == heads and 0 <= min(sizes) <= max(sizes)
            fits &= max(sizes) <= shape.head_size and 0 <= layer.intermediate <= shape.intermediate_size
        if not fits:
            raise PolyticketError("sizes do not fit the shape", where="compact layout", expected=f"parts of {shape}")

    @classmethod
    def full(cls, shape: BertShape, *, pooler: bool = True) -> "Layout":
        """The layout of a model that keeps everything."""
        heads = (shape.head_size,) * shape.num_attention_heads
        layers = (LayerSizes(heads, heads, shape.intermediate_size),) * shape.num_hidden_layers
        return cls(shape, layers, shape.hidden_size if pooler else None)

    def to_config(self) -> dict[str, Any]:
        """What `config.json` says: the full shape, and the sizes under `polyticket`."""
        return {**self.shape.to_config(), "polyticket": {"compact": self.sizes()}}

    def sizes(self) -> dict[str, Any]:
        """The sizes as JSON."""
        layers = [
            {"query_key": [*one.query_key], "value": [*one.value], "intermediate": one.intermediate}
            for one in self.layers
        ]
        return {"layers": layers, "pooler": self.pooler}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], where: object = "config.json") -> "Layout":
        """Read what `to_config` wrote.

        Raises:
            PolyticketError: It is not the configuration of a compact model.
        """
        try:
            sizes = config["polyticket"]["compact"]
            layers = tuple(
                LayerSizes(tuple(one["query_key"]), tuple(one["value"]), one["intermediate"]) for one in sizes["layers"]
            )
            return cls(BertShape.from_config(config, where), layers, sizes["pooler"])
        except (KeyError, TypeError, ValueError) as error:
            raise PolyticketError(
                f"not a compact model: {type(error).__name__} {error}",
                where=where,
                expected="what `save_compact` wrote",
            ) from None

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """The shape of every tensor of the encoder in a file, by Hugging Face's name."""
        found = {
            entry.torch: entry.torch_shape for entry in weight_entries(self.shape) if entry.torch.startswith("bert.")
        }
        for number, sizes in enumerate(self.layers):
            at = f"bert.encoder.layer.{number}"
            qk, v = sum(sizes.query_key), sum(sizes.value)
            rows = {"self.query": qk, "self.key": qk, "self.value": v}
            dense = {f"attention.{name}": count for name, count in rows.items()} | {
                "intermediate.dense": sizes.intermediate
            }
            for name, count in dense.items():
                found |= {f"{at}.{name}.weight": (count, self.shape.hidden_size), f"{at}.{name}.bias": (count,)}
            found[f"{at}.attention.output.dense.weight"] = (self.shape.hidden_size, v)
            found[f"{at}.output.dense.weight"] = (self.shape.hidden_size, sizes.intermediate)
        for name in ("bert.pooler.dense.weight", "bert.pooler.dense.bias"):
            size = found.pop(name)
            if self.pooler is not None:
                found[name] = (self.pooler, *size[1:])
        return found | {"bert.pooled": (self.pooler or 0,)}

    def parameters(self) -> dict[str, int]:
        """Weights of the encoder: `total`, and `without_embeddings` (what computes). Pretraining heads are left out."""
        counts = {name: prod(size) for name, size in self.tensors().items() if name != "bert.pooled"}
        tables = sum(count for name, count in counts.items() if name.startswith("bert.embeddings."))
        return {"total": sum(counts.values()), "without_embeddings": sum(counts.values()) - tables}

    def flops(self, length: int = 128) -> int:
        """Floating-point operations of one sequence: two for each multiply-add of the matrix products.

        Per layer 2·T·H·(2·qk + 2·v + 2·wide) for the projections and 2·T²·(qk + v) for attention, and 2·H·pooler.
        """
        T, H = length, self.shape.hidden_size
        total = 2 * H * (self.pooler or 0)
        for layer in self.layers:
            qk, v = sum(layer.query_key), sum(layer.value)
            total += 4 * T * H * (qk + v + layer.intermediate) + 2 * T * T * (qk + v)
        return total
