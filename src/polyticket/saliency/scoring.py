"""Scores of one language by several methods, from one pass over its records (two if GraSP is among the methods)."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, folder_sha256, write_json
from polyticket.core.logs import Progress, log
from polyticket.core.ranking import keep_count, keep_highest
from polyticket.model.folder import Model, read_model
from polyticket.model.shape import BertShape, Site
from polyticket.records.reading import read_batches
from polyticket.saliency.forward import Batch
from polyticket.saliency.methods import METHODS, check_methods, methods_on_records
from polyticket.saliency.probe import Array, Probe, choose_device, count_fitting
from polyticket.saliency.score_files import SETTINGS, Saliency, Scores, normalised, write_saliency

FIRST_CHECK = 16
"""Batches before the first check of stability; the next checks are after twice as many, and so on."""

Epoch = Callable[[], Iterable[Batch]]


def score_to_files(
    records: Pathlike,
    model: Pathlike,
    scores: Sequence[Pathlike],
    stats: Sequence[Pathlike],
    *,
    methods: Sequence[str],
    options: Mapping[str, Any],
    language: str,
    language_index: int,
    seed: int,
    threads: int,
) -> None:
    """Score a language by all methods in one pass over its records.

    The header of each file names method, language and digests. Where the method reads records, the header also holds
    every setting that decides the scores (`SETTINGS`).

    Args:
        records: The language's directory of records.
        model: The initial model's folder.
        scores: A file to write for each method.
        stats: A file of statistics for each method.
        methods: Names of `METHODS`.
        options: `batch_size`, and other arguments of `score_language`.
        language: The language's code.
        language_index: The language's row.
        seed: The run's seed.
        threads: Compute threads. Their number is part of the arithmetic.

    Raises:
        PolyticketError: See `score_language`.
    """
    batch_size = options["batch_size"]
    scored = score_language(
        read_model(model),
        partial(read_batches, records, batch_size),
        methods=methods,
        seed=seed,
        threads=threads,
        language_index=language_index,
        label=f"saliency {language}",
        **{name: value for name, value in options.items() if name != "batch_size"},
    )
    common = {"language": language, "language_index": language_index, "seed": seed, "initial": folder_sha256(model)}
    read = {"records": folder_sha256(records), "tokens": scored.tokens, "stopped_early": scored.stopped_early}
    read |= _settings(options)
    names = ("batches", "epochs", "masked_lm_loss", "next_sentence_loss")
    measured = {name: getattr(scored, name) for name in names} | {"agreement_ratio": options["agreement_ratio"]}
    for method, scores_path, stats_path in zip(methods, scores, stats, strict=True):
        own = {"method": method} | common
        provenance = own | (read if METHODS[method].reads == "records" else {})
        write_saliency(Saliency(scored.scores[method], provenance), scores_path)
        write_json(stats_path, own | read | measured | {"agreement": scored.agreement.get(method)})


def _settings(options: Mapping[str, Any]) -> dict[str, Any]:
    settings = {"stop_when_stable": None} | {key: options[key] for key in SETTINGS if key in options}
    if settings["stop_when_stable"] is None:
        del settings["agreement_ratio"]  # decides nothing
    return settings


@dataclass(frozen=True)
class Scored:
    """Scores and the statistics of the records that they come from.

    Attributes:
        scores: Method to site to float64 [size].
        agreement: Method to the Jaccard index of the tickets from the even and the odd batches of an epoch, for methods
            that read records. None for GraSP, whose halves share the gradient of all batches, and where a half has no
            batch.
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
    """Score every prunable neuron by each method. `METHODS` has the formulas; all masks are one.

    The loss is the batch mean of MLM plus NSP on the records' own masked positions. Batches are read epoch after epoch;
    the one that meets `token_budget` is the last. The scores of a method do not depend on the other methods.

    Args:
        model: Weights at initialisation.
        epoch: Gives the language's batches from the start, always in the same order.
        methods: Names of `METHODS`.
        token_budget: Non-padding tokens to read.
        dropout: Whether dropout is on (train mode), as published.
        seed: Seeds dropout, batch by batch, and random scores, both together with the language's row.
        threads: Compute threads. They are part of the arithmetic: the same number gives the same bytes.
        language_index: The language's row.
        batches_at_once: Batches of one forward pass; `auto` is one on a CPU and what fits on a GPU. It changes scores
            by rounding alone: the dropout of a batch does not depend on the batches beside it.
        precision: `float32` or `bfloat16`.
        device: `auto`, `cpu` or `cuda`.
        agreement_ratio: The remain ratio of the tickets that are compared for stability.
        stop_when_stable: Stop when, after 16, 32, 64, … batches, the SNIP tickets of the even and the odd batches of an
            epoch have this Jaccard index. None reads the whole budget.
        label: Names the work in progress lines.

    Raises:
        PolyticketError: A method or device is unknown, or there are no records.
    """
    methods, torch_device = check_methods(methods), choose_device(device, threads)
    reading = methods_on_records(methods)
    scores = {name: score(model, seed, language_index) for name in methods if (score := METHODS[name].score)}
    if not reading:
        return Scored(scores, {})
    at_once = _at_once(batches_at_once, torch_device, model.shape, epoch)
    key = {"seed": seed, "language_index": language_index}
    probe = Probe(model, dropout=dropout, **key, device=torch_device, precision=precision)
    stop = None if stop_when_stable is None else (stop_when_stable, agreement_ratio)
    sums = first_pass(probe, epoch, token_budget, at_once, stop, label)
    if any(METHODS[name].passes > 1 for name in reading):
        second_pass(probe, epoch, sums, at_once, f"{label}, second pass")
    scores |= {name: sums.scores(name) for name in reading}
    agreements = {name: sums.agreement(name, agreement_ratio) for name in reading}
    mlm, nsp = (float(loss) for loss in sums.losses / sums.batches)
    in_order = {name: scores[name] for name in methods}
    return Scored(in_order, agreements, sums.tokens, sums.batches, sums.epochs, mlm, nsp, sums.stopped_early)


def _at_once(requested: int | str, device: torch.device, shape: BertShape, epoch: Epoch) -> int:
    if isinstance(requested, int):
        return requested
    first = None if device.type == "cpu" else next(iter(epoch()), None)
    if first is None:
        return 1
    return count_fitting(torch.cuda.get_device_properties(device).total_memory, first["input_ids"].size, shape)


@dataclass
class Sums:
    """Sums over the batches that were read; n is the number of neurons.

    Attributes:
        sites: The prunable sites.
        gradients: Σ g_b of each half, float64 [2, n].
        squares: Σ g_r² of the records of each half, float64 [2, n].
        products: Σ H_b Σ g_b of all batches, float64 [n].
        tokens, batches, epochs: Non-padding tokens, batches, and begun epochs.
        batches_of_halves: Batches of each half, int64 [2].
        losses: Sums over batches of MLM and NSP loss, float64 [2].
        stopped_early: Whether scores were stable before the budget was met.
    """

    sites: Sequence[Site]
    gradients: Array
    squares: Array
    products: Array
    tokens: int = 0
    batches: int = 0
    epochs: int = 0
    batches_of_halves: NDArray[np.int64] = field(default_factory=lambda: np.zeros(2, np.int64))
    losses: Array = field(default_factory=lambda: np.zeros(2))
    stopped_early: bool = False

    def scores(self, name: str) -> Scores:
        """Scores of all batches by a method that reads records."""
        halves = METHODS[name].halves
        return by_site(self.products if halves is None else np.abs(halves(self).sum(0)), self.sites)

    def agreement(self, name: str, ratio: float) -> float | None:
        """The Jaccard index of the tickets of the two halves of the records.

        None where a half has no batch, and for GraSP: both of its halves are multiplied by the gradient of all records,
        so they agree for that alone.
        """
        halves = METHODS[name].halves
        if halves is None or not self.batches_of_halves.all():
            return None
        even, odd = (by_site(np.abs(half), self.sites) for half in halves(self))
        return agreement(even, odd, ratio)


def by_site(flat: Array, sites: Sequence[Site]) -> Scores:
    """Scores [n] of all sites side by side as one vector per site."""
    parts = np.split(flat, np.cumsum([site.size for site in sites])[:-1])
    return {site.name: part for site, part in zip(sites, parts, strict=True)}


class Turn(NamedTuple):
    """One batch in the order of reading.

    Attributes:
        batch: Its records.
        epoch: From 1.
        half: 0 for an even place within the epoch, 1 for an odd one: the same in every epoch, so that no record is in
            both halves.
    """

    batch: Batch
    epoch: int
    half: int


def first_pass(
    probe: Probe, epoch: Epoch, token_budget: int, at_once: int, stop: tuple[float, float] | None, label: str
) -> Sums:
    """Sum the gradients of batches until the budget is met, or until scores are stable.

    Args:
        probe: The model.
        epoch: Gives the batches from the start.
        token_budget: Non-padding tokens to read.
        at_once: Batches to compute together; fewer before a check of stability.
        stop: The Jaccard index to stop at, and the remain ratio of the tickets compared; None for the whole budget.
        label: Names the work in progress lines.
    """
    size = sum(site.size for site in probe.sites)
    sums = Sums(probe.sites, np.zeros((2, size)), np.zeros((2, size)), np.zeros(size))
    progress = Progress(label, token_budget, "tokens")
    group: list[Turn] = []
    computing: list[_Computing] = []
    for turn in _turns(epoch):
        group.append(turn)
        tokens = int(turn.batch["input_mask"].sum())
        sums.tokens, sums.batches, sums.epochs = sums.tokens + tokens, sums.batches + 1, turn.epoch
        done = sums.tokens >= token_budget
        check = stop is not None and is_check(sums.batches)
        if len(group) == at_once or done or check:
            found = probe.queued_gradients([turn.batch for turn in group], sums.batches - len(group))
            computing.append(_Computing(group, found, min(sums.tokens, token_budget)))
            group = []
        while len(computing) > (0 if done or check else 1):  # the next group is given to a GPU before it is waited for
            one = computing.pop(0)
            losses = _add(one, sums)
            progress.add(one.tokens - progress.done, masked_lm_loss=losses[0] / len(one.group))
        if done:
            break
        if stop is not None and check and _is_stable(sums, *stop):
            sums.stopped_early = True
            log.info("%s: stable after %d batches, %d tokens", label, sums.batches, sums.tokens)
            break
    return sums


class _Computing(NamedTuple):
    """Batches that are computed, what waits for their gradients, and the tokens that are then read."""

    group: list[Turn]
    found: Callable[[], tuple[Array, Array, Array]]
    tokens: int


def _add(computing: _Computing, sums: Sums) -> NDArray[np.float64]:
    losses, gradients, squares = computing.found()
    sums.losses += losses
    for turn, gradient, squared in zip(computing.group, gradients, squares, strict=True):
        sums.batches_of_halves[turn.half] += 1
        sums.gradients[turn.half] += gradient
        sums.squares[turn.half] += squared
    return losses


def second_pass(probe: Probe, epoch: Epoch, sums: Sums, at_once: int, label: str) -> None:
    """Add to the sums the products of the Hessians of the same batches with the sum of their gradients."""
    direction = sums.gradients.sum(0)
    progress = Progress(label, sums.batches, "batches")
    group: list[Batch] = []
    for number, turn in enumerate(_turns(epoch), 1):
        group.append(turn.batch)
        if len(group) == at_once or number == sums.batches:
            for product in probe.products(group, number - len(group), direction):
                sums.products += product
            progress.add(len(group))
            group = []
        if number == sums.batches:
            break


def _turns(epoch: Epoch) -> Iterator[Turn]:
    number = 0
    while True:
        number += 1
        place = -1
        for place, batch in enumerate(epoch()):
            yield Turn(batch, number, place % 2)
        if place < 0:
            raise PolyticketError("no records", where="saliency", expected="at least one record per language")


def is_check(batches: int) -> bool:
    """Whether stability is checked after this number of batches: 16, 32, 64, …"""
    return batches >= FIRST_CHECK and batches % FIRST_CHECK == 0 and (batches // FIRST_CHECK).bit_count() == 1


def _is_stable(sums: Sums, least: float, ratio: float) -> bool:
    index = sums.agreement("snip", ratio)
    return index is not None and index >= least


def agreement(even: Scores, odd: Scores, ratio: float) -> float:
    """The Jaccard index of the tickets of two halves of the records; two random tickets have ratio / (2 − ratio)."""
    return jaccard(own_ticket(even, ratio), own_ticket(odd, ratio))


def own_ticket(scores: Scores, ratio: float) -> NDArray[np.bool_]:
    """One language's own ticket, as scope `language` allocates it: floor(n · ratio) neurons.

    Args:
        scores: Site to float64 [size]; the sizes add up to n.
        ratio: The share to keep.

    Returns:
        bool [n], sites by name.
    """
    vectors = normalised(scores)
    flat = np.concatenate([vectors[site] for site in sorted(vectors)])
    return keep_highest(flat, keep_count(flat.size, ratio)).chosen


def jaccard(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Kept by both over kept by either; 1 if neither keeps any."""
    either = int(np.count_nonzero(one | other))
    return int(np.count_nonzero(one & other)) / either if either else 1.0
