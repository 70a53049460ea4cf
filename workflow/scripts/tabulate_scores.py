"""The scores of all runs, tasks and languages as one table."""

from polyticket.figures.table import score_row, write_page, write_scores
from polyticket.files import read_json
from polyticket.logs import logged


def main(results: list[str], baselines: list[str], table: str, page: str, *, runs: list[str]) -> None:
    sources = zip(runs, results, baselines, strict=True)
    rows = [score_row(run, read_json(result), read_json(baseline)) for run, result, baseline in sources]
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
