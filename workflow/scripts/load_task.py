"""The train, dev and test examples of one task and language, and a report of what they have."""

from collections.abc import Mapping, Sequence

from polyticket.core.files import write_json
from polyticket.core.logs import logged
from polyticket.tasks.data.loading import load, prepare
from polyticket.tasks.example_files import write_examples
from polyticket.tasks.table import FROM_DATA, task_named


def main(outputs: Mapping[str, str], about: str, *, task_name: str, language: str, source: str | Sequence[str],
         labels: Sequence[str] | str | None, splits: Mapping[str, str], drop_duplicates: bool, most: Mapping[str, int],
         dev_share: float, seed: int, test_alone: bool) -> None:  # fmt: skip
    task = task_named(task_name)
    if test_alone:
        splits = {split: splits.get("test", "test") for split in ("train", "dev", "test")}
    loaded = load(source, task, language, labels=labels, splits=splits, dev_share=dev_share, seed=seed)
    data = prepare(
        loaded,
        name=f"{task_name} {language}",
        drop_duplicates=drop_duplicates,
        max_examples=most,
        seed=seed,
        test_only=test_alone,
        from_data=labels == FROM_DATA,
    )
    for split, examples in data.splits.items():
        write_examples(outputs[split], examples, task.examples, data.inventory)
    write_json(about, {"source": source, **data.report})


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            {"train": snakemake.output.train, "dev": snakemake.output.dev, "test": snakemake.output.test},
            snakemake.output.about,
            task_name=snakemake.wildcards.task,
            language=snakemake.wildcards.lang,
            source=snakemake.params.source or str(snakemake.input.source),
            labels=snakemake.params.labels,
            splits=snakemake.params.splits,
            drop_duplicates=snakemake.params.drop_duplicates,
            most=snakemake.params.most,
            dev_share=snakemake.params.dev_share,
            seed=snakemake.params.seed,
            test_alone=snakemake.params.test_alone,
        )
