"""PyTorch in all stages: its settings, and copies between CPU and GPU that neither waits for.

It is deterministic, has a given number of threads, and computes on a GPU if there is one.
"""

import os
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from polyticket.core.processes import limit_tokenizers
from polyticket.core.processor import warn_of_bfloat16


def prepare_torch(threads: int) -> torch.device:
    """Make PyTorch deterministic and choose where to compute.

    Args:
        threads: Compute threads. They are part of the arithmetic: the same number gives the same bytes.

    Returns:
        The first GPU, or the CPU.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what deterministic algorithms ask for on a GPU
    limit_tokenizers(threads)
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("highest")  # float32 means float32, whatever was set before
    torch.set_deterministic_debug_mode("error")  # the usual call would import PyTorch's compiler, which takes a second
    # filling guards against reads of uninitialised memory, of which there are none, and takes a tenth of the time
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def precision_of(device: torch.device, precision: str) -> str:
    """What `auto` means on a device: `bfloat16` on a GPU that has it, else `float32`; others are as they are.

    A warning says what bfloat16 costs on a processor that is not made for it.
    """
    if precision == "bfloat16" and device.type == "cpu":
        warn_of_bfloat16()
    if precision != "auto":
        return precision
    able = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if able else "float32"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The precision of matrix products, as a context.

    Args:
        device: Where they are computed.
        precision: `float32`, `bfloat16`, or `auto`, see `precision_of`. Weights stay float32.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision_of(device, precision) == "bfloat16")


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A CPU tensor on a device. A GPU copies it from pinned memory while the program goes on."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def to_host(*tensors: Tensor) -> Callable[[], Sequence[Tensor]]:
    """Copy tensors to the CPU once a GPU has computed them, while the program goes on.

    Returns:
        A function that waits for these copies, but not for work that was given to the GPU later, and returns them.
    """
    if tensors[0].device.type != "cuda":
        return lambda: tensors
    copies = [tensor.to("cpu", non_blocking=True) for tensor in tensors]
    copied = torch.cuda.Event()
    copied.record()

    def wait() -> Sequence[Tensor]:
        copied.synchronize()
        return copies

    return wait
