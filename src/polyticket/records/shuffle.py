"""The shuffle of all instances on disk: each draws a bucket, and the order is that of the buckets, shuffled within.

Drawing a bucket for each instance and then shuffling each bucket is a uniform shuffle of the whole: it is a sort by
random numbers, their high digits first.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polyticket.core.files import Pathlike
from polyticket.core.random_streams import stream
from polyticket.records.instances import Instances, Pairing, count_blocks, pair_block
from polyticket.records.tokens import Corpus, Tokens, open_tokens

INSTANCES_PER_BUCKET = 1 << 18
INSTANCES_PER_RUN = 1 << 20
BLOCKS_PER_PART = 64
ROW = np.dtype(
    [("a_start", "<i8"), ("b_start", "<i8"), ("a_length", "<u2"), ("b_length", "<u2"), ("random_next", "?")]
)  # 21 bytes


@dataclass(frozen=True)
class BlockRange:
    """A share of the pairing that is done in one go: a range of blocks of one dupe; parts follow from the corpus."""

    number: int
    dupe: int
    blocks: range


@dataclass(frozen=True)
class PairedBlocks:
    """What came of a part.

    Attributes:
        runs: How many instances each of its files has in each bucket.
        random_next: How many instances have a random B.
        tokens: Tokens of all A and B.
    """

    runs: list[list[int]]
    random_next: int
    tokens: int

    @property
    def instances(self) -> int:
        """How many instances the part has."""
        return sum(map(sum, self.runs))


def list_block_ranges(tokens: Tokens, how: Pairing) -> list[BlockRange]:
    """The parts of the pairing of a corpus, in order."""
    blocks = count_blocks(len(tokens.sentences) - 1)
    begins = range(0, blocks, BLOCKS_PER_PART)
    ranges = [
        (dupe, range(begin, min(begin + BLOCKS_PER_PART, blocks)))
        for dupe in range(how.dupe_factor)
        for begin in begins
    ]
    return [BlockRange(number, *each) for number, each in enumerate(ranges)]


def count_buckets(tokens: Tokens, how: Pairing) -> int:
    """As many buckets as give each about 2^18 instances; a chunk takes about three quarters of the room."""
    most = len(tokens.sentences) - 1
    guess = len(tokens.ids) * 4 // (3 * how.room) + len(tokens.documents) - 1
    return min(1 + how.dupe_factor * min(most, guess) // INSTANCES_PER_BUCKET, 1 << 16)


def pair_blocks(
    tokens_folder: Pathlike, how: Pairing, part: BlockRange, buckets: int, folder: Pathlike
) -> PairedBlocks:
    """Make the instances of a part and write them to files (runs) in `folder`, sorted by bucket.

    Takes 21 bytes of disk for each instance, and memory for 2^20 instances.
    """
    corpus = Corpus(open_tokens(tokens_folder))
    runs, random_next, in_text = [], 0, 0
    random = stream(how.seed, how.language, "bucket", part.number)
    for number, rows in enumerate(_runs(corpus, how, part)):
        drawn = random.integers(buckets, size=len(rows), dtype=np.uint16)
        rows[np.argsort(drawn, kind="stable")].tofile(_run_path(folder, part.number, number))
        runs.append(np.bincount(drawn, minlength=buckets).tolist())
        random_next += int(np.count_nonzero(rows["random_next"]))
        in_text += int(rows["a_length"].sum(dtype=np.int64) + rows["b_length"].sum(dtype=np.int64))
    return PairedBlocks(runs, random_next, in_text)


def _runs(corpus: Corpus, how: Pairing, part: BlockRange) -> Iterator[np.ndarray]:
    """`ROW` [N]: the instances of a part, a run of about 2^20 at a time."""
    waiting: list[np.ndarray] = []
    for block in part.blocks:
        for pairs in pair_block(corpus, how, part.dupe, block):
            rows = np.empty(len(pairs), ROW)
            for name in ROW.names or ():
                rows[name] = getattr(pairs, name)
            waiting.append(rows)
            if sum(map(len, waiting)) >= INSTANCES_PER_RUN:
                yield np.concatenate(waiting)
                waiting = []
    if waiting:
        yield np.concatenate(waiting)


def _run_path(folder: Pathlike, part: int, run: int) -> Path:
    return Path(folder) / f"{part:06d}-{run:06d}.pairs"


def write_index(folder: Pathlike, paired: list[PairedBlocks]) -> None:
    """Keep how many instances of each bucket each run has, for `Order`: uint32 [runs, buckets]."""
    runs = [run for part in paired for run in part.runs] or np.zeros((0, 1))  # without a document there is no run
    np.save(Path(folder) / "index.npy", np.array(runs, np.uint32))


class Order:
    """All instances in their final order, read from the runs in `folder`; one bucket is in memory at a time.

    Args:
        folder: Where `pair_blocks` wrote the runs of all parts, and `write_index` the index.
        how: How the segments were cut: gives the seed and the language.
    """

    def __init__(self, folder: Pathlike, how: Pairing) -> None:
        self.how = how
        self.paths = sorted(Path(folder).glob("*.pairs"))
        self.counts = np.load(Path(folder) / "index.npy", allow_pickle=False).astype(np.int64)
        self.before = np.cumsum(self.counts, 1) - self.counts
        self.bounds = np.concatenate([[0], np.cumsum(self.counts.sum(0))])
        self._bucket, self._rows = -1, np.empty(0, ROW)

    def __len__(self) -> int:
        return int(self.bounds[-1])

    def read(self, begin: int, end: int) -> Instances:
        """The instances from `begin` to `end`, counted from 0."""
        first = int(np.searchsorted(self.bounds, begin, "right")) - 1
        found = []
        last = int(np.searchsorted(self.bounds, end, "left"))
        for bucket in range(first, last):
            low = int(self.bounds[bucket])
            found.append(self._load(bucket)[max(begin - low, 0) : end - low])
        rows = np.concatenate(found)
        return Instances(**{name: rows[name] for name in ROW.names or ()})

    def _load(self, bucket: int) -> np.ndarray:
        if bucket != self._bucket:
            runs = zip(self.paths, self.counts[:, bucket].tolist(), self.before[:, bucket].tolist(), strict=True)
            rows = np.concatenate([np.fromfile(p, ROW, count, offset=at * ROW.itemsize) for p, count, at in runs])
            random = stream(self.how.seed, self.how.language, "shuffle", bucket)
            self._bucket, self._rows = bucket, rows[random.permutation(len(rows))]
        return self._rows
