"""Which tokens go together: pairs of segments for next-sentence prediction, as spans of the token array.

The algorithm is that of the original BERT data script (Devlin et al., NAACL 2019), with every random draw keyed by what
it decides, so that the result depends on the seed alone.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import chain, count

import numpy as np

from polyticket.core.random_streams import stream
from polyticket.records.tokens import Corpus, Spans

SENTENCES_PER_BLOCK = 1 << 16  # the random streams are keyed by block: another size gives other records
INSTANCES_PER_BATCH = 2048  # likewise
TOKENS_PER_BATCH = 1 << 20  # likewise
SENTENCES_AT_HAND = 1 << 17  # no target is longer
TRIES_FOR_ANOTHER_DOCUMENT = 10


@dataclass(frozen=True)
class Instances:
    """N pairs of segments A and B, each a span of the token array.

    Attributes:
        a_start: int64 [N]: where A begins in `Tokens.ids`; likewise `b_start`.
        a_length: int32 [N]: how many tokens A has, at least 1; likewise `b_length`.
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
    """How segments are cut.

    Attributes:
        seed: The run's seed.
        language: The language's code.
        dupe_factor: How often the corpus is gone through, each time with fresh randomness.
        max_seq_length: Length of a sequence with its three special tokens.
        short_seq_prob: The probability that a document's target length is drawn from [2, max_seq_length - 3].
    """

    seed: int
    language: str
    dupe_factor: int
    max_seq_length: int
    short_seq_prob: float

    @property
    def room(self) -> int:
        """Tokens of A and B together, at most."""
        return self.max_seq_length - 3


def batch_size(max_seq_length: int) -> int:
    """How many instances are worked on at once: fewer if they are long. Random streams are drawn batch by batch."""
    return max(1, min(INSTANCES_PER_BATCH, TOKENS_PER_BATCH // max_seq_length))


def count_blocks(sentences: int) -> int:
    """How many blocks a corpus has: block n holds the documents whose first sentence is among the n-th 2^16."""
    return -(-sentences // SENTENCES_PER_BLOCK)


def pair_block(corpus: Corpus, how: Pairing, dupe: int, block: int) -> Iterator[Instances]:
    """The instances of one block of documents, in order, in batches: memory depends on neither block nor corpus.

    The documents themselves are not shuffled: after the final shuffle nothing can tell.

    Args:
        corpus: The whole corpus, which random next segments come from.
        how: How segments are cut.
        dupe: The time that the corpus is gone through, from 0.
        block: The number of the block, from 0, less than `count_blocks`.
    """
    end = len(corpus.documents) - 1
    begin, end = (bisect_left(corpus.documents, n * SENTENCES_PER_BLOCK, 0, end) for n in (block, block + 1))
    if begin == end:  # inside a long document
        return
    random = stream(how.seed, how.language, "pair", dupe, block)
    targets = _target_lengths(end - begin, how, random)
    bounds = corpus.documents.read([begin], [end + 1]).tolist()
    cuts = stream(how.seed, how.language, "cut", dupe, block)
    for rows in _cut_chunks(corpus.sentences, bounds, targets.tolist(), batch_size(how.max_seq_length), cuts):
        a_start, b_start, stop, random_next, document = rows.T.copy()
        a_length, b_length = b_start - a_start, stop - b_start
        drawn = np.flatnonzero(random_next)
        wanted = targets[document[drawn]] - a_length[drawn]
        b_start[drawn], b_length[drawn] = _random_segments(corpus, begin + document[drawn], wanted, random)
        pairs = Instances(a_start, a_length, b_start, b_length, random_next.astype(bool))
        yield truncate(pairs, how.room, random)


def _target_lengths(documents: int, how: Pairing, random: np.random.Generator) -> np.ndarray:
    """int64 [documents]: the full room, or with `short_seq_prob` a uniform integer in [2, room]."""
    short, length = random.random((2, documents))
    return np.where(short < how.short_seq_prob, 2 + (length * (how.room - 1)).astype(np.int64), how.room)


def _cut_chunks(
    sentences: Spans, documents: list[int], targets: list[int], batch: int, random: np.random.Generator
) -> Iterator[np.ndarray]:
    """int64 [<= batch, 5], the chunks: first token, first one after A, end, whether B is random, document.

    A chunk takes whole sentences until it has the target length or the document ends. What a random B replaces goes
    back to the document. Documents are counted from the first one given.
    """
    draw = chain.from_iterable(random.random(4096).tolist() for _ in count()).__next__
    rows: list[int] = []
    low = high = 0  # `offsets` are those of the sentences from low to high, both included
    offsets: list[int] = []
    for document, target in enumerate(targets):
        first, stop = documents[document], documents[document + 1]
        while first < stop:
            if high < min(first + target, stop):
                low, high = first, min(first + SENTENCES_AT_HAND, documents[-1])
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
    corpus: Corpus, document: np.ndarray, wanted: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Starts and lengths of random B segments, of whole sentences, at least one, until `wanted` tokens.

    The document is any other of the language. The original tries ten times to hit another one: the chance N^-10 that
    all tries give the same document (certain when there is no other) is one draw here.
    """
    size = len(corpus.documents) - 1
    same, which, where = random.random((3, len(document)))
    other = (which * max(size - 1, 1)).astype(np.int64)
    other += other >= document
    other = np.where(same < float(size) ** -TRIES_FOR_ANOTHER_DOCUMENT, document, other)
    begin, stop = corpus.documents.read(other.tolist(), (other + 2).tolist()).reshape(-1, 2).T
    first = begin + (where * (stop - begin)).astype(np.int64)
    last = np.clip(first + wanted, first + 1, stop)  # no sentence is empty, so B ends here at the latest
    offsets = corpus.sentences.read(first.tolist(), (last + 1).tolist())
    high = np.cumsum(last + 1 - first) - 1
    low = high - (last - first)
    start = offsets[low]
    return start, offsets[_reaching(offsets, low + 1, high, start + wanted)] - start


def _reaching(offsets: np.ndarray, low: np.ndarray, high: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """int64 [N]: the first place from `low` on where `offsets` is at least `wanted`, at most `high`; by halving."""
    while (low < high).any():
        middle = (low + high) // 2
        before = offsets[middle] < wanted
        low, high = np.where(before & (low < high), middle + 1, low), np.where(before, high, middle)
    return low


def truncate(pairs: Instances, room: int, random: np.random.Generator) -> Instances:
    """Cut pairs to `room` tokens: each time one token of the longer segment (B if equal), at its front or back.

    How much each segment loses does not depend on chance; front and back are equally likely, so the number of front
    cuts is binomial.
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
