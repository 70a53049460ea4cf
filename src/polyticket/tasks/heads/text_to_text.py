"""Pairs of sentences as text to text: the label is generated as a string (Raffel et al. 2020; mT5, Xue et al. 2021)."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from polyticket.core.errors import PolyticketError
from polyticket.tasks.encoded import Encoded, Indices, Ragged, padded
from polyticket.tasks.examples import Pair
from polyticket.tasks.heads.base import Batch, Random, TaskHead, TaskModel, Weights, windows_of
from polyticket.tasks.tokenizer import TaskTokenizer

MOST_NEW = 5
"""The most tokens that are generated; the longest label of XNLI has fewer with mT5's tokenizer."""
NO_TARGET = -100
AT_ONCE = 4096
"""Pairs that are tokenised together: what the tokenizer gives takes a hundred bytes a token."""


class TextToText(TaskHead):
    """A window is the tokens of `<task> premise: … hypothesis: …` and the end; its target a label's tokens and the end.

    The backbone is an encoder-decoder of transformers that carries its `tokenizer`, see `MT5Backbone.module`.

    Columns: `ids`; `targets`.
    """

    restricts = False  # what is generated may be any token, and the softmax runs over all of them

    def encode(self, examples: Sequence[Pair], tokenizer: TaskTokenizer, most: int) -> Encoded:
        """A window for each pair.

        Of a pair that is too long the longer sentence loses tokens from its end until it fits, the hypothesis where
        both are equally long; prompt and end always stay. `truncated` counts such pairs.

        Raises:
            PolyticketError: No pair fits; or some label can never be generated with this tokenizer.
        """
        targets = _targets(self.task.labels, tokenizer)
        eos, prompt = tokenizer.special("eos"), _prompt(self.task.name, tokenizer)
        room = most - sum(map(len, prompt)) - 1
        if room < 2:
            raise PolyticketError(f"{most}", where="max_seq_length", expected=f"at least {most - room + 2} for pairs")
        ids, truncated = [], 0
        for example, source in zip(examples, self._sources(examples, tokenizer), strict=True):
            if len(source) >= most:
                truncated += 1
                source = _shortened(example, prompt, tokenizer, room)
            ids.append(np.array([*source, eos], np.int32))
        columns: dict[str, Sequence[Any]] = {
            "ids": ids,
            "targets": [targets[example.label] for example in examples],
            "example": [[number] for number in range(len(examples))],
        }
        return Encoded({name: Ragged.of(rows) for name, rows in columns.items()}, truncated)

    def _sources(self, examples: Sequence[Pair], tokenizer: TaskTokenizer) -> Iterator[list[int]]:
        for start in range(0, len(examples), AT_ONCE):
            pairs = examples[start : start + AT_ONCE]
            yield from _plain(
                [f"{self.task.name} premise: {p.premise} hypothesis: {p.hypothesis}" for p in pairs], tokenizer
            )

    def collate(self, encoded: Encoded, numbers: Indices, random: Random | None) -> Batch:  # noqa: ARG002
        """`ids`, `attention_mask`; `targets` int64 [B, S], -100 where there is padding."""
        targets = padded(encoded["targets"].rows(numbers), NO_TARGET)
        return windows_of(encoded, numbers) | {"targets": torch.from_numpy(targets)}

    def module(self, backbone: Any, seed: int, pretrained: Weights | None = None) -> nn.Module:  # noqa: ARG002
        """The identity: an mT5 needs no further module."""
        return nn.Identity()

    def logits(self, model: TaskModel, batch: Batch) -> Tensor:
        """Float [B, S, V]: for each target token all tokens, given the source and the target tokens before it."""
        backbone: Any = model.backbone
        before = backbone.prepare_decoder_input_ids_from_labels(batch["targets"])
        logits: Tensor = backbone(
            input_ids=batch["ids"],
            attention_mask=batch["attention_mask"].long(),
            decoder_input_ids=before,
            use_cache=False,
        ).logits
        return logits

    def loss(self, model: TaskModel, batch: Batch) -> Tensor:
        """Cross-entropy of the target tokens, ends included, summed."""
        logits = self.logits(model, batch).flatten(0, 1).float()
        labels = batch["targets"].flatten()
        return nn.functional.cross_entropy(logits, labels, ignore_index=NO_TARGET, reduction="sum")

    def targets(self, batch: Batch) -> int:
        """The number of target tokens, ends included."""
        return int((batch["targets"] != NO_TARGET).sum())

    def predict(self, model: TaskModel, batch: Batch) -> list[str]:
        """The model's answer, by window: at most five tokens, by beam search, as text without special ones."""
        from transformers import GenerationConfig

        backbone: Any = model.backbone
        config = GenerationConfig(
            max_new_tokens=MOST_NEW,
            do_sample=False,
            num_beams=self.options.num_beams,
            eos_token_id=backbone.tokenizer.special("eos"),
            pad_token_id=backbone.config.pad_token_id,
            decoder_start_token_id=backbone.config.decoder_start_token_id,
        )
        outputs = backbone.generate(
            input_ids=batch["ids"], attention_mask=batch["attention_mask"].long(), generation_config=config
        )
        return [_text(row, backbone.tokenizer) for row in outputs.tolist()]

    def gather(self, outputs: Sequence[str], encoded: Encoded, examples: Sequence[Pair]) -> list[str]:  # noqa: ARG002
        """The answer to each pair, a label or not."""
        return list(outputs)


def _targets(labels: Sequence[str], tokenizer: TaskTokenizer) -> dict[str, list[int]]:
    """The tokens of each label and the end.

    Raises:
        PolyticketError: A label has more tokens than are generated, or the tokenizer cannot spell it.
    """
    table = dict(zip(labels, tokenizer.of_texts(labels), strict=True))
    for label, ids in table.items():
        if len(ids) > MOST_NEW:
            raise PolyticketError(
                f"label {label!r} has {len(ids)} tokens, and {MOST_NEW} are generated",
                where=tokenizer.source,
                expected=f"a tokenizer that cuts each of {', '.join(labels)} into at most {MOST_NEW} tokens",
            )
        if _text(ids, tokenizer) != label:
            raise PolyticketError(
                f"label {label!r} comes back as {_text(ids, tokenizer)!r}",
                where=tokenizer.source,
                expected=f"a tokenizer that can spell {', '.join(labels)}",
            )
    return {label: [*ids, tokenizer.special("eos")] for label, ids in table.items()}


def _prompt(task: str, tokenizer: TaskTokenizer) -> list[list[int]]:
    """The tokens before the premise, and those between premise and hypothesis."""
    return tokenizer.of_texts([f"{task} premise:", "hypothesis:"])


def _plain(texts: Sequence[str], tokenizer: TaskTokenizer) -> list[list[int]]:
    """The tokens of texts; an end that a text spells is left out, for the end of a source stands once."""
    eos = tokenizer.special("eos")
    return [[token for token in ids if token != eos] for ids in tokenizer.of_texts(texts)]


def _shortened(example: Pair, prompt: Sequence[list[int]], tokenizer: TaskTokenizer, room: int) -> list[int]:
    """A source whose sentences have `room` tokens in all."""
    premise, hypothesis = _plain([example.premise, example.hypothesis], tokenizer)
    second = min(len(hypothesis), max(room - len(premise), room // 2))
    return [*prompt[0], *premise[: room - second], *prompt[1], *hypothesis[:second]]


def _text(ids: Sequence[int], tokenizer: TaskTokenizer) -> str:
    """Tokens as one line of text, special ones left out."""
    special = set(tokenizer.all_special())
    text = tokenizer.backend.decode([token for token in ids if token not in special], skip_special_tokens=False)
    return " ".join(text.split())
