"""The distributions of scores: the right quantiles, every site, language and method named."""

import numpy as np
import pytest

from polyticket.core.languages import CODES
from polyticket.figures.saliency import plot_saliency, quantiles
from polyticket.model.shape import BertShape, prunable_sites
from polyticket.saliency.score_files import Scores, random_scores
from tests.support.figures import texts_of

SITES = prunable_sites(BertShape(10, 24, 2, 3, 48))


def scores_of(languages, *, signed: bool = False) -> dict[str, Scores]:
    found = {language: random_scores(SITES, 1, row) for row, language in enumerate(languages)}
    return {language: {s: v - 0.4 * signed for s, v in one.items()} for language, one in found.items()}


def test_quantiles_are_those_of_the_values():
    assert quantiles(np.arange(101.0)).tolist() == [5, 25, 50, 75, 95]


def test_every_method_has_both_panels_with_sites_and_languages(tmp_path):
    scores = {"snip": scores_of(["en", "fr"]), "grasp": scores_of(["en", "fr"], signed=True)}
    plot_saliency(scores, tmp_path / "saliency.svg", remain_ratio=0.75)
    written = texts_of(tmp_path / "saliency.svg")
    for name in ("snip, by site", "snip, by language", "grasp, by site", "grasp, by language"):
        assert written.count(name) == 1
    assert [written.count(name) for name in ("en", "fr", "pooler", "value  0", "intermediate  1")] == [2] * 5
    assert any(name.startswith("line: 0.75 of all scores") for name in written)


@pytest.mark.parametrize("constant", [0.0, 0.5])
def test_equal_and_zero_scores_are_drawn(tmp_path, constant):
    same = {"fr": {site.name: np.full(site.size, constant) for site in SITES}}
    plot_saliency({"magnitude": same}, tmp_path / "saliency.svg", remain_ratio=0.5)
    assert "magnitude, by language" in texts_of(tmp_path / "saliency.svg")


def test_103_languages_are_named_and_the_bytes_are_the_same(tmp_path):
    scores = {"random": scores_of(CODES)}
    for name in ("one.svg", "two.svg"):
        plot_saliency(scores, tmp_path / name, remain_ratio=0.75)
    assert set(CODES) <= set(texts_of(tmp_path / "one.svg"))
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
