"""Find the highest winning sparsity of each line of scores, and the mean of each level."""

from polyticket.analysis.winning import (
    LEVEL_COLUMNS,
    WINNING_COLUMNS,
    find_winning,
    level_rows,
    read_scores,
    winning_rows,
)
from polyticket.core.logs import logged
from polyticket.core.tables import write_rows


def main(scores: list[str], table: str, levels: str, *, metric: str, by: list[str], higher_is_better: bool) -> None:
    lines = {
        key: find_winning(line, higher_is_better=higher_is_better, where=" ".join(key))
        for key, line in read_scores(scores, metric, by).items()
    }
    write_rows(table, (*by, *WINNING_COLUMNS), winning_rows(lines, by))
    write_rows(levels, (*by, *LEVEL_COLUMNS), level_rows(lines, by))


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            list(snakemake.input.scores),
            snakemake.output.table,
            snakemake.output.levels,
            **{key: snakemake.params[key] for key in ("metric", "by", "higher_is_better")},
        )
