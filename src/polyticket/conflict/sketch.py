"""From the weight matrices of a step to one vector: all of their entries, or a sketch of fixed size."""

from collections.abc import Mapping
from math import prod
from typing import Any, Protocol

import tensorflow as tf

from polyticket.conflict.matrices import chosen_matrices
from polyticket.conflict.settings import Settings, require_prime
from polyticket.conflict.signs import LAST_SHIFT, ROUNDS, SIGN, Key, key_of
from polyticket.conflict.units import Units
from polyticket.model.shape import BertShape

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
