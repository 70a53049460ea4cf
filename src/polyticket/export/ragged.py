"""The parts of a layer that are not those of the masked BERT: heads of different widths, and products added in place.

Shapes: B sequences of T tokens, H hidden.
"""

import warnings

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (the name everyone uses)

from polyticket.export.layout import LayerSizes
from polyticket.export.packing import Group, groups_of, packing_of
from polyticket.model.shape import BertShape
from polyticket.model.torch_bert import Masks


class RaggedAttention(nn.Module):
    """Self-attention whose heads differ in width, as one projection and a few calls of fused attention.

    Heads are put in groups of like width, and the rows of narrower ones are followed by rows of zeros. Those add
    nothing to q·k, and their gradients are products with zeros: training leaves them at zero.
    """

    def __init__(self, shape: BertShape, sizes: LayerSizes) -> None:
        super().__init__()
        self.groups, self.packing = groups_of(sizes), packing_of(sizes)
        self.dropout_prob, self.scale = shape.attention_probs_dropout_prob, shape.head_size**-0.5
        self.query_key_value = linear(shape.hidden_size, self.packing.rows)

    def forward(self, x: Tensor, seen: Tensor, masks: Masks | None = None) -> Tensor:  # noqa: ARG002
        """Mixed values [B, T, mixed] of x [B, T, H]; `seen` is bool [B, 1, 1, T]."""
        if not self.groups:
            return x[:, :, :0]
        matched = [len(group.heads) * group.query_key for group in self.groups]
        valued = [len(group.heads) * group.value for group in self.groups]
        parts = self.query_key_value(x).split([*matched, *matched, *valued], 2)
        count = len(self.groups)
        mixed = [
            self._attend(group, q, k, v, seen)
            for group, q, k, v in zip(self.groups, parts[:count], parts[count:], parts[2 * count :], strict=False)
        ]
        return mixed[0] if count == 1 else torch.cat(mixed, 2)

    def _attend(self, group: Group, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        """One group's mixed values [B, T, heads · value]; the fused kernels want one width."""
        width = max(group.query_key, group.value)
        q, k, v = (_heads(part, len(group.heads), width) for part in (q, k, v))
        rate = self.dropout_prob if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen, dropout_p=rate, scale=self.scale)
        return mixed[..., : group.value].transpose(1, 2).flatten(2)


def _heads(x: Tensor, heads: int, width: int) -> Tensor:
    """[B, T, heads · d] as [B, heads, T, width], with zeros after each head's d numbers."""
    split = x.unflatten(2, (heads, x.shape[2] // heads))
    missing = width - split.shape[3]
    return (F.pad(split, (0, missing)) if missing else split).transpose(1, 2)


class Projection(nn.Module):
    """Dense, dropout, residual, LayerNorm: the end of both halves of a layer.

    Without dropout the product is added onto residual and bias where they stand, which saves two walks over memory.
    """

    def __init__(self, shape: BertShape, inputs: int) -> None:
        super().__init__()
        self.dense = linear(inputs, shape.hidden_size)
        self.LayerNorm = nn.LayerNorm(shape.hidden_size, eps=shape.layer_norm_eps)
        self.dropout = nn.Dropout(shape.hidden_dropout_prob)

    def forward(self, x: Tensor, residual: Tensor, masks: Masks | None = None) -> Tensor:  # noqa: ARG002 (as in MaskedBert)
        """[B, T, inputs] and [B, T, H] to [B, T, H]."""
        if self.training:
            return self.LayerNorm(residual + self.dropout(self.dense(x)))
        total = (residual + self.dense.bias).flatten(0, 1).addmm_(x.flatten(0, 1), self.dense.weight.T)
        return self.LayerNorm(total.unflatten(0, residual.shape[:2]))


def linear(inputs: int, outputs: int) -> nn.Linear:
    """A dense layer that may have no inputs or no outputs."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Initializing zero-element tensors")
        return nn.Linear(inputs, outputs)
