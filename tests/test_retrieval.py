"""Retrieval of parallel sentences: margins worked out by hand, all of it against plain arithmetic, states of layers."""

import json

import numpy as np
import pytest
import torch
from transformers import MT5Config, MT5ForConditionalGeneration

from polyticket.analysis.retrieval import (
    MARGINS,
    Accuracy,
    encode,
    layer_scores,
    layer_states,
    neighbours,
    pooled_states,
    read_parallel,
    retrieve,
)
from polyticket.core.errors import PolyticketError
from polyticket.model.torch_bert import torch_encoder
from polyticket.pruning.settings import check_pooling
from polyticket.tasks.tokenizer import TaskTokenizer
from polyticket.tokenizer.wordpiece import write_tokenizer
from tests.support.models import TINY, trained_model

# sources are the axes, so that a target's coordinates are its cosines with them; its length does not count
AXES = np.eye(4, dtype=np.float32)
TARGETS = np.array([[7, 10, 4, 2], [1, 10, 2, 4], [2, 8, 10, 1], [2, 6, 4, 5]], np.float32)  # of 13, 11, 13 and 9


def test_neighbours_by_hand():
    forward, backward = neighbours(AXES, TARGETS, 2)
    assert forward.indices.tolist() == [[0, 3], [1, 0], [2, 3], [3, 1]]
    assert backward.indices.tolist() == [[1, 0], [1, 3], [2, 1], [1, 3]]
    assert forward.cosines.ravel().tolist() == pytest.approx(
        [7 / 13, 2 / 9, 10 / 11, 10 / 13, 10 / 13, 4 / 9, 5 / 9, 4 / 11]
    )
    assert backward.cosines.ravel().tolist() == pytest.approx(
        [10 / 13, 7 / 13, 10 / 11, 4 / 11, 10 / 13, 8 / 13, 6 / 9, 5 / 9]
    )


# The second source is a hub: its two nearest have a mean cosine of (10/11 + 10/13) / 2 = 0.839, those of the first
# 0.380, of the fourth 0.460; those of the first target 0.654, of the fourth 0.611.
# First target: cosines 7/13 and 10/13; around 0.517 and 0.747; distances 0.0214 and 0.0227; ratios 1.041 and 1.030.
# Fourth target: cosines 5/9 and 6/9; around 0.535 and 0.725; distances 0.020 and −0.059; ratios 1.038 and 0.919.
@pytest.mark.parametrize(("margin", "backward"), [("absolute", 2 / 4), ("distance", 3 / 4), ("ratio", 4 / 4)])
def test_margins_by_hand(margin, backward):
    assert retrieve(AXES, TARGETS, margin, 2) == Accuracy(1.0, backward)
    assert retrieve(TARGETS, AXES, margin, 2) == Accuracy(backward, 1.0)


def plain(source: np.ndarray, target: np.ndarray, margin: str, k: int) -> float:
    """From the definition, sentence by sentence."""
    one, other = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (source.astype(float), target.astype(float)))
    cosines, right = one @ other.T, 0
    for x in range(len(one)):
        near, best = sorted(range(len(other)), key=lambda y: -cosines[x, y])[:k], {}
        for y in near:
            around = np.sort(cosines[x])[-k:].sum() / (2 * k) + np.sort(cosines[:, y])[-k:].sum() / (2 * k)
            a = cosines[x, y]
            best[y] = {"absolute": a, "distance": a - around, "ratio": a / around}[margin]
        right += max(near, key=best.get) == x
    return right / len(one)


@pytest.mark.parametrize("margin", MARGINS)
def test_all_of_it_is_that_of_the_definition(margin):
    random = np.random.default_rng(1)
    source = random.normal(0.5, 1, (80, 12)).astype(np.float32)
    target = (source + random.normal(0, 1.2, source.shape)).astype(np.float32)
    found = retrieve(source, target, margin, 5)
    assert found.forward == plain(source, target, margin, 5)
    assert found.backward == plain(target, source, margin, 5)
    assert 0.1 < found.forward < 0.95  # neither trivial nor lost


def test_chance_is_one_of_n():
    random = np.random.default_rng(2)
    source, target = (random.normal(1, 0.5, (500, 8)).astype(np.float32) for _ in range(2))
    assert max(retrieve(source, target)) < 0.02


def test_layers_are_scored_with_all_margins():
    source, target = np.stack([AXES, TARGETS]), np.stack([TARGETS, TARGETS])
    found = layer_scores(source, target, k=2)
    assert [layer["distance"] for layer in found] == [Accuracy(1.0, 0.75), Accuracy(1.0, 1.0)]
    assert list(found[0]) == list(MARGINS)


@pytest.mark.parametrize(
    ("source", "target", "margin", "k", "message"),
    [
        (AXES, TARGETS[:3], "ratio", 2, r"\(4, 4\) and \(3, 4\); expected as many sentences"),
        (AXES, TARGETS, "ratio", 5, r"5 neighbours of 4 sentences"),
        (AXES, TARGETS, "dot", 2, r"margin 'dot'; expected absolute, distance, ratio"),
        (AXES, -TARGETS, "ratio", 2, r"a mean cosine is not above zero; expected margin: distance"),
        (AXES * [[1], [1], [0], [1]], TARGETS, "ratio", 2, r"source: the vector of sentence 3 is zero"),
        (AXES, TARGETS * [[1], [np.nan], [1], [1]], "ratio", 2, r"target: the vector of sentence 2 is zero or not"),
    ],
)
def test_what_cannot_be_scored_is_said(source, target, margin, k, message):
    with pytest.raises(PolyticketError, match=message):
        retrieve(source, target, margin, k)


ENCODED = [[2, 5, 6, 3], [2, 7, 3], [2, 8, 9, 10, 11, 3], [2, 12, 3]]


def test_the_last_of_all_layers_is_what_the_encoder_gives():
    encoder = torch_encoder(trained_model()).eval()
    ids, mask = torch.tensor([[2, 5, 6, 3, 0], [2, 7, 3, 0, 0]]), torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 0, 0]])
    with torch.inference_mode():
        found = layer_states(encoder, ids, mask)
        assert len(found) == TINY.num_hidden_layers + 1
        assert torch.equal(found[-1], encoder(ids, mask, torch.zeros_like(ids)))
        assert torch.equal(found[0], encoder.embeddings(ids, torch.zeros_like(ids)))


def test_states_are_pooled_over_pieces_alone_and_stand_in_order():
    encoder = torch_encoder(trained_model()).eval()
    means, firsts = (pooled_states(encoder, ENCODED, pooling=pooling, batch_size=2) for pooling in ("mean", "cls"))
    assert means.shape == firsts.shape == (3, 4, 24)
    for row, ids in enumerate(ENCODED):  # alone, so without padding
        with torch.inference_mode():
            states = layer_states(encoder, torch.tensor([ids]), torch.ones(1, len(ids)))
        for layer, one in enumerate(states):
            assert np.abs(means[layer, row] - one[0].mean(0).numpy()).max() < 1e-5
            assert np.abs(firsts[layer, row] - one[0, 0].numpy()).max() < 1e-5


def test_pooling_has_two_kinds():
    with pytest.raises(PolyticketError, match=r"pooling 'max'; expected mean or cls"):
        pooled_states(torch_encoder(trained_model()), ENCODED, pooling="max")


def test_the_states_of_an_mt5_are_its_encoders():
    sizes = {"vocab_size": 20, "d_model": 12, "d_kv": 4, "d_ff": 16, "num_layers": 3, "num_heads": 2}
    torch.manual_seed(1)
    model = MT5ForConditionalGeneration(MT5Config(**sizes, num_decoder_layers=2)).eval()
    ids, mask = torch.tensor([[5, 6, 7, 1], [8, 1, 0, 0]]), torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    with torch.inference_mode():
        found = layer_states(model, ids, mask)
        assert len(found) == 4  # the embeddings and three blocks, whatever the decoder has
        assert torch.equal(found[0], model.shared(ids))
        assert torch.equal(found[-1], model.encoder(ids, attention_mask=mask).last_hidden_state)
    means = pooled_states(model, [[5, 6, 7, 1], [8, 1]], batch_size=2)
    assert means.shape == (4, 2, 12)
    assert np.abs(means[2, 1] - found[2][1, :2].mean(0).numpy()).max() < 1e-6


def test_an_mt5_has_no_state_of_cls():
    check_pooling("mean", "mt5")
    check_pooling("cls", "bert")
    with pytest.raises(PolyticketError, match=r"retrieval.pooling: 'cls' of an mt5; expected mean: it has no \[CLS"):
        check_pooling("cls", "mt5")


def test_sentences_are_framed_and_cut(tmp_path):
    write_tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"], tmp_path / "tokenizer")
    found = encode(TaskTokenizer(tmp_path / "tokenizer"), ["a b", "b b a a b"], 5)
    assert found == ([[2, 5, 6, 3], [2, 6, 6, 5, 3]], 1)
    settings = {"eos_token": "[SEP]", "tokenizer_class": "PreTrainedTokenizerFast"}
    (tmp_path / "tokenizer/tokenizer_config.json").write_text(json.dumps(settings))
    found = encode(TaskTokenizer(tmp_path / "tokenizer"), ["a b", "b b a a b"], 5, "mt5")
    assert found == ([[5, 6, 3], [6, 6, 5, 5, 3]], 1)


def test_parallel_files_have_as_many_lines(tmp_path):
    one, other = tmp_path / "fr.txt", tmp_path / "en.txt"
    one.write_text("un\ndeux\n", encoding="utf-8")
    other.write_text("one\n two \n", encoding="utf-8")
    assert read_parallel(one, other) == (["un", "deux"], ["one", "two"])
    assert read_parallel(one, other, 1) == (["un"], ["one"])
    other.write_text("one\n", encoding="utf-8")
    with pytest.raises(PolyticketError, match=r"en.txt: 1 sentences; expected 2, as in .*fr.txt"):
        read_parallel(one, other)
    other.write_text("one\n\n", encoding="utf-8")
    with pytest.raises(PolyticketError, match=r"en.txt:2: no sentence"):
        read_parallel(one, other)
