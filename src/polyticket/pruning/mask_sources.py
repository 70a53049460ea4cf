"""Where a mask comes from, by its short name, such as `full`, `random-50`, `magnitude-50`, `finetuned-panx-fr-50`.

A name without a sparsity is one of the configuration's own mask sources.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from polyticket.core.errors import PolyticketError

FULL, RANDOM, MAGNITUDE, FOUND, FRESH = "full", "random", "magnitude", "found", "reinitialized"
NAMED = "named"
NAME = re.compile("[a-z][a-z0-9_]*")
CONTROLS = ("finetuned", "random", "component", "reinitialized")
RENAMED = {"oneshot": "finetuned"}
"""What controls were once called, to what they are called now."""


class MaskSource(NamedTuple):
    """Where a mask comes from.

    Attributes:
        kind: `full`, `random`, `magnitude` (of the original weights, before any training), `found`, or `named`.
        sparsity: In percent, as it was written; `0` of the full model; empty where the mask tells.
        reinitialized: Whether training begins from random weights.
        control: The control that found it; empty for magnitude pruning, and where nothing was found.
        task: What it was found for.
        source: The language or mix that it was found for; the name of a mask source of the configuration.
    """

    kind: str
    sparsity: str
    reinitialized: bool
    control: str = ""
    task: str = ""
    source: str = ""


def mask_source_of(name: str, where: str = "mask source") -> MaskSource:
    """Read a short name; `-reinitialized` may stand after it.

    Raises:
        PolyticketError: It is none of these.
    """
    base = name.removesuffix(f"-{FRESH}")
    fresh = base != name
    if base == FULL:
        return MaskSource(FULL, "0", fresh)
    if NAME.fullmatch(base):
        return MaskSource(NAMED, "", fresh, source=base)
    rest, _, sparsity = base.rpartition("-")
    if not _is_percentage(sparsity):
        raise PolyticketError(f"{name!r}", where=where, expected="full, random-50 or task-language-50, below 100")
    if rest in (RANDOM, MAGNITUDE):
        return MaskSource(rest, sparsity, fresh)
    control, _, found = rest.partition("-")
    if control in RENAMED:
        raise PolyticketError(f"{name!r}", where=where, expected=f"{RENAMED[control]}{name.removeprefix(control)}")
    control, found = (control, found) if control in CONTROLS else ("", rest)
    task, _, source = found.partition("-")
    if not task or not source:
        raise PolyticketError(f"{name!r}", where=where, expected="full, random-50 or task-language-50")
    return MaskSource(FOUND, sparsity, fresh, control, task, source)


def known_mask_source(
    name: str,
    *,
    tasks: Collection[str],
    sources: Collection[str],
    levels: Collection[str],
    named: Collection[str] = (),
    where: str = "mask source",
) -> MaskSource:
    """Read a short name, and check that there can be such a sub-network.

    Args:
        name: The short name.
        tasks: All tasks.
        sources: All languages and mixes.
        levels: The sparsities of a search.
        named: The mask sources of the configuration.
        where: What to name in an error.

    Raises:
        PolyticketError: It is no such name, or names a task, a source or a sparsity that there is not.
    """
    mask_source = mask_source_of(name, where)
    if mask_source.kind == NAMED and mask_source.source not in named:
        expected = f"full, random-50, task-language-50, or one of mask_sources: {', '.join(named) or 'none'}"
        raise PolyticketError(f"unknown mask source {name!r}", where=where, expected=expected)
    parts = [
        ("task", mask_source.task, tasks),
        ("language", mask_source.source, sources),
        ("sparsity", mask_source.sparsity, levels),
    ]
    for what, value, known in parts if mask_source.kind == FOUND else ():
        if value not in known:
            said = f"{name!r}: unknown {what} {value!r}"
            raise PolyticketError(said, where=where, expected=f"one of {', '.join(known)}")
    return mask_source


def _is_percentage(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal() and 0 < float(text) < 100


ITERATIVE = "iterative"
"""What iterative magnitude pruning is called beside its controls."""
COLUMNS = ("pruning", "task", "language", "seed", "sparsity", "kept", "loss", "dev", "score")


def own_mask_sources(task: str, source: str, sparsities: Sequence[str], controls: Iterable[str]) -> list[str]:
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


def pruning_of(mask_source: MaskSource) -> str:
    """How a mask was pruned: `iterative`, or the control's name."""
    return (mask_source.control or ITERATIVE) if mask_source.kind == FOUND else mask_source.kind


def score_rows(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each pruning, language, seed and sparsity.

    Args:
        results: What fine-tuning under the masks of `own_mask_sources` gave, of one task.

    Returns:
        Rows of `COLUMNS`, in the order of the results: `sparsity` in percent, `dev` and `score` the selection score of
        the task on dev and test. The full model is sparsity 0 of every pruning.
    """
    read = [(mask_source_of(result["mask_source"]), result) for result in results]
    prunings = list(dict.fromkeys(pruning_of(mask_source) for mask_source, _ in read if mask_source.kind != FULL))
    return [
        _row(pruning, mask_source, result)
        for pruning in prunings
        for mask_source, result in read
        if (mask_source.kind == FULL and mask_source.reinitialized == (pruning == FRESH))
        or pruning_of(mask_source) == pruning
    ]


def _row(pruning: str, mask_source: MaskSource, result: Mapping[str, Any]) -> dict[str, Any]:
    chosen = result["selection"]
    return {
        "pruning": pruning,
        "sparsity": mask_source.sparsity,
        "dev": result["dev"][chosen],
        "score": result["test"][chosen],
        **{key: result[key] for key in ("task", "language", "seed", "kept", "loss")},
    }
