"""The similarity of the languages' tickets, run by run."""

from polyticket.core.logs import logged
from polyticket.figures.similarity import panel_of, plot_similarity
from polyticket.tickets.ticket import read_ticket


def main(tickets: list[str], figure: str, *, runs: list[str]) -> None:
    plot_similarity([panel_of(run, read_ticket(path)) for run, path in zip(runs, tickets, strict=True)], figure)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(list(snakemake.input.tickets), snakemake.output.figure, runs=list(snakemake.params.runs))
