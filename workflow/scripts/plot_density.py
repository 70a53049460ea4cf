"""The densities of all tickets as heat maps."""

from polyticket.core.files import read_json
from polyticket.core.logs import logged
from polyticket.figures.density import plot_density


def main(stats: list[str], figure: str, *, runs: list[str]) -> None:
    plot_density({run: read_json(path) for run, path in zip(runs, stats, strict=True)}, figure)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(list(snakemake.input.stats), snakemake.output.figure, runs=list(snakemake.params.runs))
