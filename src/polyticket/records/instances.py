"""Which tokens go together: pairs of segments for next-sentence prediction, as spans of the token array.

The algorithm is that of the original BERT data script (Devlin et al., NAACL 2019), with every random draw keyed by what
it decides, so that the result depends on the seed alone.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from polyticket.records.randomness import stream
from polyticket.records.tokens import Tokens

DOCUMENTS_PER_BLOCK = 1024
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


def pair_segments(tokens: Tokens, how: Pairing) -> Instances:
    """All instances of a language, over all dupes, in shuffled order.

    The documents themselves are not shuffled: after the final shuffle nothing can tell.
    """
    dupes = [_one_dupe(tokens, how, dupe) for dupe in range(how.dupe_factor)]
    together = Instances(**{f.name: np.concatenate([getattr(d, f.name) for d in dupes]) for f in fields(Instances)})
    return together[stream(how.seed, how.language, "shuffle").permutation(len(together))]


def _one_dupe(tokens: Tokens, how: Pairing, dupe: int) -> Instances:
    targets = _target_lengths(len(tokens.documents) - 1, how, dupe)
    chunks = np.concatenate(list(_cut_chunks(tokens, targets, how, dupe)))
    first, split, end, random_next, document = chunks.T
    a_start, b_start = tokens.sentences[first], tokens.sentences[split]
    a_length, b_length = b_start - a_start, tokens.sentences[end] - b_start
    drawn = np.flatnonzero(random_next)
    wanted = targets[document[drawn]] - a_length[drawn]
    b_start[drawn], b_length[drawn] = _random_segments(tokens, document[drawn], wanted, how, dupe)
    pairs = Instances(a_start, a_length, b_start, b_length, random_next.astype(bool))
    return truncate(pairs, how.room, stream(how.seed, how.language, "truncate", dupe))


def _target_lengths(documents: int, how: Pairing, dupe: int) -> np.ndarray:
    """int64 [documents]: the full room, or with `short_seq_prob` a uniform integer in [2, room]."""
    short, length = stream(how.seed, how.language, "target", dupe).random((2, documents))
    return np.where(short < how.short_seq_prob, 2 + (length * (how.room - 1)).astype(np.int64), how.room)


def _cut_chunks(tokens: Tokens, targets: np.ndarray, how: Pairing, dupe: int) -> Iterator[np.ndarray]:
    """int64 [chunks, 5] of each block: first sentence, first one after A, end, whether B is random, document."""
    for block, begin in enumerate(range(0, len(targets), DOCUMENTS_PER_BLOCK)):
        bounds = tokens.documents[begin : begin + DOCUMENTS_PER_BLOCK + 1]
        draws = stream(how.seed, how.language, "chunk", dupe, block).random((2, bounds[-1] - bounds[0]))
        rows = _chunk_rows(
            tokens.sentences[bounds[0] : bounds[-1] + 1].tolist(),
            (bounds - bounds[0]).tolist(),
            targets[begin : begin + DOCUMENTS_PER_BLOCK].tolist(),
            draws[0].tolist(),
            draws[1].tolist(),
        )
        yield np.array(rows).reshape(-1, 5) + np.array([bounds[0], bounds[0], bounds[0], 0, begin])


def _chunk_rows(
    offsets: list[int], bounds: list[int], targets: list[int], splits: list[float], coins: list[float]
) -> list[int]:
    """The rows of `_cut_chunks`, flat, with sentences and documents counted from the block's first.

    A chunk takes whole sentences until it has the target length or the document ends. Its draws are those of its first
    sentence. What a random B replaces goes back to the document.
    """
    rows: list[int] = []
    for document, target in enumerate(targets):
        first, stop = bounds[document], bounds[document + 1]
        while first < stop:
            end = bisect_left(offsets, offsets[first] + target, first + 1, stop)
            split = first + 1 + int(splits[first] * (end - first - 1))
            random_next = split == end or coins[first] < 0.5
            rows += (first, split, end, random_next, document)
            first = split if random_next else end
    return rows


def _random_segments(
    tokens: Tokens, document: np.ndarray, wanted: np.ndarray, how: Pairing, dupe: int
) -> tuple[np.ndarray, np.ndarray]:
    """Starts and lengths of random B segments, of whole sentences, at least one, until `wanted` tokens.

    The document is any other of the language. The original tries ten times to hit another one: the chance N^-10 that
    all tries give the same document (certain when there is no other) is one draw here.
    """
    size = len(tokens.documents) - 1
    same, which, where = stream(how.seed, how.language, "random next", dupe).random((3, len(document)))
    other = (which * max(size - 1, 1)).astype(np.int64)
    other += other >= document
    other = np.where(same < float(size) ** -TRIES_FOR_ANOTHER_DOCUMENT, document, other)
    begin, stop = tokens.documents[other], tokens.documents[other + 1]
    first = begin + (where * (stop - begin)).astype(np.int64)
    start = tokens.sentences[first]
    end = np.clip(np.searchsorted(tokens.sentences, start + wanted), first + 1, stop)
    return start, tokens.sentences[end] - start


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
