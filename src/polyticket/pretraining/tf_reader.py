"""Records as a `tf.data` pipeline, for a look at them or for a training loop of one's own."""

from functools import partial

import tensorflow as tf

from polyticket.core.files import Pathlike
from polyticket.pretraining.feed import AUTOTUNE, features_spec
from polyticket.records.reading import load_stats, shard_paths


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
