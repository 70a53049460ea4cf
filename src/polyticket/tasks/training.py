"""The training loop of fine-tuning, the same for all tasks and backbones."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from polyticket.core.errors import PolyticketError
from polyticket.core.logs import Progress
from polyticket.model.torch_setup import autocast, to_device, to_host
from polyticket.tasks.encoded import Encoded, Indices
from polyticket.tasks.heads.base import Batch, TaskHead, TaskModel
from polyticket.tasks.options import FinetuneOptions, learning_rate_at, planned_epochs

Curve = list[tuple[int, float, float | None]]
OVERHEAD = {"cpu": 32}
OTHER_OVERHEAD = 4096
"""The fixed cost of a micro-batch in tokens, by kind of device: an accelerator waits for kernel launches."""


class Trainer:
    """Steps of an optimiser on the mean loss of a step's targets, gradients clipped.

    Args:
        model: The task model, on its device.
        head: Gives the loss.
        options: Optimiser, weight decay, clipping and precision.
        on_gradients: Called after the gradients of a step are computed, before they are clipped.
        name: Of the task, for errors.
    """

    def __init__(
        self,
        model: TaskModel,
        head: TaskHead,
        options: FinetuneOptions,
        on_gradients: Callable[[], None] = lambda: None,
        name: str = "",
    ) -> None:
        self.model, self.head, self.options, self.on_gradients, self.name = model, head, options, on_gradients, name
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.device = self.parameters[0].device
        self.optimizer = optimizer_of(options.optimizer, _groups(model, options.weight_decay))

    def micro_batches(self, encoded: Encoded, windows: Indices, random: np.random.Generator | None) -> list[Batch]:
        """The windows of a step as micro-batches of at most `batch_size` windows of like length.

        On a GPU, which wants few large ones, a micro-batch may have more windows, but no more positions than
        `batch_size` windows of `max_seq_length`.

        Args:
            encoded: All windows.
            windows: Those of the step, short ones first.
            random: Generator for what training draws anew each time.
        """
        overhead = OVERHEAD.get(self.device.type, OTHER_OVERHEAD)
        room = 0 if self.device.type == "cpu" else self.options.batch_size * self.options.max_seq_length
        parts = cut(windows, encoded.lengths(), self.options.batch_size, overhead, room)
        return [self.head.collate(encoded, part, random) for part in parts]

    def step(self, batches: Sequence[Batch], rate: float, number: int) -> float:
        """Make one update and return the mean loss.

        The losses of all micro-batches are added up and divided by the number of their targets, so that each target
        of a step has the same weight in whatever micro-batch.

        Raises:
            PolyticketError: The loss is not finite.
        """
        return self.queued_step(batches, rate, number)()

    def queued_step(self, batches: Sequence[Batch], rate: float, number: int) -> Callable[[], float]:
        """Give a GPU the work of `step`, and return what waits for the mean loss and checks it."""
        targets = max(1, sum(map(self.head.targets, batches)))
        total = torch.zeros((), device=self.device)
        for batch in batches:
            with autocast(self.device, self.options.precision):
                loss = self.head.loss(self.model, on_device(batch, self.device)) / targets
            loss.backward()
            total += loss.detach()
        copies = to_host(total)
        self.on_gradients()
        if self.options.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.options.max_grad_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad()

        def mean() -> float:
            found = copies()[0].item()
            if not np.isfinite(found):
                expected = "a lower learning_rate"
                raise PolyticketError(f"loss is {found} at step {number}", where=self.name, expected=expected)
            return found

        return mean


class Losses:
    """The losses of steps in order, read one step behind, so that a GPU computes a step while the next is prepared.

    Args:
        progress: Is told of each step that is done.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._found: list[float] = []
        self._queued: list[Callable[[], float]] = []

    def add(self, step: Callable[[], float]) -> None:
        """Add a step, as `Trainer.queued_step` gives it."""
        self._queued.append(step)
        self._read(1)

    def all(self) -> list[float]:
        """The losses of all steps, once they are computed."""
        self._read(0)
        return self._found

    def _read(self, left: int) -> None:
        while len(self._queued) > left:
            self._found.append(self._queued.pop(0)())
            self._progress.add(loss=self._found[-1])


def optimizer_of(name: str, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """An optimiser whose learning rate is set before each step.

    `adafactor` is that of transformers without relative steps and without scaling by the size of the parameters: its
    learning rate is the stated one, whatever share of the weights is pruned. `torch.optim.Adafactor` always multiplies
    it by the root mean square of a parameter, in which pruned weights count as zeros.

    Args:
        name: `adamw` (ε 1e-8; Loshchilov & Hutter 2019) or `adafactor` (Shazeer & Stern 2018).
        groups: Parameters and their weight decay.

    Raises:
        PolyticketError: There is none of that name.
    """
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=0.0, eps=1e-8, fused=True)
    if name != "adafactor":
        raise PolyticketError(f"optimizer {name!r}", where="finetuning", expected="adamw or adafactor")
    from transformers.optimization import Adafactor  # heavy, and needed for this alone

    adafactor: torch.optim.Optimizer = Adafactor(groups, lr=0.0, scale_parameter=False, relative_step=False)
    return adafactor


def _groups(model: TaskModel, decay: float) -> list[dict[str, Any]]:
    """Parameters with their weight decay: none of biases and LayerNorms, as published."""
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    if not decay:
        return [{"params": list(trained.values()), "weight_decay": 0.0}]
    bare = [name for name in trained if name.endswith(".bias") or "norm" in name.lower()]
    return [
        {"params": [trained[name] for name in trained if name not in bare], "weight_decay": decay},
        {"params": [trained[name] for name in bare], "weight_decay": 0.0},
    ]


@dataclass(frozen=True)
class Trained:
    """The course of a training; the task model has the weights of the best step.

    Attributes:
        steps: The number of updates.
        epochs: Planned passes over the data; the last one may be partial.
        best_step: The step with the best dev score.
        stopped: `end`, or `patience`.
        curve: Step, mean loss of its targets, and the dev score where it was taken.
        rate: Training examples per second, without evaluation.
    """

    steps: int
    epochs: int
    best_step: int
    stopped: str
    curve: Curve
    rate: float


def train(trainer: Trainer, encoded: Encoded, examples: int, evaluate: Callable[[int], float], *, seed: int) -> Trained:
    """Train for all planned steps, then restore the weights of the step with the best dev score.

    Args:
        trainer: Makes the steps.
        encoded: The training windows.
        examples: The number of their examples.
        evaluate: The dev score after a step, higher is better.
        seed: Draws the order of the data, dropout, and what the head draws.
    """
    options, model = trainer.options, trainer.model
    plan = planned_training(encoded.lengths(), examples, options, seed)
    progress = Progress(f"fine-tuning {trainer.name}", len(plan), "steps")
    best, best_step, worse, stopped = -np.inf, 0, 0, "end"
    kept: dict[str, Tensor] = {}
    losses, scores = Losses(progress), dict[int, float]()
    torch.manual_seed(seed)  # dropout draws from the global generator
    model.train()
    seconds = 0.0
    for number, windows in enumerate(plan, 1):
        began, scored = time.monotonic(), number % options.save_steps == 0 or number == len(plan)
        random = np.random.default_rng([seed, 1, number])
        batches = trainer.micro_batches(encoded, windows, random)
        losses.add(trainer.queued_step(batches, learning_rate_at(options, number - 1, len(plan)), number))
        if scored:
            losses.all()
        seconds += time.monotonic() - began
        if scored:
            score = scores[number] = evaluate(number)
            worse += 1
            if score > best or not kept:
                best, best_step, worse = score, number, 0
                kept = {name: value.detach().clone() for name, value in model.state_dict().items()}
        if options.patience is not None and worse >= options.patience:
            stopped = "patience"
            break
    curve = [(number, loss, scores.get(number)) for number, loss in enumerate(losses.all(), 1)]
    model.load_state_dict(kept)
    seen, planned = (sum(map(len, steps)) for steps in (plan[: len(curve)], plan))
    rate = seen / len(encoded) * examples / max(seconds, 1e-9)
    return Trained(len(curve), -(-planned // len(encoded)), best_step, stopped, curve, rate)


def planned_training(lengths: Indices, examples: int, options: FinetuneOptions, seed: int) -> list[Indices]:
    """The windows of each step of a training: `max_steps` steps, or those of the planned epochs."""
    if options.max_steps is None:
        return list(planned_steps(lengths, planned_epochs(examples, options), options, seed))
    return list(islice(planned_steps(lengths, None, options, seed), options.max_steps))


def planned_steps(lengths: Indices, epochs: int | None, options: FinetuneOptions, seed: int) -> Iterator[Indices]:
    """The windows of each step, short ones first, of N epochs; None repeats without end."""
    for epoch in count(1) if epochs is None else range(1, epochs + 1):
        random = np.random.default_rng([seed, epoch])
        yield from epoch_steps(lengths, options.batch_size * options.accumulation, random)


def predicted(model: TaskModel, head: TaskHead, encoded: Encoded, options: FinetuneOptions) -> list[Any]:
    """The prediction for each window, in reading order, with dropout off."""
    device = next(model.parameters()).device
    outputs: list[Any] = [None] * len(encoded)
    training = model.training
    model.eval()
    with torch.inference_mode(), autocast(device, options.precision):
        for numbers in sorted_batches(encoded.lengths(), options.eval_batch_size):
            batch = on_device(head.collate(encoded, numbers, None), device)
            for number, output in zip(numbers.tolist(), head.predict(model, batch), strict=True):
                outputs[number] = output
    model.train(training)
    return outputs


def on_device(batch: Mapping[str, Tensor], device: torch.device) -> Batch:
    """The same batch on a device."""
    return {name: to_device(tensor, device) for name, tensor in batch.items()}


Random = np.random.Generator


def epoch_steps(lengths: Indices, size: int, random: Random) -> Iterator[Indices]:
    """Draw one epoch's optimiser steps at random.

    A random permutation decides which windows a step has. Then the windows of each step are sorted by length. So the
    lengths of windows do not influence which windows are in the same step.

    Args:
        lengths: int64 [n], the windows' lengths in subword tokens.
        size: Windows in a step; the last one may have fewer.
        random: Draws the permutation.

    Yields:
        For each step the numbers of its windows, short ones first; each window is in exactly one step.
    """
    for step in _chunks(random.permutation(len(lengths)), size):
        yield step[np.argsort(lengths[step], kind="stable")]


def cut(windows: Indices, lengths: Indices, most: int, overhead: int, room: int = 0) -> list[Indices]:
    """Cut windows that are sorted by length into the micro-batches that take the least time.

    A micro-batch takes the time of its tokens, padding included, and of `overhead` tokens more. The best cuts are found
    exactly, by dynamic programming; of equally good ones the longest last micro-batches.

    Args:
        windows: int64 [m], their numbers, short ones first.
        lengths: int64 [n], the lengths of all windows in subword tokens.
        most: The most windows in a micro-batch.
        room: Positions, padding included, up to which it may have more windows.
        overhead: The fixed cost of a micro-batch, in tokens.

    Returns:
        Arrays that together are `windows`.
    """
    widths = lengths[windows]
    cost, begins = np.zeros(len(windows) + 1), [0] * (len(windows) + 1)
    for end in range(1, len(windows) + 1):
        first = max(0, end - max(most, room // max(1, int(widths[end - 1]))))
        costs = cost[first:end] + np.arange(end - first, 0, -1) * widths[end - 1] + overhead
        best = int(costs.argmin())
        cost[end], begins[end] = costs[best], first + best
    parts: list[Indices] = []
    end = len(windows)
    while end:
        parts.append(windows[begins[end] : end])
        end = begins[end]
    return parts[::-1]


def sorted_batches(lengths: Indices, batch_size: int) -> Iterator[Indices]:
    """All windows, short ones first, `batch_size` at a time."""
    return _chunks(np.argsort(lengths, kind="stable"), batch_size)


def _chunks(numbers: Indices, size: int) -> Iterator[Indices]:
    return (numbers[start : start + size] for start in range(0, len(numbers), size))
