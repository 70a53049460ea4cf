import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from polyticket.errors import PolyticketError
from polyticket.model.folder import Model, read_model, write_model
from polyticket.model.initial import initial_model
from polyticket.model.shape import BertShape
from polyticket.model.sites import mask_sites
from polyticket.tasks.baseline import baseline_scores
from polyticket.tasks.data import TASKS, Sentence
from polyticket.tasks.encode import WordEncoder
from polyticket.tasks.finetune import finetune, write_curve
from polyticket.tasks.tagger import build_tagger, collate, epoch_steps, expanded, predict, restrict_vocabulary
from polyticket.tasks.training import FinetuneOptions, TaggerRun, planned_epochs

PANX = TASKS["panx"]
ENDINGS = [f"##{letter}" for letter in "abcdefghijklmnopqrst"]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "P", "L", "o", *ENDINGS, *(f"unused{n}" for n in range(30))]
SHAPE = BertShape(len(PIECES), 32, 2, 2, 64, max_position_embeddings=32)
QUICK = FinetuneOptions(
    learning_rate=5e-3, epochs=2, adaptive_least_seen=0, max_seq_length=32, save_steps=10, threads=1
)


def toy(count: int, seed: int) -> list[Sentence]:
    """A word's first letter decides its tag, its random ending makes most words new."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        first = draw.choices("PLo", k=draw.randint(2, 7))
        words = [letter + "".join(draw.choices("abcdefghijklmnopqrst", k=3)) for letter in first]
        found.append(Sentence(tuple(words), tuple({"P": "B-PER", "L": "B-LOC", "o": "O"}[f] for f in first)))
    return found


SPLITS = {"train": toy(160, 1), "dev": toy(20, 2), "test": toy(30, 3)}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    made = Tokenizer(models.WordPiece({piece: n for n, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.save(str(folder / "tokenizer.json"))
    return folder


def masked(rows: dict[str, float]) -> Model:
    """A model whose languages' masks are all ones or all zeros."""
    masks = {
        site.name: np.array([[value if site.prunable else 1.0] * site.size for value in rows.values()], np.float32)
        for site in mask_sites(SHAPE)
    }
    return replace(initial_model(SHAPE, 7), masks=masks, languages=tuple(rows), mask_method="linear")


def run(tokenizer: Path, model: Model | None = None, language="xx", splits=SPLITS, seed=1, transfer=None, **changes):
    return finetune(
        model or initial_model(SHAPE, 7),
        tokenizer,
        splits,
        task=PANX,
        language=language,
        seed=seed,
        options=replace(QUICK, **changes),
        transfer=transfer,
    )


@pytest.fixture(scope="module")
def learned(tokenizer):
    return run(tokenizer, epochs=6)


def test_a_learnable_task_is_learned_far_beyond_the_baseline(learned):
    baseline = baseline_scores(*SPLITS.values(), PANX, "xx")["test"]["f1"]
    assert baseline < 0.4
    assert learned.report["test"]["f1"] > 0.95


def test_report_says_what_was_done(learned):
    report = learned.report
    assert report["task"] == "panx"
    assert report["sentences"] == {"train": 160, "dev": 20, "test": 30}
    assert report["tokens"]["test"] == sum(len(s.words) for s in SPLITS["test"])
    assert (report["steps"], report["epochs"], report["seed"]) == (30, 6, 1)
    assert (report["mask_method"], report["density"], report["transfer"]) == ("constant", 1.0, {})
    evaluated = {step: f1 for step, _, f1 in learned.curve if f1 is not None}
    assert list(evaluated) == [10, 20, 30]
    assert report["dev"]["f1"] == max(evaluated.values()) == evaluated[report["best_step"]]


def test_predictions_are_those_that_are_scored(learned):
    assert [len(tags) for tags in learned.predictions] == [len(s.words) for s in SPLITS["test"]]
    assert PANX.score([s.tags for s in SPLITS["test"]], learned.predictions) == learned.report["test"]


def test_same_seed_same_result_and_another_seed_another(tokenizer):
    first, again, other = run(tokenizer), run(tokenizer), run(tokenizer, seed=2)
    assert first.curve == again.curve
    assert first.predictions == again.predictions
    first.report.pop("wall_seconds")
    again.report.pop("wall_seconds")
    assert first.report == again.report
    assert first.curve != other.curve


def test_published_fault_a_best_score_of_zero_saves_nothing(tokenizer):
    blank = [Sentence(s.words, ("O",) * len(s.words)) for s in SPLITS["dev"]]
    done = run(tokenizer, splits={**SPLITS, "dev": blank}, save_steps=4)
    assert done.report["dev"]["f1"] == 0.0
    assert done.report["best_step"] == 4
    assert len(done.predictions) == 30


def test_published_fault_a_model_path_with_a_slash_reads_no_data(tokenizer, tmp_path):
    folder = tmp_path / "org/model-LR2e-5"
    folder.mkdir(parents=True)
    write_model(initial_model(SHAPE, 7), folder, tokenizer=tokenizer)
    done = finetune(read_model(f"{folder}/"), f"{folder}/", SPLITS, task=PANX, language="xx", seed=1, options=QUICK)
    assert done.report["steps"] == 10
    assert done.predictions == run(tokenizer).predictions


def test_published_fault_results_are_appended_to_old_ones(tmp_path):
    for _ in range(2):
        write_curve(tmp_path / "curve.csv", [(1, 1.5, None), (2, 0.25, 0.5)])
    assert (tmp_path / "curve.csv").read_bytes() == b"step,loss,dev_f1\n1,1.5,\n2,0.25,0.5\n"


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


def test_a_pruned_model_trains_as_the_masked_one_does(tokenizer):
    model, windows = parts(tokenizer)
    model = replace(half_masked(0.2), shape=replace(SHAPE, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0))
    runs = {}
    for prune in (False, True):
        options = replace(QUICK, prune_model=prune, learning_rate=1e-3)
        runs[prune] = TaggerRun(model, windows, SPLITS, PANX, "even", 1, options, torch.device("cpu"))
        runs[prune].train()
    losses = {prune: [loss for _, loss, _ in run.curve] for prune, run in runs.items()}
    assert losses[True] == pytest.approx(losses[False], rel=1e-3)
    assert losses[True][-1] < losses[True][0]
    count = {prune: sum(p.numel() for p in run.tagger.encoder.encoder.parameters()) for prune, run in runs.items()}
    assert count[True] < 0.55 * count[False]
    for language in ("even", "odd"):  # the other language's masks keep what was removed
        scores = [runs[prune].score("test", language)[0]["f1"] for prune in (False, True)]
        assert scores[1] == pytest.approx(scores[0], abs=0.02)


def test_pruned_fine_tuning_learns_as_well(tokenizer):
    found = {prune: run(tokenizer, half_masked(), "even", epochs=6, prune_model=prune) for prune in (False, True)}
    assert found[True].report["options"]["prune_model"] is True
    assert found[True].report["density"] == found[False].report["density"] == 0.5
    assert found[True].report["test"]["f1"] == pytest.approx(found[False].report["test"]["f1"], abs=0.05)
    assert found[True].report["test"]["f1"] > 0.9


def test_only_a_pruned_tagger_is_expanded(tokenizer):
    model, _ = parts(tokenizer)
    with pytest.raises(TypeError, match="not pruned"):
        expanded(build_tagger(model, 3, 1), model, "even")


def test_transfer_scores_other_languages_with_their_own_masks(tokenizer):
    model = masked({"full": 1.0, "none": 0.0})
    model.weights.update(initial_model(replace(SHAPE, initializer_range=0.5), 7).weights)  # so that masks matter
    done = run(tokenizer, model, "full", transfer={"full": SPLITS["test"], "none": SPLITS["test"]}, learning_rate=1e-4)
    assert done.report["transfer"]["full"] == done.report["test"]
    assert done.report["transfer"]["none"] != done.report["test"]


def parts(tokenizer: Path):
    windows = {name: WordEncoder(tokenizer, 32).windows(split, PANX.labels) for name, split in SPLITS.items()}
    return initial_model(SHAPE, 7), windows


def test_restricted_vocabulary_trains_the_same(tokenizer):
    model, windows = parts(tokenizer)
    small, renumbered = restrict_vocabulary(model, windows)
    assert small.shape.vocab_size == 25  # [CLS], [SEP], three first letters, twenty endings
    runs = []
    for each in ((model, windows), (small, renumbered)):
        torch.set_num_threads(1)
        runs.append(TaggerRun(*each, SPLITS, PANX, "xx", 1, QUICK, torch.device("cpu")))
        runs[-1].train()
    whole, restricted = (r.tagger.state_dict() for r in runs)
    # Only the order in which the gradients' norm is summed differs.
    for name in whole.keys() - {"encoder.embeddings.word_embeddings.weight"}:
        if "pooler" not in name:
            torch.testing.assert_close(whole[name], restricted[name], rtol=1e-3, atol=1e-4)
    used = sorted({piece for split in windows.values() for window in split for piece in window.ids.tolist()})
    embeddings = whole["encoder.embeddings.word_embeddings.weight"]
    torch.testing.assert_close(
        embeddings[used], restricted["encoder.embeddings.word_embeddings.weight"], rtol=1e-3, atol=1e-4
    )
    unused = sorted(set(range(len(PIECES))) - set(used))
    start = torch.from_numpy(model.weights["bert.embeddings.word_embeddings.weight"])
    assert torch.equal(embeddings[unused], start[unused])


def test_first_step_is_that_of_adam_on_clipped_averaged_gradients(tokenizer):
    model, windows = parts(tokenizer)
    model = replace(model, shape=replace(SHAPE, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0))
    training = TaggerRun(model, windows, SPLITS, PANX, "xx", 1, QUICK, torch.device("cpu"))
    batches = [np.array([0, 1, 2]), np.array([3])]
    tagger = build_tagger(model, len(PANX.labels), 1)
    losses = [
        torch.nn.functional.cross_entropy(tagger(batch), batch.labels)
        for batch in (collate([windows["train"][n] for n in numbers]) for numbers in batches)
    ]
    mean = torch.stack(losses).mean()
    mean.backward()
    gradients = [p.grad for name, p in tagger.named_parameters() if "pooler" not in name]
    norm = torch.sqrt(sum((g**2).sum() for g in gradients))
    assert norm > 1
    clipped = tagger.classifier.bias.grad / norm
    # Adam's first step with bias correction: the moments are g and g², so the change is lr · g / (|g| + eps).
    expected = tagger.classifier.bias.detach() - 0.01 * clipped / (clipped.abs() + 1e-8)
    assert training._step(batches, 0.01, 1) == pytest.approx(mean.item(), rel=1e-5)
    torch.testing.assert_close(training.tagger.classifier.bias.detach(), expected, rtol=1e-4, atol=1e-6)


def test_learning_rate_decays_linearly_to_zero(tokenizer):
    model, windows = parts(tokenizer)
    training = TaggerRun(model, windows, SPLITS, PANX, "xx", 1, QUICK, torch.device("cpu"))
    rates, step = [], training._step
    training._step = lambda batches, rate, number: rates.append(rate) or step(batches, rate, number)
    training.train()
    assert rates == pytest.approx([5e-3 * (10 - n) / 10 for n in range(10)])


@pytest.mark.parametrize(
    ("sentences", "epochs"), [(20_000, 2), (5000, 2), (4999, 3), (1000, 10), (999, 11), (1, 10_000)]
)
def test_small_splits_are_repeated_until_enough_was_seen(sentences, epochs):
    assert planned_epochs(sentences, FinetuneOptions()) == epochs


def test_each_window_is_in_one_micro_batch_and_the_last_step_may_be_partial():
    lengths = np.array([9, 3, 5, 7, 3, 8, 4, 6, 2])
    steps = epoch_steps(lengths, 2, 2, np.random.default_rng(0))
    assert [len(step) for step in steps] == [2, 2, 1]
    assert sorted(n for step in steps for batch in step for n in batch.tolist()) == list(range(9))
    sizes = sorted(tuple(sorted(lengths[batch].tolist())) for step in steps for batch in step)
    assert sizes == [(2, 3), (3, 4), (5, 6), (7, 8), (9,)]


def test_padding_and_batching_do_not_change_predictions(tokenizer):
    model, windows = parts(tokenizer)
    tagger = build_tagger(model, len(PANX.labels), 1).eval()
    batch = collate(windows["test"])
    with torch.inference_mode():
        together = tagger(batch)
        alone = torch.cat([tagger(collate([window])) for window in windows["test"]])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert batch.labels.tolist() == [label for window in windows["test"] for label in window.labels]
    assert predict(tagger, windows["test"], None, torch.device("cpu")) == alone.argmax(1).tolist()


def test_fewer_training_sentences_are_a_seeded_sample(tokenizer):
    done = run(tokenizer, max_train_sentences=33)
    assert done.report["sentences"]["train"] == 33
    assert done.report["steps"] == 4
    assert done.curve == run(tokenizer, max_train_sentences=33).curve
    assert run(tokenizer, max_train_sentences=1000).curve[0][0] == 1


def test_what_does_not_fit_is_refused(tokenizer):
    with pytest.raises(PolyticketError, match="max_seq_length: 64; expected at most 32"):
        run(tokenizer, max_seq_length=64)
    small = initial_model(replace(SHAPE, vocab_size=20), 7)
    with pytest.raises(PolyticketError, match=f"tokenizer: {len(PIECES)} pieces; expected at most 20"):
        run(tokenizer, small)
    broken = initial_model(SHAPE, 7)
    broken.weights["bert.embeddings.LayerNorm.weight"][:] = np.nan
    with pytest.raises(PolyticketError, match="panx: loss is nan at step 1; expected a lower learning_rate"):
        run(tokenizer, broken)
