"""Lengths of sentences."""

import pytest

from polyticket.corpus.ledger import LONGEST_WORD, is_one_word, median_length


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
