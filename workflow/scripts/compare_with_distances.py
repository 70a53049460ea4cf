"""Compare the tickets of languages with linguistic distances of each kind (Mantel test) and with the family tree."""

from polyticket.analysis.linguistic import (
    MANTEL_COLUMNS,
    compare_trees,
    comparison_facts,
    mantel_rows,
    read_all_distances,
)
from polyticket.analysis.overlap import language_matrix, read_pairs
from polyticket.core.files import write_json
from polyticket.core.logs import logged
from polyticket.core.tables import write_rows


def main(pairs: str, distances: list[str], table: str, facts: str, *, kinds: list[str], options: dict) -> None:
    rows_of = {key: options[key] for key in ("task", "sparsity")}
    languages, similarity = language_matrix(read_pairs(pairs), options["measure"], **rows_of, where=pairs)
    distances_of = read_all_distances(distances, kinds, languages)
    permuting = {key: options[key] for key in ("permutations", "seed")}
    rows = mantel_rows(similarity, distances_of, method=options["method"], **permuting)
    trees = compare_trees(similarity, distances_of, family=options["family"], **permuting)
    write_rows(table, MANTEL_COLUMNS, rows)
    write_json(facts, comparison_facts(languages, similarity, rows, trees, **options))


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            snakemake.input.pairs,
            list(snakemake.input.distances),
            snakemake.output.table,
            snakemake.output.facts,
            kinds=list(snakemake.params.kinds),
            options=dict(snakemake.params.options),
        )
