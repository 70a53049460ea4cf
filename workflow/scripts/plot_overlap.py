"""The overlap of sub-networks and its chance level, a heat map per sparsity."""

from polyticket.analysis.overlap import read_pairs
from polyticket.core.logs import logged
from polyticket.figures.overlap import plot_overlap


def main(pairs: str, figure: str) -> None:
    plot_overlap(read_pairs(pairs), figure)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(snakemake.input.pairs, snakemake.output.figure)
