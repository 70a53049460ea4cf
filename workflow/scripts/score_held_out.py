"""Accuracies and perplexity of a phase's last checkpoint on each language's held-out records."""

from polyticket.core.files import folder_sha256, read_json, write_json
from polyticket.core.gpus import claim_gpus
from polyticket.core.logs import logged
from polyticket.core.provenance import digest, made_with
from polyticket.model.tf_checkpoint import read_model_checkpoint
from polyticket.pretraining.held_out import score_held_out
from polyticket.pretraining.strategy import prepare_tensorflow
from polyticket.store.directories import read_stored_directory, stored_directory

PACKAGES = ("numpy", "tensorflow-cpu", "tensorflow", "tensorflow-tpu")


def main(
    receipt: str, records: list[str], scores: str, *, phase: int, languages: list[str], most: int, threads: int
) -> None:
    prepare_tensorflow(threads, seed=0)
    made = read_json(receipt)
    model = read_stored_directory(stored_directory(receipt), read_model_checkpoint)
    found = score_held_out(model, dict(zip(languages, records, strict=True)), most=most)
    content = [[file["name"], file["crc32c"]] for file in made["files"]]
    digests = {"checkpoint": digest(content), "records": digest([folder_sha256(folder) for folder in records])}
    about = {"phase": phase, "step": made["step"], "mask_method": model.mask_method}
    mean = found.pop("mean")
    write_json(scores, about | {"mean": mean, "languages": found, "digests": digests} | made_with(PACKAGES, threads))


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        claim_gpus(snakemake.resources.get("gpu", 1))
        main(
            snakemake.input.receipt,
            list(snakemake.input.records),
            snakemake.output.scores,
            phase=int(snakemake.wildcards.phase),
            **{key: snakemake.params[key] for key in ("languages", "most", "threads")},
        )
