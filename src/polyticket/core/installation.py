"""Packages, processor and devices of this machine."""

import os

from polyticket.core.processor import cores, name, usable
from polyticket.core.provenance import versions

PACKAGES = ("numpy", "torch", "tensorflow", "tensorflow-cpu", "transformers", "tokenizers", "datasets", "snakemake")


def installation() -> list[str]:
    """Lines that name the versions of Python and of `PACKAGES`, the processor, and each framework's devices."""
    packages = [f"{package} {version}" for package, version in versions(PACKAGES).items() if package != "polyticket"]
    return [*packages, f"processor: {name()}, {usable()}, {cores()} cores", *_torch_devices(), *_tensorflow_devices()]


def _torch_devices() -> list[str]:
    try:
        import torch
    except ModuleNotFoundError:
        return ["PyTorch: not installed"]
    devices = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return [f"PyTorch devices: {', '.join(['CPU', *devices])}"]


def _tensorflow_devices() -> list[str]:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # it describes the processor on the screen otherwise
    try:
        import tensorflow as tf
    except ModuleNotFoundError:
        return ["TensorFlow: not installed"]
    devices = [device.name.removeprefix("/physical_device:") for device in tf.config.list_physical_devices()]
    return [f"TensorFlow devices: {', '.join(devices)}"]
