"""Pooled hidden states of sentences at every layer of an encoder."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.core.logs import Progress, log
from polyticket.model.torch_bert import MaskedBert, Masks
from polyticket.tasks.pieces import Pieces

POOLINGS = ("mean", "cls")
FRAMES = {"bert": (("cls",), ("sep",)), "mt5": ((), ("eos",))}
"""Kind of model to the special tokens before and after a sentence."""


def read_sentences(path: Pathlike, most: int | None = None) -> list[str]:
    """Read a sentence per line, white space at the ends taken off.

    Args:
        path: A UTF-8 text file, aligned line by line with that of the other language.
        most: Read so many at most; None for all.

    Raises:
        PolyticketError: A line is empty or no UTF-8, or there is none; names file and line.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            found = [line.strip() for line in stream][:most]
    except FileNotFoundError:
        raise PolyticketError("no such file", where=path) from None
    except UnicodeDecodeError as error:
        raise PolyticketError(f"not UTF-8: {error.reason}", where=path) from None
    if "" in found:
        raise PolyticketError("no sentence", where=f"{path}:{found.index('') + 1}", expected="one a line")
    if not found:
        raise PolyticketError("no sentences", where=path, expected="one a line")
    return found


def read_parallel(source: Pathlike, target: Pathlike, most: int | None = None) -> tuple[list[str], list[str]]:
    """Read two aligned files.

    Raises:
        PolyticketError: They have different numbers of lines; see `read_sentences`.
    """
    one, other = read_sentences(source), read_sentences(target)
    if len(one) != len(other):
        raise PolyticketError(f"{len(other)} sentences", where=target, expected=f"{len(one)}, as in {source}")
    if most is not None and most < len(one):
        log.info(f"{source}: the first {most:,} of {len(one):,} sentences")
    return one[:most], other[:most]


def encode(pieces: Pieces, sentences: Sequence[str], longest: int, kind: str = "bert") -> tuple[list[list[int]], int]:
    """The ids of each sentence in the frame of a kind of model, at most `longest` in all; and how many had to be cut.

    Args:
        pieces: The tokenizer.
        sentences: The n sentences.
        longest: Tokens of one, special ones included.
        kind: `bert`: `[CLS] … [SEP]`; `mt5`: `… </s>`.
    """
    before, after = ([pieces.special(role) for role in roles] for roles in FRAMES[kind])
    room, found = longest - len(before) - len(after), pieces.of_texts(sentences)
    return [[*before, *ids[:room], *after] for ids in found], sum(len(ids) > room for ids in found)


def layer_states(encoder: nn.Module, input_ids: Tensor, input_mask: Tensor, masks: Masks | None = None) -> list[Tensor]:
    """The hidden states float [B, T, H] of the embeddings and of every layer, so many as there are layers and one.

    The last are what the encoder itself returns: an mT5's are normalised.

    Args:
        encoder: A `MaskedBert`, or an encoder-decoder of transformers, of which the encoder is read.
        input_ids: int64 [B, T].
        input_mask: int64 [B, T], 1 where there is a token.
        masks: Site to the mask row of a language, of a `MaskedBert`.
    """
    if not isinstance(encoder, MaskedBert):
        model: Any = encoder
        return list(model.encoder(input_ids, attention_mask=input_mask, output_hidden_states=True).hidden_states)
    seen = input_mask.bool()[:, None, None, :]
    found = [encoder.embeddings(input_ids, torch.zeros_like(input_ids))]
    for layer in encoder.encoder["layer"].children():
        found.append(layer(found[-1], seen, masks))
    return found


def pooled_states(
    encoder: nn.Module,
    encoded: Sequence[Sequence[int]],
    *,
    pooling: str = "mean",
    pad: int = 0,
    batch_size: int = 32,
    masks: Masks | None = None,
) -> NDArray[np.float32]:
    """A vector per layer and sentence, without dropout, in batches of sentences of like length.

    Args:
        encoder: With weights that are masked already, if they are; it is left in evaluation mode.
        encoded: Ids of each of n sentences.
        pooling: `mean` over all tokens but padding, special ones included, or `cls`: the first token's state.
        pad: The id of padding.
        batch_size: Sentences at once; it changes rounding only.
        masks: Site to the mask row of the language, for neurons.

    Returns:
        float32 [layers + 1, n, H]; the first is of the embeddings.
    """
    if pooling not in POOLINGS:
        raise PolyticketError(f"pooling {pooling!r}", where="retrieval", expected=" or ".join(POOLINGS))
    encoder.eval()
    device = next(encoder.parameters()).device
    order = sorted(range(len(encoded)), key=lambda at: (len(encoded[at]), at))
    found, progress = np.empty(0, np.float32), Progress("sentence states", len(encoded), "sentences")
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            ids, mask = (each.to(device) for each in _padded([encoded[at] for at in rows], pad))
            states = layer_states(encoder, ids, mask, masks)
            if not start:
                found = np.empty((len(states), len(encoded), states[0].shape[-1]), np.float32)
            for number, one in enumerate(states):
                found[number, rows] = _pooled(one, mask, pooling).float().cpu().numpy()
            progress.add(len(rows))
    return found


def _padded(rows: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    length = max(map(len, rows))
    ids = torch.tensor([[*row, *[pad] * (length - len(row))] for row in rows])
    lengths = torch.tensor([len(row) for row in rows])
    return ids, (torch.arange(length) < lengths[:, None]).long()


def _pooled(states: Tensor, mask: Tensor, pooling: str) -> Tensor:
    if pooling == "cls":
        return states[:, 0]
    weights = mask[:, :, None].to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1)
