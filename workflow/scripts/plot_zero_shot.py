"""The matrix of transfer between languages as a heat map, a panel per run."""

from polyticket.core.files import read_json
from polyticket.core.logs import logged
from polyticket.figures.matrices import plot_zero_shot


def main(matrices: list[str], figure: str, *, runs: list[str]) -> None:
    plot_zero_shot({run: read_json(path) for run, path in zip(runs, matrices, strict=True)}, figure)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(list(snakemake.input.matrices), snakemake.output.figure, runs=list(snakemake.params.runs))
