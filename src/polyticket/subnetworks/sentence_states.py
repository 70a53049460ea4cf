"""Pooled hidden states of sentences at every layer of an encoder."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polyticket.errors import PolyticketError
from polyticket.files import Pathlike
from polyticket.logs import Progress
from polyticket.model.torch_bert import MaskedBert, Masks
from polyticket.tasks.pieces import Pieces

POOLINGS = ("mean", "cls")


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
    return one[:most], other[:most]


def encode(pieces: Pieces, sentences: Sequence[str], longest: int) -> tuple[list[list[int]], int]:
    """The ids of each sentence between `[CLS]` and `[SEP]`, at most `longest` in all; and how many had to be cut."""
    first, last = pieces.special("cls"), pieces.special("sep")
    found = pieces.of_texts(sentences)
    return [[first, *ids[: longest - 2], last] for ids in found], sum(len(ids) > longest - 2 for ids in found)


def layer_states(
    encoder: MaskedBert, input_ids: Tensor, input_mask: Tensor, masks: Masks | None = None
) -> list[Tensor]:
    """The hidden states float [B, T, H] of the embeddings and of every layer, so many as there are layers and one.

    The last are what the encoder itself returns.
    """
    seen = input_mask.bool()[:, None, None, :]
    found = [encoder.embeddings(input_ids, torch.zeros_like(input_ids))]
    for layer in encoder.encoder["layer"].children():
        found.append(layer(found[-1], seen, masks))
    return found


def pooled_states(
    encoder: MaskedBert,
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
        pooling: `mean` over all pieces but padding, `[CLS]` and `[SEP]` included, or `cls`: the first piece's state.
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
    shape = encoder.shape.num_hidden_layers + 1, len(encoded), encoder.shape.hidden_size
    found, progress = np.empty(shape, np.float32), Progress("sentence states", len(encoded), "sentences")
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            ids, mask = (each.to(device) for each in _padded([encoded[at] for at in rows], pad))
            for number, states in enumerate(layer_states(encoder, ids, mask, masks)):
                found[number, rows] = _pooled(states, mask, pooling).float().cpu().numpy()
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
