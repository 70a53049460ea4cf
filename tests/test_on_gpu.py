"""Pruning on a GPU is plain PyTorch, which a CPU computes too: its masks must be those of arrays."""

import numpy as np
import pytest
import torch

from polyticket.core.errors import PolyticketError
from polyticket.pruning.criteria import full_masks, pool_counts, prune
from polyticket.pruning.masked import _multiply
from polyticket.pruning.on_gpu import prune_tensors

SHAPES = {"a": (5, 7), "b": (16, 33), "c": (3, 3)}
POOLS = {"one": ["b", "a"], "other": ["c"]}
FULL = full_masks(SHAPES, POOLS)


def weights(decimals: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    return {name: np.round(random.standard_normal(size), decimals).astype(np.float32) for name, size in SHAPES.items()}


def tensors(arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


@pytest.mark.parametrize("decimals", [0, 1, 6])  # with few decimals nearly all magnitudes are ties
def test_masks_are_those_of_arrays_level_by_level(decimals):
    arrays, masks = weights(decimals), FULL
    for density in (1.0, 0.7, 0.5, 0.31, 0.02, 0.0):
        keep = pool_counts(masks.sizes, POOLS, density)
        wanted = prune(arrays, masks, POOLS, keep)
        found = prune_tensors(tensors(arrays), masks, POOLS, keep)
        assert np.array_equal(found.words, wanted.words), density
        assert found.shapes == wanted.shapes
        masks = wanted


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"a": np.full((5, 7), np.inf, np.float32)}, "weights: a holds NaN or infinity; expected finite weights"),
        ({"c": np.full((3, 3), np.nan, np.float32)}, "weights: c holds NaN or infinity; expected finite weights"),
        ({"b": np.ones((16, 33))}, r"weights: b is float64 \[16, 33\]; expected float32 \[16, 33\]"),
        ({"a": np.ones((7, 5), np.float32)}, r"weights: a is float32 \[7, 5\]; expected float32 \[5, 7\]"),
    ],
)
def test_weights_that_cannot_be_ordered_are_named_as_for_arrays(change, line):
    arrays, keep = weights(6) | change, pool_counts(FULL.sizes, POOLS, 0.5)
    for cut, given in ((prune, arrays), (prune_tensors, tensors(arrays))):
        with pytest.raises(PolyticketError, match=line):
            cut(given, FULL, POOLS, keep)


def test_masks_of_one_type_with_their_weights_multiply_the_same():
    """On a GPU masks are float32, and one call multiplies all matrices."""
    one, other = (list(tensors(weights(6)).values()) for _ in range(2))
    masks = [torch.rand(x.shape, generator=torch.Generator().manual_seed(1)).gt(0.5) for x in one]
    _multiply([(x, mask.byte()) for x, mask in zip(one, masks, strict=True)])
    _multiply([(x, mask.float()) for x, mask in zip(other, masks, strict=True)])
    assert all(torch.equal(x, y) for x, y in zip(one, other, strict=True))
