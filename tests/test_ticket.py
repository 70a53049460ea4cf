"""The ticket file: bits and their provenance, checked when they are read."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from models import TINY, trained_model
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from polyticket.errors import PolyticketError
from polyticket.model.shape import BertShape
from polyticket.model.sites import mask_sites, prunable_sites
from polyticket.tickets.joining import with_ones, with_ticket
from polyticket.tickets.ticket import Ticket, read_ticket, write_ticket

BITS = {"b": ["101100001", "000000000"], "a": ["1", "0"]}
SMALL = Ticket(
    ("en", "fr"),
    {site: np.array([[bit == "1" for bit in row] for row in rows]) for site, rows in BITS.items()},
    {"saliency": "snip", "remain_ratio": 0.75},
)


def random_ticket(sites, languages: tuple[str, ...], seed: int = 1) -> Ticket:
    random = np.random.default_rng(seed)
    return Ticket(languages, {site.name: random.random((len(languages), site.size)) < 0.75 for site in sites})


def rewritten(path: Path, change) -> None:
    """Write a ticket file again with a changed head and changed arrays, as damage or another program would."""
    with safe_open(path, framework="numpy") as stream:
        head = json.loads(stream.metadata()["polyticket"])
    arrays = load_file(path)
    head = change(head, arrays) or head
    save_file(arrays, path, metadata={"polyticket": json.dumps(head)})


def test_a_ticket_gives_back_what_was_written(tmp_path):
    made = replace(random_ticket(prunable_sites(TINY), ("en", "fr", "sw")), provenance={"seed": 3, "scope": "global"})
    write_ticket(made, tmp_path / "deep" / "t.safetensors")
    found = read_ticket(tmp_path / "deep" / "t.safetensors")
    assert (found.languages, found.provenance) == (made.languages, made.provenance)
    assert found.masks.keys() == made.masks.keys()
    for site, bits in made.masks.items():
        assert found.masks[site].dtype == np.bool_
        np.testing.assert_array_equal(found.masks[site], bits)


def test_bits_are_packed_highest_first_and_the_head_tells_all(tmp_path):
    path = tmp_path / "t.safetensors"
    write_ticket(SMALL, path)
    arrays = load_file(path)
    assert {site: (str(array.dtype), array.tolist()) for site, array in arrays.items()} == {
        "a": ("uint8", [[0b10000000], [0]]),
        "b": ("uint8", [[0b10110000, 0b10000000], [0, 0]]),
    }
    assert path.read_bytes().endswith(bytes([0b10000000, 0, 0b10110000, 0b10000000, 0, 0]))
    with safe_open(path, framework="numpy") as stream:
        assert json.loads(stream.metadata()["polyticket"]) == {
            "format": "polyticket/1",
            "unit": "neuron",
            "languages": ["en", "fr"],
            "sizes": {"a": 1, "b": 9},
            "kept": {"a": [1, 0], "b": [4, 0]},
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


def flip(head, arrays):
    arrays["b"][0, 0] ^= 1


def lose_site(head, arrays):
    del arrays["a"]


def lose_language(head, arrays):
    head["languages"] = ["en"]


def lose_column(head, arrays):
    arrays["b"] = np.ascontiguousarray(arrays["b"][:, :1])


def other_kind(head, arrays):
    arrays["b"] = arrays["b"].astype(np.float32)


def other_format(head, arrays):
    head["format"] = "polyticket/9"


def no_counts(head, arrays):
    del head["kept"]


def no_head(head, arrays):
    return [1]


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (flip, "b does not keep the counts that its head says"),
        (lose_site, "sites in the head and in the file differ"),
        (lose_language, "[ab] has shape"),
        (lose_column, r"b has shape \(2, 1\)"),
        (other_kind, "b holds float32; expected uint8"),
        (other_format, "format 'polyticket/9'; expected polyticket/1"),
        (no_counts, "the head is damaged: 'kept'"),
        (no_head, r"the head is damaged: "),
    ],
)
def test_a_damaged_ticket_is_refused_with_its_site(tmp_path, damage, line):
    path = tmp_path / "t.safetensors"
    write_ticket(SMALL, path)
    rewritten(path, damage)
    with pytest.raises(PolyticketError, match=f"^{path}: {line}"):
        read_ticket(path)


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
    ticket = random_ticket(prunable_sites(TINY), ("en",))
    ticket.masks.popitem()
    with pytest.raises(PolyticketError, match=r"^ticket: sites or sizes differ from the model's"):
        with_ticket(trained_model(), ticket)
