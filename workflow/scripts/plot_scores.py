"""Scores on test of all runs, tasks and languages as bars."""

from polyticket.core.logs import logged
from polyticket.figures.scores import plot_scores
from polyticket.figures.tables import read_scores


def main(table: str, figure: str) -> None:
    plot_scores(read_scores(table), figure)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(snakemake.input.table, snakemake.output.figure)
