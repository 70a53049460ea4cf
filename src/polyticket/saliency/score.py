"""Scores of one language by several methods, from one pass over the same batches (two if GraSP is among them)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from polyticket.model.folder import Model
from polyticket.model.shape import BertShape
from polyticket.model.sites import prunable_sites
from polyticket.saliency.methods import checked_methods, reading_records
from polyticket.saliency.passes import Epoch, first_pass, second_pass
from polyticket.saliency.probe import Probe, chosen_device
from polyticket.saliency.score_files import Scores, random_scores
from polyticket.saliency.weights import magnitude_scores, synflow_scores

GB_OF_A_BATCH = 4  # generous, for 1024 places (8 sequences of 128 pieces) through a model of 12 layers of 1024
MOST_AT_ONCE = 16


@dataclass(frozen=True)
class Scored:
    """Scores with what was seen to get them.

    Attributes:
        scores: Method to site to float64 [size].
        agreement: Method that reads records to the Jaccard index of the tickets from the even and the odd batches of an
            epoch; None for GraSP, whose halves share the gradient of all, and where a half saw no batch.
        tokens, batches, epochs: Non-padding tokens, batches and epochs; 0 if no method reads records.
        masked_lm_loss, next_sentence_loss: Means over batches; None if no method reads records.
        stopped_early: Whether scores were stable before the budget was met.
    """

    scores: dict[str, Scores]
    agreement: dict[str, float | None]
    tokens: int = 0
    batches: int = 0
    epochs: int = 0
    masked_lm_loss: float | None = None
    next_sentence_loss: float | None = None
    stopped_early: bool = False


def score_language(
    model: Model,
    epoch: Epoch,
    *,
    methods: Sequence[str],
    token_budget: int,
    dropout: bool,
    seed: int,
    threads: int,
    language_index: int = 0,
    batches_at_once: int | str = 1,
    precision: str = "float32",
    device: str = "auto",
    agreement_ratio: float = 0.75,
    stop_when_stable: float | None = None,
    label: str = "saliency",
) -> Scored:
    """Score every prunable neuron by each method; formulas in `METHODS`, all masks at one.

    The loss is the batch mean of MLM plus NSP on the records' own masked positions. Batches are read, epoch after
    epoch; the one that meets `token_budget` is the last. No method's scores depend on the other methods.

    Args:
        model: Weights at initialisation.
        epoch: Gives the language's batches from the start, always in the same order.
        methods: Names of `METHODS`.
        token_budget: Non-padding tokens to see.
        dropout: Whether dropout is on (train mode), as published.
        seed: With the language's row it seeds dropout, batch by batch, and random scores.
        threads: Compute threads. They are part of the arithmetic: the same number gives the same bytes.
        language_index: The language's row.
        batches_at_once: Batches of one forward pass; `auto` is one on a CPU and what fits on a GPU. Scores depend on it
            by rounding alone: what falls out of a batch is the same in any company.
        precision: `float32` or `bf16`.
        device: `auto`, `cpu` or `cuda`.
        agreement_ratio: The remain ratio of the tickets that are compared for stability.
        stop_when_stable: Stop when, after 16, 32, 64, … batches, the SNIP tickets of the even and the odd ones of an
            epoch have this Jaccard index. None sees the whole budget.
        label: Names the work in progress lines.

    Raises:
        PolyticketError: No such method or device, or no records.
    """
    methods, where = checked_methods(methods), chosen_device(device, threads)
    if not (reading := reading_records(methods)):
        return Scored({method: _without_records(method, model, seed, language_index) for method in methods}, {})
    at_once = _at_once(batches_at_once, where, model.shape, epoch)
    key = {"seed": seed, "language_index": language_index}
    probe = Probe(model, dropout=dropout, **key, device=where, precision=precision)
    stop = None if stop_when_stable is None else (stop_when_stable, agreement_ratio)
    seen = first_pass(probe, epoch, token_budget, at_once, stop, label)
    if "grasp" in reading:
        second_pass(probe, epoch, seen, at_once, f"{label}, second pass")
    scores = {m: seen.scores(m) if m in reading else _without_records(m, model, seed, language_index) for m in methods}
    stable = {method: seen.agreement(method, agreement_ratio) for method in reading}
    mlm, nsp = (float(loss) for loss in seen.losses / seen.batches)
    return Scored(scores, stable, seen.tokens, seen.batches, seen.epochs, mlm, nsp, seen.stopped_early)


def _without_records(method: str, model: Model, seed: int, language_index: int) -> Scores:
    if method == "magnitude":
        return magnitude_scores(model)
    if method == "synflow":
        return synflow_scores(model)
    return random_scores(prunable_sites(model.shape), seed, language_index)


def fitting(memory: float, places: int, shape: BertShape) -> int:
    """How many batches are computed at once on a GPU: what fits, from 1 to 16.

    Args:
        memory: Bytes of the GPU.
        places: Pieces of a batch, padding included: sequences times length.
        shape: The model's.
    """
    parts = places / 1024 * (shape.num_hidden_layers * shape.hidden_size) / (12 * 1024)
    return max(1, min(MOST_AT_ONCE, int(memory / (GB_OF_A_BATCH * 1e9 * parts))))


def _at_once(wanted: int | str, device: torch.device, shape: BertShape, epoch: Epoch) -> int:
    if isinstance(wanted, int):
        return wanted
    first = None if device.type == "cpu" else next(iter(epoch()), None)
    if first is None:
        return 1
    return fitting(torch.cuda.get_device_properties(device).total_memory, first["input_ids"].size, shape)
