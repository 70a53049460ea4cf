"""Tensors of files that NumPy cannot read: half precision, and PyTorch's own files."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyticket.errors import PolyticketError


def load_tensors(path: Path) -> dict[str, NDArray[np.float32]]:
    """Read a safetensors file or a `pytorch_model.bin` as float32 arrays; PyTorch is imported for it.

    Raises:
        PolyticketError: It is no such file, or holds more than tensors.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found = unpickled(path) if path.suffix == ".bin" else load_file(path)
    except (OSError, SafetensorError) as error:
        raise PolyticketError(f"no tensors: {error}", where=path, expected="weights of a model") from error
    return {name: tensor.float().numpy() for name, tensor in found.items() if isinstance(tensor, torch.Tensor)}


def unpickled(path: Path) -> dict[str, Any]:
    """Read a file of `torch.save` whose content is tensors by name; nothing else is unpickled, so no code can run.

    Raises:
        PolyticketError: It is no such file.
    """
    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        line = next(iter(str(error).splitlines()), type(error).__name__)
        raise PolyticketError(f"cannot be read: {line}", where=path, expected="tensors of PyTorch") from error
    if not isinstance(found, dict) or not found:
        raise PolyticketError("holds no tensors by name", where=path, expected="a dictionary of tensors")
    return found
