"""The overlap of masks, pair by pair and set by set: of whole masks, by layer and by component, with chance levels.

A row of a ticket may be a language, a task or a seed, and a bit may be a weight or a neuron. Sites are counted once and
summed by group, so that every site of a group counts, whatever the model's depth or names.

There are two chance levels. *Expected* assumes independent random masks of the rows' densities in the group. *Expected
by matrix* assumes independent random masks that keep as much of each matrix as the rows do: a global threshold gives
all masks similar densities in each matrix, which alone increases their overlap. An expected Jaccard index is the ratio
of the expectations.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from polyticket.analysis.row_names import (
    differs,
    fields_of,
    kind_of,
    language_of,
    require_distinct,
    sets_of,
    varying_of,
)
from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.core.tables import Row, read_rows
from polyticket.tickets.algebra import (
    SetSimilarity,
    Shares,
    Similarity,
    groups_of,
    intersection,
    set_similarity,
    similarity,
    stack_tickets,
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


def join_tickets(tickets: Sequence[tuple[str, Ticket]]) -> Ticket:
    """Join tickets into one that has all their rows.

    Args:
        tickets: Name, such as ``ner/fr/1/50``, and ticket. The row of a ticket with one row gets the ticket's name.
            Rows of a ticket with several get the name ``<name>:<row>``; a single such ticket is returned as it is.

    Raises:
        PolyticketError: There is no ticket, two rows have the same name, or the tickets are of different models.
    """
    if not tickets:
        raise PolyticketError("no sub-networks", where="comparison", expected="at least one")
    if len(tickets) == 1 and len(tickets[0][1].languages) > 1:
        return tickets[0][1]
    require_distinct([name for name, _ in tickets], "comparison")
    names = [name for name, ticket in tickets if len(ticket.languages) == 1]
    joined = stack_tickets(tickets)
    if len(names) < len(tickets):
        return joined
    return Ticket(names, joined.masks, unit=joined.unit)


def pair_rows(ticket: Ticket) -> list[Row]:
    """Compare all pairs of rows, each pair once, by `all`, `layer` and `component` (`PAIR_COLUMNS`).

    Pairs whose names state different sparsities are left out.
    """
    sites = similarity(ticket, "site")
    pairs = [pair for pair in _pairs(ticket.languages) if "sparsity" not in differs(*pair)]
    index = {name: number for number, name in enumerate(ticket.languages)}
    rows: list[Row] = []
    for by in GROUPINGS:
        whole, measures = _summed(sites, by)
        for one, other in pairs:
            pair = index[one], index[other]
            names = {"row": one, "other": other, "kind": kind_of(one, other), "differs": "+".join(differs(one, other))}
            for g, group in enumerate(whole.groups):
                counts = {"bits": whole.bits[g], "kept": whole.kept[g, pair[0]], "kept_other": whole.kept[g, pair[1]]}
                values = {name: float(measure[g, *pair]) for name, measure in measures.items()}
                rows.append(names | {"by": by, "group": group, "common": whole.common[g, *pair]} | counts | values)
    return rows


def set_rows(ticket: Ticket) -> list[Row]:
    """Compare the rows of each set of `sets_of`, by `all`, `layer` and `component` (`SET_COLUMNS`).

    Agreement is the share of positions where all rows keep or all prune (Foroutan et al. 2022, arXiv 2205.12672);
    `kept_by_all` is the intersection of the set as a share of all positions.
    """
    rows: list[Row] = []
    for name, members in sets_of(ticket.languages).items():
        about = {"set": name, "of": varying_of(name), "rows": len(members)}
        sites = set_similarity(_chosen(ticket, members), "site")
        for by in GROUPINGS:
            rows += (about | {"by": by} | row for row in _set_groups(sites, by))
    return rows


def density_rows(ticket: Ticket) -> list[Row]:
    """The density of each row, by `all`, `layer` and `component` (`DENSITY_COLUMNS`)."""
    counts, sizes = ticket.masks.counts(), np.array(list(ticket.masks.sizes.values()), np.int64)
    rows: list[Row] = []
    for number, name in enumerate(ticket.languages):
        for by in GROUPINGS:
            for group, sites in groups_of(ticket.masks, by).items():
                bits, kept = int(sizes[sites].sum()), int(counts[sites, number].sum())
                shares = {"density": kept / bits, "sparsity": 1 - kept / bits}
                rows.append({"row": name, "by": by, "group": group, "bits": bits, "kept": kept} | shares)
    return rows


def intersections(ticket: Ticket) -> Ticket:
    """The intersection of each set of `sets_of`: a ticket with a row per set.

    Raises:
        PolyticketError: There is no set of two rows.
    """
    sets = sets_of(ticket.languages)
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
    """The counts of sites summed by group, and the measures, float64 [G, L, L]."""
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
    """All `MEASURES`; `every` and `some` are the expected intersection and union by matrix."""
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
    """The sparsity in a row's name; empty if the name has none."""
    fields = fields_of(name)
    return fields.sparsity if fields else ""


BEYOND = "jaccard_beyond_chance"
SUMMARY_COLUMNS = (
    *("sparsity", "by", "group", "kind", "differs", "pairs", *MEASURES),
    *("jaccard_least", "jaccard_most"),
)
EVERY = "any"


def read_pairs(path: Pathlike) -> list[Row]:
    """Read a table of `pair_rows`, with its measures as numbers.

    Raises:
        PolyticketError: It is no such table; names the file and line.
    """
    return read_rows(path, PAIR_COLUMNS, MEASURES)


def summary_rows(pairs: Sequence[Row]) -> list[Row]:
    """Means over the pairs of each kind, by sparsity and group (`SUMMARY_COLUMNS`).

    A kind has a row for each set of fields that its pairs differ in (such as `language` and `language+seed`), and one
    for all of them, with `any`. The pairs of one kind share rows, so their spread is no standard error.

    Args:
        pairs: Of `pair_rows`. Pairs whose names have no fields are left out.
    """
    import pandas as pd  # of the extra `report`; tickets are compared without it

    table = pd.DataFrame(list(pairs), columns=list(PAIR_COLUMNS))
    table = table[table["kind"] != ""].assign(sparsity=lambda kept: kept["row"].map(sparsity_of))
    table = pd.concat([table.assign(differs=EVERY), table]).sort_index(kind="stable")
    groups = table.groupby(["sparsity", "by", "group", "kind", "differs"], sort=False)
    jaccards = groups["jaccard"]
    extremes = {"pairs": groups.size(), "jaccard_least": jaccards.min(), "jaccard_most": jaccards.max()}
    summary = groups[list(MEASURES)].mean().assign(**extremes).reset_index()
    return [{str(name): value for name, value in row.items()} for row in summary.to_dict("records")]


def row_matrix(
    pairs: Sequence[Row], measure: str = "jaccard", *, sparsity: str | None = None, where: object = "pairs"
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """One measure of the whole masks as a symmetric matrix of rows.

    The diagonal is 1, or 0 for `jaccard_beyond_chance`.

    Args:
        pairs: A table of pairs.
        measure: One of `MEASURES`, or `jaccard_beyond_chance`: the Jaccard index less the one expected by
            matrix.
        sparsity: Only rows of this sparsity; None for all rows.
        where: The file, for errors.

    Returns:
        The R rows in the order of the table, and float64 [R, R].

    Raises:
        PolyticketError: There is no pair of this sparsity, the measure is unknown, or a pair of two rows is missing.
    """
    chosen = [row for row in pairs if row["by"] == "all" and sparsity in (None, sparsity_of(row["row"]))]
    names = list(dict.fromkeys(name for row in chosen for name in (row["row"], row["other"])))
    if not names:
        raise PolyticketError(f"no pairs of sparsity {sparsity}", where=where, expected="at least two rows of it")
    matrix = np.full((len(names),) * 2, np.nan)
    np.fill_diagonal(matrix, 0.0 if measure == BEYOND else 1.0)
    given = np.eye(len(names), dtype=bool)
    for row in chosen:
        one, other = names.index(row["row"]), names.index(row["other"])
        matrix[one, other] = matrix[other, one] = value_of(row, measure)
        given[one, other] = given[other, one] = True
    if not given.all():
        one, other = np.argwhere(~given)[0]
        raise PolyticketError(
            f"no pair of {names[one]} and {names[other]}", where=where, expected="one sparsity, all pairs"
        )
    return tuple(names), matrix


def value_of(row: Row, measure: str) -> float:
    """A measure of a pair.

    Raises:
        PolyticketError: The measure is unknown.
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
    """One measure as a symmetric matrix of languages: the mean over all pairs of rows of a task and two languages.

    A row whose name has no fields, as in a multilingual ticket, is named by its language.

    Args:
        pairs: A table of pairs.
        measure: See `row_matrix`.
        task: Only this task; None for all (pairs of two tasks are never counted).
        sparsity: Only this sparsity; None for all.
        where: The file, for errors.

    Returns:
        The L languages in the order of the table, and float64 [L, L]; the diagonal is NaN.

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
    matrix = np.full((len(names),) * 2, np.nan)
    for i, one in enumerate(names):
        for j, other in enumerate(names):
            if i != j:
                matrix[i, j] = np.mean(sums.get((one, other), [np.nan]))
    off_diagonal = ~np.eye(len(names), dtype=bool)
    if len(names) < 2 or np.isnan(matrix[off_diagonal]).any():
        what = f"task {task}, sparsity {sparsity}"
        raise PolyticketError(f"no {measure} of all pairs of languages ({what})", where=where, expected="all pairs")
    return tuple(names), matrix


def _is_of(one: str, other: str, task: str | None, sparsity: str | None) -> bool:
    a, b = fields_of(one), fields_of(other)
    if a is None or b is None:
        return True
    same = a.task == b.task and a.sparsity == b.sparsity
    return same and task in (None, a.task) and sparsity in (None, a.sparsity)
