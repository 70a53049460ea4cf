"""Tagging by a BERT: a linear classifier predicts each word's tag at its first token (XTREME, Hu et al. 2020)."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polyticket.core.errors import PolyticketError
from polyticket.tasks.encoded import Encoded, Indices, Ragged
from polyticket.tasks.examples import Sentence
from polyticket.tasks.heads.base import (
    Batch,
    Classification,
    Random,
    TaskModel,
    read_windows,
    windows_of,
)
from polyticket.tasks.tokenizer import TaskTokenizer

Rows = Sequence[NDArray[np.int32]]


class Tagging(Classification):
    """Windows `[CLS] tokens [SEP]` whose words, read in order, are the words of the sentences: all are scored.

    A word's tag is predicted, and learned, at its first subword token. With `label_all_tokens` its other tokens are
    targets of training, too, with the tag that goes on: `I-X` after `B-X`.

    Columns: `ids`; `firsts`, the place of each word's first token in its window; `labels`, one a word.
    """

    def encode(self, examples: Sequence[Sentence], tokenizer: TaskTokenizer, most: int) -> Encoded:
        """Cut sentences into consecutive windows at word boundaries.

        A word of more tokens than a window holds, and one that the tokenizer turns into nothing (control characters),
        is the unknown token. Words that spell a special token are plain text.
        """
        if most < 3:
            raise PolyticketError(f"{most}", where="max_seq_length", expected="at least 3: [CLS] token [SEP]")
        cls, sep, unknown = (tokenizer.special(role) for role in ("cls", "sep", "unk"))
        table = tokenizer.of_words(word for sentence in examples for word in sentence.words)
        table = {word: ids if 0 < len(ids) <= most - 2 else [unknown] for word, ids in table.items()}
        number = {label: index for index, label in enumerate(self.task.labels)}
        columns: dict[str, list[Any]] = {"ids": [], "firsts": [], "labels": [], "example": []}
        for owner, sentence in enumerate(examples):
            for start, end in _cuts([len(table[word]) for word in sentence.words], most - 2):
                words = [table[word] for word in sentence.words[start:end]]
                columns["ids"].append([cls, *(token for word in words for token in word), sep])
                columns["firsts"].append(np.cumsum([1, *map(len, words)])[:-1])
                columns["labels"].append([number[tag] for tag in sentence.tags[start:end]])
                columns["example"].append([owner])
        return Encoded({name: Ragged.of(rows) for name, rows in columns.items()})

    def collate(self, encoded: Encoded, numbers: Indices, random: Random | None) -> Batch:
        """`ids`, `attention_mask`; `places` int64 [N], targets as indices into the B·T positions; `labels` int64 [N].

        Targets are the first tokens of words, or in training with `label_all_tokens` all tokens of words.
        """
        batch = windows_of(encoded, numbers)
        firsts: Rows = encoded["firsts"].rows(numbers)
        tags: Rows = encoded["labels"].rows(numbers)
        if self.options.label_all_tokens and random is not None:
            ends = encoded["ids"].lengths()[numbers] - 1
            firsts, tags = self._of_all_tokens(firsts, tags, ends)
        wide = batch["ids"].shape[1]
        places = np.concatenate([row * wide + first for row, first in enumerate(firsts)])
        labels = np.concatenate(tags)
        words = np.array([len(first) for first in firsts])
        columns = {"places": places.astype(np.int64), "labels": labels.astype(np.int64), "words": words}
        return batch | {name: torch.from_numpy(array) for name, array in columns.items()}

    def _of_all_tokens(self, firsts: Rows, tags: Rows, ends: Indices) -> tuple[Rows, Rows]:
        """By window, the place of each token of its words, and its label.

        Args:
            firsts: The places of first tokens.
            tags: The labels of words.
            ends: Where the last word ends.
        """
        names = self.task.labels
        after = [names.index(f"I-{name[2:]}") if self.task.entities and name[0] == "B" else n
                 for n, name in enumerate(names)]  # fmt: skip
        places, labels = [], []
        for first, own, end in zip(firsts, tags, ends.tolist(), strict=True):
            sizes = np.diff(np.append(first, end))
            label = np.array(after, np.int32)[np.repeat(own, sizes)]
            label[first - 1] = own
            places.append(np.arange(1, end, dtype=np.int32))
            labels.append(label)
        return places, labels

    def logits(self, model: TaskModel, batch: Batch) -> Tensor:
        """Float [N, labels] of the batch's words; other tokens and padding have none."""
        hidden = read_windows(model, batch).flatten(0, 1)
        logits: Tensor = model.head(hidden.index_select(0, batch["places"]))
        return logits

    def predict(self, model: TaskModel, batch: Batch) -> list[Indices]:
        """The best label of each word, by window."""
        best = self.logits(model, batch).argmax(1).cpu().numpy()
        return np.split(best, np.cumsum(batch["words"].cpu().numpy())[:-1])

    def gather(
        self,
        outputs: Sequence[Indices],
        encoded: Encoded,  # noqa: ARG002
        examples: Sequence[Sentence],
    ) -> list[tuple[str, ...]]:
        """The tags of each sentence's words."""
        flat = [self.task.labels[label] for window in outputs for label in window]
        ends = np.cumsum([len(sentence.words) for sentence in examples]).tolist()
        return [tuple(flat[start:end]) for start, end in zip([0, *ends], ends, strict=False)]


def _cuts(lengths: Sequence[int], room: int) -> Iterator[tuple[int, int]]:
    """Start and end of runs of words that fill a window each."""
    start = tokens = 0
    for end, length in enumerate(lengths):
        if tokens + length > room:
            yield start, end
            start, tokens = end, 0
        tokens += length
    yield start, len(lengths)
