"""A model fine-tuned on one language, scored on the test sets of several, each under its mask; its predictions."""

from pathlib import Path
from typing import Any

from polyticket.core.files import write_json
from polyticket.core.gpus import claim_gpus
from polyticket.core.logs import logged
from polyticket.tasks.backbones.base import read_backbone
from polyticket.tasks.encoded import encoded_beside
from polyticket.tasks.example_files import read_examples, require_labels
from polyticket.tasks.finetuning import scores_by_class
from polyticket.tasks.options import FinetuneOptions
from polyticket.tasks.predictions import write_predictions
from polyticket.tasks.table import task_named, with_labels
from polyticket.tasks.zero_shot import read_tuned, require_same, score_zero_shot
from polyticket.tokenizer.unknown_words import Limits


def main(inputs: Any, outputs: Any, *, task_name: str, targets: list[str], source: str | None, options: dict,
         threads: int, limits: Limits) -> None:  # fmt: skip
    tuned = read_tuned(inputs.tuned)
    task = with_labels(task_named(task_name), tuned.about["labels"])
    paths = dict(zip(targets, inputs.tests, strict=True))
    tests = {lang: read_examples(path, task.examples) for lang, path in paths.items()}
    for lang, path in paths.items():
        require_labels(path, tests[lang], task)
    finetune_options = FinetuneOptions(**options, threads=threads)
    model = source or inputs.model
    require_same(tuned, model)
    backbone = read_backbone(model, limits).under(**tuned.about["masking"])
    results = score_zero_shot(
        backbone, tuned, tests, task=task, options=finetune_options, cache=encoded_beside(inputs.tests[0])
    )
    for lang, (_, predictions) in results.items():
        write_predictions(Path(outputs.predictions) / f"test-{lang}.tsv", predictions, task)
    masks = {"mask_method": backbone.mask_method, "mask_language": backbone.mask_language}
    about = {"task": task_name, "labels": list(task.labels), "source": tuned.about["language"], **masks}
    targets = {lang: scores for lang, (scores, _) in results.items()}
    classes = scores_by_class(task, tests, {lang: predictions for lang, (_, predictions) in results.items()})
    write_json(outputs.result, {**about, "seed": tuned.about["seed"], "targets": targets, **classes})


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        claim_gpus(snakemake.resources.get("gpu", 1))
        main(
            snakemake.input,
            snakemake.output,
            task_name=snakemake.wildcards.task,
            targets=list(snakemake.params.targets),
            source=snakemake.params.source,
            options=snakemake.params.options,
            threads=snakemake.params.compute_threads,
            limits=Limits.of(snakemake.resources.unknown_words),
        )
