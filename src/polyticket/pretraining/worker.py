"""A host that computes its part of every batch and writes nothing; the first host leads."""

import os
from pathlib import Path

from polyticket.core.errors import PolyticketError
from polyticket.core.logs import log
from polyticket.pretraining.checkpoints import LiveCheckpoints
from polyticket.pretraining.job import Job, job_name, wait_for_job
from polyticket.pretraining.places import KEY, strategy, task_of
from polyticket.pretraining.plan import Plan
from polyticket.pretraining.run import Result, prepare_tensorflow, pretrain
from polyticket.store.base import Store, open_store, url_of


def work(url: str, prefix: str, *, wait: float) -> Result:
    """Take part in a phase of pretraining, as the environment variable TF_CONFIG says.

    Args:
        url: Of the store.
        prefix: The phase's folder in it, for example `pretraining/phase_1`.
        wait: For how many seconds to wait for the first host.

    Returns:
        The losses, and no receipt.

    Raises:
        PolyticketError: TF_CONFIG names no cluster, or the first host; the first host does not come; records are not
            where it has them; hosts are about to compute different things.
    """
    task = task_of(os.environ)
    if task.chief:
        what = f"{task.name} is the first host"
        raise PolyticketError(what, where=KEY, expected="another index in TF_CONFIG; the first host runs the workflow")
    store = open_store(url)
    name = job_name(prefix, task.cluster)
    job = wait_for_job(store, name, seconds=wait)
    prepare_tensorflow(job.plan.options.threads, job.plan.options.seed)
    log.info("%s: one of %d hosts", task.name, task.hosts)
    place = strategy("multiworker")
    job = _present(job, store, name, wait)
    check_records(job.plan)
    live = LiveCheckpoints(store, prefix, job.identity, job.plan.options.keep_checkpoints, job.owner)
    return pretrain(store, job.initial, live, job.plan, "", place)


def check_records(plan: Plan) -> None:
    """Refuse a plan whose record files are not on this host.

    Raises:
        PolyticketError: One is missing; names it.
    """
    for shards in plan.shards:
        for file in shards.files:
            if not Path(file).is_file():
                expected = "the records under the same path on every host, for example on a shared file system"
                raise PolyticketError("no such file on this host", where=file, expected=expected)


def _present(job: Job, store: Store, name: str, wait: float) -> Job:
    """The job of the first host that is there now: the file may have been of one that was killed before."""
    now = wait_for_job(store, name, seconds=wait)
    settings = [(one.plan.options.threads, one.plan.options.seed) for one in (job, now)]
    if settings[0] != settings[1]:
        what = "the job has other threads or another seed than when this host started"
        raise PolyticketError(what, where=url_of(store, name), expected="to be started again")
    return now
