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
from polyticket.pretraining.strategy import Part
from polyticket.records.reading import load_stats, shard_paths
from polyticket.records.tfrecord import read_at, record_starts

AUTOTUNE = tf.data.AUTOTUNE
WHOLE = Part()


def features_spec(max_seq_length: int, max_predictions: int) -> dict[str, tf.io.FixedLenFeature]:
    """What a record holds, for `tf.io.parse_example`."""
    sizes = {"input_ids": max_seq_length, "input_mask": max_seq_length, "segment_ids": max_seq_length}
    sizes |= {"masked_lm_positions": max_predictions, "masked_lm_ids": max_predictions}
    sizes |= {"next_sentence_labels": 1, "language": 1}
    spec = {name: tf.io.FixedLenFeature([size], tf.int64) for name, size in sizes.items()}
    return spec | {"masked_lm_weights": tf.io.FixedLenFeature([max_predictions], tf.float32)}


def batches(plan: Plan, start: int, part: Part = WHOLE) -> tf.data.Dataset:
    """The batches of a phase from step `start` on.

    A batch holds its parts one after the other. The n-th part of a language since the phase began holds its records
    n·b … (n+1)·b - 1 of `record_stream`, where b = B / languages per step, so a run that resumes at `start` sees what
    it would have seen.

    Args:
        plan: What the phase does.
        start: Steps done.
        part: What to keep of every batch.

    Returns:
        Dictionaries of int32 and float32 tensors of static shape [n, T], [n, P] or [n, 1], where n = B / `part.parts`:
        `part.own` of them for each batch.
    """
    return _mixed(plan, plan.draws()[start:], start, part)


def next_batches(plan: Plan, step: int, part: Part = WHOLE) -> tf.data.Dataset:
    """For each language, in order, the part that it would see next after `step` steps; see `batches`.

    A batch holds as many parts as there are devices, or as a step has if these are fewer. What the last batch has too
    many of is of language -1.
    """
    L, parts = len(plan.languages), min(plan.options.languages_per_step, part.parts)
    rows = np.append(np.arange(L), np.zeros(-L % parts, np.int64)).reshape(-1, parts)
    mixed = _mixed(plan, rows, step, part)

    def named(number: tf.Tensor, features: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        batch, device = number // part.own, part.first + number % part.own
        known = batch * parts + device // (part.parts // parts) < L
        return features | {"language": tf.where(known, features["language"], -1)}

    return mixed.enumerate().map(named) if L % parts else mixed


def _mixed(plan: Plan, rows: NDArray[np.int64], step: int, part: Part) -> tf.data.Dataset:
    """Batches of parts of the languages of the given rows [batches, parts], as they come after `step` steps."""
    phase, size, parts = plan.phase, plan.part_size, rows.shape[1]
    done = plan.parts_per_language(step).values()
    streams = [
        record_stream(shards, count * size, language, plan.options.seed).batch(size, drop_remainder=True)
        for language, shards, count in zip(plan.languages, plan.shards, done, strict=True)
    ]
    spec = features_spec(phase.max_seq_length, phase.max_predictions)

    def parse(records: tf.Tensor) -> dict[str, tf.Tensor]:
        found = tf.io.parse_example(records, spec)
        return {name: tf.cast(x, tf.int32) if x.dtype == tf.int64 else x for name, x in found.items()}

    choice = tf.data.Dataset.from_tensor_slices(rows.ravel())
    mixed = tf.data.Dataset.choose_from_datasets(streams, choice, stop_on_empty_dataset=True)
    if parts > 1:
        mixed = mixed.batch(parts, drop_remainder=True)
    if parts > 1 or part != WHOLE:
        mixed = mixed.map(lambda records: _kept(records, part, parts * size)).unbatch()
    return mixed.map(parse, num_parallel_calls=AUTOTUNE, deterministic=True).prefetch(AUTOTUNE)


def _kept(records: tf.Tensor, part: Part, size: int) -> tf.Tensor:
    """Of a batch of records [B], those of a part, a row per device: [own, B / parts]."""
    return tf.reshape(records, [part.parts, size // part.parts])[part.first : part.first + part.own]


class Waiting:
    """An iterable that counts the seconds for which its consumer waits."""

    def __init__(self, items: Iterable[Any]) -> None:
        self.items, self.seconds = items, 0.0

    def __iter__(self) -> Iterator[Any]:
        source = iter(self.items)
        while True:
            began = time.monotonic()
            found = next(source, None)
            self.seconds += time.monotonic() - began
            if found is None:
                return
            yield found


READ_TOGETHER = 256
"""Records that are read in one call."""


def record_stream(shards: Shards, start: int, language: str, seed: int) -> tf.data.Dataset:
    """Serialised records of one language without end, from record number `start` of that sequence.

    The first pass is in the order of the files, which is a random one; every other pass is a random order of its own, a
    function of seed, language and pass, and of the number of records: how they are cut into shards does not count.
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

    Nothing is read before the first record is asked for. Then the place of every record is found once, which reads the
    files, and kept: 8 bytes a record, and as many for the order of the present pass.

    Args:
        shards: The files of the language.
        language: Its code.
        seed: The run's.
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
        number, within = np.divmod(numbers, self.size)
        places = np.concatenate([self.order(one)[within[number == one]] for one in np.unique(number).tolist()])
        found = np.empty(len(numbers), object)
        ends = np.cumsum(self.shards.counts)
        shards = np.searchsorted(ends, places, side="right")
        for shard in np.unique(shards):
            here = np.flatnonzero(shards == shard)
            inside = places[here] - (ends[shard] - self.shards.counts[shard])
            found[here] = read_at(self.shards.files[shard], self._places()[shard][inside].tolist())
        return found

    def order(self, number: int) -> NDArray[np.int64]:
        """The order of the records in pass `number`, from 0."""
        if self._present[0] != number or not len(self._present[1]):
            order = stream(self.seed, self.language, "pass", number).permutation(self.size)
            self._present = number, order if number else np.arange(self.size)
        return self._present[1]

    def _places(self) -> list[NDArray[np.int64]]:
        if not self._starts:
            found = [record_starts(file) for file in self.shards.files]
            for starts, count, file in zip(found, self.shards.counts, self.shards.files, strict=True):
                if len(starts) != count:
                    raise PolyticketError(f"{len(starts)} records", where=file, expected=str(count))
            self._starts = found
        return self._starts


def tf_records(folder: Pathlike, batch_size: int, *, drop_remainder: bool = False) -> tf.data.Dataset:
    """The records of a folder, once, in the order they were written.

    Records are batched first and parsed together. Repeat, shuffle or shard the dataset as any other:

        for batch in tf_records("results/records/phase_1/sw", 32).shuffle(100).repeat():
            batch["input_ids"]  # int32 [32, max_seq_length]

    Args:
        folder: A folder of records.
        batch_size: B; the last batch holds what is left.
        drop_remainder: Leave out a last batch that is not full, so that all shapes are static.

    Returns:
        Dictionaries of the eight features, the arrays of `polyticket.records.reading.read_batches`: [B, length], int32,
        or float32 for ``masked_lm_weights``.

    Raises:
        PolyticketError: ``stats.json`` is missing, or is not that of a folder of records. What is wrong with a shard
            raises TensorFlow's own errors while it is read.
    """
    stats = load_stats(folder)
    spec = features_spec(stats["max_seq_length"], stats["max_predictions"])
    files = [str(path) for path in shard_paths(folder, stats)]
    batches = tf.data.TFRecordDataset(files).batch(batch_size, drop_remainder=drop_remainder)
    return batches.map(partial(_parse, spec=spec), num_parallel_calls=AUTOTUNE, deterministic=True).prefetch(AUTOTUNE)


def _parse(records: tf.Tensor, spec: dict[str, tf.io.FixedLenFeature]) -> dict[str, tf.Tensor]:
    found = tf.io.parse_example(records, spec)
    return {name: tf.cast(x, tf.int32) if x.dtype == tf.int64 else x for name, x in found.items()}
