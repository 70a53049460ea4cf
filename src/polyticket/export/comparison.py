"""Differences between an export and the masked model, on real sentences."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.core.text import lines_of
from polyticket.export.onnx_graph import GRAPH, OnnxEncoder
from polyticket.export.vocabulary import Indices
from polyticket.model.folder import Model, read_model
from polyticket.model.settings import read_settings
from polyticket.model.torch_bert import MaskedBert, MaskedBertForPreTraining, Masks, torch_encoder, torch_masks
from polyticket.model.torch_compact import load_compact
from polyticket.tokenizer.wordpiece import load_for_text

BATCH, LENGTH, ROWS = 8, 128, 256
TOLERANCE = 1e-4
"""Largest difference of a logit; where logits are beyond 1, of a logit over the largest one."""

Encode = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor | None]]
"""int64 [B, T] ids, mask and segments to hidden states [B, T, H] and pooled features [B, H]."""


def encode_of(encoder: MaskedBert, masks: Masks | None = None, *, pooled: bool = True) -> Encode:
    """An encoder of this package as `Encode`."""

    def encode(ids: Tensor, attention_mask: Tensor, segments: Tensor) -> tuple[Tensor, Tensor | None]:
        with torch.inference_mode():
            hidden = encoder(ids, attention_mask, segments, masks)
            return hidden, encoder.pool(hidden, masks) if pooled else None

    return encode


def load_export(folder: Pathlike, threads: int) -> Encode:
    """What an export of any form computes."""
    if (Path(folder) / GRAPH).is_file():
        graph = OnnxEncoder(folder, threads)

        def encode(ids: Tensor, attention_mask: Tensor, segments: Tensor) -> tuple[Tensor, Tensor | None]:
            found = graph.encode(ids.numpy(), attention_mask.numpy(), segments.numpy())
            return torch.from_numpy(found[0]), torch.from_numpy(found[1]) if len(found) > 1 else None

        return encode
    if "polyticket" in read_settings(folder):
        compact = load_compact(folder)
        return encode_of(compact, pooled=compact.layout.pooler is not None)
    return model_encode(read_model(folder), None)


def model_encode(model: Model, language: str | None) -> Encode:
    """What a model computes, with the masks of a language."""
    masks = None if language is None else torch_masks(model, language)
    return encode_of(torch_encoder(model).eval(), masks, pooled="bert.pooler.dense.weight" in model.weights)


def read_lines(path: Pathlike, count: int) -> list[str]:
    """The first `count` sentences of a text, blank lines left out.

    Raises:
        PolyticketError: There is no such file, it is not UTF-8, or it holds no sentence.
    """
    lines = list(islice((line.strip() for line in lines_of(path) if line.strip()), count))
    if not lines:
        raise PolyticketError("no sentence in the file", where=path, expected="one sentence a line")
    return lines


def compare(
    model: Model,
    language: str,
    tokenizer: Pathlike,
    sentences: Sequence[str],
    export: Pathlike,
    kept: Indices,
    threads: int,
) -> dict[str, Any]:
    """Compare an export with the masked model.

    Args:
        model: The masked model.
        language: Whose masks.
        tokenizer: The model's tokenizer.
        sentences: Text; those that the export's tokenizer splits into other tokens are left out.
        export: The folder of the export.
        kept: int64, the model's ids that the export keeps, ascending.
        threads: Threads of onnxruntime.

    Returns:
        Sentences given, sentences and tokens compared, the largest absolute differences of hidden states, pooled
        features and MLM logits, None for what the model does not have, and the largest values.

    Raises:
        PolyticketError: Some logit (without a head, some hidden state) is farther away than `TOLERANCE`, or no
            sentence is split into the same tokens.
    """
    ours, theirs = model_encode(model, language), load_export(export, threads)
    head = _head(model, kept)
    worst: dict[str, float | None] = {"hidden": 0.0, "pooled": None, "logits": None}
    sizes, count, tokens = {"hidden": 0.0, "logits": 0.0}, 0, 0
    for rows in _batches(_encoded(sentences, tokenizer, export, kept, model.shape.max_position_embeddings)):
        ids, attention_mask = _padded(rows)
        segments = torch.zeros_like(ids)
        hidden, pooled = ours(ids, attention_mask, segments)
        found, found_pooled = theirs(torch.from_numpy(np.searchsorted(kept, ids.numpy())), attention_mask, segments)
        here, there = hidden[attention_mask.bool()], found[attention_mask.bool()]
        count, tokens = count + len(rows), tokens + len(here)
        _note(worst, sizes, "hidden", here, there)
        if pooled is not None and found_pooled is not None:
            _note(worst, sizes, "pooled", pooled, found_pooled)
        for at in range(0, len(here) if head else 0, ROWS):
            assert head is not None
            _note(worst, sizes, "logits", head(here[at : at + ROWS]), head(there[at : at + ROWS]))
    if not count:
        raise PolyticketError(
            "splits every sentence into other tokens", where=export, expected="a corpus like the sentences"
        )
    judged = "hidden" if worst["logits"] is None else "logits"
    allowed = TOLERANCE * max(1.0, sizes[judged])
    if not (worst[judged] or 0.0) < allowed:
        raise PolyticketError(
            f"{judged} differ from the model's by {worst[judged]:.2g}",
            where=export,
            expected=f"less than {allowed:.2g}",
        )
    return {"given": len(sentences), "sentences": count, "tokens": tokens, "max_difference": worst, "largest": sizes}


def _note(worst: dict[str, float | None], sizes: dict[str, float], name: str, ours: Tensor, theirs: Tensor) -> None:
    difference = float((ours - theirs).abs().max())
    worst[name] = difference if not difference <= (worst[name] or 0.0) else worst[name] or 0.0  # NaN is kept
    if name in sizes:
        sizes[name] = max(sizes[name], float(ours.abs().max()))


def _head(model: Model, kept: Indices) -> Callable[[Tensor], Tensor] | None:
    """Hidden states [N, H] to MLM logits [N, kept]; None for a model without the head."""
    tensors = {n.removeprefix("cls."): torch.from_numpy(a) for n, a in model.weights.items() if n.startswith("cls.")}
    if not any(name.startswith("predictions.") for name in tensors):
        return None
    with torch.device("meta"):
        heads = MaskedBertForPreTraining(model.shape).cls
    heads.load_state_dict(tensors, assign=True)
    words = torch.from_numpy(model.weights["bert.embeddings.word_embeddings.weight"][kept])
    head: Any = heads["predictions"]
    head.bias = torch.nn.Parameter(head.bias.detach()[torch.from_numpy(kept)])

    def logits(hidden: Tensor) -> Tensor:
        with torch.inference_mode():
            return head(hidden, words)

    return logits


def _encoded(
    sentences: Sequence[str], tokenizer: Pathlike, export: Pathlike, kept: Indices, longest: int
) -> Iterator[NDArray[np.int64]]:
    """Ids of the model's tokenizer for each sentence that the export's tokenizer splits into the same tokens."""
    ours, theirs = load_for_text(tokenizer), load_for_text(export)
    room = min(LENGTH, longest) - 2
    ends = [[ours.token_to_id(token)] for token in ("[CLS]", "[SEP]")]
    for sentence in sentences:
        ids = ours.encode(sentence, add_special_tokens=False).ids
        if not ids or not np.isin(ids, kept).all():
            continue
        if np.searchsorted(kept, ids).tolist() != theirs.encode(sentence, add_special_tokens=False).ids:
            continue  # an unknown word of other text that the remaining tokens happen to spell
        yield np.array(ends[0] + ids[:room] + ends[1], np.int64)


def _batches(rows: Iterator[NDArray[np.int64]]) -> Iterator[list[NDArray[np.int64]]]:
    while batch := list(islice(rows, BATCH)):
        yield batch


def _padded(rows: Sequence[NDArray[np.int64]]) -> tuple[Tensor, Tensor]:
    lengths = np.array([len(row) for row in rows])
    attention_mask = np.arange(lengths.max()) < lengths[:, None]
    ids = np.full(attention_mask.shape, rows[0][0], np.int64)  # padding is masked, so any kept token will do
    ids[attention_mask] = np.concatenate(rows)
    return torch.from_numpy(ids), torch.from_numpy(attention_mask.astype(np.int64))
