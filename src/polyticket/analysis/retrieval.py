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
from numpy.typing import NDArray

from polyticket.core.errors import PolyticketError

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
