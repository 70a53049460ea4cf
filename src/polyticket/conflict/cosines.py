"""Cosines between languages, over all weights of the chosen matrices or over those that both tickets keep."""

from collections.abc import Mapping
from math import prod

import numpy as np
from numpy.typing import NDArray

from polyticket.conflict.settings import Settings, chosen_names
from polyticket.model.shape import BertShape, weight_entries

# a kernel's name in a layer, the mask that prunes it, and the axis of the kernel [in, out] along which the mask stands
KERNEL_MASKS = {
    "query": ("attention/self/query", "attention/self/attention_mask", 1),
    "key": ("attention/self/key", "attention/self/attention_mask", 1),
    "value": ("attention/self/value", "attention/self/value_attention_mask", 1),
    "attention_output": ("attention/output/dense", "attention/self/value_attention_mask", 0),
    "intermediate": ("intermediate/dense", "intermediate/intermediate_mask", 1),
    "output": ("output/dense", "intermediate/intermediate_mask", 0),
}


def chosen_matrices(shape: BertShape, settings: Settings) -> dict[str, tuple[int, int]]:
    """The chosen ones of the kernels of query, key, value, attention output, intermediate and output.

    Args:
        shape: The model's.
        settings: Which layers and matrices.

    Returns:
        Checkpoint name to shape [in, out], in the order of the forward pass.

    Raises:
        PolyticketError: The model has no such layer or matrix.
    """
    shapes = {entry.tf: entry.shape for entry in weight_entries(shape)}
    names = [_kernel(*name.split("/")) for name in chosen_names(shape.num_hidden_layers, settings)]
    return {name: (shapes[name][0], shapes[name][1]) for name in names}


def mask_of(kernel: str) -> tuple[str, int]:
    """The mask that prunes a kernel of `chosen_matrices`: its checkpoint name, and 1 for columns or 0 for rows.

    A mask multiplies the outputs of queries, keys, values and the intermediate layer, so it prunes their columns. What
    it prunes there are the inputs of the next kernel, whose rows go. The masks of the outputs of those stay one.
    """
    layer = "/".join(kernel.split("/")[:3])
    return next(
        (f"{layer}/{mask}", axis)
        for kernel_name, mask, axis in KERNEL_MASKS.values()
        if kernel == f"{layer}/{kernel_name}/kernel"
    )


def _kernel(layer: str, matrix: str) -> str:
    return f"bert/encoder/{layer}/{KERNEL_MASKS[matrix][0]}/kernel"


Shares = NDArray[np.float64]


class Units:
    """The columns or rows of the chosen matrices that tickets keep or prune as a whole, matrix after matrix: U in all.

    A language's gradients, and its own parts of updates, are zero in what its ticket prunes. So the inner product of
    two languages is that of the weights which both keep, and only the lengths differ: with f[i, j] the share of i's
    squared vector that lies in units which j keeps, the cosine over shared weights is cos[i, j] / √(f[i, j] f[j, i]).

    Args:
        matrices: Name to shape [in, out].
        masks: Checkpoint name to [L, size]; a mask that is not there prunes nothing.
        languages: L.

    Attributes:
        axes: Matrix to the axis along which its units stand: 1 for columns, 0 for rows.
        kept: bool [L, U].
        size: U.
    """

    def __init__(
        self, matrices: Mapping[str, tuple[int, ...]], masks: Mapping[str, NDArray[np.float32]], languages: int
    ) -> None:
        self.shapes = dict(matrices)
        self.axes = {name: mask_of(name)[1] for name in matrices}
        self.kept = np.concatenate([self._kept(name, masks, languages) for name in matrices], 1)
        self.size = self.kept.shape[1]

    def shares(self, sums: NDArray[np.float32], width: int) -> Shares:
        """Of each language's squared vector, the share in what each language keeps: f of the class.

        Args:
            sums: float32 [L, width + U] of sketches, the last U being random signed sums of each unit; or [L, width] of
                all entries.
            width: Values without these.

        Returns:
            float64 [L, L]; NaN of a language whose vector is all zeros.
        """
        squares = self._squares(sums) if sums.shape[1] == width else sums[:, width:].astype(np.float64) ** 2
        total = squares.sum(1, keepdims=True)
        total[total == 0] = np.nan
        return squares @ self.kept.T.astype(np.float64) / total

    def _kept(self, name: str, masks: Mapping[str, NDArray[np.float32]], languages: int) -> NDArray[np.bool_]:
        mask, axis = mask_of(name)
        return masks[mask] != 0 if mask in masks else np.ones((languages, self.shapes[name][axis]), bool)

    def _squares(self, sums: NDArray[np.float32]) -> NDArray[np.float64]:
        """The squared length of each unit, float64 [L, U], of all entries [L, size]."""
        ends = np.cumsum([prod(shape) for shape in self.shapes.values()])[:-1]
        found = []
        for row in sums:  # one language at a time: matrices may be large
            parts = zip(np.split(row, ends), self.shapes.items(), strict=True)
            squared = [(part.reshape(s).astype(np.float64) ** 2).sum(1 - self.axes[n]) for part, (n, s) in parts]
            found.append(np.concatenate(squared))
        return np.stack(found)


def over_shared(cosines: Shares, shares: Shares) -> Shares:
    """Cosines over the weights that both languages keep, float64 [L, L], of those over all weights and the shares.

    NaN where two languages share none.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.clip(cosines / np.sqrt(shares * shares.T), -1, 1)
    found[np.diag_indices(len(found))] = cosines.diagonal()
    return found


Matrix = NDArray[np.float64]
BLOCK = 2**16  # columns that are held in double precision at a time


def cosines(sums: NDArray[np.float32], steps: NDArray[np.int64]) -> Matrix:
    """The cosine of every pair of rows.

    Args:
        sums: float32 [L, size].
        steps: int64 [L], how many steps each row sums up.

    Returns:
        float64 [L, L], symmetric. Rows and columns without a step, or without direction (all zeros), are NaN.
    """
    products = np.zeros((len(sums), len(sums)))
    for start in range(0, sums.shape[1], BLOCK):
        block = sums[:, start : start + BLOCK].astype(np.float64)
        products += block @ block.T
    norms = np.sqrt(products.diagonal())
    norms[(norms == 0) | (steps == 0)] = np.nan
    found = np.clip(products / norms[:, None] / norms[None, :], -1, 1)
    found[np.diag_indices(len(found))] = np.where(np.isnan(norms), np.nan, 1.0)
    return np.triu(found) + np.triu(found, 1).T


def share_negative(cosines: Matrix) -> float:
    """The share of pairs i < j whose cosine is below zero; NaN where there is no pair, or one was not measured."""
    found = _pairs(cosines)
    return float((found < 0).mean()) if len(found) and not np.isnan(found).any() else np.nan


def mean_cosine(cosines: Matrix) -> float:
    """The mean cosine of pairs i < j; NaN where there is no pair, or one was not measured."""
    found = _pairs(cosines)
    return float(found.mean()) if len(found) else np.nan


def standard_error(mode: str, width: int) -> float:
    """The standard deviation of a cosine near zero, at most: 1/√S of a sketch, 0 of exact sums."""
    return width**-0.5 if mode == "sketch" else 0.0


def _pairs(cosines: Matrix) -> NDArray[np.float64]:
    return cosines[np.triu_indices(len(cosines), 1)]
