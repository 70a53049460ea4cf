"""The ticket: masks of all languages and sites in one bit-packed file that knows where it came from."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyticket.errors import PolyticketError
from polyticket.files import Pathlike
from polyticket.tickets.headed import read_headed, write_headed

FORMAT = "polyticket/1"
Bits = NDArray[np.bool_]


@dataclass(frozen=True)
class Ticket:
    """One keep/prune decision for every language, site and neuron.

    Attributes:
        languages: The L languages, in row order.
        masks: Site to bool [L, size], True where the neuron is kept.
        provenance: How it was made: saliency, scope, remain ratio, seed, digests of what it was made from.
    """

    languages: tuple[str, ...]
    masks: dict[str, Bits]
    provenance: dict[str, Any] = field(default_factory=dict)

    def density(self, language: str, sites: list[str] | None = None) -> float:
        """The share of neurons that one language keeps, over the given (else all) sites."""
        row = self.languages.index(language)
        chosen = [self.masks[site][row] for site in sites or self.masks]
        return sum(int(bits.sum()) for bits in chosen) / sum(bits.size for bits in chosen)


def write_ticket(ticket: Ticket, path: Pathlike) -> None:
    """Write a ticket as safetensors: per site uint8 [L, ceil(size/8)], highest bit first; all else as metadata."""
    rows = len(ticket.languages)
    for site, bits in ticket.masks.items():
        if bits.dtype != np.bool_ or bits.shape[0] != rows:
            raise ValueError(f"{site}: needs bool [{rows}, size], has {bits.dtype} {bits.shape}")
    head = {
        "format": FORMAT,
        "unit": "neuron",
        "languages": list(ticket.languages),
        "sizes": {site: bits.shape[1] for site, bits in ticket.masks.items()},
        "kept": {site: bits.sum(1).tolist() for site, bits in ticket.masks.items()},
        "provenance": ticket.provenance,
    }
    packed = {site: np.packbits(bits, axis=1) for site, bits in ticket.masks.items()}
    write_headed(packed, head, path)


def read_ticket(path: Pathlike) -> Ticket:
    """Read a ticket and check all that its head says: sizes, languages, kept counts.

    Raises:
        PolyticketError: Not a ticket file, or its head and its masks disagree; names the site.
    """
    packed, head = read_headed(path, "a ticket")
    try:
        return _unpacked(head, packed, path)
    except (AttributeError, KeyError, TypeError) as error:
        raise PolyticketError(f"the head is damaged: {error}", where=path) from None


def _unpacked(head: dict[str, Any], packed: dict[str, NDArray[np.generic]], path: Pathlike) -> Ticket:
    if head.get("format") != FORMAT:
        raise PolyticketError(f"format {head.get('format')!r}", where=path, expected=FORMAT)
    languages = tuple(head["languages"])
    if sorted(packed) != sorted(head["sizes"]):
        raise PolyticketError("sites in the head and in the file differ", where=path)
    masks = {}
    for site, size in head["sizes"].items():
        if packed[site].dtype != np.uint8:
            raise PolyticketError(f"{site} holds {packed[site].dtype}", where=path, expected="uint8")
        if packed[site].shape != (len(languages), -(-size // 8)):
            raise PolyticketError(f"{site} has shape {packed[site].shape}", where=path)
        bits = np.unpackbits(packed[site].astype(np.uint8), axis=1, count=size).astype(np.bool_)
        if bits.sum(1).tolist() != head["kept"][site]:
            raise PolyticketError(f"{site} does not keep the counts that its head says", where=path)
        masks[site] = bits
    return Ticket(languages, masks, head["provenance"])
