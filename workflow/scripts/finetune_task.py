"""A pretrained model fine-tuned on one task and language: scores, predictions, weights, learning curve."""

from typing import Any

from polyticket.core.files import read_json, write_json
from polyticket.core.gpus import claim_gpus
from polyticket.core.logs import logged
from polyticket.core.provenance import made_with
from polyticket.tasks.backbones.base import read_backbone
from polyticket.tasks.encoded import encoded_beside
from polyticket.tasks.example_files import labelled_task, read_examples
from polyticket.tasks.finetuning import FinetuningSpec, digests_of, finetune, write_curve
from polyticket.tasks.options import FinetuneOptions
from polyticket.tasks.predictions import write_predictions
from polyticket.tasks.table import task_named
from polyticket.tasks.zero_shot import Tuned, write_tuned
from polyticket.tokenizer.unknown_words import Limits

PACKAGES = ("numpy", "scikit-learn", "seqeval", "tokenizers", "torch", "transformers")
SPLITS = ("train", "dev", "test")


def main(inputs: Any, outputs: Any, *, task_name: str, language: str, seed: int, source: str | None, options: dict,
         masking: dict, threads: int, run: dict, limits: Limits) -> None:  # fmt: skip
    task = labelled_task(task_named(task_name), [inputs[split] for split in SPLITS])
    model = source or inputs.model
    finetune_options, cache = FinetuneOptions(**options, threads=threads), encoded_beside(inputs.train)
    splits = {split: read_examples(inputs[split], task.examples) for split in SPLITS}
    spec = FinetuningSpec(task, language, seed, finetune_options, prune=run["prune_model"], cache=cache)
    result = finetune(read_backbone(model, limits).under(**masking), splits, spec)
    digests = digests_of(inputs, model)
    write_predictions(outputs.predictions, result.predictions["test"], task)
    write_predictions(outputs.dev_predictions, result.predictions["dev"], task)
    write_curve(outputs.curve, result.curve)
    if outputs.get("tuned"):
        key = {"task": task_name, "labels": list(task.labels), "language": language, "seed": seed}
        write_tuned(outputs.tuned, Tuned({**key, "masking": masking, "digests": digests}, result.state))
    about = {"data": read_json(inputs.about), "digests": digests} | made_with(PACKAGES, threads)
    write_json(outputs.result, {**run, **result.report, **about})


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        claim_gpus(snakemake.resources.get("gpu", 1))
        main(
            snakemake.input,
            snakemake.output,
            task_name=snakemake.wildcards.task,
            language=snakemake.wildcards.lang,
            seed=int(snakemake.wildcards.seed),
            source=snakemake.params.source,
            options=snakemake.params.options,
            masking=snakemake.params.masking,
            threads=snakemake.params.compute_threads,
            limits=Limits.of(snakemake.resources.unknown_words),
            run=snakemake.params.run,
        )
