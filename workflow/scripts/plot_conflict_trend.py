"""Conflict between languages over the steps of pretraining, run by run."""

from polyticket.conflict.trace import read_trace
from polyticket.core.logs import logged
from polyticket.figures.conflict import plot_conflict_trend


def main(traces: list[str], figure: str, *, runs: list[str]) -> None:
    plot_conflict_trend({run: read_trace(path) for run, path in zip(runs, traces, strict=True)}, figure)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(list(snakemake.input.traces), snakemake.output.figure, runs=list(snakemake.params.runs))
