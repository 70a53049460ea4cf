"""Checkpoints in the layout of the published system, imported: every bit, every mask, the same function."""

import json
import os
import re
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import torch

from polyticket.cli import main
from polyticket.core.errors import PolyticketError
from polyticket.core.languages import CODES
from polyticket.model.checkpoint_import import import_checkpoint, read_codes
from polyticket.model.folder import Model, read_model
from polyticket.model.mask_methods import SITES
from polyticket.model.shape import mask_entries, weight_entries
from polyticket.model.tf_bert import Dropout, language_rows, pretraining_logits
from polyticket.model.tf_checkpoint import model_variables, read_model_checkpoint, write_checkpoint
from polyticket.model.torch_bert import torch_masks, torch_model
from polyticket.tickets.published_masks import import_masks
from polyticket.tokenizer.wordpiece import write_tokenizer
from tests.support.models import TINY, random_batch, trained_model, with_random_masks

TRAINED = replace(TINY, layer_norm_eps=1e-3, hidden_act="gelu_new")
GOOGLE = (
    *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act"),
    *("max_position_embeddings", "type_vocab_size", "hidden_dropout_prob", "attention_probs_dropout_prob"),
    "initializer_range",
)
METHODS = {
    **dict.fromkeys(("attention_mask_method", "intermediate_mask_method", "layer_mask_method"), "linear"),
    **dict.fromkeys(("value_attention_mask_method", "output_mask_method", "pool_mask_method"), "constant"),
}
FORMER = {"attention": "linear", "value": "constant", "intermediate": "linear", "pool": "constant"}


def masked(languages: int = 3) -> Model:
    return with_random_masks(trained_model(TRAINED), tuple(CODES[:languages]))


def tensorflow_files(folder: Path, model: Model, step: int = 1000) -> Path:
    """A checkpoint as the published run leaves it: slots, a step, a `checkpoint` that names a bucket."""
    folder.mkdir(exist_ok=True)
    slots = {
        f"{e.tf}/{slot}": np.ones(e.shape, np.float32) for e in weight_entries(TINY) for slot in ("adam_m", "adam_v")
    }
    write_checkpoint(model_variables(model) | slots | {"global_step": np.int64(step)}, folder)
    for path in folder.glob("model.ckpt.*"):
        path.rename(folder / path.name.replace("model.ckpt", f"model.ckpt-{step}"))
    (folder / "checkpoint").write_text(f'model_checkpoint_path: "gs://bucket/model.ckpt-{step}"\n', encoding="utf-8")
    config = {key: value for key, value in asdict(TINY).items() if key in GOOGLE}
    (folder / "bert_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def pytorch_files(folder: Path, model: Model, **config: object) -> Path:
    """A folder as the published conversion leaves it, saved from a model under DataParallel."""
    folder.mkdir(exist_ok=True)
    tensors = {f"module.{name}": torch.from_numpy(a.copy()) for name, a in (model.weights | model.masks).items()}
    torch.save(tensors, folder / "pytorch_model.bin")
    stated = {**TINY.to_config(), "architectures": ["BertForPreTraining"], **config}
    (folder / "config.json").write_text(json.dumps(stated), encoding="utf-8")
    return folder


def logits(model: Model, language: str) -> list[np.ndarray]:
    batch = {k: torch.from_numpy(v).long() if v.dtype == np.int32 else torch.from_numpy(v) for k, v in BATCH.items()}
    with torch.inference_mode():
        return [x.numpy() for x in torch_model(model).eval()(batch, torch_masks(model, language))]


BATCH = random_batch()


def test_a_tensorflow_checkpoint_is_imported_bit_by_bit_and_computes_the_same(tmp_path):
    model, codes = masked(), ("sw", "fr", "ur")
    source = tensorflow_files(tmp_path / "tf", model)
    import_checkpoint(source, tmp_path / "out", languages=codes)
    found = read_model(tmp_path / "out")
    assert (found.languages, found.mask_method, found.shape) == (codes, "linear", TRAINED)
    for name, array in (model.weights | model.masks).items():
        assert (found.weights | found.masks)[name].tobytes() == array.tobytes(), name
    weights = {e.tf: tf.constant(e.convert(model.weights[e.torch])) for e in weight_entries(TINY)}
    rows = language_rows({e.tf: tf.constant(model.masks[e.torch]) for e in mask_entries(TINY, 3)}, tf.constant(1))
    features = {name: tf.constant(values) for name, values in BATCH.items()}
    theirs = pretraining_logits(weights, TRAINED, features, rows, Dropout(None))
    for ours, expected in zip(logits(found, "fr"), theirs, strict=True):
        np.testing.assert_allclose(ours, expected.numpy(), atol=1e-4)
    assert np.abs(logits(found, "fr")[0] - logits(found, "sw")[0]).max() > 0.1


@pytest.mark.parametrize("end", [".index", ".data-00000-of-00001"])
def test_a_pointer_in_place_of_a_tensorflow_file_is_named(end, tmp_path):
    source = tensorflow_files(tmp_path / "tf", masked())
    path = source / f"model.ckpt-1000{end}"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    for given in (source, source / "model.ckpt-1000"):
        with pytest.raises(PolyticketError, match=f"^{path}: a pointer of Git LFS; expected the file itself"):
            import_checkpoint(given, tmp_path / "out", languages=("sw", "fr", "ur"))
    assert not (tmp_path / "out").exists()


def test_a_pytorch_file_is_imported_with_its_methods_and_without_the_prefix(tmp_path):
    model = masked()
    source = pytorch_files(tmp_path / "hf", model, total_languages=3, **METHODS)
    (source / "pytorch_model.bin").rename(source / "weights.pt")
    import_checkpoint(source / "weights.pt", tmp_path / "out", languages=("sw", "fr", "ur"))
    found = read_model(tmp_path / "out")
    assert (found.mask_method, found.shape) == (FORMER, TRAINED)
    ones = {name: np.ones_like(a) if name.endswith("output_mask") else a for name, a in model.masks.items()}
    ends = (".value_attention_mask", ".pool_mask")
    plain = {name: np.ones_like(a) if name.endswith(ends) else a for name, a in ones.items()}
    same = replace(model, masks=plain, languages=("sw", "fr", "ur"))
    for ours, expected in zip(logits(found, "fr"), logits(same, "fr"), strict=True):
        np.testing.assert_array_equal(ours, expected)
    assert {name: array.tobytes() for name, array in found.masks.items()} == {n: a.tobytes() for n, a in ones.items()}


def test_what_the_command_says_stands_over_the_configuration(tmp_path):
    source = pytorch_files(tmp_path / "hf", masked(), total_languages=3, **METHODS)
    how = {"mask_method": {"pool": "constant"}, "computed": {"layer_norm_eps": 1e-12, "hidden_act": "gelu"}}
    import_checkpoint(source, tmp_path / "out", languages=("sw", "fr", "ur"), **how)
    found = read_model(tmp_path / "out")
    assert found.shape == TINY
    assert found.mask_method == {**dict.fromkeys(SITES, "linear"), "pool": "constant"}


def test_a_published_folder_of_the_103_is_read_as_it_is(tmp_path):
    model = with_random_masks(trained_model(), CODES)
    pytorch_files(tmp_path / "hf", model, total_languages=103, **METHODS)
    found = read_model(tmp_path / "hf")
    assert (found.languages[4], len(found.languages), found.mask_method) == ("fr", 103, FORMER)
    np.testing.assert_array_equal(
        found.mask_rows("fr")["bert.encoder.layer.1.attention.self.attention_mask"],
        model.masks["bert.encoder.layer.1.attention.self.attention_mask"][4],
    )
    assert "bert.pooler.pool_mask" not in found.mask_rows("fr")
    import_checkpoint(tmp_path / "hf", tmp_path / "out")
    assert read_model(tmp_path / "out").languages == CODES


def test_a_checkpoint_of_ours_and_one_without_masks_keep_their_own_settings(tmp_path):
    import_checkpoint(pytorch_files(tmp_path / "plain", trained_model()), tmp_path / "out")
    assert (read_model(tmp_path / "out").shape, read_model(tmp_path / "out").languages) == (TINY, ())
    ours = {"polyticket": {"languages": ["fr", "sw", "ur"], "mask_method": FORMER}}
    import_checkpoint(pytorch_files(tmp_path / "ours", masked(), **ours), tmp_path / "out")
    found = read_model(tmp_path / "out")
    assert (found.shape, found.languages, found.mask_method) == (TINY, ("fr", "sw", "ur"), FORMER)


MASKS = "is not understood; expected .*; masks need total_languages in config.json, or `polyticket import-checkpoint`"


def test_masks_that_a_configuration_does_not_explain_never_vanish(tmp_path):
    with pytest.raises(PolyticketError, match=rf"output_mask \(and 10 more\) {MASKS}$"):
        read_model(pytorch_files(tmp_path / "hf", masked()))
    source = tensorflow_files(tmp_path / "tf", masked())
    (source / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-1000"\n', encoding="utf-8")
    (source / "bert_config.json").rename(source / "config.json")
    with pytest.raises(PolyticketError, match=rf"^checkpoint: .*output_mask \(and 10 more\) {MASKS}$"):
        read_model_checkpoint(source)


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ({"total_languages": 3}, "total_languages: 3; expected 103; masks of others are named by `polyticket import-c"),
        ({"total_languages": 0}, "total_languages: 0; expected a whole number from 1"),
        ({"total_languages": 103, "pool_mask_method": "off"}, "pool_mask_method: 'off'; expected linear or constant"),
        ({"total_languages": 103, "polyticket": {}}, "polyticket and total_languages; expected masks explained once"),
        ({"total_languages": 103}, r".*_mask has shape \[3, 24\]; expected \[103, 24\]"),
    ],
)
def test_published_keys_that_do_not_fit_the_masks_are_refused(config, line, tmp_path):
    with pytest.raises(PolyticketError, match=rf"^\S+: {line}"):
        read_model(pytorch_files(tmp_path / "hf", masked(), **config))


class Harmful:
    def __reduce__(self):
        return os.mkdir, (os.environ["HARM"],)


def test_the_command_imports_and_says_in_one_line_what_is_wrong(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tensorflow_files(tmp_path / "tf", masked())
    write_tokenizer([*("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"), *"abcdefgh"], tmp_path / "words")
    Path("rows.txt").write_text("sw\nfr\nur\n", encoding="utf-8")
    assert read_codes("rows.txt") == read_codes("sw, fr,ur") == ("sw", "fr", "ur")
    given = ["import-checkpoint", "tf/model.ckpt-1000", "out", "--tokenizer", "words"]
    assert main([*given, "--languages", "rows.txt", "--mask-method", "pool=constant"]) == 0
    said = capsys.readouterr()
    assert said.out == "out: masks of 3 languages, linear but for pool; layer_norm_eps 0.001, gelu_new\n"
    assert "out: masks of the published system" in said.err
    assert (tmp_path / "out/tokenizer.json").is_file()

    pytorch_files(tmp_path / "plain", trained_model())
    monkeypatch.setenv("HARM", str(tmp_path / "harm"))
    (tmp_path / "bad").mkdir()
    torch.save({"bert.pooler.dense.bias": Harmful()}, tmp_path / "bad/pytorch_model.bin")
    tensorflow_files(tmp_path / "two", masked())
    tensorflow_files(tmp_path / "two", masked(), step=2000)
    three = "expected --languages with 3 codes, in the order of the rows"
    wrong = [
        (["tf", "no"], f"tf/bert_config.json: masks of 3 languages, 0 codes; {three}"),
        (["tf", "no", "--languages", "fr,sw"], f"tf/bert_config.json: masks of 3 languages, 2 codes; {three}"),
        (["tf", "no", "--languages", "fr,fr,sw"], "--languages: languages fr, fr, sw; expected codes, each once"),
        (["tf", "no", "--languages", "fr,sw,F R"], "--languages: languages F R; expected codes, each once"),
        (["tf", "no", "--mask-method", "pool=off"], "--mask-method: mask_method.pool: 'off'; expected linear or"),
        (["plain", "no", "--languages", "fr"], "plain/config.json: no masks in these weights; expected neither"),
        (["bad", "no", "--config", "tf/bert_config.json"], "bad/pytorch_model.bin: cannot be read: it is damaged, or"),
        (["two", "no"], "two: 2 checkpoints (model.ckpt-1000, model.ckpt-2000); expected one checkpoint: two/model.c"),
        (["words", "no"], "words: no configuration beside the weights; expected config.json or bert_config.json"),
        (["words", "no", "--config", "tf/bert_config.json"], "words: no weights; expected a TensorFlow checkpoint, or"),
        (["none/model.ckpt", "no", "--config", "tf/bert_config.json"], "none/model.ckpt: no such file; expected"),
        (["none.bin", "no"], "none.bin: no such file; expected a checkpoint, its folder or its prefix"),
    ]
    for arguments, line in wrong:
        assert main(["import-checkpoint", *arguments]) == 1
        said = capsys.readouterr()
        assert said.err.splitlines()[-1].startswith(f"polyticket: error: {line}"), said.err
        assert not (tmp_path / "no").exists()
    assert not (tmp_path / "harm").exists()


def test_an_import_replaces_no_checkpoint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = tensorflow_files(tmp_path / "tf", masked())
    before = sorted((tmp_path / "tf").iterdir())
    for _ in range(2):
        import_checkpoint(source, "out", languages=("sw", "fr", "ur"))
    for place in ("tf", "."):
        with pytest.raises(PolyticketError, match="expected a new or an empty directory"):
            import_checkpoint(source, place, languages=("sw", "fr", "ur"))
    assert sorted((tmp_path / "tf").iterdir()) == before
    with pytest.raises(PolyticketError, match=r"one of the files of a checkpoint; expected their prefix, .*ckpt-1000$"):
        import_checkpoint(source / "model.ckpt-1000.index", "out")


def test_languages_come_from_a_long_list_and_from_a_file_with_a_byte_order_mark(tmp_path):
    path, many = tmp_path / "codes.txt", [f"a{one}{other}" for one in "abcdefghij" for other in "abcdefghij"]
    assert read_codes(",".join(many)) == tuple(many)
    path.write_bytes(b"\xef\xbb\xbffr\r\nur\r\n")
    assert read_codes(str(path)) == ("fr", "ur")
    for data, said in ((b"fr\n# all\n", "codes.txt:2: '# all'; expected"), (b"fr\n\xe9\n", "not UTF-8 at byte 3")):
        path.write_bytes(data)
        with pytest.raises(PolyticketError, match=re.escape(said)):
            read_codes(str(path))


def test_masks_of_weights_lose_the_prefix_of_several_devices(tmp_path):
    name = "bert.encoder.layer.0.attention.self.query.weight"
    torch.save({f"module.{name}_mask": torch.tensor([[1.0, 0.0]])}, tmp_path / "mask.pt")
    assert list(import_masks({"fr": tmp_path / "mask.pt"}).masks) == [name]
