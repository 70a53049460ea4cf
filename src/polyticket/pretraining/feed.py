"""Batches of one language each, in an order that is a function of seed and step."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

AUTOTUNE = tf.data.AUTOTUNE


@dataclass(frozen=True)
class Shards:
    """The record files of one language, with the number of records in each."""

    files: tuple[str, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, folder: str, counts: Sequence[int]) -> "Shards":
        """The shards of a records folder, in order."""
        files = sorted(str(file) for file in Path(folder).glob("*.tfrecord"))
        return cls(tuple(files), tuple(counts))

    def stream(self, start: int) -> tf.data.Dataset:
        """Serialised records, over and over, from record number `start` of that endless sequence."""
        at = start % sum(self.counts)
        ends = np.cumsum(self.counts)
        shard = int(np.searchsorted(ends, at, side="right"))
        skipped = at - int(ends[shard] - self.counts[shard])
        rest = tf.data.TFRecordDataset(list(self.files[shard:])).skip(skipped)
        return rest.concatenate(tf.data.TFRecordDataset(list(self.files)).repeat())


def features_spec(max_seq_length: int, max_predictions: int) -> dict[str, tf.io.FixedLenFeature]:
    """What a record holds, for `tf.io.parse_example`."""
    sizes = {"input_ids": max_seq_length, "input_mask": max_seq_length, "segment_ids": max_seq_length}
    sizes |= {"masked_lm_positions": max_predictions, "masked_lm_ids": max_predictions}
    sizes |= {"next_sentence_labels": 1, "language": 1}
    spec = {name: tf.io.FixedLenFeature([size], tf.int64) for name, size in sizes.items()}
    return spec | {"masked_lm_weights": tf.io.FixedLenFeature([max_predictions], tf.float32)}


def batches(
    shards: Sequence[Shards],
    draws: NDArray[np.int64],
    *,
    start: int,
    first: int,
    batch_size: int,
    max_seq_length: int,
    max_predictions: int,
) -> tf.data.Dataset:
    """The batches of steps `start` … len(draws) - 1.

    The n-th batch of a language since step `first` holds its records n·B … (n+1)·B - 1, so a run that resumes at
    `start` sees what it would have seen.

    Args:
        shards: The L languages' record files.
        draws: int64, the language of every step from 0.
        start: The first step to feed.
        first: The step at which these record files came into use (where the phase began).
        batch_size: B.
        max_seq_length: T.
        max_predictions: P.

    Returns:
        Dictionaries of int32 and float32 tensors of static shape [B, T], [B, P] or [B, 1].
    """
    done = np.bincount(draws[first:start], minlength=len(shards))
    streams = [
        one.stream(int(count) * batch_size).batch(batch_size, drop_remainder=True)
        for one, count in zip(shards, done, strict=True)
    ]
    spec = features_spec(max_seq_length, max_predictions)

    def parse(records: tf.Tensor) -> dict[str, tf.Tensor]:
        found = tf.io.parse_example(records, spec)
        return {name: tf.cast(x, tf.int32) if x.dtype == tf.int64 else x for name, x in found.items()}

    choice = tf.data.Dataset.from_tensor_slices(draws[start:])
    mixed = tf.data.Dataset.choose_from_datasets(streams, choice, stop_on_empty_dataset=True)
    return mixed.map(parse, num_parallel_calls=AUTOTUNE, deterministic=True).prefetch(AUTOTUNE)
