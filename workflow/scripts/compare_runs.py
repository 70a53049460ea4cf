"""All runs of a task side by side, each variant compared with the main run by the paired bootstrap, Holm-corrected."""

from collections.abc import Iterator

from polyticket.core.files import read_json, write_json
from polyticket.core.logs import Progress, logged
from polyticket.tasks.bootstrap import resamples_for
from polyticket.tasks.comparison import Compared, compare, write_comparison
from polyticket.tasks.example_files import labelled_task, read_examples
from polyticket.tasks.predictions import read_predictions
from polyticket.tasks.table import Task, task_named


def compared(
    task: Task, results: list[str], predictions: list[str], examples: list[str], langs: list[str], seeds: int
) -> Iterator[Compared]:
    """Language by language; `results` are in the order runs, languages; `predictions` runs, languages, seeds."""
    progress = Progress(f"comparing {task.name}", len(langs), "languages")
    for number, (lang, path) in enumerate(zip(langs, examples, strict=True)):
        split = read_examples(path, task.examples)
        places = range(number, len(results), len(langs))
        own = labelled_task(task, [path])
        predicted_by_run = [
            [read_predictions(path, own, split) for path in predictions[place * seeds : (place + 1) * seeds]]
            for place in places
        ]
        yield Compared(lang, split, [read_json(results[place]) for place in places], predicted_by_run)
        progress.add()


def main(
    results: list[str], predictions: list[str], examples: list[str], table: str, csv: str, *, task_name: str,
    runs: list[str], langs: list[str], seeds: int, seed: int,
) -> None:  # fmt: skip
    task = task_named(task_name)
    resamples = resamples_for((len(runs) - 1) * len(langs))
    languages = compared(task, results, predictions, examples, langs, seeds)
    comparison = compare(task, runs, languages, seed=seed, resamples=resamples)
    write_json(table, comparison)
    write_comparison(comparison, csv)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            list(snakemake.input.results),
            list(snakemake.input.predictions),
            list(snakemake.input.examples),
            snakemake.output.table,
            snakemake.output.csv,
            task_name=snakemake.wildcards.task,
            runs=list(snakemake.params.runs),
            langs=list(snakemake.params.langs),
            seeds=len(snakemake.params.seeds),
            seed=snakemake.params.seed,
        )
