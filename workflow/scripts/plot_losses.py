"""Loss curves of all runs."""

from polyticket.core.logs import logged
from polyticket.figures.losses import plot_losses, read_curves


def main(histories: list[str], figure: str, *, runs: list[str], phases: list[dict]) -> None:
    plot_losses({run: read_curves(path) for run, path in zip(runs, histories, strict=True)}, phases, figure)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            list(snakemake.input.histories),
            snakemake.output.figure,
            runs=list(snakemake.params.runs),
            phases=list(snakemake.params.phases),
        )
