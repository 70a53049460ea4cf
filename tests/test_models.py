"""One definition of the model: PyTorch, TensorFlow, Hugging Face and the folded export compute the same."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
import torch
from transformers import BertConfig, BertForPreTraining

from polyticket.core.errors import PolyticketError
from polyticket.model.compact import fold
from polyticket.model.folder import Model, read_model, write_model
from polyticket.model.initial import initial_model
from polyticket.model.mask_methods import SITES, masks_site
from polyticket.model.shape import mask_entries, mask_sites, prunable_sites, weight_entries
from polyticket.model.tf_bert import Dropout, hidden_states, language_rows, loss_sums, pretraining_logits
from polyticket.model.tf_checkpoint import (
    model_variables,
    read_checkpoint,
    read_model_checkpoint,
    variables_model,
    write_checkpoint,
    write_model_checkpoint,
)
from polyticket.model.tf_weights import multiplied
from polyticket.model.torch_bert import pretraining_losses, torch_masks, torch_model
from tests.support.models import TINY, random_batch, trained_model, with_random_masks


def torch_outputs(model: Model, batch: dict[str, np.ndarray], language: str = "fr") -> tuple[np.ndarray, ...]:
    network = torch_model(model).eval()
    masks = torch_masks(model, language)
    tensors = {k: torch.from_numpy(v).long() if v.dtype == np.int32 else torch.from_numpy(v) for k, v in batch.items()}
    with torch.inference_mode():
        hidden = network.bert(tensors["input_ids"], tensors["input_mask"], tensors["segment_ids"], masks)
        logits = network(tensors, masks)
        losses = pretraining_losses(logits, tensors)
    return tuple(x.numpy() for x in (hidden, *logits, *losses))


def tf_outputs(model: Model, batch: dict[str, np.ndarray], row: int = 1) -> tuple[np.ndarray, ...]:
    v = {e.tf: tf.constant(e.convert(model.weights[e.torch])) for e in weight_entries(model.shape)}
    entries = [e for e in mask_entries(model.shape, 2) if model.masks and masks_site(model.mask_method, e.tf)]
    rows = language_rows({e.tf: tf.constant(model.masks[e.torch]) for e in entries}, tf.constant(row))
    features = {name: tf.constant(values) for name, values in batch.items()}
    given = model.shape, features, rows, Dropout(None)
    hidden = hidden_states(multiplied(v, model.shape, rows), *given)
    logits = pretraining_logits(v, *given)
    mlm, nsp = loss_sums(multiplied(v, model.shape, rows), *given)
    count = batch["masked_lm_weights"].sum() + 1e-5
    return tuple(np.asarray(x) for x in (hidden, *logits, mlm / count, nsp / len(batch["input_ids"])))


@pytest.mark.parametrize("activation", ["gelu", "gelu_new"])
@pytest.mark.parametrize("masked", ["no masks", "all ones", "random masks", "some sites"])
def test_tensorflow_and_pytorch_agree(masked, activation):
    model = trained_model(replace(TINY, hidden_act=activation))
    if masked != "no masks":
        model = with_random_masks(model)
    if masked == "all ones":
        model = replace(model, masks={name: np.ones_like(array) for name, array in model.masks.items()})
    if masked == "some sites":
        model = replace(model, mask_method={**dict.fromkeys(SITES, "linear"), "value": "constant", "pool": "constant"})
    batch = random_batch()
    for ours, theirs in zip(torch_outputs(model, batch), tf_outputs(model, batch), strict=True):
        assert np.abs(ours - theirs).max() < 1e-4
        assert np.abs(ours).max() > 0.1  # numbers that differ would show


def test_published_fault_the_two_halves_obey_one_layer_norm_epsilon_and_activation():
    batch = random_batch()
    model = trained_model(replace(TINY, layer_norm_eps=1e-3, hidden_act="gelu_new"))
    plain = replace(model, shape=TINY)
    assert np.abs(torch_outputs(model, batch)[1] - torch_outputs(plain, batch)[1]).max() > 1e-3
    for ours, theirs in zip(torch_outputs(model, batch), tf_outputs(model, batch), strict=True):
        assert np.abs(ours - theirs).max() < 1e-4


def test_pytorch_agrees_with_transformers():
    model, batch = trained_model(), random_batch()
    theirs = BertForPreTraining(BertConfig(**model.shape.to_config())).eval()
    report = theirs.load_state_dict({k: torch.from_numpy(v) for k, v in model.weights.items()}, strict=False)
    assert sorted(report.missing_keys) == ["cls.predictions.decoder.bias", "cls.predictions.decoder.weight"]
    assert not report.unexpected_keys
    tensors = {name: torch.from_numpy(values).long() for name, values in batch.items()}
    with torch.inference_mode():
        found = theirs(tensors["input_ids"], tensors["input_mask"], tensors["segment_ids"])
    words = np.take_along_axis(
        found.prediction_logits.numpy(), batch["masked_lm_positions"][:, :, None].astype(np.int64), axis=1
    )
    _, ours, follows, *_ = torch_outputs(model, batch)
    assert np.abs(words - ours).max() < 1e-4
    assert np.abs(found.seq_relationship_logits.numpy() - follows).max() < 1e-4


@pytest.mark.parametrize("activation", ["gelu", "gelu_new"])
def test_folded_export_equals_the_masked_model(activation):
    model, batch = with_random_masks(trained_model(replace(TINY, hidden_act=activation))), random_batch()
    folded = fold(model, "fr")
    assert not folded.masks
    unmasked = replace(model, mask_method="constant")
    assert np.abs(torch_outputs(unmasked, batch)[1] - torch_outputs(model, batch)[1]).max() > 0.1
    for ours, theirs in zip(torch_outputs(folded, batch), torch_outputs(model, batch), strict=True):
        assert np.abs(ours - theirs).max() < 1e-5


def test_a_masked_neuron_has_no_effect():
    model, batch = with_random_masks(trained_model()), random_batch()
    pruned = {site.name: np.flatnonzero(model.masks[site.name][1] == 0) for site in prunable_sites(model.shape)}
    weights = {name: array.copy() for name, array in model.weights.items()}
    for layer in range(model.shape.num_hidden_layers):
        at = f"bert.encoder.layer.{layer}"
        weights[f"{at}.attention.self.value.weight"][pruned[f"{at}.attention.self.value_attention_mask"]] += 9
        weights[f"{at}.intermediate.dense.bias"][pruned[f"{at}.intermediate.intermediate_mask"]] += 9
    changed = replace(model, weights=weights)
    for ours, theirs in zip(torch_outputs(changed, batch), torch_outputs(model, batch), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_conversion_there_and_back_is_bit_exact(tmp_path):
    model = with_random_masks(trained_model())
    (tmp_path / "tf").mkdir()
    (tmp_path / "hf").mkdir()
    write_model_checkpoint(model, tmp_path / "tf")
    write_model(read_model_checkpoint(tmp_path / "tf"), tmp_path / "hf")
    found = read_model(tmp_path / "hf")
    assert found.shape == model.shape
    assert (found.languages, found.mask_method) == (("en", "fr"), "linear")
    assert found.weights.keys() == model.weights.keys()
    assert found.masks.keys() == model.masks.keys()
    for name, array in (model.weights | model.masks).items():
        assert (found.weights | found.masks)[name].tobytes() == array.tobytes(), name


def test_checkpoint_names_and_shapes_are_those_of_the_original_code(tmp_path):
    write_model_checkpoint(with_random_masks(trained_model()), tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "checkpoint",
        "config.json",
        "model.ckpt.data-00000-of-00001",
        "model.ckpt.index",
    ]
    shapes = tf.train.load_checkpoint(str(tmp_path)).get_variable_to_shape_map()
    H, wide, V = TINY.hidden_size, TINY.intermediate_size, TINY.vocab_size
    expected = {
        "bert/embeddings/word_embeddings": [V, H],
        "bert/embeddings/LayerNorm/gamma": [H],
        "bert/encoder/layer_1/attention/self/query/kernel": [H, H],
        "bert/encoder/layer_1/attention/self/value_attention_mask": [2, H],
        "bert/encoder/layer_1/attention/output/output_mask": [2, H],
        "bert/encoder/layer_0/intermediate/dense/kernel": [H, wide],
        "bert/encoder/layer_0/intermediate/intermediate_mask": [2, wide],
        "bert/encoder/layer_0/output/dense/kernel": [wide, H],
        "bert/encoder/layer_0/output/layer_mask": [2, H],
        "bert/pooler/pool_mask": [2, H],
        "cls/predictions/transform/LayerNorm/beta": [H],
        "cls/predictions/output_bias": [V],
        "cls/seq_relationship/output_weights": [2, H],
    }
    assert {name: shapes[name] for name in expected} == expected
    assert len(shapes) == 3 + 2 + 2 * (16 + 5) + 2 + 1 + 4 + 1 + 2


def test_published_fault_conversion_ignores_optimiser_slots_and_accumulators(tmp_path):
    model = with_random_masks(trained_model())
    extra = {"global_step": np.int64(3), "bert/pooler/dense/kernel/adam_m": np.ones((24, 24), np.float32)}
    extra |= {"bert/encoder/layer_0/output/dense/kernel/updates": np.ones((2, 40, 24), np.float32)}
    extra |= {"bert/embeddings/position_ids": np.arange(20)}
    write_checkpoint(model_variables(model) | extra, tmp_path)
    found = variables_model(read_checkpoint(tmp_path), model.shape, model.languages, "linear")
    assert found.weights.keys() == model.weights.keys()
    np.testing.assert_array_equal(found.weights["bert.pooler.dense.weight"], model.weights["bert.pooler.dense.weight"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bert/pooler/dense/bias": None}, "missing variable bert/pooler/dense/bias"),
        ({"bert/pooler/dense/bias": np.zeros(9, np.float32)}, r"bert/pooler/dense/bias has shape \[9\].*\[24\]"),
        ({"bert/pooler/pool_mask": np.zeros((3, 24), np.float32)}, r"bert/pooler/pool_mask has shape \[3, 24\]"),
    ],
)
def test_conversion_names_what_is_missing_or_misshapen(change, message):
    model = with_random_masks(trained_model())
    variables = {k: v for k, v in (model_variables(model) | change).items() if v is not None}
    with pytest.raises(PolyticketError, match=message):
        variables_model(variables, model.shape, model.languages, "linear")


def test_initial_weights_are_seeded_truncated_and_independent_per_tensor():
    one, same, other = initial_model(TINY, 1), initial_model(TINY, 1), initial_model(TINY, 2)
    name = "bert.encoder.layer.1.intermediate.dense.weight"
    np.testing.assert_array_equal(one.weights[name], same.weights[name])
    assert np.abs(one.weights[name] - other.weights[name]).max() > 0.01
    deeper = initial_model(replace(TINY, num_hidden_layers=5), 1)
    np.testing.assert_array_equal(one.weights[name], deeper.weights[name])
    big = initial_model(replace(TINY, vocab_size=20000), 1).weights["bert.embeddings.word_embeddings.weight"]
    assert np.abs(big).max() <= 0.04
    assert big.std() == pytest.approx(0.02 * 0.8796, rel=0.01)  # of a normal cut at two deviations
    assert (one.weights["bert.pooler.dense.bias"] == 0).all()
    assert (one.weights["bert.embeddings.LayerNorm.weight"] == 1).all()


def test_scaling_keeps_the_head_size():
    scaled = replace(TINY, hidden_size=768, num_attention_heads=12, intermediate_size=3072).scaled(16)
    assert (scaled.hidden_size, scaled.num_attention_heads, scaled.intermediate_size) == (1024, 16, 4096)
    assert scaled.head_size == 64
    with pytest.raises(PolyticketError, match="intermediate_size 40 cannot be scaled by 2/3"):
        TINY.scaled(2)


def test_encoders_saved_without_prefix_are_read(tmp_path):
    model = trained_model()
    bare = {k.removeprefix("bert."): v for k, v in model.weights.items() if k.startswith("bert.")}
    write_model(Model(model.shape, bare), tmp_path)
    found = read_model(tmp_path)
    assert found.weights.keys() == {k for k in model.weights if k.startswith("bert.")}


def test_reading_names_a_misshapen_tensor(tmp_path):
    model = trained_model()
    write_model(Model(replace(model.shape, intermediate_size=48), model.weights), tmp_path)
    with pytest.raises(PolyticketError, match=r"layer.0.intermediate.dense.weight has shape \[40, 24\].*\[48, 24\]"):
        read_model(tmp_path)


def test_every_site_is_listed_once_in_forward_order():
    sites = mask_sites(TINY)
    assert len({site.name for site in sites}) == len(sites) == 2 * 5 + 1
    assert [site.size for site in prunable_sites(TINY)] == [24, 24, 40, 24, 24, 40, 24]
