"""Masked BERT with a linear classifier over words, and the batches that it takes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from polyticket.export.compact_bert import CompactBert, compact_encoder, unpacked
from polyticket.export.compaction import compact, expand
from polyticket.model.folder import Model
from polyticket.model.torch_bert import MaskedBert, Masks, torch_encoder
from polyticket.tasks.encode import Window

Indices = NDArray[np.int64]
WORDS = "bert.embeddings.word_embeddings.weight"
POOL_STEPS = 16


@dataclass(frozen=True)
class Batch:
    """B windows padded to the longest one, T pieces, with N words in all.

    Attributes:
        ids: int64 [B, T], 0 where there is padding; attention never sees what stands there.
        mask: bool [B, T], False for padding.
        places: int64 [N], the first piece of each word as an index into the B·T positions.
        labels: int64 [N].
    """

    ids: Tensor
    mask: Tensor
    places: Tensor
    labels: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        return Batch(self.ids.to(device), self.mask.to(device), self.places.to(device), self.labels.to(device))


def collate(windows: Sequence[Window]) -> Batch:
    """Pad windows to the length of the longest."""
    lengths = np.array([len(window.ids) for window in windows])
    mask = np.arange(lengths.max()) < lengths[:, None]
    ids = np.zeros(mask.shape, np.int64)
    ids[mask] = np.concatenate([window.ids for window in windows])
    places = [row * mask.shape[1] + window.firsts for row, window in enumerate(windows)]
    labels = [window.labels for window in windows]
    return Batch(*map(torch.from_numpy, (ids, mask, np.concatenate(places), np.concatenate(labels))))


class MaskedTagger(nn.Module):
    """The encoder, dropout, and a linear classifier on the first piece of each word.

    Args:
        encoder: A masked BERT.
        labels: How many tags there are.
        seed: Draws the classifier's weights: normal, deviation `initializer_range` (0.02), biases 0.
    """

    def __init__(self, encoder: MaskedBert, labels: int, seed: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(encoder.shape.hidden_dropout_prob)
        self.classifier = nn.Linear(encoder.shape.hidden_size, labels)
        random = torch.Generator().manual_seed(seed)
        nn.init.normal_(self.classifier.weight, std=encoder.shape.initializer_range, generator=random)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, batch: Batch, masks: Masks | None = None) -> Tensor:
        """Logits [N, labels] of the batch's words; other pieces and padding have none."""
        hidden = self.encoder(batch.ids, batch.mask, torch.zeros_like(batch.ids), masks)
        return self.classifier(self.dropout(hidden.flatten(0, 1).index_select(0, batch.places)))


def build_tagger(model: Model, labels: int, seed: int, pruned_for: str | None = None) -> MaskedTagger:
    """A tagger on a model's weights; on those alone that a language's masks keep, if one is named."""
    encoder = torch_encoder(model) if pruned_for is None else compact_encoder(compact(model, pruned_for))
    return MaskedTagger(encoder.train(), labels, seed)


def expanded(tagger: MaskedTagger, model: Model, language: str) -> MaskedTagger:
    """A pruned tagger on the full model that it was cut from, as fine-tuning with masks would have left it.

    Args:
        tagger: What `build_tagger(model, labels, seed, language)` gave, trained or not.
        model: The full model.
        language: Whose masks pruned it.
    """
    if not isinstance(tagger.encoder, CompactBert):
        raise TypeError("the tagger is not pruned")
    weights = {name: tensor.numpy() for name, tensor in unpacked(tagger.encoder).items()}
    found = MaskedTagger(torch_encoder(expand(weights, model, language)), tagger.classifier.out_features, 0)
    found.classifier.load_state_dict(tagger.classifier.state_dict())
    return found.train(tagger.training)


def restrict_vocabulary(model: Model, windows: Mapping[str, list[Window]]) -> tuple[Model, dict[str, list[Window]]]:
    """Keep only the embedding rows of pieces that occur, and number the pieces of the windows anew.

    Rows of other pieces get no gradient and, without weight decay, never change: fine-tuning is the same, but AdamW
    need not walk through 119 547 rows at every step.

    Args:
        model: Any BERT.
        windows: All windows of the task, by split.

    Returns:
        A model with a smaller vocabulary for the encoder (its pretraining heads no longer fit), and its windows.
    """
    used = np.unique(np.concatenate([window.ids for split in windows.values() for window in split]))
    small = replace(
        model,
        shape=replace(model.shape, vocab_size=len(used)),
        weights=model.weights | {WORDS: model.weights[WORDS][used]},
    )
    return small, {
        name: [replace(window, ids=np.searchsorted(used, window.ids)) for window in split]
        for name, split in windows.items()
    }


def epoch_steps(
    lengths: Indices, batch_size: int, accumulation: int, random: np.random.Generator
) -> list[list[Indices]]:
    """Shuffle one epoch into optimiser steps of micro-batches of windows of like length.

    Windows are shuffled, sorted by length within pools of `POOL_STEPS` steps so that there is little padding, cut
    into micro-batches, and these are shuffled within their pool.

    Args:
        lengths: int64 [n], the windows' lengths in pieces.
        batch_size: Windows in a micro-batch.
        accumulation: Micro-batches in a step; the last step may hold fewer.
        random: Shuffles.

    Returns:
        For each step its micro-batches, arrays of window numbers; each window is in exactly one.
    """
    batches: list[Indices] = []
    for pool in _chunks(random.permutation(len(lengths)), POOL_STEPS * batch_size * accumulation):
        cut = list(_chunks(pool[np.argsort(lengths[pool], kind="stable")], batch_size))
        batches += [cut[number] for number in random.permutation(len(cut))]
    return [batches[start : start + accumulation] for start in range(0, len(batches), accumulation)]


def _chunks(numbers: Indices, size: int) -> Iterator[Indices]:
    return (numbers[start : start + size] for start in range(0, len(numbers), size))


def predict(
    tagger: MaskedTagger, windows: Sequence[Window], masks: Masks | None, device: torch.device, batch_size: int = 64
) -> list[int]:
    """The best label of each word, in reading order, with dropout off; batches hold windows of like length."""
    ends = np.cumsum([len(window.labels) for window in windows])
    by_length = np.argsort([len(window.ids) for window in windows], kind="stable")
    found = np.empty(ends[-1], np.int64)
    training = tagger.training
    tagger.eval()
    with torch.inference_mode():
        for numbers in _chunks(by_length, batch_size):
            best = tagger(collate([windows[n] for n in numbers]).to(device), masks).argmax(1).cpu().numpy()
            found[np.concatenate([np.arange(ends[n] - len(windows[n].labels), ends[n]) for n in numbers])] = best
    tagger.train(training)
    return found.tolist()
