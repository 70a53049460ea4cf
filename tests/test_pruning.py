"""Unstructured pruning: which weights compete, which are kept, and how they are held at zero."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.utils.prune import custom_from_mask
from transformers import BertConfig, BertForTokenClassification, BertModel, MT5Config, MT5ForConditionalGeneration

from polyticket.core.errors import PolyticketError
from polyticket.pruning import criteria
from polyticket.pruning.criteria import PRUNERS, full_masks, prune, pruner
from polyticket.pruning.files import pruning_provenance, read_subnetwork, write_subnetwork
from polyticket.pruning.levels import schedule
from polyticket.pruning.masked import apply_masks, rewind_, snapshot
from polyticket.pruning.prunable import pool_sizes, pools_of
from polyticket.tasks.training import optimizer_of
from polyticket.tickets.masks import Masks
from polyticket.tickets.published_masks import export_masks, import_masks
from polyticket.tickets.ticket import Ticket, read_ticket, write_ticket

PARTS = [
    *("attention.self.query", "attention.self.key", "attention.self.value"),
    *("attention.output.dense", "intermediate.dense", "output.dense"),
]
LEVELS = schedule()


def bert(layers: int = 3, **options) -> BertModel:
    torch.manual_seed(1)
    sizes = {"vocab_size": 30, "hidden_size": 4, "intermediate_size": 6, "num_attention_heads": 2}
    return BertModel(BertConfig(num_hidden_layers=layers, max_position_embeddings=8, **sizes), **options)


def mt5() -> MT5ForConditionalGeneration:
    torch.manual_seed(1)
    sizes = {"vocab_size": 30, "d_model": 4, "d_kv": 3, "d_ff": 5, "num_heads": 2}
    return MT5ForConditionalGeneration(MT5Config(num_layers=2, num_decoder_layers=3, **sizes))


def shapes_of(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(parameter.shape) for name, parameter in module.named_parameters()}


def started(module: nn.Module, kind: str, *, joint_pool: bool = False):
    """A module's weights, full masks and pools."""
    pools = pools_of(shapes_of(module), kind, joint_pool=joint_pool)
    return dict(module.named_parameters()), full_masks(shapes_of(module), pools), pools


def rows(**masks: str) -> Masks:
    """Masks of one row from text: `101/010` is a matrix of two rows."""
    return Masks.packed(
        {name: np.array([[[bit == "1" for bit in line] for line in text.split("/")]]) for name, text in masks.items()},
        1,
    )


def text_of(masks: Masks) -> dict[str, str]:
    return {name: "/".join("".join(map(str, row)) for row in masks[name][0].astype(int)) for name in masks}


def floats(*values) -> np.ndarray:
    return np.array(values, np.float32)


def by_sorting(weights, masks: Masks, names, keep: int) -> dict[str, np.ndarray]:
    """The rule written out: sort all by magnitude, stably, and take the first of those that compete."""
    values = np.concatenate([np.abs(np.asarray(weights[name])).ravel() for name in names])
    competes = np.concatenate([masks[name][0].ravel() for name in names])
    order = np.argsort(-values, kind="stable")
    found = np.zeros(values.size, bool)
    found[order[competes[order]][:keep]] = True
    ends = np.cumsum([masks.sizes[name] for name in names])[:-1]
    return {name: part.reshape(masks.shapes[name]) for name, part in zip(names, np.split(found, ends), strict=True)}


def assert_same(masks: Masks, wanted: dict[str, np.ndarray]) -> None:
    assert sorted(wanted) == list(masks)
    for name, bits in wanted.items():
        np.testing.assert_array_equal(masks[name][0], bits)


@pytest.mark.parametrize("prefix", ["", "bert.", "model.roberta."])
@pytest.mark.parametrize("layers", [1, 3, 11])
def test_published_fault_layers_are_counted_in_the_model(layers, prefix):
    shapes = {prefix + name: shape for name, shape in shapes_of(bert(layers)).items()}
    wanted = [f"{prefix}encoder.layer.{layer}.{part}.weight" for layer in range(layers) for part in PARTS]
    assert pools_of(shapes, "bert") == {"all": [*wanted, f"{prefix}pooler.dense.weight"]}
    assert pools_of(dict(reversed(shapes.items())), "bert") == pools_of(shapes, "bert")


def test_a_model_without_pooler_and_with_a_head():
    torch.manual_seed(1)
    found = pools_of(shapes_of(BertForTokenClassification(bert(3).config)), "bert")
    wanted = [f"bert.encoder.layer.{layer}.{part}.weight" for layer in range(3) for part in PARTS]
    assert found == {"all": wanted}


def test_pools_of_an_mt5():
    found = pools_of(shapes_of(mt5()), "mt5")
    encoder, decoder = [], []
    for block in range(2):
        at = f"encoder.block.{block}.layer"
        encoder += [f"{at}.0.SelfAttention.{part}.weight" for part in "qkvo"]
        encoder += [f"{at}.1.DenseReluDense.{part}.weight" for part in ("wi_0", "wi_1", "wo")]
    for block in range(3):
        at = f"decoder.block.{block}.layer"
        decoder += [f"{at}.0.SelfAttention.{part}.weight" for part in "qkvo"]
        decoder += [f"{at}.1.EncDecAttention.{part}.weight" for part in "qkvo"]
        decoder += [f"{at}.2.DenseReluDense.{part}.weight" for part in ("wi_0", "wi_1", "wo")]
    assert found == {"encoder": encoder, "decoder": decoder}
    assert pools_of(shapes_of(mt5()), "mt5", joint_pool=True) == {"all": encoder + decoder}
    assert pool_sizes(shapes_of(mt5()), found) == {"encoder": 2 * (4 * 24 + 60), "decoder": 3 * (8 * 24 + 60)}


@pytest.mark.parametrize(
    ("kind", "change", "line"),
    [
        ("bert", lambda _: {"x.weight": (2, 2)}, "model: no layer; expected one encoder"),
        ("bert", lambda s: s | {"b." + k: v for k, v in s.items()}, "model: 2 encoders; expected one encoder"),
        (
            "bert",
            lambda s: {k: v for k, v in s.items() if "layer.1.output" not in k},
            r"model: encoder.layer.1 has no output.dense.weight; expected whole layers$",
        ),
        (
            "bert",
            lambda s: {k: v for k, v in s.items() if "layer.1." not in k},
            "model: encoder.layer.1 has no attention.self.query.weight",
        ),
        ("bert", lambda s: s | {"pooler.dense.weight": (4,)}, r"model: pooler.dense.weight has shape \[4\]"),
        ("mt5", lambda s: s, "model: no block of an mT5's encoder"),
        ("gpt", lambda s: s, "subnetwork: unknown kind of model 'gpt'; expected bert, mt5"),
    ],
)
def test_models_that_cannot_be_pruned_are_refused(kind, change, line):
    with pytest.raises(PolyticketError, match=f"^{line}"):
        pools_of(change(shapes_of(bert(3))), kind)


def test_an_mt5_with_half_a_block_is_refused():
    shapes = shapes_of(mt5())
    del shapes["decoder.block.2.layer.1.EncDecAttention.k.weight"]
    with pytest.raises(PolyticketError, match=r"decoder.block.2 has no EncDecAttention.k.weight"):
        pools_of(shapes, "mt5")


def test_levels_are_those_of_the_paper():
    assert [level.number for level in LEVELS] == list(range(10))
    assert [level.density for level in LEVELS] == [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    assert [level.sparsity for level in LEVELS] == ["0", "10", "20", "30", "40", "50", "60", "70", "80", "90"]
    size = 85_524_481
    assert [level.count(size) for level in LEVELS] == [size * (10 - k) // 10 for k in range(10)]


def test_levels_of_a_step_of_what_remains():
    found = schedule(4, step=0.2, step_of="remaining")
    assert [level.density for level in found] == [1.0, 0.8, 0.64, 0.512]
    assert [level.sparsity for level in found] == ["0", "20", "36", "48.8"]
    assert [level.count(1001) for level in found] == [1001, 800, 640, 512]
    deep = schedule(30, step=0.2, step_of="remaining")
    assert all(level.count(10**8) == int(10**8 * Fraction(8, 10) ** level.number) for level in deep[:20])
    assert len({level.sparsity for level in deep}) == 30


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"levels": 11}, "level 10 keeps nothing; expected at most 10 levels of step 0.1"),
        ({"levels": 5, "step": 0.3}, "level 4 keeps nothing; expected at most 4 levels of step 0.3"),
        ({"levels": 0}, "0 levels"),
        ({"step": 1}, "step 1"),
        ({"step": True}, "step True"),
        ({"step_of": "all"}, "step of 'all'; expected original or remaining"),
    ],
)
def test_schedules_that_cannot_be_are_refused(options, line):
    with pytest.raises(PolyticketError, match=line):
        schedule(**options)


def test_the_largest_are_kept():
    weights = {"b": floats([0.5, -3.0, 0.0]), "a": floats([2.0, -1.0], [0.25, 4.0])}
    full = full_masks({"a": (2, 2), "b": (1, 3)}, {"p": ["b", "a"]})
    assert text_of(full) == {"a": "11/11", "b": "111"}
    assert text_of(prune(weights, full, {"p": ["b", "a"]}, {"p": 3})) == {"a": "10/01", "b": "010"}
    assert text_of(prune(weights, full, {"p": ["b", "a"]}, {"p": 0})) == {"a": "00/00", "b": "000"}
    assert text_of(prune(weights, full, {"p": ["b", "a"]}, {"p": 7})) == {"a": "11/11", "b": "111"}
    assert text_of(prune(weights, full, {"p": ["b"], "q": ["a"]}, {"p": 1, "q": 1})) == {"a": "00/01", "b": "010"}
    assert text_of(full) == {"a": "11/11", "b": "111"}  # what was kept before stays as it was


def test_ties_go_to_the_earlier_name_of_the_pool_then_the_earlier_place():
    weights = {"b": floats([1, -1], [1, -1]), "a": floats([-1, 2, 1])}
    full = full_masks({"a": (1, 3), "b": (2, 2)}, {"p": ["b", "a"]})
    kept = [text_of(prune(weights, full, {"p": ["b", "a"]}, {"p": keep})) for keep in range(1, 7)]
    assert [one["b"] for one in kept] == ["00/00", "10/00", "11/00", "11/10", "11/11", "11/11"]
    assert [one["a"] for one in kept] == ["010", "010", "010", "010", "010", "110"]
    assert text_of(prune(weights, full, {"p": ["a", "b"]}, {"p": 3})) == {"a": "111", "b": "00/00"}


def test_what_was_pruned_never_comes_back():
    weights, masks = {"a": floats([9, 0, 0, 8])}, rows(a="0110")
    assert text_of(prune(weights, masks, {"p": ["a"]}, {"p": 2})) == {"a": "0110"}
    assert text_of(prune(weights, masks, {"p": ["a"]}, {"p": 1})) == {"a": "0100"}  # zeros tie with each other alone
    with pytest.raises(PolyticketError, match=r"^subnetwork: p keeps 2; expected at least 3$"):
        prune(weights, masks, {"p": ["a"]}, {"p": 3})


@pytest.mark.parametrize("few_values", [False, True])
@pytest.mark.parametrize("block", [8, 64, 1 << 16])
def test_counting_finds_what_sorting_finds(block, few_values):
    random = np.random.default_rng(block)
    shapes = {"w10": (7, 9), "w2": (1, 1), "w1": (13, 40), "w0": (16, 16)}
    weights = {name: random.standard_normal(shape, np.float32) * 1e-3 for name, shape in shapes.items()}
    if few_values:
        weights = {name: (array * 1e3).round() * np.float32(1e-40) for name, array in weights.items()}  # denormal
    names = ["w2", "w10", "w0", "w1"]
    masks = full_masks(shapes, {"p": names})
    for keep in (839, 700, 512, 511, 100, 3, 1):
        wanted = by_sorting(weights, masks, names, keep)
        masks = prune(weights, masks, {"p": names}, {"p": keep}, block)
        assert int(masks.counts().sum()) == keep
        assert_same(masks, wanted)


def test_a_cut_tells_key_and_ties():
    keys = np.array([5, 1 << 20, 5, 7, 1 << 20 | 3, 5], np.uint32)
    for count, cut in enumerate([(1 << 31, 0), (1 << 20 | 3, 1), (1 << 20, 1), (7, 1), (5, 1), (5, 2), (5, 3)]):
        assert criteria.find_cut(lambda n: [(keys[::n], np.packbits(np.ones(6, bool)[::n]))], count) == cut


@pytest.mark.parametrize("misled", [False, True])
def test_a_sample_that_misleads_changes_no_cut(misled):
    random = np.random.default_rng(1)
    keys = random.integers(1 << 28, (1 << 28) + (1 << 22), 1 << 20, np.uint32)
    if misled:
        keys[:: criteria.STRIDE] = np.arange(keys[:: criteria.STRIDE].size, dtype=np.uint32)
    competes = random.random(keys.size) < 0.5

    def blocks(stride):
        for first in range(0, keys.size, criteria.BLOCK):
            here = slice(first, first + criteria.BLOCK, stride)
            yield keys[here], np.packbits(competes[here])

    ordered = np.sort(keys[competes])[::-1]
    for count in (1, 1000, ordered.size // 2, ordered.size):
        low, high = criteria._sampled_buckets(blocks, count)
        assert misled or high - low < criteria.MOST_BUCKETS
        key = int(ordered[count - 1])
        assert criteria.find_cut(blocks, count) == (key, count - int((ordered > key).sum()))


def test_tensors_are_pruned_like_arrays_and_not_copied():
    weights, full, pools = started(bert(), "bert")
    arrays = {name: parameter.detach().numpy() for name, parameter in weights.items()}
    keep = {"all": 321}
    found = prune(weights, full, pools, keep)
    assert_same(found, by_sorting(arrays, full, pools["all"], 321))
    turned = {name: np.asfortranarray(array) for name, array in arrays.items()}
    assert text_of(prune(turned, full, pools, keep)) == text_of(found)


@pytest.mark.parametrize(
    ("weights", "line"),
    [
        ({"a": floats([1, np.nan])}, "a holds NaN or infinity"),
        ({"a": floats([1, -np.inf])}, "a holds NaN or infinity"),
        ({"a": np.ones((1, 2))}, r"a is float64 \[1, 2\]; expected float32 \[1, 2\]"),
        ({"a": torch.ones(1, 2, dtype=torch.bfloat16)}, "a is torch.bfloat16"),
        ({"a": floats([1], [2])}, r"a is float32 \[2, 1\]"),
        ({"b": floats([1, 2])}, "no a"),
    ],
)
def test_weights_that_cannot_be_ordered_are_named(weights, line):
    with pytest.raises(PolyticketError, match=f"^weights: {line}"):
        prune(weights, rows(a="10"), {"p": ["a"]}, {"p": 1})


def test_pools_and_masks_must_be_of_the_same_weights():
    for pools in ({"p": ["a"]}, {"p": ["a", "b", "a"]}, {"p": ["a", "c"]}):
        with pytest.raises(PolyticketError, match="masks of other weights than the pools'"):
            prune({}, rows(a="1", b="1"), pools, dict.fromkeys(pools, 1))


@pytest.mark.parametrize("method", list(PRUNERS))
@pytest.mark.parametrize(
    ("model", "kind", "joint_pool"), [(bert, "bert", False), (mt5, "mt5", False), (mt5, "mt5", True)]
)
def test_counts_are_exact_at_all_levels_and_levels_lie_in_each_other(method, model, kind, joint_pool):
    weights, masks, pools = started(model(), kind, joint_pool=joint_pool)
    sizes = pool_sizes(masks.shapes, pools)
    for level in LEVELS:
        before = masks
        masks = pruner(method)(weights, masks, pools, level.density, 4)
        assert not (masks.words & ~before.words).any()
        counts = dict(zip(masks, masks.counts()[:, 0].tolist(), strict=True))
        for pool, names in pools.items():
            wanted = level.count(sizes[pool])
            if method == "component":
                assert [counts[name] for name in names] == [level.count(masks.sizes[name]) for name in names]
                wanted = sum(level.count(masks.sizes[name]) for name in names)
            assert sum(counts[name] for name in names) == wanted
    assert_nothing_beyond_the_bits(masks)


def assert_nothing_beyond_the_bits(masks: Masks) -> None:
    unpacked = {name: masks[name] for name in masks}
    np.testing.assert_array_equal(Masks.packed(unpacked, 1).words, masks.words)


def test_component_prunes_each_matrix_by_magnitude():
    weights = {"a": floats([1, 2, 3, 4]), "b": floats([50, 40, 30])}
    full = full_masks({"a": (1, 4), "b": (1, 3)}, {"p": ["a", "b"]})
    assert text_of(PRUNERS["component"](weights, full, {"p": ["a", "b"]}, 0.5, 0)) == {"a": "0011", "b": "100"}
    assert text_of(PRUNERS["magnitude"](weights, full, {"p": ["a", "b"]}, 0.5, 0)) == {"a": "0000", "b": "111"}


def test_finetuned_prunes_from_the_full_model():
    weights, pools = {"a": floats([9, 1, 5, 8])}, {"p": ["a"]}
    assert text_of(PRUNERS["finetuned"](weights, rows(a="0111"), pools, 0.5, 0)) == {"a": "1001"}
    assert text_of(PRUNERS["magnitude"](weights, rows(a="0111"), pools, 0.5, 0)) == {"a": "0011"}


def test_random_masks_depend_on_the_seed_alone():
    weights, full, pools = started(bert(), "bert")
    at_random = PRUNERS["random"]
    one = at_random(weights, full, pools, 0.5, 1)
    assert text_of(one) == text_of(at_random({}, full, pools, 0.5, 1))
    assert text_of(one) != text_of(at_random(weights, full, pools, 0.5, 2))
    through = at_random(weights, at_random(weights, full, pools, 0.8, 1), pools, 0.5, 1)
    assert text_of(through) == text_of(one)  # whatever rounds led there


def test_random_masks_are_uniform():
    shape = {"encoder.a": (300, 301), "encoder.b": (100, 100)}
    pools = {"p": list(shape)}
    found = PRUNERS["random"]({}, full_masks(shape, pools), pools, 0.3, 7)
    counts = dict(zip(found, found.counts()[:, 0].tolist(), strict=True))
    assert sum(counts.values()) == 30090
    assert abs(counts["encoder.b"] - 3000) < 5 * (10_000 * 0.3 * 0.7) ** 0.5  # of a binomial's five deviations
    halves = found["encoder.a"][0][:150].sum()
    assert abs(halves - 150 * 301 * 0.3) < 5 * (150 * 301 * 0.3 * 0.7) ** 0.5


def test_random_masks_do_not_depend_on_the_blocks():
    weights, full, pools = started(bert(), "bert")
    whole = text_of(PRUNERS["random"](weights, full, pools, 0.5, 1))
    assert text_of(criteria.at_random(weights, full, pools, 0.5, 1, block=8)) == whole


def test_an_unknown_way_to_prune_is_named():
    with pytest.raises(PolyticketError, match="unknown pruning 'lottery'; expected magnitude, finetuned, random, com"):
        pruner("lottery")


def test_masks_of_weights_that_two_models_share():
    masks = rows(a="101/010", b="1", c="01")
    assert text_of(masks.only(["c", "a"])) == {"a": "101/010", "c": "01"}


@pytest.mark.parametrize("method", list(PRUNERS))
@pytest.mark.parametrize(
    ("model", "kind", "joint_pool"), [(bert, "bert", False), (mt5, "mt5", False), (mt5, "mt5", True)]
)
def test_a_subnetwork_is_a_ticket_that_is_checked(tmp_path, method, model, kind, joint_pool):
    weights, full, pools = started(model(), kind, joint_pool=joint_pool)
    masks = PRUNERS[method](weights, full, pools, 0.7, 3)
    made = pruning_provenance(masks, method=method, density=0.7, kind=kind, joint_pool=joint_pool)
    write_subnetwork(tmp_path / "s", masks, name="ner/fr", provenance=made | {"seed": 3})
    found = read_subnetwork(tmp_path / "s")
    assert (found.unit, found.languages, found.provenance) == ("weight", ("ner/fr",), made | {"seed": 3})
    assert text_of(found.masks) == text_of(masks)
    assert read_ticket(tmp_path / "s").densities() == found.densities()
    assert ("budget" in made) == (method == "component" or len(pools) == 1)
    assert {pool: one["weights"] for pool, one in made["pools"].items()} == pool_sizes(masks.shapes, pools)
    other = PRUNERS[method](weights, masks, pools, 0.6, 3)
    with pytest.raises(PolyticketError, match="provenance: pools"):
        write_subnetwork(tmp_path / "t", other, name="ner/fr", provenance=made)
    assert not (tmp_path / "t").exists()


def test_files_that_call_the_joint_pool_by_its_first_name_are_read(tmp_path):
    weights, full, pools = started(mt5(), "mt5", joint_pool=True)
    masks = PRUNERS["magnitude"](weights, full, pools, 0.7, 3)
    made = pruning_provenance(masks, method="magnitude", density=0.7, kind="mt5", joint_pool=True)
    made["model"] = {"kind": "mt5", "together": True}
    write_subnetwork(tmp_path / "s", masks, name="xnli/fr", provenance=made)
    assert read_subnetwork(tmp_path / "s").provenance == made
    with pytest.raises(PolyticketError, match=r"provenance: model {'kind': 'mt5'}; expected kind and joint_pool"):
        write_subnetwork(tmp_path / "t", masks, name="xnli/fr", provenance=made | {"model": {"kind": "mt5"}})


def test_a_subnetwork_is_a_bit_a_weight(tmp_path):
    masks = full_masks({"a": (512, 2048)}, {"p": ["a"]})
    write_subnetwork(tmp_path / "s", masks, name="mlm", provenance={})
    assert 512 * 2048 / 8 <= (tmp_path / "s").stat().st_size < 512 * 2048 / 8 + 2000


def test_a_ratio_that_is_not_the_masks_is_refused(tmp_path):
    weights, full, pools = started(bert(), "bert")
    masks = PRUNERS["magnitude"](weights, full, pools, 0.5, 0)
    made = pruning_provenance(masks, method="magnitude", density=0.4, kind="bert")
    with pytest.raises(PolyticketError, match="the masks keep 176; expected the budget of 140"):
        write_subnetwork(tmp_path / "s", masks, name="mlm", provenance=made)


def test_a_row_of_several_is_named(tmp_path):
    both = Ticket(("fr", "ur"), {"a": np.array([[[True, False]], [[True, True]]])}, {}, "weight")
    write_ticket(both, tmp_path / "s")
    assert text_of(read_subnetwork(tmp_path / "s", "fr").masks) == {"a": "10"}
    with pytest.raises(PolyticketError, match="2 sub-networks; expected one of its rows named: fr, ur"):
        read_subnetwork(tmp_path / "s")
    write_ticket(Ticket(("fr",), {"a": np.ones((1, 3), bool)}), tmp_path / "neurons")
    with pytest.raises(PolyticketError, match="a ticket of neurons; expected one of weights"):
        read_subnetwork(tmp_path / "neurons")


def test_exported_masks_are_the_published_ones(tmp_path):
    name = "bert.encoder.layer.0.attention.self.query.weight"
    both = np.array([[[True, False], [False, True]], [[True, True], [False, False]]])
    ticket = Ticket(("fr", "ur"), {name: both}, {}, "weight")
    export_masks(ticket, tmp_path / "ur.safetensors", "ur")
    found = load_file(tmp_path / "ur.safetensors")
    torch.testing.assert_close(found, {f"{name}_mask": torch.tensor([[1.0, 1.0], [0.0, 0.0]])}, rtol=0, atol=0)
    torch.save(found, tmp_path / "mask.pt")
    again = import_masks({"ur": tmp_path / "mask.pt"})
    assert text_of(again.masks) == {name: "11/00"}
    export_masks(again, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "ur.safetensors").read_bytes()
    with pytest.raises(PolyticketError, match=r"^export: 2 rows; expected one of them named$"):
        export_masks(ticket, tmp_path / "x")
    with pytest.raises(PolyticketError, match=r"^export: a ticket of neurons; expected one of weights$"):
        export_masks(Ticket(("fr",), {"a": np.ones((1, 3), bool)}), tmp_path / "x")


class Small(nn.Module):
    """Two weights and a bias: 2x - 3y + 1."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(2, 1)
        self.dense.weight.data, self.dense.bias.data = torch.tensor([[2.0, -3.0]]), torch.tensor([1.0])


def train(module: nn.Module, masked=None, *, steps: int = 3, clip: bool = False) -> None:
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.1, weight_decay=0.1)
    for step in range(steps):
        ((module.dense(torch.tensor([[1.0, 2.0], [-1.0, step + 1.0]])) - 3) ** 2).sum().backward()
        if clip:
            if masked:
                masked.mask_gradients()
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if masked:
            masked.after_step()


def test_pruned_weights_are_zero_at_once_and_after_each_step():
    small = Small()
    masked = apply_masks(small, rows(**{"dense.weight": "01"}))
    assert masked.names == ("dense.weight",)
    assert small.dense.weight.tolist() == [[0.0, -3.0]]
    train(small, masked)
    assert small.dense.weight[0, 0] == 0
    assert small.dense.weight[0, 1] != -3
    assert small.dense.bias != 1


@pytest.mark.parametrize("name", ["adamw", "adafactor"])
def test_optimizers_leave_pruned_weights_at_zero_as_masked_weights_do(name):
    ours, theirs = Small(), Small()
    masked = apply_masks(ours, rows(**{"dense.weight": "01"}))
    custom_from_mask(theirs.dense, "weight", torch.tensor([[0.0, 1.0]]))
    for module in (ours, theirs):
        optimizer = optimizer_of(name, [{"params": list(module.parameters()), "weight_decay": 0.0}])
        optimizer.param_groups[0]["lr"] = 0.1
        for step in range(3):
            ((module.dense(torch.tensor([[1.0, 2.0], [-1.0, step + 1.0]])) - 3) ** 2).sum().backward()
            masked.mask_gradients()
            optimizer.step()
            optimizer.zero_grad()
    assert ours.dense.weight[0, 0] == 0
    assert torch.equal(ours.dense.weight[0, 1], theirs.dense.weight_orig[0, 1])
    assert abs(ours.dense.weight[0, 1].item() + 3) > 0.1


@pytest.mark.parametrize("clip", [False, True])
def test_training_under_a_mask_is_training_with_masked_weights(clip):
    """Against PyTorch's own pruning, which multiplies in the forward."""
    ours, theirs = Small(), Small()
    train(ours, apply_masks(ours, rows(**{"dense.weight": "01"})), clip=clip)
    custom_from_mask(theirs.dense, "weight", torch.tensor([[0.0, 1.0]]))
    train(theirs, clip=clip)
    theirs.dense(torch.zeros(1, 2))  # brings its weight up to date
    torch.testing.assert_close(ours.dense.weight.detach(), theirs.dense.weight.detach(), rtol=0, atol=0)
    torch.testing.assert_close(ours.dense.bias.detach(), theirs.dense.bias.detach(), rtol=0, atol=0)


def test_a_poolers_mask_is_left_out_where_there_is_none():
    _, masks, _ = started(bert(), "bert")
    assert len(apply_masks(bert(add_pooling_layer=False), masks).names) == 18
    assert len(apply_masks(bert(), masks).names) == 19
    with pytest.raises(PolyticketError, match=r"^model: encoder.layer.2.attention.output.dense.weight is no parameter"):
        apply_masks(bert(2), masks)
    with pytest.raises(PolyticketError, match=r"^model: dense.weight has shape \[1, 2\]; expected float32 \[1, 3\]$"):
        apply_masks(Small(), rows(**{"dense.weight": "011"}))


def test_published_fault_rewinding_without_effect_on_cpu():
    small = Small()
    saved = snapshot(small, ["dense.weight"])
    assert saved["dense.weight"].untyped_storage().data_ptr() != small.dense.weight.untyped_storage().data_ptr()
    masked = apply_masks(small, rows(**{"dense.weight": "01"}))
    train(small, masked)
    trained = small.dense.bias.item()
    live = small.dense.weight
    rewind_(small, saved)
    assert small.dense.weight is live  # the optimiser's parameter, with the values of before
    assert live.tolist() == [[2.0, -3.0]]
    assert small.dense.bias.item() == trained  # the head keeps what it learnt
    masked.after_step()
    assert live.tolist() == [[0.0, -3.0]]
    assert saved["dense.weight"].tolist() == [[2.0, -3.0]]
    train(small, masked)
    rewind_(small, saved)
    assert live.tolist() == [[2.0, -3.0]]


def test_a_snapshot_of_all_and_of_what_is_not_there():
    small = Small()
    assert sorted(snapshot(small)) == ["dense.bias", "dense.weight"]
    with pytest.raises(PolyticketError, match=r"^model: no parameter dense.x"):
        snapshot(small, ["dense.x"])
    with pytest.raises(PolyticketError, match=r"^model: dense.bias cannot be rewound; expected one of \[2\]"):
        rewind_(small, {"dense.bias": torch.zeros(2)})
