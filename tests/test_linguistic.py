"""Distances of languages and their correlation with how alike tickets are, by hand and against plain arithmetic."""

import os
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from polyticket.analysis.linguistic import (
    Distances,
    compare_trees,
    dissimilarity,
    family_distances,
    mantel_rows,
    read_all_distances,
    read_distances,
)
from polyticket.analysis.mantel import cophenetic, join_heights, mantel
from polyticket.core.errors import PolyticketError
from polyticket.tasks.bootstrap import holm

LANGUAGES = ("en", "fr", "ur", "zh")
TABLE = ",en,fr,ur\nen,0,0.25,0.5\nfr,0.25,0,1\nur,0.5,1,0\n"


def symmetric(*upper: float) -> np.ndarray:
    """A matrix from its upper triangle, line by line."""
    size = round((1 + np.sqrt(1 + 8 * len(upper))) / 2)
    found = np.zeros((size, size))
    found[np.triu_indices(size, 1)] = upper
    return found + found.T


def test_a_table_is_read_in_the_order_that_is_wanted(tmp_path):
    path = tmp_path / "genetic.csv"
    path.write_text("\ufeff" + TABLE, encoding="utf-8")
    found = read_distances(path, ("ur", "en"))
    assert (found.kind, found.languages, found.matrix.tolist()) == ("genetic", ("ur", "en"), [[0, 0.5], [0.5, 0]])
    assert read_distances(path).languages == ("en", "fr", "ur")
    assert read_distances(path, kind="family").kind == "family"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TABLE.replace("0.25,0,1", "0.26,0,1"), r"en, fr: distance 0.25; expected 0.26, as from fr to en"),
        (TABLE.replace("en,0,", "en,0.1,"), r"en, en: distance 0.1; expected 0 between a language and itself"),
        (TABLE.replace(",1\n", ",-1\n"), r"fr, ur: distance '-1'; expected a number from 0 up"),
        (TABLE.replace(",1\n", ",nan\n"), r"fr, ur: distance 'nan'; expected a number from 0 up"),
        (TABLE.replace(",1\n", ",\n"), r"fr, ur: distance ''; expected a number"),
        (TABLE.replace("ur,0.5,1,0", "sw,0.5,1,0"), r"the first column is not the first line"),
        (TABLE.replace("ur,0.5,1,0\n", ""), r"the first column is not the first line"),
        (TABLE.replace("ur,0.5,1,0", "ur,0.5,1"), r"2 distances of ur; expected 3"),
        (TABLE.replace(",en,fr,ur", ",en,fr,fr"), r"syntactic.csv:1: no header of different codes"),
        ("", r"syntactic.csv:1: no header of different codes; expected a square table"),
    ],
)
def test_tables_are_checked(text, message, tmp_path):
    path = tmp_path / "syntactic.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PolyticketError, match=message):
        read_distances(path)


def test_rounding_is_no_asymmetry(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(TABLE.replace("fr,0.25,", "fr,0.2500004,"), encoding="utf-8")
    assert read_distances(path).matrix[0, 1] == read_distances(path).matrix[1, 0] == pytest.approx(0.2500002)


def test_missing_languages_are_named_with_their_file(tmp_path):
    path = tmp_path / "genetic.csv"
    path.write_text(TABLE, encoding="utf-8")
    with pytest.raises(PolyticketError, match=r"genetic.csv: no language sw, yo; expected some of en, fr, ur"):
        read_distances(path, ("en", "sw", "yo"))
    with pytest.raises(PolyticketError, match=r"none.csv: no such file"):
        read_distances(tmp_path / "none.csv")


def test_three_languages_by_hand():
    one, other = symmetric(1, 2, 3), symmetric(1, 2, 4)
    found = mantel(one, other)
    # centred −1 0 1 and −4/3 −1/3 5/3: 3 / √(2 · 42/9); of the 6 relabellings all orders of the three pairs
    assert found.correlation == pytest.approx(3 / np.sqrt(2 * 42 / 9))
    assert (found.p_greater, found.permutations, found.exact) == (pytest.approx(1 / 6), 6, True)
    # products with −4 −1 5 over 3: 9 and, with the first two swapped, 6; reversed −9
    assert found.p_two_sided == pytest.approx(2 / 6)
    assert mantel(one, -other).p_greater == pytest.approx(1)
    assert mantel(one, other, method="spearman").correlation == pytest.approx(1)


def plain(one: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
    upper = np.triu_indices(len(one), 1)
    observed = np.corrcoef(one[upper], other[upper])[0, 1]
    found = np.array([np.corrcoef(one[np.ix_(p, p)][upper], other[upper])[0, 1] for p in permutations(range(len(one)))])
    return observed, (found >= observed - 1e-12).mean(), (abs(found) >= abs(observed) - 1e-12).mean()


def test_all_relabellings_are_those_of_the_definition():
    random = np.random.default_rng(1)
    one, other = symmetric(*random.random(10)), symmetric(*random.random(10))
    assert mantel(one, other)[:3] == pytest.approx(plain(one, other))


def test_random_relabellings_come_near_all_and_follow_the_seed():
    random = np.random.default_rng(1)
    one, other = symmetric(*random.random(15)), symmetric(*random.random(15))
    every, some = mantel(one, other), mantel(one, other, permutations=719, seed=3)
    assert (every.exact, every.permutations, some.exact, some.permutations) == (True, 720, False, 719)
    assert some.correlation == every.correlation
    assert some.p_greater == pytest.approx(every.p_greater, abs=0.06)
    assert (some.p_greater * 720) % 1 == pytest.approx(0, abs=1e-9)  # the observed labelling counts: (n + 1) / 720
    assert mantel(one, other, permutations=719, seed=3) == some
    assert mantel(one, other, permutations=719, seed=4) != some


def test_equal_matrices_are_the_rarest_there_is():
    one = symmetric(*np.random.default_rng(2).random(45))
    found = mantel(one, 2 * one + 1, permutations=199)
    assert (found.correlation, found.p_greater, found.p_two_sided) == (pytest.approx(1), 1 / 200, 1 / 200)


@pytest.mark.filterwarnings("error")
def test_one_value_alone_has_no_correlation():
    found = mantel(symmetric(1, 1, 1), symmetric(1, 2, 4))
    assert found[:3] == (None, None, None)


@pytest.mark.parametrize(
    ("one", "other", "method", "message"),
    [
        (symmetric(1), symmetric(1), "pearson", "2 languages; expected at least three"),
        (symmetric(1, 2, 3), symmetric(1), "pearson", r"\(3, 3\) and \(2, 2\)"),
        (symmetric(1, 2, np.nan), symmetric(1, 2, 3), "pearson", "a pair has no number"),
        (symmetric(1, 2, 3), symmetric(1, 2, 3), "kendall", "method 'kendall'; expected pearson or spearman"),
    ],
)
def test_what_cannot_be_compared_is_said(one, other, method, message):
    with pytest.raises(PolyticketError, match=message):
        mantel(one, other, method=method)


def test_p_values_of_several_kinds():
    assert holm([0.01, None, 0.04, 0.03]) == [pytest.approx(0.03), None, pytest.approx(0.06), pytest.approx(0.06)]
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_average_linkage_by_hand():
    # a and b join at 1; c joins them at (3 + 5) / 2
    assert join_heights(symmetric(1, 3, 5)).tolist() == [[0, 1, 4], [1, 0, 4], [4, 4, 0]]
    found = cophenetic(symmetric(1, 3, 5), symmetric(2, 7, 7))
    assert found.correlation == pytest.approx(1)
    # of the three trees of three leaves, one is this; each is met by two relabellings
    assert found.p_greater == pytest.approx(1 / 3)


def test_tickets_against_kinds():
    far = symmetric(0.1, 0.6, 0.8, 0.7, 0.9, 0.5)
    kinds = [Distances("genetic", LANGUAGES, far * 2), Distances("flat", LANGUAGES, symmetric(*[1] * 6))]
    first, second = mantel_rows(1 - far, kinds)
    assert (first["kind"], first["languages"], first["pairs"]) == ("genetic", 4, 6)
    assert (first["correlation"], first["p_greater"]) == (pytest.approx(1), pytest.approx(1 / 24))
    assert (first["p_greater_holm"], first["permutations"], first["exact"]) == (pytest.approx(1 / 24), 24, True)
    assert (second["correlation"], second["p_greater_holm"]) == (None, None)
    assert np.array_equal(dissimilarity(1 - far).diagonal(), np.zeros(4))
    facts = compare_trees(1 - far, kinds, permutations=100, seed=0)
    assert (facts["family"], facts["correlation"]) == ("genetic", pytest.approx(1))
    # pairs join at 0.1, 0.5 and, four of them, 0.75; less the mean of 0.6 products are 0.35, squares 0.4 and 0.35
    assert [facts["own_fit"], facts["family_fit"]] == pytest.approx([np.sqrt(0.35 / 0.4)] * 2)
    with pytest.raises(PolyticketError, match=r"no inventory distances; expected genetic, flat"):
        family_distances(kinds, "inventory")


@pytest.mark.skipif("POLYTICKET_DATA" not in os.environ, reason="needs POLYTICKET_DATA")
def test_real_distances_are_read():
    folder = Path(os.environ["POLYTICKET_DATA"]) / "uriel"
    paths = sorted(folder.glob("*.csv"))
    kinds = read_all_distances(paths, [path.stem for path in paths], LANGUAGES)
    assert [one.kind for one in kinds] == sorted(one.kind for one in kinds)
    assert all(one.matrix.shape == (4, 4) for one in kinds)
    assert family_distances(kinds).matrix[0, 1] == pytest.approx(0.9375)
