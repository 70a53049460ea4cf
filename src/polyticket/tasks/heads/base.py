"""Task heads: encoding, collation, modules, loss and predictions of a task on a backbone."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from polyticket.model.torch_bert import MaskedBert, Masks
from polyticket.tasks.encoded import Encoded, Indices, padded
from polyticket.tasks.metrics import Prediction
from polyticket.tasks.options import FinetuneOptions
from polyticket.tasks.table import Task
from polyticket.tasks.tokenizer import TaskTokenizer

Batch = dict[str, Tensor]
Random = np.random.Generator
Weights = Mapping[str, NDArray[np.float32]]
DEFAULTS = FinetuneOptions()


class TaskModel(nn.Module):
    """A backbone with a task head.

    Attributes:
        backbone: The pretrained model.
        head: The module that the task head adds.
        masks: Mask rows of the neurons by site, as `MaskedBert` takes them; None multiplies by nothing.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module, masks: Masks | None = None) -> None:
        super().__init__()
        self.backbone, self.head, self.masks = backbone, head, masks


class TaskHead(ABC):
    """A task head. Shapes: B windows of T tokens, N targets in all.

    Args:
        task: The task.
        options: Options of fine-tuning; a head reads its own among them.

    Attributes:
        restricts: Whether the word embeddings may be reduced to the tokens that occur.
        reads_pooler: Whether the head reads a BERT's pooler.
    """

    restricts = True
    reads_pooler = False

    def __init__(self, task: Task, options: FinetuneOptions = DEFAULTS) -> None:
        self.task, self.options = task, options

    @abstractmethod
    def encode(self, examples: Sequence[Any], tokenizer: TaskTokenizer, most: int) -> Encoded:
        """Encode examples as windows of at most `most` tokens, special ones included, in reading order."""

    @abstractmethod
    def collate(self, encoded: Encoded, numbers: Indices, random: Random | None) -> Batch:
        """Make a batch of windows.

        Args:
            encoded: All windows.
            numbers: The numbers of the batch's windows.
            random: Generator for what training draws anew each time; None in evaluation, where a prediction depends
                neither on chance nor on the other windows of the batch.
        """

    @abstractmethod
    def module(self, backbone: nn.Module, seed: int, pretrained: Weights | None = None) -> nn.Module:
        """Make the module that is put on a backbone.

        Args:
            backbone: The pretrained model.
            seed: Seed of fresh weights.
            pretrained: All weights of the pretrained model, which may include the head's; None draws fresh ones.
        """

    @abstractmethod
    def loss(self, model: TaskModel, batch: Batch) -> Tensor:
        """The sum of the losses of a batch's targets."""

    @abstractmethod
    def targets(self, batch: Batch) -> int:
        """The number of a batch's targets."""

    @abstractmethod
    def predict(self, model: TaskModel, batch: Batch) -> list[Any]:
        """The prediction for each window of a batch."""

    @abstractmethod
    def gather(self, outputs: Sequence[Any], encoded: Encoded, examples: Sequence[Any]) -> list[Prediction]:
        """Combine the predictions of all windows, in reading order, into one for each example."""


class Classifier(nn.Sequential):
    """Dropout and a linear layer to labels, weights normal with BERT's deviation, biases 0.

    Args:
        backbone: Gives sizes, dropout and deviation.
        labels: The number of labels.
        seed: Seed of the weights.
    """

    def __init__(self, backbone: MaskedBert, labels: int, seed: int) -> None:
        linear = nn.Linear(backbone.shape.hidden_size, labels)
        random = torch.Generator().manual_seed(seed)
        nn.init.normal_(linear.weight, std=backbone.shape.initializer_range, generator=random)
        nn.init.zeros_(linear.bias)
        super().__init__(nn.Dropout(backbone.shape.hidden_dropout_prob), linear)


class Classification(TaskHead):
    """A head whose targets each have one of the task's labels: a linear classifier, and its cross-entropy."""

    def module(self, backbone: Any, seed: int, pretrained: Weights | None = None) -> nn.Module:  # noqa: ARG002
        """A linear classifier."""
        return Classifier(backbone, len(self.task.labels), seed)

    @abstractmethod
    def logits(self, model: TaskModel, batch: Batch) -> Tensor:
        """Float [N, labels] of a batch's targets."""

    def loss(self, model: TaskModel, batch: Batch) -> Tensor:
        """Cross-entropy of the targets' labels, summed."""
        return nn.functional.cross_entropy(self.logits(model, batch).float(), batch["labels"], reduction="sum")

    def targets(self, batch: Batch) -> int:
        """The number of labels."""
        return len(batch["labels"])


def read_windows(model: TaskModel, batch: Batch) -> Tensor:
    """Hidden states [B, T, H] of a batch with `ids` and `attention_mask`, and `segments` where they are not all 0."""
    segments = batch.get("segments")
    segment_ids = torch.zeros_like(batch["ids"]) if segments is None else segments
    hidden: Tensor = model.backbone(batch["ids"], batch["attention_mask"], segment_ids, model.masks)
    return hidden


def windows_of(encoded: Encoded, numbers: Indices) -> Batch:
    """The `ids`, int64 [B, T], of windows padded to the longest, and their `attention_mask`, bool [B, T]."""
    rows = encoded["ids"].rows(numbers)
    lengths = np.array([len(row) for row in rows])
    mask = np.arange(lengths.max()) < lengths[:, None]
    return {"ids": torch.from_numpy(padded(rows)), "attention_mask": torch.from_numpy(mask)}
