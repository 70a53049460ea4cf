"""Pretraining to the last step of a phase; a killed job resumes from its checkpoints at the store."""

import time
from pathlib import Path

from polyticket.conflict.trace import write_trace
from polyticket.core.files import read_json, write_json
from polyticket.core.gpus import claim_gpus
from polyticket.core.logs import logged
from polyticket.core.provenance import made_with
from polyticket.pretraining.checkpoints import ResumeCheckpoints, write_history
from polyticket.pretraining.plan import identity, plan_of
from polyticket.pretraining.run import pretrain
from polyticket.pretraining.strategy import prepare_tensorflow
from polyticket.records.reading import load_stats
from polyticket.store.base import open_store
from polyticket.store.directories import owner_of, stored_directory

PACKAGES = ("numpy", "tensorflow-cpu", "tensorflow", "tensorflow-tpu", "google-cloud-storage")


def main(
    start: str, records: list[str], receipt: str, history: str, trace: str | None, log: Path, *, params: dict
) -> None:
    began = time.monotonic()
    plan = plan_of(records, [load_stats(folder) for folder in records], params)
    prepare_tensorflow(plan.options.threads, plan.options.seed)
    store, initial, owner = open_store(params["store"]), stored_directory(start), owner_of(Path(receipt).parents[1])
    prefix, keep = params["checkpoints"], plan.options.keep_checkpoints
    checkpoints = ResumeCheckpoints(store, prefix, identity(read_json(start), plan), keep, owner)
    scalars = log.parents[1] / "tensorboard" / f"phase_{log.stem}"
    result = pretrain(store, initial, checkpoints, plan, str(scalars))
    write_history(result.history, history)
    if trace and result.trace:
        write_trace(result.trace, trace, cumulative=False)
    seconds = round(time.monotonic() - began, 1)
    made = {"step": plan.phase.until, "ratios": plan.ratios, "loss": result.history[-1]._asdict()}
    made |= {"languages_per_step": plan.options.languages_per_step, "language_batches": plan.language_batches()}
    made |= {"speed": result.speed, "wall_seconds": seconds} | made_with(PACKAGES, plan.options.threads)
    write_json(receipt, result.receipt | made)


if __name__ == "__main__":
    with logged(snakemake.log[0]):
        claim_gpus(snakemake.resources.get("gpu", 1 if snakemake.params.options["distribution"] == "default" else None))
        main(
            snakemake.input.start,
            list(snakemake.input.records),
            snakemake.output.receipt,
            snakemake.output.history,
            snakemake.output.get("conflict"),
            Path(snakemake.log[0]),
            params=dict(snakemake.params.items()),
        )
