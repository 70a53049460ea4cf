"""Whether the PyTorch paths of a GPU are right, against the CPU, and whether the same seed gives the same bytes."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import sides
import torch
from measuring import Part, Place, away, digest
from torch import Tensor

from polyticket.analysis.retrieval import pooled_states
from polyticket.model.compact import compact
from polyticket.model.torch_bert import torch_encoder, torch_masks
from polyticket.model.torch_compact import compact_encoder
from polyticket.model.torch_setup import autocast
from polyticket.pruning.criteria import by_magnitude, full_masks
from polyticket.pruning.prunable import pools_of
from polyticket.saliency.probe import Probe

CPU = torch.device("cpu")
SAME, NEARLY, ROUGHLY = 1e-4, 1e-3, 0.1
"""Largest differences from the CPU, relative: of float32; of its second derivatives and squares; of bfloat16."""


def saliency_is_right(place: Place, part: Part) -> None:
    """Gradients, squares and Hessian products of the masks against the CPU's; dropout in any company."""
    model = sides.random_model(place.sizes.small)
    batches = [sides.records(place.sizes, model.shape, seed, full=seed == 1) for seed in range(3)]
    for dropout in (False, True):
        how = {"dropout": dropout, "seed": 1}
        probe = Probe(model, **how, device=place.device, precision="float32")
        losses, gradients, squares = probe.gradients(batches, 5)
        if dropout:
            alone = [probe.gradients([batch], 5 + number)[1][0] for number, batch in enumerate(batches)]
            part.most("with dropout, alone and together", away(gradients, np.stack(alone)), SAME)
            continue
        host = Probe(model, **how, device=CPU, precision="float32")
        wanted = host.gradients(batches, 5)
        direction = wanted[1].sum(0)
        part.most("losses", away(losses, wanted[0]), SAME)
        part.most("gradients", away(gradients, wanted[1]), SAME)
        part.most("squares", away(squares, wanted[2]), NEARLY)
        found = probe.products(batches, 5, direction)
        part.most("Hessian products", away(found, host.products(batches, 5, direction)), NEARLY)
        half = Probe(model, **how, device=place.device, precision="bfloat16").gradients(batches, 5)[1]
        part.most(
            "gradients, bfloat16, by norm", float(np.linalg.norm(half - wanted[1]) / np.linalg.norm(wanted[1])), ROUGHLY
        )


def forward_is_right(place: Place, part: Part) -> None:
    """Hidden states of the masked and of the compact model against the masked model on the CPU, at all tokens."""
    model = sides.masked(sides.random_model(place.sizes.small), 0.75)
    given = sides.inputs(place.sizes, model.shape)
    there, attended = [each.to(place.device) for each in given], given[1].bool()
    masks = torch_masks(model, sides.LANGUAGE) or {}
    with torch.inference_mode():
        wanted = torch_encoder(model).eval()(*given, masks)[attended]
        encoder = torch_encoder(model).eval().to(place.device)
        found = encoder(*there, {site: row.to(place.device) for site, row in masks.items()}).cpu()[attended]
        part.most("masked", away(found, wanted), SAME)
        small = compact_encoder(compact(model, sides.LANGUAGE)).to(place.device)
        part.most("compact", away(small(*there).cpu()[attended], wanted), SAME)
        with autocast(place.device, "bfloat16"):
            part.most("compact, bfloat16", away(small(*there).float().cpu()[attended], wanted), ROUGHLY)


def finetuning_is_right(place: Place, part: Part) -> None:
    """Losses of three steps and the first gradients against the CPU's, without dropout."""
    model = sides.without_dropout(sides.random_model(place.sizes.small))
    options = replace(sides.OPTIONS, precision="float32", max_seq_length=place.sizes.length)
    windows, found = sides.sentences(place.sizes, model.shape), {}
    for device in (CPU, place.device):
        tagger, gradients = sides.Tagger(model, windows, device, options), []

        def keep(tagger: sides.Tagger = tagger, gradients: list[Tensor] = gradients) -> None:
            if not gradients:
                gradients.extend(p.grad.cpu().flatten() for p in tagger.trainer.parameters if p.grad is not None)

        tagger.trainer.on_gradients = keep
        order = sides.steps(len(windows), 32)
        losses = [tagger.queued(next(order), step)() for step in range(1, 4)]
        found[device.type] = losses, torch.cat(gradients)
    part.most("losses", away(found[place.device.type][0], found["cpu"][0]), SAME)
    part.most("gradients", away(found[place.device.type][1], found["cpu"][1]), NEARLY)


def pruning_is_right(place: Place, part: Part) -> None:
    """The masks of three levels against the CPU's, bit by bit; what is pruned stays zero in training."""
    _, *shape = place.sizes.pruned[0]
    weights = sides.normal_weights(*shape, place.device)
    host = {name: tensor.cpu().numpy() for name, tensor in weights.items()}
    shapes = {name: array.shape for name, array in host.items()}
    pools = pools_of(shapes, "bert")
    one = other = full_masks(shapes, pools)
    different = 0
    for density in (0.7, 0.5, 0.2):
        one, other = (by_magnitude(own, masks, pools, density) for own, masks in ((weights, one), (host, other)))
        different += int(np.bitwise_count(one.words ^ other.words).sum())
    part.most("bits that differ", different, 0)
    tagger, masks = sides.masked_tagger(place.sizes, place.sizes.small, place.device, "float32")
    tagger.trainer.on_gradients = masks.mask_gradients
    before = masks.pruned()
    order = sides.steps(len(tagger.windows), 32)
    for step in range(1, 4):
        tagger.queued(next(order), step)()
    part.most("pruned weights that are not zero after three steps", masks.not_zero(), 0)
    part.least("pruned weights", before, 1)


def retrieval_is_right(place: Place, part: Part) -> None:
    """States of all layers against the CPU's, and the nearest sentence by cosine of each."""
    model = sides.random_model(place.sizes.small)
    rows = sides.token_rows(place.sizes, model.shape)
    wanted = pooled_states(torch_encoder(model), rows)
    found = pooled_states(torch_encoder(model).to(place.device), rows)
    part.most("states", away(found, wanted), SAME)
    part.least("the same nearest sentence", float((nearest(found[-1]) == nearest(wanted[-1])).mean()), 0.98)


def nearest(states: np.ndarray) -> np.ndarray:
    """The nearest of the other sentences, by cosine."""
    unit = states / np.linalg.norm(states, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -2)
    return cosines.argmax(1)


def is_deterministic(place: Place, part: Part) -> None:
    """Everything twice, dropout on: the bytes must be the same."""
    model = sides.random_model(place.sizes.small)
    batches = [sides.records(place.sizes, model.shape, seed, full=False) for seed in range(2)]
    rows = sides.token_rows(place.sizes, model.shape)

    def scored(precision: str) -> str:
        probe = Probe(model, dropout=True, seed=1, device=place.device, precision=precision)
        return digest(probe.gradients(batches, 0))

    def trained(precision: str) -> str:
        torch.manual_seed(1)
        tagger, masks = sides.masked_tagger(place.sizes, place.sizes.small, place.device, precision)
        tagger.trainer.on_gradients = masks.mask_gradients
        order = sides.steps(len(tagger.windows), 32)
        for step in range(1, 4):
            tagger.queued(next(order), step)()
        return digest([*tagger.model.state_dict().values(), masks.masks.words])

    work: dict[str, Callable[[], str]] = {
        "saliency, float32": lambda: scored("float32"),
        "saliency, bfloat16": lambda: scored("bfloat16"),
        "fine-tuning under a mask, float32": lambda: trained("float32"),
        "fine-tuning under a mask, bfloat16": lambda: trained("bfloat16"),
        "retrieval": lambda: digest([pooled_states(torch_encoder(model).to(place.device), rows)]),
    }
    for name, compute in work.items():
        part.least(name, compute() == compute(), True)
