"""A tiny plan of pretraining with its records, and a run of it."""

from dataclasses import replace
from pathlib import Path

from polyticket.model.tf_checkpoint import read_checkpoint
from polyticket.pretraining.checkpoints import ResumeCheckpoints
from polyticket.pretraining.plan import Options, Phase, Plan, Shards
from polyticket.pretraining.run import pretrain
from polyticket.records.tfrecord import encode_examples, frame_all, record_fields
from polyticket.store.base import open_store
from polyticket.store.directories import (
    StoredDirectory,
    read_directory,
)
from tests.support.models import TINY, random_batch

LENGTH, PREDICTIONS = 16, 3

OWNER = "0123456789abcdef"

SHAPE = replace(TINY, num_hidden_layers=1, hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1)


def write_records(folder: Path, language: int, counts: tuple[int, ...]) -> Shards:
    folder.mkdir(parents=True)
    fields = record_fields(LENGTH, PREDICTIONS)
    files = []
    for shard, count in enumerate(counts):
        rows = random_batch(size=max(count, 1), length=LENGTH, language=language, seed=100 * language + shard)
        data, offsets = encode_examples(rows, fields)
        files.append(folder / f"{shard:05d}-of-{len(counts):05d}.tfrecord")
        files[-1].write_bytes(b"".join(frame_all(data, offsets.tolist())) if count else b"")
    return Shards(tuple(map(str, files)), counts)


def make_plan(folder: Path, *, first: int = 0, until: int = 12, total: int = 20, **options: object) -> Plan:
    shards = tuple(
        Shards(tuple(map(str, sorted((folder / name).glob("*")))), counts)
        if (folder / name).exists()
        else write_records(folder / name, row, counts)
        for row, (name, counts) in enumerate({"en": (5, 0, 6), "fr": (7,)}.items())
    )
    settings = {"batch_size": 4, "learning_rate": 1e-3, "warmup_steps": 3, "weight_decay": 0.01, "total_steps": total}
    settings |= {"save_steps": 4, "keep_checkpoints": 2, "log_steps": 3, "seed": 11, "threads": 1}
    settings |= {"jit": False, "distribution": "default"} | options
    phase = Phase(first, until, LENGTH, PREDICTIONS)
    return Plan(("en", "fr"), shards, {"en": 0.6, "fr": 0.4}, phase, Options(**settings))


def run(
    folder: Path,
    plan: Plan,
    initial: StoredDirectory,
    *,
    prefix: str = "live",
    identity: object = "run",
    url: str = "",
    owner: str = OWNER,
):
    store = open_store(url or f"file://{folder}/store")
    live = ResumeCheckpoints(store, prefix, identity, plan.options.keep_checkpoints, owner)
    made = pretrain(store, initial, live, plan, str(folder / "tb"))
    return made.receipt, made.history, read_directory(open_store(made.receipt["url"]), "", read_checkpoint)
