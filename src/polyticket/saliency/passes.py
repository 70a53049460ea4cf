"""Goes through the records of one language and adds up what scores are made of."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyticket.core.errors import PolyticketError
from polyticket.core.logs import Progress, log
from polyticket.model.sites import Site
from polyticket.saliency.forward import Batch
from polyticket.saliency.methods import METHODS
from polyticket.saliency.probe import Array, Probe
from polyticket.saliency.score_files import Scores
from polyticket.saliency.stability import agreement, is_check

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
