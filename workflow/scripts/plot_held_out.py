"""Scores on held-out records of all runs and phases."""

from polyticket.core.files import read_json
from polyticket.core.logs import logged
from polyticket.figures.held_out import plot_held_out


def main(scores: list[str], figure: str, *, runs: list[str], languages: list[str]) -> None:
    found: dict[str, list[dict]] = {run: [] for run in runs}
    for run, path in zip(runs, scores, strict=True):
        found[run].append(read_json(path))
    plot_held_out(found, languages, figure)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            list(snakemake.input.scores),
            snakemake.output.figure,
            runs=list(snakemake.params.runs),
            languages=list(snakemake.params.languages),
        )
