"""Sets of kept neurons and weights against naive set arithmetic; tables of tickets."""

import math

import numpy as np
import pytest

from polyticket.core.errors import PolyticketError
from polyticket.model.shape import prunable_sites
from polyticket.tickets.algebra import (
    BLOCK,
    component_of,
    difference,
    groups_of,
    intersection,
    layer_of,
    overlap_counts,
    pair_counts,
    set_similarity,
    similarities,
    similarity,
    stack_tickets,
    union,
)
from polyticket.tickets.masks import Masks
from polyticket.tickets.report import compare_tickets, show_ticket
from polyticket.tickets.ticket import Ticket, read_ticket, write_ticket
from tests.support.models import TINY

LANGUAGES = ("en", "fr", "sw")
SMALL = Ticket(
    LANGUAGES,
    {
        "bert.encoder.layer.0.attention.self.attention_mask": np.array(
            [[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]], bool
        ),
        "bert.encoder.layer.10.intermediate.intermediate_mask": np.array([[1] * 6, [1, 1, 1, 0, 0, 0], [0] * 6], bool),
        "bert.pooler.pool_mask": np.array([[1, 0], [0, 1], [1, 1]], bool),
    },
    {"saliency": "snip"},
)


def random_ticket(unit: str = "neuron", seed: int = 1) -> Ticket:
    random = np.random.default_rng(seed)
    sites = {site.name: (site.size,) for site in prunable_sites(TINY)}
    shapes = sites if unit == "neuron" else {"w.weight": (7, 11), "v.weight": (1, 1), "u.weight": (16, 8)}
    return Ticket(LANGUAGES, {site: random.random((3, *shape)) < 0.6 for site, shape in shapes.items()}, unit=unit)


def kept_by(ticket: Ticket, language: str, sites=None) -> set[tuple]:
    row = ticket.row(language)
    return {(site, *place) for site in sites or ticket.masks for place in np.argwhere(ticket.masks[site][row]).tolist()}


@pytest.mark.parametrize("unit", ["neuron", "weight"])
@pytest.mark.parametrize("by", ["all", "layer", "component", "site"])
def test_all_pairs_are_those_of_set_arithmetic(unit, by):
    ticket = random_ticket(unit)
    found = similarity(ticket, by)
    names = list(ticket.masks)
    groups = groups_of(names, by)
    assert found.groups == tuple(groups)
    for g, places in enumerate(groups.values()):
        sites = [names[place] for place in places]
        n = sum(ticket.masks.sizes[site] for site in sites)
        assert found.bits[g] == n
        for i, one in enumerate(LANGUAGES):
            for j, other in enumerate(LANGUAGES):
                a, b = kept_by(ticket, one, sites), kept_by(ticket, other, sites)
                p, q = len(a) / n, len(b) / n
                assert found.common[g, i, j] == len(a & b)
                assert (found.kept[g, i], found.union[g, i, j]) == (len(a), len(a | b))
                assert found.difference[g, i, j] == len(a - b)
                assert found.agreement()[g, i, j] == (n - len(a ^ b)) / n
                assert found.jaccard()[g, i, j] == pytest.approx(
                    len(a & b) / len(a | b) if a | b else math.nan, nan_ok=True
                )
                assert found.expected_agreement()[g, i, j] == pytest.approx(p * q + (1 - p) * (1 - q))
                wanted = p * q / (p + q - p * q) if p or q else math.nan
                assert found.expected_jaccard()[g, i, j] == pytest.approx(wanted, nan_ok=True)


@pytest.mark.parametrize("by", ["all", "layer", "component", "site"])
def test_a_set_of_masks_is_that_of_set_arithmetic(by):
    ticket = random_ticket()
    found, names = set_similarity(ticket, by), list(ticket.masks)
    for g, places in enumerate(groups_of(names, by).values()):
        sites = [names[place] for place in places]
        n = sum(ticket.masks.sizes[site] for site in sites)
        kept = [kept_by(ticket, language, sites) for language in LANGUAGES]
        every, some = set.intersection(*kept), set.union(*kept)
        assert (found.intersection[g], found.union[g], found.bits[g]) == (len(every), len(some), n)
        assert found.agreement()[g] == (len(every) + n - len(some)) / n
        assert found.jaccard()[g] == len(every) / len(some)
        shares = [len(one) / n for one in kept]
        all_keep, all_drop = math.prod(shares), math.prod(1 - share for share in shares)
        assert found.expected_agreement()[g] == pytest.approx(all_keep + all_drop)
        assert found.expected_jaccard()[g] == pytest.approx(all_keep / (1 - all_drop))


def test_pairs_by_hand():
    found, whole = similarities(SMALL, "layer", "all")
    assert found.groups == ("layer 0", "layer 10", "pooler")
    assert found.bits.tolist() == [4, 6, 2]
    assert found.kept.tolist() == [[2, 2, 0], [6, 3, 0], [1, 1, 2]]
    assert found.common[:, 0, 1].tolist() == [1, 3, 0]
    assert found.agreement()[:, 0, 1].tolist() == [0.5, 0.5, 0.0]
    assert found.jaccard()[:, 0, 1].tolist() == [1 / 3, 0.5, 0.0]
    assert found.expected_agreement()[:, 0, 1].tolist() == [0.5, 0.5, 0.5]
    assert found.expected_jaccard()[:, 0, 1].tolist() == pytest.approx([1 / 3, 0.5, 1 / 3])
    assert np.isnan(found.jaccard()[0, 2, 2])  # of two empty sets
    assert (whole.groups, whole.bits.tolist(), whole.common[0].tolist()) == (
        ("all",),
        [12],
        [[9, 4, 1], [4, 6, 1], [1, 1, 2]],
    )


def test_independent_masks_agree_as_expected_by_chance():
    random = np.random.default_rng(4)
    masks = {"a": random.random((2, 200_000)) < np.array([[0.9], [0.3]])}
    found = similarity(Ticket(("one", "other"), masks))
    assert found.agreement()[0, 0, 1] == pytest.approx(0.34, abs=0.005)  # 0.9 · 0.3 + 0.1 · 0.7
    assert found.expected_agreement()[0, 0, 1] == pytest.approx(found.agreement()[0, 0, 1], abs=0.004)
    assert found.expected_jaccard()[0, 0, 1] == pytest.approx(found.jaccard()[0, 0, 1], abs=0.004)


def test_sites_across_blocks_are_counted_once():
    random = np.random.default_rng(5)
    sizes = {"a": 70, "b": 64 * BLOCK + 5, "c": 64 * (BLOCK - 3), "d": 1, "e": 64 * 3 * BLOCK}
    words = random.integers(0, 2**64, (3, sum(-(-size // 64) for size in sizes.values())), np.uint64)
    masks = Masks(words, {site: (size,) for site, size in sizes.items()})
    found, (every, some) = pair_counts(masks), overlap_counts(masks)
    for at, site in enumerate(sizes):
        part = masks.words_of(site)
        for i in range(3):
            for j in range(3):
                assert found[at, i, j] == np.bitwise_count(part[i] & part[j]).sum(dtype=np.int64)
        assert every[at] == np.bitwise_count(part[0] & part[1] & part[2]).sum(dtype=np.int64)
        assert some[at] == np.bitwise_count(part[0] | part[1] | part[2]).sum(dtype=np.int64)


def test_sets_of_rows_are_tickets_of_one_row(tmp_path):
    ticket = random_ticket()
    a, b, c = (kept_by(ticket, language) for language in LANGUAGES)
    for made, name, wanted in (
        (union(ticket, LANGUAGES), "union of en, fr, sw", a | b | c),
        (intersection(ticket, LANGUAGES), "intersection of en, fr, sw", a & b & c),
        (difference(ticket, LANGUAGES), "difference of en, fr, sw", a - b - c),
        (difference(ticket, ("fr", "en")), "difference of fr, en", b - a),
        (union(ticket, ["sw"]), "union of sw", c),
        (difference(ticket, ["sw"]), "difference of sw", c),
    ):
        assert made.languages == (name,)
        assert kept_by(made, name) == wanted
        write_ticket(made, tmp_path / "t")  # whose reader checks that no bit beyond a site was set
        assert kept_by(read_ticket(tmp_path / "t"), name) == wanted
    with pytest.raises(PolyticketError, match=r"^ticket: union of no rows"):
        union(ticket, [])
    with pytest.raises(PolyticketError, match=r"^ticket: no row 'ur'; expected en, fr, sw$"):
        intersection(ticket, ["en", "ur"])


def test_tickets_of_one_model_are_stacked():
    first, other = random_ticket(seed=1), random_ticket(seed=2)
    both = stack_tickets([("a", first), ("b", other)])
    assert both.languages == ("a:en", "a:fr", "a:sw", "b:en", "b:fr", "b:sw")
    assert kept_by(both, "b:fr") == kept_by(other, "fr")
    with pytest.raises(
        PolyticketError, match=r"^w: cannot be compared with the first ticket; expected unit, sites and"
    ):
        stack_tickets([("a", first), ("w", random_ticket("weight"))])


def test_a_pooler_that_only_some_prune_is_left_out_of_comparisons():
    layer, pooler = "bert.encoder.layer.0.output.dense.weight", "bert.pooler.dense.weight"
    reads = Ticket(("xnli",), {layer: np.ones((1, 2, 3), bool), pooler: np.ones((1, 2, 2), bool)}, unit="weight")
    other = Ticket(("panx",), {layer: np.zeros((1, 2, 3), bool)}, unit="weight")
    for tickets in ([("a", reads), ("b", other)], [("b", other), ("a", reads)]):
        both = stack_tickets(tickets)
        assert list(both.masks) == [layer]
        assert sorted(both.masks.counts()[0].tolist()) == [0, 6]
    assert list(stack_tickets([("a", reads), ("b", reads)]).masks) == [layer, pooler]
    with pytest.raises(PolyticketError, match=r"^c: cannot be compared with the first ticket"):
        stack_tickets([("a", reads), ("c", Ticket(("x",), {pooler: np.ones((1, 2, 2), bool)}, unit="weight"))])


@pytest.mark.parametrize(
    ("site", "layer", "component"),
    [
        ("bert.encoder.layer.11.attention.self.attention_mask", "layer 11", "query·key"),
        ("bert.encoder.layer.0.attention.self.value_attention_mask", "layer 0", "value"),
        ("bert.encoder.layer.0.intermediate.intermediate_mask", "layer 0", "intermediate"),
        ("bert.pooler.pool_mask", "pooler", "pooler"),
        ("bert.encoder.layer.3.attention.self.query.weight", "layer 3", "query"),
        ("bert.encoder.layer.3.attention.output.dense.weight", "layer 3", "attention output"),
        ("encoder.layer.3.output.dense.weight", "layer 3", "output"),
        ("bert.pooler.dense.weight", "pooler", "pooler"),
        ("encoder.block.2.layer.0.SelfAttention.q.weight", "encoder layer 2", "encoder self-attention q"),
        ("decoder.block.2.layer.1.EncDecAttention.k.weight", "decoder layer 2", "decoder cross-attention k"),
        ("decoder.block.0.layer.2.DenseReluDense.wi_0.weight", "decoder layer 0", "decoder wi_0"),
        ("other", "other", "other"),
    ],
)
def test_sites_are_grouped_by_layer_and_component(site, layer, component):
    assert (layer_of(site), component_of(site)) == (layer, component)


def test_a_ticket_is_shown_as_a_table(tmp_path):
    write_ticket(SMALL, tmp_path / "t.safetensors")
    assert show_ticket(tmp_path / "t.safetensors", tsv=True).splitlines() == [
        "unit: neuron",
        "rows: 3",
        "sites: 3",
        "neurons a row: 12",
        "saliency: snip",
        "",
        "language\tkept\tdensity\tquery·key\tintermediate\tpooler",
        "en\t9\t0.7500\t0.5000\t1.0000\t0.5000",
        "fr\t6\t0.5000\t0.5000\t0.5000\t0.5000",
        "sw\t2\t0.1667\t0.0000\t0.0000\t1.0000",
    ]
    assert show_ticket(tmp_path / "t.safetensors", by="layer").splitlines()[6:8] == [
        "language  kept  density  layer 0  layer 10  pooler",
        "en           9   0.7500   0.5000    1.0000  0.5000",
    ]
    assert show_ticket(tmp_path / "t.safetensors", by="all", tsv=True).splitlines()[6] == "language\tkept\tdensity"


def test_rows_are_compared_in_tables(tmp_path):
    write_ticket(SMALL, tmp_path / "t.safetensors")
    assert compare_tickets([tmp_path / "t.safetensors"], rows=["en", "fr"], by="layer", tsv=True).splitlines() == [
        "group\tbits\tmean density\tintersection\tunion\tagreement\tby chance\tjaccard\tjaccard by chance",
        "all\t12\t0.6250\t4\t11\t0.4167\t0.5000\t0.3636\t0.4286",
        "layer 0\t4\t0.5000\t1\t3\t0.5000\t0.5000\t0.3333\t0.3333",
        "layer 10\t6\t0.7500\t3\t6\t0.5000\t0.5000\t0.5000\t0.5000",
        "pooler\t2\t0.5000\t0\t2\t0.0000\t0.5000\t0.0000\t0.3333",
        "",
        "jaccard\ten\tfr",
        "en\t1.0000\t0.3636",
        "fr\t0.3636\t1.0000",
        "",
        "row\tnearest\tjaccard\tby chance\tagreement",
        "en\tfr\t0.3636\t0.4286\t0.4167",
        "fr\ten\t0.3636\t0.4286\t0.4167",
    ]
    lines = compare_tickets([tmp_path / "t.safetensors"], by="all", measure="difference", tsv=True).splitlines()
    assert lines[3:7] == ["difference\ten\tfr\tsw", "en\t0\t5\t8", "fr\t2\t0\t5", "sw\t1\t1\t0"]


def test_several_files_are_compared(tmp_path):
    for name in ("one", "other"):
        write_ticket(SMALL, tmp_path / f"{name}.safetensors")
    paths = [tmp_path / "one.safetensors", tmp_path / "other.safetensors"]
    lines = compare_tickets(paths, rows=["one:en", "other:en"], measure="agreement", tsv=True).splitlines()
    assert lines[-7:-4] == ["agreement\tone:en\tother:en", "one:en\t1.0000\t1.0000", "other:en\t1.0000\t1.0000"]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"measure": "cosine"}, "ticket compare: unknown measure 'cosine'; expected jaccard, agreement"),
        ({"by": "head"}, "ticket: unknown grouping 'head'; expected all, layer, component or site"),
        ({"rows": ["en"]}, "ticket compare: one row alone; expected at least two rows"),
        ({"rows": ["en", "en"]}, "ticket compare: a row is named twice"),
        ({"rows": ["en", "ur"]}, "ticket: no row 'ur'; expected en, fr, sw"),
    ],
)
def test_what_cannot_be_compared_is_named(tmp_path, options, line):
    write_ticket(SMALL, tmp_path / "t.safetensors")
    with pytest.raises(PolyticketError, match=f"^{line}"):
        compare_tickets([tmp_path / "t.safetensors"], **options)


def test_one_file_twice_is_not_compared(tmp_path):
    write_ticket(SMALL, tmp_path / "t.safetensors")
    for paths in ([], [tmp_path / "t.safetensors"] * 2):
        with pytest.raises(PolyticketError, match=r"^ticket compare: no files, or one twice; expected different"):
            compare_tickets(paths)
