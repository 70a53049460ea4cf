"""Masks at some kinds of sites alone: every part of the system leaves the others at one."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
import torch

from polyticket.core.errors import PolyticketError
from polyticket.model.compact import compact, density, fold
from polyticket.model.folder import Model, read_model, write_model
from polyticket.model.mask_methods import SITES, checked_method, masks_site, masks_some, method_text
from polyticket.model.shape import mask_sites, prunable_sites
from polyticket.model.tf_checkpoint import model_variables, read_model_checkpoint, write_model_checkpoint
from polyticket.model.torch_bert import torch_encoder, torch_masks
from polyticket.model.torch_compact import compact_encoder
from polyticket.pretraining.optimizer import AdamWeightDecay
from polyticket.pretraining.run import Start
from polyticket.pretraining.trainer import Computation, Trainer
from polyticket.tickets.masked_model import with_ticket
from polyticket.tickets.masks import Masks
from polyticket.tickets.ticket import Ticket
from tests.support.models import TINY, random_batch, trained_model, with_random_masks

PLAIN = replace(TINY, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
PARTLY = {"attention": "constant", "value": "linear", "intermediate": "constant", "pool": "linear"}
END = {"attention": ".attention_mask", "value": "value_attention_mask", "intermediate": "intermediate_mask",
       "pool": "pool_mask"}  # fmt: skip


def partly(model: Model) -> Model:
    return replace(model, mask_method=PARTLY)


def with_ones_where_constant(model: Model) -> Model:
    """The same function by plain means: all sites linear, ones at those that are constant."""
    ends = tuple(END[kind] for kind, method in PARTLY.items() if method == "constant")
    masks = {name: np.ones_like(a) if name.endswith(ends) else a for name, a in model.masks.items()}
    return replace(model, masks=masks, mask_method="linear")


def encoded(model: Model) -> tuple[np.ndarray, np.ndarray]:
    batch = {name: torch.from_numpy(values).long() for name, values in random_batch().items()}
    encoder, masks = torch_encoder(model).eval(), torch_masks(model, "fr") if model.masks else None
    with torch.inference_mode():
        hidden = encoder(batch["input_ids"], batch["input_mask"], batch["segment_ids"], masks)
        return hidden.numpy(), encoder.pool(hidden, masks).numpy()


def test_a_mask_method_has_one_form():
    assert checked_method("linear", "x") == checked_method({}, "x") == "linear"
    assert checked_method(dict.fromkeys(SITES, "constant"), "x") == "constant"
    found = checked_method({"pool": "constant"}, "x")
    assert found == {"attention": "linear", "value": "linear", "intermediate": "linear", "pool": "constant"}
    assert (masks_some(found), masks_some("constant")) == (True, False)
    assert (method_text(found), method_text("constant"), method_text(None)) == ("linear but for pool", "constant", "")
    assert method_text("linear", "fr") == "linear, masks of fr"
    for given, line in (("cubic", "mask_method: 'cubic'"), ({"head": "linear"}, "mask_method: unknown site 'head'"),
                        ({"pool": "off"}, "mask_method.pool: 'off'"), (3, "mask_method: 3")):  # fmt: skip
        with pytest.raises(PolyticketError, match=f"^config: {line}"):
            checked_method(given, "config")


def test_every_site_is_masked_as_its_kind_says_and_those_never_pruned_always():
    names = [site.name for site in mask_sites(TINY)]
    for written in (names, [name.replace("layer.", "layer_").replace(".", "/") for name in names]):
        masked = [masks_site(PARTLY, name) for name in written]
        layer = [False, True, True, False, True]  # attention, value, output, intermediate, output
        assert masked == [*layer, *layer, True]


def test_a_masked_kind_masks_and_a_constant_one_does_not():
    model = with_random_masks(trained_model())
    expected = encoded(with_ones_where_constant(model))
    for ours, same, other in zip(encoded(partly(model)), expected, encoded(model), strict=True):
        np.testing.assert_array_equal(ours, same)
        assert np.abs(ours - other).max() > 0.01


def test_folded_and_compact_exports_obey_the_method():
    model = partly(with_random_masks(trained_model()))
    folded = fold(model, "fr")
    query = "bert.encoder.layer.0.attention.self.query.weight"
    np.testing.assert_array_equal(folded.weights[query], model.weights[query])
    for ours, theirs in zip(encoded(folded), encoded(model), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    inner = with_random_masks(trained_model())  # the compact form knows no masks of output projections
    ones = {name: np.ones_like(a) if "output" in name else a for name, a in inner.masks.items()}
    inner = partly(replace(inner, masks=ones))
    made = compact(inner, "fr")
    assert made.layout.layers[0].intermediate == TINY.intermediate_size
    batch = {name: torch.from_numpy(values).long() for name, values in random_batch().items()}
    with torch.inference_mode():
        hidden = compact_encoder(made)(batch["input_ids"], batch["input_mask"], batch["segment_ids"])
    np.testing.assert_allclose(hidden.numpy(), encoded(inner)[0], atol=1e-5)


def test_density_counts_constant_sites_as_whole():
    model = with_random_masks(trained_model())
    sizes = {site.name: site.size for site in prunable_sites(TINY)}
    kept = {
        name: model.masks[name][1].sum() if name.endswith(("value_attention_mask", "pool_mask")) else size
        for name, size in sizes.items()
    }
    assert density(partly(model), "fr") == sum(kept.values()) / sum(sizes.values())
    assert density(replace(model, mask_method="constant"), "fr") == 1


def test_folders_and_checkpoints_keep_the_method(tmp_path):
    model = partly(with_random_masks(trained_model()))
    for name in ("tf", "hf"):
        (tmp_path / name).mkdir()
    write_model_checkpoint(model, tmp_path / "tf")
    write_model(read_model_checkpoint(tmp_path / "tf"), tmp_path / "hf")
    found = read_model(tmp_path / "hf")
    assert found.mask_method == PARTLY
    assert {name: array.tobytes() for name, array in found.masks.items()} == {
        name: array.tobytes() for name, array in model.masks.items()
    }


def test_a_ticket_joins_with_a_method():
    bits = {site.name: np.ones((2, site.size), bool) for site in prunable_sites(TINY)}
    joined = with_ticket(trained_model(), Ticket(("en", "fr"), Masks.packed(bits, 2), {}), PARTLY)
    assert joined.mask_method == PARTLY
    assert joined.masks.keys() == {site.name for site in mask_sites(TINY)}


@pytest.mark.parametrize("compute", ["masked", "compact"])
def test_pretraining_is_that_of_masks_that_are_ones_where_the_method_is_constant(compute):
    model = with_random_masks(trained_model(PLAIN, scale=1))

    def losses(model: Model, compute: str) -> np.ndarray:
        start = Start(model_variables(model), model.shape, model.languages, model.mask_method, [], None)
        trainer = Trainer(
            model.shape,
            start.used_masks,
            AdamWeightDecay(5e-3, warmup_steps=1, total_steps=10),
            seed=1,
            computation=Computation(compute, compact_multiple=2),
            strategy=tf.distribute.get_strategy(),
        )
        trainer.load(start.variables)
        batches = [random_batch(size=4, language=step % 2, seed=step) for step in range(4)]
        return np.array([trainer.step({k: tf.constant(v) for k, v in one.items()}).numpy()[:2] for one in batches])

    expected = losses(with_ones_where_constant(model), "masked")
    np.testing.assert_allclose(losses(partly(model), compute), expected, atol=1e-4)
    assert np.abs(losses(model, "masked") - expected).max() > 1e-2
