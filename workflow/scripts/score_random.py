"""Random scores, the control."""

from polyticket.core.logs import logged
from polyticket.saliency.score_files import write_random_scores

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        write_random_scores(
            snakemake.input.model,
            snakemake.output.scores,
            method=snakemake.wildcards.saliency,
            language=snakemake.wildcards.lang,
            language_index=snakemake.params.language_index,
            seed=snakemake.params.seed,
        )
