import math
import re
from pathlib import Path

import numpy as np
import pytest

from polyticket.core.errors import PolyticketError
from polyticket.core.languages import CODES
from polyticket.figures.density import ordered_sites, panel_of, plot_density
from polyticket.figures.losses import plot_losses, read_curves, thinned
from polyticket.figures.scores import plot_scores
from polyticket.figures.style import colour_of, drawing
from polyticket.figures.tables import SCORE_COLUMNS, read_scores, score_row, write_score_page, write_scores
from polyticket.model.shape import BertShape, prunable_sites
from tests.support.figures import RESULT, curves, texts_of, ticket

ROOT = Path(__file__).parents[1]
LIKELIHOOD = {
    "task": "mlm",
    "selection": "log_likelihood",
    "test": {"log_likelihood": -2.25},
    "dev": {"log_likelihood": -2.0},
    "sd": {"dev": {"log_likelihood": None}, "test": {"log_likelihood": None}},
    "seeds": [{"seed": 1, "best_step": 150}],
}
BASELINE = {"task": "panx", "language": "fr", "test": {"f1": 0.5}}
PHASES = [{"max_seq_length": 64, "until_step": 45}, {"max_seq_length": 128, "until_step": 50}]


def rows(runs, languages):
    return [
        score_row(run, RESULT | {"language": code}, BASELINE | {"language": code}) for run in runs for code in languages
    ]


def shapes(path, colour):
    return path.read_text(encoding="utf-8").count(f"fill: {colour.lower()}")


def test_score_row_has_all_columns_with_four_digits():
    assert score_row("main", RESULT, BASELINE) == {
        "run": "main",
        "task": "panx",
        "language": "fr",
        "remain_ratio": 0.75,
        "mask_method": "linear",
        "saliency": "snip",
        "density": "0.7512",
        "score": "f1",
        "test_score": "0.8124",
        "test_score_sd": "0.0321",
        "dev_score": "0.9000",
        "baseline_score": "0.5000",
        "seeds": 2,
        "best_step": "150.5",
        "train_examples": 200,
        "test_examples": 60,
    }


def test_score_row_of_one_seed_without_a_baseline_leaves_both_empty():
    row = score_row("main", RESULT | LIKELIHOOD, None)
    assert (row["score"], row["test_score"], row["dev_score"]) == ("log_likelihood", "-2.2500", "-2.0000")
    assert (row["test_score_sd"], row["baseline_score"], row["seeds"], row["best_step"]) == ("", "", 1, "150")


def test_score_row_of_a_run_without_masks_names_no_ratio():
    row = score_row("c", RESULT | {"mask_method": "constant", "density": 1.0}, BASELINE)
    assert (row["remain_ratio"], row["saliency"], row["density"]) == ("", "", "1.0000")
    given = score_row("c", RESULT | {"finetune_from": "google-bert/bert-base-multilingual-cased"}, BASELINE)
    assert (given["remain_ratio"], given["saliency"]) == ("", "")
    row = score_row("given", RESULT | {"finetune_from": "models/own"}, BASELINE)
    assert (row["remain_ratio"], row["saliency"], row["density"]) == ("", "", "0.7512")


def test_score_row_refuses_the_baseline_of_another_language():
    with pytest.raises(PolyticketError, match=r"scores of main: baseline of \('panx', 'ur'\)"):
        score_row("main", RESULT, BASELINE | {"language": "ur"})


def test_scores_are_written_and_read_back(tmp_path):
    write_scores(rows(["main"], ["fr"]), tmp_path / "scores.csv")
    lines = (tmp_path / "scores.csv").read_bytes().decode().split("\n")
    assert lines == [
        ",".join(SCORE_COLUMNS),
        "main,panx,fr,0.75,linear,snip,0.7512,f1,0.8124,0.0321,0.9000,0.5000,2,150.5,200,60",
        "",
    ]
    assert read_scores(tmp_path / "scores.csv")[0]["test_score"] == "0.8124"


def test_page_of_scores_marks_what_is_below_the_baseline(tmp_path):
    row = score_row("<b>", RESULT, BASELINE | {"test": {"f1": 0.9}})
    write_score_page([*rows(["main"], ["fr"]), row], tmp_path / "scores.html")
    head, first, second = re.findall(r"<tr>(.*)</tr>", (tmp_path / "scores.html").read_text(encoding="utf-8"))
    assert head.startswith('<th class="word">run</th><th class="word">task</th>')
    assert "<td>0.8124</td>" in first
    assert '<td class="low">0.8124</td>' in second
    assert second.startswith('<td class="word">&lt;b&gt;</td>')


def test_page_of_scores_marks_nothing_without_a_baseline(tmp_path):
    write_score_page([score_row("main", RESULT | LIKELIHOOD, None)], tmp_path / "scores.html")
    assert 'class="low"' not in (tmp_path / "scores.html").read_text(encoding="utf-8")


def test_log_likelihoods_are_drawn_as_what_is_to_be_low(tmp_path):
    mixed = [*rows(["main"], ["fr"]), score_row("main", RESULT | LIKELIHOOD, None)]
    plot_scores(mixed, tmp_path / "scores.svg")
    found = texts_of(tmp_path / "scores.svg")
    assert {"mlm: cross-entropy of masked tokens (lower is better)", "nats a token on test", "2.25"} <= set(found)
    assert found.count("most frequent tag or label") == 1
    plot_scores(mixed[1:], tmp_path / "scores.svg")
    assert "most frequent tag or label" not in texts_of(tmp_path / "scores.svg")


def test_several_seeds_have_whiskers(tmp_path):
    one = RESULT | {"sd": {"test": {"f1": None}}, "seeds": RESULT["seeds"][:1]}
    lines = []
    for result in (RESULT, one):
        plot_scores([score_row("main", result, BASELINE)], tmp_path / "scores.svg")
        lines.append((tmp_path / "scores.svg").read_text(encoding="utf-8").count('id="LineCollection'))
    assert lines == [4, 2]  # the baseline and its rim; a whisker and its rim


def test_scores_have_a_bar_per_run_and_language_and_a_baseline(tmp_path):
    plot_scores(rows(["main", "random"], ["fr", "sw", "ur"]), tmp_path / "scores.svg")
    found = texts_of(tmp_path / "scores.svg")
    assert found.count("0.81") == 6
    assert {"fr", "sw", "ur", "main", "random", "most frequent tag or label", "panx: F1 of entities (micro)"} <= set(
        found
    )
    assert [shapes(tmp_path / "scores.svg", colour_of(n)) for n in range(3)] == [4, 4, 0]  # three bars and a key


def test_scores_of_many_languages_take_several_lines(tmp_path):
    plot_scores(rows(["main", "random"], CODES), tmp_path / "scores.svg")
    found = texts_of(tmp_path / "scores.svg")
    assert found.count("panx: F1 of entities (micro)") == 4
    assert set(CODES) <= set(found)
    assert "0.81" not in found


def test_curves_are_read(tmp_path):
    (tmp_path / "l.csv").write_text(
        "step,masked_lm_loss,next_sentence_loss,total_loss,learning_rate\n10,7.5,0.7,8.2,0.001\n20,7,0.5,7.5,0.0\n"
    )
    found = read_curves(tmp_path / "l.csv")
    assert {name: values.tolist() for name, values in found.items()} == {
        "step": [10, 20],
        "masked_lm_loss": [7.5, 7],
        "next_sentence_loss": [0.7, 0.5],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("step,masked_lm_loss\n1,2\n", ": no column next_sentence_loss; expected step, masked_lm_loss, next_"),
        ("step,masked_lm_loss,next_sentence_loss\n1,x,2\n", ":2: masked_lm_loss is 'x'; expected a number"),
        ("step,masked_lm_loss,next_sentence_loss\n1,2\n", ":2: 2 columns; expected 3"),
        ("step,masked_lm_loss,next_sentence_loss\n", ": no rows"),
    ],
)
def test_broken_histories_are_named(tmp_path, text, message):
    (tmp_path / "l.csv").write_text(text)
    with pytest.raises(PolyticketError, match=f"l.csv{message}"):
        read_curves(tmp_path / "l.csv")


def test_thinning_takes_means_at_the_last_step():
    made = thinned({"step": np.arange(1.0, 8), "loss": np.array([1.0, 3, 5, 7, 9, 11, 20])}, points=4)
    assert made["step"].tolist() == [2, 4, 6, 7]
    assert made["loss"].tolist() == [2, 6, 10, 20]


def test_thinning_leaves_short_histories_alone():
    assert thinned(curves(400))["masked_lm_loss"].tolist() == curves(400)["masked_lm_loss"].tolist()


def test_losses_name_runs_and_phases(tmp_path):
    plot_losses({"main": curves(50), "other": curves(50)}, PHASES, tmp_path / "losses.svg")
    found = texts_of(tmp_path / "losses.svg")
    assert {"Masked LM", "Next sentence", "main", "other", "next sentence by chance, ln 2"} <= set(found)
    assert [found.count("64 tokens"), found.count("128")] == [2, 2]


def test_sites_stand_in_forward_order():
    shape = BertShape(10, 4, 12, 2, 8)
    wanted = prunable_sites(shape)
    assert [site.name for site in ordered_sites(sorted(site.name for site in wanted))] == [site.name for site in wanted]
    assert [site.component for site in ordered_sites(["bert.pooler.pool_mask"])] == ["pooler"]


def test_density_panel_has_a_column_per_site_and_the_whole():
    panel = panel_of("main", ticket(["en", "fr"], 2))
    layer = ["query·key", "value", "intermediate"]
    assert panel.labels == [*layer, *layer, "pooler", "all sites"]
    assert panel.groups == ["layer 0"] * 3 + ["layer 1"] * 3 + ["", " "]
    assert panel.values.tolist() == [[0.5] * 7 + [0.75], [1.0] * 7 + [0.75]]


def test_density_of_a_small_model_is_written_in_the_cells(tmp_path):
    plot_density({"main": ticket(["en", "fr"], 2), "half": ticket(["en", "fr"], 2)}, tmp_path / "density.svg")
    found = texts_of(tmp_path / "density.svg")
    assert [found.count(value) for value in ("0.50", "1.00", "0.75")] == [14, 14, 4]
    assert [found.count(run) for run in ("main", "half")] == [1, 1]


def test_density_of_103_languages_names_each(tmp_path):
    plot_density({"main": ticket(list(CODES), 12)}, tmp_path / "density.svg")
    found = texts_of(tmp_path / "density.svg")
    assert set(CODES) | {f"layer {n}" for n in range(12)} <= set(found)
    assert found.count("intermediate") == 12
    assert "0.75" not in found


@pytest.mark.parametrize(
    "draw",
    [
        lambda path: plot_scores(rows(["main", "random"], ["fr", "ur"]), path),
        lambda path: plot_losses({"main": curves(50)}, PHASES, path),
        lambda path: plot_density({"main": ticket(["en", "fr"], 2)}, path),
    ],
    ids=["scores", "losses", "density"],
)
def test_figures_are_the_same_bytes_whatever_the_settings(tmp_path, draw, monkeypatch):
    import matplotlib

    draw(tmp_path / "one.svg")
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 20.0)
    draw(tmp_path / "two.svg")
    assert matplotlib.rcParams["font.size"] == 20.0
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert b"<dc:date>" not in (tmp_path / "one.svg").read_bytes()


def test_nothing_is_written_when_drawing_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), drawing(tmp_path / "x.svg", (1, 1), "x"):
        math.floor(1 / 0)
    assert list(tmp_path.iterdir()) == []
