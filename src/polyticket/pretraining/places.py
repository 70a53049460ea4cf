"""Where a step runs: one device, the GPUs of a host, several hosts, or a TPU; the step itself is the same."""

import json
import os

import tensorflow as tf

from polyticket.errors import PolyticketError

STRATEGIES = ("default", "mirrored", "multiworker", "tpu")
KEY = "pretraining.distribution"


def strategy(name: str) -> tf.distribute.Strategy:
    """The `tf.distribute` strategy of a name.

    Args:
        name: `default` (one device), `mirrored` (all GPUs of a host), `multiworker` (several hosts, named by the
            variable TF_CONFIG) or `tpu` (that of this host).

    Raises:
        PolyticketError: There is no TPU, or TF_CONFIG names no cluster.
    """
    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
    if name == "multiworker":
        _check_cluster(os.environ.get("TF_CONFIG", ""))
        return tf.distribute.MultiWorkerMirroredStrategy()
    if name == "tpu":
        return tf.distribute.TPUStrategy(_tpu())
    return tf.distribute.get_strategy()


def is_chief(place: tf.distribute.Strategy) -> bool:
    """Whether this process writes what a run makes: the first worker does, where there are several."""
    resolver = place.cluster_resolver
    return resolver is None or resolver.task_type in (None, "", "chief") or resolver.task_id in (None, 0)


def _tpu() -> tf.distribute.cluster_resolver.TPUClusterResolver:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver()
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (tf.errors.NotFoundError, ValueError) as error:
        what = f"no TPU found: {str(error).splitlines()[0]}"
        raise PolyticketError(what, where=KEY, expected="a TPU host") from None
    return resolver


def _check_cluster(text: str) -> None:
    expected = '{"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}'
    try:
        found = json.loads(text)
        own = found["task"]
        found["cluster"][own["type"]][int(own["index"])]
    except (ValueError, KeyError, IndexError, TypeError):
        what = f"TF_CONFIG is {text!r}" if text else "TF_CONFIG is not set"
        raise PolyticketError(what, where=KEY, expected=expected) from None
