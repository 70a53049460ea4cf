"""What the first host of several tells the others: a file at the store, beside the live checkpoints."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from polyticket.conflict.settings import Settings
from polyticket.errors import PolyticketError
from polyticket.logs import log
from polyticket.pretraining.plan import Options, Phase, Plan, Shards
from polyticket.store.base import Store, joined, url_of

JOB_FILE = "job.json"
FORMAT = 1


@dataclass(frozen=True)
class Job:
    """A phase as every host computes it.

    Attributes:
        initial: The URL of the checkpoint to begin with.
        identity: Of the live checkpoints, any JSON value.
        plan: What to do, with the paths of the record files.
    """

    initial: str
    identity: Any
    plan: Plan


def publish_job(store: Store, prefix: str, job: Job) -> None:
    """Write a job for the other hosts of a phase, in place of an earlier one.

    Args:
        store: Where the checkpoints live.
        prefix: The phase's folder in it.
        job: The job.
    """
    found = {"format": FORMAT} | asdict(job)
    store.write(joined(prefix, JOB_FILE), json.dumps(found, ensure_ascii=False, indent=1).encode())


def read_job(store: Store, prefix: str) -> Job | None:
    """The job of a phase, or None if there is none.

    Raises:
        PolyticketError: It is not what `publish_job` of this version writes.
    """
    name = joined(prefix, JOB_FILE)
    if store.stat(name) is None:
        return None
    try:
        found = json.loads(store.read(name))
        if found["format"] != FORMAT:
            raise ValueError(f"format {found['format']!r}")
        return Job(found["initial"], found["identity"], plan_of_json(found["plan"]))
    except (ValueError, KeyError, TypeError) as error:
        expected = "what this version's first host writes"
        raise PolyticketError(f"not a job: {error}", where=url_of(store, name), expected=expected) from None


def wait_for_job(store: Store, prefix: str, *, seconds: float, pause: float = 5.0) -> Job:
    """The job of a phase, as soon as there is one.

    Raises:
        PolyticketError: There is none after so many seconds.
    """
    began, said = time.monotonic(), False
    while (job := read_job(store, prefix)) is None:
        left = began + seconds - time.monotonic()
        if left <= 0:
            where, expected = url_of(store, joined(prefix, JOB_FILE)), "the first host to have started this phase"
            raise PolyticketError(f"no job after {seconds:g} s", where=where, expected=expected)
        if not said:
            log.info("waiting for %s", url_of(store, joined(prefix, JOB_FILE)))
            said = True
        time.sleep(min(pause, left))
    return job


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
