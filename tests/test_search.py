import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from polyticket.core.errors import PolyticketError
from polyticket.model.initial import initial_model
from polyticket.pruning.resume_state import newest
from polyticket.pruning.rounds import Rounds
from polyticket.pruning.search import SearchOptions, Subnetwork, search
from polyticket.tasks.backbones.bert import BertBackbone
from polyticket.tasks.examples import Pair, Text
from polyticket.tasks.finetuning import FinetuningSpec
from polyticket.tasks.options import FinetuneOptions, learning_rate_at
from polyticket.tasks.table import PANX, task_named
from polyticket.tasks.tokenizer import TaskTokenizer
from polyticket.tasks.training import Trainer
from tests.support.tagging import QUICK, SHAPE, SPLITS, write_tokenizer

XNLI, MLM = task_named("xnli"), task_named("mlm")
OPTIONS = replace(QUICK, learning_rate=3e-3)
SHORT = SearchOptions(steps_per_round=6, levels=4)
WEIGHTS = 2 * (4 * 32 * 32 + 2 * 32 * 64)  # of two layers; taggers do not read the pooler


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> Path:
    return write_tokenizer(tmp_path_factory.mktemp("module") / "tokenizer")


def rounds(tokenizer: Path, seed=1, options=OPTIONS) -> Rounds:
    backbone = BertBackbone(initial_model(replace(SHAPE, initializer_range=0.1), 7), TaskTokenizer(tokenizer))
    return Rounds(backbone, SPLITS, FinetuningSpec(PANX, "xx", seed, options))


def found(tokenizer: Path, directory: Path, options=SHORT) -> list[Subnetwork]:
    return list(search(rounds(tokenizer), options, directory))


def same(first: list[Subnetwork], second: list[Subnetwork]) -> bool:
    masks = all(np.array_equal(a.masks.words, b.masks.words) for a, b in zip(first, second, strict=True))
    return masks and [one.metrics for one in first] == [one.metrics for one in second]


@pytest.fixture(scope="module")
def whole(tokenizer, tmp_path_factory) -> list[Subnetwork]:
    return found(tokenizer, tmp_path_factory.mktemp("directory"))


def test_every_level_of_the_schedule_is_kept_with_its_metrics(whole):
    assert [one.level.sparsity for one in whole] == ["0", "10", "20", "30"]
    kept = [int(one.masks.counts().sum()) for one in whole]
    assert kept == [WEIGHTS, int(0.9 * WEIGHTS), int(0.8 * WEIGHTS), int(0.7 * WEIGHTS)]
    for one in whole:
        assert one.metrics["loss"] > 0
        assert 0 <= one.metrics["dev"]["f1"] <= 1
        assert one.metrics["test"].keys() == {"precision", "recall", "f1"}


def test_what_is_pruned_stays_pruned(whole):
    for before, after in itertools.pairwise(whole):
        assert not (after.masks.words & ~before.masks.words).any()


def test_each_round_prunes_the_smallest_of_the_weights_that_it_trained(tokenizer, tmp_path):
    made = rounds(tokenizer)
    made.run(made.prunable.full, 0, 6, decay_rounds=4)
    values = np.concatenate([weight.abs().flatten().numpy() for weight in made.prunable.weights.values()])
    cut = np.sort(values)[WEIGHTS - int(0.9 * WEIGHTS)]
    level = list(itertools.islice(search(rounds(tokenizer), SHORT, tmp_path), 2))[1]
    for name, weight in made.prunable.weights.items():
        assert np.array_equal(level.masks[name][0], weight.abs().numpy() >= cut), name


def test_published_fault_rewinding_restores_the_original_weights(tokenizer):
    made = rounds(tokenizer)
    start = {name: weight.clone() for name, weight in made.model.backbone.named_parameters()}
    losses = []
    for _ in range(2):
        losses.append(made.run(made.prunable.full, 0, 4).loss)
        assert any(not torch.equal(start[name], p) for name, p in made.model.backbone.named_parameters())
        made.load_head(dict(made._original["head"].items()))
    assert losses[0] == losses[1]  # the same round from the same weights, head included
    made.run(made.prunable.full, 0, 1)
    made.spec = replace(made.spec, options=replace(OPTIONS, learning_rate=0.0))
    made.run(made.prunable.full, 0, 1)
    assert all(torch.equal(start[name], p) for name, p in made.model.backbone.named_parameters())


def test_pruned_weights_are_zero_during_and_after_training(tokenizer, whole):
    made = rounds(tokenizer)
    made.run(whole[3].masks, 3, 6)
    for name, weight in made.prunable.weights.items():
        kept = whole[3].masks[name][0]
        assert not weight.numpy()[~kept].any()
        assert weight.numpy()[kept].all()


def test_a_search_that_is_killed_after_any_round_ends_the_same(tokenizer, whole, tmp_path):
    for rounds_done in (1, 2, 3):
        directory = tmp_path / str(rounds_done)
        begun = search(rounds(tokenizer), SHORT, directory)
        for _ in range(rounds_done):
            next(begun)
        begun.close()
        assert len(newest(directory).metrics) == rounds_done
        assert len(list(directory.iterdir())) == 1
        assert same(found(tokenizer, directory), whole)
    (directory / ".round_004.safetensors.part").write_bytes(b"half")
    assert same(found(tokenizer, directory), whole)


def batches_of(made: Rounds, lengths: list[int]) -> list[list[int]]:
    """The windows of each micro-batch in rounds of so many steps."""
    seen, collate = [], made.head.collate

    def noted(encoded, numbers, random):
        if random is not None:
            seen.append(numbers.tolist())
        return collate(encoded, numbers, random)

    made.head.collate = noted
    for number, steps in enumerate(lengths):
        made.run(made.prunable.full, number, steps)
    return seen


def test_batches_run_on_over_a_pruning(tokenizer):
    assert batches_of(rounds(tokenizer), [5, 5, 5]) == batches_of(rounds(tokenizer), [15])


def test_finetuned_prunes_every_level_from_the_trained_full_model(tokenizer, tmp_path):
    levels = found(tokenizer, tmp_path / "a", replace(SHORT, pruning="finetuned"))
    made = rounds(tokenizer)
    made.run(made.prunable.full, 0, 6, decay_rounds=4)
    values = np.concatenate([weight.abs().flatten().numpy() for weight in made.prunable.weights.values()])
    cut = np.sort(values)[WEIGHTS - int(0.7 * WEIGHTS)]
    for name, weight in made.prunable.weights.items():
        assert np.array_equal(levels[3].masks[name][0], weight.abs().numpy() >= cut), name
    assert same(levels, found(tokenizer, tmp_path / "b", replace(SHORT, pruning="finetuned")))


def test_controls_keep_as_much_and_other_weights(tokenizer, whole, tmp_path):
    for control in ("random", "component"):
        levels = found(tokenizer, tmp_path / control, replace(SHORT, pruning=control))
        kept = [int(one.masks.counts().sum()) for one in levels]
        assert kept == pytest.approx([int(one.masks.counts().sum()) for one in whole], abs=20)
        assert not np.array_equal(levels[3].masks.words, whole[3].masks.words)


def test_random_weights_are_another_model(tokenizer):
    backbone = BertBackbone(initial_model(SHAPE, 7), TaskTokenizer(tokenizer))
    drawn = backbone.reinitialized(3)
    assert drawn.shapes() == backbone.shapes()
    assert np.array_equal(drawn.model.weights["bert.encoder.layer.0.output.dense.weight"],
                          initial_model(SHAPE, 3).weights["bert.encoder.layer.0.output.dense.weight"])  # fmt: skip
    with pytest.raises(PolyticketError, match=r"subnetworks.weights: 'other'; expected pretrained or random"):
        SearchOptions(weights="other")


PAIRS = [Pair(" ".join(one.words), "aa", "neutral") for one in SPLITS["train"][:40]]
TEXTS = [Text(" ".join(one.words)) for one in SPLITS["train"][:40]]


@pytest.mark.parametrize(
    ("task", "examples", "weights"),
    [(PANX, SPLITS["train"], WEIGHTS), (XNLI, PAIRS, WEIGHTS + 32 * 32), (MLM, TEXTS, WEIGHTS)],
    ids=["panx", "xnli", "mlm"],
)
def test_a_pooler_is_pruned_and_counted_where_the_task_reads_it(tokenizer, task, examples, weights):
    model = initial_model(SHAPE, 7)
    bare = {name: array for name, array in model.weights.items() if "pooler" not in name}
    splits = dict.fromkeys(("train", "dev", "test"), examples)
    for one, most in ((model, weights), (replace(model, weights=bare), WEIGHTS)):
        made = Rounds(BertBackbone(one, TaskTokenizer(tokenizer)), splits, FinetuningSpec(task, "xx", 1, OPTIONS))
        assert sum(made.prunable.full.sizes.values()) == most


@pytest.mark.parametrize(
    ("lr_decay_over", "rounds_done"),
    [
        ("search", [[3e-3, 2.5e-3], [3e-3, 2.5e-3], [3e-3, 2.5e-3]]),  # from 3e-3 to 0 in the 6 steps of all rounds
        ("round", [[3e-3, 1.5e-3], [3e-3, 1.5e-3], [3e-3, 1.5e-3]]),
    ],
)
def test_a_round_begins_anew_with_the_learning_rate_and_the_optimizer(
    tokenizer, tmp_path, monkeypatch, lr_decay_over, rounds_done
):
    seen, step = [], Trainer.queued_step

    def noted(self, batches, rate, number):
        seen.append((rate, len(self.optimizer.state)))
        return step(self, batches, rate, number)

    monkeypatch.setattr(Trainer, "queued_step", noted)
    options = replace(SHORT, lr_decay_over=lr_decay_over, steps_per_round=2, levels=3)
    assert len(found(tokenizer, tmp_path, options)) == 3
    found_rates = [rate for rate, _ in seen]
    assert found_rates == pytest.approx([rate for one in rounds_done for rate in one], rel=1e-12)
    assert [moments == 0 for _, moments in seen] == [True, False] * 3


def test_the_published_line_of_the_learning_rate_is_at_0_at_the_end_of_all_rounds():
    options, rounds = FinetuneOptions(learning_rate=2e-5), SearchOptions().decay_rounds
    published = [learning_rate_at(options, at, rounds * 1875) for at in (0, 1, 1874)]
    assert published == pytest.approx([2e-5, 2e-5 * (1 - 1 / 18750), 2e-5 * (1 - 1874 / 18750)], rel=1e-12)
    assert (
        SearchOptions().lr_decay_over,
        SearchOptions().decay_rounds,
        SearchOptions(lr_decay_over="round").decay_rounds,
    ) == ("search", 10, 1)
    with pytest.raises(PolyticketError, match=r"subnetworks.lr_decay_over: 'none'; expected search or round"):
        SearchOptions(lr_decay_over="none")
