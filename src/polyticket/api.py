"""Functions for a notebook that need no workflow; `import polyticket as pt` gives them all, see docs/python.md."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from polyticket.core.errors import PolyticketError
from polyticket.model.folder import Model
from polyticket.model.shape import BertShape
from polyticket.pruning.criteria import by_magnitude, full_masks
from polyticket.saliency.scoring import score_language
from polyticket.tickets.masks import Masks


def score_saliency(
    model: Model,
    batches: Iterable[Mapping[str, NDArray[np.generic]]],
    method: str = "snip",
    *,
    seed: int = 0,
    threads: int = 1,
    device: str = "auto",
) -> dict[str, NDArray[np.float64]]:
    """Score every prunable neuron on batches of one's own, read once, without dropout.

    Args:
        model: A BERT, usually at initialisation.
        batches: Arrays [B, ...] by the names of records: `input_ids`, `input_mask`, `segment_ids`,
            `masked_lm_positions`, `masked_lm_ids`, `masked_lm_weights`, `next_sentence_labels`.
        method: A name of `polyticket.saliency.methods.METHODS`.
        seed: Draws the scores of random methods.
        threads: Compute threads.
        device: `auto`, `cpu` or `cuda`.

    Returns:
        Mask site to float64 [size].

    Raises:
        PolyticketError: No such method or device, no batch, or a batch that the model cannot read; names the array.
    """
    checked = [_checked(batch, model.shape, f"batch {number}") for number, batch in enumerate(batches)]
    tokens = sum(int(np.count_nonzero(batch["input_mask"])) for batch in checked)
    options: dict[str, Any] = {"seed": seed, "threads": threads, "device": device, "dropout": False}
    scored = score_language(model, lambda: checked, methods=[method], token_budget=max(tokens, 1), **options)
    return scored.scores[method]


def _checked(batch: Mapping[str, Any], shape: BertShape, where: str) -> dict[str, NDArray[np.generic]]:
    """The arrays of a batch, each of whole numbers that the model has, or of finite weights."""
    ids = np.asarray(batch.get("input_ids", ()))
    if ids.ndim != 2 or not ids.size or ids.shape[1] > shape.max_position_embeddings:
        expected = f"[B, T] of at least one row, and T at most {shape.max_position_embeddings}"
        raise PolyticketError(f"input_ids of shape {list(ids.shape)}", where=where, expected=expected)
    rows, length = ids.shape
    predictions = max([1, *np.shape(batch.get("masked_lm_ids", 0))[-1:]])
    sizes = {
        "input_ids": (length, shape.vocab_size),
        "input_mask": (length, 2),
        "segment_ids": (length, shape.type_vocab_size),
        "masked_lm_positions": (predictions, length),
        "masked_lm_ids": (predictions, shape.vocab_size),
        "masked_lm_weights": (predictions, None),
        "next_sentence_labels": (1, 2),
    }
    found = {}
    for name, (width, below) in sizes.items():
        if name not in batch:
            raise PolyticketError(f"no {name}", where=where, expected=", ".join(sizes))
        array = found[name] = np.asarray(batch[name])
        if array.shape != (rows, width):
            raise PolyticketError(f"{name} of shape {list(array.shape)}", where=where, expected=f"{[rows, width]}")
        whole = np.issubdtype(array.dtype, np.integer)
        if below is None:
            fits, expected = (whole or np.issubdtype(array.dtype, np.floating)) and np.isfinite(array).all(), "weights"
        else:
            fits, expected = whole and array.min() >= 0 and array.max() < below, f"whole numbers from 0 to {below - 1}"
        if not fits:
            raise PolyticketError(f"{name} of {array.dtype} with other values", where=where, expected=expected)
    return found


def magnitude_masks(module: nn.Module, sparsity: float, names: Iterable[str] | None = None) -> Masks:
    """Prune the smallest weights of a PyTorch module together; the module itself is not changed.

    Args:
        module: Any module with float32 weights.
        sparsity: In percent, above 0 and below 100. Exactly floor(n · (1 − sparsity / 100)) of n weights are kept.
        names: The weight matrices that compete; all of linear layers if None.

    Returns:
        Masks of one row: name to bool [1, out, in], True where kept.

    Raises:
        PolyticketError: The sparsity is out of range, or no matrix is named.
    """
    if not 0 < sparsity < 100:
        raise PolyticketError(f"{sparsity:g}", where="sparsity", expected="a percentage above 0 and below 100")
    linear = {id(part.weight) for part in module.modules() if isinstance(part, nn.Linear)}
    named = {name: weight for name, weight in module.named_parameters() if names is not None or id(weight) in linear}
    chosen = set(named if names is None else names)
    weights = {name: weight.detach() for name, weight in named.items() if name in chosen}
    if len(weights) < max(1, len(chosen)):
        raise PolyticketError(f"no weight {min(chosen - weights.keys(), default='')!r}", where="magnitude_masks")
    pools = {"all": tuple(weights)}
    full = full_masks({name: tuple(weight.shape) for name, weight in weights.items()}, pools)
    return by_magnitude(weights, full, pools, float(1 - Decimal(str(sparsity)) / 100))
