"""The scores of sub-networks as one table, a row per pruning, source, seed and level of sparsity."""

from polyticket.files import read_json
from polyticket.logs import logged
from polyticket.subnetworks.levels_table import COLUMNS, level_rows
from polyticket.subnetworks.tidy import write_rows


def main(levels: list[str], table: str) -> None:
    write_rows(table, COLUMNS, [row for path in levels for row in level_rows(read_json(path))])


with logged(snakemake.log[0]):
    main(list(snakemake.input.levels), snakemake.output.table)
