"""What the head of a ticket file may say, and whether it can be so."""

import math
import re
from collections.abc import Mapping
from typing import Any

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.tickets.scopes import SCOPES, budget_of, grains_of

FORMAT = "polyticket/2"
DIMENSIONS = {"neuron": 1, "weight": 2}
KEYS = {"format", "unit", "languages", "shapes", "kept", "densities", "provenance"}
DIGEST = re.compile(r"[0-9a-f]{64}")


def check_head(head: Any, path: Pathlike) -> None:
    """Check the form of a head: format, unit, names of rows, shapes, provenance.

    Raises:
        PolyticketError: Names the key and what would be right.
    """
    if not isinstance(head, dict):
        raise PolyticketError("the head is damaged: no JSON object", where=path)
    if head.get("format") != FORMAT:
        raise PolyticketError(
            f"format {head.get('format')!r}", where=path, expected=f"{FORMAT}; a ticket of another is allocated anew"
        )
    if missing := sorted(KEYS - head.keys()):
        raise PolyticketError(f"the head is damaged: no {', '.join(missing)}", where=path)
    if head["unit"] not in DIMENSIONS:
        raise PolyticketError(f"unit {head['unit']!r}", where=path, expected=" or ".join(DIMENSIONS))
    names = head["languages"]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise PolyticketError(f"languages {names!r}", where=path, expected="a list of names")
    if len(set(names)) < len(names):
        raise PolyticketError("languages has a name twice", where=path)
    _check_shapes(head["shapes"], head["unit"], path)
    if not isinstance(head["provenance"], dict):
        raise PolyticketError("provenance is no JSON object", where=path)


def _check_shapes(shapes: Any, unit: str, path: Pathlike) -> None:
    if not isinstance(shapes, dict) or not shapes:
        raise PolyticketError("shapes names no site", where=path)
    for site, shape in shapes.items():
        good = isinstance(shape, list) and all(type(side) is int and side > 0 for side in shape)
        if not good or len(shape) != DIMENSIONS[unit]:
            expected = "[size]" if unit == "neuron" else "[out, in]"
            raise PolyticketError(f"{site} has shape {shape!r}", where=path, expected=f"{expected} for a {unit} ticket")


def check_claims(head: Mapping[str, Any], path: Pathlike) -> None:
    """Check what the provenance says of method, scope, ratio, digests and budget; a key that is absent claims nothing.

    Where scope and ratio stand, the budget must be the one that follows from them, and the masks must meet it.

    Raises:
        PolyticketError: Names the key and what would be right.
    """
    made = head["provenance"]
    checks = {
        "scoring": (lambda value: isinstance(value, dict), "a JSON object"),
        "saliency": (lambda value: isinstance(value, str) and value, "the name of a method"),
        "scope": (lambda value: isinstance(value, str) and value in SCOPES, ", ".join(SCOPES)),
        "remain_ratio": (lambda value: _is_number(value) and 0 < value <= 1, "a number in (0, 1]"),
        "threshold": (lambda value: value is None or (_is_number(value) and math.isfinite(value)), "a number"),
        "normalise": (lambda value: isinstance(value, bool), "true or false"),
        "initial": (_is_digest, "a SHA-256 digest"),
        "joined": (lambda value: isinstance(value, dict) and set(value) <= set(head["languages"]), "rows"),
        "scores": (
            lambda value: isinstance(value, dict) and set(value) == set(head["languages"]) and all_digests(value),
            "a SHA-256 digest for each language",
        ),
    }
    for key, (good, expected) in checks.items():
        if key in made and not good(made[key]):
            raise PolyticketError(f"provenance: {key} {_short(made[key])}", where=path, expected=expected)
    for name, said in made.get("joined", {}).items():
        kept = sum(counts[head["languages"].index(name)] for counts in head["kept"].values())
        if not isinstance(said, dict) or said.get("kept") != kept:
            raise PolyticketError(f"provenance: joined {name}: {_short(said)}", where=path, expected=f"kept {kept}")
    if "budget" in made:
        _check_budget(head, made, path)


def _check_budget(head: Mapping[str, Any], made: Mapping[str, Any], path: Pathlike) -> None:
    joined = made.get("joined", {})
    rows = [row for row, name in enumerate(head["languages"]) if name not in joined]
    sizes = {site: math.prod(shape) for site, shape in head["shapes"].items()}
    try:
        grains = grains_of(sizes, align=made.get("align", 1), heads=made.get("heads"), floor=made.get("floor", 0))
        asked, reached = budget_of(grains, len(rows), made["remain_ratio"], made["scope"])
    except (PolyticketError, KeyError, TypeError) as error:
        raise PolyticketError(f"provenance: no budget can follow from it: {error}", where=path) from None
    if made["budget"] != {"asked": asked, "kept": reached}:
        raise PolyticketError(
            f"provenance: budget {_short(made['budget'])}", where=path, expected=f"asked {asked}, kept {reached}"
        )
    kept = sum(counts[row] for counts in head["kept"].values() for row in rows)
    if kept != reached:
        raise PolyticketError(f"the masks keep {kept}", where=path, expected=f"the budget of {reached}")
    for site, grain in grains.items():
        for row in rows:
            count = head["kept"][site][row]
            if count % grain.unit or count < grain.floor * grain.unit:
                expected = f"at least {grain.floor * grain.unit}, in steps of {grain.unit}"
                raise PolyticketError(
                    f"{site} keeps {count} for {head['languages'][row]}", where=path, expected=expected
                )


def all_digests(values: Mapping[str, Any]) -> bool:
    """Whether all values are SHA-256 digests."""
    return all(_is_digest(value) for value in values.values())


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and DIGEST.fullmatch(value) is not None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
