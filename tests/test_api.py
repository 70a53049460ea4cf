"""`import polyticket as pt`: the examples of docs/python.md run, and nothing heavy is imported before it is used."""

import doctest
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import polyticket
from polyticket.core.errors import PolyticketError
from tests.support.models import TINY, random_batch, trained_model

PAGE = Path(__file__).resolve().parents[1] / "docs/python.md"


def test_the_examples_of_the_page_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testfile(str(PAGE), module_relative=False)
    assert failed == 0
    assert tried > 20


def test_every_public_name_is_shown_on_the_page():
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in polyticket.__all__ if name not in text] == []
    assert all(getattr(polyticket, name).__module__.startswith("polyticket.") for name in polyticket.__all__)
    assert set(polyticket.__all__) <= {*dir(polyticket)}


def test_the_import_is_light():
    heavy = "{'numpy', 'torch', 'tensorflow', 'transformers'} & {*sys.modules}"
    command = [sys.executable, "-c", f"import polyticket, sys; print({heavy} or 'light')"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "light\n"


def test_batches_are_read_once_and_what_the_model_cannot_read_is_named():
    model, batch = trained_model(), random_batch()
    scores = polyticket.score_saliency(model, (one for one in [batch, batch]))
    again = polyticket.score_saliency(model, [{name: array.tolist() for name, array in batch.items()}] * 2)
    assert all((scores[site] == again[site]).all() for site in scores)
    with pytest.raises(PolyticketError, match="no records"):
        polyticket.score_saliency(model, [])
    ids, weights = batch["input_ids"], batch["masked_lm_weights"]
    for name, array, told in (
        ("input_ids", ids + TINY.vocab_size, "input_ids of int32 with other values; expected whole numbers from 0 to"),
        ("input_ids", ids[:0], r"input_ids of shape \[0, 16\]; expected \[B, T\] of at least one row"),
        ("input_ids", np.tile(ids, 40), r"and T at most"),
        ("segment_ids", batch["segment_ids"] + 5, "segment_ids of int32 with other values"),
        ("input_mask", batch["input_mask"][:, :-1], r"input_mask of shape \[4, 15\]; expected \[4, 16\]"),
        ("masked_lm_positions", batch["masked_lm_positions"] - 40, "masked_lm_positions of int32 with other values"),
        ("masked_lm_ids", batch["masked_lm_ids"] + 0.5, "masked_lm_ids of float64 with other values"),
        ("masked_lm_weights", weights * np.nan, "masked_lm_weights of float32 with other values; expected weights"),
    ):
        with pytest.raises(PolyticketError, match=f"^batch 1: .*{told}"):
            polyticket.score_saliency(model, [batch, batch | {name: array}])
    with pytest.raises(PolyticketError, match=r"^batch 0: no segment_ids; expected input_ids, input_mask"):
        polyticket.score_saliency(model, [{k: v for k, v in batch.items() if k != "segment_ids"}])
