"""Union, intersection, difference and similarity of masks, by counts of bits in groups of sites."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyticket.core.errors import PolyticketError
from polyticket.tickets.masks import Masks
from polyticket.tickets.ticket import Ticket

BLOCK = 1 << 14  # words at a time: one row's share of the cache
Counts = NDArray[np.int64]
Shares = NDArray[np.float64]


@dataclass(frozen=True)
class Similarity:
    """The overlap of the masks of all pairs of L rows, in G groups of sites (layers, components, or one of all sites).

    Densities d are those of the group. A share of nothing is NaN.

    Attributes:
        rows: The names of the L rows.
        groups: The names of the G groups.
        bits: int64 [G], the size of one mask.
        common: int64 [G, L, L], |A ∩ B|; the diagonal has |A|.
    """

    rows: tuple[str, ...]
    groups: tuple[str, ...]
    bits: Counts
    common: Counts

    @property
    def kept(self) -> Counts:
        """|A|, int64 [G, L]."""
        return np.diagonal(self.common, axis1=1, axis2=2)

    @property
    def union(self) -> Counts:
        """|A ∪ B|, int64 [G, L, L]."""
        return self.kept[:, :, None] + self.kept[:, None, :] - self.common

    @property
    def difference(self) -> Counts:
        """|A ∖ B|, int64 [G, L, L], A by row and B by column."""
        return self.kept[:, :, None] - self.common

    def density(self) -> Shares:
        """|A| / n, float64 [G, L]."""
        return self.kept / self.bits[:, None]

    def agreement(self) -> Shares:
        """Share of positions where both keep or both drop, float64 [G, L, L]."""
        return (self.bits[:, None, None] - self.union + self.common) / self.bits[:, None, None]

    def jaccard(self) -> Shares:
        """|A ∩ B| / |A ∪ B|, float64 [G, L, L]."""
        return _share(self.common, self.union)

    def expected_agreement(self) -> Shares:
        """The expected agreement of independent random masks of these densities: d₁d₂ + (1 − d₁)(1 − d₂)."""
        one, other = self.density()[:, :, None], self.density()[:, None, :]
        return one * other + (1 - one) * (1 - other)

    def expected_jaccard(self) -> Shares:
        """E|A ∩ B| / E|A ∪ B| of independent random masks of these densities: a ratio of expectations.

        d₁d₂ / (d₁ + d₂ − d₁d₂). For a model of n bits it is the expected ratio up to terms of order 1/n.
        """
        one, other = self.density()[:, :, None], self.density()[:, None, :]
        return _share(one * other, one + other - one * other)


@dataclass(frozen=True)
class SetSimilarity:
    """The overlap of the masks of all L rows at once, in G groups of sites.

    Attributes:
        groups: The names of the G groups.
        bits: int64 [G], the size of one mask.
        kept: int64 [G, L], the size of each row's mask.
        intersection: int64 [G], the bits that all rows keep.
        union: int64 [G], the bits that any row keeps.
    """

    groups: tuple[str, ...]
    bits: Counts
    kept: Counts
    intersection: Counts
    union: Counts

    def agreement(self) -> Shares:
        """Share of positions that all rows keep or all rows drop (Foroutan et al. 2022), float64 [G]."""
        return (self.bits - self.union + self.intersection) / self.bits

    def jaccard(self) -> Shares:
        """Share of the union that is in the intersection, float64 [G]."""
        return _share(self.intersection, self.union)

    def expected_agreement(self) -> Shares:
        """Π d + Π (1 − d), for independent random masks of the rows' densities d in the group."""
        density = self.kept / self.bits[:, None]
        return density.prod(1) + (1 - density).prod(1)

    def expected_jaccard(self) -> Shares:
        """Π d / (1 − Π (1 − d)): the ratio of the expected intersection to the expected union."""
        density = self.kept / self.bits[:, None]
        return _share(density.prod(1), 1 - (1 - density).prod(1))


def similarities(ticket: Ticket, *groupings: str) -> list[Similarity]:
    """Compare all pairs of rows by several groupings: `all`, `layer`, `component`, `site`. Bits are counted once."""
    counts, compared = pair_counts(ticket.masks), []
    for by in groupings:
        names, bits, (common,) = _grouped(ticket.masks, by, counts)
        compared.append(Similarity(ticket.languages, names, bits, common))
    return compared


def similarity(ticket: Ticket, by: str = "all") -> Similarity:
    """Compare all pairs of rows, by `all`, `layer`, `component` or `site`."""
    return similarities(ticket, by)[0]


def set_similarity(ticket: Ticket, by: str = "all") -> SetSimilarity:
    """Compare all rows at once, by `all`, `layer`, `component` or `site`."""
    names, bits, counts = _grouped(ticket.masks, by, ticket.masks.counts(), *overlap_counts(ticket.masks))
    return SetSimilarity(names, bits, *counts)


class Neighbour(NamedTuple):
    """A row that is compared with another: the Jaccard index, its value by chance, and the agreement."""

    language: str
    jaccard: float
    expected: float
    agreement: float


def nearest(compared: Similarity, language: str, count: int = 5) -> list[Neighbour]:
    """The rows that are most like one row, by the Jaccard index in the first group; ties in the order of the rows."""
    row = compared.rows.index(language)
    jaccard, agreement = compared.jaccard()[0, row], compared.agreement()[0, row]
    expected = compared.expected_jaccard()[0, row]
    others = [other for other in np.argsort(-jaccard, kind="stable").tolist() if other != row]
    return [
        Neighbour(compared.rows[other], float(jaccard[other]), float(expected[other]), float(agreement[other]))
        for other in others[: max(count, 0)]
    ]


def union(ticket: Ticket, languages: Sequence[str]) -> Ticket:
    """A ticket of one row that keeps what any of the rows keeps."""
    return _combined(ticket, languages, "union", np.bitwise_or.reduce)


def intersection(ticket: Ticket, languages: Sequence[str]) -> Ticket:
    """A ticket of one row that keeps what all of the rows keep."""
    return _combined(ticket, languages, "intersection", np.bitwise_and.reduce)


def difference(ticket: Ticket, languages: Sequence[str]) -> Ticket:
    """A ticket of one row that keeps what the first row keeps and none of the others does."""
    return _combined(ticket, languages, "difference", lambda words: words[0] & ~np.bitwise_or.reduce(words[1:], axis=0))


def _combined(
    ticket: Ticket,
    languages: Sequence[str],
    name: str,
    combine: Callable[[NDArray[np.uint64]], NDArray[np.uint64]],
) -> Ticket:
    if not languages:
        raise PolyticketError(f"{name} of no rows", where="ticket", expected="at least one row")
    words = ticket.masks.words[[ticket.row(language) for language in languages]]
    provenance = {"operation": name, "of": list(languages), "source": ticket.provenance}
    masks = Masks(combine(words)[None], ticket.masks.shapes)
    return Ticket((f"{name} of {', '.join(languages)}",), masks, provenance, ticket.unit)


def stack_tickets(tickets: Sequence[tuple[str, Ticket]]) -> Ticket:
    """One ticket of all rows of several tickets, to compare them. Each row is named ``<ticket>:<row>``.

    A pooler that only some tickets prune is left out: tasks that do not read the pooler have no mask of it.

    Args:
        tickets: Name and ticket; all of one unit, with the same sites and shapes.

    Raises:
        PolyticketError: The tickets are of different models.
    """
    shared = set.intersection(*(set(ticket.masks) for _, ticket in tickets))
    first, masks = tickets[0][1], []
    for name, other in tickets:
        masks.append(other.masks.only([site for site in other.masks if site in shared or layer_of(site) != POOLER]))
        if (other.unit, masks[-1].shapes) != (first.unit, masks[0].shapes):
            expected = f"unit, sites and shapes of {tickets[0][0]}"
            raise PolyticketError("cannot be compared with the first ticket", where=name, expected=expected)
    rows = [f"{name}:{language}" for name, ticket in tickets for language in ticket.languages]
    words = np.concatenate([each.words for each in masks])
    return Ticket(rows, Masks(words, masks[0].shapes), unit=first.unit)


def pair_counts(masks: Masks) -> Counts:
    """|A ∩ B| of all pairs of rows at every site, int64 [S, L, L]."""
    rows = len(masks.words)
    counts = np.zeros((len(masks), rows, rows), np.int64)
    for sites, words, starts in _blocks(masks):
        for row in range(rows):
            bits = np.bitwise_count(words[row] & words[row:])
            counts[sites, row, row:] += np.add.reduceat(bits, starts, axis=1, dtype=np.int64).T
    upper = np.triu_indices(rows, 1)
    counts[:, upper[1], upper[0]] = counts[:, upper[0], upper[1]]
    return counts


def overlap_counts(masks: Masks) -> tuple[Counts, Counts]:
    """The sizes of the intersection and of the union of all rows at every site, two int64 [S]."""
    intersection, union = np.zeros(len(masks), np.int64), np.zeros(len(masks), np.int64)
    for sites, words, starts in _blocks(masks):
        for counts, operation in ((intersection, np.bitwise_and), (union, np.bitwise_or)):
            bits = np.bitwise_count(operation.reduce(words, axis=0))
            counts[sites] += np.add.reduceat(bits, starts, dtype=np.int64)
    return intersection, union


def _blocks(masks: Masks) -> list[tuple[slice, NDArray[np.uint64], Counts]]:
    """Columns of words, a block at a time: the sites of the block, its words, and where each site begins in it."""
    blocks = []
    for first in range(0, masks.words.shape[1], BLOCK):
        last = min(first + BLOCK, masks.words.shape[1])
        sites = slice(
            int(np.searchsorted(masks.starts, first, side="right")) - 1, int(np.searchsorted(masks.starts, last))
        )
        blocks.append((sites, masks.words[:, first:last], np.maximum(masks.starts[sites] - first, 0)))
    return blocks


def _grouped(masks: Masks, by: str, *counts: Counts) -> tuple[tuple[str, ...], Counts, list[Counts]]:
    groups = groups_of(masks, by)
    sizes = np.array(list(masks.sizes.values()), np.int64)
    summed = [np.array([each[indices].sum(0) for indices in groups.values()]) for each in (sizes, *counts)]
    return tuple(groups), summed[0], summed[1:]


def _share(part: NDArray[np.generic], whole: NDArray[np.generic]) -> Shares:
    with np.errstate(invalid="ignore"):
        return np.true_divide(part, whole)


WHOLE, POOLER = "all", "pooler"


_LAYER = re.compile(r"(?:^|.*\.)(encoder|decoder)\.(layer|block)\.(\d+)\.(.+)$")


_COMPONENTS = {
    "attention.self.attention_mask": "query·key",
    "attention.self.value_attention_mask": "value",
    "attention.output.output_mask": "attention output",
    "intermediate.intermediate_mask": "intermediate",
    "output.layer_mask": "output",
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "attention output",
    "intermediate.dense": "intermediate",
    "output.dense": "output",
}


_T5 = {"SelfAttention": "self-attention ", "EncDecAttention": "cross-attention ", "DenseReluDense": ""}


def layer_of(site: str) -> str:
    """`layer 3` for BERT, `encoder layer 3` or `decoder layer 3` for T5; without a layer, `pooler` or the site's name.

    Args:
        site: A mask site, or a weight matrix (`….weight`).
    """
    if match := _LAYER.fullmatch(site):
        side, kind, number, _ = match.groups()
        return f"{side} layer {number}" if kind == "block" else f"layer {number}"
    return POOLER if POOLER in site else site


def component_of(site: str) -> str:
    """`query·key`, `value`, `intermediate` and so on. For T5 they also name the side and the kind of attention."""
    if not (match := _LAYER.fullmatch(site)):
        return layer_of(site)
    side, kind, _, rest = match.groups()
    rest = rest.removesuffix(".weight")
    if kind == "layer":
        return _COMPONENTS.get(rest, rest)
    *_, module, matrix = rest.split(".") if "." in rest else ("", rest)
    return f"{side} {_T5.get(module, module + ' ')}{matrix}"


def natural(site: str) -> list[tuple[int, str]]:
    """A key that sorts layer 2 before layer 10."""
    return [(int(text or 0), "") if index % 2 else (0, text) for index, text in enumerate(re.split(r"(\d+)", site))]


def _whole(_: str) -> str:
    return WHOLE


def _is_decoder(site: str) -> bool:
    match = _LAYER.fullmatch(site)
    return match is not None and match.group(1) == "decoder"


GROUPINGS: dict[str, Callable[[str], str]] = {"all": _whole, "layer": layer_of, "component": component_of, "site": str}


def groups_of(sites: Iterable[str], by: str) -> dict[str, list[int]]:
    """Group to the indices of its sites, in the order of the model: an encoder before its decoder."""
    names = list(sites)
    groups: dict[str, list[int]] = {}
    for index in sorted(range(len(names)), key=lambda index: (_is_decoder(names[index]), natural(names[index]))):
        groups.setdefault(GROUPINGS[by](names[index]), []).append(index)
    return groups
