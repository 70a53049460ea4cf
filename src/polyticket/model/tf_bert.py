"""Masked BERT in TensorFlow: plain functions over a dictionary of variables named as in the checkpoint.

Shapes: B sequences of T tokens, H hidden, h heads of d = H/h, P predictions per sequence, V pieces. All are static.
"""

from collections.abc import Mapping

import tensorflow as tf

from polyticket.model.shape import BertShape

Tensors = Mapping[str, tf.Tensor]


class Dropout:
    """Dropout whose randomness is a function of a seed pair and of the call's number in the forward pass.

    Args:
        seed: int32 [2], for example (run seed, step); None switches dropout off.
    """

    def __init__(self, seed: tf.Tensor | None) -> None:
        self.seed, self.calls = seed, 0

    def __call__(self, x: tf.Tensor, rate: float) -> tf.Tensor:
        """Zero a share `rate` of x and scale the rest by 1/(1 - rate)."""
        if self.seed is None or not rate:
            return x
        self.calls += 1
        seed = tf.random.experimental.stateless_fold_in(self.seed, self.calls)
        return tf.nn.experimental.stateless_dropout(x, rate, seed, rng_alg="philox")


def language_rows(masks: Tensors, language: tf.Tensor) -> dict[str, tf.Tensor]:
    """The mask rows [size] of one language (int scalar) from arrays [L, size]."""
    return {name: tf.gather(array, language) for name, array in masks.items()}


def hidden_states(v: Tensors, shape: BertShape, features: Tensors, rows: Tensors, dropout: Dropout) -> tf.Tensor:
    """Hidden states of the last layer.

    Args:
        v: Variables by checkpoint name.
        shape: Sizes and constants.
        features: `input_ids`, `input_mask`, `segment_ids`, each int [B, T].
        rows: Mask rows by checkpoint name; sites that are absent are not masked.
        dropout: Applied after embeddings, attention weights and both projections of a layer.

    Returns:
        float [B, T, H].
    """
    at = "bert/embeddings"
    T = features["input_ids"].shape[1]
    x = tf.gather(v[f"{at}/word_embeddings"], features["input_ids"]) + v[f"{at}/position_embeddings"][:T]
    types = tf.one_hot(features["segment_ids"], shape.type_vocab_size, dtype=x.dtype)
    x = _norm(v, at, shape, x + tf.matmul(types, v[f"{at}/token_type_embeddings"]))
    x = dropout(x, shape.hidden_dropout_prob)
    bias = (1.0 - tf.cast(features["input_mask"], x.dtype))[:, None, None, :] * -10000.0
    for layer in range(shape.num_hidden_layers):
        x = _layer(v, f"bert/encoder/layer_{layer}", shape, x, bias, rows, dropout)
    return x


def pretraining_logits(
    v: Tensors, shape: BertShape, features: Tensors, rows: Tensors, dropout: Dropout
) -> tuple[tf.Tensor, tf.Tensor]:
    """Logits of a batch of records: MLM [B, P, V] at the records' own masked positions, NSP [B, 2]."""
    hidden = hidden_states(v, shape, features, rows, dropout)
    at = "cls/predictions"
    x = tf.gather(hidden, features["masked_lm_positions"], batch_dims=1)
    x = _norm(v, f"{at}/transform", shape, _activation(_dense(v, f"{at}/transform/dense", x), shape))
    words = tf.matmul(x, v["bert/embeddings/word_embeddings"], transpose_b=True) + v[f"{at}/output_bias"]
    pooled = tf.tanh(_masked(_dense(v, "bert/pooler/dense", hidden[:, 0]), rows, "bert/pooler/pool_mask"))
    at = "cls/seq_relationship"
    return words, tf.matmul(pooled, v[f"{at}/output_weights"], transpose_b=True) + v[f"{at}/output_bias"]


def loss_sums(logits: tuple[tf.Tensor, tf.Tensor], features: Tensors) -> tuple[tf.Tensor, tf.Tensor]:
    """MLM loss summed over real predictions and NSP loss summed over sequences; several devices add theirs up."""
    words, follows = (tf.cast(x, tf.float32) for x in logits)
    weights = features["masked_lm_weights"]
    mlm = tf.nn.sparse_softmax_cross_entropy_with_logits(features["masked_lm_ids"], words)
    nsp = tf.nn.sparse_softmax_cross_entropy_with_logits(features["next_sentence_labels"][:, 0], follows)
    return tf.reduce_sum(mlm * weights), tf.reduce_sum(nsp)


def _layer(
    v: Tensors, at: str, shape: BertShape, x: tf.Tensor, bias: tf.Tensor, rows: Tensors, dropout: Dropout
) -> tf.Tensor:
    mixed = _attention(v, f"{at}/attention/self", shape, x, bias, rows, dropout)
    x = _project(v, f"{at}/attention/output", "output_mask", shape, mixed, x, rows, dropout)
    wide = _masked(_dense(v, f"{at}/intermediate/dense", x), rows, f"{at}/intermediate/intermediate_mask")
    return _project(v, f"{at}/output", "layer_mask", shape, _activation(wide, shape), x, rows, dropout)


def _attention(
    v: Tensors, at: str, shape: BertShape, x: tf.Tensor, bias: tf.Tensor, rows: Tensors, dropout: Dropout
) -> tf.Tensor:
    B, T, H = x.shape

    def heads(name: str, mask: str) -> tf.Tensor:
        projected = _masked(_dense(v, f"{at}/{name}", x), rows, f"{at}/{mask}")
        return tf.transpose(tf.reshape(projected, [B, T, shape.num_attention_heads, shape.head_size]), [0, 2, 1, 3])

    q, k = heads("query", "attention_mask"), heads("key", "attention_mask")
    scores = tf.matmul(q, k, transpose_b=True) * shape.head_size**-0.5 + bias  # [B, h, T, T]
    weights = dropout(tf.nn.softmax(scores), shape.attention_probs_dropout_prob)
    mixed = tf.matmul(weights, heads("value", "value_attention_mask"))
    return tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [B, T, H])


def _project(
    v: Tensors, at: str, mask: str, shape: BertShape, x: tf.Tensor, residual: tf.Tensor, rows: Tensors, drop: Dropout
) -> tf.Tensor:
    projected = _masked(_dense(v, f"{at}/dense", x), rows, f"{at}/{mask}")
    return _norm(v, at, shape, residual + drop(projected, shape.hidden_dropout_prob))


def _dense(v: Tensors, at: str, x: tf.Tensor) -> tf.Tensor:
    flat = tf.reshape(x, [-1, x.shape[-1]])
    return tf.reshape(tf.matmul(flat, v[f"{at}/kernel"]) + v[f"{at}/bias"], [*x.shape[:-1], v[f"{at}/bias"].shape[0]])


def _masked(x: tf.Tensor, rows: Tensors, site: str) -> tf.Tensor:
    return x * tf.cast(rows[site], x.dtype) if site in rows else x


def _activation(x: tf.Tensor, shape: BertShape) -> tf.Tensor:
    return tf.nn.gelu(x, approximate=shape.hidden_act == "gelu_new")


def _norm(v: Tensors, at: str, shape: BertShape, x: tf.Tensor) -> tf.Tensor:
    mean, variance = tf.nn.moments(x, axes=[-1], keepdims=True)
    scaled = (x - mean) * tf.math.rsqrt(variance + tf.cast(shape.layer_norm_eps, x.dtype))
    return scaled * v[f"{at}/LayerNorm/gamma"] + v[f"{at}/LayerNorm/beta"]
