"""The benchmark of saliency compares the same gradients, and its bound is what is multiplied."""

import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from polyticket.model.folder import Model
from polyticket.saliency.probe import Probe
from tests.support.models import TINY

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
bench = import_module("saliency")
SHAPE = replace(TINY, max_position_embeddings=bench.LENGTH)


@pytest.fixture(scope="module")
def sides():
    """The plain way and a probe of the same weights, without dropout."""
    theirs = bench.random_bert(SHAPE)
    weights = {name: tensor.detach().numpy() for name, tensor in theirs.state_dict().items() if "decoder" not in name}
    how = {"dropout": False, "seed": 1, "device": torch.device("cpu"), "precision": "float32"}
    return bench.Plain(theirs, SHAPE), Probe(Model(SHAPE, weights), **how)


def test_both_sides_give_the_same_gradients(sides):
    plain, ours = sides
    batch = bench.full_batch(SHAPE)
    one, other = plain.gradients(batch, dropout=False), ours.gradients([batch], 0)[1][0]
    np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5 * np.abs(one).max())
    assert np.count_nonzero(one) == one.size


def test_the_bound_is_the_products_of_a_pass(sides):
    # left out, about a hundredth at BERT-base shape: the next-sentence head, the pooler, and sums over the tokens of
    # each record, which are products with a matrix that says whose a token is
    H, width = SHAPE.hidden_size, SHAPE.intermediate_size
    tokens, wanted = bench.BATCH * bench.LENGTH, bench.BATCH * (bench.PREDICTIONS + 1)
    rows = [tokens] * (SHAPE.num_hidden_layers - 1) + [wanted]
    owned = bench.BATCH * H + sum(asking * H + 2 * tokens * H + asking * width for asking in rows)
    small = 2 * 2 * bench.BATCH * (H * H + 2 * H) + 2 * bench.BATCH * owned
    with FlopCounterMode(display=False) as counter:
        sides[1].gradients([bench.full_batch(SHAPE)], 0)
    products = 2 * sum(rows * inner * columns for rows, inner, columns in bench.products(SHAPE))
    assert counter.get_total_flops() == products + small
