"""Corpus sizes and sampling ratios of all languages."""

from pathlib import Path

from polyticket.core.files import read_json
from polyticket.core.logs import logged
from polyticket.figures.corpus import corpora_of, plot_corpora


def main(records: list[str], ledgers: list[str], figure: str, *, languages: list[str], options: dict) -> None:
    stats = [read_json(Path(folder) / "stats.json") for folder in records]
    plot_corpora(corpora_of(languages, stats, [read_json(path) for path in ledgers], options), figure)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            list(snakemake.input.records),
            list(snakemake.input.ledgers),
            snakemake.output.figure,
            languages=list(snakemake.params.languages),
            options=dict(snakemake.params.options),
        )
