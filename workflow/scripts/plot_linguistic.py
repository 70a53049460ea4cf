"""The tree of tickets beside the family tree, and similarity of tickets against each kind of distance."""

from polyticket.analysis.linguistic import read_all_distances, similarity_in
from polyticket.core.files import read_json
from polyticket.core.logs import logged
from polyticket.figures.linguistic import plot_linguistic


def main(facts: str, distances: list[str], figure: str) -> None:
    found = read_json(facts)
    kinds = read_all_distances(distances, [row["kind"] for row in found["kinds"]], found["languages"])
    measure = found["options"]["measure"].replace("_", " ")
    plot_linguistic(similarity_in(found), kinds, found["kinds"], found["trees"], figure, measure=measure)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(snakemake.input.facts, list(snakemake.input.distances), snakemake.output.figure)
