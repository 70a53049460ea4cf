"""The ticket: masks of all languages and sites in one bit-packed file that knows where it came from."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyticket.core.array_files import read_headed, write_headed
from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.tickets.head import FORMAT, check_claims, check_head
from polyticket.tickets.masks import Bits, Masks


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
