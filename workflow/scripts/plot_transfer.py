"""Scores under transferred masks as a heat map."""

from polyticket.core.files import read_json
from polyticket.core.logs import logged
from polyticket.figures.matrices import plot_transfer


def main(matrix: str, figure: str) -> None:
    plot_transfer(read_json(matrix), figure)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(snakemake.input.matrix, snakemake.output.figure)
