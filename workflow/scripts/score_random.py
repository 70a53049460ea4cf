"""Noise in place of scores: the control."""

from polyticket.files import folder_sha256
from polyticket.logs import logged
from polyticket.model.folder import read_model
from polyticket.model.sites import prunable_sites
from polyticket.tickets.scores import Saliency, random_scores, write_saliency


def main(model: str, scores: str, *, method: str, language: str, language_index: int, seed: int) -> None:
    noise = random_scores(prunable_sites(read_model(model).shape), seed, language_index)
    made = {"method": method, "language": language, "seed": seed, "initial": folder_sha256(model)}
    write_saliency(Saliency(noise, made), scores)


with logged(snakemake.log[0]):
    main(
        snakemake.input.model,
        snakemake.output.scores,
        method=snakemake.wildcards.saliency,
        language=snakemake.wildcards.lang,
        language_index=snakemake.params.language_index,
        seed=snakemake.params.seed,
    )
