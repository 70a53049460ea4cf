"""The loop of fine-tuning: the same for every task and every kind of model."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from polyticket.errors import PolyticketError
from polyticket.logs import Progress
from polyticket.model.torch_setup import autocast
from polyticket.tasks.batches import epoch_steps, sorted_batches
from polyticket.tasks.encoded import Encoded, Indices
from polyticket.tasks.form import Batch, Form, Learner

Curve = list[tuple[int, float, float | None]]


@dataclass(frozen=True)
class FinetuneOptions:
    """How to fine-tune; the defaults are XTREME's.

    Attributes:
        learning_rate: Decays linearly to 0, without warm-up.
        epochs: Passes over the training split, more where `adaptive_least_seen` asks for it.
        adaptive_least_seen: Training examples to see at least, repeats counted.
        batch_size: Windows in a micro-batch.
        accumulation: Micro-batches whose gradients are added up for a step.
        max_seq_length: Pieces in a window, special ones included.
        save_steps: Steps between two evaluations on dev.
        patience: Evaluations without a better score after which to stop; None never stops early.
        max_train_examples: Train on as many random examples only; None for all.
        eval_batch_size: Windows in a batch of evaluation.
        precision: Of matrix products: `float32`, `bfloat16`, or `auto`, see `autocast`.
        clip_norm: Largest norm of all gradients together.
        threads: Compute threads. They are part of the arithmetic: the same number gives the same scores.
    """

    learning_rate: float = 2e-5
    epochs: int = 2
    adaptive_least_seen: int = 10_000
    batch_size: int = 8
    accumulation: int = 4
    max_seq_length: int = 128
    save_steps: int = 500
    patience: int | None = None
    max_train_examples: int | None = None
    eval_batch_size: int = 64
    precision: str = "auto"
    clip_norm: float = 1.0
    threads: int = 2


class Trainer:
    """Steps of AdamW (no weight decay, ε 1e-8) on the mean loss of a step's targets, gradients clipped.

    Args:
        learner: What learns, on its device.
        form: Gives the loss.
        options: Clipping and precision.
        on_gradients: Called when a step's gradients are there, before they are clipped.
        name: Of the task, for errors.
    """

    def __init__(
        self,
        learner: Learner,
        form: Form,
        options: FinetuneOptions,
        on_gradients: Callable[[], None] = lambda: None,
        name: str = "",
    ) -> None:
        self.learner, self.form, self.options, self.on_gradients, self.name = learner, form, options, on_gradients, name
        self.parameters = [parameter for parameter in learner.parameters() if parameter.requires_grad]
        self.device = self.parameters[0].device
        self.optimizer = torch.optim.AdamW(self.parameters, lr=0.0, eps=1e-8, weight_decay=0.0, fused=True)

    def step(self, batches: Sequence[Batch], rate: float, number: int) -> float:
        """One update; gives the mean loss.

        The losses of all micro-batches are added up and divided by the number of their targets, so that each target
        of a step weighs the same, whichever micro-batch it is in.

        Raises:
            PolyticketError: The loss is not finite.
        """
        targets = max(1, sum(map(self.form.targets, batches)))
        total = torch.zeros((), device=self.device)
        for batch in batches:
            with autocast(self.device, self.options.precision):
                loss = self.form.loss(self.learner, on_device(batch, self.device)) / targets
            loss.backward()
            total += loss.detach()
        mean = total.item()
        if not np.isfinite(mean):
            raise PolyticketError(f"loss is {mean} at step {number}", where=self.name, expected="a lower learning_rate")
        self.on_gradients()
        nn.utils.clip_grad_norm_(self.parameters, self.options.clip_norm)
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad()
        return mean


@dataclass(frozen=True)
class Trained:
    """How a training went; the learner holds the weights of the best step.

    Attributes:
        steps: How many there were.
        epochs: Passes over the data that were planned.
        best_step: The step that dev chose.
        stopped: `end`, or `patience`.
        curve: Step, mean loss of its targets, and the dev score where it was taken.
        rate: Training examples a second, evaluation left out.
    """

    steps: int
    epochs: int
    best_step: int
    stopped: str
    curve: Curve
    rate: float


def train(trainer: Trainer, encoded: Encoded, examples: int, evaluate: Callable[[int], float], *, seed: int) -> Trained:
    """Train on all planned epochs, and put the weights of the step that is best on dev back.

    Args:
        trainer: Makes the steps.
        encoded: The training windows.
        examples: How many examples they are of.
        evaluate: The dev score after a step, higher is better.
        seed: Draws the order of the data, dropout, and what the form draws.
    """
    options, learner = trainer.options, trainer.learner
    epochs = planned_epochs(examples, options)
    plan = list(planned_steps(encoded.lengths(), epochs, options, seed))
    progress = Progress(f"fine-tuning {trainer.name}", len(plan), "steps")
    best, best_step, worse, stopped = -np.inf, 0, 0, "end"
    kept: dict[str, Tensor] = {}
    curve: Curve = []
    torch.manual_seed(seed)  # dropout draws from the global generator
    learner.train()
    seconds = 0.0
    for number, windows in enumerate(plan, 1):
        began = time.monotonic()
        random = np.random.default_rng([seed, 1, number])
        batches = (trainer.form.collate(encoded, one, random) for one in windows)
        loss = trainer.step(list(batches), options.learning_rate * (1 - (number - 1) / len(plan)), number)
        seconds += time.monotonic() - began
        score = None
        if number % options.save_steps == 0 or number == len(plan):
            score = evaluate(number)
            worse += 1
            if score > best or not kept:
                best, best_step, worse = score, number, 0
                kept = {name: value.detach().clone() for name, value in learner.state_dict().items()}
        curve.append((number, loss, score))
        progress.add(loss=loss)
        if options.patience is not None and worse >= options.patience:
            stopped = "patience"
            break
    learner.load_state_dict(kept)
    seen = epochs * examples * len(curve) / len(plan)
    return Trained(len(curve), epochs, best_step, stopped, curve, seen / max(seconds, 1e-9))


def planned_epochs(examples: int, options: FinetuneOptions) -> int:
    """`epochs`, or as many as it takes to see `adaptive_least_seen` examples."""
    return max(options.epochs, -(-options.adaptive_least_seen // examples))


def planned_steps(lengths: Indices, epochs: int | None, options: FinetuneOptions, seed: int) -> Iterator[list[Indices]]:
    """The windows of each step of some epochs, by micro-batch; None for epochs without end."""
    for epoch in count(1) if epochs is None else range(1, epochs + 1):
        random = np.random.default_rng([seed, epoch])
        yield from epoch_steps(lengths, options.batch_size, options.accumulation, random)


def predicted(learner: Learner, form: Form, encoded: Encoded, options: FinetuneOptions) -> list[Any]:
    """What is predicted for each window, in reading order, with dropout off."""
    device = next(learner.parameters()).device
    found: list[Any] = [None] * len(encoded)
    training = learner.training
    learner.eval()
    with torch.inference_mode(), autocast(device, options.precision):
        for numbers in sorted_batches(encoded.lengths(), options.eval_batch_size):
            batch = on_device(form.collate(encoded, numbers, None), device)
            for number, one in zip(numbers.tolist(), form.predict(learner, batch), strict=True):
                found[number] = one
    learner.train(training)
    return found


def on_device(batch: Mapping[str, Tensor], device: torch.device) -> Batch:
    """The same batch on a device."""
    return {name: tensor.to(device) for name, tensor in batch.items()}
