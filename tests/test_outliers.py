"""Languages whose text is unlike that of the others."""

import math
from itertools import combinations

import pytest

from polyticket.figures.outliers import MEASURES, letters_of, outliers_of

LIKE = {"length": 100, "one_word": 20, "vetoed": 50, "end_matter": 150}


def counts(**figures: int) -> dict[str, int]:
    """The counts of a language of 1,000 sentences and 500 lines of lists."""
    given = LIKE | figures
    return {
        "sentences.kept": 1000,
        "sentences.median_length": given["length"],
        "sentences.one_word": given["one_word"],
        "abbreviations.vetoed": given["vetoed"],
        "lines.list.read": 500,
        "lines.list.dropped.end_matter": given["end_matter"],
    }


def said(**figures: int) -> list[str]:
    """What is said of a language beside three that are alike; nothing is said of these."""
    others = {"sw": counts(), "fr": counts(length=110, one_word=30), "de": counts(length=120, end_matter=100)}
    found = outliers_of({"ka": counts(**figures), **others})
    assert [found[code] for code in others] == [[], [], []]
    return found["ka"]


@pytest.mark.parametrize(
    ("figures", "line"),
    [
        ({"length": 940}, "median length of sentences 940, of the others 100 to 120"),
        ({"length": 20}, "median length of sentences 20, of the others 100 to 120"),
        ({"one_word": 150}, "share of sentences of one word 15.0%, of the others 2.0% to 3.0%"),
        ({"vetoed": 900}, "abbreviations' points per sentence 0.90, of the others 0.05 to 0.05"),
        ({"end_matter": 0}, "share of end matter in list lines 0.0%, of the others 20.0% to 30.0%"),
    ],
)
def test_what_lies_far_outside_the_others_range_is_named(figures, line):
    assert said(**figures) == [line]


def test_several_figures_are_named_in_their_order():
    assert [line.split(" ")[0] for line in said(length=1000, one_word=300, end_matter=0)] == [
        "median",
        "share",
        "share",
    ]


def test_the_factor_is_one_to_the_others_median():
    table = {code: counts() for code in ("sw", "fr", "de")}
    for length in (math.ceil(100 / 2.2), math.floor(100 * 2.2)):
        assert outliers_of(table | {"ka": counts(length=length)})["ka"] == []
    for length in (math.floor(100 / 2.2), math.ceil(100 * 2.2)):
        assert len(outliers_of(table | {"ka": counts(length=length)})["ka"]) == 1


def test_others_that_differ_much_allow_more():
    table = {"sw": counts(length=60), "fr": counts(length=100), "de": counts(length=170)}
    assert outliers_of(table | {"ka": counts(length=900)})["ka"] == []
    assert len(outliers_of(table | {"ka": counts(length=1000)})["ka"]) == 1  # three deviations are a factor of 9.7


REAL = {
    "ar": (111, 1, 26, None),
    "bn": (86, 201, 92, 0.4427),
    "de": (125, 11, 584, 0.4035),
    "en": (118, 353, 802, 0.4398),
    "fr": (104, 3, 169, 0.1128),
    "hy": (97, 493, 430, 0.2011),
    "it": (97, 1855, 636, 0.2115),
    "sw": (107, 3, 233, None),
    "vi": (114, 172, 1555, 0.2747),
    "zh": (36, 6, 13, None),
}
"""Median length, sentences of one word, vetoed points, share of end matter of ten Wikipedias."""
KEPT = {
    "ar": 5382,
    "bn": 14421,
    "de": 4914,
    "en": 26145,
    "fr": 25957,
    "hy": 14344,
    "it": 34399,
    "sw": 4883,
    "vi": 43677,
    "zh": 12197,
}


def real_counts() -> dict[str, dict[str, float]]:
    return {
        code: {
            "sentences.kept": KEPT[code],
            "sentences.median_length": length,
            "sentences.one_word": one_word,
            "abbreviations.vetoed": vetoed,
            "lines.list.read": 1000 if share else 0,
            "lines.list.dropped.end_matter": round(1000 * (share or 0)),
        }
        for code, (length, one_word, vetoed, share) in REAL.items()
    }


def test_nothing_is_said_of_ten_wikipedias_nor_of_four_of_them():
    table = real_counts()
    for languages in (table, *combinations(table, 4)):
        assert not any(outliers_of({code: table[code] for code in languages}).values())


@pytest.mark.parametrize("code", REAL)
def test_a_wikipedia_cut_at_two_and_a_half_times_the_others_length_is_named(code):
    table = real_counts()
    table[code]["sentences.median_length"] = round(2.5 * 105 / letters_of(code))
    lines = outliers_of(table)
    assert [said.partition(",")[0] for said in lines[code]] == [
        "median length of sentences 80 (of 264 letters)" if code == "zh" else "median length of sentences 262"
    ]
    assert not any(said for other, said in lines.items() if other != code)


@pytest.mark.parametrize(("code", "letters"), [("zh", 3.3), ("ja", 2.4), ("ko", 2.1), ("th", 2.0), ("fr", 1), ("x", 1)])
def test_characters_of_dense_writing_stand_for_several_letters(code, letters):
    assert letters_of(code) == letters


@pytest.mark.parametrize(
    "figures", [{}, {"length": 51}, {"length": 240}, {"one_word": 0}, {"vetoed": 0}, {"vetoed": 200}]
)
def test_languages_differ_without_a_warning(figures):
    assert said(**figures) == []


def test_few_languages_or_little_text_are_not_compared():
    odd, like = counts(length=2000), {code: counts() for code in ("sw", "fr")}
    assert outliers_of({"ka": odd, **like}) == {"ka": [], "sw": [], "fr": []}
    few = counts() | {"sentences.kept": 99, "lines.list.read": 0}
    assert outliers_of({"ka": odd, "ur": few, **like})["ka"] == []
    assert outliers_of({"ka": {}, **like}) == {"ka": [], "sw": [], "fr": []}


def test_figures_are_compared_by_keys_of_ledgers():
    assert {key for figure in MEASURES for key in (figure.part, figure.whole)} == counts().keys()
