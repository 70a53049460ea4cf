"""Masks at every level, taken back to where they were found and fine-tuned afresh: what winning is decided by."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from polyticket.pruning.origins import FOUND, FRESH, FULL, MAGNITUDE, RANDOM, Origin, origin_of

ITERATIVE = "iterative"
"""What iterative magnitude pruning is called beside its controls."""
COLUMNS = ("pruning", "task", "language", "seed", "sparsity", "kept", "loss", "dev", "score")


def own_origins(task: str, source: str, sparsities: Sequence[str], controls: Iterable[str]) -> list[str]:
    """The full model, and the masks of all levels by iterative pruning and by each control.

    Args:
        task: What they were found for.
        source: The language or mix that they were found for.
        sparsities: In percent, without the full model's.
        controls: Names in `CONTROLS`, or `magnitude`. Masks by `reinitialized` train random weights again, and stand
            beside a full model that does.
    """
    found = [FULL, *(f"{task}-{source}-{sparsity}" for sparsity in sparsities)]
    for control in controls:
        ending = f"-{FRESH}" if control == FRESH else ""
        place = control if control in (RANDOM, MAGNITUDE) else f"{control}-{task}-{source}"
        found += [f"{FULL}{ending}"] * bool(ending) + [f"{place}-{sparsity}{ending}" for sparsity in sparsities]
    return found


def pruning_of(origin: Origin) -> str:
    """How a mask was pruned: `iterative`, or the control's name."""
    return (origin.control or ITERATIVE) if origin.kind == FOUND else origin.kind


def score_rows(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each pruning, language, seed and sparsity.

    Args:
        results: What fine-tuning under the masks of `own_origins` gave, of one task.

    Returns:
        Rows of `COLUMNS`, in the order of the results: `sparsity` in percent, `dev` and `score` the selection score of
        the task on dev and test. The full model is sparsity 0 of every pruning.
    """
    read = [(origin_of(result["origin"]), result) for result in results]
    prunings = list(dict.fromkeys(pruning_of(origin) for origin, _ in read if origin.kind != FULL))
    return [
        _row(pruning, origin, result)
        for pruning in prunings
        for origin, result in read
        if (origin.kind == FULL and origin.reinitialized == (pruning == FRESH)) or pruning_of(origin) == pruning
    ]


def _row(pruning: str, origin: Origin, result: Mapping[str, Any]) -> dict[str, Any]:
    chosen = result["selection"]
    return {
        "pruning": pruning,
        "sparsity": origin.sparsity,
        "dev": result["dev"][chosen],
        "score": result["test"][chosen],
        **{key: result[key] for key in ("task", "language", "seed", "kept", "loss")},
    }
