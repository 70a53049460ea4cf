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

from polyticket.analysis.row_names import (
    OTHER,
    differs,
    fields_of,
    kind_of,
    language_of,
    require_distinct,
    sets_of,
    varying_of,
)
from polyticket.analysis.tidy import Row, read_rows
from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.tickets.algebra import (
    SetSimilarity,
    Shares,
    Similarity,
    groups_of,
    intersection,
    set_similarity,
    similarity,
    stacked,
)
from polyticket.tickets.masks import Masks
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


BEYOND = "jaccard_beyond_chance"
SUMMARY_COLUMNS = (
    *("sparsity", "by", "group", "kind", "differs", "pairs", *MEASURES),
    *("jaccard_least", "jaccard_most"),
)
EVERY = "any"


def read_pairs(path: Pathlike) -> list[Row]:
    """Read a table of pairs, with its shares as numbers.

    Raises:
        PolyticketError: It is no such table; names file and line.
    """
    return read_rows(path, PAIR_COLUMNS, MEASURES)


def summary_rows(pairs: Sequence[Row]) -> list[Row]:
    """Means over the pairs of each kind, by sparsity and group (`SUMMARY_COLUMNS`).

    A kind stands once for each way its pairs differ (such as `language` and `language+seed`) and once, with `any`, for
    all of them. The pairs of one kind share rows, so that their spread is no standard error.

    Args:
        pairs: Of `pair_rows`. Pairs whose names have no fields, and those of two sparsities, are not counted.
    """
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in pairs:
        if row["kind"] in ("", OTHER["sparsity"]):
            continue
        for how in (EVERY, row["differs"]):
            key = sparsity_of(row["row"]), row["by"], row["group"], row["kind"], how
            found.setdefault(key, []).append(row)
    return [_mean(key, rows) for key, rows in found.items()]


def _mean(key: tuple[str, ...], rows: Sequence[Row]) -> Row:
    means = {name: _nanmean([row[name] for row in rows]) for name in MEASURES}
    jaccards = [row["jaccard"] for row in rows if not np.isnan(row["jaccard"])]
    reach = {"jaccard_least": min(jaccards, default=None), "jaccard_most": max(jaccards, default=None)}
    about = dict(zip(("sparsity", "by", "group", "kind", "differs"), key, strict=True))
    return about | {"pairs": len(rows)} | means | reach


def _nanmean(values: Sequence[float]) -> float | None:
    """The mean of those that are known; of none, none."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else None


def row_matrix(
    pairs: Sequence[Row], measure: str = "jaccard", *, sparsity: str | None = None, where: object = "pairs"
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """One measure of the whole masks as a symmetric matrix of rows; the diagonal is 1, of a difference from chance 0.

    Args:
        pairs: A table of pairs.
        measure: One of `MEASURES`, or `jaccard_beyond_chance`: Jaccard less what is expected by matrix.
        sparsity: Take only rows whose names say it; None for all.
        where: The file, for errors.

    Returns:
        The R rows in the order of the table, and float64 [R, R].

    Raises:
        PolyticketError: There is no such pair or measure, or pairs of the rows are missing.
    """
    chosen = [row for row in pairs if row["by"] == "all" and sparsity in (None, sparsity_of(row["row"]))]
    chosen = [row for row in chosen if row["kind"] != OTHER["sparsity"]]
    names = list(dict.fromkeys(name for row in chosen for name in (row["row"], row["other"])))
    if not names:
        raise PolyticketError(f"no pairs of sparsity {sparsity}", where=where, expected="at least two rows of it")
    found = np.full((len(names),) * 2, np.nan)
    np.fill_diagonal(found, 0.0 if measure == BEYOND else 1.0)
    given = np.eye(len(names), dtype=bool)
    for row in chosen:
        one, other = names.index(row["row"]), names.index(row["other"])
        found[one, other] = found[other, one] = value_of(row, measure)
        given[one, other] = given[other, one] = True
    if not given.all():
        one, other = np.argwhere(~given)[0]
        raise PolyticketError(
            f"no pair of {names[one]} and {names[other]}", where=where, expected="one sparsity, all pairs"
        )
    return tuple(names), found


def value_of(row: Row, measure: str) -> float:
    """A measure of a pair.

    Raises:
        PolyticketError: There is no such measure.
    """
    if measure == BEYOND:
        return float(row["jaccard"] - row["expected_jaccard_by_matrix"])
    if measure not in MEASURES:
        raise PolyticketError(f"measure {measure!r}", where="comparison", expected=", ".join((*MEASURES, BEYOND)))
    return float(row[measure])


def language_matrix(
    pairs: Sequence[Row],
    measure: str = "jaccard",
    *,
    task: str | None = None,
    sparsity: str | None = None,
    where: object = "pairs",
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """One measure as a symmetric matrix of languages: the mean over all pairs of rows of one task and two languages.

    Rows without fields, those of a multilingual ticket, are languages themselves.

    Args:
        pairs: A table of pairs.
        measure: See `row_matrix`.
        task: Take only this task; None for all (pairs of two tasks never count).
        sparsity: Take only this sparsity; None for all.
        where: The file, for errors.

    Returns:
        The L languages in the order of the table, and float64 [L, L]; the diagonal is NaN, nothing compares there.

    Raises:
        PolyticketError: Two languages have no pair.
    """
    sums: dict[tuple[str, str], list[float]] = {}
    for row in pairs:
        one, other = language_of(row["row"]), language_of(row["other"])
        if row["by"] == "all" and one != other and _is_of(row["row"], row["other"], task, sparsity):
            sums.setdefault((one, other), []).append(value_of(row, measure))
            sums.setdefault((other, one), []).append(value_of(row, measure))
    names = list(dict.fromkeys(name for pair in sums for name in pair))
    found = np.full((len(names),) * 2, np.nan)
    for i, one in enumerate(names):
        for j, other in enumerate(names):
            if i != j:
                found[i, j] = np.mean(sums.get((one, other), [np.nan]))
    off = ~np.eye(len(names), dtype=bool)
    if len(names) < 2 or np.isnan(found[off]).any():
        what = f"task {task}, sparsity {sparsity}"
        raise PolyticketError(f"no {measure} of all pairs of languages ({what})", where=where, expected="all pairs")
    return tuple(names), found


def _is_of(one: str, other: str, task: str | None, sparsity: str | None) -> bool:
    a, b = fields_of(one), fields_of(other)
    if a is None or b is None:
        return True
    same = a.task == b.task and a.sparsity == b.sparsity
    return same and task in (None, a.task) and sparsity in (None, a.sparsity)
