"""Retrieval of parallel sentences by margin: which sentence of the other language stands out most from its neighbours.

Artetxe & Schwenk 2019 (arXiv 1811.01136). With cosines c and k nearest neighbours NN_k in the other language,
b(x, y) = Σ_{z ∈ NN_k(x)} c(x, z) / 2k + Σ_{z ∈ NN_k(y)} c(y, z) / 2k; the margin of a pair is c(x, y) (`absolute`),
c(x, y) − b(x, y) (`distance`) or c(x, y) / b(x, y) (`ratio`). For each sentence, the one of its k nearest neighbours
with the highest margin is retrieved.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import faiss
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.core.logs import Progress, log
from polyticket.model.torch_bert import MaskedBert, Masks
from polyticket.tasks.tokenizer import TaskTokenizer

MARGINS = ("absolute", "distance", "ratio")
NEIGHBOURS = 5
Vectors = NDArray[np.floating]


class Neighbours(NamedTuple):
    """The k nearest of each of n sentences in the other language, the nearest first.

    Attributes:
        cosines: float64 [n, k].
        indices: int64 [n, k].
    """

    cosines: NDArray[np.float64]
    indices: NDArray[np.int64]


class Accuracy(NamedTuple):
    """Shares of sentences whose own translation is retrieved, from source to target and from target to source."""

    forward: float
    backward: float


def retrieve(source: Vectors, target: Vectors, margin: str = "ratio", k: int = NEIGHBOURS) -> Accuracy:
    """How often the translation is retrieved; row i of the one is the translation of row i of the other.

    Args:
        source: Floats [n, H], of any length; they are L2-normalised here.
        target: Floats [n, H].
        margin: One of `MARGINS`.
        k: Neighbours.

    Raises:
        PolyticketError: See `neighbours` and `accuracies`.
    """
    return accuracies(*neighbours(source, target, k), margin)


def neighbours(source: Vectors, target: Vectors, k: int = NEIGHBOURS) -> tuple[Neighbours, Neighbours]:
    """The k nearest neighbours by cosine, exactly: of each source among the targets, and of each target among sources.

    Raises:
        PolyticketError: The numbers of sentences differ or are fewer than k, or a vector is zero or not finite.
    """
    if source.shape != target.shape:
        expected = "as many sentences of the same size"
        raise PolyticketError(f"{source.shape} and {target.shape}", where="retrieval", expected=expected)
    if not 1 <= k <= len(source):
        raise PolyticketError(f"{k} neighbours of {len(source)} sentences", where="retrieval", expected="no more")
    one, other = _normalised(source, "source"), _normalised(target, "target")
    return _nearest(one, other, k), _nearest(other, one, k)


def accuracies(forward: Neighbours, backward: Neighbours, margin: str = "ratio") -> Accuracy:
    """The accuracies of both directions, from the neighbours of both.

    Equal margins go to the nearer sentence, and of equally near ones to the earlier.

    Raises:
        PolyticketError: The margin is unknown, or a ratio has no meaning as b(x, y) is not above zero.
    """
    if margin not in MARGINS:
        raise PolyticketError(f"margin {margin!r}", where="retrieval", expected=", ".join(MARGINS))
    there, back = forward.cosines.mean(1), backward.cosines.mean(1)
    return Accuracy(_accuracy(forward, there, back, margin), _accuracy(backward, back, there, margin))


def _accuracy(found: Neighbours, own: NDArray[np.float64], others: NDArray[np.float64], margin: str) -> float:
    around = (own[:, None] + others[found.indices]) / 2
    best = _margins(found.cosines, around, margin).argmax(1)  # the first of equal ones
    places = np.arange(len(best))
    return float((found.indices[places, best] == places).mean())


def _margins(cosines: NDArray[np.float64], around: NDArray[np.float64], margin: str) -> NDArray[np.float64]:
    if margin == "absolute":
        return cosines
    if margin == "distance":
        return cosines - around
    if around.min() <= 0:
        expected = "margin: distance, or vectors that are more alike"
        raise PolyticketError("a mean cosine is not above zero", where="retrieval by ratio", expected=expected)
    return cosines / around


def _normalised(vectors: Vectors, name: str) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    if len(bad := np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))):
        raise PolyticketError(f"the vector of sentence {bad[0] + 1} is zero or not finite", where=name)
    return np.ascontiguousarray(vectors / lengths, np.float32)


def _nearest(queries: NDArray[np.float32], among: NDArray[np.float32], k: int) -> Neighbours:
    index = faiss.IndexFlatIP(among.shape[1])
    index.add(among)
    cosines, indices = index.search(queries, k)
    order = np.lexsort((indices, -cosines), axis=1)
    nearest = np.take_along_axis(cosines, order, 1).astype(np.float64)
    return Neighbours(nearest, np.take_along_axis(indices, order, 1))


def layer_scores(
    source: Sequence[Vectors], target: Sequence[Vectors], *, margins: Sequence[str] = MARGINS, k: int = NEIGHBOURS
) -> list[dict[str, Accuracy]]:
    """The accuracies at each layer by each margin; neighbours are searched for once a layer.

    Args:
        source: Floats [n, H] of each layer, or one array [layers, n, H].
        target: As many.
        margins: Of `MARGINS`.
        k: Neighbours.
    """
    found = []
    for one, other in zip(source, target, strict=True):
        both = neighbours(one, other, k)
        found.append({margin: accuracies(*both, margin) for margin in margins})
    return found


def scores_of(
    source: Sequence[Vectors], target: Sequence[Vectors], *, margins: Sequence[str] = MARGINS, k: int = NEIGHBOURS
) -> dict[str, Any]:
    """The scores of all layers as JSON values, with what chance gives: one of n.

    Args:
        source: As in `layer_scores`.
        target: As many.
        margins: Of `MARGINS`.
        k: Neighbours.
    """
    found = layer_scores(source, target, margins=margins, k=k)
    layers = [
        {"layer": number} | {margin: accuracy._asdict() for margin, accuracy in one.items()}
        for number, one in enumerate(found)
    ]
    about = {"sentences": len(source[0]), "neighbours": k, "margins": list(margins), "chance": 1 / len(source[0])}
    return about | {"layers": layers}


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


def encode(
    pieces: TaskTokenizer, sentences: Sequence[str], longest: int, kind: str = "bert"
) -> tuple[list[list[int]], int]:
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
