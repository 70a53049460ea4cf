"""Packages, stack, processor and devices of this machine."""

import os
from collections.abc import Container

from polyticket.core.processor import cores, name, usable
from polyticket.core.provenance import versions

STACKS = {"tensorflow-cpu": "cpu", "tensorflow": "gpu", "tensorflow-tpu": "tpu"}
"""The distribution that provides TensorFlow to the stack that it belongs to, as `make install STACK=…` names it."""

PACKAGES = ("numpy", "torch", *STACKS, "transformers", "tokenizers", "datasets", "snakemake")


def installation() -> list[str]:
    """Lines that name the versions of Python and of `PACKAGES`, the stack, the processor, and the devices found."""
    found = versions(PACKAGES)
    packages = [f"{package} {version}" for package, version in found.items() if package != "polyticket"]
    machine = f"processor: {name()}, {usable()}, {cores()} cores"
    return [*packages, f"stack: {stack(found)}", machine, *_torch_devices(), *_tensorflow_devices()]


def stack(installed: Container[str]) -> str:
    """The stack that distributions belong to, by the one that provides TensorFlow.

    `none` without TensorFlow, and several names where several provide it, which overwrite each other's files.
    """
    return " and ".join(stack for package, stack in STACKS.items() if package in installed) or "none"


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
