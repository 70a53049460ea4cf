"""A PyTorch module under a mask: applying, keeping and rewinding."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from polyticket.core.errors import PolyticketError
from polyticket.model.torch_setup import to_device
from polyticket.pruning.prunable import POOLER
from polyticket.tickets.masks import Masks


class Masked:
    """Keeps the pruned weights of a module at zero; made by `apply_masks`.

    A weight that is zero whenever the module computes is masked: W ⊙ m = W. The module itself is therefore not changed,
    and `after_step` sets pruned weights back to zero after each step of the optimizer. The optimizer's moments of
    pruned weights do not matter: they act on these weights alone.

    A norm over all gradients does depend on pruned weights. With `mask_gradients` before gradients are clipped, they
    contribute nothing, as with W ⊙ m in the forward pass. Adam and SGD, whose moments start at zero, then leave zeros
    at zero, and `after_step` is not needed.

    On a CPU masks are uint8 tensors, which multiply as fast as float32 with a quarter of the memory. On a GPU they have
    the type of the weights, so that one call multiplies all matrices. Matrices that keep all weights cost nothing.

    Attributes:
        names: The parameters that are masked.
    """

    def __init__(self, chosen: Mapping[str, tuple[nn.Parameter, Tensor]]) -> None:
        self.names = tuple(chosen)
        self._pairs = [(p, _beside(mask, p)) for p, mask in chosen.values() if not bool(mask.all())]

    @torch.no_grad()
    def after_step(self) -> None:
        """Set the pruned weights to 0, in place. Call it after each step of the optimizer."""
        _multiply([(parameter.data, mask) for parameter, mask in self._pairs])

    @torch.no_grad()
    def mask_gradients(self) -> None:
        """Set the gradients of the pruned weights to 0, in place. Call it before gradients are clipped."""
        _multiply([(parameter.grad, mask) for parameter, mask in self._pairs if parameter.grad is not None])


def _beside(mask: Tensor, parameter: nn.Parameter) -> Tensor:
    """A mask on the device of its parameter; on a GPU as its type."""
    return to_device(mask, parameter.device).to(parameter.dtype) if parameter.is_cuda else mask


def _multiply(pairs: Sequence[tuple[Tensor, Tensor]]) -> None:
    """Multiply tensors by masks in place; in one call where each pair has one type."""
    if pairs and all(tensor.dtype == mask.dtype for tensor, mask in pairs):
        torch._foreach_mul_([tensor for tensor, _ in pairs], [mask for _, mask in pairs])
        return
    for tensor, mask in pairs:
        tensor.mul_(mask)


def apply_masks(module: nn.Module, masks: Masks, row: int = 0) -> Masked:
    """Set the pruned weights of a module to 0, in place.

    Args:
        module: On the device where it stays.
        masks: Name of a weight in the module to bool [L, out, in]. A pooler's mask is ignored if the module has no
            pooler.
        row: The row that is applied.

    Returns:
        The object that keeps the pruned weights at 0 in training.

    Raises:
        PolyticketError: The module lacks such a parameter or has another shape; names it.
    """
    parameters, chosen = _parameters(module), {}
    for name, shape in masks.shapes.items():
        if name not in parameters and name.endswith(POOLER):
            continue
        if name not in parameters or parameters[name].shape != shape:
            problem = f"has shape {list(parameters[name].shape)}" if name in parameters else "is no parameter"
            raise PolyticketError(f"{name} {problem}", where="model", expected=f"float32 {list(shape)}")
        mask = torch.from_numpy(masks[name][row].view(np.uint8))
        chosen[name] = (parameters[name], mask)
    masked = Masked(chosen)
    masked.after_step()
    return masked


def snapshot(module: nn.Module, names: Iterable[str] | None = None) -> dict[str, Tensor]:
    """A copy of parameters in storage of its own, so that training does not change it.

    Args:
        module: The module.
        names: Names of parameters; None copies all.

    Raises:
        PolyticketError: The module lacks one.
    """
    parameters = _parameters(module)
    chosen = [name for name, _ in module.named_parameters()] if names is None else list(names)
    if missing := [name for name in chosen if name not in parameters]:
        raise PolyticketError(f"no parameter {missing[0]}", where="model", expected="names of its parameters")
    return {name: parameters[name].detach().clone() for name in chosen}


@torch.no_grad()
def rewind_(module: nn.Module, saved: Mapping[str, Tensor]) -> None:
    """Set parameters to the values of a snapshot, in place. Call `apply_masks` afterwards to prune them again.

    Raises:
        PolyticketError: The module lacks one of them, or has another shape.
    """
    parameters = _parameters(module)
    for name, values in saved.items():
        if name not in parameters or parameters[name].shape != values.shape:
            raise PolyticketError(f"{name} cannot be rewound", where="model", expected=f"one of {list(values.shape)}")
    for name, values in saved.items():
        parameters[name].copy_(values)


def _parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    return dict(module.named_parameters(remove_duplicate=False))
