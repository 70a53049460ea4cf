from dataclasses import replace

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from polyticket.core.errors import PolyticketError
from polyticket.model.folder import Model
from polyticket.model.initial import initial_model
from polyticket.model.shape import BertShape
from polyticket.model.torch_bert import pretraining_losses, torch_masks, torch_model
from polyticket.tasks.backbones.bert import BertBackbone
from polyticket.tasks.encoded import Encoded
from polyticket.tasks.examples import Text
from polyticket.tasks.heads import masked_lm
from polyticket.tasks.heads.base import TaskModel
from polyticket.tasks.heads.masked_lm import choose, replaced, special_row
from polyticket.tasks.heads.registry import head_of
from polyticket.tasks.options import FinetuneOptions
from polyticket.tasks.table import task_named
from polyticket.tasks.tokenizer import TaskTokenizer
from polyticket.tasks.training import Trainer, predicted
from polyticket.tokenizer.wordpiece import SPECIAL_TOKENS, write_tokenizer

UNUSED = ["[unused0]", "[unused1]"]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
PIECES = [*SPECIAL_TOKENS, *LETTERS, *UNUSED, *(f"##{letter}" for letter in LETTERS)]
PAD, UNK, CLS, SEP, MASK, A, B, C, D = range(9)
BARRED = [PAD, UNK, CLS, SEP, MASK, PIECES.index("[unused0]"), PIECES.index("[unused1]")]
SHAPE = BertShape(len(PIECES), 24, 2, 2, 48, max_position_embeddings=40, initializer_range=0.3)
MLM = task_named("mlm")
FORM = head_of(MLM, "bert", FinetuneOptions())
OPTIONS = FinetuneOptions(eval_batch_size=5, precision="float32", threads=1)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def pieces(tmp_path_factory) -> TaskTokenizer:
    folder = tmp_path_factory.mktemp("bert") / "tokenizer"
    write_tokenizer(PIECES, folder)
    return TaskTokenizer(folder)


def model_of(shape: BertShape = SHAPE) -> Model:
    """With biases that are not all 0."""
    model, draw = initial_model(shape, 7), np.random.default_rng(0)
    for name in ("cls.predictions.bias", "cls.predictions.transform.dense.bias"):
        model.weights[name][:] = draw.normal(size=model.weights[name].shape)
    return model


def learner_of(pieces: TaskTokenizer, model: Model, seed: int = 1) -> TaskModel:
    body = BertBackbone(model, pieces).module("xx", seed)
    return TaskModel(body, FORM.module(body, seed, model.weights))


def article(length: int, start: int = 0) -> Text:
    """So many letters, a piece each."""
    return Text(" ".join(LETTERS[(start + n) % 26] for n in range(length)))


def rows(column) -> list[list[int]]:
    return [column.row(n).tolist() for n in range(len(column.offsets) - 1)]


def windows_of(pieces: TaskTokenizer, *lengths: int, most: int = 16) -> Encoded:
    return FORM.encode([article(length, n) for n, length in enumerate(lengths)], pieces, most)


def test_published_fault_most_text_of_long_articles_is_dropped(pieces):
    examples = [article(length, length) for length in (1000, 1, 14, 15, 29, 2)]
    found = FORM.encode(examples, pieces, 16)
    kept: list[list[int]] = [[] for _ in examples]
    for window, (owner,) in zip(rows(found["ids"]), rows(found["example"]), strict=True):
        assert [window[0], window[-1]] == [CLS, SEP]
        assert 3 <= len(window) <= 16
        kept[owner] += window[1:-1]
    assert kept == [[PIECES.index(letter) for letter in example.text.split()] for example in examples]
    assert sum(map(len, kept)) == 1061
    assert found.truncated == 0


def test_articles_are_cut_into_as_few_blocks_as_will_do_of_like_length(pieces):
    assert rows(windows_of(pieces, 5, most=5)["ids"]) == [[CLS, A, B, C, SEP], [CLS, D, D + 1, SEP]]
    for length, blocks in ((14, [14]), (15, [8, 7]), (28, [14, 14]), (29, [10, 10, 9]), (1, [1])):
        assert (windows_of(pieces, length).lengths() - 2).tolist() == blocks


def test_articles_without_text_have_no_window_and_count_nothing(pieces):
    examples = [Text(""), Text("a\nb"), Text(" \n\x00")]
    found = FORM.encode(examples, pieces, 16)
    assert rows(found["ids"]) == [[CLS, A, B, SEP]]
    assert FORM.gather([(-1.5, 1, 1)], found, examples) == [(0.0, 0, 0), (-1.5, 1, 1), (0.0, 0, 0)]
    assert len(FORM.encode([Text("")], pieces, 16)) == 0


def test_words_that_spell_special_pieces_are_text(pieces):
    ids = rows(FORM.encode([Text("[MASK] a")], pieces, 16)["ids"])
    assert ids == [[CLS, UNK, UNK, UNK, A, SEP]]


def test_many_articles_keep_their_order(pieces):
    examples = [Text(LETTERS[n % 26]) for n in range(masked_lm.ARTICLES_AT_ONCE + 5)]
    found = FORM.encode(examples, pieces, 16)
    assert rows(found["ids"]) == [[CLS, A + n % 26, SEP] for n in range(len(examples))]
    assert rows(found["example"]) == [[n] for n in range(len(examples))]


def test_encoded_articles_survive_a_file(pieces, tmp_path):
    found = windows_of(pieces, 20, 3)
    found.write(tmp_path / "mlm.arrow")
    again = Encoded.read(tmp_path / "mlm.arrow")
    for name in ("ids", "special", "example"):
        assert rows(again[name]) == rows(found[name])
    one, two = (FORM.collate(each, np.arange(3), None) for each in (found, again))
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(("length", "count"), [(1, 1), (8, 2), (14, 2), (15, 3), (28, 4), (38, 6)])
def test_the_number_of_masked_pieces_counts_special_ones_and_halves_go_to_even(pieces, length, count):
    (window,) = windows_of(pieces, length, most=40)["ids"].rows([0])
    special = np.array(special_row(pieces))
    assert len(choose(window, special, np.random.default_rng(0))) == count == max(1, round(0.15 * (length + 2)))


def test_mlm_probability_masks_that_share_of_a_window(pieces):
    encoded = windows_of(pieces, 38, most=40)
    masked = {
        share: head_of(MLM, "bert", FinetuneOptions(mlm_probability=share))
        .collate(encoded, [0], None)["masked"]
        .tolist()
        for share in (0.01, 0.15, 0.4)
    }
    assert masked == {0.01: [1], 0.15: [6], 0.4: [16]}


def test_special_pieces_are_never_masked(pieces):
    special, draw = np.array(special_row(pieces)), np.random.default_rng(0)
    window = np.array([CLS, A, UNK, B, SEP, MASK, C, SEP], np.int32)
    seen = {place for _ in range(200) for place in choose(window, special, draw).tolist()}
    assert seen == {1, 3, 6}
    assert choose(np.array([CLS, UNK, UNK, SEP], np.int32), special, draw).tolist() == []


def test_pieces_are_replaced_80_10_10_and_never_by_special_or_unused_ones(pieces):
    special = special_row(pieces)
    assert special == [MASK, len(PIECES), *sorted(BARRED)]
    count = 40_000
    found = replaced(np.full(count, A, np.int32), np.array(special), np.random.default_rng(1))
    given = np.bincount(found, minlength=len(PIECES)) / count
    ordinary = sorted(set(range(len(PIECES))) - set(BARRED))
    assert given[MASK] == pytest.approx(0.8, abs=0.01)
    assert given[A] == pytest.approx(0.1 + 0.1 / len(ordinary), abs=0.01)
    assert given[[n for n in BARRED if n != MASK]].sum() == 0
    assert min(given[n] for n in ordinary) > 0.5 * 0.1 / len(ordinary)
    assert given.sum() == pytest.approx(1)


def test_a_batch_says_what_stood_where(pieces):
    windows = windows_of(pieces, 30, 2)
    numbers = np.array([3, 0, 2])
    batch = FORM.collate(windows, numbers, np.random.default_rng(2))
    whole = torch.from_numpy(np.stack([np.pad(row, (0, 12 - len(row))) for row in windows["ids"].rows(numbers)]))
    assert batch["attention_mask"].sum(1).tolist() == [4, 12, 12]
    assert batch["masked"].tolist() == [1, 2, 2]
    assert batch["labels"].tolist() == whole.flatten()[batch["places"]].tolist()
    changed = torch.nonzero((batch["ids"] != whole).flatten()).flatten()
    assert set(changed.tolist()) <= set(batch["places"].tolist())
    assert batch["labels"].dtype == batch["places"].dtype == torch.int64


def test_training_masks_anew_and_evaluation_always_the_same(pieces):
    windows = windows_of(pieces, 60, 60)
    numbers = np.arange(len(windows))
    draw = np.random.default_rng(5)
    first, again = FORM.collate(windows, numbers, draw), FORM.collate(windows, numbers, draw)
    assert not torch.equal(first["places"], again["places"])
    repeated = FORM.collate(windows, numbers, np.random.default_rng(5))
    assert all(torch.equal(first[name], repeated[name]) for name in first)
    whole = FORM.collate(windows, numbers, None)
    for number in numbers:
        one = FORM.collate(windows, np.array([number]), None)
        assert one["ids"][0].tolist() == whole["ids"][number][one["attention_mask"][0].nonzero().flatten()].tolist()
    assert rows(windows["ids"]) == rows(windows_of(pieces, 60, 60)["ids"])


def records(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A batch as records hold it."""
    size, wide = batch["ids"].shape
    most = int(batch["masked"].max())
    found = {name: torch.zeros(size, most, dtype=torch.int64) for name in ("positions", "ids", "weights")}
    parts = [batch[name].split(batch["masked"].tolist()) for name in ("places", "labels")]
    for row, (places, labels) in enumerate(zip(*parts, strict=True)):
        found["positions"][row, : len(places)] = places - row * wide
        found["ids"][row, : len(places)] = labels
        found["weights"][row, : len(places)] = 1
    return {f"masked_lm_{name}": values for name, values in found.items()} | {
        "input_ids": batch["ids"],
        "input_mask": batch["attention_mask"].long(),
        "segment_ids": torch.zeros_like(batch["ids"]),
        "next_sentence_labels": torch.zeros(size, 1, dtype=torch.int64),
    }


def test_the_loss_is_that_of_pretraining(pieces):
    model = model_of()
    batch = FORM.collate(windows_of(pieces, 60, 3, 17), np.arange(8), None)
    task_model = learner_of(pieces, model).eval()
    network = torch_model(model).eval()
    given = records(batch)
    expected, _ = pretraining_losses(network(given), given)
    found = FORM.loss(task_model, batch) / FORM.targets(batch)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    found.backward()
    expected.backward()
    words = task_model.backbone.embeddings.word_embeddings.weight.grad
    torch.testing.assert_close(words, network.bert.embeddings.word_embeddings.weight.grad, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(task_model.head.bias.grad, network.cls["predictions"].bias.grad, rtol=1e-3, atol=1e-5)


def test_masks_of_the_neurons_are_used(pieces):
    model, draw = model_of(), np.random.default_rng(3)
    sites = {
        f"bert.encoder.layer.{layer}.intermediate.intermediate_mask": (draw.random((1, 48)) < 0.5).astype(np.float32)
        for layer in range(2)
    }
    model = replace(model, masks=sites, languages=("xx",), mask_method="linear")
    batch = FORM.collate(windows_of(pieces, 60), np.arange(5), None)
    task_model = learner_of(pieces, model).eval()
    free = FORM.loss(task_model, batch).item() / FORM.targets(batch)
    task_model.masks = torch_masks(model, "xx")
    given = records(batch)
    expected, _ = pretraining_losses(torch_model(model).eval()(given, task_model.masks), given)
    assert FORM.loss(task_model, batch).item() / FORM.targets(batch) == pytest.approx(expected.item(), rel=1e-5)
    assert expected.item() != pytest.approx(free, rel=1e-3)


def test_a_model_without_a_head_gets_a_fresh_one_on_its_own_embeddings(pieces):
    model = model_of()
    body = BertBackbone(model, pieces).module("xx", 1)
    encoder = {name: array for name, array in model.weights.items() if not name.startswith("cls.")}
    one, same, other = (FORM.module(body, seed, encoder).state_dict() for seed in (1, 1, 2))
    assert list(one) == ["bias", "transform.dense.weight", "transform.dense.bias"] + [
        f"transform.LayerNorm.{name}" for name in ("weight", "bias")
    ]
    assert torch.equal(one["transform.dense.weight"], same["transform.dense.weight"])
    assert not torch.equal(one["transform.dense.weight"], other["transform.dense.weight"])
    assert one["transform.dense.weight"].std().item() == pytest.approx(0.3, rel=0.1)
    assert one["bias"].shape == (len(PIECES),)
    assert (one["bias"].any().item(), one["transform.LayerNorm.weight"].unique().tolist()) == (False, [1.0])
    assert torch.equal(FORM.module(body, 1).bias, one["bias"])
    assert all(tensor.device.type == "cpu" for tensor in one.values())


def test_the_models_own_head_is_taken_and_copied(pieces):
    model = model_of()
    head = FORM.module(BertBackbone(model, pieces).module("xx", 1), 1, model.weights)
    before = {name: array.copy() for name, array in model.weights.items() if name.startswith("cls.predictions.")}
    for name, tensor in head.state_dict().items():
        assert np.array_equal(tensor.numpy(), before[f"cls.predictions.{name}"])
    with torch.no_grad():
        head.bias += 1
    assert np.array_equal(model.weights["cls.predictions.bias"], before["cls.predictions.bias"])
    assert all(parameter.requires_grad for parameter in head.parameters())


def test_predictions_are_sums_over_masked_pieces(pieces):
    task_model = learner_of(pieces, model_of()).eval()
    windows = windows_of(pieces, 30, 3, 60)
    batch = FORM.collate(windows, np.arange(len(windows)), None)
    with torch.inference_mode():
        hidden = task_model.backbone(batch["ids"], batch["attention_mask"], torch.zeros_like(batch["ids"])).flatten(
            0, 1
        )
        logits = task_model.head(hidden, task_model.backbone.embeddings.word_embeddings.weight)[batch["places"]]
        found = FORM.predict(task_model, batch)
    chosen = logits.double().log_softmax(1)[torch.arange(len(logits)), batch["labels"]]
    right = logits.argmax(1) == batch["labels"]
    ends = np.cumsum(batch["masked"].numpy())
    for (likely, hits, masked), end in zip(found, ends.tolist(), strict=True):
        part = slice(end - masked, end)
        assert likely == pytest.approx(chosen[part].sum().item(), rel=1e-5)
        assert hits == right[part].sum().item()
    assert sum(masked for _, _, masked in found) == len(batch["labels"]) == ends[-1]
    assert -sum(likely for likely, _, _ in found) == pytest.approx(FORM.loss(task_model, batch).item(), rel=1e-5)


def test_batching_and_chunks_do_not_change_predictions(pieces, monkeypatch):
    task_model = learner_of(pieces, model_of()).eval()
    examples = [article(length, length) for length in (30, 3, 60, 0, 1)]
    windows = FORM.encode(examples, pieces, 16)
    together = predicted(task_model, FORM, windows, OPTIONS)
    monkeypatch.setattr(masked_lm, "LOGITS_AT_ONCE", 3 * len(PIECES))
    alone = predicted(task_model, FORM, windows, replace(OPTIONS, eval_batch_size=1))
    assert [one[1:] for one in together] == [one[1:] for one in alone]
    assert [one[0] for one in together] == pytest.approx([one[0] for one in alone], rel=1e-4)
    sums = FORM.gather(together, windows, examples)
    assert [masked for _, _, masked in sums] == [6, 1, 10, 0, 1]
    assert sums[0][0] == pytest.approx(sum(one[0] for one in together[:3]))
    scores = MLM.metric.score(examples, sums)
    assert scores["log_likelihood"] == pytest.approx(sum(one[0] for one in together) / 18)
    assert scores["perplexity"] == pytest.approx(np.exp(-scores["log_likelihood"]))


def test_a_batch_with_nothing_to_mask_has_no_loss(pieces):
    task_model = learner_of(pieces, model_of())
    windows = FORM.encode([Text("你 好")], pieces, 16)
    assert rows(windows["ids"]) == [[CLS, UNK, UNK, SEP]]
    batch = FORM.collate(windows, np.array([0]), np.random.default_rng(0))
    loss = FORM.loss(task_model, batch)
    loss.backward()
    assert loss.item() == FORM.targets(batch) == 0
    assert Trainer(task_model, FORM, OPTIONS).step([batch], 1e-3, 1) == 0
    with torch.inference_mode():
        assert FORM.predict(task_model, batch) == [(0.0, 0, 0)]


def test_text_is_learned_and_embeddings_with_it(pieces):
    shape = replace(SHAPE, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, initializer_range=0.1)
    task_model = learner_of(pieces, initial_model(shape, 7))
    examples = [Text(" ".join(12 * letter)) for letter in LETTERS]  # what is masked stands beside
    windows = FORM.encode(examples, pieces, 16)
    before = task_model.backbone.embeddings.word_embeddings.weight.detach().clone()
    trainer = Trainer(task_model.train(), FORM, OPTIONS)
    for step in range(30):
        trainer.step([FORM.collate(windows, np.arange(26), np.random.default_rng(step))], 1e-2, step)
    sums = FORM.gather(predicted(task_model, FORM, windows, OPTIONS), windows, examples)
    scores = MLM.metric.score(examples, sums)
    assert scores["accuracy"] > 0.95
    assert scores["perplexity"] < 2
    assert not torch.equal(task_model.backbone.embeddings.word_embeddings.weight, before)


def test_embeddings_of_all_pieces_stay():
    assert FORM.restricts is False


def other_tokenizer(folder, names: list[str]) -> TaskTokenizer:
    made = Tokenizer(models.WordLevel({name: n for n, name in enumerate(names)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.save(str(folder / "tokenizer.json"))
    return TaskTokenizer(folder)


def test_without_a_mask_piece_there_is_no_masked_language_modelling(tmp_path):
    pieces = other_tokenizer(tmp_path, ["[UNK]", "[CLS]", "[SEP]", "a"])
    with pytest.raises(PolyticketError, match=r"no token \[MASK\]; expected a tokenizer with a mask token"):
        FORM.encode([Text("a")], pieces, 16)


def test_the_mask_piece_of_xlm_r_will_do_where_none_is_named(tmp_path):
    pieces = other_tokenizer(tmp_path, ["[UNK]", "[CLS]", "[SEP]", "a", "b", "<mask>"])
    assert special_row(pieces) == [5, 6, 0, 1, 2, 5]
    found = replaced(np.full(500, 3, np.int32), np.array(special_row(pieces)), np.random.default_rng(0))
    assert set(found.tolist()) == {3, 4, 5}


def test_what_cannot_be_masked_is_refused(tmp_path, pieces):
    with pytest.raises(PolyticketError, match="max_seq_length: 2; expected at least 3"):
        FORM.encode([Text("a")], pieces, 2)
    with pytest.raises(PolyticketError, match="special and unused tokens only"):
        FORM.encode([Text("a")], other_tokenizer(tmp_path, ["[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused1]"]), 16)
