"""The element-wise operations of a BERT, compiled: one pass over memory between two matrix products.

Every function is compiled with XLA whether or not the whole step is, forward and backward; products are left to the
libraries that are made for them. What costs more to compute again than to read is kept for the backward pass.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import tensorflow as tf

Function = Callable[..., Any]
Found = tuple[tf.Tensor, ...]
Kept = tuple[tf.Tensor, Found]


def compiled(function: Function) -> Function:
    """Compile a function of tensors with XLA, except on a TPU, where the whole program is compiled in any case."""
    alone = tf.function(function, jit_compile=True, autograph=False)

    def call(*inputs: Any) -> Any:
        return function(*inputs) if is_tpu(tf.distribute.get_strategy()) else alone(*inputs)

    return call


def is_tpu(strategy: tf.distribute.Strategy) -> bool:
    """Whether a strategy computes on a TPU, where XLA compiles a step as a whole."""
    return isinstance(strategy, tf.distribute.TPUStrategy)


def fused(forward: Function, backward: Function, again: Sequence[int] = ()) -> Function:
    """Compile a function of tensors, and its gradient.

    Args:
        forward: Of tensors, to one tensor and a tuple of what the backward pass keeps of the computation.
        backward: Of the upstream gradient, the inputs `again` and what was kept, to the gradients of the first inputs;
            the others get none.
        again: The inputs that the backward pass needs. An input among the results would be copied.
    """
    ahead, back = compiled(forward), compiled(backward)

    @tf.custom_gradient
    def call(*inputs: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], list[tf.Tensor | None]]]:
        result, kept = ahead(*inputs)

        def gradient(upstream: tf.Tensor) -> list[tf.Tensor | None]:
            found = back(upstream, *(inputs[number] for number in again), *kept)
            return [*found, *[None] * (len(inputs) - len(found))]

        return result, gradient

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

    def forward(x: tf.Tensor, residual: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, seed: tf.Tensor) -> Kept:
        wide = tf.cast(residual, tf.float32) + tf.cast(dropped(x, rate, seed), tf.float32)
        normal, scale = normalised(wide, epsilon)
        return tf.cast(normal * gamma + beta, x.dtype), (tf.cast(normal, x.dtype), scale)

    def backward(upstream: tf.Tensor, gamma: tf.Tensor, seed: tf.Tensor, normal: tf.Tensor, scale: tf.Tensor) -> Found:
        of_wide, *rest = normalised_gradients(upstream, normal, scale, gamma)
        of_wide = tf.cast(of_wide, upstream.dtype)
        return dropped(of_wide, rate, seed), of_wide, *rest

    return fused(forward, backward, again=(2, 4))


@cache
def embedding_norm(epsilon: float, rate: float, dtype: str) -> Function:
    """LayerNorm of embeddings, then dropout: f(x, gamma, beta, seed), float32 to `dtype`."""

    def forward(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, seed: tf.Tensor) -> Kept:
        normal, scale = normalised(x, epsilon)
        result = dropped(tf.cast(normal * gamma + beta, dtype), rate, seed)
        return result, (tf.cast(normal, dtype), scale)

    def backward(upstream: tf.Tensor, gamma: tf.Tensor, seed: tf.Tensor, normal: tf.Tensor, scale: tf.Tensor) -> Found:
        return normalised_gradients(dropped(upstream, rate, seed), normal, scale, gamma)

    return fused(forward, backward, again=(1, 3))


def normalised(x: tf.Tensor, epsilon: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Float32 x [.., H] with mean 0 and variance 1 over the last axis, and the factor that made it so [.., 1]."""
    centred = x - tf.reduce_mean(x, -1, keepdims=True)
    scale = tf.math.rsqrt(tf.reduce_mean(tf.square(centred), -1, keepdims=True) + epsilon)
    return centred * scale, scale


def normalised_gradients(upstream: tf.Tensor, normal: tf.Tensor, scale: tf.Tensor, gamma: tf.Tensor) -> Found:
    """Of x, gamma and beta, from that of `normal` · gamma + beta."""
    upstream, normal = tf.cast(upstream, tf.float32), tf.cast(normal, tf.float32)
    of_normal = upstream * gamma
    along = tf.reduce_mean(of_normal * normal, -1, keepdims=True)
    of_x = scale * (of_normal - tf.reduce_mean(of_normal, -1, keepdims=True) - normal * along)
    every = list(range(upstream.shape.rank - 1))
    return of_x, tf.reduce_sum(upstream * normal, every), tf.reduce_sum(upstream, every)


@cache
def gelu(approximate: bool) -> Function:
    """GELU: f(x)."""

    def forward(x: tf.Tensor) -> Kept:
        return tf.nn.gelu(x, approximate=approximate), ()

    def backward(upstream: tf.Tensor, x: tf.Tensor) -> Found:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            result = tf.nn.gelu(x, approximate=approximate)
        return (tape.gradient(result, x, upstream),)

    return fused(forward, backward, again=(0,))


@cache
def attention_weights(rate: float) -> Function:
    """Softmax in float32, then dropout: f(scores [B, h, R, T], bias [B, 1, 1, T], seed)."""

    def forward(scores: tf.Tensor, bias: tf.Tensor, seed: tf.Tensor) -> Kept:
        weights = tf.cast(tf.nn.softmax(tf.cast(scores, tf.float32) + bias), scores.dtype)
        return dropped(weights, rate, seed), (weights,)

    def backward(upstream: tf.Tensor, seed: tf.Tensor, weights: tf.Tensor) -> Found:
        wide, shares = (tf.cast(x, tf.float32) for x in (dropped(upstream, rate, seed), weights))
        found = shares * (wide - tf.reduce_sum(wide * shares, -1, keepdims=True))
        return (tf.cast(found, upstream.dtype),)

    return fused(forward, backward, again=(2,))


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
