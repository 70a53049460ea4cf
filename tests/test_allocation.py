"""Allocation: exact counts, a written rule for ties, what competes with what."""

import numpy as np
import pytest

from polyticket.core.errors import PolyticketError
from polyticket.core.ranking import keep_count
from polyticket.model.shape import BertShape, prunable_sites
from polyticket.saliency.score_files import (
    normalised,
    random_scores,
)
from polyticket.tickets.allocation import allocate, keep_fitting, keep_units
from polyticket.tickets.scopes import Granularity, budget_of, granularities_of, largest_total
from tests.support.models import TINY

BASE = prunable_sites(BertShape(119547, 768, 12, 12, 3072))


def rows(masks: dict[str, np.ndarray]) -> dict[str, list[str]]:
    """Masks as text: site to one string of 0 and 1 per language."""
    return {site: ["".join(str(int(bit)) for bit in row) for row in bits] for site, bits in masks.items()}


def scores(**sites: list[float]) -> dict[str, np.ndarray]:
    return {site: np.array(values, np.float64) for site, values in sites.items()}


def test_ties_rank_by_site_then_language_then_position():
    equal = scores(b=[1, 1], a=[1, 1])
    assert rows(allocate([equal, equal], 0.375, scope="global").masks) == {"a": ["11", "10"], "b": ["00", "00"]}
    assert rows(allocate([equal, equal], 0.625, scope="global").masks) == {"a": ["11", "11"], "b": ["10", "00"]}
    assert rows(allocate([equal, equal], 0.75, scope="language").masks) == {"a": ["11", "11"], "b": ["10", "10"]}
    assert rows(allocate([equal, equal], 0.5, scope="site").masks) == {"a": ["10", "10"], "b": ["10", "10"]}


@pytest.mark.parametrize(
    ("scope", "table"),
    [
        ("global", {"x": ["11", "00"], "y": ["11", "00"]}),
        ("language", {"x": ["00", "00"], "y": ["11", "11"]}),
        ("site", {"x": ["10", "10"], "y": ["01", "01"]}),
    ],
)
def test_scopes_let_languages_and_sites_compete(scope, table):
    first, second = scores(x=[6, 5], y=[7, 8]), scores(x=[2, 1], y=[3, 4])
    assert rows(allocate([first, second], 0.5, scope=scope, normalise=False).masks) == table


@pytest.mark.parametrize("scope", ["global", "language", "site"])
@pytest.mark.parametrize("ratio", [0.29, 0.5, 0.75, 0.85, 1.0])
def test_every_pool_keeps_its_exact_count(scope, ratio):
    sites = prunable_sites(TINY)
    found = allocate([random_scores(sites, 5, row) for row in range(3)], ratio, scope=scope).masks
    counts = np.array([[bits[row].sum() for bits in found.values()] for row in range(3)])
    sizes = np.array([found[site].shape[1] for site in found])
    assert {site.name: (3, site.size) for site in sites} == {name: bits.shape for name, bits in found.items()}
    if scope == "global":
        assert counts.sum() == keep_count(3 * int(sizes.sum()), ratio)
    elif scope == "language":
        assert counts.sum(1).tolist() == [keep_count(int(sizes.sum()), ratio)] * 3
    else:
        assert counts.tolist() == [[keep_count(int(size), ratio) for size in sizes]] * 3


def test_equal_scores_everywhere_keep_exact_counts():
    equal = {site.name: np.ones(site.size) for site in prunable_sites(TINY)}
    total = sum(values.size for values in equal.values())
    for normalise in (True, False):
        found = allocate([equal] * 4, 0.29, scope="global", normalise=normalise).masks
        assert sum(int(bits.sum()) for bits in found.values()) == keep_count(4 * total, 0.29)


def test_scores_are_divided_by_the_norm_of_their_site_and_language():
    found = normalised(scores(a=[3, 4], b=[0, 0], c=[0, 1e6]))
    assert {site: values.tolist() for site, values in found.items()} == {"a": [0.6, 0.8], "b": [0, 0], "c": [0, 1]}
    loud, quiet = scores(x=[100, 1, 90, 2]), scores(x=[0.1, 0.9, 0.2, 1.0])
    assert rows(allocate([loud, quiet], 0.5, scope="global").masks) == {"x": ["1010", "0101"]}
    assert rows(allocate([loud, quiet], 0.5, scope="global", normalise=False).masks) == {"x": ["1111", "0000"]}


def density_by_width(normalise: bool) -> dict[int, float]:
    found = allocate([random_scores(BASE, 3, row) for row in range(2)], 0.75, scope="global", normalise=normalise).masks
    return {
        width: float(np.concatenate([bits for bits in found.values() if bits.shape[1] == width], 1).mean())
        for width in (768, 3072)
    }


def test_normalised_noise_favours_narrow_sites_as_published():
    assert density_by_width(True) == {768: pytest.approx(0.85, abs=0.01), 3072: pytest.approx(0.70, abs=0.01)}


def test_noise_that_is_not_normalised_keeps_one_rate_everywhere():
    assert density_by_width(False) == {768: pytest.approx(0.75, abs=0.01), 3072: pytest.approx(0.75, abs=0.01)}


def test_noise_is_keyed_by_seed_and_language_alone():
    sites = prunable_sites(TINY)
    first = random_scores(sites, 1, 0)
    assert {site: values.size for site, values in first.items()} == {site.name: site.size for site in sites}
    assert all((values >= 0).all() and (values < 1).all() for values in first.values())
    for other, same in ((random_scores(sites, 1, 0), True), (random_scores(sites, 1, 1), False)):
        assert all(np.array_equal(first[site], other[site]) == same for site in first)
    assert not np.array_equal(first[sites[0].name], random_scores(sites, 2, 0)[sites[0].name])
    assert len({values[0] for values in first.values()}) == len(sites)


def test_languages_must_have_the_same_sites():
    with pytest.raises(PolyticketError, match=r"^saliency: the sites of language 1 are not those of language 0$"):
        allocate([scores(a=[1, 2]), scores(a=[1, 2, 3])], 0.5, scope="global")
    with pytest.raises(PolyticketError, match="language 2"):
        allocate([scores(a=[1]), scores(a=[1]), scores(b=[1])], 0.5, scope="site")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("normalise", [True, False])
def test_scores_that_are_no_numbers_are_an_error(bad, normalise):
    line = r"^saliency: b of language sw holds NaN or infinite scores; expected finite scores$"
    with pytest.raises(PolyticketError, match=line):
        allocate(
            [scores(a=[1], b=[1, 2]), scores(a=[1], b=[1, bad])],
            0.5,
            scope="global",
            normalise=normalise,
            languages=("en", "sw"),
        )


def test_very_large_and_very_small_scores_are_ranked():
    found = normalised(scores(a=[3e200, 4e200], b=[3e-200, 0]))
    assert found["a"].tolist() == pytest.approx([0.6, 0.8], rel=1e-12)
    assert rows(allocate([found], 0.5, scope="global").masks) == {"a": ["11"], "b": ["00"]}
    assert rows(allocate([found], 0.75, scope="global").masks) == {"a": ["11"], "b": ["10"]}


@pytest.mark.parametrize("ratio", [0, -0.5, 1.01, float("nan"), True])
def test_a_remain_ratio_that_is_none_is_an_error(ratio):
    with pytest.raises(PolyticketError, match=r"^remain_ratio: remain ratio .*; expected a number in \(0, 1\]$"):
        allocate([scores(a=[1, 2])], ratio, scope="global")


def test_no_scores_and_an_unknown_scope_are_errors():
    with pytest.raises(PolyticketError, match=r"^saliency: no scores; expected scores of at least one language"):
        allocate([], 0.5, scope="global")
    with pytest.raises(
        PolyticketError, match=r"^ticket.scope: unknown scope 'world'; expected global, language, site$"
    ):
        allocate([scores(a=[1])], 0.5, scope="world")


def test_a_site_of_zeros_is_kept_last_in_the_order_of_ties():
    found = allocate([scores(a=[0, 0], b=[2, 1])] * 2, 0.75, scope="global")
    assert rows(found.masks) == {"a": ["11", "00"], "b": ["11", "11"]}


def test_a_language_without_any_score_is_an_error():
    with pytest.raises(PolyticketError, match=r"^saliency: all scores of language 1 are zero$"):
        allocate([scores(a=[1, 0], b=[0]), scores(a=[0, 0], b=[0])], 0.5, scope="global")


QK, VALUE = "l.attention.self.attention_mask", "l.attention.self.value_attention_mask"
HEADED = scores(**{QK: [9, 1, 5, 4, 0, 0], VALUE: [1, 1, 1, 1, 8, 9], "z": [7, 3, 2, 6]})


@pytest.mark.parametrize(
    ("options", "ratio", "table", "counts"),
    [
        # budgets of 5 and 4 out of 10, on [9 5 1 0 0 0] and [4 3 2 1]
        ({}, 0.5, {"a": "110000", "b": "1110"}, (5, 5)),
        ({"floor": 3}, 0.6, {"a": "111000", "b": "1110"}, (6, 6)),
        ({"floor": 0.5}, 0.5, {"a": "111000", "b": "1100"}, (5, 5)),
        ({"floor": 0.34}, 0.5, {"a": "111000", "b": "1100"}, (5, 5)),
        ({"align": 2}, 0.5, {"a": "110000", "b": "1100"}, (5, 4)),
        ({"align": 2}, 0.6, {"a": "110000", "b": "1111"}, (6, 6)),
        ({"align": 2, "floor": 3}, 0.6, {"a": "111100", "b": "1111"}, None),
        ({"align": 2, "floor": 3}, 0.8, {"a": "111100", "b": "1111"}, (8, 8)),
        ({"scope": "site"}, 0.5, {"a": "111000", "b": "1100"}, (5, 5)),
        ({"scope": "site", "align": 2}, 0.5, {"a": "110000", "b": "1100"}, (5, 4)),
    ],
)
def test_floors_and_alignment_by_hand(options, ratio, table, counts):
    def found():
        how = {"scope": "global", "normalise": False} | options
        return allocate([scores(a=[9, 5, 1, 0, 0, 0], b=[4, 3, 2, 1])], ratio, **how)

    if counts is None:
        with pytest.raises(PolyticketError, match=r"^ticket.floor: the floor keeps 8 where the budget is 6"):
            found()
    else:
        assert rows(found().masks) == {site: [bits] for site, bits in table.items()}
        assert (found().asked, found().kept) == counts


def test_blocks_are_the_best_of_a_site_wherever_they_stand():
    found = allocate([scores(a=[1, 8, 2, 9, 3, 7], b=[7, 4])], 0.5, scope="global", normalise=False, align=2)
    assert rows(found.masks) == {"a": ["010100"], "b": ["11"]}  # means 8.5, 5, 1.5 and 5.5
    assert found.threshold == 5.5


@pytest.mark.parametrize(
    ("ratio", "scope", "table", "counts"),
    [
        # heads of 2 with means 5, 4.5, 0 and 1, 1, 8.5; neurons 7, 3, 2, 6
        (0.5, "global", ("111100", "000011", "1001"), (8, 8)),
        (0.25, "global", ("000000", "000011", "1001"), (4, 4)),
        (0.1, "global", ("000000", "000000", "1000"), (1, 1)),
        (0.94, "global", ("111111", "111111", "1101"), (15, 15)),  # the last head in place of the neuron of score 2
        (1.0, "global", ("111111", "111111", "1111"), (16, 16)),
        (0.5, "site", ("110000", "000011", "1001"), (8, 6)),
        (0.5, "language", ("111100", "000011", "1001"), (8, 8)),
    ],
)
def test_whole_heads_by_hand(ratio, scope, table, counts):
    found = allocate([HEADED], ratio, scope=scope, normalise=False, align="heads", heads=3)
    assert rows(found.masks) == dict(zip((QK, VALUE, "z"), ([bits] for bits in table), strict=True))
    assert (found.asked, found.kept) == counts


@pytest.mark.parametrize("scope", ["global", "language", "site"])
@pytest.mark.parametrize("floor", [0, 5, 0.25])
@pytest.mark.parametrize("align", [1, 4, 8, "heads"])
def test_every_option_keeps_its_exact_counts(scope, floor, align):
    random = np.random.default_rng(2)
    sites = {site.name: site.size for site in prunable_sites(TINY)}
    equal, few = (
        {n: np.ones(s) for n, s in sites.items()},
        {n: random.integers(0, 3, s) + 0.0 for n, s in sites.items()},
    )
    made = [random_scores(prunable_sites(TINY), 5, 0), equal, few]
    found = allocate(made, 0.6, scope=scope, align=align, floor=floor, heads=3)
    assert found.kept == sum(int(bits.sum()) for bits in found.masks.values())
    assert (found.asked, found.kept) == budget_of(
        granularities_of(sites, align=align, heads=3, floor=floor), 3, 0.6, scope
    )
    assert found.asked == {"global": 360, "language": 360, "site": 3 * (5 * 14 + 2 * 24)}[scope]
    for site, bits in found.masks.items():
        head = align == "heads" and "attention.self" in site
        step = 8 if head else 1 if align == "heads" else align
        assert (bits.sum(1) % step == 0).all()
        assert (bits.sum(1) >= (floor if isinstance(floor, int) else floor * bits.shape[1])).all()
        if head:
            assert np.isin(bits.reshape(3, 3, 8).sum(2), (0, 8)).all()


def test_all_equal_scores_fill_sites_in_the_order_of_ties():
    equal = [scores(a=[1] * 4, b=[1] * 4)] * 2
    how = {"scope": "global", "normalise": False}
    assert rows(allocate(equal, 0.7, **how).masks) == {"a": ["1111", "1111"], "b": ["1110", "0000"]}
    assert rows(allocate(equal, 0.7, align=2, **how).masks) == {"a": ["1111", "1111"], "b": ["1100", "0000"]}
    assert rows(allocate(equal, 0.7, floor=1, **how).masks) == {"a": ["1111", "1111"], "b": ["1100", "1000"]}


@pytest.mark.parametrize("seed", range(40))
def test_groups_and_single_neurons_reach_the_largest_total(seed):
    random = np.random.default_rng(seed)
    group, many, single = (int(random.integers(low, high)) for low, high in ((2, 6), (0, 5), (0, 8)))
    sizes = random.permutation(np.array([group] * many + [1] * single))
    values = random.integers(0, 4, sizes.size).astype(float)
    forced = random.random(sizes.size) < 0.2
    least = int(sizes[forced].sum())
    for budget in range(least, int(sizes.sum()) + 2):
        kept = keep_units(values, sizes, budget, forced).chosen
        free = sizes[~forced]
        totals = [
            least + k * group + s for k in range(int((free > 1).sum()) + 1) for s in range(int((free == 1).sum()) + 1)
        ]
        assert int(sizes[kept].sum()) == max(total for total in totals if total <= budget)
        assert kept[forced].all()


def test_what_a_pool_can_keep_by_hand():
    heads, neurons = Granularity(12, 4, 0, True), Granularity(2)
    assert [largest_total([heads, neurons], budget) for budget in range(15)] == [
        *(0, 1, 2, 2, 4, 5, 6, 6, 8, 9, 10, 10, 12, 13, 14)
    ]
    assert largest_total([heads, Granularity(2, 1, 2)], 5) == 2  # no room for a head beside the floor
    assert keep_fitting(np.array([3.0, 2.0, 1.0]), np.array([1, 4, 4]), 4).chosen.tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"align": 16}, r"ticket.align: bert.* has 24 neurons, which are no whole multiple of 16; expected"),
        ({"align": "heads", "heads": 5}, r"ticket.align: bert.* has 24 neurons, which are no whole heads; expected"),
        ({"align": "heads"}, r"ticket.align: whole heads of an unknown number; expected the model's heads"),
        ({"align": 0}, r"ticket.align: alignment 0; expected"),
        ({"align": "layers"}, r"ticket.align: alignment 'layers'; expected a count such as 8 or 64, or heads"),
        ({"floor": 25}, r"ticket.floor: floor 25 of bert.*, which has 24 neurons; expected"),
        ({"floor": 1.5}, r"ticket.floor: floor 1.5 of bert"),
        ({"floor": -1}, r"ticket.floor: floor -1 of bert"),
        ({"floor": 0.9}, r"ticket.floor: the floor keeps 364 where the budget is 200; expected a lower floor or"),
    ],
)
def test_floors_and_alignments_that_cannot_be_are_named(options, line):
    made = [random_scores(prunable_sites(TINY), 5, row) for row in range(2)]
    with pytest.raises(PolyticketError, match=f"^{line}"):
        allocate(made, 0.5, scope="global", **options)


def test_the_threshold_is_the_lowest_score_that_won_a_place():
    one, other = scores(a=[5, 4], b=[1, 3]), scores(a=[2, 6], b=[0, 7])
    how = {"scope": "global", "normalise": False}
    assert allocate([one, other], 0.5, **how).threshold == 4
    assert allocate([one, other], 0.75, floor=1, **how).threshold == 2
    assert allocate([one, other], 0.5, floor=1, **how).threshold is None  # floors took all places
    assert allocate([one, other], 0.5, normalise=False, scope="language").threshold is None
