"""The ticket file: bits and their provenance, checked when they are read."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_torch

from polyticket.core.errors import PolyticketError
from polyticket.model.shape import BertShape, mask_sites, prunable_sites
from polyticket.saliency.score_files import random_scores
from polyticket.tickets.allocation import allocate
from polyticket.tickets.masked_model import with_ones, with_ticket
from polyticket.tickets.published_masks import import_masks
from polyticket.tickets.ticket import Ticket, read_ticket, write_ticket
from tests.support.models import TINY, trained_model

BITS = {"b": ["101100001", "000000000"], "a": ["1", "0"]}
SMALL = Ticket(
    ("en", "fr"),
    {site: np.array([[bit == "1" for bit in row] for row in rows]) for site, rows in BITS.items()},
    {"saliency": "snip", "remain_ratio": 0.75},
)

WEIGHTS = Ticket(
    ("ner/fr", "mlm"),
    {"w.weight": np.arange(30).reshape(2, 3, 5) % 4 == 0, "v.weight": np.ones((2, 2, 2), bool)},
    {},
    "weight",
)
MADE = {
    **{"saliency": "snip", "scope": "language", "remain_ratio": 0.5, "seed": 3, "floor": 0.1, "align": 8},
    **{
        "normalise": True,
        "heads": 3,
        "threshold": None,
        "initial": "0" * 64,
        "scores": dict.fromkeys(("en", "fr"), "1" * 64),
    },
}


def allocated(**options) -> Ticket:
    """A ticket as the workflow makes it: 2 layers of 24 and 40 neurons, in steps of 8."""
    made = MADE | options
    scores = [random_scores(prunable_sites(TINY), 1, row) for row in range(2)]
    how = {key: made[key] for key in ("scope", "floor", "align", "heads", "normalise")}
    found = allocate(scores, made["remain_ratio"], **how)
    return Ticket(("en", "fr"), found.masks, made | {"budget": {"asked": found.asked, "kept": found.kept}})


def random_ticket(sites, languages: tuple[str, ...], seed: int = 1) -> Ticket:
    random = np.random.default_rng(seed)
    return Ticket(languages, {site.name: random.random((len(languages), site.size)) < 0.75 for site in sites})


def rewritten(path: Path, change) -> None:
    """Write a ticket file again with a changed header and changed arrays, as damage or another program would."""
    with safe_open(path, framework="numpy") as stream:
        header = json.loads(stream.metadata()["polyticket"])
    arrays = load_file(path)
    header = change(header, arrays) or header
    save_file(arrays, path, metadata={"polyticket": json.dumps(header)})


def test_a_ticket_gives_back_what_was_written(tmp_path):
    masks = random_ticket(prunable_sites(TINY), ("en", "fr", "sw")).masks
    made = Ticket(("en", "fr", "sw"), masks, {"seed": 3, "scope": "global"})
    write_ticket(made, tmp_path / "deep" / "t.safetensors")
    found = read_ticket(tmp_path / "deep" / "t.safetensors")
    assert (found.languages, found.provenance, found.unit) == (made.languages, made.provenance, "neuron")
    assert found.masks.keys() == made.masks.keys()
    for site, bits in made.masks.items():
        assert found.masks[site].dtype == np.bool_
        np.testing.assert_array_equal(found.masks[site], bits)


def test_bits_are_packed_highest_first_and_the_header_tells_all(tmp_path):
    path = tmp_path / "t.safetensors"
    write_ticket(SMALL, path)
    arrays = load_file(path)
    assert {site: (str(array.dtype), array.tolist()) for site, array in arrays.items()} == {
        "a": ("uint8", [[0b10000000], [0]]),
        "b": ("uint8", [[0b10110000, 0b10000000], [0, 0]]),
    }
    assert path.read_bytes().endswith(bytes([0b10000000, 0, 0b10110000, 0b10000000, 0, 0]))
    with safe_open(path, framework="numpy") as stream:
        header = json.loads(stream.metadata()["polyticket"])
        assert len(header.pop("sha256")) == 64
        assert header == {
            "format": "polyticket/2",
            "unit": "neuron",
            "languages": ["en", "fr"],
            "shapes": {"a": [1], "b": [9]},
            "kept": {"a": [1, 0], "b": [4, 0]},
            "densities": {"en": 0.5, "fr": 0.0},
            "provenance": {"saliency": "snip", "remain_ratio": 0.75},
        }


def test_the_same_ticket_is_the_same_bytes(tmp_path):
    write_ticket(SMALL, tmp_path / "first")
    turned = Ticket(
        SMALL.languages,
        {site: SMALL.masks[site] for site in ("a", "b")},
        {"remain_ratio": 0.75, "saliency": "snip"},
    )
    write_ticket(turned, tmp_path / "second")
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_a_ticket_of_all_languages_and_bert_base_takes_a_bit_per_neuron(tmp_path):
    sites = prunable_sites(BertShape(119547, 768, 12, 12, 3072))
    languages = tuple(f"l{number}" for number in range(103))
    write_ticket(random_ticket(sites, languages), tmp_path / "t")
    packed = 103 * sum(site.size for site in sites) // 8
    assert packed == 721824
    assert 0 <= (tmp_path / "t").stat().st_size - packed < 50_000


def test_density_is_the_share_that_is_kept():
    assert (SMALL.density("en"), SMALL.density("fr"), SMALL.density("en", ["a"])) == (0.5, 0.0, 1.0)


def test_masks_of_another_kind_are_not_written(tmp_path):
    for bits in (np.ones((2, 3)), np.ones((3, 3), np.bool_)):
        with pytest.raises(ValueError, match=r"^a: needs bool \[2, size\]"):
            write_ticket(Ticket(("en", "fr"), {"a": bits}), tmp_path / "t")
    assert list(tmp_path.iterdir()) == []


def test_a_ticket_of_weights_gives_back_what_was_written(tmp_path):
    write_ticket(WEIGHTS, tmp_path / "t")
    found = read_ticket(tmp_path / "t")
    assert (found.unit, found.languages, found.masks.shapes) == (
        "weight",
        ("ner/fr", "mlm"),
        {"v.weight": (2, 2), "w.weight": (3, 5)},
    )
    np.testing.assert_array_equal(found.masks["w.weight"], np.arange(30).reshape(2, 3, 5) % 4 == 0)
    assert found.masks["v.weight"].all()
    assert load_file(tmp_path / "t")["w.weight"].shape == (2, 2)  # 15 bits a row
    assert found.densities() == {"ner/fr": 8 / 19, "mlm": 8 / 19}


def test_masks_unpack_a_site_at_a_time():
    assert list(SMALL.masks) == ["a", "b"]
    assert SMALL.masks.sizes == {"a": 1, "b": 9}
    assert SMALL.masks.counts().tolist() == [[1, 0], [4, 0]]
    assert SMALL.masks["b"].astype(int).tolist() == [[1, 0, 1, 1, 0, 0, 0, 0, 1], [0] * 9]
    assert SMALL.masks.rows([1, 0])["a"].tolist() == [[False], [True]]
    with pytest.raises(ValueError, match="read-only"):
        SMALL.masks.words[0, 0] = 1


def flip(header, arrays):
    arrays["b"][0, 0] ^= 1


def move_bit(header, arrays):
    arrays["b"][0, 0] ^= 0b11000000


def beyond(header, arrays):
    arrays["b"][1, 1] |= 1


def lose_site(header, arrays):
    del arrays["a"]


def lose_language(header, arrays):
    header["languages"] = ["en"]
    del header["densities"]["fr"]


def lose_column(header, arrays):
    arrays["b"] = np.ascontiguousarray(arrays["b"][:, :1])


def other_kind(header, arrays):
    arrays["b"] = arrays["b"].astype(np.float32)


def no_header(header, arrays):
    return [1]


def put(key, value):
    """Damage of one key of the header."""

    def change(header, arrays):
        header[key] = value

    return change


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (flip, "b does not keep the counts that its header says"),
        (move_bit, "the digest in the header is not that of header and masks"),
        (beyond, "b has bits beyond its size 9"),
        (lose_site, "sites in the header and in the file differ"),
        (lose_language, "[ab] has shape"),
        (lose_column, r"b has shape \(2, 1\); expected \(2, 2\)"),
        (other_kind, "b holds float32; expected uint8"),
        (no_header, "the header is damaged: no JSON object"),
        (put("format", "polyticket/1"), "format 'polyticket/1'; expected polyticket/2; allocate a ticket of another"),
        (put("format", None), "format None; expected polyticket/2"),
        (put("unit", "head"), "unit 'head'; expected neuron or weight"),
        (put("unit", "weight"), r"a has shape \[1\]; expected \[out, in\] for a weight ticket"),
        (put("languages", []), r"languages \[\]; expected a list of names"),
        (put("languages", ["en", 1]), "languages .*; expected a list of names"),
        (put("languages", ["en", "en"]), "languages has a name twice"),
        (put("languages", ["en", "sw"]), "densities are not those of its masks"),
        (put("shapes", {}), "shapes names no site"),
        (put("shapes", {"a": [1], "b": [0]}), r"b has shape \[0\]; expected \[size\] for a neuron ticket"),
        (put("shapes", {"a": [1], "b": 9}), "b has shape 9"),
        (put("shapes", {"a": [1], "c": [9]}), "sites in the header and in the file differ"),
        (put("shapes", {"a": [1], "b": [10]}), "densities are not those of its masks"),
        (put("kept", {"a": [1, 0], "b": [3, 0]}), "b does not keep the counts"),
        (put("kept", {"a": [1, 0]}), "the header is damaged: 'b'"),
        (put("kept", 3), "the header is damaged"),
        (put("densities", {"en": 0.5, "fr": 0.1}), "densities are not those of its masks"),
        (put("provenance", []), "provenance is no JSON object"),
        (put("provenance", {"saliency": "random", "remain_ratio": 0.75}), "the digest in the header"),
        (put("sha256", "0" * 64), "the digest in the header"),
        (put("more", 1), "the digest in the header"),
    ],
)
def test_a_damaged_ticket_is_refused_with_what_is_wrong(tmp_path, damage, line):
    path = tmp_path / "t.safetensors"
    write_ticket(SMALL, path)
    rewritten(path, damage)
    with pytest.raises(PolyticketError, match=f"^{path}: {line}"):
        read_ticket(path)


def test_a_ticket_of_a_kind_that_numpy_does_not_know_is_refused(tmp_path):
    save_torch({"a": torch.ones(2, dtype=torch.bfloat16)}, tmp_path / "t")
    with pytest.raises(PolyticketError, match=f"^{tmp_path / 't'}: cannot be read as a ticket: holds BF16$"):
        read_ticket(tmp_path / "t")


@pytest.mark.parametrize("key", ["unit", "languages", "shapes", "kept", "densities", "provenance", "sha256"])
def test_a_header_that_lacks_a_key_is_refused(tmp_path, key):
    path = tmp_path / "t.safetensors"
    write_ticket(SMALL, path)
    rewritten(path, lambda header, arrays: header.pop(key) and None)
    with pytest.raises(PolyticketError, match=f"^{path}: the header is damaged: (no |'){key}"):
        read_ticket(path)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"saliency": 3}, "saliency 3; expected the name of a method"),
        ({"scope": "world"}, "scope 'world'; expected global, language, site"),
        ({"scope": "site"}, "budget {'asked': 200, 'kept': 192}; expected asked 200, kept 144"),
        ({"remain_ratio": 0.6}, "budget .*; expected asked 240, kept 240"),
        ({"remain_ratio": 1.5}, r"remain_ratio 1.5; expected a number in \(0, 1\]"),
        ({"threshold": "low"}, "threshold 'low'; expected a number"),
        ({"normalise": 1}, "normalise 1; expected true or false"),
        ({"initial": "abc"}, "initial 'abc'; expected a SHA-256 digest"),
        ({"scores": {"en": "1" * 64}}, "scores .*; expected a SHA-256 digest for each language"),
        ({"scores": {"en": "1" * 64, "fr": "1"}}, "scores .*; expected a SHA-256 digest for each language"),
        ({"budget": {"asked": 216, "kept": 216}}, "budget .*; expected asked 200, kept 192"),
        ({"align": 5}, "no budget can follow from it: ticket.align: .*attention_mask has 24 neurons"),
        ({"align": "all"}, "no budget can follow from it: ticket.align: alignment 'all'"),
        ({"floor": 2.0}, "no budget can follow from it: ticket.floor: floor 2.0"),
        ({"floor": 1.0}, "no budget can follow from it: ticket.floor: the floor keeps 200 where the budget is 100"),
        ({"joined": {"sw": {}}}, "joined .*; expected rows"),
        ({"joined": {"fr": {"kept": 1}}}, "joined fr: .*; expected kept 96"),
    ],
)
def test_what_a_ticket_says_of_its_making_is_checked_when_written_and_read(tmp_path, change, line):
    path = tmp_path / "t.safetensors"
    good = allocated()
    write_ticket(good, path)
    assert read_ticket(path).provenance == good.provenance
    rewritten(path, lambda header, arrays: header["provenance"].update(change))
    with pytest.raises(PolyticketError, match=f"^{path}: provenance: {line}"):
        read_ticket(path)
    with pytest.raises(PolyticketError, match=f"provenance: {line}"):
        write_ticket(Ticket(good.languages, good.masks, good.provenance | change), tmp_path / "u")
    assert not (tmp_path / "u").exists()


def test_masks_that_miss_their_budget_alignment_or_floor_are_refused(tmp_path):
    good = allocated()
    site = "bert.pooler.pool_mask"
    bits = {name: array.copy() for name, array in good.masks.items()}
    bits[site][0, np.flatnonzero(bits[site][0])[0]] = False
    with pytest.raises(PolyticketError, match=r"the masks keep 191; expected the budget of 192$"):
        write_ticket(Ticket(good.languages, bits, good.provenance), tmp_path / "t")
    other = "bert.encoder.layer.0.intermediate.intermediate_mask"
    bits[other][0, np.flatnonzero(~bits[other][0])[0]] = True
    with pytest.raises(PolyticketError, match=f"{other} keeps .* for en; expected at least 8, in steps of 8$"):
        write_ticket(Ticket(good.languages, bits, good.provenance), tmp_path / "t")


def test_an_unknown_row_is_named():
    with pytest.raises(PolyticketError, match=r"^ticket: no row 'sw'; expected en, fr$"):
        SMALL.density("sw")


def published(path: Path, masks) -> Path:
    torch.save({name: torch.tensor(values) for name, values in masks.items()}, path)
    return path


def test_published_masks_are_read_as_bits(tmp_path):
    name = "bert.encoder.layer.0.attention.self.query.weight"
    first = published(tmp_path / "fr_mask.pt", {f"{name}_mask": [[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]})
    other = published(tmp_path / "ur_mask.pt", {f"{name}_mask": [[0.0, 0.0, 1.0], [1.0, 1.0, 1.0]]})
    made = import_masks({"ner/fr": first, "ner/ur": other})
    write_ticket(made, tmp_path / "t")
    found = read_ticket(tmp_path / "t")
    assert (found.unit, found.languages) == ("weight", ("ner/fr", "ner/ur"))
    assert found.masks[name].astype(int).tolist() == [[[1, 0, 1], [0, 0, 1]], [[0, 0, 1], [1, 1, 1]]]
    assert set(found.provenance["imported"]) == {"ner/fr", "ner/ur"}


@pytest.mark.parametrize(
    ("masks", "line"),
    [
        ({"w.weight_mask": [[0.5]]}, "w.weight_mask holds other values than 0 and 1"),
        ({"w.weight_mask": [[float("nan")]]}, "w.weight_mask holds other values than 0 and 1"),
        ({"w.weight": [[1.0]]}, "'w.weight' is no mask; expected matrices named ….weight_mask"),
        ({"w.weight_mask": [1.0]}, "'w.weight_mask' is no mask"),
        ({}, "holds no tensors by name"),
        (None, "cannot be read: "),
    ],
)
def test_published_masks_of_another_kind_are_refused(tmp_path, masks, line):
    path = tmp_path / "mask.pt"
    if masks is None:
        path.write_bytes(b"not a mask")
    else:
        published(path, masks)
    with pytest.raises(PolyticketError, match=f"^{path}: {line}"):
        import_masks({"fr": path})


class RunsCode:
    def __reduce__(self):
        return Path.touch, (Path("ran"),)


def test_a_published_mask_cannot_run_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"w.weight_mask": RunsCode()}, tmp_path / "mask.pt")
    with pytest.raises(PolyticketError, match="cannot be read"):
        import_masks({"fr": tmp_path / "mask.pt"})
    assert not Path("ran").exists()


@pytest.mark.parametrize("keep", [0, 7, 100, -1])
def test_a_cut_ticket_is_refused(tmp_path, keep):
    path = tmp_path / "t.safetensors"
    write_ticket(SMALL, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(PolyticketError, match=f"^{path}: cannot be read as a ticket: "):
        read_ticket(path)


def test_a_model_is_joined_with_its_ticket():
    model = trained_model()
    ticket = random_ticket(prunable_sites(TINY), ("en", "fr"))
    joined = with_ticket(model, ticket)
    assert (joined.languages, joined.mask_method) == (("en", "fr"), "linear")
    assert list(joined.masks) == [site.name for site in mask_sites(TINY)]
    for site in mask_sites(TINY):
        wanted = ticket.masks[site.name] if site.prunable else np.ones((2, site.size))
        assert joined.masks[site.name].dtype == np.float32
        np.testing.assert_array_equal(joined.masks[site.name], wanted)
    assert joined.weights is model.weights


def test_a_model_without_a_ticket_keeps_all():
    joined = with_ones(trained_model(), ["en", "fr"])
    assert (joined.languages, joined.mask_method, joined.mask_rows("fr")) == (("en", "fr"), "constant", None)
    assert all((array == 1).all() and array.shape[0] == 2 for array in joined.masks.values())


def test_a_ticket_of_another_model_is_refused():
    other = random_ticket(prunable_sites(replace(TINY, intermediate_size=48)), ("en",))
    with pytest.raises(PolyticketError, match=r"^ticket: sites or sizes differ from the model's"):
        with_ticket(trained_model(), other)
    ticket = random_ticket(prunable_sites(TINY)[:-1], ("en",))
    with pytest.raises(PolyticketError, match=r"^ticket: sites or sizes differ from the model's"):
        with_ticket(trained_model(), ticket)


def test_a_ticket_of_weights_is_not_joined():
    with pytest.raises(PolyticketError, match=r"^ticket: a ticket of weights; expected one of neurons$"):
        with_ticket(trained_model(), WEIGHTS)
