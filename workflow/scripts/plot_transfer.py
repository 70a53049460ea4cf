"""Scores under masks from elsewhere as a heat map."""

from polyticket.figures.transfer import plot_transfer
from polyticket.files import read_json
from polyticket.logs import logged


def main(matrix: str, figure: str) -> None:
    plot_transfer(read_json(matrix), figure)


with logged(snakemake.log[0]):
    main(snakemake.input.matrix, snakemake.output.figure)
