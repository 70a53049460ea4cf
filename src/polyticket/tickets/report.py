"""Tickets as text: what one holds, and how rows of one or of several compare."""

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
    stacked,
)
from polyticket.tickets.ticket import Ticket, read_ticket

MEASURES = ("jaccard", "agreement", "intersection", "union", "difference")
Rows = Iterable[Sequence[str]]


def shown(path: Pathlike, *, by: str = "component", tsv: bool = False) -> str:
    """How a ticket was made, and what each row keeps: in all, and of each layer, component or site.

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
    head = ["language" if ticket.unit == "neuron" else "row", "kept", "density", *groups]
    lines = [head]
    for row, language in enumerate(ticket.languages):
        shares = [kept[places, row].sum() / sizes[places].sum() for places in groups.values()]
        overall = kept[:, row].sum() / sizes.sum()
        lines.append([language, f"{kept[:, row].sum()}", f"{overall:.4f}", *(f"{share:.4f}" for share in shares)])
    return "\n".join([*_facts(ticket), "", _table(lines, tsv)])


def compared(
    paths: Sequence[Pathlike],
    *,
    rows: Sequence[str] = (),
    by: str = "component",
    measure: str = "jaccard",
    tsv: bool = False,
) -> str:
    """How rows compare: all of them at once by group, all pairs as a matrix, and the nearest row of each.

    Args:
        paths: Tickets of one model. The rows of several are named ``<file name>:<row>``.
        rows: The rows to compare, by these names; all if there is none.
        by: What groups the first table: `layer`, `component`, `site` or `all`.
        measure: What the matrix tells: `jaccard`, `agreement`, `intersection`, `union` or `difference` (what the row
            keeps and the column does not).
        tsv: A tab between columns, for programs.

    Raises:
        PolyticketError: A file is no ticket, tickets are of different models, or a name is unknown.
    """
    if measure not in MEASURES:
        raise PolyticketError(f"unknown measure {measure!r}", where="ticket compare", expected=", ".join(MEASURES))
    ticket = _chosen(_together(paths), rows)
    if len(ticket.languages) < 2:
        raise PolyticketError("one row alone", where="ticket compare", expected="at least two rows")
    found = [set_similarity(ticket, "all")]
    if _grouping(by) != "all":
        found.append(set_similarity(ticket, by))
    pairs = similarity(ticket)
    tables = [_set_table(found), _pair_table(pairs, measure), _nearest_table(pairs)]
    return "\n".join(_table(table, tsv) for table in tables)


def _facts(ticket: Ticket) -> list[str]:
    known = {name: value for name, value in ticket.provenance.items() if name not in ("scores", "budget", "joined")}
    facts = {"unit": ticket.unit, "rows": len(ticket.languages), "sites": len(ticket.masks)}
    facts |= {f"{ticket.unit}s a row": sum(ticket.masks.sizes.values())} | known
    if budget := ticket.provenance.get("budget"):
        facts["budget"] = f"{budget['asked']} asked, {budget['kept']} kept"
    for name, said in ticket.provenance.get("joined", {}).items():
        facts[f"joined: {name}"] = f"by {said.get('rule')}, {said['kept']} kept"
    return [f"{name}: {value}" for name, value in facts.items()]


def _together(paths: Sequence[Pathlike]) -> Ticket:
    tickets = [read_ticket(path) for path in paths]
    if len(tickets) == 1:
        return tickets[0]
    stems = [Path(path).stem for path in paths]
    names = stems if len(set(stems)) == len(stems) else [str(path) for path in paths]
    if not names or len(set(names)) < len(names):
        raise PolyticketError("no files, or one twice", where="ticket compare", expected="different tickets")
    return stacked(list(zip(names, tickets, strict=True)))


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


def _set_table(found: Sequence[SetSimilarity]) -> Rows:
    yield [
        *(
            "group",
            "bits",
            "mean density",
            "intersection",
            "union",
            "agreement",
            "by chance",
            "jaccard",
            "jaccard by chance",
        )
    ]
    for one in found:
        measures = (one.agreement(), one.expected_agreement(), one.jaccard(), one.expected_jaccard())
        density = one.kept.mean(1) / one.bits
        for at, group in enumerate(one.groups):
            counts = [str(one.bits[at]), f"{density[at]:.4f}", str(one.intersection[at]), str(one.union[at])]
            yield [group, *counts, *(f"{measure[at]:.4f}" for measure in measures)]


def _pair_table(found: Similarity, measure: str) -> Rows:
    values = getattr(found, measure) if measure in ("union", "difference") else found.common
    if measure in ("jaccard", "agreement"):
        values = getattr(found, measure)()
    yield [measure, *found.rows]
    for language, row in zip(found.rows, values[0], strict=True):
        yield [language, *(f"{value:.4f}" if values.dtype.kind == "f" else str(value) for value in row)]


def _nearest_table(found: Similarity) -> Rows:
    yield ["row", "nearest", "jaccard", "by chance", "agreement"]
    for language in found.rows:
        (one,) = nearest(found, language, 1)
        yield [language, one.language, f"{one.jaccard:.4f}", f"{one.expected:.4f}", f"{one.agreement:.4f}"]


def _table(rows: Rows, tsv: bool) -> str:
    cells = [list(row) for row in rows]
    widths = [0 if tsv else max(map(len, column)) for column in zip(*cells, strict=True)]
    gap = "\t" if tsv else "  "
    lines = [
        gap.join(cell.rjust(w) if at else cell.ljust(w) for at, (cell, w) in enumerate(zip(row, widths, strict=True)))
        for row in cells
    ]
    return "".join(line.rstrip() + "\n" for line in lines)
