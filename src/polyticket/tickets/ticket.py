"""The ticket: masks of all languages and sites in one bit-packed file, with a header that is checked against them."""

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyticket.core.array_files import read_arrays, write_arrays
from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.tickets.masks import Bits, Masks
from polyticket.tickets.scopes import SCOPES, budget_of, granularities_of

FORMAT = "polyticket/2"
DIMENSIONS = {"neuron": 1, "weight": 2}
KEYS = {"format", "unit", "languages", "shapes", "kept", "densities", "provenance"}
DIGEST = re.compile(r"[0-9a-f]{64}")


class Ticket:
    """One keep/prune decision for every row, site and neuron (or weight).

    A row is a language of a multilingual ticket, or a task and language that a mask was found for, such as ``ner/fr``.
    The masks are packed bits; `masks[site]` unpacks one site.

    Attributes:
        languages: The names of the L rows, in order.
        masks: Site to bool [L, size], or [L, out, in] for weights; True where kept.
        provenance: Saliency method, scope, remain ratio, seed, digests of the inputs.
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
    """Write a ticket as safetensors: per site uint8 [L, ceil(bits/8)], highest bit first; all else is in the header.

    Raises:
        PolyticketError: The provenance contradicts the masks; nothing is written.
    """
    header = {
        "format": FORMAT,
        "unit": ticket.unit,
        "languages": list(ticket.languages),
        "shapes": {site: list(shape) for site, shape in ticket.masks.shapes.items()},
        "kept": dict(zip(ticket.masks, ticket.masks.counts().tolist(), strict=True)),
        "densities": ticket.densities(),
        "provenance": ticket.provenance,
    }
    check_header(header, path)
    check_claims(header, path)
    packed = {site: ticket.masks.bytes_of(site) for site in ticket.masks}
    write_arrays(packed, header | {"sha256": _seal(header, packed)}, path)


def read_ticket(path: Pathlike) -> Ticket:
    """Read a ticket and check its header against its bits: shapes, counts, densities, budget, digest.

    Raises:
        PolyticketError: The file is no ticket, or its header and masks disagree; names the site or the key.
    """
    packed, header = read_arrays(path, "a ticket")
    try:
        check_header(header, path)
        return _unpacked(header, packed, path)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise PolyticketError(f"the header is damaged: {error}", where=path) from None


def check_header(header: Any, path: Pathlike) -> None:
    """Check the form of a header: format, unit, names of rows, shapes, provenance.

    Raises:
        PolyticketError: Names the key and what would be right.
    """
    if not isinstance(header, dict):
        raise PolyticketError("the header is damaged: no JSON object", where=path)
    if header.get("format") != FORMAT:
        raise PolyticketError(
            f"format {header.get('format')!r}", where=path, expected=f"{FORMAT}; allocate a ticket of another anew"
        )
    if missing := sorted(KEYS - header.keys()):
        raise PolyticketError(f"the header is damaged: no {', '.join(missing)}", where=path)
    if header["unit"] not in DIMENSIONS:
        raise PolyticketError(f"unit {header['unit']!r}", where=path, expected=" or ".join(DIMENSIONS))
    names = header["languages"]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise PolyticketError(f"languages {names!r}", where=path, expected="a list of names")
    if len(set(names)) < len(names):
        raise PolyticketError("languages has a name twice", where=path)
    _check_shapes(header["shapes"], header["unit"], path)
    if not isinstance(header["provenance"], dict):
        raise PolyticketError("provenance is no JSON object", where=path)


def _check_shapes(shapes: Any, unit: str, path: Pathlike) -> None:
    if not isinstance(shapes, dict) or not shapes:
        raise PolyticketError("shapes names no site", where=path)
    for site, shape in shapes.items():
        good = isinstance(shape, list) and all(type(side) is int and side > 0 for side in shape)
        if not good or len(shape) != DIMENSIONS[unit]:
            expected = "[size]" if unit == "neuron" else "[out, in]"
            raise PolyticketError(f"{site} has shape {shape!r}", where=path, expected=f"{expected} for a {unit} ticket")


def check_claims(header: Mapping[str, Any], path: Pathlike) -> None:
    """Check the provenance: method, scope, ratio, digests and budget. An absent key claims nothing.

    A budget must follow from the scope and the ratio, and the masks must meet it.

    Raises:
        PolyticketError: Names the key and what would be right.
    """
    provenance = header["provenance"]
    checks = {
        "scoring": (lambda value: isinstance(value, dict), "a JSON object"),
        "saliency": (lambda value: isinstance(value, str) and value, "the name of a method"),
        "scope": (lambda value: isinstance(value, str) and value in SCOPES, ", ".join(SCOPES)),
        "remain_ratio": (lambda value: _is_number(value) and 0 < value <= 1, "a number in (0, 1]"),
        "threshold": (lambda value: value is None or (_is_number(value) and math.isfinite(value)), "a number"),
        "normalise": (lambda value: isinstance(value, bool), "true or false"),
        "initial": (_is_digest, "a SHA-256 digest"),
        "joined": (lambda value: isinstance(value, dict) and set(value) <= set(header["languages"]), "rows"),
        "scores": (
            lambda value: isinstance(value, dict) and set(value) == set(header["languages"]) and all_digests(value),
            "a SHA-256 digest for each language",
        ),
    }
    for key, (good, expected) in checks.items():
        if key in provenance and not good(provenance[key]):
            raise PolyticketError(f"provenance: {key} {_short(provenance[key])}", where=path, expected=expected)
    for name, stated in provenance.get("joined", {}).items():
        kept = sum(counts[header["languages"].index(name)] for counts in header["kept"].values())
        if not isinstance(stated, dict) or stated.get("kept") != kept:
            raise PolyticketError(f"provenance: joined {name}: {_short(stated)}", where=path, expected=f"kept {kept}")
    if "budget" in provenance:
        _check_budget(header, provenance, path)


def _check_budget(header: Mapping[str, Any], provenance: Mapping[str, Any], path: Pathlike) -> None:
    joined = provenance.get("joined", {})
    rows = [row for row, name in enumerate(header["languages"]) if name not in joined]
    sizes = {site: math.prod(shape) for site, shape in header["shapes"].items()}
    try:
        granularities = granularities_of(
            sizes, **{key: provenance[key] for key in ("align", "heads", "floor") if key in provenance}
        )
        asked, reached = budget_of(granularities, len(rows), provenance["remain_ratio"], provenance["scope"])
    except (PolyticketError, KeyError, TypeError) as error:
        raise PolyticketError(f"provenance: no budget can follow from it: {error}", where=path) from None
    if provenance["budget"] != {"asked": asked, "kept": reached}:
        raise PolyticketError(
            f"provenance: budget {_short(provenance['budget'])}", where=path, expected=f"asked {asked}, kept {reached}"
        )
    kept = sum(counts[row] for counts in header["kept"].values() for row in rows)
    if kept != reached:
        raise PolyticketError(f"the masks keep {kept}", where=path, expected=f"the budget of {reached}")
    for site, granularity in granularities.items():
        for row in rows:
            count = header["kept"][site][row]
            if count % granularity.unit or count < granularity.floor * granularity.unit:
                expected = f"at least {granularity.floor * granularity.unit}, in steps of {granularity.unit}"
                raise PolyticketError(
                    f"{site} keeps {count} for {header['languages'][row]}", where=path, expected=expected
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


def _unpacked(header: dict[str, Any], packed: dict[str, NDArray[Any]], path: Pathlike) -> Ticket:
    languages, shapes = tuple(header["languages"]), {site: tuple(shape) for site, shape in header["shapes"].items()}
    if sorted(packed) != sorted(shapes):
        raise PolyticketError("sites in the header and in the file differ", where=path)
    for site, shape in shapes.items():
        _check_bytes(site, packed[site], int(np.prod(shape)), len(languages), path)
    ticket = Ticket(languages, Masks.of_bytes(packed, shapes, len(languages)), header["provenance"], header["unit"])
    for site, counts in zip(ticket.masks, ticket.masks.counts().tolist(), strict=True):
        if counts != header["kept"][site]:
            raise PolyticketError(f"{site} does not keep the counts that its header says", where=path)
    if header["densities"] != ticket.densities():
        raise PolyticketError("densities are not those of its masks", where=path)
    check_claims(header, path)
    if _seal({key: value for key, value in header.items() if key != "sha256"}, packed) != header["sha256"]:
        raise PolyticketError("the digest in the header is not that of header and masks", where=path)
    return ticket


def _check_bytes(site: str, array: NDArray[Any], size: int, rows: int, path: Pathlike) -> None:
    if array.dtype != np.uint8:
        raise PolyticketError(f"{site} holds {array.dtype}", where=path, expected="uint8")
    if array.shape != (rows, -(-size // 8)):
        raise PolyticketError(f"{site} has shape {array.shape}", where=path, expected=f"{(rows, -(-size // 8))}")
    if size % 8 and (array[:, -1] & (0xFF >> size % 8)).any():
        raise PolyticketError(f"{site} has bits beyond its size {size}", where=path)


def _seal(header: Mapping[str, Any], packed: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 of the header and, sorted by site, of the bytes of the masks."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for site in sorted(packed):
        digest.update(np.ascontiguousarray(packed[site]).data)
    return digest.hexdigest()
