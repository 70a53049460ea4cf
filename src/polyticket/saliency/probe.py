"""Gradients and Hessian products of the pretraining loss with respect to the masks, with all masks at one."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from polyticket.core.errors import PolyticketError
from polyticket.model.folder import Model
from polyticket.model.shape import BertShape, prunable_sites
from polyticket.model.torch_bert import torch_model
from polyticket.model.torch_setup import autocast, prepare_torch, to_host
from polyticket.saliency.forward import (
    Batch,
    Dropout,
    Forward,
    Gate,
    gate_by_product,
    gate_of_ones,
    pack,
    packed_losses,
)

Array = NDArray[np.float64]
PRECISIONS = ("float32", "bfloat16")
DEVICES = ("auto", "cpu", "cuda")
GB_OF_A_BATCH = 4
"""GPU memory for one batch of 1024 positions (8 sequences of 128 tokens) through 12 layers of 1024; generous."""
MOST_AT_ONCE = 16


def choose_device(device: str, threads: int) -> torch.device:
    """The device of a name, `auto` for the first GPU where there is one; PyTorch is made deterministic.

    Raises:
        PolyticketError: The name is unknown, or there is no GPU.
    """
    default = prepare_torch(threads)
    if device not in DEVICES:
        raise PolyticketError(f"device {device!r}", where="saliency_options", expected=" or ".join(DEVICES))
    if device == "cuda" and default.type != "cuda":
        raise PolyticketError("no GPU is found", where="saliency_options.device", expected="auto or cpu")
    return default if device == "auto" else torch.device(device)


def count_fitting(memory: float, positions: int, shape: BertShape) -> int:
    """The number of batches that a GPU computes at once: what fits, from 1 to 16.

    Args:
        memory: Bytes of the GPU.
        positions: Positions of a batch, padding included: sequences times length.
        shape: The model's.
    """
    size = positions / 1024 * (shape.num_hidden_layers * shape.hidden_size) / (12 * 1024)
    return max(1, min(MOST_AT_ONCE, int(memory / (GB_OF_A_BATCH * 1e9 * size))))


class Probe:
    """A frozen model whose masks alone have gradients.

    Args:
        model: The weights.
        dropout: Whether dropout is on.
        seed: The seed of dropout, whose pattern is a function of seed, language and batch number.
        language_index: The language's row.
        device: Where to compute.
        precision: `float32`, or `bfloat16` for matrix products (losses, norms and sums stay in float32).

    Attributes:
        sites: The prunable sites; n is the number of their neurons.
    """

    def __init__(
        self,
        model: Model,
        *,
        dropout: bool,
        seed: int,
        language_index: int = 0,
        device: torch.device,
        precision: str,
    ) -> None:
        if precision not in PRECISIONS:
            raise PolyticketError(
                f"precision {precision!r}", where="saliency_options", expected=" or ".join(PRECISIONS)
            )
        self.network = torch_model(model).requires_grad_(False).eval().to(device)
        self.sites = prunable_sites(model.shape)
        self.dropout, self.key = dropout, (seed, language_index)
        self.device, self.half = device, precision == "bfloat16"
        self.decoder: Tensor | None = None
        if self.half:  # once, and not anew for every batch
            self.decoder = self.network.bert.embeddings.word_embeddings.weight.bfloat16()
            for module in self.network.modules():
                if isinstance(module, nn.Linear):
                    module.bfloat16()

    def gradients(self, batches: Sequence[Batch], number: int) -> tuple[Array, Array, Array]:
        """First derivatives of each batch's loss, and the squares of its records'.

        Every record has masks of its own, so that one backward pass gives the gradient of its part of the batch's loss.

        Args:
            batches: G batches to compute together.
            number: The number of the first batch.

        Returns:
            The sums of the MLM and NSP losses, float64 [2]; gradients, float64 [G, n]; and, float64 [G, n], the sums
            over the B records of each batch of the squared gradients of B times the record's part of the loss.
        """
        return self.queued_gradients(batches, number)()

    def queued_gradients(self, batches: Sequence[Batch], number: int) -> Callable[[], tuple[Array, Array, Array]]:
        """Give a GPU the work of `gradients`, and return what waits for its result."""
        sizes = [len(batch["input_ids"]) for batch in batches]
        masks = self._masks(sum(sizes))
        mlm, nsp = self._losses(batches, masks, gate_of_ones, number, by_record=True)
        by_batch = _beside(torch.autograd.grad(mlm + nsp, list(masks.values()))).split(sizes)
        gradients = torch.stack([records.sum(0) for records in by_batch])
        squares = torch.stack([(len(records) * records).square().sum(0) for records in by_batch])
        copies = to_host(torch.stack([mlm, nsp]).detach().double(), gradients, squares)

        def wait() -> tuple[Array, Array, Array]:
            losses, gradients, squares = (copy.numpy() for copy in copies())
            return losses, gradients, squares

        return wait

    def products(self, batches: Sequence[Batch], number: int, direction: Array) -> Array:
        """Products of each batch's Hessian with a direction [n], by differentiating gradient · direction.

        Returns:
            float64 [G, n].
        """
        masks = self._masks(len(batches))
        mlm, nsp = self._losses(batches, masks, gate_by_product, number)
        gradients = torch.autograd.grad(mlm + nsp, list(masks.values()), create_graph=True)
        slices = torch.from_numpy(direction).to(self.device, torch.float32).split([site.size for site in self.sites])
        slope = torch.stack([(g * part).sum() for g, part in zip(gradients, slices, strict=True)]).sum()
        return _beside(torch.autograd.grad(slope, list(masks.values()))).cpu().numpy()

    def _masks(self, owners: int) -> dict[str, Tensor]:
        def ones(size: int) -> Tensor:
            shape = (size,) if owners == 1 else (owners, size)
            return torch.ones(shape, requires_grad=True, device=self.device)

        return {site.name: ones(site.size) for site in self.sites}

    def _losses(
        self, batches: Sequence[Batch], masks: dict[str, Tensor], gate: Gate, number: int, *, by_record: bool = False
    ) -> tuple[Tensor, Tensor]:
        keys = [(*self.key, number + place) for place in range(len(batches))]
        drop = Dropout(keys, on=self.dropout, device=self.device)
        forward = Forward(pack(batches, self.device, by_record=by_record), masks, gate, drop)
        with autocast(self.device, "bfloat16" if self.half else "float32"):
            return packed_losses(self.network, forward, decoder=self.decoder)


def _beside(vectors: Sequence[Tensor]) -> Tensor:
    """Vectors [size] or [G, size] of all sites side by side: float64 [G, n]."""
    return torch.cat([vector.reshape(-1, vector.shape[-1]) for vector in vectors], 1).double()
