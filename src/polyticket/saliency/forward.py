"""Masked BERT's pretraining loss on packed batches: the same function, computed where the loss depends on it.

Padding is never computed, the last layer only at the tokens that the heads read (keys and values at all), the
vocabulary only at predicted tokens. Shapes: N tokens, H hidden, h heads of d, G batches, W wanted tokens,
P predictions, V pieces.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (the name everyone uses)

from polyticket.model.torch_bert import MaskedBertForPreTraining
from polyticket.saliency.dropout import Dropout
from polyticket.saliency.packing import Packed, Seats, take

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
