"""Fine-tuning for tagging: as the published scripts do it, as this package does it, and this package less a means."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import BertForTokenClassification

from polyticket.tasks.backbones.bert import BertBackbone
from polyticket.tasks.encoded import Encoded, Indices
from polyticket.tasks.finetuning import build
from polyticket.tasks.heads.base import Batch, Random, TaskModel, read_windows
from polyticket.tasks.heads.tagging import Tagging
from polyticket.tasks.options import FinetuneOptions
from polyticket.tasks.training import Trainer, predicted, sorted_batches

WIDE = 128
UNLABELLED = -100  # what cross-entropy passes over
Steps = Sequence[Indices]


class Published:
    """As the published scripts do it.

    Labels on first tokens, all positions through the classifier, AdamW over all weights, gradients clipped. The loss
    of a step is the mean of its micro-batches' means, as published, or that of its words, as this package has it. The
    windows of a step go into its micro-batches in a random order.

    Args:
        folder: A Hugging Face BERT.
        encoded: The windows to train on.
        head: Weights of the classifier to begin with.
        options: Sizes of batches, learning rate, clipping.
        wide: Tokens that every batch is padded to; None pads to its longest window, which is not as published.
        by_word: Whether every word of a step weighs the same.
    """

    def __init__(
        self,
        folder: Path,
        encoded: Encoded,
        head: nn.Linear,
        options: FinetuneOptions,
        wide: int | None = WIDE,
        *,
        by_word: bool = False,
    ) -> None:
        self.network = BertForTokenClassification.from_pretrained(folder, num_labels=head.out_features).train()
        self.network.classifier.load_state_dict(head.state_dict())
        self.encoded, self.options, self.wide, self.by_word = encoded, options, wide, by_word
        weights = self.network.parameters()
        self.optimizer = torch.optim.AdamW(weights, lr=0.0, eps=1e-8, weight_decay=0.0)

    def batch(self, encoded: Encoded, numbers: Indices) -> dict[str, Tensor]:
        """Windows, padded; labels where words begin."""
        ids = encoded["ids"].rows(numbers)
        wide = self.wide or max(map(len, ids))
        found = np.full((len(ids), wide), self.network.config.pad_token_id, np.int64)
        labels = np.full((len(ids), wide), UNLABELLED, np.int64)
        for row, (tokens, number) in enumerate(zip(ids, numbers, strict=True)):
            found[row, : len(tokens)] = tokens
            labels[row, encoded["firsts"].row(number)] = encoded["labels"].row(number)
        seen = np.arange(wide) < np.array([[len(row)] for row in ids])
        named = {"input_ids": found, "attention_mask": seen.astype(np.int64), "labels": labels}
        return {name: torch.from_numpy(values) for name, values in named.items()}

    def loss(self, windows: Indices) -> float:
        """The loss of a step's windows; gradients of its micro-batches are added up."""
        order, size = np.random.default_rng(windows).permutation(windows), self.options.batch_size
        micro_batches = [order[start : start + size] for start in range(0, len(order), size)]
        total, weights = torch.zeros(()), self.weights(micro_batches)
        for numbers, weight in zip(micro_batches, weights, strict=True):
            loss = self.network(**self.batch(self.encoded, numbers)).loss * weight
            loss.backward()
            total += loss.detach()
        return total.item()

    def weights(self, micro_batches: Sequence[Indices]) -> list[float]:
        """What each micro-batch's mean loss is multiplied by."""
        words = [len(np.concatenate(self.encoded["labels"].rows(numbers))) for numbers in micro_batches]
        return [one / sum(words) if self.by_word else 1 / len(words) for one in words]

    def step(self, windows: Indices, rate: float) -> None:
        """One update."""
        self.loss(windows)
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.step()
        self.network.zero_grad()

    def train(self, steps: Steps) -> None:
        """Updates, the learning rate decaying linearly."""
        for number, windows in enumerate(steps):
            self.step(windows, self.options.learning_rate * (1 - number / len(steps)))

    def plan(self, epochs: int, seed: int) -> list[Indices]:
        """All windows in random steps, for some epochs."""
        random, size = np.random.default_rng(seed), self.options.batch_size * self.options.accumulation
        found: list[Indices] = []
        for _ in range(epochs):
            order = random.permutation(len(self.encoded))
            found += [order[start : start + size] for start in range(0, len(order), size)]
        return found

    def predicted(self, encoded: Encoded, size: int) -> list[Indices]:
        """The best label of each word, by window, in batches of so many windows of like length."""
        found: list[Indices] = [np.zeros(0, np.int64)] * len(encoded)
        self.network.eval()
        with torch.no_grad():
            for numbers in sorted_batches(encoded.lengths(), size):
                batch = self.batch(encoded, numbers)
                del batch["labels"]
                best = self.network(**batch).logits.argmax(2).numpy()
                for number, row in zip(numbers.tolist(), best, strict=True):
                    found[number] = row[encoded["firsts"].row(number)]
        self.network.train()
        return found


class Padded(Tagging):
    """Every batch as wide as the longest window may be."""

    def collate(self, encoded: Encoded, numbers: Indices, random: Random | None) -> Batch:
        """As `tagging.Tagging`, but for the padding."""
        batch = super().collate(encoded, numbers, random)
        short = batch["ids"].shape[1]
        for name in ("ids", "attention_mask"):
            batch[name] = torch.nn.functional.pad(batch[name], (0, WIDE - short))
        places = batch["places"]
        return batch | {"places": places // short * WIDE + places % short}


class Everywhere(Tagging):
    """All positions go through the classifier."""

    def logits(self, task_model: TaskModel, batch: Batch) -> Tensor:
        """Float [N, labels] of the batch's words."""
        found: Tensor = task_model.head(read_windows(task_model, batch)).flatten(0, 1)
        return found.index_select(0, batch["places"])


class Own:
    """Fine-tuning as this package does it.

    Args:
        backbone: The pretrained model.
        encoded: The windows to train on.
        options: How to train.
        head: How tagging is done.
    """

    def __init__(self, backbone: BertBackbone, encoded: Encoded, options: FinetuneOptions, head: Tagging) -> None:
        self.encoded, self.head, self.options = encoded, head, options
        self.task_model = build(head, backbone, "", seed=1)
        self.trainer = Trainer(self.task_model, head, options)

    def train(self, steps: Steps) -> None:
        """Updates, the learning rate decaying linearly."""
        for number, windows in enumerate(steps):
            batches = self.trainer.micro_batches(self.encoded, windows, None)
            self.trainer.step(batches, self.options.learning_rate * (1 - number / len(steps)), number)

    def loss(self, windows: Indices) -> float:
        """The loss of a step without dropout."""
        self.task_model.eval()
        batches = self.trainer.micro_batches(self.encoded, windows, None)
        total = sum(self.head.loss(self.task_model, batch).item() for batch in batches)
        self.task_model.train()
        return total / sum(map(self.head.targets, batches))

    def predicted(self, some: Encoded) -> list[Indices]:
        """The best label of each word, by window."""
        return predicted(self.task_model, self.head, some, self.options)
