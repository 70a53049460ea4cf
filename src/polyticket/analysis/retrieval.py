"""Retrieval of parallel sentences by margin, from the pooled states of sentences at every layer of an encoder.

Artetxe & Schwenk 2019 (arXiv 1811.01136). With cosines c and k nearest neighbours NN_k in the other language,
b(x, y) = Σ_{z ∈ NN_k(x)} c(x, z) / 2k + Σ_{z ∈ NN_k(y)} c(y, z) / 2k; the margin of a pair is c(x, y) (`absolute`),
c(x, y) − b(x, y) (`distance`) or c(x, y) / b(x, y) (`ratio`). For each sentence, the one of its k nearest neighbours
with the highest margin is retrieved.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.core.logs import Progress, log
from polyticket.core.text import lines_of
from polyticket.model.torch_bert import MaskedBert, Masks
from polyticket.model.torch_setup import to_device, to_host
from polyticket.tasks.tokenizer import TaskTokenizer

MARGINS = ("absolute", "distance", "ratio")
NEIGHBOURS = 5
Vectors = NDArray[np.floating]


class Neighbours(NamedTuple):
    """The k nearest neighbours in the other language of each of n sentences, the nearest first.

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
    """The accuracy of retrieval; row i of the source is the translation of row i of the target.

    Args:
        source: Floats [n, H]; they are L2-normalised here.
        target: Floats [n, H].
        margin: One of `MARGINS`.
        k: The number of neighbours.

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
    sources, targets = _normalised(source, "source"), _normalised(target, "target")
    return _nearest(sources, targets, k), _nearest(targets, sources, k)


def accuracies(forward: Neighbours, backward: Neighbours, margin: str = "ratio") -> Accuracy:
    """The accuracies of both directions, from the neighbours of both.

    Equal margins go to the nearer sentence, and of equally near ones to the earlier.

    Raises:
        PolyticketError: The margin is unknown, or it is `ratio` and a b(x, y) is not above zero.
    """
    if margin not in MARGINS:
        raise PolyticketError(f"margin {margin!r}", where="retrieval", expected=", ".join(MARGINS))
    source, target = forward.cosines.mean(1), backward.cosines.mean(1)
    return Accuracy(_accuracy(forward, source, target, margin), _accuracy(backward, target, source, margin))


def _accuracy(nearest: Neighbours, own: NDArray[np.float64], others: NDArray[np.float64], margin: str) -> float:
    around = (own[:, None] + others[nearest.indices]) / 2
    best = _margins(nearest.cosines, around, margin).argmax(1)  # the first of equal ones
    rows = np.arange(len(best))
    return float((nearest.indices[rows, best] == rows).mean())


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
    import faiss  # not needed for the states of sentences

    index = faiss.IndexFlatIP(among.shape[1])
    index.add(among)
    cosines, indices = index.search(queries, k)
    order = np.lexsort((indices, -cosines), axis=1)
    nearest = np.take_along_axis(cosines, order, 1).astype(np.float64)
    return Neighbours(nearest, np.take_along_axis(indices, order, 1))


def layer_scores(
    source: Sequence[Vectors], target: Sequence[Vectors], *, margins: Sequence[str] = MARGINS, k: int = NEIGHBOURS
) -> list[dict[str, Accuracy]]:
    """The accuracies at each layer by each margin; neighbours are searched for once per layer.

    Args:
        source: Floats [n, H] of each layer, or one array [layers, n, H].
        target: As many.
        margins: Of `MARGINS`.
        k: The number of neighbours.
    """
    layers = []
    for sources, targets in zip(source, target, strict=True):
        nearest = neighbours(sources, targets, k)
        layers.append({margin: accuracies(*nearest, margin) for margin in margins})
    return layers


def score_layers(
    source: Sequence[Vectors], target: Sequence[Vectors], *, margins: Sequence[str] = MARGINS, k: int = NEIGHBOURS
) -> dict[str, Any]:
    """The accuracies of all layers as JSON values, with the accuracy by chance, 1/n.

    Args:
        source: As in `layer_scores`.
        target: As many.
        margins: Of `MARGINS`.
        k: The number of neighbours.
    """
    layers = [
        {"layer": number} | {margin: accuracy._asdict() for margin, accuracy in scores.items()}
        for number, scores in enumerate(layer_scores(source, target, margins=margins, k=k))
    ]
    settings = {"sentences": len(source[0]), "neighbours": k, "margins": list(margins), "chance": 1 / len(source[0])}
    return settings | {"layers": layers}


POOLINGS = ("mean", "cls")
FRAMES = {"bert": (("cls",), ("sep",)), "mt5": ((), ("eos",))}
"""Kind of model to the special tokens before and after a sentence."""


def read_sentences(path: Pathlike, most: int | None = None) -> list[str]:
    """Read one sentence per line, without white space at its ends.

    Args:
        path: A UTF-8 text file, aligned line by line with that of the other language.
        most: Read at most N sentences; None reads all.

    Raises:
        PolyticketError: A line is empty or not UTF-8, or the file is empty; names file and line.
    """
    sentences = [line.strip() for line in lines_of(path)][:most]
    if "" in sentences:
        raise PolyticketError("no sentence", where=f"{path}:{sentences.index('') + 1}", expected="one a line")
    if not sentences:
        raise PolyticketError("no sentences", where=path, expected="one a line")
    return sentences


def read_parallel(source: Pathlike, target: Pathlike, most: int | None = None) -> tuple[list[str], list[str]]:
    """Read two aligned files.

    Raises:
        PolyticketError: They have different numbers of lines; see `read_sentences`.
    """
    sources, targets = read_sentences(source), read_sentences(target)
    if len(sources) != len(targets):
        raise PolyticketError(f"{len(targets)} sentences", where=target, expected=f"{len(sources)}, as in {source}")
    if most is not None and most < len(sources):
        log.info(f"{source}: the first {most:,} of {len(sources):,} sentences")
    return sources[:most], targets[:most]


def encode(
    tokenizer: TaskTokenizer, sentences: Sequence[str], longest: int, kind: str = "bert"
) -> tuple[list[list[int]], int]:
    """The token ids of each sentence with the special tokens of a kind of model, and the number of sentences cut.

    Args:
        tokenizer: The tokenizer.
        sentences: The n sentences.
        longest: Tokens of a sentence, special ones included; longer sentences are cut.
        kind: `bert`: `[CLS] … [SEP]`; `mt5`: `… </s>`.
    """
    before, after = ([tokenizer.special(role) for role in roles] for roles in FRAMES[kind])
    room, tokens = longest - len(before) - len(after), tokenizer.of_texts(sentences)
    return [[*before, *ids[:room], *after] for ids in tokens], sum(len(ids) > room for ids in tokens)


def layer_states(encoder: nn.Module, input_ids: Tensor, input_mask: Tensor, masks: Masks | None = None) -> list[Tensor]:
    """The hidden states float [B, T, H] of the embeddings and of every layer: layers + 1 tensors.

    The last one is the output of the encoder; that of an mT5 is normalised.

    Args:
        encoder: A `MaskedBert`, or an encoder-decoder of transformers, of which the encoder is read.
        input_ids: int64 [B, T].
        input_mask: int64 [B, T], 1 where there is a token.
        masks: Site to the mask row of a language, of a `MaskedBert`.
    """
    if not isinstance(encoder, MaskedBert):
        model: Any = encoder
        return list(model.encoder(input_ids, attention_mask=input_mask, output_hidden_states=True).hidden_states)
    attention_mask = input_mask.bool()[:, None, None, :]
    states = [encoder.embeddings(input_ids, torch.zeros_like(input_ids))]
    for layer in encoder.encoder["layer"].children():
        states.append(layer(states[-1], attention_mask, masks))
    return states


def pooled_states(
    encoder: nn.Module,
    encoded: Sequence[Sequence[int]],
    *,
    pooling: str = "mean",
    pad: int = 0,
    batch_size: int = 32,
    masks: Masks | None = None,
) -> NDArray[np.float32]:
    """A vector per layer and sentence, without dropout, in batches of sentences of similar length.

    Args:
        encoder: Its pruned weights are 0 already. It stays in evaluation mode.
        encoded: Ids of each of n sentences.
        pooling: `mean` over all tokens but padding, special ones included, or `cls`, the state of the first token.
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
    order = sorted(range(len(encoded)), key=lambda index: (len(encoded[index]), index))
    progress = Progress("sentence states", len(encoded), "sentences")
    queued: list[tuple[list[int], Callable[[], Sequence[Tensor]]]] = []
    pooled = np.empty(0, np.float32)

    def read(left: int) -> None:
        nonlocal pooled
        while len(queued) > left:
            rows, copies = queued.pop(0)
            found = copies()[0].numpy()
            if not pooled.size:
                pooled = np.empty((len(found), len(encoded), found.shape[2]), np.float32)
            pooled[:, rows] = found
            progress.add(len(rows))

    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            ids, mask = (to_device(each, device) for each in _padded([encoded[index] for index in rows], pad))
            states = layer_states(encoder, ids, mask, masks)
            queued.append((rows, to_host(torch.stack([_pooled(layer, mask, pooling).float() for layer in states]))))
            read(1)  # a GPU computes this batch while the one before is read
        read(0)
    return pooled


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
