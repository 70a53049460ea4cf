"""Allocation: exact counts, a written rule for ties, what competes with what."""

from dataclasses import replace

import numpy as np
import pytest
from models import TINY

from polyticket.errors import PolyticketError
from polyticket.model.shape import BertShape
from polyticket.model.sites import prunable_sites
from polyticket.tickets.allocation import allocate, keep_count, keep_highest, normalised
from polyticket.tickets.scores import Saliency, random_scores, read_saliency, write_saliency

BASE = prunable_sites(BertShape(119547, 768, 12, 12, 3072))


def rows(masks: dict[str, np.ndarray]) -> dict[str, list[str]]:
    """Masks as text: site to one string of 0 and 1 per language."""
    return {site: ["".join(str(int(bit)) for bit in row) for row in bits] for site, bits in masks.items()}


def scores(**sites: list[float]) -> dict[str, np.ndarray]:
    return {site: np.array(values, np.float64) for site, values in sites.items()}


def kept(pool: list[list[float]], ratio: float) -> list[list[int]]:
    return [bits.astype(int).tolist() for bits in keep_highest([np.array(values, float) for values in pool], ratio)]


@pytest.mark.parametrize(
    ("size", "ratio", "count"),
    [
        (100, 0.29, 29),  # 100 · 0.29 is 28.999999999999996 in floating point
        (1000, 0.57, 570),
        (10, 0.999, 9),
        (10, 0.05, 0),
        (7, 1, 7),
        (7, 1.0, 7),
        (10**9, 1e-9, 1),
        (10**12 + 1, 0.75, 750000000000),
        (3, np.float64(0.7), 2),
    ],
)
def test_the_budget_is_the_floor_of_the_decimal_that_was_written(size, ratio, count):
    assert keep_count(size, ratio) == count


@pytest.mark.parametrize(
    ("pool", "ratio", "table"),
    [
        ([[3, 1, 2]], 1.0, [[1, 1, 1]]),
        ([[3, 1, 2]], 0.34, [[1, 0, 0]]),
        ([[3, 1, 2]], 0.1, [[0, 0, 0]]),
        ([[3, 1], [2, 4, 0]], 0.4, [[1, 0], [0, 1, 0]]),
        ([[3, 1], [2, 4, 0]], 0.6, [[1, 0], [1, 1, 0]]),
        ([[1, 1], [1, 1, 1]], 0.6, [[1, 1], [1, 0, 0]]),
        ([[0, 1], [1, 2]], 0.5, [[0, 1], [0, 1]]),
        ([[0, 0], [0, 0]], 0.75, [[1, 1], [1, 0]]),
        ([[5]], 0.999, [[0]]),
        ([[1e-300, 0.0]], 0.5, [[1, 0]]),
    ],
)
def test_the_highest_are_kept_and_ties_rank_by_array_then_position(pool, ratio, table):
    assert kept(pool, ratio) == table


def test_the_selection_is_that_of_a_stable_sort():
    random = np.random.default_rng(1)
    for _ in range(50):
        pool = [random.integers(0, 6, size).astype(float) for size in random.integers(1, 30, 4)]
        ratio = float(random.integers(1, 100)) / 100
        flat = np.concatenate(pool)
        wanted = np.zeros(flat.size, bool)
        wanted[np.argsort(-flat, kind="stable")[: keep_count(flat.size, ratio)]] = True
        np.testing.assert_array_equal(np.concatenate(keep_highest(pool, ratio)), wanted)


def test_ties_rank_by_site_then_language_then_position():
    equal = scores(b=[1, 1], a=[1, 1])
    assert rows(allocate([equal, equal], 0.375, scope="global")) == {"a": ["11", "10"], "b": ["00", "00"]}
    assert rows(allocate([equal, equal], 0.625, scope="global")) == {"a": ["11", "11"], "b": ["10", "00"]}
    assert rows(allocate([equal, equal], 0.75, scope="language")) == {"a": ["11", "11"], "b": ["10", "10"]}
    assert rows(allocate([equal, equal], 0.5, scope="site")) == {"a": ["10", "10"], "b": ["10", "10"]}


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
    assert rows(allocate([first, second], 0.5, scope=scope, normalise=False)) == table


@pytest.mark.parametrize("scope", ["global", "language", "site"])
@pytest.mark.parametrize("ratio", [0.29, 0.5, 0.75, 0.85, 1.0])
def test_every_pool_keeps_its_exact_count(scope, ratio):
    sites = prunable_sites(TINY)
    found = allocate([random_scores(sites, 5, row) for row in range(3)], ratio, scope=scope)
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
        found = allocate([equal] * 4, 0.29, scope="global", normalise=normalise)
        assert sum(int(bits.sum()) for bits in found.values()) == keep_count(4 * total, 0.29)


def test_scores_are_divided_by_the_norm_of_their_site_and_language():
    found = normalised(scores(a=[3, 4], b=[0, 0], c=[0, 1e6]))
    assert {site: values.tolist() for site, values in found.items()} == {"a": [0.6, 0.8], "b": [0, 0], "c": [0, 1]}
    loud, quiet = scores(x=[100, 1, 90, 2]), scores(x=[0.1, 0.9, 0.2, 1.0])
    assert rows(allocate([loud, quiet], 0.5, scope="global")) == {"x": ["1010", "0101"]}
    assert rows(allocate([loud, quiet], 0.5, scope="global", normalise=False)) == {"x": ["1111", "0000"]}


def density_by_width(normalise: bool) -> dict[int, float]:
    found = allocate([random_scores(BASE, 3, row) for row in range(2)], 0.75, scope="global", normalise=normalise)
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


def test_a_language_without_any_score_is_an_error():
    with pytest.raises(PolyticketError, match=r"^saliency: all scores of language 1 are zero$"):
        allocate([scores(a=[1, 0], b=[0]), scores(a=[0, 0], b=[0])], 0.5, scope="global")


def test_saliency_files_give_back_what_was_written(tmp_path):
    path = tmp_path / "saliency" / "fr.safetensors"
    made = Saliency(scores(a=[0.1, 1e-300], b=[3]), {"method": "snip", "language": "fr", "tokens": 12})
    write_saliency(made, path)
    found = read_saliency(path)
    assert found.provenance == made.provenance
    assert {site: values.tolist() for site, values in found.scores.items()} == {"a": [0.1, 1e-300], "b": [3]}
    first = path.read_bytes()
    write_saliency(replace(made, scores={site: made.scores[site] for site in ("b", "a")}), path)
    assert path.read_bytes() == first


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_no_numbers_are_named_with_file_and_site(tmp_path, bad):
    path = tmp_path / "fr.safetensors"
    write_saliency(Saliency(scores(a=[1, 2], b=[1, bad])), path)
    with pytest.raises(PolyticketError) as caught:
        read_saliency(path)
    assert str(caught.value) == f"{path}: b holds NaN or infinite scores; expected finite scores"


@pytest.mark.parametrize("content", [None, b"", b"\x10\0\0\0\0\0\0\0{}"])
def test_a_file_that_is_no_saliency_is_named(tmp_path, content):
    path = tmp_path / "fr.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PolyticketError, match=f"^{path}: cannot be read as saliency: "):
        read_saliency(path)
