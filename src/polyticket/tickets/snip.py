"""SNIP saliency of mask sites (Lee et al. 2019, "SNIP: single-shot network pruning", arXiv 1810.02340)."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from polyticket.errors import PolyticketError
from polyticket.logs import Progress
from polyticket.model.folder import Model
from polyticket.model.sites import prunable_sites
from polyticket.model.torch_bert import MaskedBertForPreTraining, pretraining_losses, torch_model
from polyticket.model.torch_setup import prepare_torch
from polyticket.tickets.scores import Scores

Batch = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True)
class SnipResult:
    """Scores with what was seen to get them: non-padding tokens, batches, and the mean losses."""

    scores: Scores
    tokens: int
    batches: int
    epochs: int
    masked_lm_loss: float
    next_sentence_loss: float


def snip_scores(
    model: Model,
    epoch: Callable[[], Iterable[Batch]],
    *,
    token_budget: int,
    dropout: bool,
    seed: int,
    threads: int,
    label: str = "saliency",
) -> SnipResult:
    """SNIP score: |Σ over batches of ∂loss/∂mask| with all masks at one, per neuron.

    The loss is the batch mean of MLM plus NSP on the records' own masked positions. Batches are read, epoch after
    epoch, until `token_budget` non-padding tokens were seen; the batch that meets the budget is the last.

    Args:
        model: Weights at initialisation.
        epoch: Gives the language's batches from the start, always in the same order.
        token_budget: Non-padding tokens to see.
        dropout: Whether dropout is on (train mode), as published.
        seed: Seeds dropout.
        label: Names the work in progress lines.
        threads: Compute threads. They are part of the arithmetic: the same number gives the same bytes.

    Raises:
        PolyticketError: There are no records.
    """
    device = prepare_torch(threads)
    torch.manual_seed(seed)
    network = torch_model(model).requires_grad_(False).train(dropout).to(device)
    sites = prunable_sites(model.shape)
    masks = {site.name: torch.ones(site.size, requires_grad=True, device=device) for site in sites}
    sums = {name: np.zeros(mask.numel()) for name, mask in masks.items()}
    progress = Progress(label, token_budget, "tokens")
    tokens = batches = epochs = 0
    losses = np.zeros(2)
    for epochs, batch in _repeated(epoch):  # noqa: B007 (the last value is reported)
        found = _gradients(network, masks, batch)
        losses += found[0]
        for name, gradient in found[1].items():
            sums[name] += gradient
        seen = int(batch["input_mask"].sum())
        tokens, batches = tokens + seen, batches + 1
        progress.add(min(seen, max(0, token_budget - progress.done)), masked_lm_loss=found[0][0])
        if tokens >= token_budget:
            break
    mlm, nsp = losses / batches
    return SnipResult({name: np.abs(s) for name, s in sums.items()}, tokens, batches, epochs, float(mlm), float(nsp))


def _repeated(epoch: Callable[[], Iterable[Batch]]) -> Iterator[tuple[int, Batch]]:
    number = 0
    while True:
        number += 1
        empty = True
        for batch in epoch():
            empty = False
            yield number, batch
        if empty:
            raise PolyticketError("no records", where="saliency", expected="at least one record per language")


def _gradients(
    network: MaskedBertForPreTraining, masks: dict[str, torch.Tensor], batch: Batch
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    tensors = {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in batch.items()}
    device = next(iter(masks.values())).device
    tensors = {name: (t if t.is_floating_point() else t.long()).to(device) for name, t in tensors.items()}
    mlm, nsp = pretraining_losses(network(tensors, masks), tensors)
    gradients = torch.autograd.grad(mlm + nsp, list(masks.values()))
    found = {name: gradient.double().cpu().numpy() for name, gradient in zip(masks, gradients, strict=True)}
    return np.array([mlm.item(), nsp.item()]), found
