import json
import re

import numpy as np
import pytest

from polyticket.core.errors import PolyticketError
from polyticket.core.languages import CODES
from polyticket.figures.comparison import plot_comparison
from polyticket.figures.matrices import plot_zero_shot
from polyticket.figures.style import colour_of
from polyticket.figures.tables import class_rows, write_class_page, write_classes
from polyticket.tasks import bootstrap
from polyticket.tasks.bootstrap import (
    OF_BOTH,
    OF_EXAMPLES,
    holm,
    judged,
    paired_bootstrap,
    resampled,
    resampled_of,
    resamples_for,
)
from polyticket.tasks.comparison import compare, write_comparison
from polyticket.tasks.examples import Pair, Sentence, Text
from polyticket.tasks.predictions import read_predictions, write_predictions
from polyticket.tasks.summary import summarize, tabulate, write_matrix
from polyticket.tasks.table import TASKS
from tests.support.figures import compared, compared_runs, of_seed, texts_of

SENTENCES = [Sentence(("a", "b"), ("O", "O")), Sentence(("c",), ("B-PER",))]
PAIRS = [Pair("p", "h", "neutral")] * 3
TEXTS = [Text("x"), Text("y")]
TAGS, SUMS = [("O", "B-LOC"), ("I-PER",)], [(-0.1 - 0.2, 1, 3), (-12.0, 0, 2)]


@pytest.mark.parametrize(
    ("task", "examples", "predictions", "text"),
    [
        ("panx", SENTENCES, TAGS, "O\nB-LOC\n\nI-PER\n"),
        ("xnli", PAIRS, ["neutral", "", "so it is"], "neutral\n\nso it is\n"),
        ("mlm", TEXTS, SUMS, "-0.30000000000000004\t1\t3\n-12.0\t0\t2\n"),
        ("xnli", PAIRS[:1], [""], "\n"),
        ("panx", [], [], ""),
    ],
)
def test_predictions_come_back(tmp_path, task, examples, predictions, text):
    write_predictions(tmp_path / "t.tsv", predictions, TASKS[task])
    assert (tmp_path / "t.tsv").read_bytes().decode() == text
    assert read_predictions(tmp_path / "t.tsv", TASKS[task], examples) == predictions


def test_an_answer_of_several_lines_takes_one_and_becomes_no_label(tmp_path):
    write_predictions(tmp_path / "t.tsv", ["neutral\n", "\r\nno\nway", "neutral"], TASKS["xnli"])
    assert read_predictions(tmp_path / "t.tsv", TASKS["xnli"], PAIRS) == ["neutral ", " no way", "neutral"]


@pytest.mark.parametrize(
    ("task", "examples", "text", "message"),
    [
        ("panx", SENTENCES, "O\nO\n", r":3: the file ends; expected a blank line"),
        ("panx", SENTENCES, "O\nO\n\n", r":4: the file ends; expected a tag of sentence 2, which has 1 words"),
        ("panx", SENTENCES, "O\nO\nO\n\nO\n", r":3: 'O' after the last word of sentence 1; expected a blank line"),
        ("panx", SENTENCES, "O\n\nO\n", r":2: '' where a tag stands of sentence 1, which has 2 words; expected O or"),
        ("panx", SENTENCES, "O\nNOUN\n\nO\n", r":2: 'NOUN' where a tag stands of sentence 1"),
        ("panx", SENTENCES, "O\nO\n\nO\n\nO\n", r":5: more predictions than examples; expected the end after 2"),
        ("xnli", PAIRS, "neutral\n", r":2: the file ends; expected the answer to example 2 of xnli"),
        ("xnli", PAIRS, "a\nb\nc\nd\n", r":4: more predictions than examples"),
        ("mlm", TEXTS, "-1\t2\n", r":1: '-1\\t2'; expected log-likelihood<TAB>hits<TAB>masked tokens"),
    ],
)
def test_predictions_of_something_else_are_named_by_line(tmp_path, task, examples, text, message):
    (tmp_path / "t.tsv").write_text(text)
    with pytest.raises(PolyticketError, match=r"t\.tsv" + message):
        read_predictions(tmp_path / "t.tsv", TASKS[task], examples)


def test_missing_and_unreadable_predictions_are_named(tmp_path):
    with pytest.raises(PolyticketError, match=r"t\.tsv: no such file"):
        read_predictions(tmp_path / "t.tsv", TASKS["xnli"], PAIRS)
    (tmp_path / "t.tsv").write_bytes(b"neutral\n\xff\n")
    with pytest.raises(PolyticketError, match=r"t\.tsv: not UTF-8 at byte 8"):
        read_predictions(tmp_path / "t.tsv", TASKS["xnli"], PAIRS)


def test_summary_has_means_deviations_and_what_seeds_share():
    made = summarize([of_seed(1, 0.5), of_seed(2, 0.6), of_seed(3, 0.7)])
    assert made["test"] == pytest.approx({"f1": 0.6})
    assert made["dev"] == pytest.approx({"f1": 0.7})
    assert {split: found["f1"] for split, found in made["sd"].items()} == pytest.approx({"dev": 0.1, "test": 0.1})
    assert (made["wall_seconds"], made["sentences_per_second"], made["density"]) == (4.5, 4.0, 0.75)
    assert [one["best_step"] for one in made["seeds"]] == [10, 20, 30]
    assert list(made["seeds"][0]) == ["seed", "dev", "test", "best_step", "steps", "stopped", "wall_seconds"]
    assert {"seed", "best_step", "steps", "stopped", "windows"}.isdisjoint(made)


def test_scores_by_class_are_averaged_and_tabulated(tmp_path):
    def of_class(f1):
        return {"precision": 0.5, "recall": f1, "f1": f1, "support": 7.0}

    results = [
        of_seed(
            seed, 0.5, by_class={"dev": {"PER": of_class(0.1)}, "test": {"LOC": of_class(f1), "PER": of_class(0.2)}}
        )
        for seed, f1 in ((1, 0.3), (2, 0.5))
    ]
    made = summarize(results)
    assert made["by_class"]["test"]["LOC"] == pytest.approx(of_class(0.4) | {"f1_sd": 0.1 * 2**0.5})
    assert list(made["by_class"]["dev"]) == ["PER"]
    rows = [*class_rows("main", made), *class_rows("one", summarize(results[:1])), *class_rows("none", {})]
    write_classes(rows, tmp_path / "c.csv")
    assert (tmp_path / "c.csv").read_text().splitlines() == [
        "run,task,language,class,precision,recall,f1,f1_sd,support,seeds",
        "main,panx,fr,LOC,0.5000,0.4000,0.4000,0.1414,7,2",
        "main,panx,fr,PER,0.5000,0.2000,0.2000,0.0000,7,2",
        "one,panx,fr,LOC,0.5000,0.3000,0.3000,,7,1",
        "one,panx,fr,PER,0.5000,0.2000,0.2000,,7,1",
    ]
    write_class_page(rows, tmp_path / "c.html")
    found = re.findall(r"<tr>(.*)</tr>", (tmp_path / "c.html").read_text(encoding="utf-8"))
    assert found[1].startswith('<td class="word">main</td><td class="word">panx</td><td class="word">fr</td>')
    assert (len(found), found[1].count("</td>")) == (5, 10)
    assert "by_class" not in summarize([of_seed(1, 0.5)])


def test_summary_of_one_seed_has_no_deviation():
    made = summarize([of_seed(7, 0.5)])
    assert made["sd"] == {"dev": {"f1": None}, "test": {"f1": None}}
    assert (made["test"], made["windows"], made["seeds"][0]["seed"]) == ({"f1": 0.5}, {"train": 70}, 7)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"task": "udpos"}, "task 'udpos' of seed 2; expected 'panx' as of the first seed"),
        ({"language": "ur"}, "language 'ur' of seed 2; expected 'fr'"),
        ({"options": {"epochs": 3}}, "options {'epochs': 3} of seed 2; expected {'epochs': 2}"),
        ({"seed": 1}, r"seeds \[1, 1\]; expected each seed once"),
    ],
)
def test_summary_refuses_what_is_not_of_the_same(other, message):
    with pytest.raises(PolyticketError, match=f"results of panx fr: {message}"):
        summarize([of_seed(1, 0.5), of_seed(2, 0.5) | other])


def test_summary_of_nothing_is_refused():
    with pytest.raises(PolyticketError, match="no results"):
        summarize([])


def answers(right, n=40):
    """Counts of labels, [1, n, 2], of which the first so many are right."""
    return np.stack([np.arange(n) < right, np.ones(n)], axis=1)[None].astype(float)


ACCURACY = TASKS["xnli"].metric.of_counts


def test_bootstrap_of_a_run_with_itself_finds_nothing():
    assert paired_bootstrap(answers(20), answers(20), ACCURACY, resamples=50) == (0.0, 0.0, 0.0, 1.0)


def test_bootstrap_of_all_right_and_all_wrong_is_as_sure_as_it_can_be():
    found = paired_bootstrap(answers(0), answers(40), ACCURACY, resamples=99)
    assert found == (1.0, 1.0, 1.0, pytest.approx(2 / 100))


def test_bootstrap_agrees_with_the_normal_approximation():
    # n = 400 independent differences of 1 with share 0.1, else 0: sd of the mean √(0.1 · 0.9 / 400) = 0.015
    found = paired_bootstrap(answers(200, 400), answers(240, 400), ACCURACY, resamples=4000, seed=(5,))
    assert found.difference == pytest.approx(0.1)
    assert (found.low, found.high) == pytest.approx((0.1 - 1.96 * 0.015, 0.1 + 1.96 * 0.015), abs=0.004)
    assert found.p == pytest.approx(2 / 4001)


def test_p_and_interval_by_hand():
    # d* ≤ 0: three of 19, d* ≥ 0: seventeen, as one is 0; quantiles of 0.025 and 0.975 lie at 0.45 and 17.55
    found = judged(0.5, np.arange(-2.0, 17))
    assert found == pytest.approx((0.5, -1.55, 15.55, 2 * 4 / 20))


@pytest.mark.parametrize("task", ["panx", "udpos", "xnli", "mlm"])
def test_bootstrap_is_the_same_whatever_is_held_at_a_time(task, monkeypatch):
    random = np.random.default_rng(3)
    runs = [random.integers(1, 30, (2, 25, 6 if task == "udpos" else 3)).astype(float) for _ in range(3)]
    runs = [counts[..., :2] if task == "xnli" else counts for counts in runs]
    if task == "mlm":
        runs = [counts * [random.random(), 1, 1] for counts in runs]
    of_counts = TASKS[task].metric.of_counts
    whole = resampled(runs, of_counts, resamples=64, seed=(1,))
    assert whole.shape == (2, 64)
    assert len(np.unique(whole)) > 60
    for cells in (1, 7 * 25):
        monkeypatch.setattr(bootstrap, "CELLS", cells)
        assert np.array_equal(resampled(runs, of_counts, resamples=64, seed=(1,)), whole)
    assert not np.array_equal(resampled(runs, of_counts, resamples=64, seed=(2,)), whole)


def shifted_counts(*scores, examples=(0.0,)):
    """Counts of a run whose seeds and examples each shift the score, [seeds, n, 2]."""
    shifted = np.add.outer(np.array(scores), np.array(examples))
    return np.stack([shifted, np.ones_like(shifted)], axis=2)


def test_resampled_seeds_have_the_variance_of_a_mean_over_seeds():
    # sample variances 0.09 and 0.01 of three seeds: (0.09 + 0.01) / 3; drawing three of three would give 2/3 of it
    runs = [shifted_counts(0.2, 0.5, 0.8), shifted_counts(0.3, 0.5, 0.4)]
    (found,) = resampled(runs, ACCURACY, resamples=40_000)
    assert found.mean() == pytest.approx(-0.1, abs=0.005)
    assert found.var() == pytest.approx(0.1 / 3, rel=0.03)
    assert sorted({round(2 * mean, 3) for mean in found + 1})[:2] == pytest.approx([1.0, 1.1])  # means of two


def test_seeds_and_examples_are_resampled_each_on_their_own():
    # the variances of seeds and of examples add up: (0.09 + 0.01) / 3 + (the variance of the difference, 1/4) / 16
    half = np.repeat([0.0, 1.0], 8)
    runs = [shifted_counts(0.2, 0.5, 0.8, examples=half * 0), shifted_counts(0.3, 0.5, 0.4, examples=half)]
    (found,) = resampled(runs, ACCURACY, resamples=40_000)
    assert found.var() == pytest.approx(0.1 / 3 + 0.25 / 16, rel=0.03)


def test_one_seed_says_nothing_of_others():
    assert (resampled_of([3, 2]), resampled_of([3, 1])) == (OF_BOTH, OF_EXAMPLES)
    (found,) = resampled([shifted_counts(0.2, 0.8), shifted_counts(0.6)], ACCURACY, resamples=50)
    assert found == pytest.approx(np.full(50, 0.1), abs=1e-6)


def test_a_difference_within_the_spread_of_seeds_is_not_sure():
    # the test set is the same in every draw: examples alone would make this as sure as it can be
    runs = shifted_counts(0.60, 0.64, 0.68), shifted_counts(0.62, 0.66, 0.70)
    found = paired_bootstrap(*runs, ACCURACY)
    assert found.difference == pytest.approx(0.02)
    assert found.p > 0.4
    assert paired_bootstrap(runs[0][:1], runs[1][:1], ACCURACY).p == pytest.approx(2 / 10_001)


def test_a_family_of_comparisons_has_resamples_for_its_smallest_p():
    assert [resamples_for(count) for count in (1, 25, 309)] == [10_000, 10_000, 123_600]
    assert max(2 / (resamples_for(count) + 1) * count for count in (1, 25, 26, 309)) < 0.01


def test_seeds_are_averaged_and_may_differ_in_number():
    base, other = np.concatenate([answers(10), answers(30)]), answers(20)
    found = paired_bootstrap(base, other, ACCURACY, resamples=200)
    assert found.difference == 0
    assert found.low < 0 < found.high


def test_bootstrap_refuses_other_examples():
    with pytest.raises(ValueError, match="not the same examples"):
        paired_bootstrap(answers(1, 5), answers(1, 6), ACCURACY)


def test_comparison_has_rows_runs_and_differences():
    made = compared_runs()
    assert json.loads(json.dumps(made)) == made
    assert (made["task"], made["score"], made["runs"]) == ("xnli", "accuracy", ["main", "constant"])
    english, french = (row["runs"] for row in made["languages"])
    assert english["main"] == {"mean": 0.5, "sd": 0.0, "seeds": 2, "density": 0.75, "difference": None}
    assert english["constant"]["difference"]["difference"] == pytest.approx(0.45)
    assert english["constant"]["difference"]["p"] == pytest.approx(2 / 201)
    assert english["constant"]["difference"]["low"] > 0.2
    assert french["constant"]["difference"] == {"difference": 0.0, "low": 0.0, "high": 0.0, "p": 1.0, "p_holm": 1.0}
    assert english["constant"]["difference"]["p_holm"] == pytest.approx(2 * 2 / 201)
    assert (made["resampled"], made["comparisons"]) == ("test examples and seeds", 2)
    mean = made["mean"]["runs"]["constant"]
    assert (mean["mean"], mean["difference"]["difference"]) == pytest.approx((0.725, 0.225))
    assert 0.1 < mean["difference"]["low"] < 0.225 < mean["difference"]["high"] < 0.35


def test_a_languages_comparison_depends_on_the_others_by_holms_correction_alone():
    alone = compare(TASKS["xnli"], ["main", "c"], [compared("en", (0.5, 0.95))], seed=1, resamples=200)
    found = compared_runs()["languages"][0]["runs"]["constant"]
    own = alone["languages"][0]["runs"]["c"]
    assert (own["difference"].pop("p_holm"), found["difference"].pop("p_holm")) == pytest.approx((2 / 201, 4 / 201))
    assert own == found


def test_comparisons_are_corrected_for_all_variants_and_languages_and_means_for_variants():
    shares = {"en": (0.5, 0.95, 0.7), "fr": (0.5, 0.5, 0.6), "ur": (0.5, 0.65, 0.45)}
    languages = [compared(code, found) for code, found in shares.items()]
    made = compare(TASKS["xnli"], ["main", "a", "b"], iter(languages), seed=1, resamples=999)
    assert made["comparisons"] == 6
    for rows in (made["languages"], [made["mean"]]):
        found = [row["runs"][run]["difference"] for row in rows for run in ("a", "b")]
        assert [one["p_holm"] for one in found] == holm([one["p"] for one in found])
    assert made["languages"][0]["runs"]["a"]["difference"]["p_holm"] == pytest.approx(6 * 2 / 1000)
    assert made["mean"]["runs"]["a"]["difference"]["p_holm"] == pytest.approx(2 * 2 / 1000)


def test_comparison_of_one_run_has_no_differences(tmp_path):
    made = compared_runs(["main"], seeds=1)
    assert made["mean"]["runs"] == {"main": {"mean": 0.5, "sd": None, "seeds": 1, "density": 0.75, "difference": None}}
    write_comparison(made, tmp_path / "c.csv")
    assert (tmp_path / "c.csv").read_text() == (
        "language,main mean,main sd,main seeds,main density\n"
        "en,0.5000,,1,0.7500\nfr,0.5000,,1,0.7500\nmean,0.5000,,1,0.7500\n"
    )


def test_comparison_as_csv_has_a_row_per_language(tmp_path):
    write_comparison(compared_runs(), tmp_path / "c.csv")
    head, english, french, mean = (tmp_path / "c.csv").read_text().splitlines()
    assert head == (
        "language,main mean,main sd,main seeds,main density,constant mean,constant sd,constant seeds,constant density,"
        "constant difference,constant low,constant high,constant p,constant p_holm"
    )
    assert english.startswith("en,0.5000,0.0000,2,0.7500,0.9500,0.0000,2,0.7500,0.4500,")
    assert english.endswith(",0.0100,0.0199")
    assert french.endswith(",0.5000,0.0000,2,0.7500,0.0000,0.0000,0.0000,1.0000,1.0000")
    assert mean.startswith("mean,0.5000,")


def test_comparison_refuses_predictions_of_another_result():
    one = compared("en", (0.5,))
    wrong = one._replace(predictions=compared("en", (0.6,)).predictions)
    with pytest.raises(
        PolyticketError, match=r"xnli en of main: predictions of 2 seeds score 0\.600000; expected 0\.5"
    ):
        compare(TASKS["xnli"], ["main"], [wrong], seed=1, resamples=10)


def test_comparison_figure_fills_what_is_sure(tmp_path):
    floors = [{"language": code, "test": {"accuracy": 0.33}} for code in ("en", "fr")]
    plot_comparison(compared_runs(), floors, tmp_path / "c.svg")
    found = texts_of(tmp_path / "c.svg")
    assert {"English  en", "French  fr", "mean", "xnli: accuracy", "most frequent tag or label"} <= set(found)
    hollow = "hollow: p ≥ 0.05 against main (Holm; test examples and seeds)"
    assert {"Difference to main, 95 % interval", hollow} <= set(found)
    assert [found.count(run) for run in ("main", "constant")] == [1, 2]
    drawn = (tmp_path / "c.svg").read_text(encoding="utf-8").lower()
    edge = f"stroke: {colour_of(1).lower()}"
    filled = re.findall(rf'<use [^>]*style="fill: {colour_of(1).lower()}; {edge}', drawn)
    hollow = re.findall(rf'<use [^>]*style="fill: #ffffff; {edge}', drawn)
    # English and the mean differ, French does not: in both panels, and filled once in each legend
    assert [len(filled), len(hollow)] == [2 * 2 + 2, 2]


def test_comparison_figure_of_one_run_has_one_panel(tmp_path):
    plot_comparison(compared_runs(["main"]), [], tmp_path / "c.svg")
    found = texts_of(tmp_path / "c.svg")
    assert "Difference to main, 95 % interval" not in found
    assert not any(one == "most frequent tag or label" or one.startswith("hollow") for one in found)


def transfer(source, seed, **scores):
    return {
        "task": "panx",
        "source": source,
        "seed": seed,
        "targets": {code: {"f1": f1} for code, f1 in scores.items()},
    }


TRANSFERS = [
    transfer("en", 1, en=0.8, fr=0.4),
    transfer("en", 2, en=0.9, fr=0.6),
    transfer("fr", 1, en=0.3, fr=0.7),
    transfer("fr", 2, en=0.3, fr=0.7),
]


def test_matrix_of_transfer_has_means_deviations_and_the_gap(tmp_path):
    made = tabulate(TASKS["panx"], TRANSFERS)
    assert (made["sources"], made["targets"], made["seeds"], made["score"]) == (["en", "fr"], ["en", "fr"], 2, "f1")
    assert np.array(made["mean"]) == pytest.approx(np.array([[0.85, 0.5], [0.3, 0.7]]))
    assert np.array(made["sd"]) == pytest.approx(np.array([[0.1 / 2**0.5, 0.2 / 2**0.5], [0, 0]]))
    assert (made["in_language"], made["zero_shot"], made["gap"]) == pytest.approx((0.775, 0.4, 0.375))
    write_matrix(made, tmp_path / "m.csv")
    assert (tmp_path / "m.csv").read_text() == "trained on,en,fr\nen,0.8500,0.5000\nfr,0.3000,0.7000\n"


def test_matrix_of_one_source_and_seed_has_no_gap_and_no_deviation():
    made = tabulate(TASKS["panx"], TRANSFERS[:1])
    assert (made["mean"], made["sd"], made["gap"], made["in_language"]) == ([[0.8, 0.4]], None, None, None)


@pytest.mark.parametrize(
    ("results", "message"),
    [
        (TRANSFERS[:3], "from fr, seed 2: no result; expected the same seeds"),
        ([TRANSFERS[0], TRANSFERS[2] | {"task": "xnli"}], "from fr, seed 1: a result of xnli; expected panx"),
        ([TRANSFERS[0], transfer("fr", 1, en=0.1)], r"from fr, seed 1: targets \['en'\]; expected \['en', 'fr'\]"),
    ],
)
def test_matrix_refuses_what_does_not_fit(results, message):
    with pytest.raises(PolyticketError, match=f"zero-shot panx {message}"):
        tabulate(TASKS["panx"], results)


def test_transfer_figure_says_values_of_few_languages(tmp_path):
    made = tabulate(TASKS["panx"], TRANSFERS)
    plot_zero_shot({"main": made, "constant": made}, tmp_path / "z.svg")
    found = texts_of(tmp_path / "z.svg")
    assert {"main: panx, F1 of entities (micro)", "constant: panx, F1 of entities (micro)"} <= set(found)
    assert [found.count(value) for value in ("0.85", "± 0.07", "trained on", "English  en")] == [2, 2, 2, 2]
    assert "in the language itself 0.78, from another 0.40: gap 0.38; mean of 2 seeds" in found


def test_transfer_figure_of_many_languages_names_each(tmp_path):
    codes = CODES[:45]
    scores = dict.fromkeys(codes, 0.5)
    made = tabulate(TASKS["panx"], [transfer(code, 1, **scores | {code: 0.9}) for code in codes])
    plot_zero_shot({"main": made}, tmp_path / "z.svg")
    found = texts_of(tmp_path / "z.svg")
    assert set(codes) <= set(found)
    assert "0.50" not in found


@pytest.mark.parametrize(
    "draw",
    [
        lambda path: plot_comparison(compared_runs(), [], path),
        lambda path: plot_zero_shot({"main": tabulate(TASKS["panx"], TRANSFERS)}, path),
    ],
    ids=["comparison", "zero_shot"],
)
def test_figures_are_the_same_bytes(tmp_path, draw):
    draw(tmp_path / "one.svg")
    draw(tmp_path / "two.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
