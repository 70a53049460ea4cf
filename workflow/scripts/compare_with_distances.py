"""How alike the tickets of languages are, against linguistic distances of each kind and the family tree."""

from polyticket.analysis.linguistic import KIND_COLUMNS, facts_of, kind_rows, read_kinds, tree_facts
from polyticket.analysis.overlap import language_matrix, read_pairs
from polyticket.analysis.tidy import write_rows
from polyticket.core.files import write_json
from polyticket.core.logs import logged


def main(pairs: str, distances: list[str], table: str, facts: str, *, kinds: list[str], options: dict) -> None:
    chosen = {key: options[key] for key in ("task", "sparsity")}
    languages, similarity = language_matrix(read_pairs(pairs), options["measure"], **chosen, where=pairs)
    found, chance = read_kinds(distances, kinds, languages), {key: options[key] for key in ("permutations", "seed")}
    rows = kind_rows(similarity, found, method=options["method"], **chance)
    trees = tree_facts(similarity, found, family=options["family"], **chance)
    write_rows(table, KIND_COLUMNS, rows)
    write_json(facts, facts_of(languages, similarity, rows, trees, **options))


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
