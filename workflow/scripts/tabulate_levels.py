"""Scores of sub-networks that were fine-tuned afresh: a row per pruning, source, seed and level of sparsity."""

from polyticket.analysis.tidy import write_rows
from polyticket.core.files import read_json
from polyticket.core.logs import logged
from polyticket.pruning.mask_sources import COLUMNS, score_rows


def main(results: list[str], table: str) -> None:
    write_rows(table, COLUMNS, score_rows([read_json(path) for path in results]))


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(list(snakemake.input.results), snakemake.output.table)
