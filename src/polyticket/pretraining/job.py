"""The job file of a phase on several hosts, which the first host writes to the store for the others."""

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
from polyticket.store.directories import StoredDirectory

FORMAT = 2


@dataclass(frozen=True)
class Job:
    """A phase as every host computes it.

    Attributes:
        initial: The checkpoint to begin with.
        identity: Of the resume checkpoints, any JSON value.
        owner: The run's name at stores.
        plan: The phase, with the paths of the record files.
    """

    initial: StoredDirectory
    identity: Any
    owner: str
    plan: Plan


def job_name(prefix: str, cluster: str) -> str:
    """The name at the store of a phase's job for a cluster; other runs in the same store have other hosts.

    Args:
        prefix: The phase's directory in the store.
        cluster: The cluster's digest, from `strategy.task_of`.
    """
    return joined(prefix, f"job-{cluster}.json")


def publish_job(store: Store, name: str, job: Job) -> None:
    """Write a job for the other hosts of a phase; it replaces an earlier one.

    Args:
        store: The store of the checkpoints.
        name: From `job_name`.
        job: The job.
    """
    store.write(name, _bytes(job))


def retract_job(store: Store, name: str, job: Job) -> None:
    """Remove a job that is done, unless another job has replaced it."""
    if store.stat(name) is not None and store.read(name) == _bytes(job):
        store.delete(name)


def read_job(store: Store, name: str) -> Job | None:
    """The job of that name, or None if there is none.

    Raises:
        PolyticketError: This version's `publish_job` has not written it.
    """
    if store.stat(name) is None:
        return None
    try:
        stored = json.loads(store.read(name))
        if stored["format"] != FORMAT:
            raise ValueError(f"format {stored['format']!r}")
        return Job(
            StoredDirectory(*stored["initial"]), stored["identity"], stored["owner"], plan_of_json(stored["plan"])
        )
    except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        expected = "a job that the first host has written with this version"
        raise PolyticketError(f"not a job: {error}", where=url_of(store, name), expected=expected) from None


def wait_for_job(store: Store, name: str, *, seconds: float, pause: float = 5.0) -> Job:
    """The job of that name, as soon as there is one.

    Raises:
        PolyticketError: There is none after `seconds`.
    """
    began, logged = time.monotonic(), False
    while (job := read_job(store, name)) is None:
        left = began + seconds - time.monotonic()
        if left <= 0:
            expected = "a first host that has started this phase, with the same hosts in TF_CONFIG"
            raise PolyticketError(f"no job after {seconds:g} s", where=url_of(store, name), expected=expected)
        if not logged:
            log.info("waiting for %s", url_of(store, name))
            logged = True
        time.sleep(min(pause, left))
    return job


def _bytes(job: Job) -> bytes:
    return json.dumps({"format": FORMAT} | asdict(job), ensure_ascii=False, indent=1).encode()


def plan_of_json(stored: Mapping[str, Any]) -> Plan:
    """The plan whose `dataclasses.asdict` went through JSON.

    Raises:
        KeyError: A field is missing.
        TypeError: A field is not known.
    """
    options = dict(stored["options"])
    return Plan(
        tuple(stored["languages"]),
        tuple(Shards(tuple(one["files"]), tuple(one["counts"])) for one in stored["shards"]),
        dict(stored["ratios"]),
        Phase(**stored["phase"]),
        Options(**options | {"conflict": Settings.of(options["conflict"])}),
    )


def check_records(plan: Plan) -> None:
    """Check that a plan's record files are on this host.

    Raises:
        PolyticketError: One is missing; the error names it.
    """
    for shards in plan.shards:
        for file in shards.files:
            if not Path(file).is_file():
                expected = "the records under the same path on every host, for example on a shared file system"
                raise PolyticketError("no such file on this host", where=file, expected=expected)


def settled_job(job: Job, store: Store, name: str, wait: float) -> Job:
    """The job that is at the store now; the one read before may have been of a killed first host."""
    now = wait_for_job(store, name, seconds=wait)
    settings = [(one.plan.options.threads, one.plan.options.seed) for one in (job, now)]
    if settings[0] != settings[1]:
        what = "the job has other threads or another seed than when this host started"
        raise PolyticketError(what, where=url_of(store, name), expected="a restart of this host")
    return now
