"""Conflict between languages: sketches against exact sums, sums that are never mixed, tables, figures."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from polyticket.config.completion import complete
from polyticket.conflict.cosines import (
    BLOCK,
    Units,
    chosen_matrices,
    cosines,
    mean_cosine,
    share_negative,
    standard_error,
)
from polyticket.conflict.settings import (
    KINDS,
    SHARED,
    Settings,
    check_settings,
    chosen_names,
    measured_phase,
    require_prime,
)
from polyticket.conflict.sketch import Accumulator, Exact, Sketch, key_of, projection_of, signs, sketched
from polyticket.conflict.trace import Trace, read_table, read_trace, table_of, write_table, write_trace
from polyticket.core.errors import PolyticketError
from polyticket.core.languages import CODES
from polyticket.figures.conflict import plot_conflict, plot_conflict_trend, trend
from tests.support.figures import texts_of, trace_of
from tests.support.models import TINY

ROOT = Path(__file__).resolve().parents[1]
SHAPES = {"a": (96, 70), "b": (50, 31)}
WIDTH = 1021
EXACT = {"mode": "exact", "width": 2, "seed": None, "matrices": ["a"]}
THREE = ("en", "fr", "sw")
ONES = np.ones(3, np.int64)
PRETRAINING = {
    "conflict": {"mode": "sketch"},
    "save_steps": 100,
    "phases": [{"until_step": 400}, {"until_step": 440}],
}


def tensors(*, seed: int = 0, whole: bool = False) -> dict[str, tf.Tensor]:
    random = np.random.default_rng(seed)
    drawn = {name: random.normal(0, 3, shape) for name, shape in SHAPES.items()}
    return {name: tf.constant(np.rint(one) if whole else one, tf.float32) for name, one in drawn.items()}


def rows(*values: tuple[float, ...]) -> np.ndarray:
    return np.array(values, np.float32)


def small_trace() -> Trace:
    """Two points of three languages in the plane; at the first, the third has no update yet."""
    trace = Trace(THREE, EXACT)
    first, second = np.array([2, 1, 0]), np.array([1, 1, 3])
    own = rows((1, 0), (1, 0), (0, 0)), rows((1, 0), (0, 1), (1, -1))
    trace.add(100, (rows((1, 0), (1, 1), (0, 0)), first), (own[0], first), (rows((1, 0), (0, 2), (-3, 0)), ONES))
    trace.add(150, (rows((1, 0), (-1, 1), (-2, 0)), second), (own[1], second), (rows(*[(1, 0)] * 3), ONES))
    return trace


# what is compared


def test_matrices_are_the_six_kernels_of_the_chosen_layers():
    found = chosen_matrices(TINY, Settings(layers=(1,)))
    at = "bert/encoder/layer_1"
    assert list(found.items()) == [
        (f"{at}/attention/self/query/kernel", (24, 24)),
        (f"{at}/attention/self/key/kernel", (24, 24)),
        (f"{at}/attention/self/value/kernel", (24, 24)),
        (f"{at}/attention/output/dense/kernel", (24, 24)),
        (f"{at}/intermediate/dense/kernel", (24, 40)),
        (f"{at}/output/dense/kernel", (40, 24)),
    ]
    assert list(chosen_matrices(TINY, Settings(layers=(1, 0)))) == list(chosen_matrices(TINY, Settings()))
    deep = chosen_matrices(replace(TINY, num_hidden_layers=12), Settings(layers=(1,)))
    assert len(deep) == 6  # layer_1 is not the beginning of layer_10


@pytest.mark.parametrize(
    ("matrices", "layers", "names"),
    [
        (("layer_1/query",), None, ["layer_1/query"]),
        (("*/output", "layer_0/value"), None, ["layer_0/value", "layer_0/output", "layer_1/output"]),
        (("*/attention_*",), (1,), ["layer_1/attention_output"]),
    ],
)
def test_single_matrices_are_chosen_by_patterns(matrices, layers, names):
    settings = Settings("exact", layers, matrices=matrices)
    assert chosen_names(2, settings) == names
    assert len(chosen_matrices(TINY, settings)) == len(names)


@pytest.mark.parametrize(("matrices", "layers"), [(("*/query", "layer_2/key"), None), (("layer_0/query",), (1,))])
def test_a_pattern_that_matches_no_matrix_is_refused(matrices, layers):
    message = rf"conflict\.matrices: '{matrices[-1]}' matches no matrix of the chosen layers; expected patterns like "
    with pytest.raises(PolyticketError, match=message):
        check_settings(Settings("sketch", layers, matrices=matrices), 2)


@pytest.mark.parametrize("layer", [2, -1])
def test_a_layer_that_is_not_there_is_named(layer):
    message = rf"pretraining\.conflict\.layers: no layer {layer}; expected layers from 0 to 1"
    with pytest.raises(PolyticketError, match=message):
        chosen_matrices(TINY, Settings(layers=(0, layer)))


def test_a_width_that_is_no_prime_is_refused_with_its_neighbours():
    message = r"pretraining\.conflict\.width: 16384 is no prime; expected a prime, for example 16381 or 16411"
    with pytest.raises(PolyticketError, match=message):
        check_settings(Settings("sketch", None, 16384), 2)
    with pytest.raises(PolyticketError, match=r"1 is no prime; expected a prime, for example 2$"):
        require_prime(1)
    check_settings(Settings.of({"mode": "sketch", "layers": [1], "width": 4093}), 2)


@pytest.mark.parametrize(
    ("conflict", "message"),
    [
        ({"width": 4096}, r"config pretraining\.conflict\.width: 4096 is no prime; .* 4093 or 4099"),
        ({"layers": [12]}, r"config pretraining\.conflict\.layers: no layer 12; expected layers from 0 to 11"),
        (
            {"mode": "full"},
            r"config pretraining\.conflict\.mode: 'full' is not allowed; expected none or sketch or exact",
        ),
    ],
)
def test_the_configuration_is_checked_before_anything_runs(conflict, message):
    given = {"languages": ["fr"], "data": {"dumps": "*.bz2"}, "pretraining": {"conflict": conflict}}
    with pytest.raises(PolyticketError, match=message):
        complete(given)


@pytest.mark.parametrize(("step", "phase"), [(100, 1), (400, 1), (440, 2)])
def test_a_step_is_measured_in_the_phase_that_reaches_it(step, phase):
    assert measured_phase(PRETRAINING, step) == phase


@pytest.mark.parametrize(
    ("step", "nearest"), [(430, "400 or 440"), (50, "100"), (250, "200 or 300"), (500, "440"), (0, "100")]
)
def test_a_step_between_save_points_is_refused(step, nearest):
    with pytest.raises(PolyticketError, match=f"not measured at step {step}; .*the end of a phase: {nearest}$"):
        measured_phase(PRETRAINING, step)


def test_nothing_is_measured_in_mode_none():
    with pytest.raises(PolyticketError, match=r"conflict\.mode: nothing is measured; expected sketch or exact"):
        measured_phase(PRETRAINING | {"conflict": {"mode": "none"}}, 100)


# sketches


@pytest.mark.parametrize("jit", [None, False, True])
def test_tensorflow_and_numpy_make_the_same_sketch(jit):
    given = tensors(whole=True)  # sums of whole numbers have no rounding
    sketch = Sketch(SHAPES, 101, 3)
    compute = sketch.vector if jit is None else tf.function(sketch.vector, jit_compile=jit)
    wanted = sketched({name: one.numpy() for name, one in given.items()}, 101, 3)
    assert compute(given).numpy().tolist() == wanted.tolist()
    assert sketch.size == 101


def test_a_sketch_by_hand():
    key = key_of("a", 5, 1)
    signed = signs(key, 7) * np.arange(1, 8)
    wanted = np.zeros(5)
    for place, value in enumerate(signed):
        wanted[(key.start + place) % 5] += value
    found = Sketch({"a": (7, 1)}, 5, 1).vector({"a": tf.range(1.0, 8.0)[:, None]})
    assert found.numpy().tolist() == wanted.tolist()


def test_signs_are_even_and_of_their_own_for_each_matrix_and_seed():
    n = 200_000
    found = [signs(key_of(name, WIDTH, seed), n) for name, seed in (("a", 0), ("b", 0), ("a", 1))]
    products = np.stack(found) @ np.stack(found).T / n
    assert set(np.concatenate(found).tolist()) == {-1.0, 1.0}
    assert np.abs(np.mean(found, axis=1)).max() < 4 / n**0.5
    assert np.abs(products - np.eye(3)).max() < 4 / n**0.5
    assert abs((found[0][1:] * found[0][:-1]).mean()) < 4 / n**0.5


def test_a_sketch_is_linear():
    one, other = tensors(seed=1, whole=True), tensors(seed=2, whole=True)
    both = {name: 2 * one[name] - other[name] for name in one}
    sketch = Sketch(SHAPES, WIDTH, 0)
    wanted = 2 * sketch.vector(one) - sketch.vector(other)
    assert sketch.vector(both).numpy().tolist() == wanted.numpy().tolist()


def test_exact_vectors_hold_every_entry_in_order():
    given = tensors() | {"bias": tf.ones(3)}
    found = Exact(SHAPES).vector(given).numpy()
    assert found.tolist() == [*given["a"].numpy().ravel().tolist(), *given["b"].numpy().ravel().tolist()]
    assert Exact(SHAPES).size == 96 * 70 + 50 * 31


def test_the_projection_is_that_of_the_configuration():
    one, other = (projection_of(Settings(mode, (1,), 101), TINY, 7) for mode in ("exact", "sketch"))
    names = list(chosen_matrices(TINY, Settings(layers=(1,))))
    assert one.about == {"mode": "exact", "width": 4 * 24 * 24 + 2 * 24 * 40, "seed": None, "matrices": names}
    assert other.about == {"mode": "sketch", "width": 101, "seed": 7, "matrices": names}


def normal(random, c):
    """A pair of matrices of cosine c (nearly)."""
    one, other = random.normal(size=(2, 300, 200))
    return one, c * one + (1 - c * c) ** 0.5 * other


def column(random, c):
    """Only one column of each matrix is not zero."""
    pair = np.zeros((2, 300, 200))
    pair[:, :, 7] = [one[:, 0] for one in normal(random, c)]
    return pair


def row(random, c):
    """Only one row of each matrix is not zero."""
    pair = np.zeros((2, 300, 200))
    pair[:, 5] = [one[0] for one in normal(random, c)]
    return pair


def low_rank(random, c):
    """Matrices of rank 2 that share their columns' space."""
    left, right, other = random.normal(size=(300, 2)), *random.normal(size=(2, 2, 200))
    return left @ right, left @ (c * right + (1 - c * c) ** 0.5 * other)


def cosine(one, other):
    return float(cosines(np.stack([one, other]), np.ones(2, np.int64))[0, 1])


@pytest.mark.parametrize("make", [normal, column, row, low_rank])
@pytest.mark.parametrize("c", [-0.5, 0.0, 0.9])
def test_the_error_of_a_sketch_is_the_stated_one(make, c):
    random = np.random.default_rng(1)
    pairs = {name: make(random, c) for name in "abcdef"}  # concentrated in the same places of six matrices
    sides = [{name: pair[side] for name, pair in pairs.items()} for side in (0, 1)]
    exact = cosine(*(np.concatenate([one.ravel() for one in side.values()]) for side in sides))
    found = np.array([cosine(*(sketched(side, WIDTH, seed) for side in sides)) for seed in range(60)])
    stated = (1 - exact**2) * standard_error("sketch", WIDTH)
    # 60 seeds: the mean is within four of its standard errors, the deviation within a third
    assert abs(found.mean() - exact) < 4 * stated / 60**0.5
    assert 0.67 * stated < found.std() < 1.33 * stated


def test_one_row_or_column_of_one_matrix_is_met_exactly():
    random = np.random.default_rng(1)
    for make in (row, column):
        one, other = make(random, 0.3)
        found = cosine(sketched({"a": one}, WIDTH, 0), sketched({"a": other}, WIDTH, 0))
        assert found == pytest.approx(cosine(one.ravel(), other.ravel()), abs=1e-12)


def test_all_pairs_of_103_languages_are_within_the_stated_error():
    random = np.random.default_rng(2)
    families, own = random.normal(size=(2, 103, 96 * 70))
    exact = (families[np.arange(103) % 9] * 0.7 + own).astype(np.float32)
    sketch = Sketch({"a": (96, 70)}, WIDTH, 4)
    compute = tf.function(sketch.vector)
    found = np.stack([compute({"a": tf.reshape(one, (96, 70))}).numpy() for one in exact])
    seen = np.ones(103, np.int64)
    wanted, error = cosines(exact, seen), standard_error("sketch", WIDTH)
    off = (cosines(found, seen) - wanted)[np.triu_indices(103, 1)] / (1 - wanted[np.triu_indices(103, 1)] ** 2)
    assert 0.9 * error < off.std() < 1.1 * error
    assert np.abs(off).max() < 5 * error  # of 5253 pairs


# sums per language


# tickets

AT = "bert/encoder/layer_0"
# two languages of a layer with H = 2 and I = 3: the first prunes value 1, the second value 0 and intermediate 2
TICKETS = {
    f"{AT}/attention/self/value_attention_mask": np.array([[1, 0], [0, 1]], np.float32),
    f"{AT}/intermediate/intermediate_mask": np.array([[1, 1, 1], [1, 1, 0]], np.float32),
}
KERNELS = {
    f"{AT}/attention/self/query/kernel": (2, 2),
    f"{AT}/attention/self/value/kernel": (2, 2),
    f"{AT}/attention/output/dense/kernel": (2, 2),
    f"{AT}/intermediate/dense/kernel": (2, 3),
    f"{AT}/output/dense/kernel": (3, 2),
}
# zero in the columns of value and intermediate, and in the rows of the kernels after them, that a ticket prunes
OF_FIRST = [1, 0, 0, 2, *[3, 0, 1, 0], *[1, 2, 0, 0], *[1, 0, 2, 0, 1, 1], *[1, 0, 0, 1, 2, 2]]
OF_SECOND = [0, 1, 1, 1, *[0, 1, 0, 2], *[0, 0, 1, 1], *[2, 1, 0, 0, 1, 0], *[1, 1, 0, 0, 0, 0]]
BOTH = [1, 1, 1, 1, *[0] * 4, *[0] * 4, *[1, 1, 0, 1, 1, 0], *[1, 1, 1, 1, 0, 0]]


def test_cosines_over_shared_weights_by_hand():
    units, sums = Units(KERNELS, TICKETS, 2), rows(OF_FIRST, OF_SECOND)
    assert units.kept.astype(int).tolist() == [
        [1, 1, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1],
        [1, 1, 0, 1, 0, 1, 1, 1, 0, 1, 1, 0],
    ]
    shares = units.shares(sums, sums.shape[1])
    # of 1 + 4 | 9 + 1 | 1 + 4 | 1 + 4 + 1 + 1 | 1 + 1 + 4 + 4 the second keeps 5 | 0 | 0 | 1 + 1 | 1 + 1
    assert shares == pytest.approx(np.array([[1, 9 / 37], [11 / 18, 1]]))
    trace = Trace(THREE[:2], EXACT | {"width": sums.shape[1]}, units=units)
    trace.add(1, (sums, ONES[:2]), (sums, ONES[:2]), (2 * sums, ONES[:2]))
    kept = [np.array(row)[np.array(BOTH) == 1] for row in (OF_FIRST, OF_SECOND)]
    for kind in SHARED:
        assert trace.at(1, kind).cosines[0, 1] == pytest.approx(cosine(*kept))
    assert trace.at(1, "own").cosines[0, 1] == pytest.approx(cosine(*sums))
    about = table_of(trace, "own_shared", 1).about
    assert about["mean_cosine"] == pytest.approx(cosine(*kept))
    assert about["mean_kept_by_other"] == pytest.approx((9 / 37 + 11 / 18) / 2)
    assert "mean_kept_by_other" not in table_of(trace, "own", 1).about


def test_a_dense_model_shares_all_weights():
    trace = small_trace()
    for kind in SHARED:
        measured, whole = trace.at(150, kind), trace.at(150, kind.removesuffix("_shared"))
        assert measured.cosines.tolist() == whole.cosines.tolist()
        assert measured.kept.tolist() == np.ones((3, 3)).tolist()


def test_sums_of_units_have_the_signs_of_the_sketch():
    units = Units(KERNELS, TICKETS, 2)
    given = {name: tf.reshape(tf.range(1.0, np.prod(shape) + 1), shape) for name, shape in KERNELS.items()}
    found = Sketch(KERNELS, 5, 1, units).vector(given).numpy()
    assert found[:5].tolist() == Sketch(KERNELS, 5, 1).vector(given).numpy().tolist()
    value, after = (f"{AT}/{name}/kernel" for name in ("attention/self/value", "attention/output/dense"))
    columns = (given[value].numpy() * signs(key_of(value, 5, 1), 4).reshape(2, 2)).sum(0)
    lines = (given[after].numpy() * signs(key_of(after, 5, 1), 4).reshape(2, 2)).sum(1)
    assert found[5 + 2 : 5 + 6].tolist() == [*columns, *lines]


def test_sketches_meet_cosines_over_shared_weights():
    random = np.random.default_rng(5)
    shape = replace(TINY, hidden_size=64, intermediate_size=256, num_attention_heads=4)
    matrices, at = chosen_matrices(shape, Settings()), "bert/encoder/layer_{}/{}"
    sizes = {"attention/self/attention_mask": 64, "attention/self/value_attention_mask": 64}
    sizes |= {"intermediate/intermediate_mask": 256}
    tickets = {
        at.format(layer, name): (random.random((4, size)) < 0.6).astype(np.float32)
        for layer in range(2)
        for name, size in sizes.items()
    }
    units, common = Units(matrices, tickets, 4), {n: random.normal(size=s) for n, s in matrices.items()}
    exact, sketches, sketch = [], [], Sketch(matrices, 16381, 3, units)
    for language in range(4):
        ends, masked = 0, {}
        for name, one in common.items():
            own, axis = one + random.normal(size=one.shape), units.axes[name]
            kept = units.kept[language, ends : (ends := ends + one.shape[axis])]
            masked[name] = (own * (kept if axis else kept[:, None])).astype(np.float32)
        exact.append(np.concatenate([one.ravel() for one in masked.values()]))
        sketches.append(sketch.vector({name: tf.constant(one) for name, one in masked.items()}).numpy())
    found = []
    for mode, sums in (("exact", exact), ("sketch", sketches)):
        trace = Trace(CODES[:4], {"mode": mode, "width": 16381 if mode == "sketch" else len(sums[0])}, units=units)
        trace.add(
            1, *[(np.stack(sums)[:, : trace.width(kind)], np.ones(4, np.int64)) for kind in ("updates", "own", "own")]
        )
        found.append(trace.at(1, "gradients_shared"))
    exactly, sketched_ = found
    pairs = np.triu_indices(4, 1)
    assert exactly.kept[pairs].max() < 0.7
    assert np.abs(exactly.cosines[pairs] - 0.5).max() < 0.02  # what they have in common, whatever the tickets
    assert np.abs(sketched_.kept - exactly.kept).max() < 0.06  # of 1,536 units
    assert np.abs(sketched_.cosines - exactly.cosines).max() < 0.05


@pytest.mark.parametrize(("jit", "inner"), [(False, False), (False, True), (True, False)])
def test_an_accumulator_sums_each_language_apart_and_begins_again(jit, inner):
    accumulator = Accumulator(Sketch(SHAPES, 101, 3), 3, jit=inner)
    assert accumulator.names == ("a", "b")

    def add_to(languages: tf.Tensor, *matrices: dict[str, tf.Tensor]) -> None:
        accumulator.add(languages, tf.stack([accumulator.vector(one) for one in matrices]))

    add = tf.function(add_to, jit_compile=jit)
    given = [tensors(seed=seed, whole=True) for seed in range(3)]
    add(tf.constant([2, 0]), *given[:2])
    add(tf.constant([2, -1]), given[2], given[0])  # of no language
    vectors = [accumulator.projection.vector(one).numpy() for one in given]
    sums, steps = accumulator.take()
    assert (sums.dtype, steps.dtype, steps.tolist()) == (np.float32, np.int64, [1, 0, 2])
    assert sums.tolist() == [vectors[1].tolist(), [0] * 101, (vectors[0] + vectors[2]).tolist()]
    add(tf.constant([1]), given[0])
    again, counted = accumulator.take()
    assert counted.tolist() == [0, 1, 0]
    assert again.tolist() == [[0] * 101, vectors[0].tolist(), [0] * 101]
    assert sums[1].tolist() == [0] * 101  # what was taken is not changed by what comes after
    accumulator.load(sums, steps)
    assert accumulator.take()[0].tolist() == sums.tolist()


def test_a_step_is_shared_by_the_languages_of_its_parts():
    accumulator = Accumulator(Sketch(SHAPES, 101, 3), 3)
    vector = accumulator.vector(tensors(seed=1, whole=True))
    accumulator.add_shared(tf.constant([2, 0, 2, 2]), vector)
    sums, steps = accumulator.take()
    assert steps.tolist() == [1, 0, 3]
    assert sums.tolist() == [(vector / 4).numpy().tolist(), [0] * 101, (0.75 * vector).numpy().tolist()]


def test_cosines_by_hand():
    found = cosines(rows((1, 0), (1, 1), (-2, 0), (0, 0), (0, 5)), np.array([1, 1, 1, 1, 0]))
    half = 0.5**0.5
    assert found[:3, :3] == pytest.approx(np.array([[1, half, -1], [half, 1, -half], [-1, -half, 1]]))
    assert np.isnan(found[3:]).all()  # all zero, and not seen
    assert np.isnan(found[:, 3:]).all()
    assert (found[:3, :3] == found[:3, :3].T).all()
    assert share_negative(found[:3, :3]) == pytest.approx(2 / 3)
    assert mean_cosine(found[:3, :3]) == pytest.approx(-1 / 3)
    assert np.isnan(
        [share_negative(found), mean_cosine(found), share_negative(np.eye(1)), mean_cosine(np.eye(1))]
    ).all()


def test_cosines_of_long_rows_are_summed_in_blocks():
    long = np.zeros((2, BLOCK + 3), np.float32)
    long[:, 0], long[:, -1] = (1, 1), (1, -1)
    assert cosines(long, np.ones(2, np.int64)).tolist() == [[1, 0], [0, 1]]


def test_the_stated_error():
    assert standard_error("sketch", 16381) == pytest.approx(0.0078, abs=5e-5)
    assert standard_error("exact", 16381) == 0


# traces


def test_kinds_are_sums_of_their_own():
    first, second = small_trace().points
    assert (first.step, first.since, second.step, second.since) == (100, 0, 150, 100)
    assert first.seen.tolist() == [*[[2, 1, 0]] * 4, [1, 1, 1]]
    assert second.seen.tolist() == [*[[3, 2, 3], [1, 1, 3]] * 2, [1, 1, 1]]
    updates, recent, own, recent_own, gradients = second.cosines
    assert updates[0].tolist() == [1, 0, -1]  # (2, 0), (0, 2), (-2, 0)
    assert recent[0] == pytest.approx([1, -(0.5**0.5), -1])
    assert own[0] == pytest.approx([1, 0.5**0.5, 0.5**0.5])  # (2, 0), (1, 1), (1, -1)
    assert recent_own[0] == pytest.approx([1, 0, 0.5**0.5])
    assert gradients.tolist() == np.ones((3, 3)).tolist()
    assert np.isnan(first.cosines[:4, 2]).all()


def test_published_fault_sums_of_another_mode_are_never_read_as_gradients():
    trace = Trace(THREE, EXACT)
    nothing = np.zeros((3, 2), np.float32)
    written = rows((1, 0), (1, 1), (0, 1)), ONES
    trace.add(100, written, written, (nothing, np.zeros(3, np.int64)))
    assert table_of(trace, "updates", 100).cosines[0, 2] == 0
    with pytest.raises(PolyticketError, match="no gradient of 'en', 'fr', 'sw' at step 100; expected a batch of every"):
        table_of(trace, "gradients", 100)


def test_published_fault_a_language_that_was_not_seen_is_named(tmp_path):
    message = "no update of 'sw' between steps 0 and 100; expected more steps or a higher sampling ratio"
    with pytest.raises(PolyticketError, match=f"trace.npz: {message}"):
        table_of(small_trace(), "updates", 100, "trace.npz")
    with pytest.raises(PolyticketError, match="no update of 'sw'"):
        table_of(small_trace(), "recent_own", 100)


def test_updates_that_are_all_zero_have_no_direction():
    trace = Trace(THREE, EXACT)
    still, others = (rows((1, 0), (0, 0), (0, 1)), ONES), (rows((1, 0), (0, 1), (1, 1)), ONES)
    trace.add(1, still, others, others)
    with pytest.raises(
        PolyticketError, match="every update of 'fr' between steps 0 and 1 is zero or not finite; expected steps with"
    ):
        table_of(trace, "updates", 1)


def test_a_step_that_was_not_measured_is_answered_with_those_that_were():
    with pytest.raises(PolyticketError, match="nothing was measured at step 120; expected one of 100, 150"):
        table_of(small_trace(), "updates", 120)


def test_sums_that_do_not_fit_are_refused():
    trace, sums = small_trace(), (rows(*[(1, 1)] * 3), ONES)
    with pytest.raises(ValueError, match="must be after 150"):
        trace.add(150, sums, sums, sums)
    with pytest.raises(ValueError, match=r"own \(3, 4\), expected \(3, 2\)"):
        trace.add(200, sums, (np.ones((3, 4), np.float32), ONES), sums)


def test_a_continued_trace_equals_an_uninterrupted_one(tmp_path):
    random = np.random.default_rng(3)
    parts = [(100 * n, *((rows(*random.normal(size=(3, 2))), ONES * n) for _ in range(3))) for n in range(1, 5)]
    whole = Trace(THREE, EXACT)
    for part in parts:
        whole.add(*part)
    broken = Trace.load(tmp_path / "nowhere", THREE, EXACT, 0)
    for part in parts:
        broken.add(*part)
        broken.save(tmp_path)
        broken = Trace.load(tmp_path, THREE, EXACT, part[0])
    for cumulative in (True, False):
        write_trace(whole, tmp_path / "one.npz", cumulative=cumulative)
        write_trace(broken, tmp_path / "two.npz", cumulative=cumulative)
        assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_what_is_published_holds_no_sums(tmp_path):
    trace = small_trace()
    write_trace(trace, tmp_path / "t.npz", cumulative=False)
    with np.load(tmp_path / "t.npz", allow_pickle=False) as found:
        assert [name for name in found.files if name.endswith(("_sums", "_steps"))] == []
    read = read_trace(tmp_path / "t.npz")
    assert (read.languages, read.about, read.cumulative) == (THREE, EXACT, None)
    for one, other in zip(read.points, trace.points, strict=True):
        assert (one.step, one.since) == (other.step, other.since)
        assert np.array_equal(one.cosines, other.cosines, equal_nan=True)
    with pytest.raises(ValueError, match="no sums to continue"):
        read.add(200, *[(rows(*[(1, 1)] * 3), ONES)] * 3)


@pytest.mark.parametrize(
    ("languages", "about", "step", "message"),
    [
        (("en", "fr", "ur"), EXACT, 150, "a trace of languages"),
        (THREE, EXACT | {"mode": "sketch"}, 150, "a trace of sums"),
        (THREE, EXACT | {"seed": 1}, 150, "a trace of sums"),
        (THREE, EXACT, 200, "a trace of step 150; expected 200"),
    ],
)
def test_the_trace_of_another_run_is_not_continued(tmp_path, languages, about, step, message):
    small_trace().save(tmp_path)
    assert Trace.load(tmp_path, THREE, EXACT, 150).last() == 150
    with pytest.raises(PolyticketError, match=message):
        Trace.load(tmp_path, languages, about, step)


def test_files_that_are_no_traces_are_named(tmp_path):
    with pytest.raises(PolyticketError, match=r"conflict\.npz: no such file"):
        Trace.load(tmp_path, THREE, EXACT, 100)
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 and more")
    with pytest.raises(PolyticketError, match=r"a\.npz: cannot be read as a trace of conflict"):
        read_trace(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", step=np.ones(1))
    with pytest.raises(PolyticketError, match=r"b\.npz: cannot be read as a trace of conflict"):
        read_trace(tmp_path / "b.npz")


# tables


def test_a_table_is_written_and_read_back(tmp_path):
    write_table(table_of(small_trace(), "updates", 150), tmp_path / "150.csv", tmp_path / "150.json")
    assert (tmp_path / "150.csv").read_bytes().decode().split("\n") == [
        "language,en,fr,sw",
        "en,1.000000,0.000000,-1.000000",
        "fr,0.000000,1.000000,0.000000",
        "sw,-1.000000,0.000000,1.000000",
        "",
    ]
    assert json.loads((tmp_path / "150.json").read_text(encoding="utf-8")) == {
        "kind": "updates",
        "step": 150,
        "since": 0,
        "languages": ["en", "fr", "sw"],
        "share_negative": 1 / 3,
        "mean_cosine": -1 / 3,
        "mode": "exact",
        "width": 2,
        "standard_error": 0.0,
        "steps": {"en": 3, "fr": 2, "sw": 3},
        "matrices": ["a"],
    }
    read = read_table(tmp_path / "150.csv", tmp_path / "150.json")
    assert (read.languages, read.cosines[2].tolist()) == (THREE, [-1, 0, 1])


def test_tables_say_since_when():
    trace = small_trace()
    assert [table_of(trace, kind, 150).about["since"] for kind in KINDS] == [0, 100, 0, 100, 150]


@pytest.mark.parametrize(
    "text", ["", "language,en\n", "language,en,fr,sw\nen,1,x,0\n", "language,en,fr,sw\nen,1,0,0\n"]
)
def test_a_broken_table_is_named(tmp_path, text):
    write_table(table_of(small_trace(), "updates", 150), tmp_path / "150.csv", tmp_path / "150.json")
    (tmp_path / "150.csv").write_text(text, encoding="utf-8")
    with pytest.raises(PolyticketError, match=r"150\.csv: not a table of cosines; expected those of en, fr, sw"):
        read_table(tmp_path / "150.csv", tmp_path / "150.json")


# figures


def test_heat_maps_say_the_cosines_of_each_run(tmp_path):
    table = table_of(small_trace(), "recent_updates", 150)
    other = table_of(trace_of(THREE), "recent_updates", 200)
    plot_conflict({"main": table, "dense": other}, tmp_path / "c.svg")
    found = texts_of(tmp_path / "c.svg")
    assert {"main", "dense", "English  en", "fr", "67% of pairs negative, mean −0.33", "−0.71", "+0.71"} <= set(found)
    assert [found.count("−1.00"), found.count("+1.00")] == [4, 2]  # the pair, twice; scales; never the diagonal
    assert any(text.endswith("; each ± 0.1") for text in found)


def test_heat_maps_say_that_cosines_are_over_shared_weights(tmp_path):
    plot_conflict({"main": table_of(small_trace(), "own_shared", 150)}, tmp_path / "c.svg")
    assert "0% of pairs negative, mean +0.47, over shared weights" in texts_of(tmp_path / "c.svg")


def test_heat_maps_of_103_languages_name_each_and_are_the_same_bytes(tmp_path):
    table = table_of(trace_of(CODES), "updates", 200)
    for name in ("one.svg", "two.svg"):
        plot_conflict({"main": table}, tmp_path / name)
    assert set(CODES) <= set(texts_of(tmp_path / "one.svg"))
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_one_language_has_nothing_to_compare(tmp_path):
    trace = trace_of(["en"])
    table = table_of(trace, "updates", 200)
    assert (table.about["share_negative"], table.about["mean_cosine"]) == (None, None)
    plot_conflict({"main": table}, tmp_path / "c.svg")
    assert texts_of(tmp_path / "c.svg") == ["one language (en): no pairs to compare", "main"]
    plot_conflict_trend({"main": trace}, tmp_path / "t.svg")
    assert texts_of(tmp_path / "t.svg").count("no point at which every language was seen") == 2


def test_the_trend_leaves_out_points_where_a_language_was_missing():
    trace = small_trace()
    assert trend(trace, "updates", share_negative).tolist() == [[150, 1 / 3]]
    assert trend(trace, "gradients", mean_cosine).tolist() == [[100, -1 / 3], [150, 1]]


def test_the_trend_names_runs_and_kinds(tmp_path):
    for name in ("one.svg", "two.svg"):
        plot_conflict_trend({"main": trace_of(THREE), "dense": trace_of(THREE, seed=1)}, tmp_path / name)
    kinds = {"updates since the start", "own parts since the point before", "gradients at the step"}
    assert {"main", "dense", "Mean cosine", "Pairs of languages with a negative cosine"} | kinds <= set(
        texts_of(tmp_path / "one.svg")
    )
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
