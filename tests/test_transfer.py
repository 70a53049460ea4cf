import json

import numpy as np
import pytest

from polyticket.errors import PolyticketError
from polyticket.figures.transfer import plot_transfer
from polyticket.subnetworks.levels_table import level_rows
from polyticket.subnetworks.transfer import origin_of
from polyticket.subnetworks.transfer_table import transfer_table, write_transfer


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
