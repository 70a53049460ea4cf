"""Tensors of files that NumPy cannot read: half precision, and PyTorch's own files."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polyticket.errors import PolyticketError


def load_tensors(path: Path) -> dict[str, NDArray[np.float32]]:
    """Read a safetensors file or a `pytorch_model.bin` as float32 arrays; PyTorch is imported for it.

    Raises:
        PolyticketError: It is no such file, or holds more than tensors.
    """
    import torch
    from safetensors.torch import load_file

    try:
        found = torch.load(path, map_location="cpu", weights_only=True) if path.suffix == ".bin" else load_file(path)
        return {name: tensor.float().numpy() for name, tensor in found.items() if isinstance(tensor, torch.Tensor)}
    except Exception as error:
        raise PolyticketError(f"no tensors: {error}", where=path, expected="weights of a model") from error
