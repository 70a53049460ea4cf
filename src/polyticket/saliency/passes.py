"""Goes through the records of one language and adds up what scores are made of."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from polyticket.errors import PolyticketError
from polyticket.logs import Progress, log
from polyticket.saliency.methods import METHODS
from polyticket.saliency.packing import Batch
from polyticket.saliency.probe import Array, Probe
from polyticket.saliency.stability import agreement, is_check

Epoch = Callable[[], Iterable[Batch]]


@dataclass
class Seen:
    """What was read of the records, and the sums over it.

    Attributes:
        tokens, batches, epochs: Non-padding tokens, batches, and begun epochs.
        losses: Sums over batches of MLM and NSP loss, float64 [2].
        stopped_early: Whether scores were stable before the budget was met.
        gradients: Σ g_b of the even and of the odd batches, float64 [2, n]. Batches count from 0.
        squares: Σ g_b² of the same.
        products: Σ H_b Σ g_b of the same, the inner sum over all batches.
    """

    gradients: Array
    squares: Array
    products: Array
    tokens: int = 0
    batches: int = 0
    epochs: int = 0
    losses: Array = field(default_factory=lambda: np.zeros(2))
    stopped_early: bool = False

    def halves(self, method: str) -> Array:
        """Scores [2, n] by a method that reads records, from the even and from the odd batches alone."""
        signed = {"snip": self.gradients, "fisher": self.squares, "grasp": self.products}[method]
        return signed if METHODS[method].signed else np.abs(signed)

    def total(self, method: str) -> Array:
        """Scores [n] from all batches."""
        signed = {"snip": self.gradients, "fisher": self.squares, "grasp": self.products}[method].sum(0)
        return signed if METHODS[method].signed else np.abs(signed)


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
    sizes = [site.size for site in probe.sites]
    seen = Seen(*np.zeros((3, 2, sum(sizes))))
    progress = Progress(label, token_budget, "tokens")
    group: list[Batch] = []
    for number, batch in _repeated(epoch):
        group.append(batch)
        tokens = int(batch["input_mask"].sum())
        seen.tokens, seen.batches, seen.epochs = seen.tokens + tokens, seen.batches + 1, number
        done = seen.tokens >= token_budget
        check = stop is not None and is_check(seen.batches)
        if len(group) == at_once or done or check:
            losses = _add(probe, group, seen)
            progress.add(min(seen.tokens, token_budget) - progress.done, masked_lm_loss=losses[0] / len(group))
            group = []
        if done:
            break
        if stop is not None and check and agreement(seen.halves("snip"), sizes, stop[1]) >= stop[0]:
            seen.stopped_early = True
            log.info("%s: stable after %d batches, %d tokens", label, seen.batches, seen.tokens)
            break
    return seen


def _add(probe: Probe, group: list[Batch], seen: Seen) -> NDArray[np.float64]:
    first = seen.batches - len(group)
    losses, gradients = probe.gradients(group, first)
    seen.losses += losses
    for number, gradient in enumerate(gradients, first):
        seen.gradients[number % 2] += gradient
        seen.squares[number % 2] += gradient**2
    return losses


def second_pass(probe: Probe, epoch: Epoch, seen: Seen, at_once: int, label: str) -> None:
    """Products of the Hessians of the same batches with the sum of their gradients, added to what was seen."""
    direction = seen.gradients.sum(0)
    progress = Progress(label, seen.batches, "batches")
    group: list[Batch] = []
    for number, (_, batch) in enumerate(_repeated(epoch), 1):
        group.append(batch)
        if len(group) == at_once or number == seen.batches:
            first = number - len(group)
            for at, product in enumerate(probe.products(group, first, direction), first):
                seen.products[at % 2] += product
            progress.add(len(group))
            group = []
        if number == seen.batches:
            break


def _repeated(epoch: Epoch) -> Iterator[tuple[int, Batch]]:
    number = 0
    while True:
        number += 1
        empty = True
        for batch in epoch():
            empty = False
            yield number, batch
        if empty:
            raise PolyticketError("no records", where="saliency", expected="at least one record per language")
