"""A host of several on loopback, in a process of its own; its place in the cluster is in TF_CONFIG.

Arguments: `chief` or `worker`, the folder of the test, a plan as JSON, the receipt of the initial checkpoint, and the
step after which this process kills itself (0 for never). A worker may write nothing to the store.
"""

import json
import os
import signal
import sys
from collections.abc import Callable

import tensorflow as tf

from polyticket.core.errors import PolyticketError
from polyticket.core.logs import logged
from polyticket.pretraining import run as worker
from polyticket.pretraining.checkpoints import ResumeCheckpoints
from polyticket.pretraining.job import plan_of_json
from polyticket.pretraining.run import pretrain
from polyticket.pretraining.strategy import make_strategy, prepare_tensorflow, require_agreement
from polyticket.pretraining.trainer import Trainer
from polyticket.store.directories import stored_directory
from polyticket.store.local import LocalStore

OWNER = "0123456789abcdef"


class ReadOnlyStore(LocalStore):
    def _refuse(self, *_: object) -> None:
        raise AssertionError("a worker writes")

    put = write = delete = _refuse


def dying_after(last: int, step: Callable[[Trainer, dict], tf.Tensor]) -> Callable[[Trainer, dict], tf.Tensor]:
    def stepping(trainer: Trainer, features: dict) -> tf.Tensor:
        found = step(trainer, features)
        if trainer.done() == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    return stepping


def main(role: str, folder: str, text: str, initial: str, last: int) -> None:
    Trainer.step = dying_after(last, Trainer.step)
    if role == "worker":
        worker.open_store = lambda url: ReadOnlyStore(url.removeprefix("file://"))
        found = worker.work(f"file://{folder}/store", "live", wait=60)
    else:
        plan = plan_of_json(json.loads(text))
        prepare_tensorflow(plan.options.threads, plan.options.seed)
        store = LocalStore(f"{folder}/store")
        found = pretrain(
            store, stored_directory(initial), ResumeCheckpoints(store, "live", "run", 2, OWNER), plan, f"{folder}/tb"
        )
    disagreement = ""
    try:
        require_agreement(make_strategy("multiworker"), {"chief": "ab", "worker": "cd"}[role])
    except PolyticketError as error:
        disagreement = str(error)
    print(json.dumps({"history": found.history, "receipt": found.receipt, "disagreement": disagreement}))


if __name__ == "__main__":
    with logged(f"{sys.argv[2]}/{sys.argv[1]}.log"):
        main(*sys.argv[1:5], int(sys.argv[5]))
