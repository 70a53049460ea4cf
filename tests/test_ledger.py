"""The text ledger."""

from collections import Counter

import pytest

from polyticket.core.errors import PolyticketError
from polyticket.corpus.ledger import (
    LONGEST_WORD,
    add_ledgers,
    around_markup,
    check_ledger,
    count_markup,
    is_one_word,
    median_length,
    residual_markup_per_million,
)


def test_ledgers_add_up():
    one = {"language": "fr", "pages": {"read": 2, "kept": 1}, "names": {"a": 1}, "broken": ["A", "B", "C"]}
    two = {"language": "fr", "pages": {"read": 3, "kept": 3}, "names": {"b": 4}, "broken": ["D", "E", "F"]}
    assert add_ledgers([one, two]) == {
        "language": "fr",
        "pages": {"read": 5, "kept": 4},
        "names": {"a": 1, "b": 4},
        "broken": ["A", "B", "C", "D", "E"],
    }
    assert add_ledgers([]) == {}
    with pytest.raises(PolyticketError, match="ledger: language: 'de' beside 'fr'; expected one"):
        add_ledgers([one, {"language": "de"}])


@pytest.mark.parametrize(
    ("line", "kinds"),
    [
        ("A {{b|c}} d", {"template_open": 1, "template_close": 1}),
        ("A [[b]] d]]", {"link_open": 1, "link_close": 2}),
        ('|- style="x"', {"table": 1, "attribute": 1}),
        ("a || b {| c", {"table": 2}),
        ("mass formula_12 and codice_1", {"placeholder": 2}),
        ("a&nbsp;b &#160; AT&T; R&D", {"entity": 2}),
        ("__NOTOC__ __init__", {"switch": 1}),
        ("''a'' it's", {"quotes": 2}),
        ("a<br>b</span> x < y > z <Ort>", {"tag": 2}),
        ("a -{b}-", {"variant": 1}),
        ("a \ue001 <!-- b", {"private": 1, "comment": 1}),
        ("see https://a.b", {"addresses": 1}),
        ("f(x) = {a, b} [1] a|b", {}),
    ],
)
def test_residual_markup(line, kinds):
    found: Counter[str] = Counter()
    assert count_markup(line, found) is bool(set(kinds) - {"addresses"})
    assert found == kinds


def test_example_shows_the_markup():
    assert around_markup("x" * 500 + "{{y" + "z" * 500) == "x" * 80 + "{{y" + "z" * 77
    assert around_markup("A [[b") == "A [[b"


def test_too_much_residual_markup_is_refused():
    ledger = {
        "language": "ar",
        "characters": {"sentences": 400_000},
        "residual_markup": {"total": 2, "examples": [["Nil", "{{x"], ["Oman", "y]]"]]},
    }
    assert residual_markup_per_million(ledger) == 5.0
    check_ledger(ledger, 5)
    check_ledger(ledger, None)
    message = (
        r"ar: residual markup: 5\.0 occurrences .* the first in Nil: '\{\{x'; Oman: 'y\]\]'; expected at most 4\.9"
    )
    with pytest.raises(PolyticketError, match=message):
        check_ledger(ledger, 4.9)


@pytest.mark.parametrize(
    ("lengths", "median"),
    [
        ({}, 0),
        ({7: 1}, 7),
        ({9: 1, 3: 1}, 3),
        ({9: 2, 3: 1}, 9),
        ({100: 3, 1: 2, 50: 2}, 50),
        ({100: 4, 1: 2, 50: 2}, 50),
        ({100: 5, 1: 2, 50: 2}, 100),
    ],
)
def test_the_median_of_counted_lengths(lengths, median):
    assert median_length(lengths) == median


@pytest.mark.parametrize(
    ("sentence", "one"),
    [
        ("Really!", True),
        ("Vraiment !", True),
        ("« Oui ! »", True),
        ("It is.", False),
        ("1914", True),
        ("12 000", False),
        ("Донаудампфшиффартсгезельшафт.", True),
        ("हाँ।", True),
        ("यह है।", False),
        ("نعم.", True),
        ("한국어.", True),
        ("학교에 간다.", False),
        ("東京都。", True),
        ("今日は雨だ。", False),
        ("はい。", True),
        ("ความรัก", False),
        ("ใช่", True),
        ("NHK では。", False),
        ("東 京", False),
        ("-- . oui -- _ !", True),
        ("-- a -- _ b", False),
        ("x" * LONGEST_WORD, True),
        ("x" * (LONGEST_WORD + 1), False),
    ],
)
def test_sentences_of_one_word(sentence, one):
    assert is_one_word(sentence) is one
