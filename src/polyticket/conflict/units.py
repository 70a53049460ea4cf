"""Which weights two tickets share, and how much of a language's vector lies in them."""

from collections.abc import Mapping
from math import prod

import numpy as np
from numpy.typing import NDArray

from polyticket.conflict.matrices import mask_of

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
