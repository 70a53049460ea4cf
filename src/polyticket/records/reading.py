"""Reading the records of one language, without TensorFlow."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, read_object
from polyticket.records.tfrecord import decode_examples, read_tfrecords, record_fields, shard_name

EVERY = slice(None)
NEEDED = ("language", "language_index", "languages", "max_seq_length", "max_predictions", "instances_per_shard")


def load_stats(directory: Pathlike) -> dict[str, Any]:
    """The statistics of a directory of records.

    Raises:
        PolyticketError: ``stats.json`` is missing, or is not that of a directory of records.
    """
    path = Path(directory) / "stats.json"
    stats = read_object(path, "the statistics of records")
    if missing := [key for key in NEEDED if key not in stats]:
        raise PolyticketError(f"{', '.join(missing)} missing", where=path, expected="the statistics of records")
    shards, counts = stats["instances_per_shard"], (stats["max_seq_length"], stats["max_predictions"])
    if not isinstance(shards, list) or not all(type(one) is int and one >= 0 for one in (*shards, *counts)):
        raise PolyticketError("a count that is no number", where=path, expected="the statistics of records")
    return stats


def shard_paths(directory: Pathlike, stats: dict[str, Any] | None = None) -> list[Path]:
    """The files of a directory of records, in order."""
    shards = len((stats or load_stats(directory))["instances_per_shard"])
    return [Path(directory) / shard_name(shard, shards) for shard in range(shards)]


def read_batches(
    directory: Pathlike, batch_size: int, *, features: Iterable[str] | None = None, shards: slice = EVERY
) -> Iterator[dict[str, np.ndarray]]:
    """The records of a directory in the order they were written, in batches.

    Args:
        directory: A directory of records.
        batch_size: B; the last batch holds what is left.
        features: The names of the features to read; all eight if None.
        shards: The files to read.

    Yields:
        For each feature an array [B, length], int32, or float32 for ``masked_lm_weights``; the lengths are
        max_seq_length, max_predictions or 1.

    Raises:
        PolyticketError: A shard is missing, damaged, or holds another number of records than ``stats.json`` says.
    """
    stats = load_stats(directory)
    fields = record_fields(stats["max_seq_length"], stats["max_predictions"])
    names = [field.name for field in fields] if features is None else list(features)
    records = _records(directory, stats, shards)
    first = 0
    while batch := list(islice(records, batch_size)):
        arrays = decode_examples(batch, fields, where=directory, first=first)
        yield {name: arrays[name] for name in names}
        first += len(batch)


def _records(directory: Pathlike, stats: dict[str, Any], shards: slice) -> Iterator[bytes]:
    sizes = list(zip(shard_paths(directory, stats), stats["instances_per_shard"], strict=True))
    for path, expected in sizes[shards]:
        count = 0
        for record in read_tfrecords(path):
            count += 1
            yield record
        if count != expected:
            raise PolyticketError(f"{count} records", where=path, expected=f"{expected}, as stats.json says")
