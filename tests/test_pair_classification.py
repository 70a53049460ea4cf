import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from polyticket.core.errors import PolyticketError
from polyticket.model.initial import initial_model
from polyticket.model.shape import BertShape, mask_sites
from polyticket.tasks.backbones.bert import BertBackbone
from polyticket.tasks.examples import Pair
from polyticket.tasks.heads.base import TaskModel
from polyticket.tasks.heads.pair_classification import layout_of
from polyticket.tasks.heads.registry import head_of
from polyticket.tasks.options import FinetuneOptions
from polyticket.tasks.table import task_named
from polyticket.tasks.tokenizer import TaskTokenizer
from polyticket.tasks.training import Trainer, predicted
from polyticket.tokenizer.wordpiece import SPECIAL_TOKENS, write_tokenizer

PIECES = [*SPECIAL_TOKENS, "P", "L", "o", "a", "##a", "["]
PAD, UNK, CLS, SEP, MASK, P, L, O, A, AA, OPEN = range(len(PIECES))  # noqa: E741
XNLI = task_named("xnli")
FORM = head_of(XNLI, "bert", FinetuneOptions())
SHAPE = BertShape(len(PIECES), 32, 2, 2, 64, max_position_embeddings=32, initializer_range=0.2)
OPTIONS = FinetuneOptions(eval_batch_size=7, precision="float32", threads=1)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def pieces(tmp_path_factory) -> TaskTokenizer:
    folder = tmp_path_factory.mktemp("bert") / "tokenizer"
    write_tokenizer(PIECES, folder)
    return TaskTokenizer(folder)


def other_tokenizer(folder: Path, template: processors.PostProcessor | None) -> TaskTokenizer:
    """XLM-R's names for special pieces."""
    names = ["<s>", "<pad>", "</s>", "<unk>", "a", "b"]
    made = Tokenizer(models.WordLevel({name: n for n, name in enumerate(names)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if template is not None:
        made.post_processor = template
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        '{"cls_token": "<s>", "sep_token": {"content": "</s>"}, "unk_token": "<unk>"}'
    )
    return TaskTokenizer(folder)


def encoded(pieces: TaskTokenizer, *pairs: tuple[str, str], most: int = 128):
    return FORM.encode([Pair(*pair, "neutral") for pair in pairs], pieces, most)


def rows(column) -> list[list[int]]:
    return [column.row(n).tolist() for n in range(len(column.offsets) - 1)]


def toy(count: int, seed: int) -> list[Pair]:
    """The hypothesis's letter decides; the premise has another one, to mislead those who cannot tell them apart."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        letters = draw.choices("PLo", k=2)
        premise, hypothesis = (letter + "a" * draw.randint(0, 4) for letter in letters)
        found.append(Pair(premise, hypothesis, XNLI.labels["PLo".index(letters[1])]))
    return found


def learner_of(pieces: TaskTokenizer, shape: BertShape = SHAPE, seed: int = 1) -> TaskModel:
    body = BertBackbone(initial_model(shape, 7), pieces).module("xx", seed)
    return TaskModel(body, FORM.module(body, seed))


def test_a_pair_is_one_window_of_two_segments(pieces):
    found = FORM.encode([Pair("Pa o", "L", "contradiction"), Pair("o", "Paa", "entailment")], pieces, 128)
    assert rows(found["ids"]) == [[CLS, P, AA, O, SEP, L, SEP], [CLS, O, SEP, P, AA, AA, SEP]]
    assert rows(found["segments"]) == [[0, 0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 1, 1]]
    assert rows(found["labels"]) == [[2], [0]]
    assert rows(found["example"]) == [[0], [1]]
    assert found.truncated == 0


def test_words_that_spell_special_pieces_are_text(pieces):
    assert rows(encoded(pieces, ("[SEP]", "[CLS]a"))["ids"]) == [[CLS, OPEN, UNK, UNK, SEP, OPEN, UNK, UNK, A, SEP]]


def test_empty_sentences_stay_pairs(pieces):
    assert rows(encoded(pieces, ("", "\x00"))["ids"]) == [[CLS, SEP, SEP]]


@pytest.mark.parametrize(
    ("premise", "hypothesis", "most", "kept"),
    [
        (5, 2, 10, (5, 2)),
        (5, 2, 9, (4, 2)),
        (2, 9, 9, (2, 4)),
        (3, 9, 9, (3, 3)),
        (9, 8, 9, (3, 3)),
        (9, 9, 10, (4, 3)),
        (8, 9, 10, (4, 3)),
        (3, 4, 9, (3, 3)),
        (9, 1, 5, (1, 1)),
        (9, 0, 5, (2, 0)),
    ],
)
def test_the_longer_sentence_loses_pieces_and_it_is_counted(pieces, premise, hypothesis, most, kept):
    found = encoded(pieces, ("P" * bool(premise) + "a" * (premise - 1), "a" * hypothesis), ("P", "L"), most=most)
    (first, short) = rows(found["segments"])
    assert (first.count(0) - 2, first.count(1) - 1) == kept
    assert len(short) == 5
    ids = rows(found["ids"])[0]
    assert ids[1 : kept[0] + 1] == ([P] + [AA] * 9)[: kept[0]]
    assert [ids[0], ids[kept[0] + 1], ids[-1]] == [CLS, SEP, SEP]
    assert found.truncated == (kept != (premise, hypothesis))


def test_longest_first_is_what_taking_one_piece_at_a_time_gives(pieces):
    for premise in range(8):
        for hypothesis in range(8):
            for most in range(5, 18):
                first, second = premise, hypothesis
                while first + second > most - 3:
                    first, second = (first - 1, second) if first > second else (first, second - 1)
                (found,) = rows(encoded(pieces, ("a" * premise, "a" * hypothesis), most=most)["segments"])
                assert (found.count(0) - 2, found.count(1) - 1) == (first, second)


def test_windows_without_room_are_refused(pieces):
    with pytest.raises(PolyticketError, match="max_seq_length: 4; expected at least 5 for pairs"):
        encoded(pieces, ("a", "a"), most=4)


def test_the_template_of_the_tokenizer_is_followed(tmp_path):
    pair = "<s> $A </s> </s> $B </s>"
    special = [("<s>", 0), ("</s>", 2)]
    pieces = other_tokenizer(tmp_path, processors.TemplateProcessing("<s> $A </s>", pair, special))
    found = encoded(pieces, ("a b", "b"), ("a", "new"), most=7)
    assert rows(found["ids"]) == [[0, 4, 5, 2, 2, 5, 2], [0, 4, 2, 2, 3, 2]]
    assert rows(found["segments"]) == [[0] * 7, [0] * 6]
    with pytest.raises(PolyticketError, match="max_seq_length: 5; expected at least 6 for pairs"):
        encoded(pieces, ("a", "a"), most=5)


@pytest.mark.parametrize(
    ("template", "middle"),
    [
        (None, [2]),
        (processors.ByteLevel(), [2]),
        (processors.RobertaProcessing(("</s>", 2), ("<s>", 0)), [2, 2]),
        (processors.BertProcessing(("</s>", 2), ("<s>", 0)), [2]),
    ],
)
def test_any_post_processor_will_do_and_none_is_berts(tmp_path, template, middle):
    found = layout_of(other_tokenizer(tmp_path, template))
    assert (found.start, found.middle, found.end) == ([0], middle, [2])
    assert found.segments([4, 5], [4])[-2:] == ([0, 0] if len(middle) == 2 else [1, 1])


def test_a_batch_is_padded_with_what_is_not_seen(pieces):
    found = FORM.collate(encoded(pieces, ("P", "L"), ("Pa", "La")), np.array([1, 0]), None)
    assert found["ids"].tolist() == [[CLS, P, AA, SEP, L, AA, SEP], [CLS, P, SEP, L, SEP, 0, 0]]
    assert found["segments"].tolist() == [[0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 0, 0]]
    assert found["attention_mask"].sum(1).tolist() == [7, 5]
    assert found["labels"].tolist() == [1, 1]


def test_padding_and_batching_do_not_change_predictions(pieces):
    examples = toy(40, 3)
    windows, task_model = FORM.encode(examples, pieces, 32), learner_of(pieces).eval()
    with torch.inference_mode():
        together = FORM.logits(task_model, FORM.collate(windows, np.arange(40), None))
        alone = torch.cat([FORM.logits(task_model, FORM.collate(windows, np.array([n]), None)) for n in range(40)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    best = alone.argmax(1).tolist()
    assert predicted(task_model, FORM, windows, OPTIONS) == best
    assert FORM.gather(best, windows, examples) == [XNLI.labels[n] for n in best]
    assert len(set(best)) > 1


def test_logits_are_those_of_the_classifier_on_the_masked_pooler(pieces):
    windows, task_model = FORM.encode(toy(3, 3), pieces, 32), learner_of(pieces).eval()
    draw = torch.Generator().manual_seed(0)
    task_model.masks = {site.name: (torch.rand(site.size, generator=draw) < 0.5).float() for site in mask_sites(SHAPE)}
    batch = FORM.collate(windows, np.arange(3), None)
    with torch.inference_mode():
        hidden = task_model.backbone(batch["ids"], batch["attention_mask"], batch["segments"], task_model.masks)
        pooled = task_model.backbone.pooler["dense"](hidden[:, 0]) * task_model.masks["bert.pooler.pool_mask"]
        expected = torch.tanh(pooled) @ task_model.head[1].weight.T + task_model.head[1].bias
        torch.testing.assert_close(FORM.logits(task_model, batch), expected)
        loss = FORM.loss(task_model, batch)
    chosen = expected.log_softmax(1)[torch.arange(3), batch["labels"]]
    assert loss.item() == pytest.approx(-chosen.sum().item())
    assert FORM.targets(batch) == 3


def test_a_model_with_one_kind_of_segment_reads_all_as_that_kind(pieces):
    task_model = learner_of(pieces, replace(SHAPE, type_vocab_size=1)).eval()
    batch = FORM.collate(FORM.encode(toy(3, 3), pieces, 32), np.arange(3), None)
    with torch.inference_mode():
        found = FORM.logits(task_model, batch)
        same = FORM.logits(task_model, batch | {"segments": torch.zeros_like(batch["segments"])})
    assert torch.equal(found, same)


def test_which_sentence_is_which_is_learned(pieces):
    train, test = toy(192, 1), toy(60, 2)
    shape = replace(SHAPE, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    task_model, windows = learner_of(pieces, shape), FORM.encode(train, pieces, 32)
    trainer = Trainer(task_model.train(), FORM, OPTIONS)
    for step in range(36):
        batch = FORM.collate(windows, np.arange(32) + step % 6 * 32, np.random.default_rng(step))
        trainer.step([batch], 3e-3, step)
    windows = FORM.encode(test, pieces, 32)
    answers = FORM.gather(predicted(task_model, FORM, windows, OPTIONS), windows, test)
    assert XNLI.metric.score(test, answers)["accuracy"] == 1.0
