"""Compare masks pair by pair and set by set, with chance levels; write the intersection of each set."""

from polyticket.analysis.overlap import (
    DENSITY_COLUMNS,
    PAIR_COLUMNS,
    SET_COLUMNS,
    SUMMARY_COLUMNS,
    density_rows,
    intersections,
    join_tickets,
    pair_rows,
    set_rows,
    summary_rows,
)
from polyticket.core.logs import logged
from polyticket.core.tables import write_rows
from polyticket.tickets.ticket import read_ticket, write_ticket


def main(
    tickets: list[str], pairs: str, summary: str, sets: str, densities: str, intersection: str, *, names: list[str]
) -> None:
    ticket = join_tickets([(name, read_ticket(path)) for name, path in zip(names, tickets, strict=True)])
    rows = pair_rows(ticket)
    write_rows(pairs, PAIR_COLUMNS, rows)
    write_rows(summary, SUMMARY_COLUMNS, summary_rows(rows))
    write_rows(sets, SET_COLUMNS, set_rows(ticket))
    write_rows(densities, DENSITY_COLUMNS, density_rows(ticket))
    write_ticket(intersections(ticket), intersection)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            list(snakemake.input.tickets),
            snakemake.output.pairs,
            snakemake.output.summary,
            snakemake.output.sets,
            snakemake.output.densities,
            snakemake.output.intersection,
            names=list(snakemake.params.names),
        )
