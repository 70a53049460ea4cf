"""A language's ticket, folded into the weights or applied by removing rows and columns; and the way back."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyticket.core.errors import PolyticketError
from polyticket.core.text import read_as
from polyticket.model.folder import Arrays, Model
from polyticket.model.shape import BertShape, prunable_sites, weight_entries


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
        with read_as("a compact model, as `save_compact` writes it", where):
            sizes = config["polyticket"]["compact"]
            layers = tuple(
                LayerSizes(tuple(one["query_key"]), tuple(one["value"]), one["intermediate"]) for one in sizes["layers"]
            )
            shape, pooler = BertShape.from_config(config, where), sizes["pooler"]
            counts = [one for layer in layers for one in (*layer.query_key, *layer.value, layer.intermediate)]
            whole = all(type(one) is int and one >= 0 for one in (*counts, 0 if pooler is None else pooler))
            if not whole or len(layers) != shape.num_hidden_layers:
                expected = f"whole numbers from 0 for each of {shape.num_hidden_layers} layers"
                raise PolyticketError("sizes that no compact model has", where=where, expected=expected)
            return cls(shape, layers, pooler)

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


Indices = NDArray[np.int64]
GROUP_COST = 64
"""What one more group costs, in rows and columns of the projections: a call of attention, not longer products."""
MULTIPLE = 16
"""Widths of products are padded in memory to a multiple of this: on processors with AVX2, others take up to twice as
long. A file never holds the zeros."""
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


def padded(width: int) -> int:
    """The next multiple of `MULTIPLE`."""
    return -(-width // MULTIPLE) * MULTIPLE


class Packing(NamedTuple):
    """Positions of one layer's rows in its packed query-key-value projection, and of its values in attention's output.

    Packed are the queries of all groups, then their keys, then their values, then zeros up to a multiple of `MULTIPLE`;
    attention outputs the values, and as many of these zeros as make its width such a multiple.

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
    wide = padded(mixed)
    return Packing(padded(2 * matched + wide), qk, matched + qk, 2 * matched + v, wide, v)


def _spread(groups: Sequence[tuple[tuple[int, ...], int]], sizes: Sequence[int]) -> tuple[Indices, int]:
    starts, end = {}, 0
    for heads, width in groups:
        for head in heads:
            starts[head] = end
            end += width
    positions = [np.arange(starts[head], starts[head] + sizes[head]) for head in sorted(starts)]
    return (np.concatenate(positions) if positions else np.zeros(0, np.int64)), end


PROJECTIONS = {
    "attention.self.attention_mask": ("attention.self.query", "attention.self.key"),
    "attention.self.value_attention_mask": ("attention.self.value",),
    "attention.output.output_mask": ("attention.output.dense",),
    "intermediate.intermediate_mask": ("intermediate.dense",),
    "output.layer_mask": ("output.dense",),
    "pool_mask": ("dense",),
}


def fold(model: Model, language: str) -> Model:
    """Multiply the masked output rows and biases of every projection by the language's masks.

    Masking a projection's output y = W x + b by m is (m·W) x + m·b, and gelu(0) = tanh(0) = 0, so the
    folded model computes the same as the masked one up to rounding.

    Returns:
        A model without masks; `model` itself is not changed.
    """
    rows = model.mask_rows(language)
    weights = dict(model.weights)
    for site, row in (rows or {}).items():
        for name in projections(site):
            if f"{name}.weight" not in weights:  # an encoder that was saved without its pooler
                continue
            weights[f"{name}.weight"] = weights[f"{name}.weight"] * row[:, None]
            weights[f"{name}.bias"] = weights[f"{name}.bias"] * row
    return Model(model.shape, weights)


def projections(site: str) -> list[str]:
    """The names of the dense layers whose output a mask site multiplies."""
    match = re.fullmatch(r"(bert\.(?:encoder\.layer\.\d+|pooler))\.(.+)", site)
    if match is None or match[2] not in PROJECTIONS:
        raise ValueError(f"not a mask site: {site}")
    return [f"{match[1]}.{name}" for name in PROJECTIONS[match[2]]]


def density(model: Model, language: str) -> float:
    """The share of prunable neurons that a language's masks keep; sites that are not masked keep all.

    Raises:
        PolyticketError: The masks hold no row for the language.
    """
    rows, sites = model.mask_rows(language) or {}, prunable_sites(model.shape)
    kept = sum(float(np.sum(rows[site.name])) if site.name in rows else site.size for site in sites)
    return kept / sum(site.size for site in sites)


POOLER = "bert.pooler.dense"


class Compact(NamedTuple):
    """A compacted model.

    Attributes:
        layout: Its sizes.
        weights: Hugging Face name to float32 array; projections have fewer rows, the next matrices fewer columns.
        pooled: int64, which of the H pooled features the pooler's rows are; the others are tanh(0) = 0.
    """

    layout: Layout
    weights: Arrays
    pooled: Indices


class _Kept(NamedTuple):
    """Which rows (outputs) and columns (inputs) of each dense layer stay; a layer not named stays whole."""

    rows: dict[str, Indices]
    columns: dict[str, Indices]

    def part(self, name: str, array: NDArray[np.float32]) -> Any:
        """The index of what stays of a tensor; None if all of it does."""
        dense, _, kind = name.rpartition(".")
        if kind == "weight" and dense in self.columns:
            return np.ix_(np.arange(array.shape[0]), self.columns[dense])
        return self.rows.get(dense)


def compact(model: Model, language: str) -> Compact:
    """Remove every masked row of query, key, value, intermediate and pooler, and the columns that read them.

    A masked output of query and key adds nothing to q·k, one of value or of the feed-forward half (gelu(0) = 0)
    nothing to the next product, so the function is the same up to rounding. A head that keeps no value dimension adds
    nothing at all, so it loses its queries and keys too. Rows that are never pruned (the two output projections) are
    multiplied by their mask, as in folding.

    Raises:
        PolyticketError: The masks hold no row for the language.
    """
    positions, layout = _kept_positions(model, language)
    weights = dict(fold(model, language).weights)
    for name, array in weights.items():
        if (part := positions.part(name, array)) is not None:
            weights[name] = np.ascontiguousarray(array[part])
    pooled = positions.rows[POOLER] if layout.pooler is not None else np.zeros(0, np.int64)
    return Compact(layout, weights, pooled)


def expand(weights: Mapping[str, NDArray[np.float32]], model: Model, language: str) -> Model:
    """Put trained compact weights back into the full model that they were cut from.

    What the ticket masks gets no gradient: without weight decay this is what fine-tuning with masks gives.

    Args:
        weights: Hugging Face name to array as `compact(model, language)` shapes it; what is not named stays as it is,
            and what the model does not have is ignored.
        model: The full model; it is not changed.
        language: Whose ticket it was.
    """
    positions, _ = _kept_positions(model, language)
    full = dict(model.weights)
    for name, array in weights.items():
        if name not in full:
            continue
        if (part := positions.part(name, full[name])) is None:
            full[name] = array
        else:
            full[name] = full[name].copy()
            full[name][part] = array
    return Model(model.shape, full, model.masks, model.languages, model.mask_method)


def _kept_positions(model: Model, language: str) -> tuple[_Kept, Layout]:
    shape, rows = model.shape, model.mask_rows(language) or {}
    found, layers = _Kept({}, {}), []
    for number in range(shape.num_hidden_layers):
        at = f"bert.encoder.layer.{number}"
        v = _kept(rows.get(f"{at}.attention.self.value_attention_mask"), shape.hidden_size)
        values = np.bincount(v // shape.head_size, minlength=shape.num_attention_heads)
        qk = _kept(rows.get(f"{at}.attention.self.attention_mask"), shape.hidden_size)
        qk = qk[values[qk // shape.head_size] > 0]
        wide = _kept(rows.get(f"{at}.intermediate.intermediate_mask"), shape.intermediate_size)
        self_ = f"{at}.attention.self"
        found.rows.update({f"{self_}.query": qk, f"{self_}.key": qk, f"{self_}.value": v})
        found.rows[f"{at}.intermediate.dense"] = wide
        found.columns.update({f"{at}.attention.output.dense": v, f"{at}.output.dense": wide})
        matched = np.bincount(qk // shape.head_size, minlength=shape.num_attention_heads)
        layers.append(LayerSizes(tuple(matched.tolist()), tuple(values.tolist()), len(wide)))
    found.rows[POOLER] = _kept(rows.get("bert.pooler.pool_mask"), shape.hidden_size)
    pooler = len(found.rows[POOLER]) if f"{POOLER}.weight" in model.weights else None
    return found, Layout(shape, tuple(layers), pooler)


def _kept(row: NDArray[np.float32] | None, size: int) -> Indices:
    return np.arange(size) if row is None else np.flatnonzero(row)
