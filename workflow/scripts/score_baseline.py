"""The baseline of one task and language, most frequent tag or label, scored as the models are."""

from polyticket.core.files import write_json
from polyticket.core.logs import logged
from polyticket.tasks.baseline import baseline_scores
from polyticket.tasks.example_files import labelled_task, read_examples
from polyticket.tasks.table import task_named


def main(paths: dict[str, str], result: str, *, task_name: str, language: str) -> None:
    task = labelled_task(task_named(task_name), list(paths.values()))
    splits = {name: read_examples(path, task.examples) for name, path in paths.items()}
    write_json(result, baseline_scores(splits, task, language))


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            {name: snakemake.input[name] for name in ("train", "dev", "test")},
            snakemake.output.result,
            task_name=snakemake.wildcards.task,
            language=snakemake.wildcards.lang,
        )
