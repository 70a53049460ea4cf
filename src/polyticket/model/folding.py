"""A ticket folded into plain BERT weights: the same function, with no masks left."""

import re

import numpy as np

from polyticket.model.folder import Model
from polyticket.model.sites import prunable_sites

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
