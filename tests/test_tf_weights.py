"""Tickets in TensorFlow: masked and compact steps compute the same, and what stands between products is right."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from polyticket.model.folder import Model
from polyticket.model.shape import weight_entries
from polyticket.model.tf_bert import Dropout, embeddings, hidden_states, loss_sums
from polyticket.model.tf_checkpoint import model_variables
from polyticket.model.tf_fused import attention_weights, cross_entropy, dropped, gelu, norm
from polyticket.model.tf_weights import Compact, Masked, cut_of
from polyticket.pretraining.optimizer import AdamWeightDecay
from polyticket.pretraining.trainer import Computation, Trainer
from tests.support.models import TINY, random_batch, trained_model, with_random_masks

PLAIN = replace(TINY, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
HEAD = PLAIN.head_size
LANGUAGES = ("en", "fr", "sw")


def masks_of(model: Model) -> dict[str, np.ndarray]:
    return {name: array for name, array in model_variables(model).items() if name.endswith("_mask")}


def ragged() -> Model:
    """Masks as ragged as can be: a head without values, one without queries, a language that keeps almost nothing."""
    model = with_random_masks(trained_model(PLAIN, scale=1), LANGUAGES)
    at = "bert.encoder.layer.0.attention.self"
    model.masks[f"{at}.value_attention_mask"][0, :HEAD] = 0
    model.masks[f"{at}.attention_mask"][1, HEAD : 2 * HEAD] = 0
    for name, array in model.masks.items():
        if "output" not in name:
            array[2] = 0
            array[2, array.shape[1] // 2] = 1
    return model


def make(name: str, value: np.ndarray) -> tf.Variable:
    return tf.Variable(value, trainable=False, name=name.replace("/", "."))


def losses(model: Model, compute: str, *, jit: bool, steps: int = 20) -> np.ndarray:
    optimizer = AdamWeightDecay(5e-3, warmup_steps=3, total_steps=30)
    how = Computation(compute, compact_multiple=2, jit=jit)
    trainer = Trainer(
        model.shape, masks_of(model), optimizer, seed=1, computation=how, strategy=tf.distribute.get_strategy()
    )
    trainer.load(model_variables(model))
    data = [random_batch(size=8, language=step % 3, seed=step % 6) for step in range(steps)]
    return np.array([trainer.step({k: tf.constant(v) for k, v in one.items()}).numpy()[:2] for one in data])


@pytest.mark.parametrize("jit", [False, True])
def test_compact_has_the_losses_of_masked_over_twenty_steps(jit):
    model = ragged()
    masked, compact = (losses(model, compute, jit=jit) for compute in ("masked", "compact"))
    np.testing.assert_allclose(compact, masked, atol=1e-4)
    assert masked[-6:, 0].mean() < masked[:6, 0].mean() - 0.1  # it learns


@pytest.mark.parametrize("language", range(3))
def test_compact_gives_every_kept_weight_its_gradient_and_the_others_none(language):
    model = ragged()
    full = {name: tf.constant(x) for name, x in model_variables(model).items() if not name.endswith("_mask")}
    compact, masked = (kind(PLAIN, masks_of(model), make) for kind in (Compact, Masked))
    rows, others = compact.rows(tf.constant(language)), masked.rows(tf.constant(language))
    upstream = {name: tf.ones_like(x) for name, x in compact.weights(full, rows).items()}
    found = compact.gradients(upstream, rows)
    for name, x in full.items():
        assert found[name].shape == x.shape
    for name in ("query", "key", "value"):
        mask = masks_of(model)[f"bert/encoder/layer_0/attention/self/{'value_' * (name == 'value')}attention_mask"]
        kernel = found[f"bert/encoder/layer_0/attention/self/{name}/kernel"].numpy()
        expected = np.tile(mask[language], (len(kernel), 1))
        if name != "value":  # a head without values needs no queries either
            values = masks_of(model)["bert/encoder/layer_0/attention/self/value_attention_mask"][language]
            expected = expected * np.repeat(values.reshape(-1, HEAD).any(1), HEAD)
        np.testing.assert_array_equal(kernel, expected)
    rest = "bert/pooler/dense/kernel"
    np.testing.assert_array_equal(
        found[rest], masked.gradients({n: tf.ones_like(x) for n, x in full.items()}, others)[rest]
    )


def test_compact_sizes_serve_all_languages_and_are_rounded_up():
    model = ragged()
    compact = Compact(PLAIN, masks_of(model), make, multiple=4)
    for layer, groups in enumerate(compact.heads):
        at = f"bert/encoder/layer_{layer}"
        cuts = {name: compact.cuts[f"{at}/{name}/positions"].shape for name in ("qk", "v", "wide")}
        assert cuts["qk"] == (3, sum(len(group.heads) * group.query_key for group in groups))
        assert cuts["v"] == (3, sum(len(group.heads) * group.value for group in groups))
        wide = masks_of(model)[f"{at}/intermediate/intermediate_mask"].sum(1).max()
        assert cuts["wide"] == (3, min(-(-int(wide) // 16) * 16, PLAIN.intermediate_size))


def test_slots_are_filled_in_order_and_padded():
    slots = [[np.array([4, 5]), np.array([1])], [np.array([0]), np.array([2, 3, 5])]]
    cut = cut_of(slots, [2, 3], 6)
    np.testing.assert_array_equal(cut.positions, [[4, 5, 1, 0, 0], [0, 0, 2, 3, 5]])
    np.testing.assert_array_equal(cut.kept, [[1, 1, 1, 0, 0], [1, 0, 1, 1, 1]])
    np.testing.assert_array_equal(cut.mask, [[0, 1, 0, 0, 1, 1], [1, 0, 1, 1, 0, 1]])
    for positions, kept, back, mask in zip(*cut, strict=True):
        for output in np.flatnonzero(mask):
            assert positions[back[output]] == output
            assert kept[back[output]] == 1


def test_sites_that_nobody_prunes_are_left_alone():
    model = trained_model(PLAIN, scale=1)
    masks = masks_of(with_random_masks(model, LANGUAGES))
    masks = {name: np.ones_like(x) if "output" in name else x for name, x in masks.items()}
    assert len(Masked(PLAIN, masks, make).masks) == 3 * PLAIN.num_hidden_layers + 1


def test_dropout_is_a_function_of_its_seed_and_drops_its_share():
    x, seed = tf.ones([64, 500]), tf.constant([3, 4])
    one, same = dropped(x, 0.1, seed).numpy(), dropped(x, 0.1, tf.constant([3, 4])).numpy()
    np.testing.assert_array_equal(one, same)
    assert set(np.unique(one)) == {0.0, np.float32(1 / 0.9)}
    share = (one == 0).mean()
    assert share == pytest.approx(0.1, abs=4 * (0.1 * 0.9 / one.size) ** 0.5)
    other = dropped(x, 0.1, tf.constant([3, 5])).numpy()
    both = ((one == 0) & (other == 0)).mean()
    assert both == pytest.approx(0.01, abs=4 * (0.01 * 0.99 / one.size) ** 0.5)  # independent
    for shift in (1, 500):  # of neighbours too
        both = ((one.ravel()[shift:] == 0) & (one.ravel()[:-shift] == 0)).mean()
        assert both == pytest.approx(0.01, abs=4 * (0.01 * 0.99 / one.size) ** 0.5)
    assert dropped(x, 0.0, seed) is x


def test_every_call_of_a_pass_has_its_own_seed_and_none_where_dropout_is_off():
    dropout = Dropout(tf.constant([1, 2]))
    seeds = [tuple(dropout.next().numpy().tolist()) for _ in range(5)]
    assert len(set(seeds)) == 5
    again = Dropout(tf.constant([1, 2]))
    assert [tuple(again.next().numpy().tolist()) for _ in range(5)] == seeds
    assert (Dropout(None).rate(0.1), dropout.rate(0.1)) == (0.0, 0.1)


def test_fused_functions_have_the_values_and_gradients_of_plain_ones():
    random = np.random.default_rng(1)
    x, y, gamma, beta = (tf.constant(random.normal(size=size), tf.float32) for size in ((4, 6), (4, 6), (6,), (6,)))
    seed, bias = tf.constant([1, 2]), tf.constant(random.normal(size=(2, 1, 1, 6)), tf.float32)
    scores, labels = tf.constant(random.normal(size=(2, 3, 6, 6)), tf.float32), tf.constant([0, 4, 2, 2])
    classes, of_classes = (tf.constant(random.normal(size=size), tf.float32) for size in ((5, 6), (5,)))

    def plain_norm(x, y, gamma, beta):
        total = x + y
        mean, variance = tf.nn.moments(total, [-1], keepdims=True)
        return (total - mean) / tf.sqrt(variance + 1e-3) * gamma + beta

    pairs = [
        ((x, y, gamma, beta), lambda *a: norm(1e-3, 0.0)(*a, seed), plain_norm),
        ((x,), gelu(False), tf.nn.gelu),
        ((x,), gelu(True), lambda x: tf.nn.gelu(x, approximate=True)),
        ((scores,), lambda s: attention_weights(0.0)(s, bias, seed), lambda s: tf.nn.softmax(s + bias)),
        (
            (x, classes, 100 * of_classes),
            lambda x, w, b: cross_entropy(x, w, b, labels),
            lambda x, w, b: tf.nn.sparse_softmax_cross_entropy_with_logits(labels, x @ tf.transpose(w) + b),
        ),
    ]
    for inputs, ours, theirs in pairs:
        found = []
        for function in (ours, theirs):
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                value = function(*inputs)
                total = tf.reduce_sum(tf.sin(value))
            found.append([value, *tape.gradient(total, inputs)])
        for one, other in zip(*found, strict=True):
            np.testing.assert_allclose(one, other, atol=2e-5)


def test_the_loss_of_a_token_beyond_the_vocabulary_is_not_a_number():
    losses = cross_entropy(tf.zeros([2, 3]), tf.zeros([6, 3]), tf.zeros([6]), tf.constant([5, 6]))
    assert np.isnan(losses).tolist() == [False, True]


def test_the_last_layer_computes_the_wanted_positions_alone_as_it_computes_them_all():
    model, batch = trained_model(), random_batch()
    v = {e.tf: tf.constant(e.convert(model.weights[e.torch])) for e in weight_entries(model.shape)}
    features = {name: tf.constant(values) for name, values in batch.items()}
    places = tf.pad(features["masked_lm_positions"], [[0, 0], [1, 0]])
    every = hidden_states(v, model.shape, features, {}, Dropout(None))
    some = hidden_states(v, model.shape, features, {}, Dropout(None), positions=places)
    np.testing.assert_allclose(some, tf.gather(every, places, batch_dims=1), atol=1e-5)


def test_the_gradient_of_embeddings_is_that_of_their_rows_and_of_their_product():
    random = np.random.default_rng(1)
    table, of_rows = (tf.constant(random.normal(size=size), tf.float32) for size in ((5, 3), (2, 3, 3)))
    states, ids = tf.constant(random.normal(size=(4, 3)), tf.float32), tf.constant([[0, 2, 2], [4, 2, 0]])
    found = []
    for function in (embeddings, lambda table, ids: (tf.gather(table, ids), table)):
        with tf.GradientTape() as tape:
            tape.watch(table)
            rows, whole = function(table, ids)
            loss = tf.reduce_sum(rows * of_rows) + tf.reduce_sum(tf.sin(tf.matmul(states, whole, transpose_b=True)))
        found.append(tf.convert_to_tensor(tape.gradient(loss, table)))
    np.testing.assert_allclose(*found, atol=1e-5)


def test_no_gradient_is_as_large_as_the_vocabulary_for_each_sequence():
    model, batch = trained_model(), random_batch()
    v = {e.tf: tf.constant(e.convert(model.weights[e.torch])) for e in weight_entries(model.shape)}
    features = {name: tf.constant(values) for name, values in batch.items()}

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            tape.watch(list(v.values()))
            loss = tf.add_n(loss_sums(v, model.shape, features, {}, Dropout(None)))
        return tape.gradient(loss, list(v.values()))

    shapes = {tuple(x.shape) for op in gradients.get_concrete_function().graph.get_operations() for x in op.outputs}
    V, H = model.shape.vocab_size, model.shape.hidden_size
    assert {(V, H)} == {shape for shape in shapes if V in shape and H in shape}
