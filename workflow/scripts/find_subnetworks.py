"""Sub-networks of one task and language at every level of sparsity, with their scores."""

from pathlib import Path
from typing import Any

from polyticket.core.files import remove, write_json
from polyticket.core.logs import logged
from polyticket.core.provenance import made_with
from polyticket.pruning.rounds import Rounds
from polyticket.pruning.search import SearchOptions, about, identity, search, write_levels
from polyticket.tasks.backbones.base import read_backbone
from polyticket.tasks.encoded import encoded_beside
from polyticket.tasks.example_files import labelled_task, read_mixed
from polyticket.tasks.finetuning import FinetuningSpec, digests_of
from polyticket.tasks.options import FinetuneOptions
from polyticket.tasks.table import task_named
from polyticket.tokenizer.unknown_words import Limits

PACKAGES = ("numpy", "scikit-learn", "seqeval", "tokenizers", "torch", "transformers")
SPLITS = ("train", "dev", "test")


def main(inputs: Any, outputs: Any, *, made: dict, source: str | None, wanted: SearchOptions, options: dict,
         threads: int, limits: Limits) -> None:  # fmt: skip
    task = labelled_task(task_named(made["task"]), [path for split in SPLITS for path in inputs[split]])
    model = source or inputs.model
    backbone = read_backbone(model, limits)
    if wanted.weights == "random":
        backbone = backbone.reinitialized(made["seed"])
    how, cache = FinetuneOptions(**options, threads=threads), encoded_beside(inputs.train[0])
    splits = {split: read_mixed(inputs[split], task.examples) for split in SPLITS}
    spec = FinetuningSpec(task, made["source"], made["seed"], how, cache=cache)
    rounds = Rounds(backbone, splits, spec, together=wanted.together)
    made = {
        **made,
        "labels": list(task.labels),
        "digests": digests_of(inputs, model),
        **about(wanted),
        "options": options,
    }
    live = Path(outputs.levels).parent / ".rounds" / identity(made)
    rows = write_levels(search(rounds, wanted, live), outputs.subnetworks, rounds, wanted, made)
    write_json(
        outputs.levels,
        {**made, "selection": task.selection, "levels": rows, "unknown_words": rounds.made.unknown}
        | made_with(PACKAGES, threads),
    )
    remove(live.parent)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        main(
            snakemake.input,
            snakemake.output,
            made={
                "task": snakemake.wildcards.task,
                "source": snakemake.wildcards.source,
                "seed": snakemake.params.seed,
            },
            source=snakemake.params.source,
            wanted=SearchOptions(**snakemake.params.search),
            options=snakemake.params.options,
            threads=snakemake.params.compute_threads,
            limits=Limits.of(snakemake.resources.unknown_words),
        )
