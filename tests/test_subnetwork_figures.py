"""Figures of comparisons: every language and line is named, the numbers are those that were found, bytes repeat."""

import numpy as np
import pytest

from polyticket.analysis.linguistic import Distances, compare_trees, comparison_facts, mantel_rows, similarity_in
from polyticket.analysis.overlap import pair_rows
from polyticket.analysis.retrieval import score_layers
from polyticket.analysis.winning import find_winning
from polyticket.core.errors import PolyticketError
from polyticket.figures.curves import plot_retrieval, plot_winning
from polyticket.figures.linguistic import plot_linguistic, untangled
from polyticket.figures.overlap import plot_overlap
from tests.support.figures import LANGUAGES, sub_networks, texts_of


def test_overlap_has_a_panel_per_sparsity(tmp_path):
    pairs = pair_rows(sub_networks(50)) + pair_rows(sub_networks(90))
    plot_overlap(pairs, tmp_path / "overlap.svg")
    texts = texts_of(tmp_path / "overlap.svg")
    assert [text for text in texts if "pruned" in text] == ["50 % of weights pruned", "90 % of weights pruned"]
    assert {"English  en", "Swahili  sw", "fr", "ur", "chance"} <= set(texts)
    mean = np.mean([row["jaccard"] for row in pairs if row["by"] == "all" and row["row"].endswith("/90")])
    assert [text for text in texts if text.startswith(f"other language: {mean:.3f}, by chance: 0.0")]


def test_overlap_of_seeds_names_them(tmp_path):
    plot_overlap(pair_rows(sub_networks(50, seeds=2)), tmp_path / "one.svg")
    plot_overlap(pair_rows(sub_networks(50, seeds=2)), tmp_path / "two.svg")
    assert {"en 1", "en 2", "ur 2"} <= set(texts_of(tmp_path / "one.svg"))
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_trees_face_each_other_beside_a_scatter_per_kind(tmp_path):
    random = np.random.default_rng(1)
    half = np.triu(random.random((4, 4)), 1)
    far = half + half.T
    similarity = 1 - far
    np.fill_diagonal(similarity, np.nan)
    kinds = [Distances("genetic", LANGUAGES, far), Distances("flat", LANGUAGES, 1.0 - np.eye(4))]
    rows, trees = mantel_rows(similarity, kinds), compare_trees(similarity, kinds, permutations=99, seed=0)
    plot_linguistic(similarity, kinds, rows, trees, tmp_path / "linguistic.svg", measure="Jaccard")
    texts = texts_of(tmp_path / "linguistic.svg")
    assert {"Tickets", "Family tree (genetic)", "genetic", "flat", "1 − Jaccard"} <= set(texts)
    assert "Mantel r = 1.00, p = 0.042" in texts  # 1 of 24
    assert "one distance alone: no correlation" in texts
    assert [text for text in texts if text.startswith("cophenetic r = 1.00")]
    assert (texts.count("English  en"), texts.count("ur")) == (2, 0)
    assert texts.count("en fr") == 2  # the point of each kind
    facts = comparison_facts(LANGUAGES, similarity, rows, trees, measure="jaccard")
    assert np.array_equal(similarity_in(facts), similarity, equal_nan=True)


def test_branches_are_turned_until_fewest_lines_cross():
    tree = np.array([[0, 1, 1, 2], [2, 3, 1, 2], [4, 5, 2, 4]], float)
    found, leaves = untangled(tree, [3, 2, 1, 0])
    assert leaves == [3, 2, 1, 0]
    assert sorted(found[2, :2]) == [4, 5]
    assert tree[2].tolist() == [4, 5, 2, 4]  # as it was
    assert untangled(tree, [0, 2, 1, 3])[1] == [0, 1, 2, 3]  # no branch can be turned for the better


@pytest.mark.filterwarnings("error")
def test_winning_lines_are_named_and_marked_where_known(tmp_path):
    known = find_winning({0: [0.8, 0.82], 10: [0.81, 0.8], 20: [0.5, 0.6]})
    unknown = find_winning({0: [0.8], 10: [0.7]})
    plot_winning({("en", "imp"): known, ("fr", "imp"): unknown}, tmp_path / "both.svg", score="F1")
    texts = texts_of(tmp_path / "both.svg")
    assert {"English  en", "French  fr", "imp", "F1", "full model", "highest that wins"} <= set(texts)
    assert texts.count("full model, one standard deviation off") == 1
    plot_winning({("fr", "imp"): unknown}, tmp_path / "one.svg", score="F1")
    assert "highest that wins" not in texts_of(tmp_path / "one.svg")


def test_retrieval_has_a_panel_per_pair_and_a_colour_per_encoder(tmp_path):
    random = np.random.default_rng(1)
    states = random.normal(1, 1, (2, 3, 12, 8))
    scores = {"target": "en", **score_layers(*states, margins=["ratio"])}
    assert (scores["chance"], len(scores["layers"]), scores["sentences"]) == (1 / 12, 3, 12)
    runs = {name: [{"source": source, **scores} for source in ("fr", "ur")] for name in ("dense", "50 %")}
    plot_retrieval(runs, tmp_path / "retrieval.svg", margin="ratio")
    texts = texts_of(tmp_path / "retrieval.svg")
    assert {"French  fr – en", "Urdu  ur – en", "dense", "50 %", "chance", "accuracy"} <= set(texts)
    with pytest.raises(PolyticketError, match=r"retrieval of dense: no scores by distance; expected ratio"):
        plot_retrieval(runs, tmp_path / "none.svg", margin="distance")
