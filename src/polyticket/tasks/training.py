"""The loop that trains a tagger and keeps its best step."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from polyticket.errors import PolyticketError
from polyticket.logs import Progress, log
from polyticket.model.folder import Model
from polyticket.model.torch_bert import Masks, torch_masks
from polyticket.tasks.data import Sentence, Task
from polyticket.tasks.encode import Window, unflatten
from polyticket.tasks.metrics import Scores
from polyticket.tasks.tagger import Indices, build_tagger, collate, epoch_steps, expanded, predict

Split = Sequence[Sentence]
Curve = list[tuple[int, float, float | None]]


@dataclass(frozen=True)
class FinetuneOptions:
    """How to fine-tune; the defaults are the published ones.

    Attributes:
        learning_rate: Decays linearly to 0, without warm-up.
        epochs: Passes over the training split, more where `adaptive_least_seen` asks for it.
        adaptive_least_seen: Training sentences to see at least, repeats counted.
        batch_size: Windows in a micro-batch.
        accumulation: Micro-batches whose gradients are averaged for a step.
        max_seq_length: Pieces in a window, `[CLS]` and `[SEP]` included.
        save_steps: Steps between two evaluations on dev.
        max_train_sentences: Train on as many random sentences only; None for all.
        eval_batch_size: Windows in a batch of evaluation.
        prune_model: Fine-tune what the language's masks keep, as a smaller model; otherwise the full one with masks.
        clip_norm: Largest norm of all gradients together.
        threads: Compute threads. They are part of the arithmetic: the same number gives the same scores.
    """

    learning_rate: float = 2e-5
    epochs: int = 2
    adaptive_least_seen: int = 10_000
    batch_size: int = 8
    accumulation: int = 4
    max_seq_length: int = 128
    save_steps: int = 1000
    max_train_sentences: int | None = None
    eval_batch_size: int = 64
    prune_model: bool = False
    clip_norm: float = 1.0
    threads: int = 2


def planned_epochs(sentences: int, options: FinetuneOptions) -> int:
    """`epochs`, or as many as it takes to see `adaptive_least_seen` sentences."""
    return max(options.epochs, -(-options.adaptive_least_seen // sentences))


class TaggerRun:
    """A tagger in training; when it ends, the weights of the step that is best on dev are put back.

    Args:
        model: Weights and masks, with the vocabulary that `windows` use.
        windows: By set: `train`, `dev` and whatever is to be scored.
        sets: The sentences of the windows.
        task: What to learn.
        language: Whose masks are used.
        seed: Draws the classifier, the order of the data and dropout.
        options: How to train.
        device: Where to compute.
    """

    def __init__(
        self,
        model: Model,
        windows: Mapping[str, list[Window]],
        sets: Mapping[str, Split],
        task: Task,
        language: str,
        seed: int,
        options: FinetuneOptions,
        device: torch.device,
    ) -> None:
        self.model, self.task, self.language, self.seed, self.options = model, task, language, seed, options
        self.sets, self.windows = sets, windows
        self.device = device
        pruned_for = language if options.prune_model else None
        self.tagger = build_tagger(model, len(task.labels), seed, pruned_for).to(self.device)
        self.parameters = [p for name, p in self.tagger.named_parameters() if ".pooler." not in name]
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=options.learning_rate, eps=1e-8, weight_decay=0.0, fused=True
        )
        self.masks = None if options.prune_model else self._masks(language)
        self.curve: Curve = []
        self.best_step = 0

    def train(self) -> tuple[int, int]:
        """All steps of all epochs; returns how many there were of both."""
        epochs = planned_epochs(len(self.sets["train"]), self.options)
        plan = list(self._plan(epochs))
        progress = Progress(f"fine-tuning {self.task.name} {self.language}", len(plan), "steps")
        best, kept = -1.0, {}  # so that a score of 0 is kept as well
        torch.manual_seed(self.seed)  # dropout draws from the global generator
        self.tagger.train()
        for number, batches in enumerate(plan, 1):
            loss = self._step(batches, self.options.learning_rate * (1 - (number - 1) / len(plan)), number)
            f1 = None
            if number % self.options.save_steps == 0 or number == len(plan):
                f1 = self._evaluate(number)
                if f1 > best:
                    best, self.best_step = f1, number
                    kept = {name: value.detach().clone() for name, value in self.tagger.state_dict().items()}
            self.curve.append((number, loss, f1))
            progress.add(loss=loss)
        self.tagger.load_state_dict(kept)
        return len(plan), epochs

    def score(self, name: str, language: str) -> tuple[Scores, list[list[str]]]:
        """Scores and predicted tags of one set, with one language's masks."""
        tagger, masks = self.tagger, self.masks
        if language != self.language:
            masks = self._masks(language)
            if self.options.prune_model:  # another language's masks keep what was removed
                tagger = expanded(tagger, self.model, self.language).to(self.device)
        found = predict(tagger, self.windows[name], masks, self.device, self.options.eval_batch_size)
        tags = unflatten([self.task.labels[index] for index in found], self.sets[name])
        return self.task.score([sentence.tags for sentence in self.sets[name]], tags), tags

    def _plan(self, epochs: int) -> Iterator[list[Indices]]:
        lengths = np.array([len(window.ids) for window in self.windows["train"]])
        for epoch in range(1, epochs + 1):
            random = np.random.default_rng([self.seed, epoch])
            yield from epoch_steps(lengths, self.options.batch_size, self.options.accumulation, random)

    def _step(self, batches: list[Indices], rate: float, number: int) -> float:
        total = 0.0
        for numbers in batches:
            batch = collate([self.windows["train"][n] for n in numbers]).to(self.device)
            loss = nn.functional.cross_entropy(self.tagger(batch, self.masks), batch.labels) / len(batches)
            loss.backward()
            total += loss.item()
        if not np.isfinite(total):
            raise PolyticketError(
                f"loss is {total} at step {number}", where=self.task.name, expected="a lower learning_rate"
            )
        nn.utils.clip_grad_norm_(self.parameters, self.options.clip_norm)
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad()
        return total

    def _evaluate(self, step: int) -> float:
        scores, _ = self.score("dev", self.language)
        said = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
        log.info(f"{self.task.name} {self.language}: dev at step {step:,}: {said}")
        return scores[self.task.selection]

    def _masks(self, language: str) -> Masks | None:
        rows = torch_masks(self.model, language)
        return None if rows is None else {name: row.to(self.device) for name, row in rows.items()}
