"""Scores of every prunable site on one language's records, by several methods in one pass."""

from polyticket.core.gpus import claim_gpus
from polyticket.core.logs import logged
from polyticket.saliency.scoring import score_to_files

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        claim_gpus(snakemake.resources.get("gpu", 1))
        score_to_files(
            snakemake.input.records,
            snakemake.input.model,
            list(snakemake.output.scores),
            list(snakemake.output.stats),
            methods=snakemake.params.methods,
            language=snakemake.wildcards.lang,
            **{k: snakemake.params[k] for k in ("options", "seed", "language_index", "threads")},
        )
