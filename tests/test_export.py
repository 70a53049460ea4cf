import json
import subprocess
import sys
from dataclasses import replace
from shutil import copytree

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from transformers import AutoTokenizer, BertForPreTraining

from polyticket.core.errors import PolyticketError
from polyticket.core.files import folder_sha256
from polyticket.export.card import measure_export, write_timings
from polyticket.export.comparison import compare, load_export
from polyticket.export.language import export_language
from polyticket.export.onnx_graph import OnnxEncoder, write_onnx
from polyticket.export.vocabulary import smaller, used_pieces, write_smaller_tokenizer
from polyticket.model.compact import Layout, compact
from polyticket.model.folder import read_model, write_model
from polyticket.model.torch_compact import compact_encoder, load_compact, load_heads
from polyticket.records.tokens import tokenize_corpus
from polyticket.tokenizer.wordpiece import SPECIAL_TOKENS, load_for_text, vocabulary_of, write_tokenizer
from tests.support.models import TINY, trained_model, with_random_masks

FORMS = ["folded", "compact", "onnx"]
WORDS = (
    "the",
    "cat",
    "sat",
    "dog",
    "ran",
    "a",
    "c",
    "##a",
    "##t",
    "##s",
    "ca",
    "##ts",
    "d",
    "##o",
    "##g",
    "zebra",
    "!",
)
PIECES = (*SPECIAL_TOKENS, *WORDS, *(f"unused{n}" for n in range(53 - len(SPECIAL_TOKENS) - len(WORDS))))
TEXT = "the cat sat\nthe cat sat on a cat\n\nthe cats ran\n" * 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A masked model with its tokenizer."""
    return model_folder(tmp_path_factory.mktemp("model"), trained_model())


def model_folder(place, model):
    write_tokenizer(list(PIECES), place / "vocabulary")
    (place / "model").mkdir()
    write_model(with_random_masks(model), place / "model", tokenizer=place / "vocabulary")
    return place / "model"


@pytest.fixture
def text(tmp_path):
    (tmp_path / "sentences.txt").write_text(TEXT, encoding="utf-8")
    return tmp_path / "sentences.txt"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("vocabulary", ["all", "corpus"])
def test_an_export_computes_what_the_masked_model_does_and_says_so(form, vocabulary, folder, text, tmp_path):
    corpus = text if vocabulary == "corpus" else None
    arguments = {"language": "fr", "form": form, "vocabulary": vocabulary, "corpus": corpus, "sentences": text}
    card = export_language(folder, tmp_path / "out", **arguments)
    assert card == json.loads((tmp_path / "out/card.json").read_text(encoding="utf-8"))
    compared = card["compared"]
    assert (compared["given"], compared["sentences"]) == (9, 9)
    assert compared["tokens"] == 3 * (5 + 8 + 6)  # [CLS] and [SEP] included; `on` is one [UNK], `cats` is cat+##s
    assert all(0 <= value < 1e-4 for value in compared["max_difference"].values())
    assert compared["largest"]["logits"] > 1
    pieces = len(PIECES) if vocabulary == "all" else card["vocab_size"]
    assert len(AutoTokenizer.from_pretrained(str(tmp_path / "out"))) == card["vocab_size"] == pieces
    assert (card["vocab_size"] < 30) == (vocabulary == "corpus")
    small = compact(smaller(read_model(folder), np.arange(card["vocab_size"])), "fr").layout
    held = Layout.full(small.shape) if form == "folded" else small
    assert card["parameters"]["this"] == held.parameters()
    assert card["flops_128"] == {
        "this": held.flops(),
        "dense": Layout.full(TINY).flops(),
        "bert_base": card["flops_128"]["bert_base"],
    }
    assert card["flops_128"]["bert_base"] == 22_347_251_712 + 2 * 768 * 768
    markdown = (tmp_path / "out/card.md").read_text(encoding="utf-8")
    assert markdown.startswith(f"# fr: {form}\n")
    assert f"| this export | {held.parameters()['total']:,} |" in markdown
    assert ("zero rows and columns to multiples of 16" in markdown) == (form == "compact")


@pytest.mark.parametrize("form", FORMS)
def test_the_same_export_is_the_same_bytes(form, folder, text, tmp_path):
    for name in ("one", "two"):
        export_language(folder, tmp_path / name, language="en", form=form, sentences=text)
    assert folder_sha256(tmp_path / "one") == folder_sha256(tmp_path / "two")


def test_folded_is_what_hugging_face_loads(folder, tmp_path):
    card = export_language(folder, tmp_path / "out", language="fr")
    assert card["compared"] is None
    assert "no sentences were given" in (tmp_path / "out/card.md").read_text(encoding="utf-8")
    plain = BertForPreTraining.from_pretrained(str(tmp_path / "out")).eval()
    model = read_model(folder)
    row = model.masks["bert.encoder.layer.1.intermediate.intermediate_mask"][1]
    dense = plain.bert.encoder.layer[1].intermediate.dense
    assert not dense.weight.detach().numpy()[row == 0].any()
    ids = torch.tensor([[2, 5, 6, 3]])
    with torch.no_grad():
        hidden = plain.bert(input_ids=ids)[0]
        ours = load_export(tmp_path / "out", 1)(ids, torch.ones_like(ids), torch.zeros_like(ids))[0]
    torch.testing.assert_close(hidden, ours, rtol=1e-4, atol=1e-5)


def test_compact_is_smaller_on_disk_and_keeps_the_pretraining_heads(folder, tmp_path):
    sizes = {}
    for form in ("folded", "compact"):
        sizes[form] = export_language(folder, tmp_path / form, language="fr", form=form)["bytes"]
    assert sizes["compact"] < sizes["folded"]
    assert load_compact(tmp_path / "compact").layout == compact(read_model(folder), "fr").layout
    heads = {name for name in read_model(folder).weights if name.startswith("cls.")}
    assert load_heads(tmp_path / "compact").keys() == heads


def test_an_export_that_computes_something_else_is_refused(folder, text, tmp_path):
    export_language(folder, tmp_path / "out", language="fr", form="compact")
    weights = tmp_path / "out/model.safetensors"
    arrays = load_file(weights)
    arrays["bert.encoder.layer.0.intermediate.dense.bias"][0] += 0.5
    save_file(arrays, weights)
    kept = np.arange(len(PIECES))
    with pytest.raises(PolyticketError, match=r"out: logits differ from the model's by .*; expected less than"):
        compare(read_model(folder), "fr", folder, ["the cat sat"], tmp_path / "out", kept, 1)


def test_wrong_arguments_are_refused_and_leave_nothing(folder, text, tmp_path):
    wrong = [
        ({"form": "tiny"}, "unknown form 'tiny'; expected folded, compact, onnx"),
        ({"vocabulary": "some"}, "unknown vocabulary 'some'; expected all, corpus"),
        ({"count": 0}, "0 sentences to compare; expected at least 1"),
        ({"threads": 0}, "0 threads; expected at least 1"),
        ({"vocabulary": "corpus"}, "no corpus; expected vocabulary `corpus` and a corpus, or neither"),
        ({"corpus": text}, "a corpus, and all tokens are kept"),
        ({"language": "xx"}, "no mask for language 'xx'; expected one of en, fr"),
        ({"sentences": tmp_path / "none.txt"}, "none.txt: no such file"),
    ]
    for changes, said in wrong:
        with pytest.raises(PolyticketError) as caught:
            export_language(folder, tmp_path / "out", **{"language": "fr", **changes})
        assert said in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_an_export_replaces_a_former_one_and_nothing_else(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for form in ("folded", "compact"):
        export_language(folder, "out", language="fr", form=form)
    (tmp_path / "out/thesis.tex").write_text("words", encoding="utf-8")
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("out")
    copytree(folder, tmp_path / "another")
    before = sorted(tmp_path.rglob("*"))
    for place in ("out", "file", "link", "another", folder, ".", tmp_path):
        with pytest.raises(PolyticketError, match=r"expected a new or an empty directory"):
            export_language(folder, place, language="fr")
        assert sorted(tmp_path.rglob("*")) == before


def pieces_of(ids):
    return [PIECES[number] for number in ids if not PIECES[number].startswith("[")]


def test_the_corpus_keeps_its_pieces_and_single_characters(folder, text):
    assert pieces_of(used_pieces(text, folder)) == ["the", "cat", "sat", "ran", "a", "c", "##a", "##t", "##s"]


@pytest.mark.parametrize("text", ["", "\n\n", "\x07\n"])
def test_a_corpus_without_a_token_is_an_error(folder, tmp_path, text):
    (tmp_path / "empty.txt").write_text(text, encoding="utf-8")
    with pytest.raises(PolyticketError, match=r"empty\.txt: no token in the corpus; expected sentences"):
        used_pieces(tmp_path / "empty.txt", folder)


def test_text_of_the_corpus_is_cut_into_the_same_pieces(folder, text, tmp_path):
    kept = used_pieces(text, folder)
    write_smaller_tokenizer(folder, kept, tmp_path)
    ours, theirs = load_for_text(folder), load_for_text(tmp_path)
    assert vocabulary_of(theirs) == [PIECES[number] for number in kept]
    for line in TEXT.splitlines():
        for special in (False, True):
            assert (
                ours.encode(line, add_special_tokens=special).tokens
                == theirs.encode(line, add_special_tokens=special).tokens
            )
    assert theirs.token_to_id("[MASK]") == 4
    assert theirs.encode("a dog").tokens == ["[CLS]", "a", "[UNK]", "[SEP]"]  # of other text pieces are gone


def test_an_unknown_word_stays_unknown(tmp_path):
    """`cato` takes `cat` and fails; were `cat` dropped, it would be `ca` and `##to`."""
    pieces = [*SPECIAL_TOKENS, "cat", "ca", "##to", "b", "dog"]
    write_tokenizer(pieces, tmp_path / "full")
    (tmp_path / "text.txt").write_text("cato ca\nbto\n", encoding="utf-8")
    kept = used_pieces(tmp_path / "text.txt", tmp_path / "full")
    assert [pieces[number] for number in kept] == pieces[:-1]
    write_smaller_tokenizer(tmp_path / "full", kept, tmp_path)
    assert load_for_text(tmp_path).encode("cato ca", add_special_tokens=False).tokens == ["[UNK]", "ca"]


def test_tokens_tell_the_pieces_too(folder, text, tmp_path):
    tokenize_corpus(text, folder, tmp_path / "tokens", language="fr")
    assert used_pieces(tmp_path / "tokens", folder).tolist() == used_pieces(text, folder).tolist()
    write_tokenizer([*SPECIAL_TOKENS, "the"], tmp_path / "other")
    with pytest.raises(PolyticketError, match="tokens: ids beyond the vocabulary"):
        used_pieces(tmp_path / "tokens", tmp_path / "other")


def test_a_smaller_model_keeps_the_rows_of_its_pieces():
    model, kept = trained_model(), np.array([0, 3, 7])
    small = smaller(model, kept)
    assert small.shape == replace(TINY, vocab_size=3)
    for name in ("bert.embeddings.word_embeddings.weight", "cls.predictions.bias"):
        assert np.array_equal(small.weights[name], model.weights[name][kept])
    assert model.shape.vocab_size == 53


CASES = {
    "random": {},
    "head without queries": {"attention.self.attention_mask": slice(0, 8)},
    "head without values": {"attention.self.value_attention_mask": slice(8, 16)},
    "no values": {"attention.self.value_attention_mask": slice(None)},
    "no neurons": {"intermediate.intermediate_mask": slice(None)},
}


@pytest.mark.parametrize("act", ["gelu", "gelu_new"])
@pytest.mark.parametrize("zeros", CASES.values(), ids=CASES)
def test_the_graph_takes_any_batch_and_length(zeros, act, tmp_path):
    model = with_random_masks(trained_model(replace(TINY, hidden_act=act)))
    for site, places in zeros.items():
        model.masks[f"bert.encoder.layer.0.{site}"][1, places] = 0
    encoder = compact_encoder(compact(model, "fr"))
    write_onnx(encoder, tmp_path)
    graph = OnnxEncoder(tmp_path, 1)
    random = torch.Generator().manual_seed(1)
    for B, T in ((1, 1), (4, 16), (3, 20), (1, 7)):
        ids = torch.randint(0, 53, (B, T), generator=random)
        seen = (torch.arange(T) < torch.tensor([max(1, T - 3 * row) for row in range(B)])[:, None]).long()
        segments = (torch.arange(T) > 2).long().expand(B, T).contiguous()
        with torch.no_grad():
            expected = encoder.encode(ids, seen, segments)
        found = graph.encode(ids.numpy(), seen.numpy(), segments.numpy())
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(torch.from_numpy(ours), theirs, rtol=0, atol=1e-5)


def test_the_graph_of_a_model_that_masks_nothing_and_has_no_pooler(tmp_path):
    model = trained_model()
    bare = replace(model, weights={name: a for name, a in model.weights.items() if name.startswith("bert.e")})
    encoder = compact_encoder(compact(bare, "any"))
    write_onnx(encoder, tmp_path)
    ids = np.arange(12).reshape(2, 6)
    (hidden,) = OnnxEncoder(tmp_path, 1).encode(ids, np.ones_like(ids), np.zeros_like(ids))
    with torch.no_grad():
        torch.testing.assert_close(
            torch.from_numpy(hidden), encoder.encode(torch.from_numpy(ids))[0], rtol=0, atol=1e-5
        )


def test_a_file_that_is_no_graph_is_refused(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(PolyticketError, match="not a graph that onnxruntime loads"):
        OnnxEncoder(tmp_path, 1)


def test_without_onnx_the_error_says_what_is_needed(folder, tmp_path):
    code = (
        "import sys; sys.modules.update(onnx=None)\n"
        "from polyticket.export.language import export_language\n"
        f"export_language({str(folder)!r}, {str(tmp_path / 'out')!r}, language='fr', form='onnx')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "PolyticketError: form onnx: no ONNX" in done.stderr
    assert "expected the packages onnx and onnxruntime" in done.stderr


def test_timings_stand_beside_the_card(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("polyticket.export.card.base_shape", lambda pieces: replace(TINY, max_position_embeddings=128))
    model = trained_model(replace(TINY, max_position_embeddings=128))
    model_folder(tmp_path, model)
    export_language(tmp_path / "model", tmp_path / "out", language="fr", form="compact")
    before = (tmp_path / "out/card.json").read_bytes()
    found = measure_export(tmp_path / "out", threads=1, batches=(1, 2), repeats=1)
    write_timings(found, tmp_path / "out")
    assert {name: list(one) for name, one in found["models"].items()} == {
        name: ["1", "2"] for name in ("this", "dense", "bert_base")
    }
    assert all(v["seconds"] > 0 and v["peak_mb"] > 50 for one in found["models"].values() for v in one.values())
    assert json.loads((tmp_path / "out/timings.json").read_text(encoding="utf-8")) == found
    assert "| this export | 1 |" in (tmp_path / "out/timings.md").read_text(encoding="utf-8")
    assert (tmp_path / "out/card.json").read_bytes() == before
