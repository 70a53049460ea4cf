"""How alike sub-networks are: pairs and sets, in all, by layer and by component, beside what chance gives.

A row may be a language, a task or a seed; a bit a weight or a neuron. Sites are counted once and summed by group, so
that every site of a group counts, whatever the model's depth or names.

Two levels of chance. *Expected* takes independent random masks of the rows' densities in the group. *Expected by
matrix* takes those that keep as much of each matrix as the rows do: masks that a global threshold cut share the
densities of their matrices, and meet more often for that alone. Expected Jaccard is the ratio of the expectations.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from polyticket.analysis.row_names import differs, fields_of, kind_of, require_distinct, sets_of, varying_of
from polyticket.analysis.tidy import Row
from polyticket.core.errors import PolyticketError
from polyticket.tickets.algebra import (
    SetSimilarity,
    Shares,
    Similarity,
    intersection,
    set_similarity,
    similarity,
    stacked,
)
from polyticket.tickets.masks import Masks
from polyticket.tickets.parts import groups_of
from polyticket.tickets.ticket import Ticket

GROUPINGS = ("all", "layer", "component")
MEASURES = (
    *("agreement", "expected_agreement", "expected_agreement_by_matrix"),
    *("jaccard", "expected_jaccard", "expected_jaccard_by_matrix"),
)
PAIR_COLUMNS = ("row", "other", "kind", "differs", "by", "group", "bits", "kept", "kept_other", "common", *MEASURES)
SET_COLUMNS = (
    *("set", "of", "rows", "by", "group", "bits", "intersection", "union", "mean_density"),
    *("kept_by_all", "expected_kept_by_all", "expected_kept_by_all_by_matrix", *MEASURES),
)
DENSITY_COLUMNS = ("row", "by", "group", "bits", "kept", "density", "sparsity")


def together(tickets: Sequence[tuple[str, Ticket]]) -> Ticket:
    """One ticket of all rows of several: a ticket of one row gives its row the ticket's name.

    Args:
        tickets: Name, such as ``ner/fr/1/50``, and ticket. Rows of a ticket of many are named ``<name>:<row>``; of one
            such ticket alone they keep their own names.

    Raises:
        PolyticketError: There is none, two rows have one name, or the tickets are of different models.
    """
    if not tickets:
        raise PolyticketError("no sub-networks", where="comparison", expected="at least one")
    if len(tickets) == 1 and len(tickets[0][1].languages) > 1:
        return tickets[0][1]
    require_distinct([name for name, _ in tickets], "comparison")
    names = [name for name, one in tickets if len(one.languages) == 1]
    found = stacked(tickets)
    if len(names) < len(tickets):
        return found
    return Ticket(names, found.masks, unit=found.unit)


def pair_rows(ticket: Ticket, *, same_sparsity: bool = True) -> list[Row]:
    """Compare all pairs of rows, each pair once, by `all`, `layer` and `component` (`PAIR_COLUMNS`).

    Args:
        ticket: The sub-networks.
        same_sparsity: Leave out pairs whose names say different sparsities.
    """
    sites = similarity(ticket, "site")
    pairs = [pair for pair in _pairs(ticket.languages) if not (same_sparsity and "sparsity" in differs(*pair))]
    places = {name: at for at, name in enumerate(ticket.languages)}
    found = []
    for by in GROUPINGS:
        whole, measures = _summed(sites, by)
        for one, other in pairs:
            at = places[one], places[other]
            about = {"row": one, "other": other, "kind": kind_of(one, other), "differs": "+".join(differs(one, other))}
            for g, group in enumerate(whole.groups):
                counts = {"bits": whole.bits[g], "kept": whole.kept[g, at[0]], "kept_other": whole.kept[g, at[1]]}
                values = {name: float(measure[g, *at]) for name, measure in measures.items()}
                found.append(about | {"by": by, "group": group, "common": whole.common[g, *at]} | counts | values)
    return found


def set_rows(ticket: Ticket, sets: dict[str, tuple[str, ...]] | None = None) -> list[Row]:
    """Compare the rows of each set at once, by `all`, `layer` and `component` (`SET_COLUMNS`).

    Agreement is the share of positions where all keep or all drop (Foroutan et al. 2022, arXiv 2205.12672); what all
    keep of all positions is `kept_by_all`, the intersection of the set.

    Args:
        ticket: The sub-networks.
        sets: Name to rows; by default those that differ in language, task or seed alone.
    """
    found: list[Row] = []
    for name, rows in (sets_of(ticket.languages) if sets is None else sets).items():
        about = {"set": name, "of": varying_of(name), "rows": len(rows)}
        sites = set_similarity(_chosen(ticket, rows), "site")
        for by in GROUPINGS:
            found += (about | {"by": by} | row for row in _set_groups(sites, by))
    return found


def density_rows(ticket: Ticket) -> list[Row]:
    """What each row keeps, by `all`, `layer` and `component` (`DENSITY_COLUMNS`)."""
    counts, sizes = ticket.masks.counts(), np.array(list(ticket.masks.sizes.values()), np.int64)
    found = []
    for at, name in enumerate(ticket.languages):
        for by in GROUPINGS:
            for group, places in groups_of(ticket.masks, by).items():
                bits, kept = int(sizes[places].sum()), int(counts[places, at].sum())
                share = {"density": kept / bits, "sparsity": 1 - kept / bits}
                found.append({"row": name, "by": by, "group": group, "bits": bits, "kept": kept} | share)
    return found


def intersections(ticket: Ticket, sets: dict[str, tuple[str, ...]] | None = None) -> Ticket:
    """What all rows of each set keep, at every site: a ticket with a row per set.

    Args:
        ticket: The sub-networks.
        sets: Name to rows; by default those that differ in language, task or seed alone.

    Raises:
        PolyticketError: There is no set of two rows.
    """
    sets = sets_of(ticket.languages) if sets is None else sets
    if not sets:
        raise PolyticketError("no two rows that differ in one thing", where="intersection", expected="at least two")
    words = np.concatenate([intersection(ticket, rows).masks.words for rows in sets.values()])
    made = {"operation": "intersection", "of": {name: list(rows) for name, rows in sets.items()}}
    return Ticket(list(sets), Masks(words, ticket.masks.shapes), made, ticket.unit)


def _pairs(rows: Sequence[str]) -> Iterator[tuple[str, str]]:
    return ((one, other) for at, one in enumerate(rows) for other in rows[at + 1 :])


def _chosen(ticket: Ticket, rows: Sequence[str]) -> Ticket:
    return Ticket(rows, ticket.masks.rows([ticket.row(name) for name in rows]), unit=ticket.unit)


def _summed(sites: Similarity, by: str) -> tuple[Similarity, dict[str, Shares]]:
    """Counts of sites summed by group, and the measures, float64 [G, L, L]."""
    groups = groups_of(sites.groups, by)
    bits, common = (_sums(counts, groups) for counts in (sites.bits, sites.common))
    whole = Similarity(sites.rows, tuple(groups), bits, common)
    kept = sites.kept.astype(np.float64)
    chance = _sums(kept[:, :, None] * kept[:, None, :] / sites.bits[:, None, None], groups)
    either = whole.kept[:, :, None] + whole.kept[:, None, :] - chance
    return whole, _measures(whole, bits[:, None, None], chance, either)


def _set_groups(sites: SetSimilarity, by: str) -> Iterator[Row]:
    groups = groups_of(sites.groups, by)
    counts = (sites.bits, sites.kept, sites.intersection, sites.union)
    whole = SetSimilarity(tuple(groups), *(_sums(one, groups) for one in counts))
    density = sites.kept / sites.bits[:, None]
    every, some = (_sums(share * sites.bits, groups) for share in (density.prod(1), 1 - (1 - density).prod(1)))
    measures = _measures(whole, whole.bits, every, some)
    for g, group in enumerate(whole.groups):
        bits = int(whole.bits[g])
        yield {
            "group": group,
            "bits": bits,
            "intersection": int(whole.intersection[g]),
            "union": int(whole.union[g]),
            "mean_density": float(whole.kept[g].mean()) / bits,
            "kept_by_all": int(whole.intersection[g]) / bits,
            "expected_kept_by_all": float((whole.kept[g] / bits).prod()),
            "expected_kept_by_all_by_matrix": float(every[g]) / bits,
            **{name: float(measure[g]) for name, measure in measures.items()},
        }


def _measures(
    whole: Similarity | SetSimilarity, bits: NDArray[np.int64], every: Shares, some: Shares
) -> dict[str, Shares]:
    """All `MEASURES`; `every` and `some` are what chance by matrix keeps in common and in either."""
    with np.errstate(invalid="ignore", divide="ignore"):
        by_matrix = (bits - some + every) / bits, every / some
    return {
        "agreement": whole.agreement(),
        "expected_agreement": whole.expected_agreement(),
        "expected_agreement_by_matrix": by_matrix[0],
        "jaccard": whole.jaccard(),
        "expected_jaccard": whole.expected_jaccard(),
        "expected_jaccard_by_matrix": by_matrix[1],
    }


def _sums(counts: NDArray, groups: dict[str, list[int]]) -> NDArray:
    return np.array([counts[places].sum(0) for places in groups.values()])


def sparsity_of(name: str) -> str:
    """The sparsity that a row's name says; empty where it says none."""
    fields = fields_of(name)
    return fields.sparsity if fields else ""
