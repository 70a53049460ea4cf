"""Dropout whose pattern is a function of seed and batch."""

import numpy as np
import torch
from torch import Tensor

LEVELS = 2**16


class Dropout:
    """Sets entries to zero at a rate and scales the others up, so that the mean stays.

    On a CPU the pattern is drawn from NumPy's SFC64: PyTorch's own draws one number at a time and takes a tenth of a
    whole pass. The rate is rounded to 1/65536, and so is the scale.

    Args:
        seed: Of the run.
        number: Of the batch.
        on: Whether anything falls out.
        device: Where the tensors are.
    """

    def __init__(self, seed: int, number: int, *, on: bool, device: torch.device) -> None:
        self.on, sequence = on, np.random.SeedSequence([seed, number])
        self.random = np.random.Generator(np.random.SFC64(sequence))
        self.own = torch.Generator(device) if on and device.type != "cpu" else None
        if self.own is not None:
            self.own.manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> 1))

    def __call__(self, x: Tensor, rate: float) -> Tensor:
        """Give x with entries out at the rate, itself if none fall out."""
        lost = round(rate * LEVELS)
        if not self.on or lost == 0:
            return x
        return x * (self._kept(x, lost) * (LEVELS / (LEVELS - lost)))

    def _kept(self, x: Tensor, lost: int) -> Tensor:
        if self.own is not None:
            drawn = torch.randint(LEVELS, x.shape, device=x.device, dtype=torch.int32, generator=self.own)
            return (drawn >= lost).to(x.dtype)
        bits = np.frombuffer(self.random.bytes(2 * x.numel()), np.uint16).reshape(x.shape)
        return torch.from_numpy(bits >= lost).to(x.dtype)
