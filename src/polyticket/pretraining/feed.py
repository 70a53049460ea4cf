"""Batches of records: passes over a language's shards, and language batches in an order fixed by seed and step."""

import time
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.core.random_streams import stream
from polyticket.pretraining.plan import Plan, Shards
from polyticket.pretraining.strategy import HostDevices
from polyticket.records.reading import load_stats, shard_paths
from polyticket.records.tfrecord import read_at, record_starts

AUTOTUNE = tf.data.AUTOTUNE
READ_TOGETHER = 256
"""Records that are read in one call."""
ONE_DEVICE = HostDevices()
UNTUNED = tf.data.Options()
UNTUNED.autotune.enabled = False
"""A thread that tunes sleeps for up to a minute, and the end of an iterator waits for it."""


def features_spec(max_seq_length: int, max_predictions: int) -> dict[str, tf.io.FixedLenFeature]:
    """The features of a record, for `tf.io.parse_example`."""
    sizes = {"input_ids": max_seq_length, "input_mask": max_seq_length, "segment_ids": max_seq_length}
    sizes |= {"masked_lm_positions": max_predictions, "masked_lm_ids": max_predictions}
    sizes |= {"next_sentence_labels": 1, "language": 1}
    spec = {name: tf.io.FixedLenFeature([size], tf.int64) for name, size in sizes.items()}
    return spec | {"masked_lm_weights": tf.io.FixedLenFeature([max_predictions], tf.float32)}


def tf_records(folder: Pathlike, batch_size: int, *, drop_remainder: bool = False) -> tf.data.Dataset:
    """The records of a directory, once, in the order in which they were written.

    Records are batched first and parsed together. Repeat, shuffle or shard the dataset as any other:

        for batch in tf_records("results/records/phase_1/sw", 32).shuffle(100).repeat():
            batch["input_ids"]  # int32 [32, max_seq_length]

    Args:
        folder: A directory of records.
        batch_size: B; the last batch holds the remaining records.
        drop_remainder: Leave out a last batch that is not full, so that all shapes are static.

    Returns:
        Dictionaries of the eight features, the arrays of `polyticket.records.reading.read_batches`: [B, length], int32,
        or float32 for ``masked_lm_weights``.

    Raises:
        PolyticketError: ``stats.json`` is missing, or is not that of a directory of records. A damaged shard raises
            TensorFlow's own errors while it is read.
    """
    stats = load_stats(folder)
    spec = features_spec(stats["max_seq_length"], stats["max_predictions"])
    files = [str(path) for path in shard_paths(folder, stats)]
    return _parsed(tf.data.TFRecordDataset(files).batch(batch_size, drop_remainder=drop_remainder), spec)


def batches(plan: Plan, start: int, devices: HostDevices = ONE_DEVICE) -> tf.data.Dataset:
    """The batches of a phase from step `start` on.

    A batch holds its language batches one after the other. The n-th language batch of a language since the phase began
    holds the records n·b … (n+1)·b - 1 of `record_stream`, where b = B / languages per step. So a run that resumes at
    `start` sees the batches that it would have seen.

    Args:
        plan: The phase.
        start: Steps done.
        devices: The devices whose shares of every batch are kept.

    Returns:
        Dictionaries of int32 and float32 tensors of static shape [n, T], [n, P] or [n, 1], where
        n = B / `devices.total`: `devices.own` of them for each batch.
    """
    return _mixed(plan, plan.draws()[start:], start, devices)


def next_batches(plan: Plan, step: int, devices: HostDevices = ONE_DEVICE) -> tf.data.Dataset:
    """For each language, in order, the language batch that would come next after `step` steps; see `batches`.

    A batch holds as many language batches as there are devices, or as a step has if these are fewer. The last batch is
    filled up with language batches of language -1.
    """
    L, count = len(plan.languages), min(plan.options.languages_per_step, devices.total)
    rows = np.append(np.arange(L), np.zeros(-L % count, np.int64)).reshape(-1, count)
    mixed = _mixed(plan, rows, step, devices)

    def with_language(number: tf.Tensor, features: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        batch, device = number // devices.own, devices.first + number % devices.own
        known = batch * count + device // (devices.total // count) < L
        return features | {"language": tf.where(known, features["language"], -1)}

    return mixed.enumerate().map(with_language) if L % count else mixed


def _mixed(plan: Plan, rows: NDArray[np.int64], step: int, devices: HostDevices) -> tf.data.Dataset:
    """Batches of the languages of the given rows [batches, language batches], as they come after `step` steps."""
    phase, size, count = plan.phase, plan.language_batch_size, rows.shape[1]
    done = plan.language_batches(step).values()
    streams = [
        record_stream(shards, number * size, language, plan.options.seed).batch(size, drop_remainder=True)
        for language, shards, number in zip(plan.languages, plan.shards, done, strict=True)
    ]
    choice = tf.data.Dataset.from_tensor_slices(rows.ravel())
    mixed = tf.data.Dataset.choose_from_datasets(streams, choice, stop_on_empty_dataset=True)
    if count > 1:
        mixed = mixed.batch(count, drop_remainder=True)
    if count > 1 or devices != ONE_DEVICE:
        mixed = mixed.map(lambda records: _shares(records, devices, count * size)).unbatch()
    return _parsed(mixed, features_spec(phase.max_seq_length, phase.max_predictions)).with_options(UNTUNED)


def _shares(records: tf.Tensor, devices: HostDevices, size: int) -> tf.Tensor:
    """The shares of a host's devices in a batch of records [B], a row per device: [own, B / devices]."""
    shares = tf.reshape(records, [devices.total, size // devices.total])
    return shares[devices.first : devices.first + devices.own]


def _parsed(records: tf.data.Dataset, spec: dict[str, tf.io.FixedLenFeature]) -> tf.data.Dataset:
    parsed = records.map(partial(_parse, spec=spec), num_parallel_calls=AUTOTUNE, deterministic=True)
    return parsed.prefetch(AUTOTUNE)


def _parse(records: tf.Tensor, spec: dict[str, tf.io.FixedLenFeature]) -> dict[str, tf.Tensor]:
    features = tf.io.parse_example(records, spec)
    return {name: tf.cast(x, tf.int32) if x.dtype == tf.int64 else x for name, x in features.items()}


def record_stream(shards: Shards, start: int, language: str, seed: int) -> tf.data.Dataset:
    """Serialised records of one language without end, from record number `start` of that sequence.

    The first pass is in the order of the files, which is random. Every later pass has a random order of its own, a
    function of seed, language, pass and number of records, whatever the shards.
    """
    size = sum(shards.counts)
    passes = Passes(shards, language, seed)
    if start >= size:
        return passes.dataset(start)
    ends = np.cumsum(shards.counts)
    shard = int(np.searchsorted(ends, start, side="right"))
    skipped = start - int(ends[shard] - shards.counts[shard])
    return tf.data.TFRecordDataset(list(shards.files[shard:])).skip(skipped).concatenate(passes.dataset(size))


class Passes:
    """Records by their number in the endless sequence of passes.

    Nothing is read before the first record. Then the position of every record is found once, which reads the files, and
    kept: 8 bytes a record, and as many for the order of the present pass.

    Args:
        shards: The files of the language.
        language: Its code.
        seed: The run's seed.
    """

    def __init__(self, shards: Shards, language: str, seed: int) -> None:
        self.shards, self.language, self.seed = shards, language, seed
        self.size = sum(shards.counts)
        self._starts: list[NDArray[np.int64]] = []
        self._present: tuple[int, NDArray[np.int64]] = (0, np.arange(0))

    def dataset(self, start: int) -> tf.data.Dataset:
        """The serialised records from number `start` on."""

        def read(numbers: tf.Tensor) -> tf.Tensor:
            return tf.ensure_shape(tf.numpy_function(self.read, [numbers], tf.string), [None])

        numbers = tf.data.Dataset.range(start, np.iinfo(np.int64).max)
        return numbers.batch(READ_TOGETHER).map(read).unbatch()

    def read(self, numbers: NDArray[np.int64]) -> NDArray[np.object_]:
        """The records of given ascending numbers [n], bytes [n].

        Raises:
            PolyticketError: A file is damaged, or holds another number of records than it should.
        """
        passes, within = np.divmod(numbers, self.size)
        rows = np.concatenate([self.order(number)[within[passes == number]] for number in np.unique(passes).tolist()])
        records = np.empty(len(numbers), object)
        ends = np.cumsum(self.shards.counts)
        shards = np.searchsorted(ends, rows, side="right")
        for shard in np.unique(shards):
            here = np.flatnonzero(shards == shard)
            inside = rows[here] - (ends[shard] - self.shards.counts[shard])
            records[here] = read_at(self.shards.files[shard], self._record_starts()[shard][inside].tolist())
        return records

    def order(self, number: int) -> NDArray[np.int64]:
        """The order of the records in pass `number`, from 0."""
        if self._present[0] != number or not len(self._present[1]):
            order = stream(self.seed, self.language, "pass", number).permutation(self.size)
            self._present = number, order if number else np.arange(self.size)
        return self._present[1]

    def _record_starts(self) -> list[NDArray[np.int64]]:
        if not self._starts:
            found = [record_starts(file) for file in self.shards.files]
            for starts, count, file in zip(found, self.shards.counts, self.shards.files, strict=True):
                if len(starts) != count:
                    raise PolyticketError(f"{len(starts)} records", where=file, expected=str(count))
            self._starts = found
        return self._starts


class Waiting:
    """An iterable that counts the seconds for which its consumer waits."""

    def __init__(self, items: Iterable[Any]) -> None:
        self.items, self.seconds = items, 0.0

    def __iter__(self) -> Iterator[Any]:
        source = iter(self.items)
        while True:
            began = time.monotonic()
            item = next(source, None)
            self.seconds += time.monotonic() - began
            if item is None:
                return
            yield item
