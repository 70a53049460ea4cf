"""Dropout whose pattern is a function of seed, language and batch, whatever is computed beside the batch."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

LEVELS = 2**16
Stream = np.random.Generator | torch.Generator
Pieces = Sequence[tuple[int, ...]]


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

    def __call__(self, x: Tensor, rate: float, pieces: Pieces) -> Tensor:
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
