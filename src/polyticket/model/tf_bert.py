"""Masked BERT in TensorFlow: plain functions over a dictionary of variables named as in the checkpoint.

Shapes: B sequences of T tokens, H hidden, h heads of d = H/h, P predictions per sequence, V pieces. All are static.
"""

import tensorflow as tf

from polyticket.export.packing import Group
from polyticket.model.shape import BertShape
from polyticket.model.tf_weighting import Heads, Tensors, multiplied, whole_heads


class Dropout:
    """Dropout whose randomness is a function of a seed pair and of the call's number in the forward pass.

    Sixteen random bits decide on an element, so rates are multiples of 2^-16; the same bits with and without XLA.

    Args:
        seed: int32 [2], for example (run seed, step); None switches dropout off.
    """

    def __init__(self, seed: tf.Tensor | None) -> None:
        self.seed, self.calls = seed, 0

    def __call__(self, x: tf.Tensor, rate: float) -> tf.Tensor:
        """Zero a share `rate` of x, of static shape, and scale the rest by 1/(1 - rate)."""
        if self.seed is None or not rate:
            return x
        self.calls += 1
        seed = tf.random.experimental.stateless_fold_in(self.seed, self.calls)
        pairs = -(-x.shape.num_elements() // 2)
        drawn = tf.random.stateless_uniform([pairs], seed, minval=None, maxval=None, dtype=tf.uint32, alg="philox")
        bits = tf.reshape(tf.bitcast(drawn, tf.uint16), [-1])[: x.shape.num_elements()]
        dropped = round(rate * 2**16)
        kept = tf.cast(tf.reshape(bits, x.shape), tf.int32) >= dropped
        return tf.where(kept, x * (2**16 / (2**16 - dropped)), tf.zeros([], x.dtype))


def language_rows(masks: Tensors, language: tf.Tensor) -> dict[str, tf.Tensor]:
    """The mask rows [size] of one language (int scalar) from arrays [L, size]."""
    return {name: tf.gather(array, language) for name, array in masks.items()}


def hidden_states(
    v: Tensors,
    shape: BertShape,
    features: Tensors,
    dropout: Dropout,
    *,
    heads: Heads | None = None,
    dtype: tf.DType = tf.float32,
) -> tf.Tensor:
    """Hidden states of the last layer.

    Args:
        v: The weights that compute, by checkpoint name: plain, masked or compact.
        shape: Sizes and constants of the full model.
        features: `input_ids`, `input_mask`, `segment_ids`, each int [B, T].
        dropout: Applied after embeddings, attention weights and both projections of a layer.
        heads: The groups of heads of each layer; None for a model with whole heads.
        dtype: Of products and activations; LayerNorm and softmax compute in float32.

    Returns:
        [B, T, H] of `dtype`.
    """
    at = "bert/embeddings"
    T = features["input_ids"].shape[1]
    x = tf.gather(v[f"{at}/word_embeddings"], features["input_ids"]) + v[f"{at}/position_embeddings"][:T]
    types = tf.one_hot(features["segment_ids"], shape.type_vocab_size, dtype=x.dtype)
    x = _norm(v, at, shape, x + tf.matmul(types, v[f"{at}/token_type_embeddings"]))
    x = dropout(tf.cast(x, dtype), shape.hidden_dropout_prob)
    bias = (1.0 - tf.cast(features["input_mask"], tf.float32))[:, None, None, :] * -10000.0
    for layer, groups in enumerate(heads or whole_heads(shape)):
        x = _layer(v, f"bert/encoder/layer_{layer}", shape, groups, x, bias, dropout)
    return x


def pretraining_logits(
    v: Tensors,
    shape: BertShape,
    features: Tensors,
    rows: Tensors,
    dropout: Dropout,
    *,
    heads: Heads | None = None,
    dtype: tf.DType = tf.float32,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Logits of a batch of records: MLM [B, P, V] at the records' own masked positions, NSP [B, 2].

    Args:
        v: Weights by checkpoint name.
        shape: Sizes and constants of the full model.
        features: A batch of records.
        rows: Mask rows by checkpoint name, to multiply `v` by; sites that are absent are not masked.
        dropout: As in `hidden_states`.
        heads: As in `hidden_states`.
        dtype: As in `hidden_states`; logits are float32.
    """
    v = multiplied(v, shape, rows)
    hidden = hidden_states(v, shape, features, dropout, heads=heads, dtype=dtype)
    at = "cls/predictions"
    x = tf.gather(hidden, features["masked_lm_positions"], batch_dims=1)
    x = _norm(v, f"{at}/transform", shape, _activation(_dense(v, f"{at}/transform/dense", x), shape))
    words = tf.matmul(x, tf.cast(v["bert/embeddings/word_embeddings"], dtype), transpose_b=True)
    pooled = tf.tanh(_dense(v, "bert/pooler/dense", hidden[:, 0]))
    follows = tf.matmul(pooled, tf.cast(v["cls/seq_relationship/output_weights"], dtype), transpose_b=True)
    biases = (v[f"{at}/output_bias"], v["cls/seq_relationship/output_bias"])
    words, follows = (tf.cast(x, tf.float32) + bias for x, bias in zip((words, follows), biases, strict=True))
    return words, follows


def loss_sums(logits: tuple[tf.Tensor, tf.Tensor], features: Tensors) -> tuple[tf.Tensor, tf.Tensor]:
    """MLM loss summed over real predictions and NSP loss summed over sequences; several devices add theirs up."""
    words, follows = logits
    weights = features["masked_lm_weights"]
    mlm = tf.nn.sparse_softmax_cross_entropy_with_logits(features["masked_lm_ids"], words)
    nsp = tf.nn.sparse_softmax_cross_entropy_with_logits(features["next_sentence_labels"][:, 0], follows)
    return tf.reduce_sum(mlm * weights), tf.reduce_sum(nsp)


def _layer(
    v: Tensors,
    at: str,
    shape: BertShape,
    groups: tuple[Group, ...],
    x: tf.Tensor,
    bias: tf.Tensor,
    dropout: Dropout,
) -> tf.Tensor:
    mixed = _attention(v, f"{at}/attention/self", shape, groups, x, bias, dropout)
    x = _project(v, f"{at}/attention/output", shape, mixed, x, dropout)
    wide = _activation(_dense(v, f"{at}/intermediate/dense", x), shape)
    return _project(v, f"{at}/output", shape, wide, x, dropout)


def _attention(
    v: Tensors,
    at: str,
    shape: BertShape,
    groups: tuple[Group, ...],
    x: tf.Tensor,
    bias: tf.Tensor,
    dropout: Dropout,
) -> tf.Tensor:
    """Mixed values [B, T, all values], group after group."""

    def parts(name: str, sizes: list[int]) -> list[tf.Tensor]:
        projected = _dense(v, f"{at}/{name}", x)
        return tf.split(projected, sizes, axis=-1) if len(sizes) > 1 else [projected]

    matched = [len(group.heads) * group.query_key for group in groups]
    valued = [len(group.heads) * group.value for group in groups]
    mixed = []
    for group, *found in zip(
        groups, parts("query", matched), parts("key", matched), parts("value", valued), strict=True
    ):
        q, k, values = (_heads(part, len(group.heads)) for part in found)
        scores = tf.matmul(q * shape.head_size**-0.5, k, transpose_b=True)  # [B, heads, T, T]
        weights = tf.cast(tf.nn.softmax(tf.cast(scores, tf.float32) + bias), x.dtype)
        weights = dropout(weights, shape.attention_probs_dropout_prob)
        mixed.append(_side_by_side(tf.matmul(weights, values)))
    return mixed[0] if len(mixed) == 1 else tf.concat(mixed, axis=-1)


def _heads(x: tf.Tensor, heads: int) -> tf.Tensor:
    """[B, T, heads · d] as [B, heads, T, d]."""
    B, T, width = x.shape
    return tf.transpose(tf.reshape(x, [B, T, heads, width // heads]), [0, 2, 1, 3])


def _side_by_side(x: tf.Tensor) -> tf.Tensor:
    """[B, heads, T, d] as [B, T, heads · d]."""
    B, heads, T, width = x.shape
    return tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [B, T, heads * width])


def _project(v: Tensors, at: str, shape: BertShape, x: tf.Tensor, residual: tf.Tensor, dropout: Dropout) -> tf.Tensor:
    return _norm(v, at, shape, residual + dropout(_dense(v, f"{at}/dense", x), shape.hidden_dropout_prob))


def _dense(v: Tensors, at: str, x: tf.Tensor) -> tf.Tensor:
    kernel, bias = (tf.cast(v[f"{at}/{part}"], x.dtype) for part in ("kernel", "bias"))
    flat = tf.reshape(x, [-1, x.shape[-1]])
    return tf.reshape(tf.matmul(flat, kernel) + bias, [*x.shape[:-1], bias.shape[0]])


def _activation(x: tf.Tensor, shape: BertShape) -> tf.Tensor:
    return tf.nn.gelu(x, approximate=shape.hidden_act == "gelu_new")


def _norm(v: Tensors, at: str, shape: BertShape, x: tf.Tensor) -> tf.Tensor:
    wide = tf.cast(x, tf.float32)
    mean, variance = tf.nn.moments(wide, axes=[-1], keepdims=True)
    scaled = (wide - mean) * tf.math.rsqrt(variance + shape.layer_norm_eps)
    return tf.cast(scaled * v[f"{at}/LayerNorm/gamma"] + v[f"{at}/LayerNorm/beta"], x.dtype)
