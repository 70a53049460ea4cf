"""The records of a language over and over, each time in another order."""

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from polyticket.core.errors import PolyticketError
from polyticket.core.random_streams import stream
from polyticket.pretraining.plan import Shards
from polyticket.records.tfrecord import read_at, record_starts

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
