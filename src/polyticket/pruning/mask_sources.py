"""Mask sources by their short names, such as `full`, `random-50`, `magnitude-50`, `finetuned-panx-fr-50`.

A name without a sparsity is an entry of `subnetworks.mask_sources`.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from polyticket.core.errors import PolyticketError

FULL, RANDOM, MAGNITUDE, FOUND, REINITIALIZED = "full", "random", "magnitude", "found", "reinitialized"
NAMED = "named"
NAME = re.compile("[a-z][a-z0-9_]*")
CONTROLS = ("finetuned", "random", "component", "reinitialized")
RENAMED = {"oneshot": "finetuned"}
"""Former names of controls to their present names."""


class MaskSource(NamedTuple):
    """Where a mask comes from.

    Attributes:
        kind: `full`, `random`, `magnitude` (of the original weights, before any training), `found`, or `named`.
        sparsity: In percent, as written; `0` for the full model; empty for a named mask source.
        reinitialized: Whether training starts from random weights.
        control: The control that found the mask; empty for iterative magnitude pruning and for kinds without a search.
        task: The task that the mask was found for.
        source: The language or mix that the mask was found for, or the name of the named mask source.
    """

    kind: str
    sparsity: str
    reinitialized: bool
    control: str = ""
    task: str = ""
    source: str = ""


def mask_source_of(name: str, where: str = "mask source") -> MaskSource:
    """Read a short name; it may end in `-reinitialized`.

    Raises:
        PolyticketError: It is no name of a mask source.
    """
    base = name.removesuffix(f"-{REINITIALIZED}")
    reinitialized = base != name
    if base == FULL:
        return MaskSource(FULL, "0", reinitialized)
    if NAME.fullmatch(base):
        return MaskSource(NAMED, "", reinitialized, source=base)
    rest, _, sparsity = base.rpartition("-")
    if not _is_percentage(sparsity):
        raise PolyticketError(f"{name!r}", where=where, expected="full, random-50 or task-language-50, below 100")
    if rest in (RANDOM, MAGNITUDE):
        return MaskSource(rest, sparsity, reinitialized)
    control, _, searched = rest.partition("-")
    if control in RENAMED:
        raise PolyticketError(f"{name!r}", where=where, expected=f"{RENAMED[control]}{name.removeprefix(control)}")
    control, searched = (control, searched) if control in CONTROLS else ("", rest)
    task, _, source = searched.partition("-")
    if not task or not source:
        raise PolyticketError(f"{name!r}", where=where, expected="full, random-50 or task-language-50")
    return MaskSource(FOUND, sparsity, reinitialized, control, task, source)


def known_mask_source(
    name: str,
    *,
    tasks: Collection[str],
    sources: Collection[str],
    levels: Collection[str],
    named: Collection[str] = (),
    where: str = "mask source",
) -> MaskSource:
    """Read a short name, and check that such a mask can exist.

    Args:
        name: The short name.
        tasks: All tasks.
        sources: All languages and mixes.
        levels: The sparsities of a search.
        named: The names in `subnetworks.mask_sources`.
        where: What to name in an error.

    Raises:
        PolyticketError: It is no name of a mask source, or its task, source or sparsity is unknown.
    """
    mask_source = mask_source_of(name, where)
    if mask_source.kind == NAMED and mask_source.source not in named:
        expected = f"full, random-50, task-language-50, or one of mask_sources: {', '.join(named) or 'none'}"
        raise PolyticketError(f"unknown mask source {name!r}", where=where, expected=expected)
    if mask_source.kind == FOUND:
        for field, value, known in (
            ("task", mask_source.task, tasks),
            ("language", mask_source.source, sources),
            ("sparsity", mask_source.sparsity, levels),
        ):
            if value not in known:
                problem = f"{name!r}: unknown {field} {value!r}"
                raise PolyticketError(problem, where=where, expected=f"one of {', '.join(known)}")
    return mask_source


def own_mask_sources(task: str, source: str, sparsities: Sequence[str], controls: Iterable[str]) -> list[str]:
    """The mask sources that a table of winning sparsities compares: the full model, and all masks of one search.

    Args:
        task: The task that the masks are found for.
        source: The language or mix that the masks are found for.
        sparsities: In percent, without the full model's.
        controls: Names in `CONTROLS`, or `magnitude`. The masks of `reinitialized` are trained from random weights, and
            so is a full model beside them.
    """
    names = [FULL, *(f"{task}-{source}-{sparsity}" for sparsity in sparsities)]
    for control in controls:
        ending = f"-{REINITIALIZED}" if control == REINITIALIZED else ""
        prefix = control if control in (RANDOM, MAGNITUDE) else f"{control}-{task}-{source}"
        names += [f"{FULL}{ending}"] * bool(ending) + [f"{prefix}-{sparsity}{ending}" for sparsity in sparsities]
    return names


def _is_percentage(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal() and 0 < float(text) < 100
