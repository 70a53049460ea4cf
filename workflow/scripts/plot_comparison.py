"""Scores of all runs of a task, a row per language, and how they differ from the main run."""

from polyticket.core.files import read_json
from polyticket.core.logs import logged
from polyticket.figures.comparison import plot_comparison


def main(table: str, baselines: list[str], figure: str) -> None:
    plot_comparison(read_json(table), [read_json(path) for path in baselines], figure)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(snakemake.input.table, list(snakemake.input.get("baselines", [])), snakemake.output.figure)
