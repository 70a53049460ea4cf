"""The examples of one task and language, from wherever they lie: train, dev and test, and what is in them."""

from collections.abc import Mapping, Sequence
from typing import Any

from polyticket.core.files import write_json
from polyticket.core.logs import log, logged
from polyticket.tasks.data.loading import load
from polyticket.tasks.example_files import write_examples
from polyticket.tasks.examples import count_duplicates, describe, thinned, unseen_labels, without_duplicates
from polyticket.tasks.table import FROM_DATA, task_named


def main(outputs: Mapping[str, str], about: str, *, task_name: str, language: str, source: str | Sequence[str],
         labels: Sequence[str] | str | None, splits: Mapping[str, str], drop_duplicates: bool, most: Mapping[str, int],
         dev_share: float, seed: int, test_alone: bool) -> None:  # fmt: skip
    task = task_named(task_name)
    if test_alone:
        splits = {split: splits.get("test", "test") for split in ("train", "dev", "test")}
    loaded = load(source, task, language, labels=labels, splits=splits, dev_share=dev_share, seed=seed)
    read, task = loaded.splits, loaded.task
    if test_alone:
        read = {**read, "train": [], "dev": []}
    inventory = None if not task.labels or (test_alone and labels == FROM_DATA) else task.labels
    duplicates = count_duplicates(read)
    whole = without_duplicates(read) if drop_duplicates and not test_alone else read
    kept = {split: thinned(whole[split], most.get(split), [seed, number]) for number, split in enumerate(whole)}
    found: dict[str, Any] = {
        "source": source,
        "files": loaded.files,
        "passed_over": loaded.passed_over,
        "unread": loaded.unread,
        "inventory": inventory,
        **describe(kept, task.labels),
        "duplicates": duplicates,
    }
    if drop_duplicates:
        found["dropped"] = {split: len(read[split]) - len(whole[split]) for split in ("train", "dev")}
    elif duplicates["test"]["in_train"]:
        seen, share = duplicates["test"]["in_train"], duplicates["test"]["in_train_share"]
        log.warning(f"{task_name} {language}: {seen:,} of test's examples ({share:.1%}) also stand in train")
    found["unseen_labels"] = unseen_labels(kept)
    unseen = {label: None for split in ("dev", "test") for label in found["unseen_labels"][split]}
    if unseen and not test_alone:
        counts = found["unseen_labels"]
        known = ", ".join(f"{x} ({counts['dev'].get(x, 0)} in dev, {counts['test'].get(x, 0)} in test)" for x in unseen)
        log.warning(f"{task_name} {language}: train never shows {known}")
    for path, why in loaded.passed_over.items():
        log.warning(f"{task_name} {language}: {path} is passed over: {why}")
    if loaded.unread:
        log.info(f"{task_name} {language}: not read: {', '.join(loaded.unread)}")
    for split, examples in kept.items():
        write_examples(outputs[split], examples, task.examples, inventory)
    write_json(about, found)
    sizes = ", ".join(f"{len(examples):,} of {split}" for split, examples in kept.items())
    log.info(f"{task_name} {language}: {sizes}, of {len(loaded.files):,} files")


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
