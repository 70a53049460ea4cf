"""The most-frequent-tag baseline of one task and language, scored as the models are."""

from polyticket.files import write_json
from polyticket.logs import logged
from polyticket.tasks.baseline import baseline_scores
from polyticket.tasks.data import read_sentences, task_named


def main(train: str, dev: str, test: str, result: str, *, task_name: str, language: str) -> None:
    task = task_named(task_name)
    splits = [read_sentences(path, task, language) for path in (train, dev, test)]
    write_json(result, baseline_scores(*splits, task, language))


with logged(snakemake.log[0]):
    main(
        snakemake.input.train,
        snakemake.input.dev,
        snakemake.input.test,
        snakemake.output.result,
        task_name=snakemake.wildcards.task,
        language=snakemake.wildcards.lang,
    )
