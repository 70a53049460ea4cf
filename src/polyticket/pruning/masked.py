"""A PyTorch module under a mask, and its rewinding."""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from polyticket.core.errors import PolyticketError
from polyticket.pruning.prunable import POOLER
from polyticket.tickets.masks import Masks


class Masked:
    """What holds a module's pruned weights at zero; made by `apply_`.

    A weight that is zero whenever the module computes is a weight that is masked: W ⊙ m = W. So the module itself is
    left as it is, and what an optimiser did to pruned weights is undone after each of its steps. Its moments of pruned
    weights do not matter: they are used for these weights alone, whose steps are undone.

    What does see them is a norm over all gradients. With `mask_gradients` before it is clipped, pruned weights count
    nothing there, as with W ⊙ m in the forward; then Adam and SGD, which start with moments of zero, leave zero at
    zero by themselves, and `after_step` is not needed.

    Masks are uint8 tensors, a byte a weight, which on a CPU multiply as fast as float32 does at a quarter of the
    memory; matrices that keep all cost nothing.

    Attributes:
        names: The parameters that are masked.
    """

    def __init__(self, chosen: Mapping[str, tuple[nn.Parameter, Tensor]]) -> None:
        self.names = tuple(chosen)
        self._pairs = [(parameter, mask) for parameter, mask in chosen.values() if not bool(mask.all())]

    @torch.no_grad()
    def after_step(self) -> None:
        """Set the pruned weights to 0, in place; call it after each step of the optimiser."""
        for parameter, mask in self._pairs:
            parameter.mul_(mask)

    @torch.no_grad()
    def mask_gradients(self) -> None:
        """Set the gradients of the pruned weights to 0, in place; call it before gradients are clipped."""
        for parameter, mask in self._pairs:
            if parameter.grad is not None:
                parameter.grad.mul_(mask)


def apply_(module: nn.Module, masks: Masks, row: int = 0) -> Masked:
    """Set the pruned weights of a module to 0, in place.

    Args:
        module: On the device where it stays.
        masks: Weight, by its name in the module, to bool [L, out, in]. A pooler's is left out for a module without one.
        row: Which row.

    Returns:
        What keeps them at 0 in training.

    Raises:
        PolyticketError: The module lacks such a parameter or has another shape; names it.
    """
    parameters, chosen = _parameters(module), {}
    for name, shape in masks.shapes.items():
        if name not in parameters and name.endswith(POOLER):
            continue
        if name not in parameters or parameters[name].shape != shape:
            said = f"has shape {list(parameters[name].shape)}" if name in parameters else "is no parameter"
            raise PolyticketError(f"{name} {said}", where="model", expected=f"float32 {list(shape)}")
        mask = torch.from_numpy(masks[name][row].view(np.uint8))
        chosen[name] = (parameters[name], mask.to(parameters[name].device))
    masked = Masked(chosen)
    masked.after_step()
    return masked


def snapshot(module: nn.Module, names: Iterable[str] | None = None) -> dict[str, Tensor]:
    """A copy of parameters as they are now: in storage of its own, so that training does not reach it.

    Args:
        module: The module.
        names: Which parameters; all if None.

    Raises:
        PolyticketError: The module lacks one.
    """
    parameters = _parameters(module)
    chosen = [name for name, _ in module.named_parameters()] if names is None else list(names)
    if lost := [name for name in chosen if name not in parameters]:
        raise PolyticketError(f"no parameter {lost[0]}", where="model", expected="names of its parameters")
    return {name: parameters[name].detach().clone() for name in chosen}


@torch.no_grad()
def rewind_(module: nn.Module, saved: Mapping[str, Tensor]) -> None:
    """Give parameters the values of a snapshot, in place; `apply_` then prunes them again.

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
