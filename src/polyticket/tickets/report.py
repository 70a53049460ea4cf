"""Tickets as text: the density of each row, and comparisons of the rows of one or several tickets."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.tickets.algebra import (
    SetSimilarity,
    Similarity,
    groups_of,
    nearest,
    set_similarity,
    similarity,
    stack_tickets,
)
from polyticket.tickets.ticket import Ticket, read_ticket

MEASURES = ("jaccard", "agreement", "intersection", "union", "difference")
Rows = Iterable[Sequence[str]]


def show_ticket(path: Pathlike, *, by: str = "component", tsv: bool = False) -> str:
    """The provenance of a ticket, and the density of each row: overall, and of each layer, component or site.

    Args:
        path: A ticket.
        by: `layer`, `component`, `site`, or `all` for the overall density alone.
        tsv: A tab between columns, for programs.

    Raises:
        PolyticketError: The file is no ticket, or is damaged.
    """
    ticket = read_ticket(path)
    kept = ticket.masks.counts()
    sizes = np.array(list(ticket.masks.sizes.values()), np.int64)
    groups = {} if by == "all" else groups_of(ticket.masks, _grouping(by))
    lines = [["language" if ticket.unit == "neuron" else "row", "kept", "density", *groups]]
    for row, language in enumerate(ticket.languages):
        shares = [kept[sites, row].sum() / sizes[sites].sum() for sites in groups.values()]
        overall = kept[:, row].sum() / sizes.sum()
        lines.append([language, f"{kept[:, row].sum()}", f"{overall:.4f}", *(f"{share:.4f}" for share in shares)])
    return "\n".join([*_facts(ticket), "", _table(lines, tsv)])


def compare_tickets(
    paths: Sequence[Pathlike],
    *,
    rows: Sequence[str] = (),
    by: str = "component",
    measure: str = "jaccard",
    tsv: bool = False,
) -> str:
    """Compare rows: all of them at once by group, all pairs as a matrix, and each row with its nearest.

    Args:
        paths: Tickets of one model. The rows of several tickets are named ``<file name>:<row>``.
        rows: The rows to compare, by these names; all if there is none.
        by: The groups of the first table: `layer`, `component`, `site` or `all`.
        measure: The values of the matrix: `jaccard`, `agreement`, `intersection`, `union` or `difference` (the bits
            that the row keeps and the column does not).
        tsv: A tab between columns, for programs.

    Raises:
        PolyticketError: A file is no ticket, tickets are of different models, or a name is unknown.
    """
    if measure not in MEASURES:
        raise PolyticketError(f"unknown measure {measure!r}", where="ticket compare", expected=", ".join(MEASURES))
    ticket = _chosen(_together(paths), rows)
    if len(ticket.languages) < 2:
        raise PolyticketError("one row alone", where="ticket compare", expected="at least two rows")
    sets = [set_similarity(ticket, "all")]
    if _grouping(by) != "all":
        sets.append(set_similarity(ticket, by))
    pairs = similarity(ticket)
    tables = [_set_table(sets), _pair_table(pairs, measure), _nearest_table(pairs)]
    return "\n".join(_table(table, tsv) for table in tables)


def _facts(ticket: Ticket) -> list[str]:
    known = {name: value for name, value in ticket.provenance.items() if name not in ("scores", "budget", "joined")}
    facts = {"unit": ticket.unit, "rows": len(ticket.languages), "sites": len(ticket.masks)}
    facts |= {f"{ticket.unit}s a row": sum(ticket.masks.sizes.values())} | known
    if budget := ticket.provenance.get("budget"):
        facts["budget"] = f"{budget['asked']} asked, {budget['kept']} kept"
    for name, row in ticket.provenance.get("joined", {}).items():
        facts[f"joined: {name}"] = f"by {row.get('rule')}, {row['kept']} kept"
    return [f"{name}: {value}" for name, value in facts.items()]


def _together(paths: Sequence[Pathlike]) -> Ticket:
    tickets = [read_ticket(path) for path in paths]
    if len(tickets) == 1:
        return tickets[0]
    stems = [Path(path).stem for path in paths]
    names = stems if len(set(stems)) == len(stems) else [str(path) for path in paths]
    if not names or len(set(names)) < len(names):
        raise PolyticketError("no files, or one twice", where="ticket compare", expected="different tickets")
    return stack_tickets(list(zip(names, tickets, strict=True)))


def _chosen(ticket: Ticket, rows: Sequence[str]) -> Ticket:
    if not rows:
        return ticket
    if len(set(rows)) < len(rows):
        raise PolyticketError("a row is named twice", where="ticket compare", expected="different rows")
    return Ticket(rows, ticket.masks.rows([ticket.row(name) for name in rows]), unit=ticket.unit)


def _grouping(by: str) -> str:
    if by not in ("all", "layer", "component", "site"):
        raise PolyticketError(f"unknown grouping {by!r}", where="ticket", expected="all, layer, component or site")
    return by


def _set_table(sets: Sequence[SetSimilarity]) -> Rows:
    counts = ("bits", "mean density", "intersection", "union")
    yield ["group", *counts, "agreement", "by chance", "jaccard", "jaccard by chance"]
    for of in sets:
        measures = (of.agreement(), of.expected_agreement(), of.jaccard(), of.expected_jaccard())
        density = of.kept.mean(1) / of.bits
        for g, group in enumerate(of.groups):
            counts = (str(of.bits[g]), f"{density[g]:.4f}", str(of.intersection[g]), str(of.union[g]))
            yield [group, *counts, *(f"{measure[g]:.4f}" for measure in measures)]


def _pair_table(pairs: Similarity, measure: str) -> Rows:
    values = getattr(pairs, measure) if measure in ("union", "difference") else pairs.common
    if measure in ("jaccard", "agreement"):
        values = getattr(pairs, measure)()
    yield [measure, *pairs.rows]
    for language, row in zip(pairs.rows, values[0], strict=True):
        yield [language, *(f"{value:.4f}" if values.dtype.kind == "f" else str(value) for value in row)]


def _nearest_table(pairs: Similarity) -> Rows:
    yield ["row", "nearest", "jaccard", "by chance", "agreement"]
    for language in pairs.rows:
        (other,) = nearest(pairs, language, 1)
        yield [language, other.language, f"{other.jaccard:.4f}", f"{other.expected:.4f}", f"{other.agreement:.4f}"]


def _table(rows: Rows, tsv: bool) -> str:
    cells = [list(row) for row in rows]
    widths = [0 if tsv else max(map(len, column)) for column in zip(*cells, strict=True)]
    gap = "\t" if tsv else "  "
    lines = [
        gap.join(
            cell.rjust(w) if column else cell.ljust(w) for column, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]
    return "".join(line.rstrip() + "\n" for line in lines)
