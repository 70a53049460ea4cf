"""Pretraining to the last step of a phase; its live checkpoints stand at the store."""

import time
from pathlib import Path

from polyticket.conflict.trace import write_trace
from polyticket.files import folder_sha256, read_json, write_json
from polyticket.logs import logged
from polyticket.pretraining.checkpoints import LiveCheckpoints, write_history
from polyticket.pretraining.plan import Plan, plan_of
from polyticket.pretraining.run import prepare_tensorflow, pretrain
from polyticket.provenance import digest, made_with
from polyticket.records.reading import load_stats
from polyticket.store.base import open_store
from polyticket.store.folders import named_by
from polyticket.store.owned import owner_of

PACKAGES = ("numpy", "tensorflow-cpu", "tensorflow-tpu", "google-cloud-storage")


def identity(start: dict, records: list[str], plan: Plan, code: str) -> dict:
    """All that decides what the phase computes; live checkpoints of another identity are not continued."""
    content = [[file["name"], file["crc32c"]] for file in start["files"]]
    read = [folder_sha256(folder) for folder in records]
    return {"start": digest(content), "records": read, "plan": digest(plan.decisive()), "code": code}


def main(start: str, records: list[str], receipt: str, history: str, trace: str | None, *, params: dict) -> None:
    began = time.monotonic()
    plan = plan_of(records, [load_stats(folder) for folder in records], params)
    prepare_tensorflow(plan.options.threads, plan.options.seed)
    store, initial, owner = open_store(params["store"]), named_by(start), owner_of(Path(receipt).parents[1])
    about = identity(read_json(start), records, plan, params["code"])
    live = LiveCheckpoints(store, params["live"], about, plan.options.keep_checkpoints, owner)
    done = pretrain(store, initial, live, plan, params["tensorboard"])
    write_history(done.history, history)
    if trace and done.trace:
        write_trace(done.trace, trace, cumulative=False)
    seconds = round(time.monotonic() - began, 1)
    made = {"step": plan.phase.until, "ratios": plan.ratios, "loss": done.history[-1]._asdict(), "speed": done.speed}
    made |= {"steps_per_language": plan.steps_per_language(), "wall_seconds": seconds} | made_with(
        PACKAGES, plan.options.threads
    )
    write_json(receipt, done.receipt | made)


with logged(snakemake.log[0]):
    main(
        snakemake.input.start,
        list(snakemake.input.records),
        snakemake.output.receipt,
        snakemake.output.history,
        snakemake.output.get("conflict"),
        params=dict(snakemake.params.items()),
    )
