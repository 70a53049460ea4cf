import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_finetune import PANX, QUICK, SHAPE, SPLITS
from test_finetune import tokenizer as tokenizer

from polyticket.errors import PolyticketError
from polyticket.model.initial import initial_model
from polyticket.subnetworks.live import newest
from polyticket.subnetworks.rounds import Rounds
from polyticket.subnetworks.search import Found, SearchOptions, search
from polyticket.tasks.bert_subject import BertSubject
from polyticket.tasks.finetune import Assignment
from polyticket.tasks.pieces import Pieces

OPTIONS = replace(QUICK, learning_rate=3e-3)
SHORT = SearchOptions(steps_per_round=6, levels=4)
WEIGHTS = 2 * (4 * 32 * 32 + 2 * 32 * 64) + 32 * 32  # of two layers and the pooler


def rounds(tokenizer: Path, seed=1, options=OPTIONS) -> Rounds:
    subject = BertSubject(initial_model(replace(SHAPE, initializer_range=0.1), 7), Pieces(tokenizer))
    return Rounds(subject, SPLITS, Assignment(PANX, "xx", seed, options))


def found(tokenizer: Path, live: Path, options=SHORT) -> list[Found]:
    return list(search(rounds(tokenizer), options, live))


def same(first: list[Found], second: list[Found]) -> bool:
    masks = all(np.array_equal(a.masks.words, b.masks.words) for a, b in zip(first, second, strict=True))
    return masks and [one.metrics for one in first] == [one.metrics for one in second]


@pytest.fixture(scope="module")
def whole(tokenizer, tmp_path_factory) -> list[Found]:
    return found(tokenizer, tmp_path_factory.mktemp("live"))


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
    made.run(made.candidates.full, 0, 6)
    values = np.concatenate([weight.abs().flatten().numpy() for weight in made.candidates.weights.values()])
    cut = np.sort(values)[WEIGHTS - int(0.9 * WEIGHTS)]
    first = next(iter(search(rounds(tokenizer), replace(SHORT, levels=1), tmp_path / "one")), None)
    assert first is not None
    options = replace(SHORT, levels=2)
    level = list(search(rounds(tokenizer), options, tmp_path / "two"))[1]
    for name, weight in made.candidates.weights.items():
        assert np.array_equal(level.masks[name][0], weight.abs().numpy() >= cut), name


def test_published_fault_rewinding_restores_the_original_weights(tokenizer):
    made = rounds(tokenizer)
    start = {name: weight.clone() for name, weight in made.learner.body.named_parameters()}
    losses = []
    for _ in range(2):
        losses.append(made.run(made.candidates.full, 0, 4).loss)
        assert any(not torch.equal(start[name], p) for name, p in made.learner.body.named_parameters())
        made.load_head(dict(made._original["head"].items()))
    assert losses[0] == losses[1]  # the same round from the same weights, head included
    made.run(made.candidates.full, 0, 1)
    made.asked = replace(made.asked, options=replace(OPTIONS, learning_rate=0.0))
    made.run(made.candidates.full, 0, 1)
    assert all(torch.equal(start[name], p) for name, p in made.learner.body.named_parameters())


def test_pruned_weights_are_zero_during_and_after_training(tokenizer, whole):
    made = rounds(tokenizer)
    made.run(whole[3].masks, 3, 6)
    for name, weight in made.candidates.weights.items():
        kept = whole[3].masks[name][0]
        assert not weight.numpy()[~kept].any()
        assert weight.numpy()[kept].all()


def test_a_search_that_is_killed_after_any_round_ends_the_same(tokenizer, whole, tmp_path):
    for rounds_done in (1, 2, 3):
        live = tmp_path / str(rounds_done)
        begun = search(rounds(tokenizer), SHORT, live)
        for _ in range(rounds_done):
            next(begun)
        begun.close()
        assert len(newest(live).metrics) == rounds_done
        assert len(list(live.iterdir())) == 1
        assert same(found(tokenizer, live), whole)
    (live / ".round_004.safetensors.part").write_bytes(b"half")
    assert same(found(tokenizer, live), whole)


def batches_of(made: Rounds, lengths: list[int]) -> list[list[int]]:
    """The windows of each micro-batch in rounds of so many steps."""
    seen, collate = [], made.form.collate

    def noted(encoded, numbers, random):
        if random is not None:
            seen.append(numbers.tolist())
        return collate(encoded, numbers, random)

    made.form.collate = noted
    for number, steps in enumerate(lengths):
        made.run(made.candidates.full, number, steps)
    return seen


def test_batches_run_on_over_a_pruning(tokenizer):
    assert batches_of(rounds(tokenizer), [5, 5, 5]) == batches_of(rounds(tokenizer), [15])


def test_one_shot_prunes_every_level_from_the_trained_full_model(tokenizer, tmp_path):
    levels = found(tokenizer, tmp_path / "a", replace(SHORT, pruning="oneshot"))
    made = rounds(tokenizer)
    made.run(made.candidates.full, 0, 6)
    values = np.concatenate([weight.abs().flatten().numpy() for weight in made.candidates.weights.values()])
    cut = np.sort(values)[WEIGHTS - int(0.7 * WEIGHTS)]
    for name, weight in made.candidates.weights.items():
        assert np.array_equal(levels[3].masks[name][0], weight.abs().numpy() >= cut), name
    assert same(levels, found(tokenizer, tmp_path / "b", replace(SHORT, pruning="oneshot")))


def test_controls_keep_as_much_and_other_weights(tokenizer, whole, tmp_path):
    for control in ("random", "component"):
        levels = found(tokenizer, tmp_path / control, replace(SHORT, pruning=control))
        kept = [int(one.masks.counts().sum()) for one in levels]
        assert kept == pytest.approx([int(one.masks.counts().sum()) for one in whole], abs=20)
        assert not np.array_equal(levels[3].masks.words, whole[3].masks.words)


def test_random_weights_are_another_model(tokenizer):
    subject = BertSubject(initial_model(SHAPE, 7), Pieces(tokenizer))
    drawn = subject.reinitialized(3)
    assert drawn.shapes() == subject.shapes()
    assert np.array_equal(drawn.model.weights["bert.encoder.layer.0.output.dense.weight"],
                          initial_model(SHAPE, 3).weights["bert.encoder.layer.0.output.dense.weight"])  # fmt: skip
    with pytest.raises(PolyticketError, match=r"subnetworks.weights: 'other'; expected pretrained or random"):
        SearchOptions(weights="other")


def test_a_pooler_that_the_model_lacks_is_not_pruned(tokenizer):
    model = initial_model(SHAPE, 7)
    bare = {name: array for name, array in model.weights.items() if "pooler" not in name}
    subject = BertSubject(replace(model, weights=bare), Pieces(tokenizer))
    made = Rounds(subject, SPLITS, Assignment(PANX, "xx", 1, OPTIONS))
    assert sum(made.candidates.full.sizes.values()) == WEIGHTS - 32 * 32
