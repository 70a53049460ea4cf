"""The scores of all runs, tasks and languages as one table."""

from polyticket.figures.table import score_row, write_page, write_scores
from polyticket.files import read_json
from polyticket.logs import logged


def main(results: list[str], baselines: list[str], table: str, page: str, *, runs: list[str]) -> None:
    floors = {(floor["task"], floor["language"]): floor for floor in map(read_json, baselines)}
    found = zip(runs, map(read_json, results), strict=True)
    rows = [score_row(run, result, floors.get((result["task"], result["language"]))) for run, result in found]
    write_scores(rows, table)
    write_page(rows, page)


with logged(snakemake.log[0]):
    main(
        list(snakemake.input.results),
        list(snakemake.input.baselines),
        snakemake.output.table,
        snakemake.output.page,
        runs=list(snakemake.params.runs),
    )
