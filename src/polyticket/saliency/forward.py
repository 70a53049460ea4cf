"""The pretraining loss of masked BERT on packed batches, computed only where the loss depends on it.

Padding is never computed. The last layer is computed at the tokens that the output layers read (its keys and values at
all tokens), the vocabulary at predicted tokens alone. Shapes: N tokens of B sequences in G batches, W of the tokens
read by the output layers (predicted, or the first of a sequence), P predictions, H hidden, h heads of d, V vocabulary.
"""

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
from polyticket.model.torch_setup import to_device
from polyticket.saliency.cross_entropy import cross_entropy

LEVELS = 2**16
Stream = np.random.Generator | torch.Generator
Shapes = Sequence[tuple[int, ...]]


class Dropout:
    """Sets entries to zero with a probability and scales the others up, so that the mean stays.

    Each batch has a random stream of its own, so its pattern does not depend on the batches that are computed with it.
    On a CPU the pattern is drawn from NumPy's SFC64: PyTorch's own generator draws one number at a time and takes a
    tenth of a whole pass. The probability is rounded to 1/65536, and so is the scale.

    Args:
        keys: The seed of the stream of each of the G batches: seed, language's row, number of the batch.
        on: Whether any entry is dropped.
        device: Where the tensors are.
    """

    def __init__(self, keys: Sequence[Sequence[int]], *, on: bool, device: torch.device) -> None:
        self.on = on
        self.streams = [_stream(key, device) for key in keys] if on else []

    def __call__(self, x: Tensor, probability: float, shapes: Shapes) -> Tensor:
        """Drop entries of x; x itself if none are dropped.

        Args:
            x: All batches, one after the other along the first axis.
            probability: The share that is dropped.
            shapes: The shape of each batch in x. A batch shorter than x along other axes is followed by padding.
        """
        dropped = round(probability * LEVELS)
        if not self.on or dropped == 0:
            return x
        masks = [_drawn(stream, shape, dropped, x) for stream, shape in zip(self.streams, shapes, strict=True)]
        return x * (_joined(masks, x).to(x.dtype) * (LEVELS / (LEVELS - dropped)))


def _stream(key: Sequence[int], device: torch.device) -> Stream:
    sequence = np.random.SeedSequence(list(key))
    if device.type == "cpu":
        return np.random.Generator(np.random.SFC64(sequence))
    return torch.Generator(device).manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> 1))


def _drawn(stream: Stream, shape: tuple[int, ...], dropped: int, x: Tensor) -> Tensor:
    """Bool of a shape, True where the entry stays."""
    if isinstance(stream, torch.Generator):
        stays = torch.empty(shape, dtype=torch.bool, device=x.device)
        return stays.bernoulli_(1 - dropped / LEVELS, generator=stream)
    bits = np.frombuffer(stream.bytes(2 * int(np.prod(shape))), np.uint16).reshape(shape)
    return torch.from_numpy(bits >= dropped)


def _joined(masks: Sequence[Tensor], x: Tensor) -> Tensor:
    """The masks of the batches, each at its place in x; padding stays."""
    if len(masks) == 1:
        return masks[0]
    if all(mask.shape[1:] == x.shape[1:] for mask in masks):
        return torch.cat(list(masks))
    joined, begin = torch.ones(x.shape, dtype=torch.bool, device=x.device), 0
    for mask in masks:
        joined[(slice(begin, begin := begin + len(mask)), *map(slice, mask.shape[1:]))] = mask
    return joined


Batch = Mapping[str, NDArray[np.generic]]
SUM_FLOOR = 1e-5  # added to the sum of weights, as in BERT


class _Take(torch.autograd.Function):
    """Rows of x; each row is taken at most once, so the gradient is copied and not added up."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: Tensor, sources: Tensor | None) -> Tensor:
        ctx.save_for_backward(rows, sources)
        ctx.size = x.shape[0]
        return x.index_select(0, rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        rows, sources = ctx.saved_tensors
        return put(gradients[0], rows, ctx.size, sources), None, None


class _Put(torch.autograd.Function):
    """The inverse: x put at `rows` among `size` rows of zeros."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: Tensor, size: int, sources: Tensor | None) -> Tensor:
        ctx.save_for_backward(rows, sources)
        if sources is None:
            return x.new_zeros((size, *x.shape[1:])).index_copy_(0, rows, x)
        return torch.cat([x, x.new_zeros((1, *x.shape[1:]))]).index_select(0, sources)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        rows, sources = ctx.saved_tensors
        return take(gradients[0], rows, sources), None, None, None


def take(x: Tensor, rows: Tensor, sources: Tensor | None = None) -> Tensor:
    """x[rows] for rows that differ; `sources` as in `put`."""
    return _Take.apply(x, rows, sources)


def put(x: Tensor, rows: Tensor, size: int, sources: Tensor | None = None) -> Tensor:
    """Zeros [size, …] in which x [N, …] stands at `rows`, which differ.

    Args:
        x: What is put.
        rows: int64 [N].
        size: The number of rows of the result.
        sources: int64 [size], for each row of the result its row of x, N where it is zeros. With it rows are gathered;
            without it they are scattered, which PyTorch does slowly on a GPU where it must be deterministic.
    """
    return _Put.apply(x, rows, size, sources)


class BatchExtent(NamedTuple):
    """One batch of a block: its tokens, its sequences, and the length of its longest sequence."""

    tokens: int
    sequences: int
    length: int


@dataclass(frozen=True)
class Layout:
    """The positions of packed tokens in a block of padded sequences.

    Attributes:
        slots: int64 [N] into the B · length positions of the block, ascending; None if there is no padding.
        sequences: B.
        length: Of the longest sequence.
        attention_mask: bool [B, 1, 1, length], the positions that hold tokens; None if all do.
        extents: The extent of each batch, in order.
        sources: On a GPU int64 [B · length], the token at each position of the block, N at padding.
    """

    slots: Tensor | None
    sequences: int
    length: int
    attention_mask: Tensor | None
    extents: tuple[BatchExtent, ...]
    sources: Tensor | None = None

    def pad(self, x: Tensor) -> Tensor:
        """[N, H] to [B, length, H], zeros at padding."""
        if self.slots is not None:
            x = put(x, self.slots, self.sequences * self.length, self.sources)
        return x.unflatten(0, (self.sequences, self.length))

    def unpad(self, x: Tensor) -> Tensor:
        """[B, length, H] to [N, H]."""
        x = x.flatten(0, 1)
        return x if self.slots is None else take(x, self.slots, self.sources)


@dataclass(frozen=True)
class Owners:
    """Which of G batches (or records) each of N tokens is of; those of a batch stand together.

    Attributes:
        one_hot: float32 [N, G], one where token n is of batch g.
        counts: On a GPU int64 [G], the tokens of each batch.
    """

    one_hot: Tensor
    counts: Tensor | None

    def spread(self, values: Tensor) -> Tensor:
        """The value of each token's batch: [G, size] to [N, size]."""
        return self.one_hot @ values

    def summed(self, values: Tensor) -> Tensor:
        """The sums over each batch's tokens: float32 [N, size] to [G, size]."""
        if self.counts is None:
            return self.one_hot.T @ values
        return torch.segment_reduce(values, "sum", lengths=self.counts, axis=0, unsafe=True)


@dataclass(frozen=True)
class Packed:
    """Batches that are computed together.

    Attributes:
        ids, positions, segments: int64 [N] of all tokens.
        layout: The layout of all tokens.
        outputs: int64 [W], the tokens that the output layers read.
        output_layout: The layout of these.
        firsts: int64 [B], the first token of each sequence, as an index into `outputs`.
        predicted: int64 [P], the predicted tokens of weight above zero, likewise.
        labels: int64 [P], the ids to predict.
        label_shares: float32 [P], the weight of each prediction in its batch's mean.
        next_sentence: int64 [B], next-sentence labels.
        next_sentence_shares: float32 [B], the weight of each in its batch's mean.
        owners: The batches (or records) of the tokens; None if there is only one.
        output_owners, first_owners: The same for `outputs` and `firsts`.
    """

    ids: Tensor
    positions: Tensor
    segments: Tensor
    layout: Layout
    outputs: Tensor
    output_layout: Layout
    firsts: Tensor
    predicted: Tensor
    labels: Tensor
    label_shares: Tensor
    next_sentence: Tensor
    next_sentence_shares: Tensor
    owners: Owners | None
    output_owners: Owners | None
    first_owners: Owners | None


def pack(batches: Sequence[Batch], device: torch.device, *, by_record: bool = False) -> Packed:
    """Pack batches of records, without padding and without predictions of weight zero.

    Args:
        batches: The batches to compute together.
        device: Where the tensors go.
        by_record: Whether each record has a mask of its own, instead of each batch.

    Raises:
        PolyticketError: A record predicts padding, or begins with it.
    """
    group = np.repeat(np.arange(len(batches)), [len(batch["input_ids"]) for batch in batches])
    joined = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    attended = joined["input_mask"].astype(bool)
    counted = joined["masked_lm_weights"] != 0
    rows = np.nonzero(counted)[0]
    targets = np.stack([rows, joined["masked_lm_positions"][counted]])
    if not (attended[:, 0].all() and attended[tuple(targets)].all()):
        raise PolyticketError("padding is predicted or stands first", where="records", expected="predictions of tokens")
    number = attended.cumsum().reshape(attended.shape) - 1  # of each token in the one row
    firsts, predicted = number[:, 0], number[tuple(targets)]
    outputs = np.unique(np.concatenate([firsts, predicted]))
    sequence, position = np.nonzero(attended)
    sums = np.array([batch["masked_lm_weights"].sum(dtype=np.float32) for batch in batches]) + np.float32(SUM_FLOOR)
    sizes = np.bincount(group)
    owner = np.arange(len(attended)) if by_record else group

    def tensor(values: NDArray[Any], kind: torch.dtype = torch.int64) -> Tensor:
        return to_device(torch.from_numpy(np.ascontiguousarray(values)).to(kind), device)

    def owners(of: NDArray[Any]) -> Owners | None:
        if not owner[-1]:
            return None
        counts = tensor(np.bincount(owner[of], minlength=owner[-1] + 1)) if device.type == "cuda" else None
        return Owners(tensor(owner[of, None] == np.arange(owner[-1] + 1), torch.float32), counts)

    return Packed(
        ids=tensor(joined["input_ids"][attended]),
        positions=tensor(position),
        segments=tensor(joined["segment_ids"][attended]),
        layout=_layout_of(sequence, sizes, device),
        outputs=tensor(outputs),
        output_layout=_layout_of(sequence[outputs], sizes, device),
        firsts=tensor(np.searchsorted(outputs, firsts)),
        predicted=tensor(np.searchsorted(outputs, predicted)),
        labels=tensor(joined["masked_lm_ids"][counted]),
        label_shares=tensor(joined["masked_lm_weights"][counted] / sums[group[rows]], torch.float32),
        next_sentence=tensor(joined["next_sentence_labels"].ravel()),
        next_sentence_shares=tensor(1 / sizes[group], torch.float32),
        owners=owners(sequence),
        output_owners=owners(sequence[outputs]),
        first_owners=owners(np.arange(len(attended))),
    )


def _layout_of(sequence: NDArray[np.int64], sizes: NDArray[np.int64], device: torch.device) -> Layout:
    """The layout of tokens, from the sequence of each (ascending) and the number of sequences of each batch."""
    sequences = int(sizes.sum())
    counts = np.bincount(sequence, minlength=sequences)
    length, starts = int(counts.max()), sizes.cumsum() - sizes
    sums = np.add.reduceat(counts, starts), sizes, np.maximum.reduceat(counts, starts)
    extents = tuple(BatchExtent(*numbers) for numbers in zip(*(values.tolist() for values in sums), strict=True))
    if (counts == length).all():
        return Layout(None, sequences, length, None, extents)
    place = np.arange(sequence.size) - (counts.cumsum() - counts)[sequence]
    attention_mask = to_device(torch.from_numpy(np.arange(length) < counts[:, None])[:, None, None, :], device)
    slots, sources = sequence * length + place, None
    if device.type == "cuda":
        filled = np.full(sequences * length, len(slots))
        filled[slots] = np.arange(len(slots))
        sources = to_device(torch.from_numpy(filled), device)
    return Layout(to_device(torch.from_numpy(slots), device), sequences, length, attention_mask, extents, sources)


Gate = Callable[[Tensor, Tensor, Owners | None], Tensor]


class _One(torch.autograd.Function):
    """A mask of ones. Nothing is multiplied; its gradient is the sum over tokens of the output times its gradient."""

    @staticmethod
    def forward(ctx: Any, projected: Tensor, mask: Tensor, owners: Owners | None) -> Tensor:  # noqa: ARG004
        ctx.save_for_backward(projected)
        ctx.owners = owners
        return projected.view_as(projected)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, None]:
        (projected,) = ctx.saved_tensors
        products = gradients[0].float() * projected
        summed = products.sum(0) if ctx.owners is None else ctx.owners.summed(products)
        return (gradients[0] if ctx.needs_input_grad[0] else None), summed, None


def gate_of_ones(projected: Tensor, mask: Tensor, owners: Owners | None) -> Tensor:
    """The projection itself, for masks of ones. Gradients by the mask are exact; second derivatives do not exist."""
    return _One.apply(projected, mask, owners)


def gate_by_product(projected: Tensor, mask: Tensor, owners: Owners | None) -> Tensor:
    """Projection [N, size] times mask [size], or times the row of each token's batch of [G, size]."""
    return projected * (mask if owners is None else owners.spread(mask))


class Forward(NamedTuple):
    """The inputs of one forward pass, weights aside.

    Attributes:
        batch: The packed batches.
        masks: Prunable site to [size] for one batch, or [G, size].
        gate: Applies a mask to a projection.
        drop: Dropout.
    """

    batch: Packed
    masks: Mapping[str, Tensor]
    gate: Gate
    drop: Dropout


def packed_losses(
    network: MaskedBertForPreTraining, forward: Forward, *, decoder: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Sums over batches of their mean MLM and NSP losses, as `pretraining_losses` gives them.

    Args:
        network: The weights.
        forward: Batches, masks and dropout.
        decoder: The word embeddings [V, H] in another precision; the network's own if None.
    """
    bert, batch = network.bert, forward.batch
    x = _dropped(_embedded(bert.embeddings, batch), bert.shape.hidden_dropout_prob, batch.layout, forward.drop)
    layers = list(bert.encoder["layer"].children())
    for layer in layers[:-1]:
        x = _layer(layer, x, None, forward)
    x = _layer(layers[-1], x, batch.outputs, forward)
    first = bert.pooler["dense"](take(x, batch.firsts))
    pooled = torch.tanh(forward.gate(first, forward.masks["bert.pooler.pool_mask"], batch.first_owners))
    next_sentence = F.cross_entropy(
        network.cls["seq_relationship"](pooled).float(), batch.next_sentence, reduction="none"
    )
    embeddings = bert.embeddings.word_embeddings.weight if decoder is None else decoder
    head: Any = network.cls["predictions"]
    words = head.transformed(x.index_select(0, batch.predicted))  # a token may be predicted twice: its gradients add up
    if forward.gate is gate_of_ones:
        losses = cross_entropy(words, embeddings, head.bias, batch.labels)
    else:
        losses = F.cross_entropy(F.linear(words, embeddings, head.bias).float(), batch.labels, reduction="none")
    return (losses * batch.label_shares).sum(), (next_sentence * batch.next_sentence_shares).sum()


def _embedded(embeddings: Any, batch: Packed) -> Tensor:
    summed = embeddings.word_embeddings(batch.ids) + embeddings.position_embeddings(batch.positions)
    return embeddings.LayerNorm(summed + embeddings.token_type_embeddings(batch.segments))


def _layer(layer: Any, x: Tensor, outputs: Tensor | None, forward: Forward) -> Tensor:
    """A layer's output at the tokens `outputs`, [W, H]; at all tokens, [N, H], if None."""
    batch, masks, gate = forward.batch, forward.masks, forward.gate
    own = layer.attention["self"]
    x_out, layout, owners = x, batch.layout, batch.owners
    if outputs is not None:
        x_out, layout, owners = take(x, outputs), batch.output_layout, batch.output_owners
    shared, value = masks[f"{own.site}.attention_mask"], masks[f"{own.site}.value_attention_mask"]
    q = layout.pad(gate(own.query(x_out), shared, owners))
    k = batch.layout.pad(gate(own.key(x), shared, batch.owners))
    v = batch.layout.pad(gate(own.value(x), value, batch.owners))
    q, k, v = (each.unflatten(2, (own.heads, -1)).transpose(1, 2) for each in (q, k, v))
    mixed = layout.unpad(_attended(q, k, v, own.dropout_prob, layout, forward).transpose(1, 2).flatten(2))
    y = _added(layer.attention["output"], mixed, x_out, layout, forward.drop)
    wide = gate(layer.intermediate["dense"](y), masks[layer.intermediate_site], owners)
    return _added(layer.output, F.gelu(wide, approximate=layer.approximate), y, layout, forward.drop)


def _attended(q: Tensor, k: Tensor, v: Tensor, probability: float, layout: Layout, forward: Forward) -> Tensor:
    """Attention of queries [B, h, queries, d] to keys and values [B, h, length, d], without padding.

    PyTorch's own attention has neither second derivatives nor dropout that a batch draws by itself.
    """
    if q.is_cuda and not forward.drop.on and forward.gate is gate_of_ones:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=forward.batch.layout.attention_mask)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(2, 3)
    if forward.batch.layout.attention_mask is not None:
        scores = scores.masked_fill(~forward.batch.layout.attention_mask, float("-inf"))
    sides = zip(layout.extents, forward.batch.layout.extents, strict=True)
    shapes = [(part.sequences, q.shape[1], part.length, keys.length) for part, keys in sides]
    return forward.drop(scores.softmax(-1), probability, shapes) @ v


def _added(projection: Any, x: Tensor, residual: Tensor, layout: Layout, drop: Dropout) -> Tensor:
    return projection.LayerNorm(residual + _dropped(projection.dense(x), projection.dropout.p, layout, drop))


def _dropped(x: Tensor, probability: float, layout: Layout, drop: Dropout) -> Tensor:
    return drop(x, probability, [(part.tokens, x.shape[1]) for part in layout.extents])
