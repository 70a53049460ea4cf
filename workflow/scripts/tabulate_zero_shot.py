"""The matrix of transfer between languages, from the scores of each source and seed."""

from polyticket.core.files import read_json, write_json
from polyticket.core.logs import logged
from polyticket.tasks.summary import tabulate, write_matrix
from polyticket.tasks.table import task_named


def main(results: list[str], matrix: str, table: str, *, task_name: str) -> None:
    table_of_means = tabulate(task_named(task_name), [read_json(path) for path in results])
    write_json(matrix, table_of_means)
    write_matrix(table_of_means, table)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            list(snakemake.input.results),
            snakemake.output.matrix,
            snakemake.output.table,
            task_name=snakemake.wildcards.task,
        )
