"""The scores of all runs, tasks and languages as one table, and by class as another."""

from typing import Any

from polyticket.core.files import read_json
from polyticket.core.logs import logged
from polyticket.figures.tables import (
    class_rows,
    score_row,
    write_class_page,
    write_classes,
    write_score_page,
    write_scores,
)


def main(results: list[str], baselines: list[str], outputs: Any, *, runs: list[str]) -> None:
    baseline_of = {(baseline["task"], baseline["language"]): baseline for baseline in map(read_json, baselines)}
    pairs = list(zip(runs, map(read_json, results), strict=True))
    rows = [score_row(run, result, baseline_of.get((result["task"], result["language"]))) for run, result in pairs]
    write_scores(rows, outputs.table)
    write_score_page(rows, outputs.page)
    classes = [row for run, result in pairs for row in class_rows(run, result)]
    write_classes(classes, outputs.classes)
    write_class_page(classes, outputs.class_page)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            list(snakemake.input.results),
            list(snakemake.input.baselines),
            snakemake.output,
            runs=list(snakemake.params.runs),
        )
