"""Tabulate the transfer of masks: a row per mask source, a column per language."""

from polyticket.analysis.transfer import transfer_table, write_transfer
from polyticket.core.files import read_json, write_json
from polyticket.core.logs import logged


def main(results: list[str], matrix: str, table: str) -> None:
    transfer = transfer_table([read_json(path) for path in results])
    write_json(matrix, transfer)
    write_transfer(transfer, table)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(list(snakemake.input.results), snakemake.output.matrix, snakemake.output.table)
