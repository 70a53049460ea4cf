"""Tabulate the scores of fine-tunings under masks: a row per pruning, source, seed and level of sparsity."""

from polyticket.analysis.winning import SCORE_COLUMNS, score_rows
from polyticket.core.files import read_json
from polyticket.core.logs import logged
from polyticket.core.tables import write_rows


def main(results: list[str], table: str) -> None:
    write_rows(table, SCORE_COLUMNS, score_rows([read_json(path) for path in results]))


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(list(snakemake.input.results), snakemake.output.table)
