"""Noise in place of scores: the control."""

from polyticket.core.files import folder_sha256, read_json
from polyticket.core.logs import logged
from polyticket.model.shape import BertShape, prunable_sites
from polyticket.saliency.score_files import Saliency, random_scores, write_saliency


def main(model: str, scores: str, *, method: str, language: str, language_index: int, seed: int) -> None:
    shape = BertShape.from_config(read_json(f"{model}/config.json"))
    noise = random_scores(prunable_sites(shape), seed, language_index)
    made = {"method": method, "language": language, "language_index": language_index, "seed": seed}
    made["initial"] = folder_sha256(model)
    write_saliency(Saliency(noise, made), scores)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            snakemake.input.model,
            snakemake.output.scores,
            method=snakemake.wildcards.saliency,
            language=snakemake.wildcards.lang,
            language_index=snakemake.params.language_index,
            seed=snakemake.params.seed,
        )
