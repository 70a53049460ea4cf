"""Retrieval of parallel sentences by layer, the dense encoder beside pruned ones."""

from polyticket.core.files import read_json
from polyticket.core.logs import logged
from polyticket.figures.curves import plot_retrieval


def main(scores: list[str], figure: str, *, runs: list[str], margin: str) -> None:
    found: dict[str, list] = {run: [] for run in runs}
    for run, path in zip(runs, scores, strict=True):
        found[run].append(read_json(path))
    plot_retrieval(found, figure, margin=margin)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            list(snakemake.input.scores),
            snakemake.output.figure,
            runs=list(snakemake.params.runs),
            margin=snakemake.params.margin,
        )
