"""Batches of equal parts, of one language each, in an order that is a function of seed and step."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from polyticket.pretraining.passes import record_stream
from polyticket.pretraining.places import Part
from polyticket.pretraining.plan import Plan

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
