"""Scores from the weights alone. No records are read, so the scores are the same for every language.

Shapes: H hidden, I intermediate, h heads of d.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from polyticket.model.folder import Model
from polyticket.model.shape import prunable_sites
from polyticket.saliency.score_files import Scores


def magnitude_scores(model: Model) -> Scores:
    """L2 norm of the weights that lead into each neuron, without its bias (Han et al. 2015, arXiv 1506.02626).

    Query and key share a mask, so one of its neurons has a row in both matrices; the norm is over both rows.
    """
    scores = {}
    for site in prunable_sites(model.shape):
        module = site.name.rpartition(".")[0]
        names = {"query·key": ("query", "key"), "value": ("value",)}.get(site.component, ("dense",))
        rows = [model.weights[f"{module}.{name}.weight"].astype(np.float64) for name in names]
        scores[site.name] = np.sqrt(np.sum([(row**2).sum(1) for row in rows], 0))
    return scores


def synflow_scores(model: Model) -> Scores:
    """Synaptic flow m · ∂R/∂m (Tanaka et al. 2020, arXiv 2006.05467), once, in float64, all masks m at one.

    R is the sum of all MLM and NSP logits of one token whose embedding is a vector of ones. The model has the absolute
    value of every parameter, and no operation saturates or cancels: GELU and tanh are left out, and every normaliser is
    a constant. LayerNorm divides by a fixed number (the mean, without centring), then scales and shifts. The one
    attention weight is q·k over its own value, which is one, with the gradient of q·k. So flow is conserved: without
    biases, a layer's `value` scores add up, head by head, to half of its `query·key` scores, since the flow passes
    through query and key.
    """
    parameters = {name: np.abs(array) for name, array in model.weights.items() if "embeddings" not in name}
    sites = prunable_sites(model.shape)
    masks = {site.name: torch.ones(site.size, dtype=torch.float64, requires_grad=True) for site in sites}
    flow = _flow(model, lambda name: torch.from_numpy(parameters[name]).double(), masks)
    gradients = torch.autograd.grad(flow, list(masks.values()))
    return {name: gradient.numpy() for name, gradient in zip(masks, gradients, strict=True)}


def _flow(model: Model, parameter: Callable[[str], Tensor], masks: dict[str, Tensor]) -> Tensor:
    """R, a number."""

    def dense(name: str, x: Tensor) -> Tensor:
        return parameter(f"{name}.weight") @ x + parameter(f"{name}.bias")

    def norm(name: str, x: Tensor) -> Tensor:
        return parameter(f"{name}.weight") * x / x.detach().mean() + parameter(f"{name}.bias")

    x = torch.ones(model.shape.hidden_size, dtype=torch.float64)
    for layer in range(model.shape.num_hidden_layers):
        prefix = f"bert.encoder.layer.{layer}"
        own = f"{prefix}.attention.self"
        q, k = (dense(f"{own}.{name}", x) * masks[f"{own}.attention_mask"] for name in ("query", "key"))
        v = dense(f"{own}.value", x) * masks[f"{own}.value_attention_mask"]
        weight = (q * k).unflatten(0, (model.shape.num_attention_heads, -1)).sum(1, keepdim=True)  # [h, 1]
        mixed = (weight / weight.detach() * v.view(model.shape.num_attention_heads, -1)).flatten()
        x = norm(f"{prefix}.attention.output.LayerNorm", x + dense(f"{prefix}.attention.output.dense", mixed))
        wide = dense(f"{prefix}.intermediate.dense", x) * masks[f"{prefix}.intermediate.intermediate_mask"]
        x = norm(f"{prefix}.output.LayerNorm", x + dense(f"{prefix}.output.dense", wide))
    pooled = dense("bert.pooler.dense", x) * masks["bert.pooler.pool_mask"]
    transform = "cls.predictions.transform"
    words = norm(f"{transform}.LayerNorm", dense(f"{transform}.dense", x))
    columns = np.abs(model.weights["bert.embeddings.word_embeddings.weight"]).sum(0, dtype=np.float64)
    logits = torch.from_numpy(columns) @ words + parameter("cls.predictions.bias").sum()
    return logits + dense("cls.seq_relationship", pooled).sum()
