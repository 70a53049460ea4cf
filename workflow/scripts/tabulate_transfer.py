"""The matrix of transfer of masks, from what each origin, language and seed scored."""

from polyticket.files import read_json, write_json
from polyticket.logs import logged
from polyticket.subnetworks.transfer_table import transfer_table, write_transfer


def main(results: list[str], matrix: str, table: str) -> None:
    made = transfer_table([read_json(path) for path in results])
    write_json(matrix, made)
    write_transfer(made, table)


with logged(snakemake.log[0]):
    main(list(snakemake.input.results), snakemake.output.matrix, snakemake.output.table)
