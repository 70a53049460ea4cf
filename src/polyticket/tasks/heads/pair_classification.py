"""Classification of pairs of sentences by a BERT: a linear classifier on the pooled output (Devlin et al. 2019)."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from polyticket.core.errors import PolyticketError
from polyticket.tasks.encoded import Encoded, Indices, Ragged, padded
from polyticket.tasks.examples import Pair
from polyticket.tasks.heads.base import (
    Batch,
    Classification,
    Random,
    TaskModel,
    read_windows,
    windows_of,
)
from polyticket.tasks.tokenizer import TaskTokenizer

AT_ONCE = 4096
"""Pairs that are tokenised together: what the tokenizer gives takes a hundred bytes a token."""


class Layout(NamedTuple):
    """The special tokens around a pair, and which of the two kinds of segment every place is.

    Attributes:
        start: Special tokens before the premise.
        middle: Those between premise and hypothesis.
        end: Those after the hypothesis.
        kinds: The segments of `start`, the premise, `middle`, the hypothesis and `end`.
    """

    start: list[int]
    middle: list[int]
    end: list[int]
    kinds: tuple[list[int], int, list[int], int, list[int]]

    def room(self, most: int) -> int:
        """How many tokens of both sentences fit into a window of `most` tokens."""
        return most - len(self.start) - len(self.middle) - len(self.end)

    def ids(self, premise: Sequence[int], hypothesis: Sequence[int]) -> list[int]:
        """A pair as the model reads it."""
        return [*self.start, *premise, *self.middle, *hypothesis, *self.end]

    def segments(self, premise: Sequence[int], hypothesis: Sequence[int]) -> list[int]:
        """The segment, 0 or 1, of every token of `ids`."""
        start, first, middle, second, end = self.kinds
        return [*start, *[first] * len(premise), *middle, *[second] * len(hypothesis), *end]


class PairClassification(Classification):
    """A window is a pair as the tokenizer's own template lays it out, see `layout_of`.

    Columns: `ids`; `segments`, 0 or 1 for each token; `labels`, one a window.
    """

    reads_pooler = True

    def encode(self, examples: Sequence[Pair], tokenizer: TaskTokenizer, most: int) -> Encoded:
        """A window for each pair. Sentences that spell special tokens are plain text.

        Of a pair that is too long the longer sentence loses tokens from its end until it fits, the hypothesis where
        both are equally long; `truncated` counts such pairs.

        Raises:
            PolyticketError: No pair fits.
        """
        layout = layout_of(tokenizer)
        room = layout.room(most)
        if room < 2:
            raise PolyticketError(f"{most}", where="max_seq_length", expected=f"at least {most - room + 2} for pairs")
        number = {label: index for index, label in enumerate(self.task.labels)}
        ids, segments, truncated = [], [], 0
        for premise, hypothesis in _tokenised(examples, tokenizer):
            first, second = _kept(len(premise), len(hypothesis), room)
            truncated += first + second < len(premise) + len(hypothesis)
            both = premise[:first], hypothesis[:second]
            ids.append(np.array(layout.ids(*both), np.int32))
            segments.append(np.array(layout.segments(*both), np.int32))
        labels = [[number[example.label]] for example in examples]
        owners = [[owner] for owner in range(len(examples))]
        columns: dict[str, Any] = {"ids": ids, "segments": segments, "labels": labels, "example": owners}
        return Encoded({name: Ragged.of(rows) for name, rows in columns.items()}, truncated)

    def collate(self, encoded: Encoded, numbers: Indices, random: Random | None) -> Batch:  # noqa: ARG002
        """`ids`, `attention_mask`; `segments` int64 [B, T], 0 where there is padding; `labels` int64 [B]."""
        segments = padded(encoded["segments"].rows(numbers))
        labels = np.concatenate(encoded["labels"].rows(numbers)).astype(np.int64)
        columns = {"segments": torch.from_numpy(segments), "labels": torch.from_numpy(labels)}
        return windows_of(encoded, numbers) | columns

    def logits(self, model: TaskModel, batch: Batch) -> Tensor:
        """Float [B, labels]. A model with one kind of segment reads all tokens as that kind."""
        backbone: Any = model.backbone
        segments = batch["segments"].clamp(max=backbone.shape.type_vocab_size - 1)
        hidden = read_windows(model, batch | {"segments": segments})
        logits: Tensor = model.head(backbone.pool(hidden, model.masks))
        return logits

    def predict(self, model: TaskModel, batch: Batch) -> list[int]:
        """The number of the best label, by window."""
        best: list[int] = self.logits(model, batch).argmax(1).tolist()
        return best

    def gather(self, outputs: Sequence[int], encoded: Encoded, examples: Sequence[Pair]) -> list[str]:  # noqa: ARG002
        """The label of each pair."""
        return [self.task.labels[label] for label in outputs]


def layout_of(tokenizer: TaskTokenizer) -> Layout:
    """The template of a tokenizer for pairs; without one, `[CLS] a [SEP] b [SEP]` with segments 0 and 1.

    The tokenizer puts its special tokens around a pair, so every kind of template works. That of XLM-R, for example,
    is `<s> a </s> </s> b </s>`, all of segment 0.
    """
    probe = tokenizer.backend.encode("a", add_special_tokens=False)
    encoding = tokenizer.backend.post_process(probe, probe)
    text = [place for place, special in enumerate(encoding.special_tokens_mask) if not special]
    if len(probe) == 0 or len(encoding) == len(text):
        cls, sep = tokenizer.special("cls"), tokenizer.special("sep")
        return Layout([cls], [sep], [sep], ([0], 0, [0], 1, [1]))
    first, second = text[0], text[len(probe)]
    parts = slice(first), slice(first + len(probe), second), slice(second + len(probe), None)
    start, middle, end = (encoding.ids[part] for part in parts)
    around = [encoding.type_ids[part] for part in parts]
    kinds = around[0], encoding.type_ids[first], around[1], encoding.type_ids[second], around[2]
    return Layout(start, middle, end, kinds)


def _tokenised(examples: Sequence[Pair], tokenizer: TaskTokenizer) -> Iterator[tuple[list[int], list[int]]]:
    for start in range(0, len(examples), AT_ONCE):
        pairs = examples[start : start + AT_ONCE]
        texts = sorted({text for pair in pairs for text in (pair.premise, pair.hypothesis)})
        table = dict(zip(texts, tokenizer.of_texts(texts), strict=True))
        yield from ((table[pair.premise], table[pair.hypothesis]) for pair in pairs)


def _kept(first: int, second: int, room: int) -> tuple[int, int]:
    """How many tokens of two sentences stay when the longer one loses tokens until both fit."""
    if first + second <= room:
        return first, second
    half = room // 2
    if first <= half:
        return first, room - first
    if second <= half:
        return room - second, second
    return room - half, half
