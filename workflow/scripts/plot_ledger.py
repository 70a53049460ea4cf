"""The pages and lines kept and dropped in each language, and the residual markup, as bars."""

from polyticket.core.logs import logged
from polyticket.figures.ledger import plot_ledgers, read_ledgers


def main(table: str, figure: str) -> None:
    plot_ledgers(read_ledgers(table), figure)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(snakemake.input.table, snakemake.output.figure)
