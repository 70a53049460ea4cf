"""The cosines of all pairs of languages at one step, as a table."""

from polyticket.conflict.trace import read_trace, table_of, write_table
from polyticket.core.logs import logged


def main(trace: str, table: str, about: str, *, kind: str, step: int) -> None:
    write_table(table_of(read_trace(trace), kind, step, trace), table, about)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            snakemake.input.trace,
            snakemake.output.table,
            snakemake.output.about,
            kind=snakemake.wildcards.kind,
            step=int(snakemake.wildcards.step),
        )
