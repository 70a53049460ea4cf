"""Languages whose text is unlike that of the others."""

import math

import pytest

from polyticket.figures.unlike import FIGURES, unlike_others

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
    found = unlike_others({"ka": counts(**figures), **others})
    assert [found[code] for code in others] == [[], [], []]
    return found["ka"]


@pytest.mark.parametrize(
    ("figures", "line"),
    [
        ({"length": 940}, "median length of sentences 940, of the others 100 to 120"),
        ({"length": 20}, "median length of sentences 20, of the others 100 to 120"),
        ({"one_word": 140}, "share of sentences of one word 14.0%, of the others 2.0% to 3.0%"),
        ({"vetoed": 900}, "abbreviations' points per sentence 0.90, of the others 0.05 to 0.05"),
        ({"vetoed": 0}, "abbreviations' points per sentence 0.00, of the others 0.05 to 0.05"),
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


def test_the_fence_is_a_factor_beyond_the_quartiles():
    table = {code: counts() for code in ("sw", "fr", "de")}
    fence = 100 * 1.5**3
    assert unlike_others(table | {"ka": counts(length=math.floor(fence))})["ka"] == []
    assert len(unlike_others(table | {"ka": counts(length=math.ceil(fence))})["ka"]) == 1


@pytest.mark.parametrize("figures", [{}, {"length": 35}, {"length": 300}, {"one_word": 0}, {"vetoed": 100}])
def test_languages_differ_without_a_warning(figures):
    assert said(**figures) == []


def test_few_languages_or_little_text_are_not_compared():
    odd, like = counts(length=2000), {code: counts() for code in ("sw", "fr")}
    assert unlike_others({"ka": odd, **like}) == {"ka": [], "sw": [], "fr": []}
    few = counts() | {"sentences.kept": 99, "lines.list.read": 0}
    assert unlike_others({"ka": odd, "ur": few, **like})["ka"] == []
    assert unlike_others({"ka": {}, **like}) == {"ka": [], "sw": [], "fr": []}


def test_figures_are_compared_by_keys_of_ledgers():
    assert {key for figure in FIGURES for key in (figure.part, figure.whole)} == counts().keys()
