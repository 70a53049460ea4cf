"""The loss of predictions over a large vocabulary, whose logits are never in memory together.

Shapes: P predictions, H hidden, V vocabulary.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (the name everyone uses)

BLOCK = 4096
"""Rows of the vocabulary whose logits are computed together on a CPU."""


def cross_entropy(x: Tensor, embeddings: Tensor, bias: Tensor, labels: Tensor) -> Tensor:
    """The cross-entropy of the logits of rows x [P, H] at `labels`, float32 [P]; x alone has a gradient, once.

    Args:
        x: What is multiplied with the embeddings.
        embeddings: [V, H].
        bias: [V].
        labels: int64 [P].
    """
    return _CrossEntropy.apply(x, embeddings, bias, labels)


class _CrossEntropy(torch.autograd.Function):
    """Cross-entropy of each row of x over the vocabulary, [P], and its gradient by x, in one pass over the embeddings.

    The vocabulary is taken in blocks whose logits stay in the processor's cache. The exponentials of a block are summed
    and multiplied with its embeddings at once; both sums are scaled down where a later block has a larger logit. All
    logits together would be written and read five times, and their product is slower where V is odd, as mBERT's is.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, embeddings: Tensor, bias: Tensor, labels: Tensor) -> Tensor:
        """The losses, float32 [P]; the gradient by x is computed on the way and kept."""
        largest = x.new_full((len(x), 1), -torch.inf, dtype=torch.float32)
        total, mean = torch.zeros_like(largest), x.new_zeros(x.shape, dtype=torch.float32)
        block = BLOCK if x.device.type == "cpu" else len(embeddings)
        for rows, offsets in zip(embeddings.split(block), bias.split(block), strict=True):
            logits = F.linear(x, rows, offsets).float()
            before, largest = largest, torch.maximum(largest, logits.amax(1, keepdim=True))
            shares, scale = logits.sub_(largest).exp_(), (before - largest).exp_()
            total = total * scale + shares.sum(1, keepdim=True)
            mean = mean * scale + shares.to(rows.dtype) @ rows
        right = embeddings[labels].float()
        ctx.save_for_backward(mean / total - right)
        return (largest + total.log()).ravel() - (x.float() * right).sum(1) - bias[labels]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        return gradients[0][:, None] * ctx.saved_tensors[0], None, None, None
