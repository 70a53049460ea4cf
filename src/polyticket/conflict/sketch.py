"""Sums of updates and gradients per language on the device: exact, or as a sketch of fixed size."""

import hashlib
from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from polyticket.conflict.cosines import Units, chosen_matrices
from polyticket.conflict.settings import Settings, require_prime
from polyticket.model.shape import BertShape

SIGN = 0x80000000
# shifts and factors of MurmurHash3's 32-bit finaliser (Appleby, public domain)
ROUNDS = ((16, 0x85EBCA6B), (13, 0xC2B2AE35))
LAST_SHIFT = 16


class Key(NamedTuple):
    """What is random about one matrix: entry i has the top bit of mix(i · factor ⊕ mask) and bucket start + i mod S."""

    factor: int
    mask: int
    start: int


def key_of(matrix: str, width: int, seed: int) -> Key:
    """The key of a matrix by its name, for a sketch of `width` buckets."""
    found = hashlib.sha256(f"{seed}\t{width}\t{matrix}".encode()).digest()
    factor, mask, start = (int.from_bytes(found[at : at + size], "little") for at, size in ((0, 4), (4, 4), (8, 8)))
    return Key(factor | 1, mask, start % width)


def signs(key: Key, size: int) -> NDArray[np.float32]:
    """The signs of a matrix's entries in row-major order: float32 [size] of 1 and -1."""
    mixed = np.arange(size, dtype=np.uint32) * np.uint32(key.factor) ^ np.uint32(key.mask)
    for shift, factor in ROUNDS:
        mixed = (mixed ^ (mixed >> np.uint32(shift))) * np.uint32(factor)
    mixed ^= mixed >> np.uint32(LAST_SHIFT)
    return np.where(mixed & np.uint32(SIGN), np.float32(-1), np.float32(1))


def sketched(matrices: Mapping[str, NDArray[np.floating]], width: int, seed: int) -> NDArray[np.float64]:
    """What `polyticket.conflict.sketch.Sketch` computes, in NumPy and double precision: float64 [width]."""
    found = np.zeros(width)
    for name, array in matrices.items():
        key = key_of(name, width, seed)
        padded = np.zeros(-(-(key.start + array.size) // width) * width)
        padded[key.start : key.start + array.size] = array.ravel() * signs(key, array.size)
        found += padded.reshape(-1, width).sum(0)
    return found


Tensors = Mapping[str, tf.Tensor]


class Projection(Protocol):
    """A linear map from matrices by name to a vector.

    Attributes:
        names: The matrices, in order.
        size: Entries of the vector.
        about: What decides it, as JSON.
    """

    names: tuple[str, ...]
    size: int
    about: dict[str, Any]

    def vector(self, tensors: Tensors) -> tf.Tensor:
        """The vector, float32 [size]; tensors that were not chosen are ignored."""
        ...


def projection_of(settings: Settings, shape: BertShape, seed: int, units: Units | None = None) -> Projection:
    """The projection that the configuration asks for; its mode is `sketch` or `exact`.

    Args:
        settings: The configuration's.
        shape: The model's.
        seed: Decides signs.
        units: Those whose sums a sketch is to have too; exact vectors hold all of it anyhow.

    Raises:
        PolyticketError: The model has no such layer or matrix, or the width is no prime.
    """
    matrices = chosen_matrices(shape, settings)
    return Exact(matrices) if settings.mode == "exact" else Sketch(matrices, settings.width, seed, units)


class Exact:
    """All entries of the matrices, one matrix after the other.

    Args:
        matrices: Name to shape.
    """

    def __init__(self, matrices: Mapping[str, tuple[int, ...]]) -> None:
        self.names = tuple(matrices)
        self.size = sum(map(prod, matrices.values()))
        self.about: dict[str, Any] = {"mode": "exact", "width": self.size, "seed": None, "matrices": list(matrices)}

    def vector(self, tensors: Tensors) -> tf.Tensor:
        """The entries, float32 [size]."""
        return tf.concat([_flat(tensors[name]) for name in self.names], 0)


class Sketch:
    """A count sketch (Charikar, Chen & Farach-Colton 2002) whose buckets are strides.

    y[b] = Σ ±x[i] over the entries with start + i ≡ b (mod S), the signs and each matrix's start being random. Then
    E⟨y, y'⟩ = ⟨x, x'⟩ for every x and x', and a cosine c is met with a standard deviation of about (1 − c²)/√S.
    S is a prime, so that the entries of one row or one column of a matrix fall into different buckets.

    There is no table of signs and no scatter: a hash of the position, a sum over an axis, and static shapes.

    Args:
        matrices: Name to shape.
        width: S, the number of buckets.
        seed: Decides signs and starts.
        units: Columns or rows whose sums, with the same signs, follow the S values: a sum's square is on average the
            squared length of its unit.

    Raises:
        PolyticketError: The width is no prime.
    """

    def __init__(
        self, matrices: Mapping[str, tuple[int, ...]], width: int, seed: int, units: Units | None = None
    ) -> None:
        require_prime(width)
        self.names, self.width, self.units = tuple(matrices), width, units
        self.size = width + (units.size if units else 0)
        self.keys = {name: key_of(name, width, seed) for name in matrices}
        self.about: dict[str, Any] = {"mode": "sketch", "width": width, "seed": seed, "matrices": list(matrices)}

    def vector(self, tensors: Tensors) -> tf.Tensor:
        """The sketch of all matrices together and the sums of units, float32 [size]."""
        signed = {name: _signed(tensors[name], key) for name, key in self.keys.items()}
        found = tf.add_n([self._folded(signed[name], key) for name, key in self.keys.items()])
        if self.units is None:
            return found
        axes = self.units.axes.items()
        return tf.concat([found, *(_unit_sums(signed[name], tensors[name].shape, axis) for name, axis in axes)], 0)

    def _folded(self, signed: tf.Tensor, key: Key) -> tf.Tensor:
        padded = tf.pad(signed, [[key.start, -(key.start + signed.shape[0]) % self.width]])
        return tf.reduce_sum(tf.reshape(padded, [-1, self.width]), 0)


def _flat(tensor: tf.Tensor) -> tf.Tensor:
    return tf.reshape(tf.cast(tensor, tf.float32), [-1])


def _signed(tensor: tf.Tensor, key: Key) -> tf.Tensor:
    """The entries with their random signs, float32 [size]."""
    flat = _flat(tensor)
    signed = tf.bitcast(flat, tf.uint32) ^ (_mixed(key, flat.shape[0]) & tf.constant(SIGN, tf.uint32))
    return tf.bitcast(signed, tf.float32)


def _unit_sums(signed: tf.Tensor, shape: tf.TensorShape, axis: int) -> tf.Tensor:
    return tf.reduce_sum(tf.reshape(signed, shape), 1 - axis)


def _mixed(key: Key, size: int) -> tf.Tensor:
    """The hash whose top bits are the signs, uint32 [size]."""
    mixed = tf.cast(tf.range(size), tf.uint32) * tf.constant(key.factor, tf.uint32) ^ tf.constant(key.mask, tf.uint32)
    for shift, factor in ROUNDS:
        mixed = (mixed ^ _shifted(mixed, shift)) * tf.constant(factor, tf.uint32)
    return mixed ^ _shifted(mixed, LAST_SHIFT)


def _shifted(mixed: tf.Tensor, by: int) -> tf.Tensor:
    return tf.bitwise.right_shift(mixed, tf.constant(by, tf.uint32))


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
        """Add the language batches of a step, inside or outside a compiled function.

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
