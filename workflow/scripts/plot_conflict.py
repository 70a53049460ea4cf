"""The cosines of all pairs of languages at the last step, run by run."""

from polyticket.conflict.trace import read_table
from polyticket.core.logs import logged
from polyticket.figures.conflict import plot_conflict


def main(tables: list[str], abouts: list[str], figure: str, *, runs: list[str]) -> None:
    plot_conflict({run: read_table(*paths) for run, *paths in zip(runs, tables, abouts, strict=True)}, figure)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            list(snakemake.input.tables),
            list(snakemake.input.abouts),
            snakemake.output.figure,
            runs=list(snakemake.params.runs),
        )
