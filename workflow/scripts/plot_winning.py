"""Score against sparsity, beside the spread of the full model, with the highest winning sparsity marked."""

from polyticket.analysis.winning import find_winning, read_scores
from polyticket.core.logs import logged
from polyticket.figures.curves import plot_winning


def main(
    scores: list[str], figure: str, *, metric: str, panel: str, line: str, label: str, higher_is_better: bool
) -> None:
    found = {
        key: find_winning(levels, higher_is_better=higher_is_better, where=" ".join(key))
        for key, levels in read_scores(scores, metric, (panel, line)).items()
    }
    plot_winning(found, figure, score=label)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            list(snakemake.input.scores),
            snakemake.output.figure,
            **{key: snakemake.params[key] for key in ("metric", "panel", "line", "label", "higher_is_better")},
        )
