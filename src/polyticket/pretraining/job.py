"""The job that the first of several hosts writes for the others: a file at the store, beside the checkpoints."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from polyticket.conflict.settings import Settings
from polyticket.core.errors import PolyticketError
from polyticket.core.logs import log
from polyticket.pretraining.plan import Options, Phase, Plan, Shards
from polyticket.store.base import Store, joined, url_of
from polyticket.store.directories import Named

FORMAT = 2


@dataclass(frozen=True)
class Job:
    """A phase as every host computes it.

    Attributes:
        initial: The checkpoint to begin with.
        identity: Of the live checkpoints, any JSON value.
        owner: The name of the run at stores.
        plan: What to do, with the paths of the record files.
    """

    initial: Named
    identity: Any
    owner: str
    plan: Plan


def job_name(prefix: str, cluster: str) -> str:
    """Where the job of a phase is for a cluster: other runs in the same store have other hosts.

    Args:
        prefix: The phase's folder in the store.
        cluster: The cluster's digest, from `places.task_of`.
    """
    return joined(prefix, f"job-{cluster}.json")


def publish_job(store: Store, name: str, job: Job) -> None:
    """Write a job for the other hosts of a phase, in place of an earlier one.

    Args:
        store: Where the checkpoints live.
        name: From `job_name`.
        job: The job.
    """
    store.write(name, _bytes(job))


def retract_job(store: Store, name: str, job: Job) -> None:
    """Remove a job that is done, if it still is what stands there."""
    if store.stat(name) is not None and store.read(name) == _bytes(job):
        store.delete(name)


def read_job(store: Store, name: str) -> Job | None:
    """The job of that name, or None if there is none.

    Raises:
        PolyticketError: It is not what `publish_job` of this version writes.
    """
    if store.stat(name) is None:
        return None
    try:
        found = json.loads(store.read(name))
        if found["format"] != FORMAT:
            raise ValueError(f"format {found['format']!r}")
        return Job(Named(*found["initial"]), found["identity"], found["owner"], plan_of_json(found["plan"]))
    except (ValueError, KeyError, TypeError) as error:
        expected = "what this version's first host writes"
        raise PolyticketError(f"not a job: {error}", where=url_of(store, name), expected=expected) from None


def wait_for_job(store: Store, name: str, *, seconds: float, pause: float = 5.0) -> Job:
    """The job of that name, as soon as there is one.

    Raises:
        PolyticketError: There is none after so many seconds.
    """
    began, said = time.monotonic(), False
    while (job := read_job(store, name)) is None:
        left = began + seconds - time.monotonic()
        if left <= 0:
            expected = "the first host to have started this phase, with the same hosts in TF_CONFIG"
            raise PolyticketError(f"no job after {seconds:g} s", where=url_of(store, name), expected=expected)
        if not said:
            log.info("waiting for %s", url_of(store, name))
            said = True
        time.sleep(min(pause, left))
    return job


def _bytes(job: Job) -> bytes:
    return json.dumps({"format": FORMAT} | asdict(job), ensure_ascii=False, indent=1).encode()


def plan_of_json(found: Mapping[str, Any]) -> Plan:
    """A plan from `dataclasses.asdict` of it, through JSON: equal to the one it was made of.

    Raises:
        KeyError: A part is missing.
        TypeError: A part is not known.
    """
    options = dict(found["options"])
    return Plan(
        tuple(found["languages"]),
        tuple(Shards(tuple(one["files"]), tuple(one["counts"])) for one in found["shards"]),
        dict(found["ratios"]),
        Phase(**found["phase"]),
        Options(**options | {"conflict": Settings.of(options["conflict"])}),
    )


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


def settled_job(job: Job, store: Store, name: str, wait: float) -> Job:
    """The job of the first host that is there now: the file may have been of one that was killed before."""
    now = wait_for_job(store, name, seconds=wait)
    settings = [(one.plan.options.threads, one.plan.options.seed) for one in (job, now)]
    if settings[0] != settings[1]:
        what = "the job has other threads or another seed than when this host started"
        raise PolyticketError(what, where=url_of(store, name), expected="to be started again")
    return now
