"""The element-wise operations of a BERT, compiled: one pass over memory between two matrix products.

Every function is compiled with XLA whether or not the whole step is, forward and backward; products are left to the
libraries that are made for them. The backward pass computes the forward one again from its inputs: that costs less
than to store what lies between.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import tensorflow as tf

Function = Callable[..., Any]


def compiled(function: Function) -> Function:
    """Compile a function of tensors with XLA, except on a TPU, where the whole program is compiled in any case."""
    alone = tf.function(function, jit_compile=True, autograph=False)

    def call(*inputs: Any) -> Any:
        return function(*inputs) if is_tpu(tf.distribute.get_strategy()) else alone(*inputs)

    return call


def is_tpu(strategy: tf.distribute.Strategy) -> bool:
    """Whether a strategy computes on a TPU, where XLA compiles a step as a whole."""
    return isinstance(strategy, tf.distribute.TPUStrategy)


def fused(function: Function, trained: int) -> Function:
    """Compile a function of tensors, and its gradient.

    Args:
        function: Of tensors, to one tensor.
        trained: The number of inputs, the first ones, that get a gradient.
    """
    forward = compiled(function)

    @compiled
    def backward(upstream: tf.Tensor, *inputs: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs[:trained])
            result = function(*inputs)
        return tape.gradient(result, inputs[:trained], upstream)

    @tf.custom_gradient
    def call(*inputs: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], list[tf.Tensor | None]]]:
        def gradient(upstream: tf.Tensor) -> list[tf.Tensor | None]:
            return [*backward(upstream, *inputs), *[None] * (len(inputs) - trained)]

        return forward(*inputs), gradient

    return call


def dropped(x: tf.Tensor, rate: float, seed: tf.Tensor) -> tf.Tensor:
    """Dropout by a hash of the seed and of each element's place: zero a share `rate`, scale the rest by 1/(1 - rate).

    24 bits of the hash decide for each element.

    Args:
        x: Of static shape.
        rate: From 0 to 1; at 0 nothing is done.
        seed: int32 [2].
    """
    if not rate:
        return x
    bits = tf.bitcast(tf.range(x.shape.num_elements(), dtype=tf.int32), tf.uint32)
    for key in tf.unstack(tf.bitcast(seed, tf.uint32)):
        bits = _scrambled(tf.bitwise.bitwise_xor(bits, key))
    bits = tf.bitcast(tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32)), tf.int32)
    kept = tf.reshape(bits, x.shape) >= round(rate * 2**24)
    return tf.where(kept, x * tf.cast(1 / (1 - rate), x.dtype), tf.zeros([], x.dtype))


def _scrambled(x: tf.Tensor) -> tf.Tensor:
    """A one-to-one map of uint32 in which every bit of x changes about half of the bits."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, tf.constant(shift, tf.uint32)))
        x *= tf.constant(factor, tf.uint32)
    return tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, tf.constant(16, tf.uint32)))


@cache
def norm(epsilon: float, rate: float) -> Function:
    """LayerNorm (gamma, beta) of a residual [.., H] and dropped-out x [.., H]: f(x, residual, gamma, beta, seed)."""

    def compute(x: tf.Tensor, residual: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        wide = tf.cast(residual, tf.float32) + tf.cast(dropped(x, rate, seed), tf.float32)
        return tf.cast(normalised(wide, gamma, beta, epsilon), x.dtype)

    return fused(compute, 4)


def normalised(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float) -> tf.Tensor:
    """LayerNorm over the last axis, float32."""
    centred = x - tf.reduce_mean(x, -1, keepdims=True)
    scale = tf.math.rsqrt(tf.reduce_mean(tf.square(centred), -1, keepdims=True) + epsilon)
    return centred * scale * gamma + beta


@cache
def embedding_norm(epsilon: float, rate: float, dtype: str) -> Function:
    """LayerNorm of embeddings, then dropout: f(x, gamma, beta, seed), float32 to `dtype`."""

    def compute(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return dropped(tf.cast(normalised(x, gamma, beta, epsilon), dtype), rate, seed)

    return fused(compute, 3)


@cache
def biased_gelu(approximate: bool) -> Function:
    """GELU of x + bias: f(x [.., N], bias [N])."""

    def compute(x: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        return tf.nn.gelu(x + tf.cast(bias, x.dtype), approximate=approximate)

    return fused(compute, 2)


@cache
def attention_weights(rate: float) -> Function:
    """Softmax in float32, then dropout: f(scores [B, h, T, T], bias [B, 1, 1, T], seed)."""

    def compute(scores: tf.Tensor, bias: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        weights = tf.nn.softmax(tf.cast(scores, tf.float32) + bias)
        return dropped(tf.cast(weights, scores.dtype), rate, seed)

    return fused(compute, 1)


@tf.custom_gradient
def cross_entropy(
    states: tf.Tensor, classes: tf.Tensor, bias: tf.Tensor, labels: tf.Tensor
) -> tuple[tf.Tensor, Callable[..., tuple[tf.Tensor, tf.Tensor, tf.Tensor, None]]]:
    """Minus the log of the softmax of `states` · `classes`ᵀ + `bias` at labels, float32 [N]; NaN beyond C.

    A large matrix of classes comes first in all its products, which need not turn it round then.

    Args:
        states: [N, H].
        classes: [C, H].
        bias: float32 [C].
        labels: int [N].
    """
    scores = tf.matmul(classes, states, transpose_b=True)  # [C, N]
    losses, normaliser = _cross_entropy(scores, bias, labels)

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, None]:
        found = _cross_entropy_gradient(upstream, scores, bias, labels, normaliser)
        of_states = tf.matmul(found, classes, transpose_a=True)
        return of_states, tf.matmul(found, states), tf.reduce_sum(tf.cast(found, tf.float32), 1), None

    return losses, gradient


@compiled
def _cross_entropy(scores: tf.Tensor, bias: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The losses, and the logs of the sums of exponentials, of scores [C, N] without bias."""
    logits = tf.cast(scores, tf.float32) + bias[:, None]
    largest = tf.reduce_max(logits, 0)
    normaliser = tf.math.log(tf.reduce_sum(tf.exp(logits - largest), 0)) + largest
    chosen = tf.gather_nd(logits, tf.stack([labels, tf.range(labels.shape[0], dtype=labels.dtype)], 1))
    return tf.where(labels < scores.shape[0], normaliser - chosen, math.nan), normaliser


@compiled
def _cross_entropy_gradient(
    upstream: tf.Tensor, scores: tf.Tensor, bias: tf.Tensor, labels: tf.Tensor, normaliser: tf.Tensor
) -> tf.Tensor:
    """Of the scores."""
    chosen = tf.range(scores.shape[0], dtype=labels.dtype)[:, None] == labels
    logits = tf.cast(scores, tf.float32) + bias[:, None]
    found = (tf.exp(logits - normaliser) - tf.cast(chosen, tf.float32)) * upstream
    return tf.cast(found, scores.dtype)
