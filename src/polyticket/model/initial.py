"""Random initial weights."""

import hashlib

import numpy as np

from polyticket.model.folder import Model
from polyticket.model.shape import BertShape, weight_entries


def initial_model(shape: BertShape, seed: int) -> Model:
    """A random BERT as the original initialises it.

    Matrices and embeddings are normal with standard deviation `initializer_range`, redrawn beyond two deviations;
    biases and LayerNorm shifts are 0, LayerNorm gains 1. Each tensor has its own stream, keyed by seed and name,
    so it does not depend on the other tensors.
    """
    weights = {}
    for entry in weight_entries(shape):
        if entry.torch.endswith("LayerNorm.weight"):
            array = np.ones(entry.torch_shape, np.float32)
        elif entry.torch.endswith("bias"):
            array = np.zeros(entry.torch_shape, np.float32)
        else:
            array = truncated_normal(_stream(seed, entry.torch), entry.torch_shape, shape.initializer_range)
        weights[entry.torch] = array
    return Model(shape, weights)


def truncated_normal(random: np.random.Generator, shape: tuple[int, ...], deviation: float) -> np.ndarray:
    """Normal float32 values of mean 0, those beyond two deviations drawn again."""
    values = random.standard_normal(int(np.prod(shape)), dtype=np.float32)
    while (outside := np.flatnonzero(np.abs(values) > 2)).size:
        values[outside] = random.standard_normal(outside.size, dtype=np.float32)
    return (values * np.float32(deviation)).reshape(shape)


def _stream(seed: int, name: str) -> np.random.Generator:
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, *np.frombuffer(digest, np.uint32)])))
