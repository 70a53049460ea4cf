"""Sums per language on the device, taken by the host at every save point."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from polyticket.conflict.sketch import Projection, Tensors


class Taken(NamedTuple):
    """What was summed per language.

    Attributes:
        sums: float32 [L, size].
        steps: int64 [L], how many parts of steps these are of.
    """

    sums: NDArray[np.float32]
    steps: NDArray[np.int64]


class Accumulator:
    """What every language's steps add up to, projected.

    Create it where variables live (`strategy.scope()`).

    Args:
        projection: From matrices to a vector of `size` values.
        languages: L.
        jit: Compile the projection with XLA: GPUs have no other kernels for the hash of a sketch.

    Attributes:
        names: The matrices that are read.
        sums: float32 [L, size].
        steps: int64 [L], how many parts of steps these are of.
    """

    def __init__(self, projection: Projection, languages: int, *, jit: bool = False) -> None:
        self.projection, self.languages, self.names = projection, languages, projection.names
        self._project = tf.function(projection.vector, jit_compile=True) if jit else projection.vector
        self.sums = _variable((languages, projection.size), tf.float32)
        self.steps = _variable((languages,), tf.int64)

    def vector(self, tensors: Tensors) -> tf.Tensor:
        """The projection of tensors by name, float32 [size]; those that were not chosen are ignored."""
        return self._project({name: tensors[name] for name in self.names})

    def add(self, languages: tf.Tensor, vectors: tf.Tensor) -> None:
        """Add the parts of a step, inside or outside a compiled function.

        Args:
            languages: The row of each part's language, int32 [parts]; what is of row -1 is left out.
            vectors: From `vector`, float32 [parts, size].
        """
        # whole rows of zeros in place of a scatter, whose order of additions GPUs leave open
        rows = tf.one_hot(languages, self.languages)
        parts = zip(tf.unstack(rows), tf.unstack(vectors), strict=True)
        self.sums.assign_add(tf.add_n([row[:, None] * vector[None, :] for row, vector in parts]))
        self.steps.assign_add(tf.cast(tf.reduce_sum(rows, 0), tf.int64))

    def add_shared(self, languages: tf.Tensor, vector: tf.Tensor) -> None:
        """Add a vector of a whole step, in equal shares to its parts; arguments as for `add`, but of float32 [size]."""
        rows = tf.one_hot(languages, self.languages)
        self.sums.assign_add(tf.reduce_mean(rows, 0)[:, None] * vector[None, :])
        self.steps.assign_add(tf.cast(tf.reduce_sum(rows, 0), tf.int64))

    def take(self) -> Taken:
        """Read the sums, and begin again from zero; outside compiled functions."""
        found = Taken(np.array(self.sums.numpy()), np.array(self.steps.numpy()))
        self.load(np.zeros_like(found.sums), np.zeros_like(found.steps))
        return found

    def load(self, sums: NDArray[np.float32], steps: NDArray[np.int64]) -> None:
        """Take over sums [L, size] and steps [L]."""
        self.sums.assign(sums)
        self.steps.assign(steps)


class StepSums(NamedTuple):
    """The sums that every step adds to.

    Attributes:
        updates: What the steps of each language changed.
        own: The part of these changes that is the language's own; between steps, the gradients of frozen weights too.
    """

    updates: Accumulator
    own: Accumulator


def step_sums(projection: Projection, languages: int, *, own: Projection | None = None, jit: bool = False) -> StepSums:
    """Sums at zero; arguments as for `Accumulator`, `own` being the projection of own parts if it is another."""
    return StepSums(*(Accumulator(one, languages, jit=jit) for one in (projection, own or projection)))


def _variable(shape: tuple[int, ...], dtype: tf.DType) -> tf.Variable:
    return tf.Variable(tf.zeros(shape, dtype), trainable=False, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
