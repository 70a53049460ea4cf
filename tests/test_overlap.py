"""Comparisons of sub-networks: pairs, sets, kinds and intersections by hand, chance met by random masks."""

import numpy as np
import pytest

from polyticket.analysis.overlap import (
    BEYOND,
    PAIR_COLUMNS,
    SET_COLUMNS,
    density_rows,
    intersections,
    join_tickets,
    language_matrix,
    pair_rows,
    read_pairs,
    row_matrix,
    set_rows,
    summary_rows,
)
from polyticket.analysis.row_names import differs, kind_of, sets_of, short_names
from polyticket.core.errors import PolyticketError
from polyticket.core.tables import write_rows
from polyticket.tickets.algebra import groups_of
from polyticket.tickets.ticket import Ticket, read_ticket, write_ticket

EN, FR, UR = (f"ner/{language}/1/50" for language in ("en", "fr", "ur"))
LAYERS = (
    *("attention.self.query", "attention.self.key", "attention.self.value"),
    *("attention.output.dense", "intermediate.dense", "output.dense"),
)
SIDES = {"encoder": {0: ("SelfAttention",), 1: ("DenseReluDense",)}}
SIDES["decoder"] = {0: ("SelfAttention",), 1: ("EncDecAttention",), 2: ("DenseReluDense",)}


def bert_names(layers: int = 3) -> list[str]:
    return [f"bert.encoder.layer.{n}.{part}.weight" for n in range(layers) for part in LAYERS]


def mt5_names(blocks: int = 2) -> list[str]:
    found = []
    for side, places in SIDES.items():
        for block in range(blocks):
            for place, (module,) in places.items():
                parts = ("wi_0", "wi_1", "wo") if module == "DenseReluDense" else ("q", "k", "v", "o")
                found += [f"{side}.block.{block}.layer.{place}.{module}.{part}.weight" for part in parts]
    return found


def of_bits(rows: dict[str, dict[str, list[int]]]) -> Ticket:
    """A ticket of weights of one line each, from the bits of each row and site."""
    sites = list(next(iter(rows.values())))
    masks = {site: np.array([[bits[site]] for bits in rows.values()], bool) for site in sites}
    return Ticket(list(rows), masks, unit="weight")


def one(rows, **wanted):
    """The only row with these values."""
    (found,) = (row for row in rows if all(row[key] == value for key, value in wanted.items()))
    return found


def three_layers() -> Ticket:
    """4 weights a matrix. In layers 0 and 1 both keep the same 2; in layer 2 they share 1 of the 2 that each keeps."""
    same = {name: [1, 1, 0, 0] for name in bert_names()}
    other = {name: [0, 1, 1, 0] if ".layer.2." in name else bits for name, bits in same.items()}
    return of_bits({EN: same, FR: other})


def test_published_fault_the_last_layer_counts_once():
    rows = pair_rows(three_layers())
    # 2 layers of 6 · 2 in common, 1 layer of 6 · 1, of 3 · 6 · (2 + 2) less that; with the last twice it would be 36/60
    whole = one(rows, by="all")
    assert (whole["bits"], whole["common"]) == (72, 30)
    assert whole["jaccard"] == pytest.approx(30 / 42)
    assert whole["agreement"] == pytest.approx((72 - 2 * 6) / 72)
    layers = [row for row in rows if row["by"] == "layer"]
    assert sum(row["common"] for row in layers) == whole["common"]
    assert sum(row["bits"] for row in layers) == whole["bits"]


def test_published_fault_layers_are_those_of_the_model_not_twelve():
    layers = [row for row in pair_rows(three_layers()) if row["by"] == "layer"]
    assert [row["group"] for row in layers] == ["layer 0", "layer 1", "layer 2"]
    assert [row["jaccard"] for row in layers] == pytest.approx([1, 1, 1 / 3])
    assert [row["bits"] for row in layers] == [24, 24, 24]
    many = groups_of(bert_names(14), "layer")
    assert list(many) == [f"layer {number}" for number in range(14)]
    assert {len(sites) for sites in many.values()} == {6}


def test_published_fault_similarity_of_mt5_counts_every_component():
    names = mt5_names()
    first = {name: [1, 0] for name in names}
    second = {name: bits if name.endswith("DenseReluDense.wo.weight") else [0, 1] for name, bits in first.items()}
    rows = pair_rows(of_bits({EN: first, FR: second}))
    # wo of 2 blocks on 2 sides agree, 4 of 36 matrices; counted by the last component alone it would be 1
    assert len(names) == 2 * (7 + 11) == 36
    assert one(rows, by="all")["agreement"] == pytest.approx(4 / 36)
    assert one(rows, by="all")["jaccard"] == pytest.approx(4 / (72 - 4))
    layers = {row["group"]: row["agreement"] for row in rows if row["by"] == "layer"}
    assert list(layers) == ["encoder layer 0", "encoder layer 1", "decoder layer 0", "decoder layer 1"]
    assert list(layers.values()) == pytest.approx([1 / 7, 1 / 7, 1 / 11, 1 / 11])
    components = {row["group"]: row["agreement"] for row in rows if row["by"] == "component"}
    assert len(components) == 7 + 11
    assert [name for name, agreement in components.items() if agreement == 1] == ["encoder wo", "decoder wo"]
    assert {row["bits"] for row in rows if row["by"] == "component"} == {2 * 2}


def test_published_fault_the_intersection_has_every_matrix(tmp_path):
    ticket = three_layers()
    found = intersections(ticket)
    assert found.languages == ("ner/*/1/50",)
    assert list(found.masks) == sorted(bert_names())
    for name in bert_names():
        assert found.masks[name].astype(int).tolist() == [[[0, 1, 0, 0] if ".layer.2." in name else [1, 1, 0, 0]]]
    write_ticket(found, tmp_path / "intersection.safetensors")
    assert read_ticket(tmp_path / "intersection.safetensors").masks.counts()[:, 0].sum() == 30
    rows = set_rows(ticket)
    layers = {row["group"]: row["kept_by_all"] for row in rows if row["by"] == "layer"}
    assert layers == {"layer 0": 0.5, "layer 1": 0.5, "layer 2": 0.25}
    components = {row["group"]: row["kept_by_all"] for row in rows if row["by"] == "component"}
    assert list(components.values()) == pytest.approx([5 / 12] * 6)


def test_a_set_of_three_by_hand():
    a, b = "encoder.layer.0.output.dense.weight", "encoder.layer.1.output.dense.weight"
    ticket = of_bits(
        {EN: {a: [1, 1, 0, 0], b: [1, 0]}, FR: {a: [1, 0, 1, 0], b: [1, 0]}, UR: {a: [1, 0, 0, 0], b: [1, 1]}}
    )
    whole = one(set_rows(ticket), by="all")
    assert (whole["set"], whole["of"], whole["rows"], whole["bits"]) == ("ner/*/1/50", "languages", 3, 6)
    assert (whole["intersection"], whole["union"]) == (2, 5)
    assert whole["agreement"] == pytest.approx((2 + 1) / 6)
    assert whole["jaccard"] == pytest.approx(2 / 5)
    assert whole["mean_density"] == pytest.approx(3 / 6)
    assert whole["expected_kept_by_all"] == pytest.approx(1 / 8)
    # ½ · ½ · ¼ of 4 and ½ · ½ · 1 of 2; dropped by all ½ · ½ · ¾ of 4 and 0 of 2
    assert whole["expected_kept_by_all_by_matrix"] == pytest.approx((4 / 16 + 2 / 4) / 6)
    assert whole["expected_agreement_by_matrix"] == pytest.approx((0.75 + 4 * 3 / 16) / 6)
    assert whole["expected_jaccard_by_matrix"] == pytest.approx(0.75 / (6 - 0.75))


def test_random_masks_meet_as_chance_by_matrix_says():
    random, density = np.random.default_rng(3), {"encoder.layer.0.a.weight": 0.2, "encoder.layer.1.a.weight": 0.9}
    masks = {name: random.random((3, 200, 300)) < share for name, share in density.items()}
    ticket = Ticket([EN, FR, UR], masks, unit="weight")
    pair, every = pair_rows(ticket)[0], one(set_rows(ticket), by="all")
    for row in (pair, every):
        assert row["agreement"] == pytest.approx(row["expected_agreement_by_matrix"], abs=0.005)
        assert row["jaccard"] == pytest.approx(row["expected_jaccard_by_matrix"], abs=0.005)
        assert row["jaccard"] > row["expected_jaccard"] + 0.1  # which knows nothing of the matrices
    assert pair["expected_jaccard_by_matrix"] == pytest.approx((0.04 + 0.81) / (2 * 1.1 - 0.85), abs=0.01)
    assert every["kept_by_all"] == pytest.approx(every["expected_kept_by_all_by_matrix"], abs=0.005)


def test_what_rows_keep_by_group():
    rows = density_rows(
        of_bits({EN: {"pooler.dense.weight": [1, 0, 0, 0], "encoder.layer.0.output.dense.weight": [1]}})
    )
    assert [(row["by"], row["group"], row["kept"], row["density"]) for row in rows] == [
        ("all", "all", 2, 0.4),
        ("layer", "layer 0", 1, 1.0),
        ("layer", "pooler", 1, 0.25),
        ("component", "output", 1, 1.0),
        ("component", "pooler", 1, 0.25),
    ]
    assert rows[0]["sparsity"] == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("other", "kind", "fields"),
    [
        ("ner/fr/2/50", "other seed", ("seed",)),
        ("ner/ur/1/50", "other language", ("language",)),
        ("ner/ur/2/50", "other language", ("language", "seed")),
        ("mlm/fr/1/50", "other task", ("task",)),
        ("mlm/ur/2/50", "other task", ("task", "language", "seed")),
        ("mlm/ur/2/60", "other sparsity", ("task", "language", "seed", "sparsity")),
        ("ur", "", ()),
    ],
)
def test_kinds_of_pairs(other, kind, fields):
    assert (kind_of(FR, other), differs(FR, other)) == (kind, fields)


def test_sets_differ_in_one_thing():
    rows = ["ner/fr/1/50", "ner/fr/2/50", "ner/ur/1/50", "mlm/fr/1/50", "mlm/sw/1/60"]
    assert sets_of(rows) == {
        "ner/*/1/50": ("ner/fr/1/50", "ner/ur/1/50"),
        "*/fr/1/50": ("ner/fr/1/50", "mlm/fr/1/50"),
        "ner/fr/*/50": ("ner/fr/1/50", "ner/fr/2/50"),
    }
    assert sets_of(["en", "fr"]) == {"all": ("en", "fr")}
    assert sets_of(["en"]) == {}
    assert short_names(rows[:3]) == ["fr 1", "fr 2", "ur 1"]
    assert short_names(["en", "fr"]) == ["en", "fr"]


def seeds_and_languages() -> Ticket:
    """Masks of a language share 15 of 16 places, those of two languages 8."""
    site = "encoder.layer.0.output.dense.weight"
    fr, ur = [1] * 16 + [0] * 16, [1] * 8 + [0] * 16 + [1] * 8
    shifted = [0, *[1] * 16, *[0] * 15]
    return of_bits({"ner/fr/1/50": {site: fr}, "ner/fr/2/50": {site: shifted}, "ner/ur/1/50": {site: ur}})


def test_means_by_kind():
    rows = [row for row in summary_rows(pair_rows(seeds_and_languages())) if row["by"] == "all"]
    found = {(row["kind"], row["differs"]): (row["pairs"], row["jaccard"]) for row in rows}
    assert found == {
        ("other seed", "any"): (1, pytest.approx(15 / 17)),
        ("other seed", "seed"): (1, pytest.approx(15 / 17)),
        ("other language", "any"): (2, pytest.approx((8 / 24 + 7 / 25) / 2)),
        ("other language", "language"): (1, pytest.approx(8 / 24)),
        ("other language", "language+seed"): (1, pytest.approx(7 / 25)),
    }
    assert {row["sparsity"] for row in rows} == {"50"}
    assert summary_rows([]) == []
    assert one(rows, kind="other language", differs="any")["jaccard_least"] == pytest.approx(7 / 25)


def test_the_table_is_read_again(tmp_path):
    rows = pair_rows(seeds_and_languages())
    write_rows(tmp_path / "pairs.csv", PAIR_COLUMNS, rows)
    found = read_pairs(tmp_path / "pairs.csv")
    assert [row["jaccard"] for row in found] == pytest.approx([row["jaccard"] for row in rows], abs=1e-6)
    names, matrix = row_matrix(found, sparsity="50")
    assert names == ("ner/fr/1/50", "ner/fr/2/50", "ner/ur/1/50")
    assert matrix[0].tolist() == pytest.approx([1, 15 / 17, 8 / 24], abs=1e-6)
    languages, alike = language_matrix(found, BEYOND)
    assert languages == ("fr", "ur")
    assert alike[0, 1] == alike[1, 0] == pytest.approx((8 / 24 + 7 / 25) / 2 - 1 / 3, abs=1e-6)  # ½ · ½ of ¾
    write_rows(tmp_path / "sets.csv", SET_COLUMNS, set_rows(seeds_and_languages()))
    assert (tmp_path / "sets.csv").read_text(encoding="utf-8").startswith("set,of,rows,by,group,bits,")


def test_a_share_of_nothing_is_empty(tmp_path):
    ticket = of_bits({EN: {"a.weight": [0, 0]}, FR: {"a.weight": [0, 0]}})
    write_rows(tmp_path / "pairs.csv", PAIR_COLUMNS, pair_rows(ticket))
    line = (tmp_path / "pairs.csv").read_text(encoding="utf-8").splitlines()[1]
    assert line.endswith(",1.000000,1.000000,1.000000,,,")
    assert np.isnan(read_pairs(tmp_path / "pairs.csv")[0]["jaccard"])


def test_tickets_of_languages_are_compared_too():
    masks = {"bert.pooler.pool_mask": np.array([[1, 1, 0], [1, 0, 0], [0, 1, 1]], bool)}
    found = pair_rows(join_tickets([("main", Ticket(("en", "fr", "sw"), masks))]))
    assert [(row["row"], row["other"], row["kind"]) for row in found if row["by"] == "all"] == [
        ("en", "fr", ""),
        ("en", "sw", ""),
        ("fr", "sw", ""),
    ]
    languages, alike = language_matrix(found)
    assert (languages, alike[0, 1:].tolist()) == (("en", "fr", "sw"), pytest.approx([1 / 2, 1 / 3]))


def test_names_of_sub_networks_come_from_outside():
    single = of_bits({"ner/fr": {"a.weight": [1, 0]}})
    found = join_tickets([(EN, single), (FR, single)])
    assert (found.languages, found.unit) == ((EN, FR), "weight")
    with pytest.raises(PolyticketError, match=r"row 'ner/en/1/50' is there twice"):
        join_tickets([(EN, single), (EN, single)])
    with pytest.raises(PolyticketError, match="no sub-networks"):
        join_tickets([])


def test_sparsities_are_not_mixed():
    site = {"a.weight": [1, 0]}
    ticket = of_bits({EN: site, FR: site, "ner/fr/1/60": site})
    assert len([row for row in pair_rows(ticket) if row["by"] == "all"]) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"measure": "dice"}, r"measure 'dice'; expected agreement"),
        ({"sparsity": "60"}, r"no pairs of sparsity 60"),
    ],
)
def test_what_is_not_there_is_said(change, message):
    with pytest.raises(PolyticketError, match=message):
        row_matrix(pair_rows(three_layers()), **change)


def test_a_table_of_another_form_is_refused(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("row,other\nen,fr\n", encoding="utf-8")
    with pytest.raises(PolyticketError, match=r"pairs.csv: no column kind; expected row, other"):
        read_pairs(path)
    path.write_text(",".join(PAIR_COLUMNS) + "\n" + ",".join(["x"] * len(PAIR_COLUMNS)) + "\n", encoding="utf-8")
    with pytest.raises(PolyticketError, match=r"pairs.csv:2: agreement is 'x'; expected a number"):
        read_pairs(path)
