"""What polyticket writes, used as Hugging Face documents it: `from_pretrained`, `truncation=True`, `pipeline`."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import transformers
from transformers import AutoModel, AutoModelForMaskedLM, AutoModelForPreTraining, AutoTokenizer, pipeline

from polyticket.core.files import sha256
from polyticket.export.language import export_language
from polyticket.model.folder import read_model, write_model
from polyticket.model.torch_compact import load_compact
from polyticket.tasks.tokenizer import TaskTokenizer
from polyticket.tokenizer.wordpiece import write_tokenizer
from tests.support.models import TINY, trained_model, with_random_masks

WORDS = ["the", "The", "cat", "sat", "É", "##c", "##o", "##l", "##e", "École", "中", "国", "کتاب", "!", "d", "##og"]
TEXT = "The cat sat! École Écol 中国 کتاب dog the xyz"
FORMS = [(form, vocabulary) for form in ("folded", "compact", "onnx") for vocabulary in ("all", "corpus")]


def tokens(*special: str) -> list[str]:
    filled = [*special, *WORDS]
    return [*filled, *(f"rare{number}" for number in range(TINY.vocab_size - len(filled)))]


@pytest.fixture(scope="module", params=["first", "last"])
def folders(request, tmp_path_factory):
    """Every folder that is written of a model, by name; the padding token is the first or the last special one."""
    place = tmp_path_factory.mktemp("written")
    order = ["[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    order = ["[PAD]", *order] if request.param == "first" else [*order, "[PAD]"]
    write_tokenizer(tokens(*order), place / "vocabulary")
    for name, model in (("initial", trained_model()), ("model", with_random_masks(trained_model()))):
        (place / name).mkdir()
        write_model(model, place / name, tokenizer=place / "vocabulary")
    (place / "corpus.txt").write_text(f"{TEXT}\n", encoding="utf-8")
    found = {"initial": place / "initial", "model": place / "model"}
    for form, vocabulary in FORMS:
        corpus = place / "corpus.txt" if vocabulary == "corpus" else None
        found[f"{form} {vocabulary}"] = out = place / f"{form}_{vocabulary}"
        export_language(place / "model", out, language="fr", form=form, vocabulary=vocabulary, corpus=corpus)
    return found


NAMES = ["initial", "model", *(f"{form} {vocabulary}" for form, vocabulary in FORMS)]
PLAIN = ["initial", "folded all", "folded corpus"]


@pytest.mark.parametrize("name", NAMES)
def test_the_tokenizer_fits_the_model(name, folders, tmp_path):
    tokenizer, config = (
        AutoTokenizer.from_pretrained(folders[name]),
        json.loads((folders[name] / "config.json").read_text()),
    )
    assert tokenizer.model_max_length == config["max_position_embeddings"] == TINY.max_position_embeddings
    assert len(tokenizer) == config["vocab_size"]
    assert tokenizer.pad_token_id == config["pad_token_id"] == tokenizer.convert_tokens_to_ids("[PAD]")
    assert (tokenizer.padding_side, tokenizer.cls_token, tokenizer.sep_token) == ("right", "[CLS]", "[SEP]")
    ours = TaskTokenizer(folders[name]).of_texts([TEXT])[0]
    assert tokenizer.encode(TEXT, add_special_tokens=False) == ours
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again.encode(TEXT, add_special_tokens=False) == ours
    assert again.model_max_length == TINY.max_position_embeddings
    long = again(TEXT * 30, truncation=True)
    assert len(long["input_ids"]) == TINY.max_position_embeddings


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("kind", [AutoModel, AutoModelForMaskedLM, AutoModelForPreTraining])
def test_a_plain_folder_loads_whole_and_reads_a_long_text(name, kind, folders):
    model, told = kind.from_pretrained(folders[name], output_loading_info=True)
    assert not told["missing_keys"]
    assert not told["mismatched_keys"]
    if kind is AutoModelForPreTraining:
        assert not told["unexpected_keys"]
        assert type(model).__name__ == model.config.architectures[0]
    assert (model.dtype, model.config.vocab_size) == (torch.float32, model.get_input_embeddings().num_embeddings)
    batch = AutoTokenizer.from_pretrained(folders[name])(
        [TEXT * 30, "cat"], truncation=True, padding=True, return_tensors="pt"
    )
    assert model(**batch)[0].shape[:2] == (2, TINY.max_position_embeddings)


@pytest.mark.parametrize("vocabulary", ["all", "corpus"])
def test_onnx_reads_a_long_text(vocabulary, folders):
    place = folders[f"onnx {vocabulary}"]
    batch = AutoTokenizer.from_pretrained(place)(TEXT * 30, truncation=True, return_tensors="np")
    session = onnxruntime.InferenceSession(place / "model.onnx")
    hidden = session.run(None, {name: array.astype(np.int64) for name, array in batch.items()})[0]
    assert hidden.shape == (1, TINY.max_position_embeddings, TINY.hidden_size)


@pytest.mark.parametrize("name", ["folded all", "folded corpus"])
def test_fill_mask_of_transformers_gives_the_ticket_s_word(name, folders):
    found = pipeline("fill-mask", model=str(folders[name]))("The cat [MASK]!", top_k=1)[0]
    tokenizer, model = AutoTokenizer.from_pretrained(folders[name]), AutoModelForMaskedLM.from_pretrained(folders[name])
    batch = tokenizer("The cat [MASK]!", return_tensors="pt")
    place = batch["input_ids"][0].tolist().index(tokenizer.mask_token_id)
    assert found["token"] == model(**batch).logits[0, place].argmax().item()


@pytest.mark.parametrize("vocabulary", ["all", "corpus"])
def test_a_compact_folder_is_no_plain_bert_and_says_so(vocabulary, folders):
    place = folders[f"compact {vocabulary}"]
    with pytest.raises(RuntimeError, match="mismatch"):
        AutoModel.from_pretrained(place)
    tokenizer = AutoTokenizer.from_pretrained(place)
    batch = tokenizer(TEXT * 30, truncation=True, return_tensors="pt")
    assert load_compact(place).encode(**batch)[0].shape[1] == TINY.max_position_embeddings
    assert "`AutoModel` does not" in (place / "README.md").read_text(encoding="utf-8")


def test_a_model_with_masks_says_that_a_plain_load_ignores_them(folders):
    place = folders["model"]
    _, told = AutoModelForPreTraining.from_pretrained(place, output_loading_info=True)
    assert told["unexpected_keys"] == set(read_model(place).masks)
    assert not told["missing_keys"]
    config = transformers.AutoConfig.from_pretrained(place)
    assert config.polyticket["plain_load"].startswith("what knows no polyticket ignores the masks")
    card = (place / "README.md").read_text(encoding="utf-8")
    assert card.startswith('---\nlanguage: ["en", "fr"]\n')
    assert "no\nlanguage's ticket" in card


@pytest.mark.parametrize("form", ["folded", "compact", "onnx"])
def test_the_card_has_what_hugging_face_reads(form, folders):
    from huggingface_hub import ModelCard

    card = ModelCard.load(folders[f"{form} all"] / "README.md")
    library = {"folded": "transformers", "compact": "polyticket", "onnx": "onnx"}[form]
    assert (card.data.language, card.data.library_name) == (["fr"], library)
    assert card.data.pipeline_tag == ("fill-mask" if form == "folded" else None)
    text = (folders[f"{form} all"] / "card.md").read_text(encoding="utf-8")
    assert card.text.strip().startswith(text.strip())


def test_an_encoder_alone_is_called_one(tmp_path):
    whole = trained_model()
    weights = {name: array for name, array in whole.weights.items() if not name.startswith("cls.")}
    write_model(type(whole)(TINY, weights), tmp_path)
    assert Path(tmp_path, "config.json").exists()
    model, told = AutoModel.from_pretrained(tmp_path, output_loading_info=True)
    assert model.config.architectures == ["BertModel"]
    assert not told["unexpected_keys"]
    assert not told["missing_keys"]


@pytest.mark.parametrize("stated", [{}, {"strip_accents": False}])
@pytest.mark.parametrize(("lower", "vocabulary"), [(False, "all"), (False, "corpus"), (True, "all")])
def test_a_vocabulary_alone_is_written_with_what_was_read_of_its_case(lower, stated, vocabulary, tmp_path):
    given, out = tmp_path / "given", tmp_path / "out"
    pieces = tokens("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    if lower:
        pieces = [
            piece if piece.startswith("[") else f"{piece.lower()}{'0' * (piece != piece.lower())}" for piece in pieces
        ]
    given.mkdir()
    write_model(trained_model(), given)
    (given / "vocab.txt").write_bytes(b"\xef\xbb\xbf" + "".join(f"{piece}\n" for piece in pieces).encode())
    (given / "tokenizer_config.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(stated).encode())
    (tmp_path / "corpus.txt").write_text(f"{TEXT}\n", encoding="utf-8")
    corpus = tmp_path / "corpus.txt" if vocabulary == "corpus" else None
    export_language(given, out, language="fr", form="folded", vocabulary=vocabulary, corpus=corpus)
    ours, theirs = TaskTokenizer(given), AutoTokenizer.from_pretrained(out)
    wanted = [ours.backend.id_to_token(number) for number in ours.of_texts([TEXT])[0]]
    assert theirs.tokenize(TEXT) == wanted
    assert ("the" in wanted, "The" in wanted) == (True, not lower)


def test_weights_in_a_file_of_pytorch_are_exported(tmp_path):
    given = tmp_path / "given"
    write_tokenizer(tokens("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"), tmp_path / "vocabulary")
    given.mkdir()
    write_model(trained_model(), given, tokenizer=tmp_path / "vocabulary")
    export_language(given, tmp_path / "one", language="fr")
    weights = AutoModelForPreTraining.from_pretrained(given).state_dict()
    (given / "model.safetensors").unlink()
    torch.save(weights, given / "pytorch_model.bin")
    card = export_language(given, tmp_path / "other", language="fr")
    assert card["model_sha256"] == sha256(given / "pytorch_model.bin")
    one, other = (read_model(tmp_path / name).weights for name in ("one", "other"))
    assert all(np.array_equal(one[name], other[name]) for name in one)
