"""The `tf.distribute` strategies: one device, the GPUs of a host, several hosts, or a TPU."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import tensorflow as tf

from polyticket.core.errors import PolyticketError
from polyticket.core.provenance import digest

STRATEGIES = ("default", "mirrored", "multiworker", "tpu")
KEY = "pretraining.distribution"
TF_CONFIG = '{"cluster": {"worker": ["host:port", "host:port"]}, "task": {"type": "worker", "index": 0}}'


class HostDevices(NamedTuple):
    """The devices that one host feeds: of `total` devices, `own` ones from number `first` on."""

    total: int = 1
    first: int = 0
    own: int = 1


class Task(NamedTuple):
    """This process in its cluster.

    Attributes:
        chief: Whether it is the first host, which writes.
        name: Its host and port.
        hosts: Hosts of the cluster.
        cluster: A digest of the list of hosts, the same on all of them.
    """

    chief: bool
    name: str
    hosts: int
    cluster: str


def prepare_tensorflow(threads: int, seed: int) -> None:
    """Make TensorFlow deterministic; call before anything else of it runs."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    tf.random.set_seed(seed)
    tf.config.experimental.enable_op_determinism()
    tf.config.experimental.enable_tensor_float_32_execution(False)  # float32 means float32 on GPUs too


def make_strategy(name: str) -> tf.distribute.Strategy:
    """The `tf.distribute` strategy of a name; make it before any other operation of TensorFlow.

    Args:
        name: `default` (one device), `mirrored` (all GPUs of a host), `multiworker` (several hosts, named by the
            variable TF_CONFIG; returns when all hosts have joined) or `tpu` (that of this host, or of the variable
            TPU_NAME).

    Raises:
        PolyticketError: There is no TPU, TF_CONFIG names no cluster, or other hosts do not come.
    """
    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
    if name == "multiworker":
        task = task_of(os.environ)
        try:
            return tf.distribute.MultiWorkerMirroredStrategy()
        except tf.errors.OpError as error:
            expected = f"all {task.hosts} hosts of TF_CONFIG, started and able to reach each other"
            raise PolyticketError(_line(error), where=task.name, expected=expected) from None
    if name == "tpu":
        return tf.distribute.TPUStrategy(_tpu())
    return tf.distribute.get_strategy()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes the results: the first of several hosts does, and so does a single process."""
    return not is_multiworker(strategy) or task_of(os.environ).chief


def is_multiworker(strategy: tf.distribute.Strategy) -> bool:
    """Whether other processes take part, each with its own share of every batch."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) and "TF_CONFIG" in os.environ


def spread(
    strategy: tf.distribute.Strategy, batches: Callable[[HostDevices], tf.data.Dataset]
) -> tf.distribute.DistributedDataset:
    """Batches for all devices of a strategy.

    Every host reads whole batches and keeps its devices' shares. So the union over all devices is the batch, in order,
    whatever their number. Automatic sharding would choose other records.

    Args:
        strategy: The strategy.
        batches: Gives the batches of a host's devices, one device's share after another's.
    """

    def of_host(context: tf.distribute.InputContext) -> tf.data.Dataset:
        devices = strategy.num_replicas_in_sync // context.num_input_pipelines
        return batches(HostDevices(strategy.num_replicas_in_sync, context.input_pipeline_id * devices, devices))

    return strategy.distribute_datasets_from_function(of_host)


def require_agreement(strategy: tf.distribute.Strategy, doing: str) -> None:
    """Check that all hosts are about to compute the same thing.

    Args:
        strategy: The strategy, of several hosts.
        doing: A digest of all that this process is going to do, in hexadecimal digits.

    Raises:
        PolyticketError: Another host has another digest; on every host.
    """
    own = tf.constant([list(bytes.fromhex(doing))], tf.int32)
    everyone = {bytes(row).hex() for row in strategy.gather(own, axis=0).numpy().tolist()}
    if everyone != {doing}:
        raise PolyticketError(
            f"hosts would compute {len(everyone)} different things",
            where=KEY,
            expected="the same records, code and newest checkpoint on all hosts; start all of them again",
        )


@contextmanager
def together(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Turn the loss of another host into an error of one line.

    Raises:
        PolyticketError: A host does not answer any more.
    """
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError) as error:
        if not is_multiworker(strategy):
            raise
        raise PolyticketError(
            f"another host is gone: {_line(error)}",
            where=task_of(os.environ).name,
            expected="a restart of all hosts; they go on from the last checkpoint",
        ) from error


def task_of(environment: Mapping[str, str]) -> Task:
    """This process, as the variable TF_CONFIG says.

    Raises:
        PolyticketError: It is not set, or names no cluster of workers that this process belongs to.
    """
    text = environment.get("TF_CONFIG", "")
    try:
        found = json.loads(text)
        cluster, kind, index = found["cluster"], found["task"]["type"], int(found["task"]["index"])
        hosts = [host for one in ("chief", "worker") for host in cluster.get(one, [])]
        if set(cluster) - {"chief", "worker"} or not all(isinstance(host, str) and ":" in host for host in hosts):
            raise ValueError("not a cluster of chief and workers")
        own = dict(enumerate(cluster[kind]))[index]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        what = f"TF_CONFIG is {text!r}" if text else "TF_CONFIG is not set"
        if not text and "SLURM_JOB_ID" in environment:
            what += "; Slurm does not set it: `scontrol show hostnames` lists the hosts, SLURM_PROCID is the index"
        raise PolyticketError(what, where=KEY, expected=f"on each host, with its own index: {TF_CONFIG}") from None
    return Task(kind == "chief" or (index == 0 and "chief" not in cluster), own, len(hosts), digest(cluster))


def _tpu() -> tf.distribute.cluster_resolver.TPUClusterResolver:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(os.environ.get("TPU_NAME") or "local")
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise PolyticketError(f"no TPU found: {_line(error)}", where=KEY, expected="a TPU host") from None
    return resolver


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
