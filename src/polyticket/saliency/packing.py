"""Batches of records without their padding: tokens in one row, and where each belongs.

Shapes: N tokens of B sequences, W of them wanted (predicted, or the first of a sequence), P predictions, H hidden.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polyticket.core.errors import PolyticketError

Batch = Mapping[str, NDArray[np.generic]]
SUM_FLOOR = 1e-5  # added to the sum of weights, as in BERT


class _Take(torch.autograd.Function):
    """Rows of x; each row is taken at most once, so the gradient is copied and not added up."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.size = x.shape[0]
        return x.index_select(0, rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return put(gradients[0], ctx.saved_tensors[0], ctx.size), None


class _Put(torch.autograd.Function):
    """The inverse: rows of x put in their places among `size` rows of zeros."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(rows)
        return x.new_zeros((size, *x.shape[1:])).index_copy_(0, rows, x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return take(gradients[0], ctx.saved_tensors[0]), None, None


def take(x: Tensor, rows: Tensor) -> Tensor:
    """x[rows] for rows that differ."""
    return _Take.apply(x, rows)


def put(x: Tensor, rows: Tensor, size: int) -> Tensor:
    """Zeros [size, …] in which x stands at `rows`, which differ."""
    return _Put.apply(x, rows, size)


class Part(NamedTuple):
    """What one batch takes of a block: its tokens, its sequences, and the length of its longest one."""

    tokens: int
    sequences: int
    length: int


@dataclass(frozen=True)
class Seats:
    """Where tokens in one row stand in a block of sequences of one length.

    Attributes:
        slots: int64 [N] into the B · length places of the block, ascending; None when every place is taken.
        sequences: B.
        length: Of the longest sequence.
        taken: bool [B, 1, 1, length], which places hold tokens; None when all do.
        parts: Of each batch, in order.
    """

    slots: Tensor | None
    sequences: int
    length: int
    taken: Tensor | None
    parts: tuple[Part, ...]

    def spread(self, x: Tensor) -> Tensor:
        """[N, H] to [B, length, H], zeros where no token stands."""
        if self.slots is not None:
            x = put(x, self.slots, self.sequences * self.length)
        return x.unflatten(0, (self.sequences, self.length))

    def gather(self, x: Tensor) -> Tensor:
        """[B, length, H] to [N, H]."""
        x = x.flatten(0, 1)
        return x if self.slots is None else take(x, self.slots)


@dataclass(frozen=True)
class Packed:
    """Batches that are computed together.

    Attributes:
        ids, positions, segments: int64 [N] of all tokens.
        seats: Of all tokens.
        wanted: int64 [W], the tokens that the heads read.
        wanted_seats: Of these.
        firsts: int64 [B], the first tokens of the sequences, among the wanted ones.
        predicted: int64 [P], the predicted tokens of weight above zero, among the wanted ones.
        labels: int64 [P], the right pieces.
        label_shares: float32 [P], the weight of each in its batch's mean.
        follows: int64 [B], next-sentence labels.
        follow_shares: float32 [B].
        owners: float32 [N, G], one where token n is of batch g, or of record g; None for one of them.
        wanted_owners, first_owners: The same of the wanted and the first tokens.
    """

    ids: Tensor
    positions: Tensor
    segments: Tensor
    seats: Seats
    wanted: Tensor
    wanted_seats: Seats
    firsts: Tensor
    predicted: Tensor
    labels: Tensor
    label_shares: Tensor
    follows: Tensor
    follow_shares: Tensor
    owners: Tensor | None
    wanted_owners: Tensor | None
    first_owners: Tensor | None


def packed(batches: Sequence[Batch], device: torch.device, *, by_record: bool = False) -> Packed:
    """Pack batches of records; nothing of them is lost but padding and predictions of weight zero.

    Args:
        batches: What to compute together.
        device: Where.
        by_record: Whether records own tokens, and not batches.

    Raises:
        PolyticketError: A record predicts padding, or begins with it.
    """
    group = np.repeat(np.arange(len(batches)), [len(batch["input_ids"]) for batch in batches])
    joined = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    seen = joined["input_mask"].astype(bool)
    counted = joined["masked_lm_weights"] != 0
    rows = np.nonzero(counted)[0]
    targets = np.stack([rows, joined["masked_lm_positions"][counted]])
    if not (seen[:, 0].all() and seen[tuple(targets)].all()):
        raise PolyticketError("padding is predicted or stands first", where="records", expected="predictions of tokens")
    number = seen.cumsum().reshape(seen.shape) - 1  # of each token in the one row
    firsts, predicted = number[:, 0], number[tuple(targets)]
    wanted = np.unique(np.concatenate([firsts, predicted]))
    sequence, position = np.nonzero(seen)
    sums = np.array([batch["masked_lm_weights"].sum(dtype=np.float32) for batch in batches]) + np.float32(SUM_FLOOR)
    sizes = np.bincount(group)
    owner = np.arange(len(seen)) if by_record else group

    def tensor(values: NDArray[Any], kind: torch.dtype = torch.int64) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(device, kind)

    def owners(of: NDArray[Any]) -> Tensor | None:
        return tensor(owner[of, None] == np.arange(owner[-1] + 1), torch.float32) if owner[-1] else None

    return Packed(
        ids=tensor(joined["input_ids"][seen]),
        positions=tensor(position),
        segments=tensor(joined["segment_ids"][seen]),
        seats=_seats(sequence, sizes, device),
        wanted=tensor(wanted),
        wanted_seats=_seats(sequence[wanted], sizes, device),
        firsts=tensor(np.searchsorted(wanted, firsts)),
        predicted=tensor(np.searchsorted(wanted, predicted)),
        labels=tensor(joined["masked_lm_ids"][counted]),
        label_shares=tensor(joined["masked_lm_weights"][counted] / sums[group[rows]], torch.float32),
        follows=tensor(joined["next_sentence_labels"].ravel()),
        follow_shares=tensor(1 / sizes[group], torch.float32),
        owners=owners(sequence),
        wanted_owners=owners(sequence[wanted]),
        first_owners=owners(np.arange(len(seen))),
    )


def _seats(sequence: NDArray[np.int64], sizes: NDArray[np.int64], device: torch.device) -> Seats:
    """Seats of tokens, given the sequence of each, in ascending order, and the number of sequences of each batch."""
    sequences = int(sizes.sum())
    counts = np.bincount(sequence, minlength=sequences)
    length, starts = int(counts.max()), sizes.cumsum() - sizes
    sums = np.add.reduceat(counts, starts), sizes, np.maximum.reduceat(counts, starts)
    parts = tuple(Part(*numbers) for numbers in zip(*(values.tolist() for values in sums), strict=True))
    if (counts == length).all():
        return Seats(None, sequences, length, None, parts)
    place = np.arange(sequence.size) - (counts.cumsum() - counts)[sequence]
    taken = torch.from_numpy(np.arange(length) < counts[:, None])[:, None, None, :].to(device)
    return Seats(torch.from_numpy(sequence * length + place).to(device), sequences, length, taken, parts)
