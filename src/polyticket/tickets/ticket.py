"""What the head of a ticket file may say, and whether it can be so."""

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyticket.core.array_files import read_headed, write_headed
from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.tickets.masks import Bits, Masks
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


class Ticket:
    """One keep/prune decision for every row, site and neuron (or weight).

    A row is a language of a multilingual ticket, or whatever a mask was found for, such as ``ner/fr``. The masks are
    held as bits; `masks[site]` unpacks one site.

    Attributes:
        languages: The names of the L rows, in order.
        masks: Site to bool [L, size], or [L, out, in] for weights; True where kept.
        provenance: How it was made: saliency, scope, remain ratio, seed, digests of what it was made from.
        unit: What a bit decides: `neuron` or `weight`.
    """

    def __init__(
        self,
        languages: Sequence[str],
        masks: Mapping[str, Bits],
        provenance: Mapping[str, Any] | None = None,
        unit: str = "neuron",
    ) -> None:
        self.languages = tuple(languages)
        self.masks = masks if isinstance(masks, Masks) else Masks.packed(masks, len(self.languages))
        self.provenance = dict(provenance or {})
        self.unit = unit

    def density(self, language: str, sites: Sequence[str] | None = None) -> float:
        """The share of neurons (weights) that one row keeps, over the given (else all) sites."""
        counts, chosen = self.masks.counts()[:, self.row(language)], set(sites or self.masks)
        kept = sum(int(count) for site, count in zip(self.masks, counts, strict=True) if site in chosen)
        return kept / sum(size for site, size in self.masks.sizes.items() if site in chosen)

    def densities(self) -> dict[str, float]:
        """The share of neurons (weights) that each row keeps, over all sites."""
        kept, total = self.masks.counts().sum(0).tolist(), sum(self.masks.sizes.values())
        return {language: count / total for language, count in zip(self.languages, kept, strict=True)}

    def row(self, language: str) -> int:
        """The row of a language.

        Raises:
            PolyticketError: The ticket has no such row.
        """
        if language not in self.languages:
            raise PolyticketError(f"no row {language!r}", where="ticket", expected=", ".join(self.languages))
        return self.languages.index(language)


def write_ticket(ticket: Ticket, path: Pathlike) -> None:
    """Write a ticket as safetensors: per site uint8 [L, ceil(bits/8)], highest bit first; all else as metadata.

    Raises:
        PolyticketError: What the ticket says of itself is not so; nothing is written.
    """
    head = {
        "format": FORMAT,
        "unit": ticket.unit,
        "languages": list(ticket.languages),
        "shapes": {site: list(shape) for site, shape in ticket.masks.shapes.items()},
        "kept": dict(zip(ticket.masks, ticket.masks.counts().tolist(), strict=True)),
        "densities": ticket.densities(),
        "provenance": ticket.provenance,
    }
    check_head(head, path)
    check_claims(head, path)
    packed = {site: ticket.masks.bytes_of(site) for site in ticket.masks}
    write_headed(packed, head | {"sha256": _seal(head, packed)}, path)


def read_ticket(path: Pathlike) -> Ticket:
    """Read a ticket and check all that its head says against its bits: shapes, counts, densities, budget, digest.

    Raises:
        PolyticketError: Not a ticket file, or its head and its masks disagree; names the site or the key.
    """
    packed, head = read_headed(path, "a ticket")
    try:
        check_head(head, path)
        return _unpacked(head, packed, path)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise PolyticketError(f"the head is damaged: {error}", where=path) from None


def _unpacked(head: dict[str, Any], packed: dict[str, NDArray[Any]], path: Pathlike) -> Ticket:
    languages, shapes = tuple(head["languages"]), {site: tuple(shape) for site, shape in head["shapes"].items()}
    if sorted(packed) != sorted(shapes):
        raise PolyticketError("sites in the head and in the file differ", where=path)
    for site, shape in shapes.items():
        _check_bytes(site, packed[site], int(np.prod(shape)), len(languages), path)
    ticket = Ticket(languages, Masks.of_bytes(packed, shapes, len(languages)), head["provenance"], head["unit"])
    for site, counts in zip(ticket.masks, ticket.masks.counts().tolist(), strict=True):
        if counts != head["kept"][site]:
            raise PolyticketError(f"{site} does not keep the counts that its head says", where=path)
    if head["densities"] != ticket.densities():
        raise PolyticketError("densities are not those of its masks", where=path)
    check_claims(head, path)
    if _seal({key: value for key, value in head.items() if key != "sha256"}, packed) != head["sha256"]:
        raise PolyticketError("the digest of head and masks is not the one it was written with", where=path)
    return ticket


def _check_bytes(site: str, array: NDArray[Any], size: int, rows: int, path: Pathlike) -> None:
    if array.dtype != np.uint8:
        raise PolyticketError(f"{site} holds {array.dtype}", where=path, expected="uint8")
    if array.shape != (rows, -(-size // 8)):
        raise PolyticketError(f"{site} has shape {array.shape}", where=path, expected=f"{(rows, -(-size // 8))}")
    if size % 8 and (array[:, -1] & (0xFF >> size % 8)).any():
        raise PolyticketError(f"{site} has bits beyond its size {size}", where=path)


def _seal(head: Mapping[str, Any], packed: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 of the head and, sorted by site, of the bytes of the masks."""
    found = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
    for site in sorted(packed):
        found.update(np.ascontiguousarray(packed[site]).data)
    return found.hexdigest()
