"""The distributions of scores by site, by language and by method."""

from polyticket.core.logs import logged
from polyticket.figures.saliency import plot_saliency
from polyticket.saliency.score_files import read_saliency


def main(scores: list[str], figure: str, *, methods: list[str], languages: list[str], remain_ratio: float) -> None:
    files = iter(scores)
    found = {method: {language: read_saliency(next(files)).scores for language in languages} for method in methods}
    plot_saliency(found, figure, remain_ratio=remain_ratio)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            list(snakemake.input.scores),
            snakemake.output.figure,
            **{k: snakemake.params[k] for k in ("methods", "languages", "remain_ratio")},
        )
