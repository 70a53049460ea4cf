"""Whether scores are settled: the agreement of tickets from two halves of the records."""

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
from polyticket.model.folder import Model, read_model
from polyticket.model.shape import BertShape
from polyticket.model.sites import Site, prunable_sites
from polyticket.records.reading import read_batches
from polyticket.saliency.forward import Batch
from polyticket.saliency.methods import METHODS, checked_methods, reading_records
from polyticket.saliency.probe import Array, Probe, chosen_device
from polyticket.saliency.score_files import SETTINGS, Saliency, Scores, normalised, random_scores, write_saliency
from polyticket.saliency.weights import magnitude_scores, synflow_scores
from polyticket.tickets.allocation import keep_highest
from polyticket.tickets.scopes import keep_count

FIRST_CHECK = 16  # batches; then after twice as many, and so on


def kept(scores: Scores, ratio: float) -> NDArray[np.bool_]:
    """One language's own ticket, as scope `language` allocates it: floor(n · ratio) neurons.

    Args:
        scores: Site to float64 [size]; the sizes add up to n.
        ratio: The share to keep.

    Returns:
        bool [n], sites by name.
    """
    parts = normalised(scores)
    flat = np.concatenate([parts[site] for site in sorted(parts)])
    return keep_highest(flat, keep_count(flat.size, ratio)).bits


def jaccard(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Kept by both over kept by either; 1 if neither keeps any."""
    either = int(np.count_nonzero(one | other))
    return int(np.count_nonzero(one & other)) / either if either else 1.0


def agreement(one: Scores, other: Scores, ratio: float) -> float:
    """Jaccard of the tickets of two halves of the records; two random tickets have ratio / (2 − ratio)."""
    return jaccard(kept(one, ratio), kept(other, ratio))


def is_check(batches: int) -> bool:
    """Whether agreement is looked at after so many batches: 16, 32, 64, …"""
    return batches >= FIRST_CHECK and batches % FIRST_CHECK == 0 and (batches // FIRST_CHECK).bit_count() == 1


Epoch = Callable[[], Iterable[Batch]]


class Turn(NamedTuple):
    """One batch as it comes by.

    Attributes:
        batch: Its records.
        epoch: From 1.
        half: 0 for an even place within the epoch, 1 for an odd one: the same in every epoch, so that no record is in
            both halves.
    """

    batch: Batch
    epoch: int
    half: int


@dataclass
class Seen:
    """What was read of the records, and the sums over it; n is the number of neurons.

    Attributes:
        sites: The prunable sites.
        tokens, batches, epochs: Non-padding tokens, batches, and begun epochs.
        of_halves: Batches of each half, int64 [2].
        losses: Sums over batches of MLM and NSP loss, float64 [2].
        stopped_early: Whether scores were stable before the budget was met.
        gradients: Σ g_b of each half, float64 [2, n].
        squares: Σ g_r² of their records.
        products: Σ H_b Σ g_b of all batches, float64 [n].
    """

    sites: Sequence[Site]
    gradients: Array
    squares: Array
    products: Array
    tokens: int = 0
    batches: int = 0
    epochs: int = 0
    of_halves: NDArray[np.int64] = field(default_factory=lambda: np.zeros(2, np.int64))
    losses: Array = field(default_factory=lambda: np.zeros(2))
    stopped_early: bool = False

    def scores(self, method: str) -> Scores:
        """Scores of all batches by a method that reads records."""
        if method == "grasp":
            return by_site(self.products, self.sites)
        return by_site(np.abs(self._halves(method).sum(0)), self.sites)

    def agreement(self, method: str, ratio: float) -> float | None:
        """How alike the tickets of the two halves of the records are: their Jaccard index.

        None where a half saw no batch, and for GraSP: both of its halves are multiplied by the gradient of all records,
        so they agree for that alone.
        """
        if METHODS[method].passes > 1 or not self.of_halves.all():
            return None
        one, other = (by_site(np.abs(half), self.sites) for half in self._halves(method))
        return agreement(one, other, ratio)

    def _halves(self, method: str) -> Array:
        return {"snip": self.gradients, "fisher": self.squares}[method]


def by_site(flat: Array, sites: Sequence[Site]) -> Scores:
    """Scores [n] of all sites side by side as one vector per site."""
    parts = np.split(flat, np.cumsum([site.size for site in sites])[:-1])
    return {site.name: part for site, part in zip(sites, parts, strict=True)}


def first_pass(
    probe: Probe, epoch: Epoch, token_budget: int, at_once: int, stop: tuple[float, float] | None, label: str
) -> Seen:
    """Gradients of all batches until the budget is met, or until scores are stable.

    Args:
        probe: The model.
        epoch: Gives the batches from the start.
        token_budget: Non-padding tokens to see.
        at_once: Batches to compute together; where stability is looked at, fewer.
        stop: The Jaccard index to stop at, and the remain ratio of the tickets compared; None for the whole budget.
        label: Names the work in progress lines.
    """
    size = sum(site.size for site in probe.sites)
    seen = Seen(probe.sites, np.zeros((2, size)), np.zeros((2, size)), np.zeros(size))
    progress = Progress(label, token_budget, "tokens")
    group: list[Turn] = []
    for turn in _turns(epoch):
        group.append(turn)
        tokens = int(turn.batch["input_mask"].sum())
        seen.tokens, seen.batches, seen.epochs = seen.tokens + tokens, seen.batches + 1, turn.epoch
        done = seen.tokens >= token_budget
        check = stop is not None and is_check(seen.batches)
        if len(group) == at_once or done or check:
            losses = _add(probe, group, seen)
            progress.add(min(seen.tokens, token_budget) - progress.done, masked_lm_loss=losses[0] / len(group))
            group = []
        if done:
            break
        if stop is not None and check and _is_stable(seen, *stop):
            seen.stopped_early = True
            log.info("%s: stable after %d batches, %d tokens", label, seen.batches, seen.tokens)
            break
    return seen


def _is_stable(seen: Seen, least: float, ratio: float) -> bool:
    found = seen.agreement("snip", ratio)
    return found is not None and found >= least


def _add(probe: Probe, group: list[Turn], seen: Seen) -> NDArray[np.float64]:
    losses, gradients, squares = probe.gradients([turn.batch for turn in group], seen.batches - len(group))
    seen.losses += losses
    for turn, gradient, squared in zip(group, gradients, squares, strict=True):
        seen.of_halves[turn.half] += 1
        seen.gradients[turn.half] += gradient
        seen.squares[turn.half] += squared
    return losses


def second_pass(probe: Probe, epoch: Epoch, seen: Seen, at_once: int, label: str) -> None:
    """Products of the Hessians of the same batches with the sum of their gradients, added to what was seen."""
    direction = seen.gradients.sum(0)
    progress = Progress(label, seen.batches, "batches")
    group: list[Batch] = []
    for number, turn in enumerate(_turns(epoch), 1):
        group.append(turn.batch)
        if len(group) == at_once or number == seen.batches:
            for product in probe.products(group, number - len(group), direction):
                seen.products += product
            progress.add(len(group))
            group = []
        if number == seen.batches:
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

    The head of each file says method, language and digests and, where the method reads records, all that decides the
    scores besides: `SETTINGS`.

    Args:
        records: The language's folder of records.
        model: The initial model's folder.
        scores: A file to write for each method.
        stats: A file of statistics for each method.
        methods: What to score by.
        options: `batch_size`, and other arguments of `score_language`.
        language: The language's code.
        language_index: Its row.
        seed: The run's seed.
        threads: Compute threads; they are part of the arithmetic.

    Raises:
        PolyticketError: See `score_language`.
    """
    batch_size = options["batch_size"]
    found = score_language(
        read_model(model),
        partial(read_batches, records, batch_size),
        methods=methods,
        seed=seed,
        threads=threads,
        language_index=language_index,
        label=f"saliency {language}",
        **{name: value for name, value in options.items() if name != "batch_size"},
    )
    made = {"language": language, "language_index": language_index, "seed": seed, "initial": folder_sha256(model)}
    read = {"records": folder_sha256(records), "tokens": found.tokens, "stopped_early": found.stopped_early}
    read |= _settings(options)
    names = ("batches", "epochs", "masked_lm_loss", "next_sentence_loss")
    measured = {name: getattr(found, name) for name in names} | {"agreement_ratio": options["agreement_ratio"]}
    for method, file, beside in zip(methods, scores, stats, strict=True):
        own = {"method": method} | made
        decided = own | (read if METHODS[method].reads == "records" else {})
        write_saliency(Saliency(found.scores[method], decided), file)
        write_json(beside, own | read | measured | {"agreement": found.agreement.get(method)})


def _settings(options: Mapping[str, Any]) -> dict[str, Any]:
    found = {"stop_when_stable": None} | {key: options[key] for key in SETTINGS if key in options}
    if found["stop_when_stable"] is None:
        del found["agreement_ratio"]  # decides nothing
    return found
