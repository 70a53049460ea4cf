"""The densities of all tickets as heat maps."""

from polyticket.figures.density import plot_density
from polyticket.files import read_json
from polyticket.logs import logged


def main(stats: list[str], figure: str, *, runs: list[str]) -> None:
    plot_density({run: read_json(path) for run, path in zip(runs, stats, strict=True)}, figure)


with logged(snakemake.log[0]):
    main(list(snakemake.input.stats), snakemake.output.figure, runs=list(snakemake.params.runs))
