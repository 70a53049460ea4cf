from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from transformers import get_linear_schedule_with_warmup

from polyticket.core.errors import PolyticketError
from polyticket.model.folder import Model, write_model
from polyticket.model.initial import initial_model
from polyticket.model.shape import mask_sites
from polyticket.tasks.backbones.base import read_backbone
from polyticket.tasks.backbones.bert import USED, BertBackbone
from polyticket.tasks.baseline import baseline_scores
from polyticket.tasks.encoded import Encoded, Ragged, cached, padded
from polyticket.tasks.example_files import read_examples, write_examples
from polyticket.tasks.examples import Sentence
from polyticket.tasks.finetuning import (
    FinetuningSpec,
    build,
    encode,
    finetune,
    restricted,
    scores_by_class,
    write_curve,
)
from polyticket.tasks.heads.base import TaskModel
from polyticket.tasks.heads.registry import head_of
from polyticket.tasks.heads.tagging import Tagging
from polyticket.tasks.options import FinetuneOptions, learning_rate_at, planned_epochs
from polyticket.tasks.table import PANX, TASKS, with_inventory
from polyticket.tasks.tokenizer import TaskTokenizer
from polyticket.tasks.training import Trainer, cut, epoch_steps, planned_steps, predicted, sorted_batches, train
from polyticket.tasks.zero_shot import Tuned, read_tuned, score_zero_shot, write_tuned
from tests.support.tagging import PIECES, QUICK, SHAPE, SPLITS, write_tokenizer

TAGGING = Tagging(PANX)
WORDS = "bert.embeddings.word_embeddings.weight"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> Path:
    return write_tokenizer(tmp_path_factory.mktemp("module") / "tokenizer")


def masked(rows: dict[str, float]) -> Model:
    """A model whose languages' masks are all ones or all zeros."""
    masks = {
        site.name: np.array([[value if site.prunable else 1.0] * site.size for value in rows.values()], np.float32)
        for site in mask_sites(SHAPE)
    }
    return replace(initial_model(SHAPE, 7), masks=masks, languages=tuple(rows), mask_method="linear")


def run(tokenizer: Path, model: Model | None = None, language="xx", splits=SPLITS, seed=1, prune=False, **changes):
    backbone = BertBackbone(model or initial_model(SHAPE, 7), TaskTokenizer(tokenizer))
    options = replace(QUICK, **changes)
    return finetune(backbone, splits, FinetuningSpec(PANX, language, seed, options, prune))


@pytest.fixture(scope="module")
def learned(tokenizer):
    return run(tokenizer, epochs=6)


def test_a_learnable_task_is_learned_far_beyond_the_baseline(learned):
    baseline = baseline_scores(SPLITS, PANX, "xx")["test"]["f1"]
    assert baseline < 0.4
    assert learned.report["test"]["f1"] > 0.95


def test_report_says_what_was_done(learned):
    report = learned.report
    assert report["task"] == "panx"
    assert report["examples"] == {"train": 160, "dev": 20, "test": 30}
    assert report["windows"] == report["examples"]
    assert report["tokens"]["test"] == sum(2 + 4 * len(s.words) for s in SPLITS["test"])
    assert report["truncated"] == {"train": 0, "dev": 0, "test": 0}
    assert (report["steps"], report["epochs"], report["seed"], report["stopped"]) == (30, 6, 1, "end")
    assert (report["backbone"], report["mask_method"], report["density"]) == ("bert", "constant", 1.0)
    assert report["sentences_per_second"] > 0
    evaluated = {step: f1 for step, _, f1 in learned.curve if f1 is not None}
    assert list(evaluated) == [10, 20, 30]
    assert report["dev"]["f1"] == max(evaluated.values()) == evaluated[report["best_step"]]


def test_predictions_are_those_that_are_scored(learned):
    assert [len(tags) for tags in learned.predictions["test"]] == [len(s.words) for s in SPLITS["test"]]
    assert PANX.metric.score(SPLITS["test"], learned.predictions["test"]) == learned.report["test"]
    assert PANX.metric.score(SPLITS["dev"], learned.predictions["dev"]) == learned.report["dev"]
    classes = learned.report["by_class"]
    assert classes == {split: PANX.metric.by_class(SPLITS[split], learned.predictions[split]) for split in classes}
    there = sum(tag != "O" for sentence in SPLITS["test"] for tag in sentence.tags)
    assert sum(scores["support"] for scores in classes["test"].values()) == there
    assert (list(classes), list(classes["test"])) == (["dev", "test"], ["LOC", "PER"])


def test_scores_by_class_are_given_for_each_split_or_language():
    examples = {"fr": SPLITS["test"], "sw": SPLITS["dev"]}
    right = {language: [sentence.tags for sentence in split] for language, split in examples.items()}
    classes = scores_by_class(PANX, examples, right)["by_class"]
    assert [*classes] == ["fr", "sw"]
    assert {scores["f1"] for scores in classes["sw"].values()} == {1.0}
    assert scores_by_class(TASKS["mlm"], {}, {}) == {}


def test_same_seed_same_result_and_another_seed_another(tokenizer):
    first, again, other = run(tokenizer), run(tokenizer), run(tokenizer, seed=2)
    assert first.curve == again.curve
    assert first.predictions == again.predictions
    for report in (first.report, again.report):
        for key in ("wall_seconds", "sentences_per_second"):
            report.pop(key)
    assert first.report == again.report
    assert first.curve != other.curve


def test_published_fault_a_best_score_of_zero_saves_nothing(tokenizer):
    blank = [Sentence(s.words, ("O",) * len(s.words)) for s in SPLITS["dev"]]
    done = run(tokenizer, splits={**SPLITS, "dev": blank}, save_steps=4)
    assert done.report["dev"]["f1"] == 0.0
    assert done.report["best_step"] == 4
    assert len(done.predictions["test"]) == 30


def test_published_fault_a_model_path_with_a_slash_reads_no_data(tokenizer, tmp_path):
    folder = tmp_path / "org/model-LR2e-5"
    folder.mkdir(parents=True)
    write_model(initial_model(SHAPE, 7), folder, tokenizer=tokenizer)
    done = finetune(read_backbone(f"{folder}/"), SPLITS, FinetuningSpec(PANX, "xx", 1, QUICK))
    assert done.report["steps"] == 10
    assert done.predictions == run(tokenizer).predictions


def test_published_fault_results_are_appended_to_old_ones(tmp_path):
    for _ in range(2):
        write_curve(tmp_path / "curve.csv", [(1, 1.5, None), (2, 0.25, 0.5)])
    assert (tmp_path / "curve.csv").read_bytes() == b"step,loss,dev_score\n1,1.5,\n2,0.25,0.5\n"


def test_masks_of_the_language_are_used(tokenizer):
    model = masked({"full": 1.0, "none": 0.0})
    full, none = run(tokenizer, model, "full"), run(tokenizer, model, "none")
    assert (full.report["density"], none.report["density"]) == (1.0, 0.0)
    assert full.report["mask_method"] == "linear"
    assert full.curve == run(tokenizer).curve
    assert none.curve != full.curve
    with pytest.raises(PolyticketError, match="no mask for language 'other'; expected one of full, none"):
        run(tokenizer, model, "other")


def half_masked(scale: float = 0.02) -> Model:
    """A model of two languages whose masks keep different halves of every prunable site."""
    model = masked({"even": 1.0, "odd": 1.0})
    for site in mask_sites(SHAPE):
        if site.prunable:
            model.masks[site.name][:] = [np.arange(site.size) % 2 == row for row in (0, 1)]
    return replace(model, weights=initial_model(replace(SHAPE, initializer_range=scale), 7).weights)


def without_dropout(model: Model) -> Model:
    return replace(model, shape=replace(SHAPE, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0))


def trained(backbone: BertBackbone, encoded: dict[str, Encoded], options=QUICK, language="xx", prune=False):
    """A learner after training on toy windows, and how it went; dev is not looked at."""
    torch.set_num_threads(1)
    task_model = build(TAGGING, backbone, language, 1, prune=prune)
    task_model.masks = None if prune else backbone.masks(language)
    trainer = Trainer(task_model, TAGGING, options)
    return task_model, train(trainer, encoded["train"], len(SPLITS["train"]), lambda step: step, seed=1)


def test_a_pruned_model_trains_as_the_masked_one_does(tokenizer):
    backbone = BertBackbone(without_dropout(half_masked(0.2)), TaskTokenizer(tokenizer))
    encoded = encode(TAGGING, backbone, SPLITS, QUICK, None)
    options = replace(QUICK, learning_rate=1e-3)
    learners, losses = {}, {}
    for prune in (False, True):
        learners[prune], done = trained(backbone, encoded, options, "even", prune)
        losses[prune] = [loss for _, loss, _ in done.curve]
    assert losses[True] == pytest.approx(losses[False], rel=1e-3)
    assert losses[True][-1] < losses[True][0]
    count = {prune: sum(p.numel() for p in one.backbone.encoder.parameters()) for prune, one in learners.items()}
    assert count[True] < 0.55 * count[False]
    states = {prune: backbone.state(one.backbone, "even") for prune, one in learners.items()}
    assert states[True].keys() == states[False].keys()
    for name, tensor in states[False].items():  # what the masks remove stays as it was, in both
        if "pooler" not in name:
            torch.testing.assert_close(states[True][name], tensor, rtol=2e-2, atol=2e-3)


def test_pruned_fine_tuning_learns_as_well(tokenizer):
    found = {prune: run(tokenizer, half_masked(), "even", epochs=6, prune=prune) for prune in (False, True)}
    assert found[True].report["density"] == found[False].report["density"] == 0.5
    assert found[True].report["test"]["f1"] == pytest.approx(found[False].report["test"]["f1"], abs=0.05)
    assert found[True].report["test"]["f1"] > 0.9


def zero_shot(tokenizer: Path, model: Model, state, tests: dict[str, list[Sentence]]):
    tuned = Tuned({"task": "panx", "labels": list(PANX.labels), "language": "full", "seed": 1}, state)
    return score_zero_shot(BertBackbone(model, TaskTokenizer(tokenizer)), tuned, tests, task=PANX, options=QUICK)


def test_zero_shot_scores_other_languages_with_their_own_masks(tokenizer):
    model = masked({"full": 1.0, "none": 0.0})
    model.weights.update(initial_model(replace(SHAPE, initializer_range=0.5), 7).weights)  # so that masks matter
    done = run(tokenizer, model, "full", learning_rate=1e-4)
    found = zero_shot(tokenizer, model, done.state, {"full": SPLITS["test"], "none": SPLITS["test"]})
    scores, predictions = found["full"]
    assert (scores, predictions) == (pytest.approx(done.report["test"]), done.predictions["test"])
    assert found["none"][0] != scores


def test_zero_shot_reads_pieces_that_fine_tuning_never_saw(tokenizer):
    model = masked({"full": 1.0})
    seen = {name: [s for s in split if not any("t" in w for w in s.words)] for name, split in SPLITS.items()}
    done = run(tokenizer, model, "full", splits=seen, epochs=6)
    assert PIECES.index("##t") not in done.state[USED].tolist()
    other = [Sentence(("Pttt", "oab"), ("B-PER", "O")), Sentence(("oab", "Lttt"), ("O", "B-LOC"))]
    assert zero_shot(tokenizer, model, done.state, {"full": other})["full"] == (
        {"precision": 1.0, "recall": 1.0, "f1": 1.0},
        [sentence.tags for sentence in other],
    )
    whole = BertBackbone(model, TaskTokenizer(tokenizer)).with_state(done.state).model
    start, unseen = model.weights[WORDS], [PIECES.index("##t"), PIECES.index("unused3")]
    assert np.array_equal(whole.weights[WORDS][unseen], start[unseen])
    assert not np.array_equal(whole.weights[WORDS], start)


def test_a_pruned_models_weights_are_scored_in_the_full_model(tokenizer):
    model = half_masked()
    done = run(tokenizer, model, "even", epochs=4, prune=True)
    found = zero_shot(tokenizer, model, done.state, {"even": SPLITS["test"]})
    assert found["even"][0] == pytest.approx(done.report["test"], abs=0.02)


def test_fine_tuned_weights_are_kept_in_a_file(tokenizer, tmp_path):
    done = run(tokenizer, splits={**SPLITS, "train": SPLITS["train"][:40]})
    about = {"task": "panx", "labels": list(PANX.labels), "language": "xx", "seed": 1, "digests": {}}
    write_tuned(tmp_path / "tuned.safetensors", Tuned(about, done.state))
    read = read_tuned(tmp_path / "tuned.safetensors")
    assert read.about == about
    assert read.state.keys() == done.state.keys()
    assert all(torch.equal(tensor, read.state[name]) for name, tensor in done.state.items())
    other = replace(PANX, name="udpos")
    backbone = BertBackbone(initial_model(SHAPE, 7), TaskTokenizer(tokenizer))
    with pytest.raises(PolyticketError, match="weights of panx; expected weights of udpos"):
        score_zero_shot(backbone, read, {}, task=other, options=QUICK)
    with pytest.raises(PolyticketError, match=r"weights for the labels O, B-PER, .*; expected O, B-DATE, I-DATE"):
        score_zero_shot(backbone, read, {}, task=with_inventory(PANX, ["DATE"]), options=QUICK)
    (tmp_path / "no").write_bytes(b"no")
    with pytest.raises(PolyticketError, match="no: cannot be read as fine-tuned weights"):
        read_tuned(tmp_path / "no")
    with pytest.raises(PolyticketError, match="none: no such file"):
        read_tuned(tmp_path / "none")


def test_restricted_vocabulary_trains_the_same(tokenizer):
    backbone = BertBackbone(initial_model(SHAPE, 7), TaskTokenizer(tokenizer))
    encoded = encode(TAGGING, backbone, SPLITS, QUICK, None)
    small, renumbered = restricted(TAGGING, backbone, encoded)
    assert small.vocab_size == 25  # [CLS], [SEP], three first letters, twenty endings
    whole, part = (
        one.state(trained(one, data)[0].backbone, "xx") for one, data in ((backbone, encoded), (small, renumbered))
    )
    used = part.pop(USED).tolist()
    assert used == sorted({piece for split in encoded.values() for piece in split["ids"].values.tolist()})
    for name, tensor in part.items():  # only the order in which the gradients' norm is summed differs
        expected = whole[name][used] if name == WORDS else whole[name]
        torch.testing.assert_close(tensor, expected, rtol=1e-3, atol=1e-4)
    unused = sorted(set(range(len(PIECES))) - set(used))
    start = torch.from_numpy(backbone.model.weights[WORDS])
    assert torch.equal(whole[WORDS][unused], start[unused])


def test_first_step_is_that_of_adam_on_clipped_gradients_of_the_mean_over_all_words(tokenizer):
    backbone = BertBackbone(without_dropout(initial_model(SHAPE, 7)), TaskTokenizer(tokenizer))
    encoded = encode(TAGGING, backbone, SPLITS, QUICK, None)["train"]
    batches = [TAGGING.collate(encoded, np.array(numbers), None) for numbers in ([0, 1, 2], [3])]
    by_hand, task_model = (build(TAGGING, backbone, "xx", 1) for _ in range(2))
    mean = torch.stack([TAGGING.loss(by_hand, batch) for batch in batches]).sum() / sum(map(TAGGING.targets, batches))
    assert sum(map(TAGGING.targets, batches)) == sum(len(one.words) for one in SPLITS["train"][:4])
    mean.backward()
    gradients = [p.grad for p in by_hand.parameters() if p.grad is not None]
    norm = torch.sqrt(sum((g**2).sum() for g in gradients))
    assert norm > 1
    bias = by_hand.head[1].bias
    clipped = bias.grad / norm
    # Adam's first step with bias correction: the moments are g and g², so the change is lr · g / (|g| + eps).
    expected = bias.detach() - 0.01 * clipped / (clipped.abs() + 1e-8)
    assert Trainer(task_model, TAGGING, QUICK).step(batches, 0.01, 1) == pytest.approx(mean.item(), rel=1e-5)
    torch.testing.assert_close(task_model.head[1].bias.detach(), expected, rtol=1e-4, atol=1e-6)


class FreeLogits(Tagging):
    """Every word of a split has logits of its own, whose gradients tell what it weighs."""

    def collate(self, encoded, numbers, random):
        offsets = encoded["labels"].offsets
        words = np.concatenate([np.arange(offsets[number], offsets[number + 1]) for number in numbers])
        return super().collate(encoded, numbers, random) | {"word": torch.from_numpy(words)}

    def logits(self, task_model, batch):
        return task_model.backbone(batch["word"])


def test_every_word_of_a_step_weighs_the_same_whatever_the_length_of_its_sentence(tokenizer):
    head, options = FreeLogits(PANX), replace(QUICK, batch_size=4, accumulation=3)
    encoded = encode(head, BertBackbone(initial_model(SHAPE, 7), TaskTokenizer(tokenizer)), SPLITS, options, None)[
        "train"
    ]
    labels = encoded["labels"].values
    task_model = TaskModel(
        nn.Embedding(len(labels), len(PANX.labels), _weight=torch.zeros(len(labels), 7)), nn.Identity()
    )
    weights = []
    trainer = Trainer(
        task_model, head, options, lambda: weights.append(task_model.backbone.weight.grad.abs().amax(1) * 7 / 6)
    )
    lengths = []
    for number, windows in enumerate(planned_steps(encoded.lengths(), 1, options, seed=1), 1):
        batches = trainer.micro_batches(encoded, windows, None)
        assert len(batches) >= len(windows) // 4
        assert trainer.step(batches, 0.0, number) == pytest.approx(np.log(7))
        words = [len(encoded["labels"].row(n)) for n in windows]
        lengths.append(words)
        found = weights[-1][weights[-1] > 0]  # the gradient of softmax at equal logits is 1 − 1/7 at the label
        torch.testing.assert_close(found, torch.full((sum(words),), 1 / sum(words)), rtol=1e-5, atol=0)
    assert (torch.stack(weights) > 0).sum(0).tolist() == [1] * len(labels)
    assert all(words == sorted(words) for words in lengths)
    assert max(words[0] for words in lengths[:-1]) < min(words[-1] for words in lengths[:-1])  # all steps are mixed


def test_learning_rate_decays_linearly_to_zero(tokenizer):
    backbone = BertBackbone(initial_model(SHAPE, 7), TaskTokenizer(tokenizer))
    trainer = Trainer(build(TAGGING, backbone, "xx", 1), TAGGING, QUICK)
    rates, step = [], trainer.queued_step
    trainer.queued_step = lambda batches, rate, number: rates.append(rate) or step(batches, rate, number)
    train(trainer, encode(TAGGING, backbone, SPLITS, QUICK, None)["train"], 160, lambda step: 0.0, seed=1)
    assert rates == pytest.approx([5e-3 * (10 - n) / 10 for n in range(10)])


@pytest.mark.parametrize(("warmup", "steps"), [(0, 5), (2, 6), (5, 5), (8, 4)])
def test_the_schedule_is_the_published_one(warmup, steps):
    weight = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=3e-5)
    published = get_linear_schedule_with_warmup(optimizer, warmup, steps)
    for step in range(steps):
        rate = learning_rate_at(FinetuneOptions(learning_rate=3e-5, warmup_steps=warmup), step, steps)
        assert rate == pytest.approx(published.get_last_lr()[0])
        optimizer.step()
        published.step()


def test_a_constant_learning_rate_stays_after_warm_up(tokenizer):
    options = FinetuneOptions(learning_rate=2e-4, warmup_steps=2, lr_schedule="constant")
    assert [learning_rate_at(options, step, 5) for step in range(5)] == [0.0, 1e-4, 2e-4, 2e-4, 2e-4]
    assert [learning_rate_at(replace(options, lr_schedule="linear"), step, 5) for step in (1, 2, 4)] == pytest.approx(
        [1e-4, 2e-4, 2e-4 / 3], rel=1e-12
    )
    constant, linear = (run(tokenizer, lr_schedule=schedule, max_steps=3).curve for schedule in ("constant", "linear"))
    assert constant[:2] == linear[:2]  # the first update is at the peak in both
    assert constant[2] != linear[2]


def test_adafactor_takes_the_step_of_its_formula(tokenizer):
    before, after, optimizer, _ = first_step(tokenizer, optimizer="adafactor", max_grad_norm=None, weight_decay=0.5)
    _, plain, adam, _ = first_step(tokenizer, max_grad_norm=None)
    name, bias = "head.1.weight", "head.1.bias"
    gradient = adam.state[plain[name]]["exp_avg"].double() / 0.1
    squares = gradient**2  # the first step: decay 0, so means are of this gradient alone
    rows, columns = squares.mean(1, keepdim=True), squares.mean(0, keepdim=True)
    update = gradient * (rows.mean() / (rows * columns)).sqrt()
    update = update / max(1.0, update.pow(2).mean().sqrt().item())
    expected = before[name] * (1 - 0.01 * 0.5) - 0.01 * update.float()
    torch.testing.assert_close(after[name].detach(), expected, rtol=1e-4, atol=1e-7)
    assert torch.allclose(
        after[bias].abs(), torch.full_like(after[bias], 0.01), rtol=1e-4
    )  # its sign alone, and no decay
    assert set(optimizer.state[after[name]]) >= {"exp_avg_sq_row", "exp_avg_sq_col"}
    with pytest.raises(PolyticketError, match=r"optimizer 'sgd'; expected adamw or adafactor"):
        first_step(tokenizer, optimizer="sgd")


@pytest.mark.parametrize(("most", "epochs"), [(3, 1), (5, 1), (6, 2), (12, 3)])
def test_as_many_steps_as_asked_for_in_place_of_epochs(tokenizer, most, epochs):
    done = run(tokenizer, max_steps=most, epochs=40, adaptive_least_seen=10**6)
    assert (done.report["steps"], done.report["epochs"], len(done.curve)) == (most, epochs, most)


def first_step(tokenizer, **changes):
    """Weights before and after one step at a learning rate of 0.01, and the gradients it took."""
    backbone = BertBackbone(without_dropout(initial_model(SHAPE, 7)), TaskTokenizer(tokenizer))
    encoded = encode(TAGGING, backbone, SPLITS, QUICK, None)["train"]
    task_model = build(TAGGING, backbone, "xx", 1)
    before = {name: weight.detach().clone() for name, weight in task_model.named_parameters()}
    norms = []
    trainer = Trainer(
        task_model,
        TAGGING,
        replace(QUICK, **changes),
        lambda: norms.append(task_model.head[1].weight.grad.norm().item()),
    )
    trainer.step([TAGGING.collate(encoded, np.arange(4), None)], 0.01, 1)
    return before, dict(task_model.named_parameters()), trainer.optimizer, norms[0]


def test_all_weights_decay_but_biases_and_layer_norms(tokenizer):
    before, plain, _, _ = first_step(tokenizer)
    _, decayed, _, _ = first_step(tokenizer, weight_decay=0.5)
    for name, start in before.items():
        bare = name.endswith("bias") or "LayerNorm" in name or "pooler" in name  # which tagging never reads
        expected = plain[name] - (0.0 if bare else 0.01 * 0.5) * start
        torch.testing.assert_close(decayed[name], expected, rtol=1e-5, atol=1e-7)


def test_gradients_are_clipped_to_the_norm_asked_for_or_not_at_all(tokenizer):
    moments = {}
    for most in (1.0, 0.25, None):
        _, weights, optimizer, norm = first_step(tokenizer, max_grad_norm=most)
        moments[most] = optimizer.state[weights["head.1.weight"]]["exp_avg"].norm().item() / 0.1
        assert most is not None or moments[most] == pytest.approx(norm, rel=1e-5)
    assert moments[1.0] == pytest.approx(4 * moments[0.25], rel=1e-4)
    assert moments[1.0] < moments[None]


def test_labels_may_stand_on_all_tokens_of_a_word_in_training_alone(tokenizer):
    sentences = [
        Sentence(("Pab", "L", "oc"), ("B-PER", "B-LOC", "O")), Sentence(("Pabc", "Lst"), ("B-PER", "I-PER")),
    ]  # fmt: skip
    pieces, random = TaskTokenizer(tokenizer), np.random.default_rng(0)
    head = Tagging(PANX, replace(QUICK, label_all_tokens=True))
    encoded = head.encode(sentences, pieces, 32)
    o, b_per, i_per, b_loc = (PANX.labels.index(name) for name in ("O", "B-PER", "I-PER", "B-LOC"))
    batch = head.collate(encoded, np.array([0, 1]), random)
    wide = batch["ids"].shape[1]
    assert batch["places"].tolist() == [1, 2, 3, 4, 5, 6, *(wide + place for place in range(1, 8))]
    assert batch["labels"].tolist() == [b_per, i_per, i_per, b_loc, o, o, b_per, *[i_per] * 6]
    assert head.targets(batch) == 13
    firsts = TAGGING.collate(encoded, np.array([0, 1]), random)
    for name, tensor in head.collate(encoded, np.array([0, 1]), None).items():
        assert torch.equal(tensor, firsts[name])
    assert firsts["labels"].tolist() == [b_per, b_loc, o, b_per, i_per]
    assert firsts["places"].tolist() == [1, 4, 5, wide + 1, wide + 5]


def test_a_model_learns_with_labels_on_all_tokens(tokenizer, learned):
    done = run(tokenizer, epochs=6, label_all_tokens=True)
    assert done.report["test"]["f1"] > 0.95
    assert done.curve[0] != learned.curve[0]


def test_patience_stops_and_the_best_step_is_put_back(tokenizer):
    backbone = BertBackbone(initial_model(SHAPE, 7), TaskTokenizer(tokenizer))
    encoded = encode(TAGGING, backbone, SPLITS, QUICK, None)["train"]
    task_model, states = build(TAGGING, backbone, "xx", 1), {}
    scores = iter([0.1, 0.3, 0.3, 0.2])

    def evaluate(step: int) -> float:
        states[step] = task_model.head[1].weight.detach().clone()
        return next(scores)

    options = replace(QUICK, save_steps=1, patience=2)
    done = train(Trainer(task_model, TAGGING, options), encoded, 160, evaluate, seed=1)
    assert (done.steps, done.best_step, done.stopped) == (4, 2, "patience")
    assert [score for _, _, score in done.curve] == [0.1, 0.3, 0.3, 0.2]
    assert torch.equal(task_model.head[1].weight, states[2])


def test_gradients_may_be_masked_before_they_are_clipped(tokenizer):
    backbone = BertBackbone(initial_model(SHAPE, 7), TaskTokenizer(tokenizer))
    task_model = build(TAGGING, backbone, "xx", 1)
    weight = task_model.backbone.encoder["layer"][0].intermediate["dense"].weight
    before = weight.detach().clone()
    trainer = Trainer(task_model, TAGGING, QUICK, on_gradients=lambda: weight.grad[0].zero_())
    train(trainer, encode(TAGGING, backbone, SPLITS, QUICK, None)["train"], 160, lambda step: 0.0, seed=1)
    assert torch.equal(weight[0], before[0])
    assert not torch.equal(weight[1], before[1])


def test_bfloat16_learns_too(tokenizer):
    exact, rounded = (run(tokenizer, epochs=6, precision=precision) for precision in ("float32", "bfloat16"))
    assert exact.curve != rounded.curve
    assert rounded.report["test"]["f1"] > 0.95


@pytest.mark.parametrize(
    ("examples", "epochs"), [(20_000, 2), (5000, 2), (4999, 3), (1000, 10), (999, 11), (1, 10_000)]
)
def test_small_splits_are_repeated_until_enough_was_seen(examples, epochs):
    assert planned_epochs(examples, FinetuneOptions()) == epochs


def test_what_meets_in_a_step_is_drawn_whatever_the_lengths_are_and_then_sorted():
    lengths = np.array([9, 3, 5, 7, 3, 8, 4, 6, 2])
    steps = [step.tolist() for step in epoch_steps(lengths, 4, np.random.default_rng(0))]
    order = np.random.default_rng(0).permutation(9).tolist()
    assert [sorted(step) for step in steps] == [sorted(order[start : start + 4]) for start in (0, 4, 8)]
    assert [lengths[step].tolist() for step in steps] == [sorted(lengths[step].tolist()) for step in steps]


@pytest.mark.parametrize(
    ("lengths", "most", "overhead", "parts"),
    [
        ([2, 2, 3, 9, 9], 4, 4, [[2, 2, 3], [9, 9]]),  # 9 + 18 + 2 · 4
        ([2, 2, 3, 9, 9], 4, 0, [[2, 2], [3], [9, 9]]),  # without padding
        ([2, 2, 3, 9, 9], 5, 22, [[2, 2, 3, 9, 9]]),  # 45 + 22, against 27 + 44
        ([2, 2, 3, 9, 9], 4, 10_000, [[2, 2, 3], [9, 9]]),  # as few as may be, with the least padding
        ([5, 5, 5, 5], 3, 1, [[5], [5, 5, 5]]),
        ([7], 3, 1, [[7]]),
        ([], 3, 1, []),
    ],
)
def test_a_step_is_cut_into_the_micro_batches_that_take_the_least_time(lengths, most, overhead, parts):
    shuffled = np.array([*lengths[::-1], 1])
    windows = np.arange(len(lengths))[::-1]
    assert [shuffled[part].tolist() for part in cut(windows, shuffled, most, overhead)] == parts


def test_micro_batches_of_a_gpu_have_as_many_windows_as_positions_fit():
    lengths = np.array([2, 2, 3, 9, 9])
    parts = cut(np.arange(5), lengths, 1, 10_000, room=9)
    assert [lengths[part].tolist() for part in parts] == [[2, 2, 3], [9], [9]]
    assert [lengths[part].tolist() for part in cut(np.arange(5), lengths, 2, 10_000, room=45)] == [[2, 2, 3, 9, 9]]


def test_padding_and_batching_do_not_change_predictions(tokenizer):
    backbone = BertBackbone(initial_model(SHAPE, 7), TaskTokenizer(tokenizer))
    encoded = encode(TAGGING, backbone, SPLITS, QUICK, None)["test"]
    task_model = build(TAGGING, backbone, "xx", 1).eval()
    every = np.arange(len(encoded))
    with torch.inference_mode():
        together = TAGGING.logits(task_model, TAGGING.collate(encoded, every, None))
        alone = torch.cat([TAGGING.logits(task_model, TAGGING.collate(encoded, every[n : n + 1], None)) for n in every])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    best = np.concatenate(predicted(task_model, TAGGING, encoded, QUICK))
    assert best.tolist() == alone.argmax(1).tolist()
    assert not task_model.training


def test_evaluation_reads_short_windows_first():
    batches = list(sorted_batches(np.array([5, 2, 9, 2, 7]), 2))
    assert [batch.tolist() for batch in batches] == [[1, 3], [0, 4], [2]]


def test_fewer_training_examples_are_a_seeded_sample(tokenizer):
    done = run(tokenizer, max_train_examples=33)
    assert done.report["examples"]["train"] == 33
    assert done.report["steps"] == 4
    assert done.curve == run(tokenizer, max_train_examples=33).curve
    assert run(tokenizer, max_train_examples=1000).curve[0][0] == 1


def test_windows_are_encoded_once_and_mapped_from_a_file(tmp_path):
    made = []

    def make() -> Encoded:
        made.append(1)
        return Encoded({"ids": Ragged.of([[1, 2, 3], [], [4]]), "example": Ragged.of([[0], [0], [1]])}, truncated=2)

    for _ in range(2):
        found = cached(tmp_path, ["a"], make)
        assert found["ids"].values.tolist() == [1, 2, 3, 4]
        assert found.lengths().tolist() == [3, 0, 1]
        assert [row.tolist() for row in found["ids"].rows([2, 0])] == [[4], [1, 2, 3]]
        assert (len(found), found.truncated) == (3, 2)
        assert found.renumbered(np.array([1, 2, 3, 4, 9]))["ids"].values.tolist() == [0, 1, 2, 3]
    assert len(made) == 1
    cached(tmp_path, ["b"], make)
    cached(None, ["a"], make)
    assert len(made) == 3
    assert padded(found["ids"].rows([0, 2]), -1).tolist() == [[1, 2, 3], [4, -1, -1]]


def test_examples_are_kept_as_arrow(tmp_path):
    sentences = [Sentence(("a", "b"), ("O", "B-PER")), Sentence(("",), ("O",))]
    write_examples(tmp_path / "a.arrow", sentences, Sentence)
    assert read_examples(tmp_path / "a.arrow", Sentence) == sentences
    write_examples(tmp_path / "none.arrow", [], Sentence)
    assert read_examples(tmp_path / "none.arrow", Sentence) == []
    with pytest.raises(PolyticketError, match=r"b.arrow: no such file"):
        read_examples(tmp_path / "b.arrow", Sentence)
    (tmp_path / "c.arrow").write_bytes(b"word O")
    with pytest.raises(PolyticketError, match=r"c.arrow: cannot be read as sentences"):
        read_examples(tmp_path / "c.arrow", Sentence)


def test_what_does_not_fit_is_refused(tokenizer):
    with pytest.raises(PolyticketError, match="max_seq_length: 64; expected at most 32"):
        run(tokenizer, max_seq_length=64)
    with pytest.raises(PolyticketError, match="panx is not done with gpt models; expected bert"):
        head_of(PANX, "gpt", QUICK)
    broken = initial_model(SHAPE, 7)
    broken.weights["bert.embeddings.LayerNorm.weight"][:] = np.nan
    with pytest.raises(PolyticketError, match="panx xx: loss is nan at step 1; expected a lower learning_rate"):
        run(tokenizer, broken)


def test_models_that_are_not_there_or_of_another_kind_are_refused(tokenizer, tmp_path):
    with pytest.raises(PolyticketError, match=r"none: no such folder; expected a model's folder, or a Hugging Face"):
        read_backbone(tmp_path / "none")
    write_model(initial_model(replace(SHAPE, vocab_size=20), 7), tmp_path, tokenizer=tokenizer)
    with pytest.raises(PolyticketError, match=f"{len(PIECES)} tokens; expected at most 20"):
        read_backbone(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(PolyticketError, match=r"config.json: model_type 'gpt2'; expected bert or mt5"):
        read_backbone(tmp_path)


def tuned_under(tokenizer: Path, model: Model, language: str, *, prune: bool = False, **masking):
    backbone = BertBackbone(model, TaskTokenizer(tokenizer)).under(**masking)
    return finetune(backbone, SPLITS, FinetuningSpec(PANX, language, 1, QUICK, prune))


def test_a_constant_mask_makes_a_model_with_tickets_a_dense_one(tokenizer, learned):
    done = tuned_under(tokenizer, masked({"none": 0.0}), "none", mask_method="constant")
    assert (done.report["mask_method"], done.report["mask_language"], done.report["density"]) == ("constant", None, 1.0)
    assert done.curve == run(tokenizer).curve


@pytest.mark.parametrize("prune", [False, True])
def test_another_languages_mask_is_trained_under(tokenizer, prune):
    model = half_masked()
    before = {name: array.copy() for name, array in model.weights.items()}
    done = tuned_under(tokenizer, model, "odd", prune=prune, mask_language="even")
    assert all(np.array_equal(model.weights[name], array) for name, array in before.items())
    own = tuned_under(tokenizer, model, "even", prune=prune)
    assert (done.report["mask_language"], done.report["density"], done.curve) == ("even", 0.5, own.curve)
    assert all(torch.equal(done.state[name], tensor) for name, tensor in own.state.items())
    assert done.curve != tuned_under(tokenizer, model, "odd", prune=prune).curve


def test_zero_shot_keeps_the_masks_of_another_language(tokenizer):
    model = masked({"full": 1.0, "none": 0.0})
    model.weights.update(initial_model(replace(SHAPE, initializer_range=0.5), 7).weights)
    done = tuned_under(tokenizer, model, "full", mask_language="none")
    backbone = BertBackbone(model, TaskTokenizer(tokenizer)).under(mask_language="none")
    tuned = Tuned({"task": "panx", "labels": list(PANX.labels), "language": "full", "seed": 1}, done.state)
    tests = {"full": SPLITS["test"], "xx": SPLITS["test"]}
    found = score_zero_shot(backbone, tuned, tests, task=PANX, options=QUICK)
    assert found["full"] == found["xx"] == (pytest.approx(done.report["test"]), done.predictions["test"])


@pytest.mark.parametrize(
    ("model", "masking", "line"),
    [
        (initial_model(SHAPE, 7), {"mask_language": "fr"}, "finetuning: mask_language fr, and the model has no masks"),
        (initial_model(SHAPE, 7), {"mask_method": "linear"}, "finetuning: mask_method, and the model has no masks"),
        (masked({"en": 1.0}), {"mask_language": "fr"}, "no mask for language 'fr'; expected one of en"),
        (masked({"en": 1.0}), {"mask_method": "constant", "mask_language": "en"}, "finetuning: mask_language en: no s"),
    ],
)
def test_masks_that_are_not_there_are_no_control(tokenizer, model, masking, line):
    with pytest.raises(PolyticketError) as caught:
        BertBackbone(model, TaskTokenizer(tokenizer)).under(**masking)
    assert str(caught.value).startswith(line)
    assert BertBackbone(initial_model(SHAPE, 7), TaskTokenizer(tokenizer)).under("constant").mask_method == "constant"
