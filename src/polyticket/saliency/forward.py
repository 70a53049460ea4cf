"""Dropout whose pattern is a function of seed, language and batch, whatever is computed beside the batch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (the name everyone uses)

from polyticket.core.errors import PolyticketError
from polyticket.model.torch_bert import MaskedBertForPreTraining

LEVELS = 2**16
Stream = np.random.Generator | torch.Generator
Shapes = Sequence[tuple[int, ...]]


class Dropout:
    """Sets entries to zero at a rate and scales the others up, so that the mean stays.

    Each batch has a stream of its own, so what falls out of it does not depend on which batches are computed with it.
    On a CPU the pattern is drawn from NumPy's SFC64: PyTorch's own draws one number at a time and takes a tenth of a
    whole pass. The rate is rounded to 1/65536, and so is the scale.

    Args:
        keys: What seeds the stream of each of the G batches: seed, language's row, number of the batch.
        on: Whether anything falls out.
        device: Where the tensors are.
    """

    def __init__(self, keys: Sequence[Sequence[int]], *, on: bool, device: torch.device) -> None:
        self.on = on
        self.streams = [_stream(key, device) for key in keys] if on else []

    def __call__(self, x: Tensor, rate: float, pieces: Shapes) -> Tensor:
        """Give x with entries out at the rate, itself if none fall out.

        Args:
            x: Of all batches, one after the other along the first axis.
            rate: The share that falls out.
            pieces: The shape of each batch's part. Parts shorter than x along other axes are followed by padding.
        """
        lost = round(rate * LEVELS)
        if not self.on or lost == 0:
            return x
        drawn = [_drawn(stream, piece, lost, x) for stream, piece in zip(self.streams, pieces, strict=True)]
        return x * (_joined(drawn, x).to(x.dtype) * (LEVELS / (LEVELS - lost)))


def _stream(key: Sequence[int], device: torch.device) -> Stream:
    sequence = np.random.SeedSequence(list(key))
    if device.type == "cpu":
        return np.random.Generator(np.random.SFC64(sequence))
    return torch.Generator(device).manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> 1))


def _drawn(stream: Stream, shape: tuple[int, ...], lost: int, x: Tensor) -> Tensor:
    """Bool of a shape, True where nothing falls out."""
    if isinstance(stream, torch.Generator):
        return torch.randint(LEVELS, shape, device=x.device, dtype=torch.int32, generator=stream) >= lost
    bits = np.frombuffer(stream.bytes(2 * int(np.prod(shape))), np.uint16).reshape(shape)
    return torch.from_numpy(bits >= lost)


def _joined(parts: Sequence[Tensor], x: Tensor) -> Tensor:
    """The parts in their places in x; padding stays."""
    if len(parts) == 1:
        return parts[0]
    if all(part.shape[1:] == x.shape[1:] for part in parts):
        return torch.cat(list(parts))
    found, at = torch.ones(x.shape, dtype=torch.bool, device=x.device), 0
    for part in parts:
        found[(slice(at, at := at + len(part)), *map(slice, part.shape[1:]))] = part
    return found


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


class BatchExtent(NamedTuple):
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
    parts: tuple[BatchExtent, ...]

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
    parts = tuple(BatchExtent(*numbers) for numbers in zip(*(values.tolist() for values in sums), strict=True))
    if (counts == length).all():
        return Seats(None, sequences, length, None, parts)
    place = np.arange(sequence.size) - (counts.cumsum() - counts)[sequence]
    taken = torch.from_numpy(np.arange(length) < counts[:, None])[:, None, None, :].to(device)
    return Seats(torch.from_numpy(sequence * length + place).to(device), sequences, length, taken, parts)


Gate = Callable[[Tensor, Tensor, Tensor | None], Tensor]


class _One(torch.autograd.Function):
    """A mask of ones: nothing is multiplied, and its gradient is the sum over tokens of output times its gradient."""

    @staticmethod
    def forward(ctx: Any, projected: Tensor, mask: Tensor, owners: Tensor | None) -> Tensor:  # noqa: ARG004
        ctx.save_for_backward(projected, owners)
        return projected.view_as(projected)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, None]:
        projected, owners = ctx.saved_tensors
        products = gradients[0].float() * projected
        summed = products.sum(0) if owners is None else owners.T @ products
        return (gradients[0] if ctx.needs_input_grad[0] else None), summed, None


def gate_of_ones(projected: Tensor, mask: Tensor, owners: Tensor | None) -> Tensor:
    """The projection as it is, for masks that are one: gradients by the mask are exact, second ones do not exist."""
    return _One.apply(projected, mask, owners)


def gate_by_product(projected: Tensor, mask: Tensor, owners: Tensor | None) -> Tensor:
    """Projection [N, size] times mask [size], or times the row of each token's batch of [G, size]; any derivative."""
    return projected * (mask if owners is None else owners @ mask)


class Forward(NamedTuple):
    """How a batch is computed.

    Attributes:
        batch: What to compute.
        masks: Prunable site to [size] for one batch, or [G, size].
        gate: How a mask is applied.
        drop: Dropout.
    """

    batch: Packed
    masks: Mapping[str, Tensor]
    gate: Gate
    drop: Dropout


def packed_losses(
    network: MaskedBertForPreTraining, how: Forward, *, decoder: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Sums over batches of their mean MLM and NSP losses, as `pretraining_losses` gives them.

    Args:
        network: The weights.
        how: Batch, masks, and how to apply them.
        decoder: The word embeddings [V, H] in another precision; the network's own if None.
    """
    bert, batch = network.bert, how.batch
    x = _dropped(_embedded(bert.embeddings, batch), bert.shape.hidden_dropout_prob, batch.seats, how.drop)
    layers = list(bert.encoder["layer"].children())
    for layer in layers[:-1]:
        x = _layer(layer, x, None, how)
    x = _layer(layers[-1], x, batch.wanted, how)
    first = bert.pooler["dense"](take(x, batch.firsts))
    pooled = torch.tanh(how.gate(first, how.masks["bert.pooler.pool_mask"], batch.first_owners))
    follows = F.cross_entropy(network.cls["seq_relationship"](pooled).float(), batch.follows, reduction="none")
    embeddings = bert.embeddings.word_embeddings.weight if decoder is None else decoder
    # a token may be predicted twice, so its gradients add up
    words = network.cls["predictions"](x.index_select(0, batch.predicted), embeddings)
    losses = F.cross_entropy(words.float(), batch.labels, reduction="none")
    return (losses * batch.label_shares).sum(), (follows * batch.follow_shares).sum()


def _embedded(embeddings: Any, batch: Packed) -> Tensor:
    found = embeddings.word_embeddings(batch.ids) + embeddings.position_embeddings(batch.positions)
    return embeddings.LayerNorm(found + embeddings.token_type_embeddings(batch.segments))


def _layer(layer: Any, x: Tensor, wanted: Tensor | None, how: Forward) -> Tensor:
    """A layer's output at the wanted tokens, [W, H]; at all [N, H] if None."""
    batch, masks, gate = how.batch, how.masks, how.gate
    own = layer.attention["self"]
    asking, seats, owners = x, batch.seats, batch.owners
    if wanted is not None:
        asking, seats, owners = take(x, wanted), batch.wanted_seats, batch.wanted_owners
    shared, value = masks[f"{own.site}.attention_mask"], masks[f"{own.site}.value_attention_mask"]
    q = seats.spread(gate(own.query(asking), shared, owners))
    k = batch.seats.spread(gate(own.key(x), shared, batch.owners))
    v = batch.seats.spread(gate(own.value(x), value, batch.owners))
    q, k, v = (each.unflatten(2, (own.heads, -1)).transpose(1, 2) for each in (q, k, v))
    mixed = seats.gather(_attended(q, k, v, own.dropout_prob, seats, how).transpose(1, 2).flatten(2))
    y = _added(layer.attention["output"], mixed, asking, seats, how.drop)
    wide = gate(layer.intermediate["dense"](y), masks[layer.intermediate_site], owners)
    return _added(layer.output, F.gelu(wide, approximate=layer.approximate), y, seats, how.drop)


def _attended(q: Tensor, k: Tensor, v: Tensor, rate: float, seats: Seats, how: Forward) -> Tensor:
    """Attention of queries [B, h, asking, d] to keys and values [B, h, length, d]; padding is not seen."""
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(2, 3)
    if how.batch.seats.taken is not None:
        scores = scores.masked_fill(~how.batch.seats.taken, float("-inf"))
    sides = zip(seats.parts, how.batch.seats.parts, strict=True)
    pieces = [(part.sequences, q.shape[1], part.length, keys.length) for part, keys in sides]
    return how.drop(scores.softmax(-1), rate, pieces) @ v


def _added(projection: Any, x: Tensor, residual: Tensor, seats: Seats, drop: Dropout) -> Tensor:
    return projection.LayerNorm(residual + _dropped(projection.dense(x), projection.dropout.p, seats, drop))


def _dropped(x: Tensor, rate: float, seats: Seats, drop: Dropout) -> Tensor:
    return drop(x, rate, [(part.tokens, x.shape[1]) for part in seats.parts])
