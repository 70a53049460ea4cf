"""Mask sources: their names, and files, intersections and unions of masks; what is refused."""

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from polyticket.core.errors import PolyticketError
from polyticket.pruning.files import check_fits_model, combine_masks, import_mask, percent_pruned, read_subnetwork
from polyticket.pruning.mask_sources import known_mask_source, mask_source_of, own_mask_sources
from polyticket.pruning.settings import check_sources
from polyticket.tickets.masks import Masks
from polyticket.tickets.published_masks import export_masks
from polyticket.tickets.ticket import Ticket, read_ticket, write_ticket
from tests.support.models import TINY, trained_model

QUERY, POOLER = "bert.encoder.layer.0.attention.self.query.weight", "bert.pooler.dense.weight"
SHAPES = {name: array.shape for name, array in trained_model().weights.items() if name.startswith("bert.")}


@pytest.mark.parametrize(
    ("name", "mask_source"),
    [
        ("full", ("full", "0", False, "", "", "")),
        ("random-50", ("random", "50", False, "", "", "")),
        ("magnitude-48.8", ("magnitude", "48.8", False, "", "", "")),
        ("panx-fr-50", ("found", "50", False, "", "panx", "fr")),
        ("xnli-zh-min-nan-90-reinitialized", ("found", "90", True, "", "xnli", "zh-min-nan")),
        ("full-reinitialized", ("full", "0", True, "", "", "")),
        ("random-panx-fr-50", ("found", "50", False, "random", "panx", "fr")),
        ("shared_by_all-reinitialized", ("named", "", True, "", "", "shared_by_all")),
    ],
)
def test_mask_sources_have_short_names(name, mask_source):
    assert tuple(mask_source_of(name)) == mask_source


@pytest.mark.parametrize("name", ["panx-fr", "panx-50", "random-150", "random-0", "magnitude--5", "50", ""])
def test_other_names_are_no_mask_sources(name):
    with pytest.raises(PolyticketError, match=f"mask source: '{name}'; expected full, random-50 or task-language-50"):
        mask_source_of(name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("foo-fr-50", "unknown task 'foo'; expected one of panx"),
        ("finetuned-panx-xx-50", "unknown language 'xx'; expected one of fr, both"),
        ("oneshot-panx-fr-50", "expected finetuned-panx-fr-50"),
        ("panx-both-55", "unknown sparsity '55'; expected one of 40, 50"),
        ("share", "unknown mask source 'share'; expected full, random-50, task-language-50, or one of mask_sources: a"),
    ],
)
def test_a_mask_source_names_what_there_is(name, said):
    there = {"tasks": ["panx"], "sources": ["fr", "both"], "levels": ["40", "50"], "where": "config x"}
    there["named"] = ["a"]
    with pytest.raises(PolyticketError, match=f"config x: ('{name}'[:;] )?{said}"):
        known_mask_source(name, **there)
    assert known_mask_source("component-panx-both-50-reinitialized", **there).control == "component"
    assert known_mask_source("random-55", **there).kind == "random"


def test_masks_are_taken_back_to_where_they_were_found():
    assert own_mask_sources("panx", "fr", ["10", "50"], []) == ["full", "panx-fr-10", "panx-fr-50"]
    controls = ["magnitude", "random", "finetuned", "reinitialized"]
    assert own_mask_sources("panx", "both", ["50"], controls)[2:] == [
        *("magnitude-50", "random-50", "finetuned-panx-both-50"),
        *("full-reinitialized", "reinitialized-panx-both-50-reinitialized"),
    ]


def mask_file(path, bits, **others):
    masks = {QUERY: np.array([bits], bool), **others}
    write_ticket(Ticket(("row",), Masks.packed(masks, 1), {}, "weight"), path)
    return path


def whole() -> dict[str, np.ndarray]:
    """Ones for every weight that is pruned, but for the first row of the first query."""
    names = [name for name in SHAPES if "LayerNorm" not in name and name.endswith(".weight") and "embedd" not in name]
    found = {name: np.ones(SHAPES[name], np.float32) for name in names}
    found[QUERY][0] = 0
    return found


def test_an_intersection_keeps_what_all_and_a_union_what_any_keeps(tmp_path):
    one = mask_file(tmp_path / "a.safetensors", [[1, 1, 0], [0, 1, 0]])
    two = mask_file(tmp_path / "b.safetensors", [[1, 0, 0], [1, 1, 0]])
    three = mask_file(tmp_path / "c.safetensors", [[1, 1, 0], [1, 1, 1]])
    members = {"x": one, "y": two, "z": three}
    both, either = (combine_masks(operation, members, "n") for operation in ("intersection", "union"))
    assert both.masks[QUERY][0].astype(int).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert either.masks[QUERY][0].astype(int).tolist() == [[1, 1, 0], [1, 1, 1]]
    assert (percent_pruned(both.masks), percent_pruned(either.masks)) == (
        pytest.approx(400 / 6),
        pytest.approx(100 / 6),
    )
    assert list(both.provenance["of"]) == ["x", "y", "z"]
    write_ticket(both, tmp_path / "both.safetensors")
    assert read_subnetwork(tmp_path / "both.safetensors").languages == ("n",)


def test_a_pooler_that_a_mask_says_nothing_of_is_kept(tmp_path):
    one = mask_file(tmp_path / "a.safetensors", [[1, 0]])
    two = mask_file(tmp_path / "b.safetensors", [[1, 1]], **{POOLER: np.array([[[True, False, True]]])})
    both, either = (combine_masks(how, {"a": one, "b": two}, "n").masks for how in ("intersection", "union"))
    assert (both[POOLER].tolist(), either[POOLER].tolist()) == ([[[True, False, True]]], [[[True] * 3]])


def test_masks_of_two_models_are_not_combined(tmp_path):
    one = mask_file(tmp_path / "a.safetensors", [[1, 0]])
    two = mask_file(tmp_path / "b.safetensors", [[1, 0, 1]])
    with pytest.raises(PolyticketError, match=r"b.safetensors: matrices or shapes differ; expected those of .*a.safe"):
        combine_masks("union", {"a": one, "b": two}, "n")


def test_a_mask_is_the_same_from_every_kind_of_file(tmp_path):
    published = {f"{name}_mask": array for name, array in whole().items()}
    torch.save({name: torch.from_numpy(array) for name, array in published.items()}, tmp_path / "mask.pt")
    np.savez(tmp_path / "mask.npz", **{name: array.astype(bool) for name, array in whole().items()} | {})
    save_file({name: array.astype(np.uint8) for name, array in published.items()}, tmp_path / "mask.safetensors")
    np.savez(tmp_path / "mask.npz", **published)
    first = import_mask(tmp_path / "mask.pt", "n")
    write_ticket(first, tmp_path / "own.safetensors")
    found = [import_mask(tmp_path / name, "n") for name in ("mask.npz", "mask.safetensors", "own.safetensors")]
    assert all(np.array_equal(first.masks.words, one.masks.words) for one in found)
    assert int((~first.masks[QUERY]).sum()) == TINY.hidden_size
    check_fits_model(first.masks, SHAPES, "bert", "m")
    export_masks(read_ticket(tmp_path / "own.safetensors"), tmp_path / "out.safetensors")
    assert np.array_equal(import_mask(tmp_path / "out.safetensors", "n").masks.words, first.masks.words)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({QUERY: None}, f"no mask of {QUERY}; expected every weight that the model prunes"),
        ({QUERY: np.ones((4, 24))}, rf"{QUERY} has shape \[4, 24\]; expected \[24, 24\], as the model's weight"),
        ({"bert.encoder.layer.2.x.weight": np.ones((2, 2))}, "bert.encoder.layer.2.x.weight is no weight that the mo"),
        ({QUERY: np.full((24, 24), 0.5)}, f"{QUERY}_mask holds other values than 0 and 1"),
    ],
)
def test_a_mask_that_does_not_fit_the_model_is_refused(tmp_path, change, line):
    arrays = {f"{name}_mask": array for name, array in (whole() | change).items() if array is not None}
    np.savez(tmp_path / "mask.npz", **arrays)
    with pytest.raises(PolyticketError, match=line):
        check_fits_model(import_mask(tmp_path / "mask.npz", "n").masks, SHAPES, "bert", "mask.npz")


def test_a_pickled_array_is_not_read(tmp_path):
    np.savez(tmp_path / "mask.npz", a_mask=np.array([{"a": 1}], object))
    with pytest.raises(PolyticketError, match=r"mask.npz: a_mask.npy: cannot be read as arrays by name: holds Python"):
        import_mask(tmp_path / "mask.npz", "n")


@pytest.mark.parametrize(
    ("sources", "line"),
    [
        ({"panx": {"file": "a"}}, "t: 'panx' has a meaning already; expected another name"),
        ({"a": {}}, "t.a: nothing; expected one of file"),
        ({"a": {"file": "b", "union": ["c", "d"]}}, "t.a: file, union; expected one of file"),
        ({"a": {"row": "fr", "union": ["c", "d"]}}, "t.a: row, union; expected one of file"),
        ({"a": {"union": ["b", "c"]}, "b": {"union": ["a", "d"]}}, "t.a: needs itself; expected other mask sources"),
    ],
)
def test_a_table_of_mask_sources_that_cannot_be_is_told_in_one_line(sources, line):
    with pytest.raises(PolyticketError, match=f"^{line}"):
        check_sources(sources, ["panx"], "t")
