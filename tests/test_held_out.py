"""Documents that are held out, and what a model scores on their records."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from polyticket.core.errors import PolyticketError
from polyticket.core.files import folder_sha256, read_json, write_json
from polyticket.core.languages import CODES
from polyticket.figures.held_out import plot_held_out
from polyticket.figures.style import colour_of
from polyticket.model.folder import Model
from polyticket.model.torch_bert import torch_masks, torch_model
from polyticket.pretraining import held_out
from polyticket.pretraining.held_out import MEASURES, score_held_out
from polyticket.records.held_out import choose_documents, tokenize_and_hold_out
from polyticket.records.make import RecordSettings, make_records
from polyticket.records.reading import read_batches
from polyticket.records.tfrecord import encode_examples, frame_all, record_fields, shard_name
from polyticket.records.tokens import open_tokens, tokenize_corpus
from tests.support.models import TINY, random_batch, trained_model, with_random_masks
from tests.support.records_sample import FILES, IDS, lists, make_documents, write_sentences, write_tokenizer

LENGTH, PREDICTIONS = 16, 3
SETTINGS = RecordSettings("xx", ["ww", "xx"], max_seq_length=32, max_predictions=5, dupe_factor=1)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> Path:
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer"))


def parted(folder: Path, tokenizer: Path, documents: list[list[str]], **options) -> tuple[Path, Path]:
    """The folders of tokens for training and held out."""
    text = write_sentences(folder / "s.txt", documents)
    chosen = {"language": "xx", "share": 0.2, "most": 100, "seed": 3} | options
    tokenize_and_hold_out(text, tokenizer, folder / "kept", folder / "held", **chosen)
    return folder / "kept", folder / "held"


@pytest.mark.parametrize(
    ("documents", "share", "most", "count"),
    [
        (200, 0.05, 500, 10),
        (200, 0.05, 7, 7),
        (10, 0.01, 500, 1),
        (2, 0.99, 500, 1),
        (1, 0.5, 500, 0),
        (100, 0, 500, 0),
        (100_000, 0.01, 500, 500),
    ],
)
def test_how_many_documents_are_held_out(documents, share, most, count):
    chosen = choose_documents(documents, share, most, seed=1, language="fr")
    assert (chosen.dtype, len(chosen)) == (np.int64, count)
    assert sorted(set(chosen.tolist())) == chosen.tolist()
    assert all(0 <= number < documents for number in chosen.tolist())


def test_the_choice_is_that_of_seed_and_language():
    def choice(**key) -> list[int]:
        return choose_documents(100, 0.1, 500, **{"seed": 1, "language": "fr"} | key).tolist()

    assert choice() == choice()
    assert len({tuple(choice(**key)) for key in ({}, {"seed": 2}, {"language": "sw"})}) == 3
    often = np.bincount([n for seed in range(300) for n in choice(seed=seed)], minlength=100)
    assert (often > 0).all()
    assert abs(often[:50].sum() - 1500) < 5 * math.sqrt(3000 * 0.25)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.9])
@pytest.mark.parametrize("chunk", [3, 1 << 22])
def test_every_document_is_on_one_side_in_its_order(tmp_path, tokenizer, share, chunk):
    documents = make_documents(30)
    documents[3][0] += "\u0915"  # an unknown piece, and another below
    documents[17][0] += "\u0915"
    whole = tokenize_corpus(write_sentences(tmp_path / "s.txt", documents), tokenizer, tmp_path / "all", language="xx")
    kept, held = parted(tmp_path, tokenizer, documents, share=share, chunk=chunk)
    chosen = set(choose_documents(30, share, 100, seed=3, language="xx").tolist())
    assert len(chosen) == round(share * 30)
    for folder, inside in ((kept, False), (held, True)):
        expected = [one for number, one in enumerate(lists(tmp_path / "all")) if (number in chosen) == inside]
        assert lists(folder) == expected
        assert sorted(path.name for path in folder.iterdir()) == FILES
        sentences = [sentence for document in expected for sentence in document]
        tokens = [token for sentence in sentences for token in sentence]
        unknown = tokens.count(IDS["[UNK]"])
        counts = {"documents": len(expected), "sentences": len(sentences), "tokens": len(tokens)}
        assert read_json(folder / "stats.json") == {
            **{name: whole[name] for name in ("language", "vocab_size", "vocabulary_sha256", "dtype")},
            **counts,
            "unknown_tokens": unknown,
            "unknown_rate": unknown / len(tokens),
            "whole": {name: whole[name] for name in (*counts, "unknown_tokens", "characters", "bytes")},
        }


def test_bytes_do_not_depend_on_processes(tmp_path, tokenizer):
    digests = set()
    for processes in (1, 2):
        (tmp_path / str(processes)).mkdir()
        folders = parted(tmp_path / str(processes), tokenizer, make_documents(30), processes=processes)
        digests.add(tuple(map(folder_sha256, folders)))
        assert sorted(path.name for path in (tmp_path / str(processes)).iterdir()) == ["held", "kept", "s.txt"]
    assert len(digests) == 1


@pytest.mark.parametrize(("documents", "share", "warns"), [(8, 0, False), (1, 0.5, True)])
def test_where_nothing_is_held_out_training_has_the_whole_text(tmp_path, tokenizer, caplog, documents, share, warns):
    caplog.set_level("WARNING", "polyticket")
    kept, held = parted(tmp_path, tokenizer, make_documents(documents), share=share)
    tokenize_corpus(tmp_path / "s.txt", tokenizer, tmp_path / "all", language="xx")
    assert folder_sha256(kept) == folder_sha256(tmp_path / "all")
    assert sorted(path.name for path in held.iterdir()) == FILES
    found = open_tokens(held)
    assert [array.tolist() for array in (found.ids, found.sentences, found.documents)] == [[], [0], [0]]
    stats = read_json(held / "stats.json")
    assert [stats[name] for name in ("documents", "sentences", "tokens", "unknown_rate")] == [0, 0, 0, None]
    said = "a single document, kept for training: none of xx is held out"
    assert [said in message for message in caplog.messages] == [True] * warns


def test_a_corpus_of_no_document_gives_no_record(tmp_path, tokenizer):
    _, held = parted(tmp_path, tokenizer, make_documents(8), share=0)
    for processes, shards in ((1, 1), (2, 3)):
        stats = make_records(held, tokenizer, tmp_path / "r", replace(SETTINGS, shards=shards), processes=processes)
        assert (stats["instances"], stats["predictions"], stats["instances_per_shard"]) == (0, 0, [0] * shards)
        assert list(read_batches(tmp_path / "r", 4)) == []


def test_a_text_without_a_sentence_leaves_neither_folder(tmp_path, tokenizer):
    with pytest.raises(PolyticketError, match=r"s\.txt: no sentence in the file"):
        parted(tmp_path, tokenizer, [[]])
    assert [path.name for path in tmp_path.iterdir()] == ["s.txt"]


def written_pieces(folder: Path) -> set[int]:
    """All pieces of the texts that records were made of: what was masked or replaced is put back."""
    (batch,) = read_batches(folder, 100_000)
    ids = batch["input_ids"].copy()
    rows, columns = np.nonzero(batch["masked_lm_weights"])
    ids[rows, batch["masked_lm_positions"][rows, columns]] = batch["masked_lm_ids"][rows, columns]
    return set(ids[batch["input_mask"] > 0].tolist())


def test_no_record_mixes_text_of_both_sides(tmp_path, tokenizer):
    """Held-out documents are spelt with a syllable of their own, which random next segments would bring along."""
    chosen = choose_documents(30, 0.2, 100, seed=3, language="xx")
    documents = [[line.replace("pe", "ba") for line in document] for document in make_documents(30)]
    for number in chosen.tolist():
        documents[number] = [re.sub("[a-z]{2}", "pe", line) for line in documents[number]]
    kept, held = parted(tmp_path, tokenizer, documents)
    own, special = {IDS["pe"], IDS["##pe"]}, {IDS["[CLS]"], IDS["[SEP]"], IDS["."]}
    stats = make_records(kept, tokenizer, tmp_path / "trained", replace(SETTINGS, dupe_factor=20))
    assert stats["random_next"] > 500
    assert not written_pieces(tmp_path / "trained") & own
    assert make_records(held, tokenizer, tmp_path / "scored", SETTINGS)["random_next"] > 5
    assert written_pieces(tmp_path / "scored") == own | special


def write_records(folder: Path, code: str, batch: dict[str, np.ndarray] | None, **stats: object) -> Path:
    """A folder of records with one shard; without a batch it is empty."""
    folder.mkdir(parents=True)
    data = b""
    if batch:
        data = b"".join(frame_all(*map(list_or_bytes, encode_examples(batch, record_fields(LENGTH, PREDICTIONS)))))
    (folder / shard_name(0, 1)).write_bytes(data)
    count = len(batch["input_ids"]) if batch else 0
    about = {"language": code, "languages": ["en", "fr"], "language_index": ["en", "fr"].index(code)}
    about |= {"max_seq_length": LENGTH, "max_predictions": PREDICTIONS, "vocab_size": TINY.vocab_size}
    write_json(folder / "stats.json", about | {"instances_per_shard": [count]} | stats)
    return folder


def list_or_bytes(part: bytes | np.ndarray) -> bytes | list[int]:
    return part.tolist() if isinstance(part, np.ndarray) else part


def torch_scores(model: Model, batch: dict[str, np.ndarray], language: str) -> dict[str, float]:
    """The same scores, from the PyTorch half of the model and by the definitions, one prediction at a time."""
    tensors = {k: torch.from_numpy(v).long() if v.dtype == np.int32 else torch.from_numpy(v) for k, v in batch.items()}
    with torch.inference_mode():
        words, follows = (x.double() for x in torch_model(model).eval()(tensors, torch_masks(model, language)))
    losses, hits, pieces = [], [], []
    for row, place in zip(*np.nonzero(batch["masked_lm_weights"]), strict=True):
        piece = int(batch["masked_lm_ids"][row, place])
        losses.append(-float(torch.log_softmax(words[row, place], 0)[piece]))
        hits.append(int(words[row, place].argmax()) == piece)
        pieces.append(piece)
    labels = batch["next_sentence_labels"][:, 0].tolist()
    return {
        "instances": len(labels),
        "predictions": len(pieces),
        "mlm_loss": np.mean(losses),
        "perplexity": math.exp(np.mean(losses)),
        "mlm_accuracy": np.mean(hits),
        "nsp_accuracy": np.mean([int(row.argmax()) == label for row, label in zip(follows, labels, strict=True)]),
        "most_frequent_accuracy": max(map(pieces.count, pieces)) / len(pieces),
        "most_frequent_nsp_accuracy": max(map(labels.count, labels)) / len(labels),
    }


def guessable_batch(model: Model, size: int, language: str, seed: int) -> dict[str, np.ndarray]:
    """A batch whose labels the model gets right about half of the time, with one label more often than others."""
    row = ("en", "fr").index(language)
    batch = random_batch(size=size, length=LENGTH, predictions=PREDICTIONS, language=row, seed=seed)
    tensors = {k: torch.from_numpy(v).long() if v.dtype == np.int32 else torch.from_numpy(v) for k, v in batch.items()}
    with torch.inference_mode():
        words, _ = torch_model(model).eval()(tensors, torch_masks(model, language))
    batch["masked_lm_ids"][::2] = words.argmax(2).numpy()[::2]
    batch["masked_lm_ids"][1, :2] = 7
    batch["masked_lm_ids"][3, :2] = 7
    return batch


def cut(batch: dict[str, np.ndarray], size: int) -> dict[str, np.ndarray]:
    return {name: values[:size] for name, values in batch.items()}


@pytest.mark.parametrize("method", ["linear", "constant"])
@pytest.mark.parametrize(
    ("most", "limits"),
    [
        (100, {"MOST_SEQUENCES": 4}),  # 4 + 4 + 3: the last batch is filled up
        (100, {"LOGITS": 2 * PREDICTIONS * TINY.vocab_size}),  # two at a time
        (100, {}),  # all in one batch that is not full
        (6, {"MOST_SEQUENCES": 4}),  # not all of the second batch counts
    ],
)
def test_scores_are_those_of_the_pytorch_model(tmp_path, monkeypatch, method, most, limits):
    model = replace(with_random_masks(trained_model()), mask_method=method)
    batches = {language: guessable_batch(model, 11, language, seed) for seed, language in enumerate(("en", "fr"))}
    folders = {language: write_records(tmp_path / language, language, batch) for language, batch in batches.items()}
    for name, value in limits.items():
        monkeypatch.setattr(held_out, name, value)
    found = score_held_out(model, folders, most=most)
    assert list(found) == ["en", "fr", "mean"]
    expected = {language: torch_scores(model, cut(batch, most), language) for language, batch in batches.items()}
    for language, scores in expected.items():
        assert scores["instances"] == min(most, 11)
        assert scores["predictions"] == 3 * min(most, 11) - 1  # one has no weight
        assert 0.3 < scores["mlm_accuracy"] < 0.8
        assert found[language] == pytest.approx(scores, rel=1e-5)
    loss = (expected["en"]["mlm_loss"] + expected["fr"]["mlm_loss"]) / 2
    means = {name: (expected["en"][name] + expected["fr"][name]) / 2 for name in MEASURES}
    assert found["mean"] == pytest.approx(means | {"perplexity": math.exp(loss), "languages": 2}, rel=1e-5)


def test_each_language_is_scored_with_its_own_masks(tmp_path):
    model = with_random_masks(trained_model())
    batch = guessable_batch(model, 6, "fr", seed=1)
    folders = {language: write_records(tmp_path / language, language, batch) for language in ("en", "fr")}
    found = score_held_out(model, folders, most=100)
    assert found["fr"]["mlm_loss"] < found["en"]["mlm_loss"] - 0.1
    assert score_held_out(model, folders, most=100) == found


def test_all_batches_go_through_one_compiled_function(tmp_path, monkeypatch):
    model, traced = with_random_masks(trained_model()), []
    batches = {"en": random_batch(size=11, length=LENGTH), "fr": random_batch(size=2, length=LENGTH)}
    folders = {language: write_records(tmp_path / language, language, batch) for language, batch in batches.items()}
    real = held_out.pretraining_logits
    monkeypatch.setattr(held_out, "pretraining_logits", lambda *given: traced.append(1) or real(*given))
    monkeypatch.setattr(held_out, "MOST_SEQUENCES", 4)
    assert score_held_out(model, folders, most=100)["mean"]["languages"] == 2
    assert len(traced) == 1


def test_a_language_without_records_has_nulls_and_is_not_in_the_means(tmp_path, caplog):
    caplog.set_level("WARNING", "polyticket")
    model = with_random_masks(trained_model())
    folders = {
        "en": write_records(tmp_path / "en", "en", random_batch(length=LENGTH)),
        "fr": write_records(tmp_path / "fr", "fr", None),
    }
    found = score_held_out(model, folders, most=100)
    assert found["fr"] == {"instances": 0, "predictions": 0, **dict.fromkeys(MEASURES)}
    assert found["mean"] == pytest.approx({"languages": 1, **{name: found["en"][name] for name in MEASURES}})
    messages = [record.getMessage() for record in caplog.records if record.name == "polyticket"]
    assert messages == ["no held-out records of fr: it has no scores and is left out of the means"]
    assert score_held_out(model, {"fr": folders["fr"]}, most=9)["mean"] == {"languages": 0, **dict.fromkeys(MEASURES)}
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("stats", "line"),
    [
        ({"language": "fr"}, "language fr; expected en"),
        ({"languages": ["fr", "en"]}, r"languages \['fr', 'en'\]; expected \['en', 'fr'\]"),
        ({"vocab_size": 54}, "vocab_size 54; expected 53"),
    ],
)
def test_records_that_are_not_the_models_are_refused(tmp_path, stats, line):
    folder = write_records(tmp_path / "en", "en", random_batch(length=LENGTH), **stats)
    with pytest.raises(PolyticketError, match=rf"en/stats\.json: {line}"):
        score_held_out(with_random_masks(trained_model()), {"en": folder}, most=9)


def test_a_loss_without_a_perplexity_is_an_error(tmp_path):
    model = with_random_masks(trained_model())
    model.weights["cls.predictions.bias"][:] = np.nan
    folder = write_records(tmp_path / "en", "en", random_batch(length=LENGTH))
    with pytest.raises(PolyticketError, match="held-out records en: a masked-LM loss of nan"):
        score_held_out(model, {"en": folder}, most=9)


def scores(languages: list[str], shift: float = 0.0, missing: tuple[str, ...] = ()) -> dict:
    one = {"mlm_accuracy": 0.4 + shift, "perplexity": 30 / (1 + shift), "nsp_accuracy": 0.7 + shift}
    one |= {"most_frequent_accuracy": 0.08, "most_frequent_nsp_accuracy": 0.55}
    of = {code: dict.fromkeys(one) if code in missing else one for code in languages}
    return {"languages": of, "mean": dict.fromkeys(one) if set(languages) <= set(missing) else one}


def drawn(path: Path) -> tuple[list[str], str]:
    """The comments that Matplotlib writes before the glyphs of a text, and all of the file."""
    text = path.read_text(encoding="utf-8")
    return re.findall(r"<!-- (.*?) -->", text), text


def marks(path: Path, colour: str) -> int:
    """How many filled marks of a colour there are, those of legends included."""
    uses = re.findall(r"<use [^>]*>", drawn(path)[1])
    return sum(f"fill: {colour.lower()}" in use for use in uses)


def test_the_figure_has_a_mark_per_run_language_and_measure(tmp_path):
    languages = ["en", "fr", "sw"]
    runs = {run: [scores(languages, shift), scores(languages, shift + 0.1)] for run, shift in (("main", 0), ("x", 0.1))}
    plot_held_out(runs, languages, tmp_path / "h.svg")
    found, _ = drawn(tmp_path / "h.svg")
    assert {"English  en", "French  fr", "Swahili  sw", "mean", "Masked tokens", "Perplexity", "main", "x"} <= set(
        found
    )
    assert [found.count(f"after phase {number}") for number in (1, 2)] == [1, 1]
    assert found.count("always the most frequent") == 2
    # three panels of three languages and a mean, and one in the legend; the ends of the first phase are hollow
    assert [marks(tmp_path / "h.svg", colour_of(number)) for number in range(3)] == [13, 13, 0]
    assert marks(tmp_path / "h.svg", "#ffffff") == 2 * 12 + 1


def test_the_figure_leaves_out_what_has_no_scores(tmp_path):
    plot_held_out({"main": [scores(["en", "fr"], missing=("fr",))]}, ["en", "fr"], tmp_path / "one.svg")
    assert marks(tmp_path / "one.svg", colour_of(0)) == 3 * 2 + 1
    plot_held_out({"main": [scores(["en"], missing=("en",))]}, ["en"], tmp_path / "none.svg")
    assert marks(tmp_path / "none.svg", colour_of(0)) == 1
    with pytest.raises(PolyticketError, match="held-out records of main: no scores of sw"):
        plot_held_out({"main": [scores(["en"])]}, ["en", "sw"], tmp_path / "lost.svg")
    assert not (tmp_path / "lost.svg").exists()


def test_the_figure_of_all_languages_is_the_same_bytes_again(tmp_path):
    for name in ("a", "b"):
        plot_held_out({"main": [scores(list(CODES)), scores(list(CODES), 0.1)]}, list(CODES), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert {f"  {code}" for code in CODES} <= {text[text.find("  ") :] for text in drawn(tmp_path / "a")[0]}
