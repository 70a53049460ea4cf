import json

import numpy as np
import pytest

from polyticket.errors import PolyticketError
from polyticket.figures.comparison import plot_comparison
from polyticket.figures.transfer import plot_transfer
from polyticket.figures.zero_shot import plot_zero_shot
from polyticket.subnetworks.levels_table import level_rows
from polyticket.subnetworks.transfer import origin_of
from polyticket.subnetworks.transfer_table import transfer_table, write_transfer
from polyticket.tasks.bootstrap import judged, mean_score, paired_bootstrap, resampled
from polyticket.tasks.comparison import Compared, compare, write_comparison
from polyticket.tasks.examples import Pair, Sentence
from polyticket.tasks.panx import PANX
from polyticket.tasks.predictions import read_predictions, write_predictions
from polyticket.tasks.summary import summarize
from polyticket.tasks.xnli import XNLI
from polyticket.tasks.zero_shot import tabulate, write_matrix

PAIRS = [Pair(f"a{n}", f"b{n}", XNLI.labels[n % 3]) for n in range(60)]


def result(seed: int, f1: float, **changes) -> dict:
    same = {"task": "panx", "language": "fr", "selection": "f1", "options": {"epochs": 2}, "mask_method": "linear"}
    own = {"best_step": 10 * seed, "steps": 40, "stopped": "end", "wall_seconds": 2.5, "sentences_per_second": seed}
    return {**same, **own, "seed": seed, "dev": {"f1": f1 + 0.1}, "test": {"f1": f1, "recall": 0.5}, **changes}


def test_a_summary_is_the_mean_and_the_sample_deviation_over_seeds():
    found = summarize([result(1, 0.2), result(2, 0.6), result(3, 0.4)])
    assert found["test"] == pytest.approx({"f1": 0.4, "recall": 0.5})
    assert found["sd"]["test"] == pytest.approx({"f1": 0.2, "recall": 0.0})
    assert [one["best_step"] for one in found["seeds"]] == [10, 20, 30]
    assert (found["task"], found["options"], found["wall_seconds"]) == ("panx", {"epochs": 2}, 7.5)
    assert found["sentences_per_second"] == 2
    assert "steps" not in found
    assert summarize([result(1, 0.2)])["sd"] == {"dev": {"f1": None}, "test": {"f1": None, "recall": None}}


def test_results_of_different_things_are_not_summarised():
    with pytest.raises(PolyticketError, match="language 'sw' of seed 2; expected 'fr'"):
        summarize([result(1, 0.2), result(2, 0.2, language="sw")])
    with pytest.raises(PolyticketError, match="each seed once"):
        summarize([result(1, 0.2), result(1, 0.3)])


def answers(wrong: int, start: int = 0) -> list[str]:
    """Labels of which so many are wrong, from a place on."""
    off = {(start + n) % len(PAIRS) for n in range(wrong)}
    return [XNLI.labels[(n + (n in off)) % 3] for n in range(len(PAIRS))]


def test_the_paired_bootstrap_tells_a_better_run_from_one_that_is_as_good():
    counts = {n: np.stack([XNLI.metric.counts(PAIRS, answers(n))]) for n in (2, 30)}
    better = paired_bootstrap(counts[30], counts[2], XNLI.metric.of_counts, resamples=2000)
    assert better.difference == pytest.approx(28 / 60)
    assert 0 < better.low < better.difference < better.high < 1
    assert better.p == pytest.approx(2 / 2001)
    other = np.stack([XNLI.metric.counts(PAIRS, answers(30, 30))])
    same = paired_bootstrap(counts[30], other, XNLI.metric.of_counts, resamples=2000)
    assert (same.difference, same.low < 0 < same.high) == (0, True)
    assert same.p > 0.5


def test_seeds_are_averaged_and_draws_do_not_depend_on_how_many_are_made_at_a_time(monkeypatch):
    runs = [np.stack([XNLI.metric.counts(PAIRS, answers(n)) for n in some]) for some in ((10, 20), (6,))]
    assert mean_score(runs[0], XNLI.metric.of_counts) == pytest.approx(0.75)
    whole = resampled(runs, XNLI.metric.of_counts, resamples=500)
    monkeypatch.setattr("polyticket.tasks.bootstrap.CELLS", 300)
    assert np.array_equal(resampled(runs, XNLI.metric.of_counts, resamples=500), whole)
    assert whole.mean() == pytest.approx(0.15, abs=0.02)


def test_the_p_value_is_two_sided_smoothed_and_never_above_one():
    assert judged(0.1, np.array([0.1, 0.2, 0.3, -0.1])).p == pytest.approx(2 * (1 + 1) / 5)
    assert judged(0.1, np.ones(99)).p == pytest.approx(0.02)
    assert judged(0.0, np.zeros(9)).p == 1.0


def summary(wrong: int) -> dict:
    found = XNLI.metric.score(PAIRS, answers(wrong))
    one = {"seed": 1, "test": found}
    return {"task": "xnli", "language": "fr", "density": 0.75, "test": found, "seeds": [one]}


def test_runs_are_compared_in_each_language_and_over_all(tmp_path):
    languages = [
        Compared(lang, PAIRS, [summary(n) for n in (30, wrong)], [[answers(n)] for n in (30, wrong)])
        for lang, wrong in (("fr", 3), ("sw", 27))
    ]
    found = compare(XNLI, ["main", "other"], languages, seed=1, resamples=500)
    french, swahili = (row["runs"]["other"] for row in found["languages"])
    assert french["mean"] == pytest.approx(0.95)
    assert french["difference"]["p"] < 0.05
    assert swahili["difference"]["difference"] == pytest.approx(0.05)
    assert found["mean"]["runs"]["other"]["mean"] == pytest.approx(0.75)
    assert found["mean"]["runs"]["main"]["difference"] is None
    write_comparison(found, tmp_path / "c.csv")
    head, *lines = (tmp_path / "c.csv").read_text().splitlines()
    assert head.split(",")[:5] == ["language", "main mean", "main sd", "main seeds", "main density"]
    assert [line.split(",")[0] for line in lines] == ["fr", "sw", "mean"]
    plot_comparison(found, [], tmp_path / "c.svg")
    assert "other" in (tmp_path / "c.svg").read_text()
    wrong = [Compared("fr", PAIRS, [summary(30)], [[answers(3)]])]
    with pytest.raises(PolyticketError, match=r"predictions of 1 seeds score 0\.95"):
        compare(XNLI, ["main"], wrong, seed=1, resamples=10)


def test_predictions_are_in_xtremes_form_and_read_back(tmp_path):
    sentences = [Sentence(("a", "b"), ("O", "O")), Sentence(("c",), ("O",))]
    tags = [("O", "B-PER"), ("O",)]
    for _ in range(2):  # what stood there is replaced
        write_predictions(tmp_path / "test-fr.tsv", tags, PANX)
    assert (tmp_path / "test-fr.tsv").read_bytes() == b"O\nB-PER\n\nO\n"
    assert read_predictions(tmp_path / "test-fr.tsv", PANX, sentences) == tags
    write_predictions(tmp_path / "x.tsv", ["neutral", "nonsense"], XNLI)
    assert (tmp_path / "x.tsv").read_bytes() == b"neutral\nnonsense\n"
    with pytest.raises(PolyticketError, match=r"x\.tsv"):
        read_predictions(tmp_path / "x.tsv", XNLI, PAIRS)


def zero_shot(source: str, seed: int, **scores: float) -> dict:
    targets = {target: {"f1": score} for target, score in scores.items()}
    return {"task": "panx", "source": source, "seed": seed, "targets": targets}


def test_transfer_between_languages_is_a_matrix_with_its_gap(tmp_path):
    parts = [
        *(zero_shot("fr", 1, fr=0.8, sw=0.4), zero_shot("fr", 2, fr=0.6, sw=0.2)),
        *(zero_shot("sw", 1, fr=0.1, sw=0.5), zero_shot("sw", 2, fr=0.3, sw=0.7)),
    ]
    found = tabulate(PANX, parts)
    assert np.array(found["mean"]) == pytest.approx(np.array([[0.7, 0.3], [0.2, 0.6]]))
    assert np.array(found["sd"]) == pytest.approx(np.full((2, 2), np.sqrt(0.02)))
    assert (found["in_language"], found["zero_shot"], found["gap"]) == pytest.approx((0.65, 0.25, 0.4))
    write_matrix(found, tmp_path / "m.csv")
    assert (tmp_path / "m.csv").read_text() == "trained on,fr,sw\nfr,0.7000,0.3000\nsw,0.2000,0.6000\n"
    plot_zero_shot({"main": found}, tmp_path / "m.svg")
    assert "panx" in (tmp_path / "m.svg").read_text()
    with pytest.raises(PolyticketError, match="seed 2: no result"):
        tabulate(PANX, parts[:3])


def moved(origin: str, language: str, seed: int, score: float) -> dict:
    about = {"task": "panx", "origin": origin, "language": language, "seed": seed, "selection": "f1"}
    return {**about, "test": {"f1": score}}


def test_masks_from_elsewhere_are_a_matrix_of_origins_and_languages(tmp_path):
    parts = [
        moved(origin, language, seed, score + seed / 10)
        for origin, score in (("full", 0.5), ("panx-fr-50", 0.4))
        for language in ("fr", "sw")
        for seed in (1, 2)
    ]
    found = transfer_table(parts)
    assert (found["origins"], found["targets"], found["seeds"]) == (["full", "panx-fr-50"], ["fr", "sw"], [1, 2])
    assert np.array(found["mean"]) == pytest.approx(np.array([[0.65, 0.65], [0.55, 0.55]]))
    assert np.array(found["sd"]) == pytest.approx(np.full((2, 2), np.sqrt(0.005)))
    write_transfer(found, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text().splitlines()[0] == "mask,fr,sw"
    plot_transfer(found, tmp_path / "t.svg")
    drawn = (tmp_path / "t.svg").read_text()
    assert "panx fr, 50 %" in drawn
    json.dumps(found)


@pytest.mark.parametrize(
    ("name", "origin"),
    [
        ("full", ("full", 0.0, False)),
        ("random-50", ("random", 50.0, False)),
        ("magnitude-48.8", ("magnitude", 48.8, False)),
        ("panx-fr-50", ("found", 50.0, False)),
        ("xnli-zh-min-nan-90-reinitialized", ("found", 90.0, True)),
    ],
)
def test_origins_have_short_names(name, origin):
    assert tuple(origin_of(name)) == origin
    with pytest.raises(PolyticketError, match="origin: 'panx-fr'; expected full, random-50 or task-language-50"):
        origin_of("panx-fr")


def test_levels_are_rows_with_the_score_that_selects():
    level = {"sparsity": "10", "share": 0.9, "kept": 9, "loss": 1.5, "dev": {"f1": 0.1}, "test": {"f1": 0.2}}
    about = {"weights": "random", "selection": "f1", "pruning": "magnitude", "task": "panx", "source": "fr", "seed": 1}
    (row,) = level_rows({**about, "levels": [level]})
    assert row["pruning"] == "reinitialized"
    assert (row["language"], row["sparsity"], row["score"], row["dev"], row["kept"]) == ("fr", "10", 0.2, 0.1, 9)
