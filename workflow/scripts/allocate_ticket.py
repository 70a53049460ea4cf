"""One ticket for all languages: the highest scores within the budget."""

from polyticket.core.logs import logged
from polyticket.tickets.allocation import allocate_files

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        allocate_files(
            list(snakemake.input.scores),
            snakemake.input.model,
            snakemake.output.ticket,
            snakemake.output.stats,
            options={key: snakemake.params.ticket[key] for key in ("floor", "align")},
            scope=snakemake.params.ticket["scope"],
            **{key: snakemake.params[key] for key in ("languages", "saliency", "remain_ratio", "seed")},
        )
