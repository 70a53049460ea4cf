"""Fine-tune a model on one task and language, or mix, under a mask: from the original weights with a new task head."""

from typing import Any

from polyticket.core.files import write_json
from polyticket.core.gpus import claim_gpus
from polyticket.core.logs import logged
from polyticket.core.provenance import made_with
from polyticket.pruning.mask_sources import mask_source_of
from polyticket.pruning.model_masks import mask_from
from polyticket.pruning.rounds import Rounds
from polyticket.tasks.backbones.base import read_backbone
from polyticket.tasks.encoded import encoded_beside
from polyticket.tasks.example_files import labelled_task, read_mixed
from polyticket.tasks.finetuning import FinetuningSpec, digests_of, scores_by_class
from polyticket.tasks.options import FinetuneOptions
from polyticket.tasks.predictions import write_predictions
from polyticket.tasks.table import task_named
from polyticket.tokenizer.unknown_words import Limits

PACKAGES = ("numpy", "scikit-learn", "seqeval", "tokenizers", "torch", "transformers")
SPLITS = ("train", "dev", "test")


def main(inputs: Any, outputs: Any, *, task_name: str, language: str, seed: int, mask_source: str, model: str | None,
         steps: int, joint_pool: bool, options: dict, threads: int, limits: Limits) -> None:  # fmt: skip
    task = labelled_task(task_named(task_name), [path for split in SPLITS for path in inputs[split]])
    source, model = mask_source_of(mask_source), model or inputs.model
    backbone = read_backbone(model, limits)
    if source.reinitialized:
        backbone = backbone.reinitialized(seed)
    splits = {split: read_mixed(inputs[split], task.examples) for split in SPLITS}
    tuning, cache = FinetuneOptions(**options, threads=threads), encoded_beside(inputs.train[0])
    rounds = Rounds(backbone, splits, FinetuningSpec(task, language, seed, tuning, cache=cache), joint_pool=joint_pool)
    masks = mask_from(source, rounds.prunable, seed, inputs.get("mask"))
    result = rounds.run(masks, 0, steps)
    write_predictions(outputs.predictions, result.predictions["test"], task)
    write_predictions(outputs.dev_predictions, result.predictions["dev"], task)
    kept = int(masks.counts().sum())
    scores = {"task": task_name, "language": language, "mask_source": mask_source, "seed": seed,
             "selection": task.selection, "labels": list(task.labels), "kept": kept,
             "density": kept / sum(masks.sizes.values()), "loss": result.loss, **result.scores,
              **scores_by_class(task, splits, result.predictions)}  # fmt: skip
    settings = {"unknown_words": rounds.prepared.unknown, "steps": steps, "options": options}
    provenance = {"digests": digests_of(inputs, model), **made_with(PACKAGES, threads)}
    write_json(outputs.result, {**scores, **settings, **provenance})


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        claim_gpus(snakemake.resources.get("gpu", 1))
        main(
            snakemake.input,
            snakemake.output,
            task_name=snakemake.wildcards.task,
            language=snakemake.wildcards.source,
            seed=int(snakemake.wildcards.seed),
            mask_source=snakemake.wildcards.mask_source,
            model=snakemake.params.source,
            steps=snakemake.params.steps,
            joint_pool=snakemake.params.joint_pool,
            options=snakemake.params.options,
            threads=snakemake.params.compute_threads,
            limits=Limits.of(snakemake.resources.unknown_words),
        )
