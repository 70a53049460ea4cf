"""Masked BERT in TensorFlow: plain functions over a dictionary of variables named as in the checkpoint.

Shapes: B sequences of T tokens, R of them wanted, H hidden, h heads of d = H/h, P predictions per sequence, V tokens of
the vocabulary. All are static.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from polyticket.model.compact import Group
from polyticket.model.shape import BertShape
from polyticket.model.tf_fused import attention_weights, cross_entropy, embedding_norm, gelu, norm
from polyticket.model.tf_weights import Heads, Tensors, multiplied, whole_heads

Groups = tuple[Group, ...]
WORDS = "bert/embeddings/word_embeddings"


class Dropout:
    """Seeds of dropout: functions of a seed pair and of the call's number in the forward pass.

    Args:
        seed: int32 [2], for example (run seed, step); None switches dropout off.
    """

    def __init__(self, seed: tf.Tensor | None) -> None:
        self.seed, self.calls = seed, 0

    def rate(self, rate: float) -> float:
        """The rate, or zero where dropout is off."""
        return 0.0 if self.seed is None else rate

    def next(self) -> tf.Tensor:
        """int32 [2], the seed of the next call."""
        if self.seed is None:
            return tf.zeros([2], tf.int32)
        self.calls += 1
        return tf.random.experimental.stateless_fold_in(self.seed, self.calls, alg="philox")


def language_rows(masks: Tensors, language: tf.Tensor) -> dict[str, tf.Tensor]:
    """The mask rows [size] of one language (int scalar) from arrays [L, size]."""
    return {name: tf.gather(array, language) for name, array in masks.items()}


def hidden_states(
    v: Tensors,
    shape: BertShape,
    features: Tensors,
    rows: Tensors,
    dropout: Dropout,
    *,
    heads: Heads | None = None,
    dtype: tf.DType = tf.float32,
    words: tf.Tensor | None = None,
    positions: tf.Tensor | None = None,
) -> tf.Tensor:
    """Hidden states of the last layer.

    Args:
        v: The weights that compute, by checkpoint name: plain, masked or compact.
        shape: Sizes and constants of the full model.
        features: `input_ids`, `input_mask`, `segment_ids`, each int [B, T].
        rows: Mask rows by checkpoint name; those that are inline are multiplied by here.
        dropout: Applied after embeddings, attention weights and both projections of a layer.
        heads: The groups of heads of each layer; None for a model with whole heads.
        dtype: Of products and activations; LayerNorm and softmax compute in float32.
        words: The embeddings of the tokens, float32 [B, T, H]; None to look them up.
        positions: int [B, R], the only ones that the last layer is to compute; None for all.

    Returns:
        [B, T, H] of `dtype`, or [B, R, H].
    """
    at = "bert/embeddings"
    T = features["input_ids"].shape[1]
    words = tf.gather(v[WORDS], features["input_ids"]) if words is None else words
    x = words + v[f"{at}/position_embeddings"][:T]
    types = tf.one_hot(features["segment_ids"], shape.type_vocab_size, dtype=x.dtype)
    close = embedding_norm(shape.layer_norm_eps, dropout.rate(shape.hidden_dropout_prob), tf.as_dtype(dtype).name)
    x = close(x + _product(types, v[f"{at}/token_type_embeddings"]), *_scales(v, at), dropout.next())
    bias = (1.0 - tf.cast(features["input_mask"], tf.float32))[:, None, None, :] * -10000.0
    layers = list(enumerate(heads or whole_heads(shape)))
    for layer, groups in layers:
        wanted = x if positions is None or layer < len(layers) - 1 else tf.gather(x, positions, batch_dims=1)
        x = _layer(v, f"bert/encoder/layer_{layer}", shape, groups, Attending(wanted, x, bias), rows, dropout)
    return x


def pretraining_logits(
    v: Tensors, shape: BertShape, features: Tensors, rows: Tensors, dropout: Dropout
) -> tuple[tf.Tensor, tf.Tensor]:
    """Logits of a batch of records: MLM [B, P, V] at the records' own masked positions, NSP [B, 2].

    Args:
        v: The full weights, by checkpoint name.
        shape: Sizes and constants of the model.
        features: A batch of records.
        rows: Mask rows by checkpoint name; sites that are absent are not masked.
        dropout: As in `hidden_states`.
    """
    words, follows = (
        tf.matmul(states, classes, transpose_b=True) + bias
        for states, classes, bias in _classified(multiplied(v, shape, rows), shape, features, rows, dropout)
    )
    return tf.reshape(words, [*features["masked_lm_ids"].shape, -1]), follows


def loss_sums(
    v: Tensors,
    shape: BertShape,
    features: Tensors,
    rows: Tensors,
    dropout: Dropout,
    *,
    heads: Heads | None = None,
    dtype: tf.DType = tf.float32,
) -> tuple[tf.Tensor, tf.Tensor]:
    """MLM loss summed over real predictions and NSP loss summed over sequences; several devices add theirs up.

    `v` holds the weights that compute; all else is as in `hidden_states`.
    """
    words, follows = _classified(v, shape, features, rows, dropout, heads=heads, dtype=dtype)
    ids, weights = (tf.reshape(features[f"masked_lm_{name}"], [-1]) for name in ("ids", "weights"))
    mlm = cross_entropy(*words, ids)
    nsp = cross_entropy(*follows, features["next_sentence_labels"][:, 0])
    return tf.reduce_sum(mlm * weights), tf.reduce_sum(nsp)


class Classified(NamedTuple):
    """What a loss classifies; the logits are `states` · `classes`ᵀ + `bias`.

    Attributes:
        states: [N, H].
        classes: [C, H].
        bias: float32 [C].
    """

    states: tf.Tensor
    classes: tf.Tensor
    bias: tf.Tensor


def _classified(
    v: Tensors,
    shape: BertShape,
    features: Tensors,
    rows: Tensors,
    dropout: Dropout,
    *,
    heads: Heads | None = None,
    dtype: tf.DType = tf.float32,
) -> tuple[Classified, Classified]:
    """The masked positions [B · P] to classify by token, and the sequences [B] by whether their halves follow."""
    embedded, table = embeddings(v[WORDS], features["input_ids"])
    places = tf.pad(features["masked_lm_positions"], [[0, 0], [1, 0]])  # and the first, for the pooler
    how = {"heads": heads, "dtype": dtype, "words": embedded, "positions": places}
    hidden = hidden_states(v, shape, features, rows, dropout, **how)
    at = "cls/predictions"
    x = tf.reshape(hidden[:, 1:], [-1, shape.hidden_size])
    x = gelu(shape.hidden_act == "gelu_new")(_dense(v, f"{at}/transform/dense", x))
    x = norm(shape.layer_norm_eps, 0.0)(x, tf.zeros_like(x), *_scales(v, f"{at}/transform"), Dropout(None).next())
    pooled = tf.tanh(_dense(v, "bert/pooler/dense", hidden[:, 0]))
    follows = tf.cast(v["cls/seq_relationship/output_weights"], dtype)
    return (
        Classified(x, tf.cast(table, dtype), v[f"{at}/output_bias"]),
        Classified(pooled, follows, v["cls/seq_relationship/output_bias"]),
    )


@tf.custom_gradient
def embeddings(
    table: tf.Tensor, ids: tf.Tensor
) -> tuple[tuple[tf.Tensor, tf.Tensor], Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, None]]]:
    """The rows of a table [V, H] at ids, int [B, T], and the table, to multiply by.

    The gradient of the rows is added to that of the table, which saves one as large. On a GPU it is not, because
    TensorFlow's deterministic scatter goes through the host there.
    """

    def gradient(of_rows: tf.Tensor, of_table: tf.Tensor) -> tuple[tf.Tensor, None]:
        if tf.config.list_logical_devices("GPU"):
            return of_table + tf.math.unsorted_segment_sum(of_rows, ids, table.shape[0]), None
        return tf.tensor_scatter_nd_add(of_table, ids[..., None], of_rows), None

    return (tf.gather(table, ids), tf.identity(table)), gradient


class Attending(NamedTuple):
    """The positions that a layer computes, and what they attend to.

    Attributes:
        x: [B, R, H].
        seen: [B, T, H].
        bias: float32 [B, 1, 1, T], added to the scores.
    """

    x: tf.Tensor
    seen: tf.Tensor
    bias: tf.Tensor


def _layer(
    v: Tensors, at: str, shape: BertShape, groups: Groups, given: Attending, rows: Tensors, drop: Dropout
) -> tf.Tensor:
    mixed = _attention(v, f"{at}/attention/self", shape, groups, given, rows, drop)
    x = _project(v, f"{at}/attention/output", shape, mixed, given.x, drop)
    wide = gelu(shape.hidden_act == "gelu_new")(_dense(v, f"{at}/intermediate/dense", x))
    return _project(v, f"{at}/output", shape, wide, x, drop)


def _attention(
    v: Tensors, at: str, shape: BertShape, groups: Groups, given: Attending, rows: Tensors, drop: Dropout
) -> tf.Tensor:
    """Mixed values [B, R, all values], group after group."""
    scale = shape.head_size**-0.5 * rows.get(f"{at}/attention_mask", 1.0)
    v = {**v, **{name: v[name] * scale for name in (f"{at}/query/kernel", f"{at}/query/bias")}}

    def parts(name: str, sizes: list[int]) -> list[tf.Tensor]:
        projected = _dense(v, f"{at}/{name}", given.x if name == "query" else given.seen)
        return tf.split(projected, sizes, axis=-1) if len(sizes) > 1 else [projected]

    matched = [len(group.heads) * group.query_key for group in groups]
    valued = [len(group.heads) * group.value for group in groups]
    mixed = []
    for group, *found in zip(
        groups, parts("query", matched), parts("key", matched), parts("value", valued), strict=True
    ):
        q, k, values = (_heads(part, len(group.heads)) for part in found)
        scores = tf.matmul(q, k, transpose_b=True)  # [B, heads, R, T]
        weights = attention_weights(drop.rate(shape.attention_probs_dropout_prob))(scores, given.bias, drop.next())
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
    close = norm(shape.layer_norm_eps, dropout.rate(shape.hidden_dropout_prob))
    return close(_dense(v, f"{at}/dense", x), residual, *_scales(v, at), dropout.next())


def _dense(v: Tensors, at: str, x: tf.Tensor) -> tf.Tensor:
    return _product(x, tf.cast(v[f"{at}/kernel"], x.dtype), tf.cast(v[f"{at}/bias"], x.dtype))


def _product(x: tf.Tensor, matrix: tf.Tensor, bias: tf.Tensor | None = None) -> tf.Tensor:
    """The product of x [..., N] with a matrix, as one, so that the matrix has one gradient and not one a sequence."""
    product = tf.matmul(tf.reshape(x, [-1, x.shape[-1]]), matrix)
    product = product if bias is None else tf.nn.bias_add(product, bias)
    return tf.reshape(product, [*x.shape[:-1], product.shape[-1]])


def _scales(v: Tensors, at: str) -> tuple[tf.Tensor, tf.Tensor]:
    return v[f"{at}/LayerNorm/gamma"], v[f"{at}/LayerNorm/beta"]
