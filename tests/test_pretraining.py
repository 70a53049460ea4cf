"""Pretraining: the schedule, the data order, the optimiser, the loop and its checkpoints."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import torch

from polyticket.conflict.cosines import chosen_matrices
from polyticket.conflict.settings import Settings
from polyticket.conflict.sketch import StepSums, projection_of, step_sums
from polyticket.conflict.trace import write_trace
from polyticket.core.errors import PolyticketError
from polyticket.core.files import write_json
from polyticket.core.random_streams import stream
from polyticket.model.folder import Model
from polyticket.model.tf_checkpoint import model_variables, read_checkpoint, write_model_checkpoint
from polyticket.model.torch_bert import pretraining_losses, torch_masks, torch_model
from polyticket.pretraining import feed as passes
from polyticket.pretraining import run as pretraining_run
from polyticket.pretraining.checkpoints import Point, ResumeCheckpoints, read_history, write_history
from polyticket.pretraining.feed import batches, record_stream
from polyticket.pretraining.optimizer import AdamWeightDecay
from polyticket.pretraining.plan import Phase, Shards, plan_of
from polyticket.pretraining.run import pretrain
from polyticket.pretraining.strategy import HostDevices
from polyticket.pretraining.trainer import Computation, Trainer
from polyticket.store.base import open_store
from polyticket.store.directories import (
    StoredDirectory,
    delete_directory,
    list_directories,
    read_directory,
    read_stored_directory,
    stored_directory,
    upload_directory,
    upload_owned,
)
from tests.support.models import TINY, batch_of_parts, random_batch, trained_model, with_random_masks
from tests.support.pretraining import LENGTH, OWNER, SHAPE, make_plan, run, write_records


def make_trainer(
    model: Model, optimizer: AdamWeightDecay, *, conflict: Callable[[], StepSums] | None = None, **how: object
) -> Trainer:
    variables = model_variables(model)
    masks = {name: array for name, array in variables.items() if name.endswith("_mask")}
    strategy = tf.distribute.get_strategy()
    trainer = Trainer(
        model.shape, masks, optimizer, seed=1, computation=Computation(**how), strategy=strategy, conflict=conflict
    )
    trainer.load(variables)
    return trainer


def upload_initial(folder: Path, url: str = "", *, seed: int = 5, owner: str = OWNER) -> StoredDirectory:
    """The start of a run whose results stand in a folder, uploaded, as its receipt names it."""
    (folder / "initial").mkdir()
    write_model_checkpoint(with_random_masks(trained_model(SHAPE, scale=1), seed=seed), folder / "initial")
    store = open_store(url or f"file://{folder}/store")
    write_json(folder / "upload.json", upload_owned(store, folder / "initial", "initial", owner))
    return stored_directory(folder / "upload.json")


def ids_of(shards: Shards) -> list[bytes]:
    return [record.numpy() for record in tf.data.TFRecordDataset(list(shards.files))]


def records_from(shards: Shards, start: int, count: int, *, language: str = "en", seed: int = 3) -> list[bytes]:
    return [record.numpy() for record in record_stream(shards, start, language, seed).take(count)]


def test_every_pass_but_the_first_is_in_an_order_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(passes, "READ_TOGETHER", 4)  # over the end of a pass
    shards = write_records(tmp_path / "en", 0, (5, 0, 6))
    every = ids_of(shards)
    assert len(set(every)) == 11
    found = [[every.index(one) for one in records_from(shards, 11 * n, 11)] for n in range(4)]
    assert found[0] == list(range(11))
    assert [sorted(order) for order in found] == [list(range(11))] * 4
    assert len(set(map(tuple, found))) == 4
    assert found[2] == stream(3, "en", "pass", 2).permutation(11).tolist()
    for other in ({"language": "fr"}, {"seed": 4}):
        assert records_from(shards, 11, 11, **other) != [every[n] for n in found[1]]


@pytest.mark.parametrize("start", [0, 4, 5, 10, 11, 24])
def test_a_stream_starts_at_any_record_of_the_endless_sequence_however_it_is_cut(tmp_path, start):
    shards = write_records(tmp_path / "en", 0, (5, 0, 6))
    whole = tmp_path / "whole.tfrecord"
    whole.write_bytes(b"".join(Path(file).read_bytes() for file in shards.files))
    assert records_from(shards, start, 25) == records_from(Shards((str(whole),), (11,)), 0, start + 25)[start:]


def test_a_file_with_other_records_than_were_counted_is_named(tmp_path):
    shards = replace(write_records(tmp_path / "en", 0, (5,)), counts=(6,))
    with pytest.raises(PolyticketError, match=r"00000-of-00001.tfrecord: 5 records; expected 6"):
        passes.Passes(shards, "en", 3).read(np.array([6]))


def test_every_batch_is_of_one_language_and_a_resumed_run_sees_the_same(tmp_path):
    plan = make_plan(tmp_path)
    whole = list(batches(plan, 0))
    assert len(whole) == plan.phase.until
    assert [int(batch["language"][0, 0]) for batch in whole] == plan.draws().ravel().tolist()
    assert all(len(set(batch["language"].numpy().ravel())) == 1 for batch in whole)
    for before, after in zip(whole[7:], batches(plan, 7), strict=True):
        for name in before:
            np.testing.assert_array_equal(before[name], after[name])
    assert whole[0]["input_ids"].shape == (4, LENGTH)
    assert whole[0]["input_ids"].dtype == tf.int32


def test_no_thread_tunes_the_feed_whose_end_would_wait_for_it(tmp_path):
    plan = make_plan(tmp_path, languages_per_step=2)
    for devices in (passes.ONE_DEVICE, HostDevices(2, 0, 2)):
        for made in (batches(plan, 0, devices), passes.next_batches(plan, 0, devices)):
            assert made.options().autotune.enabled is False


@pytest.mark.parametrize(
    ("step", "rate"), [(0, 0.0), (1, 0.025), (3, 0.075), (4, 0.1 * 0.8), (10, 0.05), (20, 0.0), (25, 0.0)]
)
def test_the_learning_rate_warms_up_and_then_decays_to_the_total_steps(step, rate):
    optimizer = AdamWeightDecay(0.1, warmup_steps=4, total_steps=20)
    assert float(optimizer.learning_rate_at(tf.constant(step, tf.int64))) == pytest.approx(rate, abs=1e-8)


def reference_update(w, g, m, v, rate, decay):
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    return w - rate * (m / (np.sqrt(v) + 1e-6) + decay * w), m, v


def test_the_update_is_adam_without_bias_correction_and_with_decoupled_decay():
    optimizer = AdamWeightDecay(0.1, warmup_steps=0, total_steps=10, weight_decay=0.01)
    names = ["a/kernel", "a/bias", "a/LayerNorm/gamma"]
    random = np.random.default_rng(1)
    values = {name: random.normal(size=5).astype(np.float32) for name in names}
    variables = {name: tf.Variable(value) for name, value in values.items()}
    slots = {f"{name}/{slot}": tf.Variable(tf.zeros(5)) for name in names for slot in ("adam_m", "adam_v")}
    moments = {name: (np.zeros(5), np.zeros(5)) for name in names}
    for step in range(3):
        gradients = {name: random.normal(size=5).astype(np.float32) * 3 for name in names}
        norm = np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in gradients.values()))
        assert norm > 1  # so that clipping shows
        given, done = {n: tf.constant(g) for n, g in gradients.items()}, tf.constant(step, tf.int64)
        scale = optimizer.clip_scale(given)
        optimizer.apply(given, variables, slots, done, scale)
        own = optimizer.own(slots, done, {name: scale * given[name] for name in names[:2]})
        assert list(own) == names[:2]
        for name in names:
            decay = 0.01 if name == "a/kernel" else 0.0
            clipped = gradients[name] / norm
            rate = 0.1 * (1 - step / 10)
            values[name], *moments[name] = reference_update(values[name], clipped, *moments[name], rate, decay)
            np.testing.assert_allclose(variables[name].numpy(), values[name], rtol=1e-5, atol=1e-7)
            if name in own:
                wanted = rate * 0.1 * clipped / (np.sqrt(moments[name][1]) + 1e-6)
                np.testing.assert_allclose(own[name].numpy(), wanted, rtol=1e-5, atol=1e-7)


def torch_reference_losses(model, batches_, optimizer, parts):
    """The same training in PyTorch with its own autograd and a literal update: an independent reference."""
    network = torch_model(model).eval()  # dropout off
    named = dict(network.named_parameters())
    moments = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in named.items()}
    found = []
    for step, batch in enumerate(batches_):
        losses, clipped = [], []
        for part in range(parts):
            rows = {k: torch.from_numpy(np.split(v, parts)[part]) for k, v in batch.items()}
            tensors = {k: v.long() if v.dtype == torch.int32 else v for k, v in rows.items()}
            masks = torch_masks(model, model.languages[int(tensors["language"][0, 0])])
            mlm, nsp = pretraining_losses(network(tensors, masks), tensors)
            losses.append([mlm.item(), nsp.item()])
            gradients = torch.autograd.grad(mlm + nsp, list(named.values()))
            norm = torch.sqrt(sum((g.double() ** 2).sum() for g in gradients)).float()
            assert norm > 1  # so that clipping shows
            clipped.append([g / norm for g in gradients])
        found.append(np.mean(losses, 0))
        means = [sum(ones) / parts for ones in zip(*clipped, strict=True)]
        total, warm = optimizer.total_steps, optimizer.warmup_steps
        rate = optimizer.learning_rate * (step / warm if step < warm else 1 - step / total)
        with torch.no_grad():
            for (name, p), g in zip(named.items(), means, strict=True):
                m, v = moments[name]
                m.mul_(0.9).add_(g, alpha=0.1)
                v.mul_(0.999).add_(g**2, alpha=0.001)
                update = m / (v.sqrt() + 1e-6)
                if "LayerNorm" not in name and "bias" not in name:
                    update = update + 0.01 * p
                p.sub_(rate * update)
    return np.array(found)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"jit": True},
        {"languages_per_step": 4},
        {"languages_per_step": 2, "accumulation": 2, "compute": "compact", "jit": True},
    ],
    ids=str,
)
def test_twenty_steps_agree_with_an_independent_pytorch_reference(how):
    shape = replace(TINY, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model = with_random_masks(trained_model(shape, scale=1))
    optimizer = AdamWeightDecay(5e-3, warmup_steps=3, total_steps=30)
    trainer, parts = make_trainer(model, optimizer, **how), how.get("languages_per_step", 1)
    drawn = ((0, 1, 1, 0), (1, 1, 0, 1))
    steps = [batch_of_parts(drawn[step % 2][:parts], size=8, seed=step % 5) for step in range(20)]
    ours = np.array([trainer.step({k: tf.constant(v) for k, v in batch.items()}).numpy()[:2] for batch in steps])
    theirs = torch_reference_losses(model, steps, optimizer, parts)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert ours[-5:, 0].mean() < ours[:5, 0].mean() - 0.1  # it learns
    assert trainer.done() == 20


def test_own_updates_and_gradients_are_those_of_each_language_batch_and_updates_are_shared():
    shape = replace(TINY, num_hidden_layers=1, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model = with_random_masks(trained_model(shape, scale=1))
    projection = projection_of(Settings("exact"), shape, 1)
    optimizer = AdamWeightDecay(0.1, warmup_steps=0, total_steps=10, weight_decay=0.0)
    trainer = make_trainer(model, optimizer, conflict=lambda: step_sums(projection, 3), languages_per_step=4)
    batch = batch_of_parts((0, 1, 1, 0), size=8, seed=2)
    for part in range(4):
        trainer.add_gradients({name: tf.constant(np.split(x, 4)[part]) for name, x in batch.items()})
    gradients = trainer.conflict.own.take()
    trainer.step({name: tf.constant(x) for name, x in batch.items()})
    own, updates = trainer.conflict.own.take(), trainer.conflict.updates.take()
    assert [found.steps.tolist() for found in (gradients, own, updates)] == [[2, 2, 0]] * 3
    mean = gradients.sums.sum(0) / 4
    wanted = 0.1 * 0.1 * gradients.sums / (np.sqrt(0.001) * np.abs(mean) + 1e-6)  # of the first step, lr 0.1
    np.testing.assert_allclose(own.sums, wanted, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(updates.sums[0], updates.sums[1])
    found, wanted = updates.sums.sum(0), own.sums.sum(0) / 4
    rounding = np.spacing(np.abs(own.sums).max(0))  # of terms that may nearly cancel
    assert (np.abs(found - wanted) <= 1e-3 * np.abs(wanted) + np.maximum(1e-6, rounding)).all()
    assert (rounding > 1e-6).mean() < 0.01
    assert np.abs(updates.sums).max() > 1e-2


def test_masks_are_never_trained_and_masked_neurons_get_no_gradient():
    model = with_random_masks(trained_model(SHAPE, scale=1))
    optimizer = AdamWeightDecay(1e-2, warmup_steps=0, total_steps=10, weight_decay=0.0)
    trainer = make_trainer(model, optimizer)
    for seed in range(3):
        trainer.step({k: tf.constant(v) for k, v in random_batch(language=1, seed=seed).items()})
    state = trainer.state()
    site = "bert/encoder/layer_0/intermediate/"
    mask = model.masks["bert.encoder.layer.0.intermediate.intermediate_mask"]
    np.testing.assert_array_equal(state[f"{site}intermediate_mask"], mask)
    change = state[f"{site}dense/kernel"] - model_variables(model)[f"{site}dense/kernel"]
    pruned = mask[1] == 0
    assert (change[:, pruned] == 0).all()
    assert (np.abs(change[:, ~pruned]).max(0) > 0).all()


def test_published_fault_two_runs_with_one_seed_are_the_same(tmp_path):
    plan, initial = make_plan(tmp_path), upload_initial(tmp_path)
    _, history, one = run(tmp_path, plan, initial, prefix="one")
    _, same, two = run(tmp_path, plan, initial, prefix="two")
    assert history == same
    assert one.keys() == two.keys()
    for name in one:
        assert one[name].tobytes() == two[name].tobytes(), name
    assert [point.step for point in history] == [3, 4, 6, 8, 9, 12]


class KilledError(Exception):
    """Stands in the tests for the end of the process."""


@pytest.mark.parametrize(("languages_per_step", "kills"), [(1, (1, 5, 8, 11)), (2, (5,)), (4, (11,))])
def test_a_killed_run_resumes_to_the_same_bytes(tmp_path, monkeypatch, languages_per_step, kills):
    plan, initial = make_plan(tmp_path, languages_per_step=languages_per_step), upload_initial(tmp_path)
    _, history, whole = run(tmp_path, plan, initial, prefix="whole")
    step = Trainer.step

    for killed_at in kills:
        calls = iter(range(1, 100))

        def dying(self, features, *, calls=calls, killed_at=killed_at):
            if next(calls) > killed_at:
                raise KilledError
            return step(self, features)

        with monkeypatch.context() as patched:
            patched.setattr(Trainer, "step", dying)
            with pytest.raises(KilledError):
                run(tmp_path, plan, initial, prefix=f"killed_{killed_at}")
        _, resumed_history, resumed = run(tmp_path, plan, initial, prefix=f"killed_{killed_at}")
        assert resumed_history == history
        for name in whole:
            assert whole[name].tobytes() == resumed[name].tobytes(), name


MEASURED = Settings("sketch", width=53)


def test_conflict_is_measured_at_every_save_point_and_changes_no_weight(tmp_path):
    initial = upload_initial(tmp_path)
    _, _, plain = run(tmp_path, make_plan(tmp_path), initial, prefix="plain")
    store, plan = open_store(f"file://{tmp_path}/store"), make_plan(tmp_path, conflict=MEASURED)
    made = pretrain(store, initial, ResumeCheckpoints(store, "measured", "run", 2, OWNER), plan, str(tmp_path / "tb"))
    measured = read_directory(open_store(made.receipt["url"]), "", read_checkpoint)
    for name in plain:
        assert plain[name].tobytes() == measured[name].tobytes(), name
    assert [(point.since, point.step) for point in made.trace.points] == [(0, 4), (4, 8), (8, 12)]
    draws = plan.draws().ravel()
    for point in made.trace.points:
        counts = [np.bincount(draws[first : point.step], minlength=2).tolist() for first in (0, point.since)]
        assert point.seen.tolist() == [*counts, *counts, [1, 1]]  # one gradient of each language


def test_published_fault_exact_updates_are_what_the_weights_moved_by(tmp_path):
    initial = upload_initial(tmp_path)
    store, plan = open_store(f"file://{tmp_path}/store"), make_plan(tmp_path, until=4, conflict=Settings("exact"))
    made = pretrain(store, initial, ResumeCheckpoints(store, "exact", "run", 2, OWNER), plan, str(tmp_path / "tb"))
    before = read_stored_directory(initial, read_checkpoint)
    after = read_directory(open_store(made.receipt["url"]), "", read_checkpoint)
    moved = np.concatenate([(before[n] - after[n]).ravel() for n in chosen_matrices(SHAPE, Settings())])
    np.testing.assert_allclose(made.trace.cumulative["updates"][0].sum(0), moved, atol=1e-6)
    assert np.abs(moved).max() > 1e-3
    kept, (own, _) = made.trace.units, made.trace.cumulative["own"]
    for row, vector in zip(kept.kept, own, strict=True):  # nothing of it is where the language's ticket prunes
        pruned, ends, at = 0, 0, 0
        for name, shape in chosen_matrices(SHAPE, Settings()).items():
            part = vector[ends : (ends := ends + shape[0] * shape[1])].reshape(shape)
            keeps = row[at : (at := at + shape[kept.axes[name]])]
            assert (np.compress(~keeps, part, kept.axes[name]) == 0).all(), name
            pruned += (~keeps).sum()
        assert pruned > 0
    np.testing.assert_allclose([np.diag(shares) for shares in made.trace.points[-1].kept], 1, atol=1e-12)


def test_the_first_update_is_all_its_language_s_own(tmp_path):
    initial, store = upload_initial(tmp_path), open_store(f"file://{tmp_path}/store")
    options = {"warmup_steps": 0, "weight_decay": 0.0, "conflict": Settings("exact")}
    plan = make_plan(tmp_path, until=1, **options)
    made = pretrain(store, initial, ResumeCheckpoints(store, "own", "run", 2, OWNER), plan, str(tmp_path / "tb"))
    (updates, seen), (own, counted) = (made.trace.cumulative[kind] for kind in ("updates", "own"))
    assert seen.tolist() == counted.tolist() == np.bincount(plan.draws().ravel(), minlength=2).tolist()
    np.testing.assert_allclose(own, updates, atol=1e-6)  # the rounding of a weight's difference
    assert np.abs(own).max() > 1e-4


def test_a_killed_run_remembers_the_same_conflict(tmp_path, monkeypatch):
    initial, plan = upload_initial(tmp_path), make_plan(tmp_path, conflict=MEASURED)
    store = open_store(f"file://{tmp_path}/store")

    def traced(prefix: str) -> Path:
        made = pretrain(store, initial, ResumeCheckpoints(store, prefix, "run", 2, OWNER), plan, str(tmp_path / "tb"))
        write_trace(made.trace, tmp_path / f"{prefix}.npz", cumulative=True)
        return tmp_path / f"{prefix}.npz"

    whole = traced("whole")
    step, calls = Trainer.step, iter(range(1, 100))

    def dying(self, features):
        if next(calls) > 6:
            raise KilledError
        return step(self, features)

    monkeypatch.setattr(Trainer, "step", dying)
    with pytest.raises(KilledError):
        traced("killed")
    monkeypatch.undo()
    assert traced("killed").read_bytes() == whole.read_bytes()


def test_two_phases_continue_one_schedule_and_optimiser(tmp_path):
    initial = upload_initial(tmp_path)
    first, _, _ = run(tmp_path, make_plan(tmp_path, until=8, total=12), initial, prefix="phase_1")
    plan = make_plan(tmp_path, first=8, until=12, total=12)
    before = StoredDirectory(first["url"], first["digest"], "phase_1.json")
    receipt, history, state = run(tmp_path, plan, before, prefix="phase_2")
    assert state["global_step"] == 12
    assert [point.step for point in history] == [3, 4, 6, 8, 9, 12]
    rates = {point.step: point.learning_rate for point in history}
    assert rates[9] == pytest.approx(1e-3 * (1 - 8 / 12))  # of the whole schedule, not of the phase
    assert "bert/pooler/dense/kernel/adam_v" in state
    assert receipt["url"].endswith("/step-000000012")


def test_newest_checkpoints_are_kept_and_another_run_is_never_continued(tmp_path):
    plan, initial = make_plan(tmp_path), upload_initial(tmp_path)
    store = open_store(f"file://{tmp_path}/store")
    run(tmp_path, plan, initial)
    mine = list_directories(store, "live")
    assert [folder.split("/")[-1] for folder in mine] == ["step-000000008", "step-000000012"]
    assert ResumeCheckpoints(store, "live", "run", 2, OWNER).newest() == mine[1]
    assert ResumeCheckpoints(store, "live", "another run", 2, OWNER).newest() is None
    assert list_directories(store, "live") == mine  # a change that is taken back finds its checkpoints again
    run(tmp_path, plan, initial, identity="another run")
    assert not set(list_directories(store, "live")) & set(mine)  # removed when the other run is done
    assert len({name.split("/")[1] for name in store.names("live/")}) == 1


OTHER = "fedcba9876543210"


def test_two_runs_share_a_store_and_neither_touches_the_other(tmp_path, url):
    """Each step of one run stands between two of the other; their records, prefix and settings are the same."""
    plan, places = make_plan(tmp_path, until=4, save_steps=2, keep_checkpoints=1), [tmp_path / "a", tmp_path / "b"]
    for place in places:
        place.mkdir()
    first = upload_initial(places[0], url)
    second = upload_initial(places[1], url, seed=6, owner=OTHER)
    half = replace(plan, phase=replace(plan.phase, until=2))
    alone = [
        run(place, plan, initial, prefix=f"alone/{place.name}", url=url)[1:]
        for place, initial in zip(places, (first, second), strict=True)
    ]
    run(places[0], half, first, identity="first", url=url)
    kept = run(places[1], plan, second, identity="second", url=url, owner=OTHER)
    done = run(places[0], plan, first, identity="first", url=url)
    for found, expected in zip((done, kept), alone, strict=True):
        assert found[1] == expected[0]
        assert_same_state(found[2], expected[1])
    later = run(places[0], plan, first, identity="later", url=url)  # removes the first run's own
    store = open_store(url)
    assert sorted(list_directories(store, "live")) == sorted(
        made[0]["url"].removeprefix(f"{url}/") for made in (kept, later)
    )
    assert_same_state(
        read_stored_directory(StoredDirectory(kept[0]["url"], kept[0]["digest"], "b.json"), read_checkpoint), kept[2]
    )


def test_a_start_of_another_content_is_refused(tmp_path, url):
    plan, initial = make_plan(tmp_path, until=2), upload_initial(tmp_path, url)
    store, name = open_store(url), initial.url.removeprefix(f"{url}/")
    other = tmp_path / "other"
    other.mkdir()
    write_model_checkpoint(with_random_masks(trained_model(SHAPE, scale=1), seed=9), other)
    upload_directory(store, other, name)
    told = rf"^{initial.url}: its content has changed; expected what {tmp_path}/upload.json names: remove that"
    with pytest.raises(PolyticketError, match=told):
        run(tmp_path, plan, initial, url=url)
    delete_directory(store, name)
    with pytest.raises(
        PolyticketError, match=rf"^{initial.url}: no complete directory is there any more; expected what"
    ):
        run(tmp_path, plan, initial, url=url)
    assert list_directories(store, "live") == []


def test_an_equal_run_goes_on_from_the_others_checkpoint_into_its_own_folder(tmp_path):
    plan, initial = make_plan(tmp_path), upload_initial(tmp_path)
    whole = run(tmp_path, plan, initial)
    store = open_store(f"file://{tmp_path}/store")
    delete_directory(store, whole[0]["url"].removeprefix(f"{store.url}/"))
    again = run(tmp_path, plan, initial, owner=OTHER)
    assert again[1] == whole[1]
    assert_same_state(again[2], whole[2])
    steps = {folder.split("/")[1].split("-")[2]: folder.split("/")[2] for folder in list_directories(store, "live")}
    assert steps == {OWNER: "step-000000008", OTHER: "step-000000012"}


def test_a_checkpoint_that_an_equal_run_removes_meanwhile_is_not_missed(tmp_path, monkeypatch):
    plan, initial = make_plan(tmp_path), upload_initial(tmp_path)
    _, history, state = run(tmp_path, plan, initial)
    store = open_store(f"file://{tmp_path}/store")
    read = pretraining_run.read_directory

    def removed_before_it_is_read(store, folder, *args):
        monkeypatch.setattr(pretraining_run, "read_directory", read)
        delete_directory(store, folder)
        return read(store, folder, *args)

    monkeypatch.setattr(pretraining_run, "read_directory", removed_before_it_is_read)
    again = run(tmp_path, plan, initial, owner=OTHER)
    assert again[1] == history
    assert_same_state(again[2], state)
    assert len(list_directories(store, "live")) == 2


def test_what_a_kill_leaves_of_older_checkpoints_is_removed_with_them(tmp_path):
    store = open_store(f"file://{tmp_path}/store")
    live = ResumeCheckpoints(store, "live", "run", 1, OWNER)
    store.write(f"{live.prefix}/step-000000002/half", b"x")
    store.write(f"live/run-{'0' * 16}-{OWNER}/step-000000002/half", b"x")
    store.write(f"live/run-{'0' * 16}-{OTHER}/step-000000002/half", b"x")
    live.save(4, lambda folder: (folder / "weights").write_bytes(b"w"), [])
    own = [
        f"{live.prefix}/{name}"
        for name in ("run.json", *(f"step-000000004/{n}" for n in ("history.csv", "manifest.json", "weights")))
    ]
    assert [name for name in store.names() if name.startswith(live.prefix)] == own
    live.remove_superseded()
    assert store.names() == sorted([*own, f"live/run-{'0' * 16}-{OTHER}/step-000000002/half"])


def test_many_runs_at_once_end_with_all_that_their_receipts_name(url):
    """Equal runs and others beside each other in one phase, each with changes and with what a kill has left."""
    failures, receipts = [], {}

    def write(folder: Path, content: str) -> None:
        (folder / "weights").write_text(content)
        (folder / "config.json").write_text("{}")

    def content_of(named: StoredDirectory) -> str:
        return read_stored_directory(named, lambda folder: (folder / "weights").read_text())

    def live_as(number: int) -> None:
        owner, store = f"{number:016x}", open_store(url, deadline=20)
        try:
            for identity in ("same", f"own {number}", "same"):
                live = ResumeCheckpoints(store, "live", identity, 1, owner)
                for step in (2, 4, 6):
                    live.newest()
                    receipt = live.save(step, partial(write, content=f"{identity} {step}"), [])
                    named = StoredDirectory(receipt["url"], receipt["digest"], owner)
                    assert content_of(named) == f"{identity} {step}"
                store.write(f"{live.prefix}/step-000000003/weights", b"left by a kill")
                live.remove_superseded()
            receipts[owner] = named
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=live_as, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(f"{url}/{found}" for found in list_directories(open_store(url))) == sorted(
        n.url for n in receipts.values()
    )
    assert [content_of(named) for named in receipts.values()] == ["same 6"] * 4


def assert_same_state(found: dict, expected: dict) -> None:
    assert found.keys() == expected.keys()
    for name in found:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_checkpoints_live_in_a_folder_or_a_bucket_alike(tmp_path, url):
    plan, initial = make_plan(tmp_path, until=4), upload_initial(tmp_path, url)
    receipt, history, state = run(tmp_path, plan, initial, url=url)
    assert receipt["url"].startswith(f"{url}/live/run-")
    assert (state["global_step"], history[-1].step) == (4, 4)
    assert run(tmp_path, plan, initial, url=url)[0] == receipt


def test_a_finished_phase_is_not_trained_again(tmp_path, monkeypatch):
    plan, initial = make_plan(tmp_path), upload_initial(tmp_path)
    receipt, history, _ = run(tmp_path, plan, initial)
    monkeypatch.setattr(Trainer, "step", None)  # calling it would raise
    again, same, _ = run(tmp_path, plan, initial)
    assert (again, same) == (receipt, history)


def test_a_loss_that_is_not_finite_names_step_and_language_and_keeps_the_last_checkpoint(tmp_path):
    initial = upload_initial(tmp_path)
    plan = make_plan(tmp_path, learning_rate=1e30, warmup_steps=0)
    with pytest.raises(PolyticketError, match=r"the loss of step \d+ \(language (en|fr)\) is not finite"):
        run(tmp_path, plan, initial)


def test_scalars_are_written_for_tensorboard(tmp_path):
    run(tmp_path, make_plan(tmp_path), upload_initial(tmp_path))
    (events,) = (tmp_path / "tb").iterdir()
    found = {
        (value.tag, event.step)
        for event in tf.compat.v1.train.summary_iterator(str(events))
        for value in event.summary.value
    }
    tags = {"masked_lm_loss", "next_sentence_loss", "total_loss", "learning_rate"}
    tags |= {"languages_per_step", "steps_per_second", "tokens_per_second", "input_wait"}
    assert found == {(tag, step) for tag in tags for step in (3, 4, 6, 8, 9, 12)}


def test_a_plan_is_worked_out_from_configuration_and_statistics(tmp_path):
    phases = [
        {"max_seq_length": 128, "max_predictions": 20, "until_step": 90},
        {"max_seq_length": 512, "max_predictions": 80, "until_step": 100},
    ]
    settings = {"phases": phases, "batch_size": 8, "learning_rate": 1e-4, "warmup_steps": 10, "weight_decay": 0.01}
    settings |= {"save_steps": 5, "keep_checkpoints": 2, "log_steps": 1, "jit": True, "distribution": "default"}
    settings |= {"sampling_exponent": 0.5, "sampling_ratios": None}
    params = {"languages": ["en", "fr"], "options": settings, "phase_index": 1, "seed": 3, "compute_threads": 2}
    stats = [{"instances": n, "instances_per_shard": [n - 1, 1]} for n in (100, 400)]
    plan = plan_of([str(tmp_path / "en"), str(tmp_path / "fr")], stats, params)
    assert plan.phase == Phase(90, 100, 512, 80)
    assert plan.ratios == pytest.approx({"en": 1 / 3, "fr": 2 / 3})
    assert plan.options.total_steps == 100
    assert plan.shards[1].counts == (399, 1)
    moved = plan_of(
        [str(tmp_path / "x"), str(tmp_path / "y")], stats, params | {"options": settings | {"log_steps": 9}}
    )
    assert json.dumps(plan.decisive()) == json.dumps(moved.decisive())
    with pytest.raises(PolyticketError, match="no records of 'fr'"):
        plan_of(["en", "fr"], [stats[0], stats[1] | {"instances": 0}], params)


def test_history_rows_survive_the_file(tmp_path):
    rows = [Point(3, 1 / 3, 0.1 + 0.2, 0.633333, 1e-5), Point(6, 2.0, 0.5, 2.5, 0.0)]
    write_history(rows, tmp_path / "h.csv")
    assert read_history(tmp_path / "h.csv") == rows
    assert read_history(tmp_path / "none.csv") == []
