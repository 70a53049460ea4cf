"""Masked rows and columns removed from a model's weights, and put back."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyticket.export.layout import LayerSizes, Layout
from polyticket.model.folder import Arrays, Model
from polyticket.model.folding import fold

Indices = NDArray[np.int64]
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


class _Places(NamedTuple):
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
    places, layout = _places(model, language)
    weights = dict(fold(model, language).weights)
    for name, array in weights.items():
        if (part := places.part(name, array)) is not None:
            weights[name] = np.ascontiguousarray(array[part])
    pooled = places.rows[POOLER] if layout.pooler is not None else np.zeros(0, np.int64)
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
    places, _ = _places(model, language)
    full = dict(model.weights)
    for name, array in weights.items():
        if name not in full:
            continue
        if (part := places.part(name, full[name])) is None:
            full[name] = array
        else:
            full[name] = full[name].copy()
            full[name][part] = array
    return Model(model.shape, full, model.masks, model.languages, model.mask_method)


def _places(model: Model, language: str) -> tuple[_Places, Layout]:
    shape, rows = model.shape, model.mask_rows(language) or {}
    found, layers = _Places({}, {}), []
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
