"""Winning sparsities by hand."""

import math

import pytest

from polyticket.analysis.winning import (
    LEVEL_COLUMNS,
    find_winning,
    level_rows,
    read_scores,
    winning_rows,
)
from polyticket.core.errors import PolyticketError

FULL = [0.78, 0.80, 0.82]  # mean 0.80, sample standard deviation 0.02: 0.78 is enough


def test_the_highest_level_within_one_standard_deviation_wins():
    found = find_winning({0: FULL, 10: [0.85, 0.81, 0.80], 50: [0.79, 0.78, 0.775], 60: [0.7, 0.7, 0.9]})
    assert found.threshold == pytest.approx(0.78)
    assert (found.full.mean, found.full.sd, found.full.seeds) == (pytest.approx(0.8), pytest.approx(0.02), 3)
    assert [level.wins for level in found.levels] == [True, True, True, False]  # 0.82, 0.7817, 0.7667
    assert (found.sparsity, found.unbroken, found.note) == (50, 50, "")


def test_a_level_at_the_threshold_wins():
    assert find_winning({0: [1.0, 3.0], 10: [2 - math.sqrt(2)]}).sparsity == 10
    assert find_winning({0: [1.0, 3.0], 10: [2 - math.sqrt(2) - 1e-9]}).sparsity == 0


def test_scores_that_go_up_again_are_told():
    found = find_winning({0: FULL, 10: [0.79], 20: [0.7], 30: [0.8], 40: [0.1]})
    assert (found.sparsity, found.unbroken) == (30, 10)


def test_perplexities_are_better_when_low():
    found = find_winning({0: [9.0, 11.0], 10: [11.4], 20: [11.5]}, higher_is_better=False)
    assert found.threshold == pytest.approx(10 + math.sqrt(2))
    assert found.sparsity == 10


def test_one_seed_has_no_spread():
    found = find_winning({0: [0.8], 10: [0.9, 0.8]})
    assert (found.sparsity, found.unbroken, found.threshold) == (None, None, None)
    assert "one seed" in found.note
    assert [(level.wins, level.sd is None) for level in found.levels] == [(None, True), (None, False)]


@pytest.mark.parametrize(
    ("scores", "message"),
    [({10: [0.5]}, "no score of the full model"), ({0: [0.5], 10: []}, "no score at sparsity 10")],
)
def test_missing_levels_are_said(scores, message):
    with pytest.raises(PolyticketError, match=f"scores: {message}"):
        find_winning(scores)


HEAD = "pruner,language,seed,sparsity,f1,steps\n"


def test_scores_are_read_from_tables(tmp_path):
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    one.write_text(HEAD + "imp,fr,2,0,0.82,9\nimp,fr,1,0,0.78,9\nimp,fr,1,50,0.81,9\n", encoding="utf-8")
    other.write_text(HEAD + "random,fr,1,0,0.8,9\n", encoding="utf-8")
    found = read_scores([one, other], "f1", ("pruner", "language"))
    assert found == {("imp", "fr"): {0: [0.78, 0.82], 50: [0.81]}, ("random", "fr"): {0: [0.8]}}
    lines = {key: find_winning(levels) for key, levels in found.items()}
    first, second = winning_rows(lines, ("pruner", "language"))
    assert (first["pruner"], first["winning"], first["full_seeds"], first["note"]) == ("imp", 50, 2, "")
    assert (second["pruner"], second["winning"]) == ("random", None)
    rows = level_rows(lines, ("pruner", "language"))
    assert [(row["pruner"], row["sparsity"], row["mean"]) for row in rows][1] == ("imp", 50, 0.81)
    assert set(LEVEL_COLUMNS) <= set(rows[0])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("imp,fr,1,0,,9", r"scores.csv:3: f1 is nan; expected a number"),
        ("imp,fr,1,100,0.5,9", r"scores.csv:3: sparsity 100.0; expected percent"),
        ("imp,fr,1,10,0.5,9", r"scores.csv:3: seed 1 at sparsity 10 is there twice"),
        ("imp,fr,1,10,0.5", r"scores.csv:3: 5 columns; expected 6"),
    ],
)
def test_tables_are_checked(line, message, tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text(f"{HEAD}imp,fr,1,10,0.5,9\n{line}\n", encoding="utf-8")
    with pytest.raises(PolyticketError, match=message):
        read_scores([path], "f1", ("pruner", "language"))
