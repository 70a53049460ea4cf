"""The shuffle of all instances on disk: each draws a bucket, and the order is that of the buckets, shuffled within.

Drawing a bucket for each instance and then shuffling each bucket is a uniform shuffle of the whole: it is a sort by
random numbers, their high digits first.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polyticket.core.array_files import read_array
from polyticket.core.files import Pathlike
from polyticket.core.random_streams import stream
from polyticket.records.instances import Instances, Pairing, count_blocks, pair_block
from polyticket.records.tokens import Corpus, Tokens, open_tokens

ROW = np.dtype(
    [("a_start", "<i8"), ("b_start", "<i8"), ("a_length", "<u2"), ("b_length", "<u2"), ("random_next", "?")]
)  # 21 bytes


@dataclass(frozen=True)
class BlockRange:
    """A range of blocks of one dupe that one job pairs. The ranges follow from the corpus alone."""

    number: int
    dupe: int
    blocks: range


@dataclass(frozen=True)
class PairedBlocks:
    """The counts of one block range.

    Attributes:
        runs: The number of instances of each file in each bucket.
        random_next: The number of instances with a random B.
        tokens: Tokens of all A and B.
    """

    runs: list[list[int]]
    random_next: int
    tokens: int

    @property
    def instances(self) -> int:
        """The number of instances of the range."""
        return sum(map(sum, self.runs))


def list_block_ranges(tokens: Tokens, pairing: Pairing) -> list[BlockRange]:
    """The block ranges of a corpus, in order."""
    blocks, step = count_blocks(len(tokens.sentences) - 1, pairing.sizes), pairing.sizes.blocks_per_range
    ranges = [
        (dupe, range(begin, min(begin + step, blocks)))
        for dupe in range(pairing.dupe_factor)
        for begin in range(0, blocks, step)
    ]
    return [BlockRange(number, *each) for number, each in enumerate(ranges)]


def count_buckets(tokens: Tokens, pairing: Pairing) -> int:
    """The number of buckets, from a guess of the instances: a chunk fills about three quarters of the room."""
    most = len(tokens.sentences) - 1
    guess = len(tokens.ids) * 4 // (3 * pairing.room) + len(tokens.documents) - 1
    return min(1 + pairing.dupe_factor * min(most, guess) // pairing.sizes.instances_per_bucket, 1 << 16)


def pair_blocks(
    tokens_directory: Pathlike, pairing: Pairing, block_range: BlockRange, buckets: int, directory: Pathlike
) -> PairedBlocks:
    """Make the instances of a block range and write them to files (runs) in `directory`, sorted by bucket.

    Takes 21 bytes of disk for each instance, and memory for 2^20 instances.
    """
    corpus = Corpus(open_tokens(tokens_directory), pairing.sizes.large)
    runs, random_next, in_text = [], 0, 0
    random = stream(pairing.seed, pairing.language, "bucket", block_range.number)
    for number, rows in enumerate(_runs(corpus, pairing, block_range)):
        drawn = random.integers(buckets, size=len(rows), dtype=np.uint16)
        rows[np.argsort(drawn, kind="stable")].tofile(_run_path(directory, block_range.number, number))
        runs.append(np.bincount(drawn, minlength=buckets).tolist())
        random_next += int(np.count_nonzero(rows["random_next"]))
        in_text += int(rows["a_length"].sum(dtype=np.int64) + rows["b_length"].sum(dtype=np.int64))
    return PairedBlocks(runs, random_next, in_text)


def _runs(corpus: Corpus, pairing: Pairing, block_range: BlockRange) -> Iterator[np.ndarray]:
    """`ROW` [N]: the instances of a block range, one run at a time."""
    waiting: list[np.ndarray] = []
    for block in block_range.blocks:
        for pairs in pair_block(corpus, pairing, block_range.dupe, block):
            rows = np.empty(len(pairs), ROW)
            for name in ROW.names or ():
                rows[name] = getattr(pairs, name)
            waiting.append(rows)
            if sum(map(len, waiting)) >= pairing.sizes.instances_per_run:
                yield np.concatenate(waiting)
                waiting = []
    if waiting:
        yield np.concatenate(waiting)


def _run_path(directory: Pathlike, number: int, run: int) -> Path:
    return Path(directory) / f"{number:06d}-{run:06d}.pairs"


def write_index(directory: Pathlike, paired: list[PairedBlocks]) -> None:
    """Write the number of instances of each run in each bucket, for `Order`: uint32 [runs, buckets]."""
    runs = [run for blocks in paired for run in blocks.runs] or np.zeros((0, 1))  # without a document there is no run
    np.save(Path(directory) / "index.npy", np.array(runs, np.uint32))


class Order:
    """All instances in their final order, read from the runs in `directory`. One bucket is in memory at a time.

    Args:
        directory: Where `pair_blocks` wrote the runs of all block ranges, and `write_index` the index.
        pairing: The settings of pairing; the seed and the language are read.
    """

    def __init__(self, directory: Pathlike, pairing: Pairing) -> None:
        self.pairing = pairing
        self.paths = sorted(Path(directory).glob("*.pairs"))
        self.counts = read_array(Path(directory) / "index.npy", "an index of pairs").astype(np.int64)
        self.before = np.cumsum(self.counts, 1) - self.counts
        self.bounds = np.concatenate([[0], np.cumsum(self.counts.sum(0))])
        self._bucket, self._rows = -1, np.empty(0, ROW)

    def __len__(self) -> int:
        return int(self.bounds[-1])

    def read(self, begin: int, end: int) -> Instances:
        """The instances from `begin` to `end`, counted from 0."""
        first = int(np.searchsorted(self.bounds, begin, "right")) - 1
        last = int(np.searchsorted(self.bounds, end, "left"))
        slices = []
        for bucket in range(first, last):
            low = int(self.bounds[bucket])
            slices.append(self._load(bucket)[max(begin - low, 0) : end - low])
        rows = np.concatenate(slices)
        return Instances(**{name: rows[name] for name in ROW.names or ()})

    def _load(self, bucket: int) -> np.ndarray:
        if bucket != self._bucket:
            runs = zip(self.paths, self.counts[:, bucket].tolist(), self.before[:, bucket].tolist(), strict=True)
            rows = np.concatenate([np.fromfile(p, ROW, count, offset=skip * ROW.itemsize) for p, count, skip in runs])
            random = stream(self.pairing.seed, self.pairing.language, "shuffle", bucket)
            self._bucket, self._rows = bucket, rows[random.permutation(len(rows))]
        return self._rows
