import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from polyticket.core.errors import PolyticketError
from polyticket.model.compact import Group, LayerSizes, Layout, compact, expand, fold, groups_of, packing_of
from polyticket.model.shape import mask_sites
from polyticket.model.torch_bert import pretraining_losses, torch_encoder, torch_masks, torch_model
from polyticket.model.torch_compact import (
    CompactBert,
    RaggedAttention,
    compact_encoder,
    compact_with_heads,
    load_compact,
    load_heads,
    save_compact,
    unpacked,
)
from tests.support.models import TINY, random_batch, trained_model, with_random_masks

EXACT = {"rtol": 0, "atol": 1e-12}
AT = "bert.encoder.layer.0"
SITES = {
    "query_key": f"{AT}.attention.self.attention_mask",
    "value": f"{AT}.attention.self.value_attention_mask",
    "wide": f"{AT}.intermediate.intermediate_mask",
    "pooler": "bert.pooler.pool_mask",
}


def batch(**changes):
    return {
        name: torch.from_numpy(array.astype(np.int64) if array.dtype == np.int32 else array)
        for name, array in random_batch(**changes).items()
    }


def masked(**zeros):
    """A model with random masks; of the named sites, the given places are masked too."""
    model = with_random_masks(trained_model())
    for name, places in zeros.items():
        model.masks[SITES[name]][1, places] = 0
    return model


def doubled(model, language="fr"):
    """The masked model and the compact one in double precision, where rounding cannot hide a fault."""
    rows = torch_masks(model, language)
    masks = None if rows is None else {name: row.double() for name, row in rows.items()}
    return torch_model(model).double().eval(), masks, compact_with_heads(compact(model, language)).double().eval()


EVERYTHING = slice(None)
CASES = {
    "random": {},
    "a head without queries and keys": {"query_key": slice(0, 8)},
    "a head without values": {"value": slice(8, 16)},
    "no queries and keys at all": {"query_key": EVERYTHING},
    "no values at all": {"value": EVERYTHING},
    "no neurons": {"wide": EVERYTHING},
    "one neuron": {"wide": slice(1, None)},
    "no pooler": {"pooler": EVERYTHING},
    "nothing": dict.fromkeys(SITES, EVERYTHING),
    "very uneven heads": {"query_key": np.r_[1:8, 9:12], "value": np.r_[10:16, 17:24]},
}


@pytest.fixture(params=[(64, 6), (0, 0)], ids=["few groups", "many groups, two widths"])
def grouping(request, monkeypatch):
    """The usual grouping of heads, and one that pads weights as little as possible."""
    for name, value in zip(("GROUP_COST", "NEAR"), request.param, strict=True):
        monkeypatch.setattr(f"polyticket.model.compact.{name}", value)


@pytest.mark.usefixtures("grouping")
@pytest.mark.parametrize("zeros", CASES.values(), ids=CASES)
def test_compact_computes_what_the_masked_model_does(zeros):
    full, masks, small = doubled(masked(**zeros))
    with torch.no_grad():
        for ours, theirs in zip(small(batch()), full(batch(), masks), strict=True):
            torch.testing.assert_close(ours, theirs, **EXACT)
        inputs = [batch()[name] for name in ("input_ids", "input_mask", "segment_ids")]
        hidden = small.bert(*inputs)
        torch.testing.assert_close(hidden, full.bert(*inputs, masks), **EXACT)
        torch.testing.assert_close(small.bert.pool(hidden), full.bert.pool(hidden, masks), **EXACT)


@pytest.mark.usefixtures("grouping")
@pytest.mark.parametrize("zeros", CASES.values(), ids=CASES)
def test_gradients_are_those_of_the_masked_model(zeros):
    model = masked(**zeros)
    for site in mask_sites(model.shape):  # the output projections' masks are all ones, as allocation leaves them
        if not site.prunable:
            model.masks[site.name][:] = 1
    full, masks, small = doubled(model)
    for each, given in ((full, masks), (small, None)):
        sum(
            pretraining_losses(each(batch(), given), {**batch(), "masked_lm_weights": torch.ones(4, 3).double()})
        ).backward()
    gradients = {name: parameter.grad for name, parameter in small.bert.named_parameters()}
    for name, parameter in small.bert.named_parameters():
        parameter.data = torch.zeros_like(parameter) if gradients[name] is None else gradients[name]
    ours = unpacked(small.bert)  # refuses gradients of the zeros that pad the heads
    theirs = {f"bert.{name}": p.grad for name, p in full.bert.named_parameters()}
    kept = compact(replace(model, weights=model.weights | {n: g.numpy() for n, g in theirs.items()}), "fr").weights
    for name, gradient in ours.items():
        if name != "bert.pooled":
            torch.testing.assert_close(gradient, torch.from_numpy(kept[name]), **EXACT)


def test_a_model_that_masks_nothing_stays_whole():
    model = trained_model()
    made = compact(model, "any")
    assert made.layout == Layout.full(TINY)
    assert all(np.array_equal(made.weights[name], array) for name, array in model.weights.items())
    full, _, small = doubled(model, "any")
    with torch.no_grad():
        torch.testing.assert_close(small(batch())[0], full(batch())[0], **EXACT)


def test_sizes_are_those_of_the_masks_and_dead_heads_lose_their_queries():
    model = masked(query_key=np.r_[0:3, 16:24], value=slice(8, 16))
    row = {name: model.masks[site][1].reshape(-1, 8).sum(1).astype(int).tolist() for name, site in SITES.items()}
    layout = compact(model, "fr").layout
    assert layout.layers[0].value == (row["value"][0], 0, row["value"][2])
    assert layout.layers[0].query_key == (row["query_key"][0], 0, 0)
    assert layout.layers[0].intermediate == sum(row["wide"])
    assert layout.pooler == sum(row["pooler"])


def test_the_scale_of_attention_is_that_of_full_heads():
    small = compact_encoder(compact(masked(query_key=slice(0, 7)), "fr"))
    assert {m.scale for m in small.modules() if isinstance(m, RaggedAttention)} == {8**-0.5}


def test_heads_of_like_width_are_one_group():
    sizes = LayerSizes((10, 40, 12, 0, 44, 9), (11, 41, 9, 8, 40, 0), 5)
    assert groups_of(sizes) == (Group((3, 0, 2), 12, 12), Group((1, 4), 44, 44))
    packing = packing_of(sizes)
    assert packing.mixed == 128  # 3 * 12 + 2 * 44, and 4 zeros
    assert packing.rows == 384  # 2 * 124 + 128, and 8 zeros
    assert packing.query.tolist() == [*range(12, 22), *range(36, 76), *range(24, 36), *range(80, 124)]
    assert (packing.key - packing.query == 124).all()
    assert packing.output.tolist() == [*range(12, 23), *range(36, 77), *range(24, 33), *range(8), *range(80, 120)]
    assert (packing.value == packing.output + 248).all()


def test_products_have_widths_of_a_multiple_of_16_and_files_hold_no_padding(tmp_path):
    encoder = compact_encoder(made := compact(masked(wide=slice(0, 3), query_key=slice(0, 5)), "fr"))
    layers = [(name, tensor) for name, tensor in encoder.state_dict().items() if ".layer." in name]
    assert any(packed.numel() > made.weights.get(f"bert.{name}", np.zeros(0)).size for name, packed in layers)
    for name, tensor in layers:
        whole = name.endswith(("LayerNorm.weight", "LayerNorm.bias", "output.dense.bias"))
        assert whole or all(width % 16 == 0 or width == TINY.hidden_size for width in tensor.shape), name
    save_compact(encoder, tmp_path / "small")
    held = load_file(tmp_path / "small/model.safetensors")
    assert {name: array.shape for name, array in held.items()} == made.layout.tensors()


def test_widths_of_queries_and_values_that_are_far_apart_stay_so():
    assert groups_of(LayerSizes((40, 30), (50, 56), 5)) == (Group((0, 1), 40, 56),)
    assert groups_of(LayerSizes((50, 40), (52, 56), 5)) == (Group((0, 1), 56, 56),)
    assert groups_of(LayerSizes((5, 6), (0, 0), 5)) == ()


def test_parameters_and_operations_are_counted():
    made = compact(masked(), "fr")
    encoder = compact_encoder(made)
    held = sum(tensor.numel() for name, tensor in unpacked(encoder).items() if name != "bert.pooled")
    tables = sum(p.numel() for p in encoder.embeddings.parameters())
    assert made.layout.parameters() == {"total": held, "without_embeddings": held - tables}
    H, width, T = 24, 40, 16
    layer = 2 * T * (4 * H * H + 2 * H * width) + 2 * 2 * T * T * H
    assert Layout.full(TINY).flops(T) == 2 * layer + 2 * H * H
    assert made.layout.flops(T) < Layout.full(TINY).flops(T)


def train(encoder, steps=4, language="fr", masks=None, dropout=0.0):
    for module in encoder.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = dropout
        if hasattr(module, "dropout_prob"):
            module.dropout_prob = dropout
    encoder.train()
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=1e-2, weight_decay=0.0)
    for step in range(steps):
        one = batch(seed=step)
        hidden = encoder(one["input_ids"], one["input_mask"], one["segment_ids"], masks)
        (hidden[:, :, 0] ** 2).mean().add(encoder.pool(hidden, masks).mean()).backward()
        optimizer.step()
        optimizer.zero_grad()
    return encoder.eval()


def test_published_fault_a_pruned_model_cannot_be_reloaded_after_fine_tuning(tmp_path):
    encoder = train(compact_encoder(compact(masked(query_key=slice(0, 8), wide=EVERYTHING), "fr")), dropout=0.1)
    save_compact(encoder, tmp_path / "tuned", heads={"classifier.weight": torch.arange(6.0).reshape(2, 3)})
    again = load_compact(tmp_path / "tuned")
    inputs = [batch()[name] for name in ("input_ids", "input_mask", "segment_ids")]
    with torch.no_grad():
        for ours, theirs in zip(again.encode(*inputs), encoder.encode(*inputs), strict=True):
            assert torch.equal(ours, theirs)
        start = compact_encoder(compact(masked(query_key=slice(0, 8), wide=EVERYTHING), "fr"))
        assert not torch.equal(start(*inputs), encoder(*inputs))
    assert load_heads(tmp_path / "tuned")["classifier.weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    once_more = train(again)  # it is a normal module that can be trained on
    save_compact(once_more, tmp_path / "tuned")
    assert load_heads(tmp_path / "tuned") == {}


def test_training_the_compact_model_is_training_the_masked_one():
    model = masked(value=slice(8, 16))
    for site in mask_sites(model.shape):
        if not site.prunable:
            model.masks[site.name][:] = 1
    small = train(compact_encoder(compact(model, "fr")).double())
    full = train(torch_encoder(model).double(), masks={n: r.double() for n, r in torch_masks(model, "fr").items()})
    back = expand({name: tensor.numpy() for name, tensor in unpacked(small).items()}, model, "fr")
    for name, tensor in full.state_dict().items():
        # gradients near 0 differ in rounding, and Adam divides by their size
        torch.testing.assert_close(torch.from_numpy(back.weights[f"bert.{name}"]).double(), tensor, rtol=0, atol=1e-5)
    assert back.masks is model.masks
    untouched = np.flatnonzero(model.masks[SITES["wide"]][1] == 0)
    name = f"{AT}.intermediate.dense.weight"
    assert np.array_equal(back.weights[name][untouched], model.weights[name][untouched])


def test_expanding_untrained_weights_gives_the_model_back():
    model = with_random_masks(trained_model())
    for site in mask_sites(model.shape):
        if not site.prunable:
            model.masks[site.name][:] = 1
    back = expand(compact(model, "fr").weights, model, "fr")
    assert all(np.array_equal(back.weights[name], array) for name, array in model.weights.items())


def test_a_changed_padding_is_not_saved(tmp_path):
    encoder = compact_encoder(compact(masked(query_key=slice(0, 4)), "fr"))
    with torch.no_grad():
        encoder.encoder["layer"][0].attention["self"].query_key_value.weight += 1
    with pytest.raises(PolyticketError, match=f"{AT}.attention: rows or columns of padding are not zero"):
        save_compact(encoder, tmp_path / "bad")
    assert not (tmp_path / "bad").exists()


def test_the_call_of_hugging_face(tmp_path):
    model = masked()
    small, plain = compact_encoder(compact(model, "fr")), torch_encoder(fold(model, "fr")).eval()
    ids = batch()["input_ids"]
    with torch.no_grad():
        found = small.encode(ids)
        hidden = plain(ids, torch.ones_like(ids), torch.zeros_like(ids))
        torch.testing.assert_close(found.last_hidden_state, hidden, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found.pooler_output, plain.pool(hidden), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="masks built in"):
        small(ids, ids, ids, {})


def test_a_model_without_pooler_and_heads(tmp_path):
    model = with_random_masks(trained_model())
    bare = replace(model, weights={n: a for n, a in model.weights.items() if n.startswith("bert.e")})
    small = compact_encoder(compact(bare, "fr"))
    assert small.encode(batch()["input_ids"]).pooler_output is None
    save_compact(small, tmp_path / "bare")
    again = load_compact(tmp_path / "bare")
    assert again.layout == small.layout
    with pytest.raises(ValueError, match="no pooler"):
        again.pool(torch.zeros(1, 2, 24))


def test_a_file_that_does_not_fit_is_refused(tmp_path):
    made = compact(masked(), "fr")
    save_compact(compact_encoder(made), tmp_path / "model")
    weights, config = tmp_path / "model/model.safetensors", tmp_path / "model/config.json"
    arrays, stated = load_file(weights), json.loads(config.read_text(encoding="utf-8"))
    name = f"{AT}.attention.self.query.weight"
    save_file({n: a for n, a in arrays.items() if n != name}, weights)
    with pytest.raises(PolyticketError, match=f"model.safetensors: missing tensor {name}"):
        load_compact(tmp_path / "model")
    save_file(arrays | {name: arrays[name][1:].copy()}, weights)
    with pytest.raises(PolyticketError, match=rf"{name} has shape \[\d+, 24\]; expected \[\d+, 24\]"):
        load_compact(tmp_path / "model")
    weights.write_bytes(b"not this")
    with pytest.raises(PolyticketError, match="cannot be read as weights"):
        load_compact(tmp_path / "model")
    stated["polyticket"]["compact"]["layers"][0]["value"][0] = 9
    config.write_text(json.dumps(stated), encoding="utf-8")
    with pytest.raises(PolyticketError, match="sizes do not fit the shape"):
        load_compact(tmp_path / "model")
    config.write_text(json.dumps({"hidden_size": 24}), encoding="utf-8")
    with pytest.raises(PolyticketError, match=r"config\.json: cannot be read as a compact model"):
        load_compact(tmp_path / "model")
    with pytest.raises(PolyticketError, match="no mask for language 'xx'"):
        compact(masked(), "xx")


def test_a_head_may_not_take_the_encoders_name(tmp_path):
    encoder = compact_encoder(compact(masked(), "fr"))
    with pytest.raises(PolyticketError, match=r"a head named bert\.x"):
        save_compact(encoder, tmp_path / "model", heads={"bert.x": torch.zeros(1)})
    assert isinstance(encoder, CompactBert)
