"""What people have is read as transformers reads it, and what is not understood is refused by its name."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import BertConfig, MT5Config, MT5ForConditionalGeneration

from polyticket.cli import main
from polyticket.core.errors import PolyticketError
from polyticket.model import hub
from polyticket.model.folder import Model, read_model, write_model
from polyticket.model.settings import check_settings, kind_of
from polyticket.model.tf_checkpoint import (
    model_variables,
    read_model_checkpoint,
    variables_model,
    write_checkpoint,
    write_checkpoint_config,
)
from polyticket.model.torch_bert import MaskedBertForPreTraining, torch_encoder, torch_model
from polyticket.tasks.backbones.base import read_backbone
from polyticket.tasks.backbones.mt5 import _loaded
from tests.support.models import TINY, trained_model, with_random_masks

SAFE, BIN, CONFIG = "model.safetensors", "pytorch_model.bin", "config.json"
WORDS = "bert.embeddings.word_embeddings.weight"
LAYER = "bert.encoder.layer.0"
SIZES = {
    "vocab_size": 61,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 20,
    "initializer_range": 0.3,
}
MT5_SIZES = {"vocab_size": 61, "d_model": 16, "d_kv": 6, "d_ff": 24, "num_layers": 2, "num_heads": 3}
Tensors = dict[str, torch.Tensor]


@pytest.fixture(scope="module", autouse=True)
def _quiet():
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


def saved(model: transformers.PreTrainedModel, folder: Path, **options) -> Path:
    torch.manual_seed(1)
    for parameter in model.parameters():
        parameter.data.add_(0.1 * torch.randn(parameter.shape))
    model.eval().save_pretrained(folder, **options)
    return folder


def bert(folder: Path, kind: str = "BertForPreTraining", **settings) -> Path:
    torch.manual_seed(0)
    return saved(getattr(transformers, kind)(BertConfig(**SIZES | settings)), folder)


def mt5(folder: Path, **settings) -> Path:
    torch.manual_seed(0)
    return saved(MT5ForConditionalGeneration(MT5Config(**MT5_SIZES | settings)), folder)


def configured(folder: Path, change: dict | Callable[[dict], None]) -> Path:
    """Change some keys of a folder's configuration."""
    path = folder / CONFIG
    config = json.loads(path.read_text())
    config = config | change if isinstance(change, dict) else (change(config) or config)
    path.write_text(json.dumps(config))
    return folder


def changed(folder: Path, change: Callable[[Tensors], Tensors | None]) -> Path:
    """Change some tensors of a folder."""
    tensors = load_file(folder / SAFE)
    found = change(tensors) or tensors
    save_file({name: tensor.clone() for name, tensor in found.items()}, folder / SAFE, metadata={"format": "pt"})
    return folder


def as_bin(folder: Path, change: Callable[[Tensors], object] = dict, **options) -> Path:
    torch.save(change(load_file(folder / SAFE)), folder / BIN, **options)
    (folder / SAFE).unlink()
    return folder


def in_shards(folder: Path, name: str = "model", end: str = "safetensors") -> Path:
    """Weights in two files with an index, as transformers names them."""
    tensors = load_file(folder / SAFE)
    (folder / SAFE).unlink()
    names, table = sorted(tensors), {}
    for number, part in enumerate((names[::2], names[1::2]), 1):
        file = f"{name}-{number:05d}-of-00002.{end}"
        own = {one: tensors[one] for one in part}
        torch.save(own, folder / file) if end == "bin" else save_file(own, folder / file, metadata={"format": "pt"})
        table |= dict.fromkeys(part, file)
    (folder / f"{name}.{end}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": table}))
    return folder


def batch(vocabulary: int = SIZES["vocab_size"]) -> tuple[torch.Tensor, ...]:
    random = torch.Generator().manual_seed(5)
    ids = torch.randint(1, vocabulary, (3, 12), generator=random)
    seen = torch.ones_like(ids)
    seen[0, 7:] = 0
    segments = (torch.arange(12) > 4).long().expand(3, 12)
    return ids, seen, segments


@torch.inference_mode()
def hidden(folder: Path) -> torch.Tensor:
    ids, seen, segments = batch()
    network = torch_encoder(read_model(folder)).eval()
    return network(ids, seen, segments.clamp(max=network.shape.type_vocab_size - 1))


@torch.inference_mode()
def hidden_of_transformers(folder: Path) -> torch.Tensor:
    ids, seen, segments = batch()
    theirs = transformers.BertModel.from_pretrained(folder, dtype=torch.float32).eval()
    kinds = segments.clamp(max=theirs.config.type_vocab_size - 1)
    return theirs(ids, seen, kinds).last_hidden_state


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    assert one.abs().max() > 0.1
    return float((one - other).abs().max())


BERTS = (
    *("BertModel", "BertForMaskedLM", "BertForPreTraining", "BertForNextSentencePrediction", "BertLMHeadModel"),
    *("BertForSequenceClassification", "BertForTokenClassification", "BertForQuestionAnswering"),
    "BertForMultipleChoice",
)


@pytest.mark.parametrize("kind", BERTS)
def test_every_bert_of_transformers_is_read(kind, tmp_path):
    bert(tmp_path, kind)
    assert distance(hidden(tmp_path), hidden_of_transformers(tmp_path)) < 1e-5


@pytest.mark.parametrize(
    "settings",
    [
        *[{"hidden_act": act} for act in ("gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_python_tanh")],
        *[{"hidden_act": act} for act in ("gelu_python", "gelu_accurate")],
        {"layer_norm_eps": 1e-3},
        {"type_vocab_size": 1},
        {"type_vocab_size": 4},
        {"max_position_embeddings": 33},
        {"num_attention_heads": 24},
        {"chunk_size_feed_forward": 4},
        {"classifier_dropout": 0.4, "hidden_dropout_prob": 0.3, "attention_probs_dropout_prob": 0},
        {"pad_token_id": None, "use_cache": False},
        {"num_labels": 7, "output_hidden_states": False},
    ],
)
def test_settings_are_obeyed_as_transformers_obeys_them(settings, tmp_path):
    bert(tmp_path, **settings)
    assert distance(hidden(tmp_path), hidden_of_transformers(tmp_path)) < 1e-5


def test_dropout_of_a_folder_is_that_of_fine_tuning(tmp_path):
    bert(tmp_path, hidden_dropout_prob=0.3, attention_probs_dropout_prob=0)
    network = torch_encoder(read_model(tmp_path))
    assert (network.embeddings.dropout.p, network.encoder["layer"][0].attention["self"].dropout_prob) == (0.3, 0)


OLD_CONFIG = {  # of the bundled BERTs' years, and of smaller ones that were cut out of them
    "directionality": "bidi",
    "pooler_fc_size": 768,
    "pooler_num_attention_heads": 12,
    "pooler_num_fc_layers": 3,
    "pooler_size_per_head": 128,
    "pooler_type": "first_token_transform",
    "output_past": True,
    "gradient_checkpointing": False,
    "position_embedding_type": "absolute",
    "torch_dtype": "float32",
    "_num_labels": 5,
    "finetuning_task": "sentiment-analysis",
    "pruned_heads": {},
    "is_decoder": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
    "embedding_size": SIZES["hidden_size"],
    "adapters": {"adapters": {}, "fusions": {}},
    "ln_type": "postln",
    "tf_legacy_loss": False,
    "cross_attention_hidden_size": None,
    "quantization_config": None,
    "rope_scaling": None,
    "max_length": 20,
    "no_repeat_ngram_size": 0,
    "name": "Bert",
    "language": "french",
}


def test_settings_that_change_nothing_are_passed_over(tmp_path):
    before = hidden(bert(tmp_path))
    assert torch.equal(hidden(configured(tmp_path, OLD_CONFIG)), before)


def without(*keys: str) -> Callable[[dict], None]:
    def change(config):
        for key in keys:
            config.pop(key, None)

    return change


@pytest.mark.parametrize("lost", [("model_type",), ("model_type", "architectures"), ("architectures",)])
def test_a_configuration_that_does_not_say_what_it_is_of_is_a_berts_if_it_has_its_keys(lost, tmp_path):
    before = hidden(bert(tmp_path))
    configured(tmp_path, without(*lost))
    assert hub.model_type(tmp_path) == "bert"
    assert torch.equal(hidden(tmp_path), before)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"type_vocab_size": 1, "max_position_embeddings": 514}, "no model_type"),  # RoBERTa's keys are BERT's
        ({"pad_token_id": 1}, "no model_type"),
        ({"vocab_size": None, "architectures": ["RobertaModel"]}, "no model_type"),
        ({"architectures": ["BertModel", "RobertaModel"]}, "no model_type"),
        ({"model_type": "roberta"}, "model_type 'roberta'; expected bert or mt5"),
        ({"model_type": "xlm-roberta"}, "model_type 'xlm-roberta'"),
        ({"model_type": ["bert"]}, r"model_type \['bert'\]"),
    ],
)
def test_other_models_and_doubtful_ones_are_refused(change, said, tmp_path):
    configured(bert(tmp_path), without("model_type", "architectures"))
    configured(tmp_path, change)
    with pytest.raises(PolyticketError, match=f"config.json: {said}"):
        hub.located(tmp_path)


LIKE_BERT = ("BertGeneration", "Camembert", "Data2VecText", "Ernie", "Longformer", "LayoutLM", "MegatronBert", "MPNet",
             "Roberta", "RobertaPreLayerNorm", "RoFormer", "XLMRoberta", "XLMRobertaXL")  # fmt: skip
UNLIKE = ("Albert", "BigBird", "ConvBert", "Deberta", "DebertaV2", "DistilBert", "FNet", "MobileBert", "RemBert",
          "SqueezeBert", "Xmod")  # fmt: skip


def sized(name: str) -> transformers.PreTrainedConfig:
    config = getattr(transformers, f"{name}Config")()
    for key in SIZES.keys() & set(config.to_dict()):
        setattr(config, key, SIZES[key])
    if name in ("Electra", "RoFormer"):
        config.embedding_size = SIZES["hidden_size"]
    return config


@pytest.mark.parametrize("name", LIKE_BERT)
def test_weights_that_are_much_like_a_berts_are_refused_by_what_they_have(name, tmp_path):
    """Without `model_type` and classes only settings and tensors tell them apart."""
    config = sized(name)
    saved(getattr(transformers, f"{name}Encoder" if name == "BertGeneration" else f"{name}Model")(config), tmp_path)
    with pytest.raises(PolyticketError, match=f"model_type '{config.model_type}'; expected bert or mt5"):
        read_model(tmp_path)
    configured(tmp_path, without("model_type", "architectures"))
    with pytest.raises(PolyticketError, match=r"no model_type|is not understood|missing tensor"):
        read_model(tmp_path)


@pytest.mark.parametrize("name", UNLIKE)
def test_settings_of_other_models_are_refused(name, tmp_path):
    config = sized(name)
    config.save_pretrained(tmp_path)
    with pytest.raises(PolyticketError, match=f"model_type '{config.model_type}'; expected bert or mt5"):
        read_model(tmp_path)
    configured(tmp_path, without("model_type", "architectures"))
    with pytest.raises(PolyticketError, match=r"config.json: (no model_type|.* is not understood|embedding_size)"):
        read_model(tmp_path)


def test_an_electra_that_is_a_bert_computes_the_same(tmp_path):
    theirs = transformers.ElectraModel(sized("Electra"))
    configured(saved(theirs, tmp_path), without("model_type", "architectures"))
    with torch.inference_mode():
        assert distance(hidden(tmp_path), theirs(*batch()).last_hidden_state) < 1e-5


def test_a_configuration_without_what_a_model_needs_is_refused():
    assert kind_of({"architectures": ["MT5ForConditionalGeneration"]}, "c") == "mt5"
    assert kind_of({"architectures": ["TFBertModel"]}, "c") == "bert"
    with pytest.raises(
        PolyticketError, match=r'^c: no model_type; expected "model_type": "bert" or "model_type": "mt5"'
    ):
        kind_of(MT5_SIZES, "c")
    with pytest.raises(PolyticketError, match=r"^c: missing num_attention_heads, intermediate_size"):
        check_settings({"vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1}, "bert", "c")


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("position_embedding_type", "relative_key", "'absolute'"),
        ("position_embedding_type", "relative_key_query", "'absolute'"),
        ("position_embedding_type", "alibi", "'absolute'"),
        ("is_decoder", True, "False"),
        ("add_cross_attention", True, "False"),
        ("is_encoder_decoder", True, "False"),
        ("embedding_size", 12, "24"),
        ("directionality", "left", "'bidi'"),
        ("pooler_type", "mean", "'first_token_transform'"),
        ("hidden_act", "relu", "one of gelu, gelu_new, gelu_python"),
        ("hidden_act", "silu", "one of gelu, gelu_new"),
        ("hidden_act", "quick_gelu", "one of gelu, gelu_new"),
        ("hidden_act", None, None),
        ("hidden_act", 3, "a name"),
        ("pruned_heads", {"0": [1]}, "settings of a plain bert"),
        ("quantization_config", {"bits": 8}, "settings of a plain bert"),
        ("rope_theta", 10000.0, "settings of a plain bert"),
        ("rotary", True, "settings of a plain bert"),
        ("glyph_embedding_dim", 1728, "settings of a plain bert"),  # ChineseBERT, which calls itself bert
        ("ln_type", "preln", "'postln'"),
        ("normalize_before", False, "settings of a plain bert"),
        ("attention_bias", False, "settings of a plain bert"),
        ("auto_map", {"AutoModel": "modeling.Own"}, "settings of a plain bert"),
        ("adapters", {"adapters": {"xnli": "pfeiffer"}}, "settings of a plain bert"),
        ("per_layer_config", {"0": {"num_attention_heads": 1}}, "settings of a plain bert"),
        ("architectures", ["BertWithPrefix"], "BertModel"),
        ("architectures", [{"a": 1}], "BertModel"),
        ("num_attention_heads", 0, "a whole number from 1"),
        ("num_attention_heads", 5, "whole heads"),
        ("num_hidden_layers", 0, "a whole number from 1"),
        ("hidden_size", "24", "a whole number from 1"),
        ("hidden_size", None, "a whole number from 1"),
        ("vocab_size", [3], "a whole number from 1"),
        ("vocab_size", True, "a whole number from 1"),
        ("type_vocab_size", 0, "a whole number from 1"),
        ("layer_norm_eps", float("nan"), "not JSON: NaN; expected a number"),
        ("layer_norm_eps", "1e-12", "a number above 0"),
        ("hidden_dropout_prob", 1, "a number from 0, below 1"),
        ("tie_word_embeddings", "no", "true or false"),
        ("polyticket", {"languages": "fr"}, "languages and mask_method"),
        ("polyticket", {"languages": ["fr"], "mask_method": "cubic"}, "linear or constant"),
        ("polyticket", ["fr"], "languages and mask_method"),
    ],
)
def test_a_setting_that_is_not_understood_is_refused_by_name(key, value, expected, tmp_path):
    configured(bert(tmp_path), {key: value})
    if expected is None:
        read_model(tmp_path)
        return
    with pytest.raises(PolyticketError) as error:
        read_model(tmp_path)
    line = str(error.value)
    assert line.startswith(f"{tmp_path}/config.json: ")
    assert (key if key != "polyticket" else "m") in line or "NaN" in line
    assert expected in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[1, 2]", "[1, 2] for a configuration; expected an object"),
        (b"null", "None for a configuration"),
        (b"{", "not JSON"),
        (b"", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        ("{}".encode("utf-16"), "not UTF-8 at byte 0; expected JSON in UTF-8"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n", "a pointer of Git LFS"),
    ],
)
def test_what_is_no_configuration_ends_in_one_line(content, said, tmp_path):
    (bert(tmp_path) / CONFIG).write_bytes(content)
    for read in (read_model, hub.located):
        with pytest.raises(PolyticketError, match=f"{CONFIG}.*{re.escape(said)}"):
            read(tmp_path)


def test_a_byte_order_mark_is_passed_over(tmp_path):
    before = hidden(bert(tmp_path))
    (tmp_path / CONFIG).write_bytes(b"\xef\xbb\xbf" + (tmp_path / CONFIG).read_bytes())
    assert torch.equal(hidden(tmp_path), before)


def renamed(pattern: str, new: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {re.sub(pattern, new, name): tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize(
    "change",
    [
        renamed("^", "module."),
        renamed("^", "model."),
        renamed("^", "_orig_mod."),
        renamed("^", "module._orig_mod."),
        renamed(r"^bert\.", "bert._orig_mod."),
        renamed(r"^bert\.", ""),
        renamed(r"^bert\.", "module."),
        renamed(r"LayerNorm\.weight$", "LayerNorm.gamma"),
        renamed(r"LayerNorm\.bias$", "LayerNorm.beta"),
        lambda tensors: tensors | {"bert.embeddings.position_ids": torch.arange(20)[None]},
        lambda tensors: tensors | {"bert.embeddings.token_type_ids": torch.zeros(1, 20, dtype=torch.int64)},
        lambda tensors: tensors | {"cls.predictions.decoder.weight": tensors[WORDS]},
        lambda tensors: {n if n != WORDS else "cls.predictions.decoder.weight": t for n, t in tensors.items()},
        lambda tensors: tensors | {"classifier.weight": torch.ones(3, 24), "classifier.bias": torch.ones(3)},
        lambda tensors: {name: tensor for name, tensor in tensors.items() if not name.startswith("cls.")},
        lambda tensors: {name: tensor.double() for name, tensor in tensors.items()},
    ],
)
def test_names_and_types_that_change_nothing(change, tmp_path):
    before = hidden(bert(tmp_path))
    assert torch.equal(hidden(changed(tmp_path, change)), before)


def test_the_pretraining_heads_are_those_of_transformers(tmp_path):
    bert(tmp_path)
    theirs = transformers.BertForPreTraining.from_pretrained(tmp_path).eval()

    def moved(tensors):
        tensors["cls.predictions.decoder.bias"] = tensors.pop("cls.predictions.bias")

    for change in (dict, moved):
        ours: MaskedBertForPreTraining = torch_model(read_model(changed(tmp_path, change))).eval()
        ids, seen, segments = batch()
        places = torch.arange(12).expand(3, 12)
        given = {"input_ids": ids, "input_mask": seen, "segment_ids": segments, "masked_lm_positions": places}
        with torch.inference_mode():
            words, follows = ours(given)
            expected = theirs(ids, seen, segments)
        assert distance(words, expected.prediction_logits) < 1e-5
        assert distance(follows, expected.seq_relationship_logits) < 1e-5


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        (f"{LAYER}.attention.self.distance_embedding.weight", torch.ones(39, 8)),
        (f"{LAYER}.attention.self.attention_mask", torch.ones(2, 24)),
        (f"{LAYER}.attention.self.query.weight_mask", torch.ones(24, 24)),
        (f"{LAYER}.attention.self.query.lora_A.weight", torch.ones(4, 24)),
        (f"{LAYER}.attention.self.query.weight_scale", torch.ones(1)),
        (f"{LAYER}.crossattention.self.query.weight", torch.ones(24, 24)),
        (f"{LAYER}.output.adapters.xnli.adapter_down.0.weight", torch.ones(4, 24)),
        ("bert.encoder.layer.2.output.dense.weight", torch.ones(24, 40)),
        ("bert.embeddings.position_ids", torch.arange(20).flip(0)),
        ("bert.embeddings_project.weight", torch.ones(24, 12)),
        ("bert.encoder.relative_attention_bias.weight", torch.ones(2)),
        ("prefix_encoder.embedding.weight", torch.ones(2, 24)),
        ("lm_head.weight", torch.ones(61, 24)),
        ("base_model.model.bert.pooler.dense.weight", torch.ones(24, 24)),
        ("embeddings.LayerNorm.weight", torch.ones(24)),
    ],
)
def test_a_tensor_that_is_not_understood_is_refused_by_name(name, tensor, tmp_path):
    changed(bert(tmp_path), lambda tensors: tensors | {name: tensor})
    line = rf"{SAFE}: {re.escape(name)} is not understood; expected what a BERT of 2 layers has"
    with pytest.raises(PolyticketError, match=line):
        read_model(tmp_path)


def test_how_many_tensors_are_not_understood_is_said(tmp_path):
    configured(bert(tmp_path), {"num_hidden_layers": 1})
    with pytest.raises(PolyticketError, match=r"bert\.encoder\.layer\.1\.\S+ \(and 15 more\) is not understood"):
        read_model(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda t: t | {WORDS: torch.cat([t[WORDS], torch.zeros(3, 24)])},
            rf"{WORDS} has shape \[64, 24\].*\[61, 24\]",
        ),
        (
            lambda t: t | {f"{LAYER}.output.dense.bias": torch.ones(23)},
            rf"{LAYER}.output.dense.bias has shape \[23\].*\[24\]",
        ),
        (lambda t: t | {WORDS: t[WORDS].to(torch.int8)}, f"{WORDS} is int8; expected float32"),
        (lambda t: t | {WORDS: t[WORDS].to(torch.float8_e4m3fn)}, f"{WORDS} is F8_E4M3; expected float32"),
        (lambda t: t | {WORDS: t[WORDS].fill_(np.nan)}, f"{WORDS} holds NaN"),
        (lambda t: t | {WORDS: t[WORDS].index_fill(0, torch.tensor(3), np.inf)}, f"{WORDS} holds NaN or infinite"),
        (lambda t: t | {WORDS: t[WORDS].double() * 1e300}, f"{WORDS} holds NaN or infinite"),
        (lambda t: {n: x for n, x in t.items() if n != f"{LAYER}.output.dense.bias"}, "missing tensor .*dense.bias"),
        (
            lambda t: {n: x for n, x in t.items() if n != "bert.pooler.dense.bias"},
            "missing tensor bert.pooler.dense.bias",
        ),
        (
            lambda t: {n: x for n, x in t.items() if n != "cls.predictions.transform.dense.bias"},
            "missing tensor cls.predictions.transform.dense.bias",
        ),
        (
            lambda t: t | {"cls.predictions.decoder.weight": t[WORDS] * 2},
            f"cls.predictions.decoder.weight differs from {WORDS}",
        ),
        (
            lambda t: t | {"cls.predictions.decoder.bias": torch.ones(61)},
            "cls.predictions.decoder.bias differs from cls.predictions.bias",
        ),
        (lambda t: t | {"module." + WORDS: t[WORDS]}, f"{WORDS} and module.{WORDS}; expected one of them"),
        (
            lambda t: t | {"bert.embeddings.LayerNorm.gamma": torch.ones(24)},
            "bert.embeddings.LayerNorm.gamma and bert.embeddings.LayerNorm.weight",
        ),
    ],
)
def test_tensors_at_fault_are_refused_by_name(change, said, tmp_path):
    with pytest.raises(PolyticketError, match=f"{SAFE}: {said}"):
        read_model(changed(bert(tmp_path), change))


def test_heads_that_are_not_tied_are_refused(tmp_path):
    configured(bert(tmp_path), {"tie_word_embeddings": False})
    with pytest.raises(PolyticketError, match=r"missing tensor cls\.predictions\.decoder\.weight"):
        read_model(tmp_path)
    changed(tmp_path, lambda t: t | {"cls.predictions.decoder.weight": t[WORDS]})
    assert "cls.predictions.bias" in read_model(tmp_path).weights
    changed(tmp_path, lambda t: t | {"cls.predictions.decoder.weight": t[WORDS] + 1})
    with pytest.raises(PolyticketError, match=r"decoder\.weight differs from bert\.embeddings"):
        read_model(tmp_path)


def test_masks_are_read_only_as_the_configuration_explains_them(tmp_path):
    masked = with_random_masks(trained_model())
    write_model(masked, tmp_path)
    found = read_model(tmp_path)
    assert found.languages == ("en", "fr")
    assert all(np.array_equal(found.masks[name], array) for name, array in masked.masks.items())
    configured(tmp_path, without("polyticket"))
    with pytest.raises(PolyticketError, match=r"encoder\.layer\.0\.attention\.output\.output_mask .*is not understood"):
        read_model(tmp_path)
    configured(tmp_path, {"polyticket": {"languages": ["en", "fr", "sw"], "mask_method": "linear"}})
    with pytest.raises(PolyticketError, match=r"_mask has shape \[2, 24\]; expected \[3, 24\]"):
        read_model(tmp_path)


def parameters(tensors: Tensors) -> dict[str, torch.nn.Parameter]:
    return {name: torch.nn.Parameter(tensor) for name, tensor in tensors.items()}


@pytest.mark.parametrize(
    "form",
    [
        in_shards,
        lambda folder: in_shards(folder, "pytorch_model", "bin"),
        as_bin,
        lambda folder: as_bin(folder, parameters),
        lambda folder: as_bin(folder, dict, _use_new_zipfile_serialization=False),
    ],
    ids=["shards", "bin shards", "bin", "parameters", "old zip"],
)
def test_weights_are_read_in_every_form_of_file(form, tmp_path):
    before = hidden(bert(tmp_path / "bert"))
    assert torch.equal(hidden(form(hub.located(tmp_path / "bert"))), before)
    other = mt5(tmp_path / "mt5")
    whole = logits(_loaded(other))
    form(other)
    assert hub.located(other) == other
    assert torch.equal(logits(_loaded(other)), whole)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("form", [dict, as_bin, in_shards], ids=["whole", "bin", "shards"])
def test_half_precision_is_read_to_the_bit(half, form, tmp_path):
    changed(bert(tmp_path), lambda tensors: {name: tensor.to(half) for name, tensor in tensors.items()})
    expected = hidden_of_transformers(tmp_path)
    tensors = load_file(tmp_path / SAFE)
    if form is not dict:
        form(tmp_path)
    weights = read_model(tmp_path).weights
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float32)}
    assert all(np.array_equal(array, tensors[name].float().numpy()) for name, array in weights.items())
    assert distance(hidden(tmp_path), expected) < 1e-5


def test_of_two_forms_the_safetensors_file_is_read_and_the_other_named(tmp_path, caplog):
    before = hidden(bert(tmp_path))
    torch.save({"bert.x": torch.zeros(1)}, tmp_path / BIN)
    with caplog.at_level("INFO", logger="polyticket"):
        assert torch.equal(hidden(tmp_path), before)
    assert f"{tmp_path}/{SAFE}: read; not read beside it: {BIN}" in caplog.text


def test_heads_that_are_passed_over_are_named(tmp_path, caplog):
    bert(tmp_path, "BertForTokenClassification")
    with caplog.at_level("INFO", logger="polyticket"):
        read_model(tmp_path)
    assert "passed over classifier.bias, classifier.weight: heads of another task" in caplog.text


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def spoilt_index(folder: Path, change: Callable[[dict], object]) -> None:
    path = in_shards(folder) / f"{SAFE}.index.json"
    index = json.loads(path.read_text())
    path.write_text(json.dumps(change(index) or index))


def first_shard(folder: Path) -> Path:
    return in_shards(folder) / "model-00001-of-00002.safetensors"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: (f / SAFE).unlink(), "no weights in this folder; expected model.safetensors or pytorch_model.bin"),
        (lambda f: (f / SAFE).rename(f / "model.fp16.safetensors"), "but model.fp16.safetensors; .*rename model.fp16"),
        (lambda f: (f / SAFE).rename(f / "tf_model.h5"), "but tf_model.h5; .*from_tf=True"),
        (lambda f: (f / SAFE).rename(f / "flax_model.msgpack"), "but flax_model.msgpack; .*from_flax=True"),
        (lambda f: (f / SAFE).write_bytes(POINTER), f"{SAFE}: a pointer of Git LFS; expected the file itself"),
        (lambda f: first_shard(f).write_bytes(POINTER), "00001-of-00002.safetensors: a pointer of Git LFS"),
        (lambda f: (as_bin(f) / BIN).write_bytes(POINTER), f"{BIN}: a pointer of Git LFS"),
        (lambda f: (f / SAFE).write_bytes((f / SAFE).read_bytes()[:5000]), f"{SAFE}: cannot be read as weights"),
        (lambda f: (f / SAFE).write_bytes(b""), f"{SAFE}: cannot be read as weights"),
        (lambda f: (as_bin(f) / BIN).write_bytes((f / BIN).read_bytes()[:5000]), f"{BIN}: cannot be read"),
        (lambda f: as_bin(f, lambda t: {"state_dict": t}), f"{BIN}: state_dict is no tensor: dict"),
        (lambda f: as_bin(f, lambda t: t | {"epoch": 3}), f"{BIN}: epoch is no tensor: int"),
        (lambda f: as_bin(f, lambda t: list(t.values())), f"{BIN}: holds no tensors by name"),
        (lambda f: as_bin(f, lambda t: t | {WORDS: t[WORDS].to_sparse()}), f"{BIN}: {WORDS} is "),
        (lambda f: as_bin(f, lambda t: t | {WORDS: t[WORDS].to(torch.float8_e5m2)}), f"{WORDS} is torch.float8_e5m2"),
        (lambda f: first_shard(f).unlink(), "no model-00001-of-00002.safetensors, which model.safetensors.index"),
        (lambda f: spoilt_index(f, lambda i: {"metadata": {}}), "index.json: no weight_map"),
        (lambda f: spoilt_index(f, lambda i: [i]), "index.json: no weight_map"),
        (lambda f: spoilt_index(f, lambda i: i["weight_map"].update({WORDS: "../x.bin"})), r"json: bert.* is in '../x"),
        (lambda f: spoilt_index(f, lambda i: i["weight_map"].pop(WORDS) and None), f"{WORDS} is in this shard as well"),
        (
            lambda f: spoilt_index(f, lambda i: i["weight_map"].update({"bert.y": "model-00001-of-00002.safetensors"})),
            "00001-of-00002.safetensors: bert.y is not in this shard",
        ),
        (
            lambda f: save_file(load_file(first_shard(f)) | {WORDS + "2": torch.ones(1)}, first_copy(f)),
            f"00001-of-00002.safetensors: {WORDS}2 is in this shard as well",
        ),
        (lambda f: (f / "adapter_config.json").write_text("{}"), "adapter_config.json: an adapter; expected the whole"),
    ],
)  # fmt: skip
def test_files_at_fault_end_in_one_line(spoil, said, tmp_path):
    spoil(bert(tmp_path))
    with pytest.raises(PolyticketError, match=said) as error:
        read_model(tmp_path)
    assert "\n" not in str(error.value)


def first_copy(folder: Path) -> Path:
    return folder / "model-00001-of-00002.safetensors"


def test_googles_own_name_of_the_configuration_is_named(tmp_path):
    (bert(tmp_path) / CONFIG).rename(tmp_path / "bert_config.json")
    with pytest.raises(PolyticketError, match=r"expected config\.json, not bert_config\.json and weights"):
        hub.located(tmp_path)


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        ("google/mt5-small", ("google/mt5-small", None)),
        ("google/mt5-small@main", ("google/mt5-small", "main")),
        ("google/mt5-small@refs/pr/8", ("google/mt5-small", "refs/pr/8")),
        ("bert-base-cased@refs/pr/3", ("bert-base-cased", "refs/pr/3")),
        ("hf://google/mt5-small@refs/pr/8", ("google/mt5-small", "refs/pr/8")),
    ],
)
def test_revisions_may_have_slashes(source, asked, monkeypatch, tmp_path):
    calls = []

    def snapshot_download(name, *, revision, allow_patterns):
        calls.append(((name, revision), allow_patterns))
        folder = tmp_path / f"{len(calls)}"
        folder.mkdir()
        if "pytorch_model.bin.index.json" in allow_patterns:
            table = {"a": "pytorch_model-1.bin", "b": "pytorch_model-2.bin"}
            (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": table}))
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    assert not hub.is_local(source)
    assert hub.located(source) == tmp_path / "5"
    assert {call[0] for call in calls} == {asked}
    assert calls[-1][1][-2:] == ["pytorch_model-1.bin", "pytorch_model-2.bin"]


@pytest.mark.parametrize("file", ["vocab.txt", "tokenizer.json", "spiece.model"])
def test_pointers_in_place_of_a_tokenizer_are_named(file, tmp_path):
    (bert(tmp_path) / file).write_bytes(POINTER)
    with pytest.raises(PolyticketError, match=f"{tmp_path}/{file}: a pointer of Git LFS; expected the file itself"):
        read_backbone(tmp_path)


def test_a_classifiers_own_dropout_is_said_not_to_be_used(tmp_path, caplog):
    with caplog.at_level("INFO", logger="polyticket"):
        read_model(bert(tmp_path, classifier_dropout=0.4))
    assert "classifier_dropout 0.4 is not used" in caplog.text


@pytest.mark.parametrize("made", [bert, mt5])
def test_the_command_line_refuses_in_one_line(made, tmp_path, capsys):
    configured(made(tmp_path / "model"), {"rotary": True})
    assert main(["ticket", "prune", str(tmp_path / "model"), str(tmp_path / "out"), "--sparsity", "50"]) != 0
    said = capsys.readouterr().err
    assert said.startswith(
        f"polyticket: error: {tmp_path}/model/config.json: rotary: True is not understood; expected "
    )
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_folders_are_told_from_names(tmp_path, monkeypatch):
    places = (
        "a/b/c",
        "./a",
        "~/a",
        "/a",
        "../a@b",
        "a/b/c@d",
        "my models/bert",
        "modèles/bert",
        "a/b/",
        "~no-such-user",
    )
    assert [hub.is_local(place) for place in places] == [True] * len(places)
    with pytest.raises(PolyticketError, match=r"^~no-such-user/bert: no such folder; expected a model's folder"):
        hub.located("~no-such-user/bert")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert hub.located(str(bert(tmp_path / "model")).replace(str(tmp_path), "~")) == tmp_path / "model"


@torch.inference_mode()
def logits(model: MT5ForConditionalGeneration) -> torch.Tensor:
    random = torch.Generator().manual_seed(6)
    ids, answers = (torch.randint(1, 60, (2, length), generator=random) for length in (40, 30))
    seen = torch.ones_like(ids)
    seen[0, 30:] = 0
    return model.eval()(input_ids=ids, attention_mask=seen, decoder_input_ids=answers, use_cache=False).logits


def logits_of_transformers(folder: Path) -> torch.Tensor:
    return logits(MT5ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"num_decoder_layers": 1},
        {"relative_attention_num_buckets": 8, "relative_attention_max_distance": 20},
        {"layer_norm_epsilon": 1e-2},
        {"feed_forward_proj": "gated-silu"},
        {"feed_forward_proj": "relu"},
        {"decoder_start_token_id": 3, "pad_token_id": 3},
    ],
)
def test_an_mt5_computes_what_transformers_computes(settings, tmp_path):
    mt5(tmp_path, **settings)
    ours = _loaded(tmp_path)
    assert distance(logits(ours), logits_of_transformers(tmp_path)) < 1e-5
    assert ours.config.decoder_start_token_id == settings.get("decoder_start_token_id", 0)


OLD_MT5 = {
    "tie_word_embeddings": False,
    "output_past": True,
    "tokenizer_class": "T5Tokenizer",
    "n_positions": 512,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "torch_dtype": "float32",
    "max_length": 128,
    "num_beams": 4,
    "transformers_version": "4.10.0.dev0",
}


def own_projection(tensors: Tensors) -> Tensors:
    return tensors | {"lm_head.weight": tensors["shared.weight"].flip(0)}


def test_published_mt5_weights_and_settings_are_read(tmp_path):
    changed(mt5(tmp_path), own_projection)
    changed(tmp_path, lambda t: t | {"encoder.embed_tokens.weight": t["shared.weight"]})
    changed(tmp_path, lambda t: t | {"decoder.embed_tokens.weight": t["shared.weight"]})
    name = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    configured(changed(tmp_path, lambda t: t | {name: torch.ones(32, 3)}), OLD_MT5)
    assert distance(logits(_loaded(tmp_path)), logits_of_transformers(tmp_path)) < 1e-5


@pytest.mark.parametrize("names", [["encoder"], ["decoder"], ["encoder", "decoder"]])
@pytest.mark.parametrize("tied", [False, True])
def test_an_mt5s_embeddings_are_found_under_each_of_their_names(names, tied, tmp_path):
    mt5(tmp_path)
    if not tied:
        changed(tmp_path, own_projection)
    whole = logits(_loaded(tmp_path))

    def moved(tensors):
        shared = tensors.pop("shared.weight")
        return tensors | {f"{name}.embed_tokens.weight": shared for name in names}

    assert torch.equal(logits(_loaded(changed(tmp_path, moved))), whole)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("model_type", "umt5", "mt5"),
        ("model_type", "t5", "mt5"),
        ("tie_encoder_decoder", True, "False"),
        ("is_decoder", True, "False"),
        ("is_encoder_decoder", False, "True"),
        ("scalable_attention", True, "settings of a plain mt5"),
        ("scale_decoder_outputs", True, "False"),
        ("dense_act_fn", "relu", "'gelu_new'"),
        ("is_gated_act", False, "True"),
        ("hidden_size", 8, "16"),
        ("feed_forward_proj", "gated-sine", "'sine'"),
        ("feed_forward_proj", "gated", "'gated'"),
        ("architectures", ["MT5ForSequenceClassification"], "MT5ForConditionalGeneration"),
        ("architectures", ["MT5EncoderModel"], "MT5ForConditionalGeneration"),
        ("quantization_config", {"load_in_8bit": True}, "settings of a plain mt5"),
        ("num_heads", 0, "a whole number from 1"),
        ("d_kv", None, "a whole number from 1"),
        ("decoder_start_token_id", "<pad>", "a token id"),
        ("dropout_rate", -0.1, "a number from 0, below 1"),
    ],
)
def test_a_setting_of_an_mt5_that_is_not_understood_is_refused_by_name(key, value, expected, tmp_path):
    configured(mt5(tmp_path), {key: value})
    with pytest.raises(PolyticketError) as error:
        _loaded(tmp_path)
    line = str(error.value)
    assert line.startswith(f"{tmp_path}/config.json: ")
    assert expected in line
    assert key in line or key == "feed_forward_proj"


@pytest.mark.parametrize("named", ["gated-sine", "a-b-c", "gated"])
def test_an_activation_that_transformers_does_not_know_is_refused(named, tmp_path):
    configured(mt5(tmp_path), {"feed_forward_proj": named})
    configured(tmp_path, without("dense_act_fn", "is_gated_act"))
    with pytest.raises(PolyticketError, match=r"config\.json: no mT5: ") as error:
        _loaded(tmp_path)
    assert named.removeprefix("gated-") in str(error.value)


def test_an_mt5_whose_logits_transformers_4_scaled_is_refused(tmp_path):
    configured(mt5(tmp_path), {"transformers_version": "4.40.1"})
    with pytest.raises(PolyticketError, match="tie_word_embeddings: True; expected false: transformers 4 scales"):
        _loaded(tmp_path)
    configured(tmp_path, {"tie_word_embeddings": False})
    with pytest.raises(PolyticketError, match=r"missing tensor lm_head\.weight"):
        _loaded(tmp_path)
    configured(tmp_path, {"transformers_version": "5.0.0"})
    assert distance(logits(_loaded(tmp_path)), logits_of_transformers(tmp_path)) < 1e-5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda t: t | {"encoder.block.0.layer.0.SelfAttention.q.lora_A.weight": torch.ones(2, 16)},
            r"encoder\.block\.0\.layer\.0\.SelfAttention\.q\.lora_A\.weight is not understood",
        ),
        (
            lambda t: t | {"encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight": torch.ones(32, 3)},
            r"encoder\.block\.1\.layer\.0\.SelfAttention\.relative_attention_bias\.weight is not understood",
        ),
        (
            lambda t: t | {"decoder.block.2.layer.0.layer_norm.weight": torch.ones(16)},
            r"decoder\.block\.2\.layer\.0\.layer_norm\.weight is not understood; .*encoder 2, decoder 2",
        ),
        (lambda t: t | {"shared.weight": t["shared.weight"].fill_(np.inf)}, r"shared\.weight holds NaN or infinite"),
        (lambda t: t | {"lm_head.weight": torch.ones(64, 16)}, r"lm_head\.weight has shape \[64, 16\].*\[61, 16\]"),
        (lambda t: t | {"lm_head.bias": torch.ones(61)}, r"lm_head\.bias is not understood"),
        (
            lambda t: t | {"decoder.embed_tokens.weight": t["shared.weight"] + 1},
            r"decoder\.embed_tokens\.weight differs from (shared|encoder)",
        ),
        (lambda t: {n: x for n, x in t.items() if n[0] != "d"}, r"missing tensor decoder\.block\.0"),
        (lambda t: {n: x for n, x in t.items() if n != "shared.weight"}, r"missing tensor shared\.weight"),
    ],
)
def test_a_tensor_of_an_mt5_that_is_at_fault_is_refused_by_name(change, said, tmp_path):
    with pytest.raises(PolyticketError, match=f"{SAFE}: {said}"):
        _loaded(changed(mt5(tmp_path), change))


def test_an_mt5_is_no_bert(tmp_path):
    with pytest.raises(PolyticketError, match=r"config\.json: model_type 'mt5'; expected bert"):
        read_model(mt5(tmp_path))


KERNEL = "bert/encoder/layer_0/attention/self/query/kernel"
SLOTS = (
    *(f"{KERNEL}/{slot}" for slot in ("adam_m", "adam_v", "Adam", "Adam_1", "m", "v", "lamb_m", "updates", "Momentum")),
    *(f"{KERNEL}/{slot}" for slot in ("ExponentialMovingAverage", "Adagrad", "RMSProp_1")),
    *(f"Adam/m/{KERNEL}", f"training/Adam/{KERNEL}/v", f"{KERNEL}_1", "bert/pooler/dense/kernel_1"),
    *("bert/embeddings/position_ids", "output_weights", "output_bias", "bert/pooler/pool_mask/adam_m"),
)


@pytest.mark.parametrize("languages", [(), ("en", "fr")])
def test_variables_that_change_nothing_are_passed_over(languages, tmp_path):
    model = with_random_masks(trained_model(), languages) if languages else trained_model()
    slots = [name for name in SLOTS if languages or "_mask" not in name]
    extra = {name: np.ones(3, np.float32) for name in slots}
    extra |= {name: np.float32(1) for name in ("loss_scale", "beta1_power", "good_steps")} | {
        "global_step": np.int64(7)
    }
    write_checkpoint(model_variables(model) | extra, tmp_path)
    write_checkpoint_config(model.shape, model.languages, model.mask_method, tmp_path)
    found = read_model_checkpoint(tmp_path)
    for name, array in (model.weights | model.masks).items():
        np.testing.assert_array_equal((found.weights | found.masks)[name], array)


@pytest.mark.parametrize(
    "name",
    [
        "bert/encoder/layer_0/attention/output/adapter/kernel",
        "bert/encoder/layer_0/adapter/adam_m",
        "bert/encoder/layer_2/output/dense/kernel",
        "bert/encoder/layer_0/output/head_mask",
        "bert/encoder/layer_0/attention/self/attention_mask",
        "bert/encoder/layer_0/attention/self/relative_embedding",
        f"{KERNEL}/mask",
        f"{KERNEL}_mask",
        f"{KERNEL}/lora_a",
        "bert/embeddings/language_embeddings",
        "cls/predictions/decoder/kernel",
        "prefix/kernel",
        "bert/scale",
    ],
)
def test_variables_that_are_not_understood_are_refused_by_name(name):
    model = trained_model()
    variables = model_variables(model) | {name: np.float32(1) if name == "bert/scale" else np.ones(3, np.float32)}
    with pytest.raises(
        PolyticketError, match=f"checkpoint: {re.escape(name)} is not understood; expected what a BERT of 2"
    ):
        variables_model(variables, model.shape, (), "constant")


@pytest.mark.parametrize("keep", [0, 1000, None])
def test_a_checkpoint_that_is_cut_short_ends_in_one_line(keep, tmp_path):
    write_checkpoint(model_variables(trained_model()), tmp_path)
    write_checkpoint_config(TINY, (), "constant", tmp_path)
    data = tmp_path / "model.ckpt.data-00000-of-00001"
    data.unlink() if keep is None else data.write_bytes(data.read_bytes()[:keep])
    with pytest.raises(PolyticketError, match=f"{tmp_path}: no readable TensorFlow checkpoint: "):
        read_model_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.full(24, np.inf, np.float32), "holds NaN or infinite values"),
        (np.zeros(24, np.int8), "is int8; expected float32, float16 or bfloat16"),
    ],
)
def test_variables_without_a_weights_values_are_refused(array, said):
    variables = model_variables(trained_model()) | {"bert/pooler/dense/bias": array}
    with pytest.raises(PolyticketError, match=f"checkpoint: bert/pooler/dense/bias {said}"):
        variables_model(variables, TINY, (), "constant")


def test_a_checkpoints_configuration_is_read_by_the_same_rules(tmp_path):
    write_checkpoint(model_variables(trained_model()), tmp_path)
    write_checkpoint_config(TINY, (), "constant", tmp_path)
    configured(tmp_path, {"position_embedding_type": "relative_key"})
    with pytest.raises(PolyticketError, match="position_embedding_type: 'relative_key'; expected 'absolute'"):
        read_model_checkpoint(tmp_path)


def test_what_is_written_is_read_again(tmp_path):
    model = trained_model()
    body = {name: array for name, array in model.weights.items() if "pooler" not in name and name[:3] != "cls"}
    write_model(Model(model.shape, body), tmp_path)
    assert read_model(tmp_path).weights.keys() == body.keys()
