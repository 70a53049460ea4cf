"""A model fine-tuned on one language, scored on the test sets of several, each with its own mask."""

from typing import Any

from polyticket.files import write_json
from polyticket.logs import logged
from polyticket.tasks.encoded import encoded_beside
from polyticket.tasks.example_files import read_examples
from polyticket.tasks.registry import task_named
from polyticket.tasks.subject import read_subject
from polyticket.tasks.training import FinetuneOptions
from polyticket.tasks.tuned import read_tuned, require_same, score_zero_shot


def main(inputs: Any, result: str, *, task_name: str, targets: list[str], source: str | None, options: dict,
         threads: int) -> None:  # fmt: skip
    task, tuned = task_named(task_name), read_tuned(inputs.tuned)
    tests = {lang: read_examples(path, task.examples) for lang, path in zip(targets, inputs.tests, strict=True)}
    options_ = FinetuneOptions(**options, threads=threads)
    model = source or inputs.model
    require_same(tuned, model)
    subject = read_subject(model)
    scores = score_zero_shot(subject, tuned, tests, task=task, options=options_, cache=encoded_beside(inputs.tests[0]))
    about = {"task": task_name, "source": tuned.about["language"], "seed": tuned.about["seed"]}
    write_json(result, {**about, "targets": scores})


with logged(snakemake.log[0]):
    main(
        snakemake.input,
        snakemake.output.result,
        task_name=snakemake.wildcards.task,
        targets=list(snakemake.params.targets),
        source=snakemake.params.source,
        options=snakemake.params.options,
        threads=snakemake.params.compute_threads,
    )
