"""Pairs of segments for next-sentence prediction, as spans of the token array.

The algorithm is that of the original BERT data script (Devlin et al., NAACL 2019). Every random draw is keyed by what
it decides, so the result depends on the seed alone.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import chain, count

import numpy as np

from polyticket.core.random_streams import stream
from polyticket.records.tokens import LARGE, Corpus, Spans

TRIES_FOR_ANOTHER_DOCUMENT = 10


@dataclass(frozen=True)
class Sizes:
    """The sizes in which the work is done.

    Attributes:
        sentences_per_block: Sentences of a block of documents. Random streams are keyed by block, so another size gives
            other records.
        instances_per_batch: Instances that are made at a time, at most. Another size gives other records.
        tokens_per_batch: Tokens of a batch, at most. Another size gives other records.
        blocks_per_range: Blocks of a `BlockRange`. Another size gives another order of the records.
        instances_per_bucket: Instances of a bucket of the shuffle, about. Another size gives another order.
        instances_per_run: Instances that are sorted by bucket at a time, about.
        sentences_in_memory: Sentences whose offsets are in memory at a time; no target length may be longer.
        large: Bytes of an array from which on it is read by calls, see `Spans`.
    """

    sentences_per_block: int = 1 << 16
    instances_per_batch: int = 2048
    tokens_per_batch: int = 1 << 20
    blocks_per_range: int = 64
    instances_per_bucket: int = 1 << 18
    instances_per_run: int = 1 << 20
    sentences_in_memory: int = 1 << 17
    large: int = LARGE


@dataclass(frozen=True)
class Instances:
    """N pairs of segments A and B, each a span of the token array.

    Attributes:
        a_start: int64 [N]: where A begins in `Tokens.ids`; likewise `b_start`.
        a_length: int32 [N]: the number of tokens of A, at least 1; likewise `b_length`.
        random_next: bool [N]: whether B was drawn at random (next-sentence label 1).
    """

    a_start: np.ndarray
    a_length: np.ndarray
    b_start: np.ndarray
    b_length: np.ndarray
    random_next: np.ndarray

    def __len__(self) -> int:
        return len(self.a_start)

    def __getitem__(self, which: slice | np.ndarray) -> "Instances":
        return Instances(**{field.name: getattr(self, field.name)[which] for field in fields(self)})


@dataclass(frozen=True)
class Pairing:
    """The settings of pairing.

    Attributes:
        seed: The run's seed.
        language: The language's code.
        dupe_factor: The number of passes over the corpus, each with its own random draws.
        max_seq_length: Length of a sequence with its three special tokens.
        short_seq_prob: The probability that a document's target length is drawn from [2, max_seq_length - 3].
        sizes: The sizes in which the work is done.
    """

    seed: int
    language: str
    dupe_factor: int
    max_seq_length: int
    short_seq_prob: float
    sizes: Sizes = Sizes()

    @property
    def room(self) -> int:
        """Tokens of A and B together, at most."""
        return self.max_seq_length - 3

    @property
    def batch_size(self) -> int:
        """The number of instances of a batch; smaller for long sequences. Random streams are drawn batch by batch."""
        return max(1, min(self.sizes.instances_per_batch, self.sizes.tokens_per_batch // self.max_seq_length))


def count_blocks(sentences: int, sizes: Sizes) -> int:
    """The number of blocks of a corpus. Block n has the documents whose first sentence is among the n-th 2^16."""
    return -(-sentences // sizes.sentences_per_block)


def pair_block(corpus: Corpus, pairing: Pairing, dupe: int, block: int) -> Iterator[Instances]:
    """The instances of one block of documents, in order, in batches. Memory depends on neither block nor corpus.

    The documents are not shuffled here, since all instances are shuffled at the end.

    Args:
        corpus: The whole corpus, which random next segments come from.
        pairing: The settings.
        dupe: The number of the pass over the corpus, from 0.
        block: The number of the block, from 0, less than `count_blocks`.
    """
    end = len(corpus.documents) - 1
    size = pairing.sizes.sentences_per_block
    begin, end = (bisect_left(corpus.documents, n * size, 0, end) for n in (block, block + 1))
    if begin == end:  # inside a long document
        return
    random = stream(pairing.seed, pairing.language, "pair", dupe, block)
    targets = _target_lengths(end - begin, pairing, random)
    bounds = corpus.documents.read([begin], [end + 1]).tolist()
    cuts = stream(pairing.seed, pairing.language, "cut", dupe, block)
    for rows in _cut_chunks(corpus.sentences, bounds, targets.tolist(), pairing, cuts):
        a_start, b_start, stop, random_next, document = rows.T.copy()
        a_length, b_length = b_start - a_start, stop - b_start
        drawn = np.flatnonzero(random_next)
        target = targets[document[drawn]] - a_length[drawn]
        b_start[drawn], b_length[drawn] = _random_segments(corpus, begin + document[drawn], target, random)
        pairs = Instances(a_start, a_length, b_start, b_length, random_next.astype(bool))
        yield truncate(pairs, pairing.room, random)


def _target_lengths(documents: int, pairing: Pairing, random: np.random.Generator) -> np.ndarray:
    """int64 [documents]: the full room, or with `short_seq_prob` a uniform integer in [2, room]."""
    short, length = random.random((2, documents))
    return np.where(short < pairing.short_seq_prob, 2 + (length * (pairing.room - 1)).astype(np.int64), pairing.room)


def _cut_chunks(
    sentences: Spans, documents: list[int], targets: list[int], pairing: Pairing, random: np.random.Generator
) -> Iterator[np.ndarray]:
    """int64 [<= batch, 5], the chunks: first token, first token after A, end, whether B is random, document.

    A chunk takes whole sentences until it has the target length or the document ends. The sentences that a random B
    replaces go back to the document. Documents are counted from the first one given.
    """
    batch, window = pairing.batch_size, pairing.sizes.sentences_in_memory
    draw = chain.from_iterable(random.random(4096).tolist() for _ in count()).__next__
    rows: list[int] = []
    low = high = 0  # `offsets` are those of the sentences from low to high, both included
    offsets: list[int] = []
    for document, target in enumerate(targets):
        first, stop = documents[document], documents[document + 1]
        while first < stop:
            if high < min(first + target, stop):
                low, high = first, min(first + window, documents[-1])
                offsets = sentences.read([low], [high + 1]).tolist()
            begin = offsets[first - low]
            end = low + bisect_left(offsets, begin + target, first - low + 1, min(stop, high) - low)
            split = first + 1 + int(draw() * (end - first - 1))
            random_next = split == end or draw() < 0.5
            rows += (begin, offsets[split - low], offsets[end - low], random_next, document)
            first = split if random_next else end
            if len(rows) == 5 * batch:
                yield np.array(rows).reshape(-1, 5)
                rows.clear()
    if rows:
        yield np.array(rows).reshape(-1, 5)


def _random_segments(
    corpus: Corpus, document: np.ndarray, target: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Starts and lengths of random B segments: whole sentences, at least one, until the target number of tokens.

    The document is any other of the language. The original script tries ten times to find another document. All tries
    give the same document with probability N^-10 (1 if there is no other), which is one draw here.
    """
    size = len(corpus.documents) - 1
    same, which, where = random.random((3, len(document)))
    other = (which * max(size - 1, 1)).astype(np.int64)
    other += other >= document
    other = np.where(same < float(size) ** -TRIES_FOR_ANOTHER_DOCUMENT, document, other)
    begin, stop = corpus.documents.read(other.tolist(), (other + 2).tolist()).reshape(-1, 2).T
    first = begin + (where * (stop - begin)).astype(np.int64)
    last = np.clip(first + target, first + 1, stop)  # no sentence is empty, so B ends here at the latest
    offsets = corpus.sentences.read(first.tolist(), (last + 1).tolist())
    high = np.cumsum(last + 1 - first) - 1
    low = high - (last - first)
    start = offsets[low]
    return start, offsets[_reaching(offsets, low + 1, high, start + target)] - start


def _reaching(offsets: np.ndarray, low: np.ndarray, high: np.ndarray, target: np.ndarray) -> np.ndarray:
    """int64 [N]: the first index from `low` to `high` where `offsets` is at least the target; by bisection."""
    while (low < high).any():
        middle = (low + high) // 2
        before = offsets[middle] < target
        low, high = np.where(before & (low < high), middle + 1, low), np.where(before, high, middle)
    return low


def truncate(pairs: Instances, room: int, random: np.random.Generator) -> Instances:
    """Truncate pairs to `room` tokens, one token at a time: of the longer segment (B if equal), at its front or back.

    The number of tokens that a segment loses is not random. Front and back are equally likely, so the number of tokens
    lost at the front is binomial.
    """
    gap = pairs.a_length.astype(np.int64) - pairs.b_length
    excess = np.maximum(pairs.a_length + pairs.b_length - room, 0)
    levelling = np.minimum(excess, np.abs(gap))
    rest = excess - levelling
    a_cut = np.where(gap > 0, levelling, 0) + rest // 2
    b_cut = np.where(gap > 0, 0, levelling) + (rest + 1) // 2
    return Instances(
        pairs.a_start + random.binomial(a_cut, 0.5),
        (pairs.a_length - a_cut).astype(np.int32),
        pairs.b_start + random.binomial(b_cut, 0.5),
        (pairs.b_length - b_cut).astype(np.int32),
        pairs.random_next,
    )
