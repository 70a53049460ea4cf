"""A pretrained model fine-tuned on one task and language: scores, predictions and the learning curve."""

from typing import Any

from polyticket.files import read_json, sha256, write_json
from polyticket.logs import logged
from polyticket.model.folder import read_model
from polyticket.provenance import digest, versions
from polyticket.tasks.data import read_sentences, task_named, write_tags
from polyticket.tasks.finetune import finetune, write_curve
from polyticket.tasks.training import FinetuneOptions

PACKAGES = ("numpy", "scikit-learn", "seqeval", "tokenizers", "torch")


def main(
    inputs: Any, outputs: Any, task_name: str, language: str, *, options: dict, threads: int, seed: int, run: dict
) -> None:
    task = task_named(task_name)
    splits = {name: read_sentences(inputs[name], task, language) for name in ("train", "dev", "test")}
    done = finetune(
        read_model(inputs.model),
        inputs.model,
        splits,
        task=task,
        language=language,
        seed=seed,
        options=FinetuneOptions(**options, threads=threads),
    )
    # the content alone: the receipt also says how long pretraining took
    checkpoint = [[file["name"], file["crc32c"]] for file in read_json(inputs.checkpoint)["files"]]
    digests = {"checkpoint": digest(checkpoint)} | ({"ticket": sha256(inputs.ticket)} if inputs.get("ticket") else {})
    write_tags(outputs.predictions, done.predictions)
    write_curve(outputs.curve, done.curve)
    write_json(outputs.result, {**run, **done.report, "digests": digests, "versions": versions(PACKAGES)})


with logged(snakemake.log[0]):
    main(
        snakemake.input,
        snakemake.output,
        snakemake.wildcards.task,
        snakemake.wildcards.lang,
        options=snakemake.params.options,
        threads=snakemake.params.compute_threads,
        seed=snakemake.params.seed,
        run=snakemake.params.run,
    )
