"""Find a sub-network of one task and language at every level of sparsity."""

from pathlib import Path
from typing import Any

from polyticket.core.files import remove, write_json
from polyticket.core.gpus import claim_gpus
from polyticket.core.logs import logged
from polyticket.core.provenance import made_with
from polyticket.pruning.rounds import Rounds
from polyticket.pruning.search import SearchOptions, identity, search, write_subnetworks
from polyticket.tasks.backbones.base import read_backbone
from polyticket.tasks.encoded import encoded_beside
from polyticket.tasks.example_files import labelled_task, read_mixed
from polyticket.tasks.finetuning import FinetuningSpec, digests_of
from polyticket.tasks.options import FinetuneOptions
from polyticket.tasks.table import task_named
from polyticket.tokenizer.unknown_words import Limits

PACKAGES = ("numpy", "scikit-learn", "seqeval", "tokenizers", "torch", "transformers")
SPLITS = ("train", "dev", "test")


def main(inputs: Any, outputs: Any, *, task_name: str, source: str, seed: int, model: str | None,
         search_options: SearchOptions, options: dict, threads: int, limits: Limits) -> None:  # fmt: skip
    task = labelled_task(task_named(task_name), [path for split in SPLITS for path in inputs[split]])
    model = model or inputs.model
    backbone = read_backbone(model, limits)
    if search_options.weights == "random":
        backbone = backbone.reinitialized(seed)
    splits = {split: read_mixed(inputs[split], task.examples) for split in SPLITS}
    tuning, cache = FinetuneOptions(**options, threads=threads), encoded_beside(inputs.train[0])
    rounds = Rounds(
        backbone, splits, FinetuningSpec(task, source, seed, tuning, cache=cache), joint_pool=search_options.joint_pool
    )
    provenance = {
        **{"task": task_name, "source": source, "seed": seed},
        "labels": list(task.labels),
        "digests": digests_of(inputs, model),
        **search_options.as_json(),
        "options": options,
    }
    directory = Path(outputs.levels).parent / ".rounds" / identity(provenance)
    subnetworks = search(rounds, search_options, directory)
    rows = write_subnetworks(subnetworks, outputs.subnetworks, rounds, search_options, provenance)
    results = {"selection": task.selection, "levels": rows, "unknown_words": rounds.prepared.unknown}
    write_json(outputs.levels, {**provenance, **results} | made_with(PACKAGES, threads))
    remove(directory.parent)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        claim_gpus(snakemake.resources.get("gpu", 1))
        main(
            snakemake.input,
            snakemake.output,
            task_name=snakemake.wildcards.task,
            source=snakemake.wildcards.source,
            seed=snakemake.params.seed,
            model=snakemake.params.source,
            search_options=SearchOptions(**snakemake.params.search),
            options=snakemake.params.options,
            threads=snakemake.params.compute_threads,
            limits=Limits.of(snakemake.resources.unknown_words),
        )
