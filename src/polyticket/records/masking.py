"""Sequences of instances, and their masked-language-model positions and labels, for a whole block at a time."""

from dataclasses import dataclass

import numpy as np

from polyticket.records.instances import Instances
from polyticket.records.vocabulary import Vocabulary

KEEP_POSITION = np.uint64(0xFFFF)
NOT_A_WORD = np.uint64(1 << 63)


@dataclass(frozen=True)
class Masking:
    """What is masked.

    Attributes:
        max_seq_length: T, the length of a sequence, with padding; below 2^16.
        max_predictions: P, the most positions masked in a sequence.
        masked_lm_prob: The share of a sequence's tokens, special ones counted, that are masked.
        whole_word_masking: Whether the ``##`` pieces of a word are masked with it.
    """

    max_seq_length: int
    max_predictions: int
    masked_lm_prob: float
    whole_word_masking: bool


def lay_out(ids: np.ndarray, pairs: Instances, vocabulary: Vocabulary, length: int) -> dict[str, np.ndarray]:
    """Put ``[CLS] A [SEP] B [SEP]`` of B instances into rows of T = `length` ids, padded with zeros.

    Args:
        ids: int32 [tokens], the corpus.
        pairs: B instances.
        vocabulary: Gives the special ids.
        length: T.

    Returns:
        ``input_ids`` int32 [B, T]; ``input_mask`` and ``segment_ids`` uint8 [B, T]; ``text`` bool [B, T]: A and B.
    """
    position = np.arange(length, dtype=np.int32)
    middle = pairs.a_length[:, None] + 1
    last = middle + pairs.b_length[:, None] + 1
    used = position <= last
    second = used & (position > middle)
    text = (position > 0) & (position < last) & (position != middle)

    starts = np.stack([pairs.a_start, pairs.b_start], 1).ravel()
    lengths = np.stack([pairs.a_length, pairs.b_length], 1).ravel()
    before = np.cumsum(lengths, dtype=np.int64) - lengths
    rows = np.zeros(used.shape, np.int32)
    rows[text] = ids[np.repeat(starts - before, lengths) + np.arange(lengths.sum())]
    rows[:, 0] = vocabulary.cls
    np.put_along_axis(rows, middle, vocabulary.sep, 1)
    np.put_along_axis(rows, last, vocabulary.sep, 1)
    return {"input_ids": rows, "input_mask": used.view(np.uint8), "segment_ids": second.view(np.uint8), "text": text}


def prediction_counts(lengths: np.ndarray, how: Masking) -> np.ndarray:
    """int64 [B]: min(P, max(1, round(masked_lm_prob · length))); halves go to even, lengths count special tokens."""
    return np.clip(np.rint(lengths * how.masked_lm_prob), 1, how.max_predictions).astype(np.int64)


def choose_positions(
    words: np.ndarray, text: np.ndarray, counts: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Draw the positions to mask: words in random order, each skipped that would exceed the count.

    Args:
        words: bool [B, T], where a word begins; all of `text` when each piece is its own word.
        text: bool [B, T], positions that may be masked; every run of it begins with a word.
        counts: int64 [B], how many positions to mask.
        random: Where the order comes from.

    Returns:
        bool [B, T], the positions to mask: exactly `counts` of each row when words are single pieces, else at most.
    """
    position = np.arange(words.shape[1], dtype=np.uint64)
    keys = random.bit_generator.random_raw(words.size).reshape(words.shape) >> np.uint64(1)
    keys &= ~KEEP_POSITION
    keys |= position
    keys[~words] |= NOT_A_WORD
    if np.array_equal(words, text):
        highest = min(int(counts.max()), words.shape[1])
        ranked = np.sort(np.partition(keys, highest - 1, 1)[:, :highest], 1)
        return words & (keys <= np.take_along_axis(ranked, counts[:, None] - 1, 1))
    keys.sort(1)
    return _choose_words((keys & KEEP_POSITION).astype(np.int64), words, text, counts)


def _choose_words(order: np.ndarray, words: np.ndarray, text: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """`choose_positions` for words of several pieces; `order` int64 [B, T]: positions of words, then the others."""
    begins = np.maximum.accumulate(np.where(words, np.arange(words.shape[1]), 0), 1)
    flat = (begins + np.arange(len(words))[:, None] * words.shape[1])[text]
    pieces = np.bincount(flat, minlength=words.size).reshape(words.shape)
    sizes = np.take_along_axis(pieces, order, 1)
    taken = np.zeros_like(words)
    left = counts.copy()
    for rank in range(int(words.sum(1).max())):
        size = sizes[:, rank]
        taken[:, rank] = (size > 0) & (size <= left)
        left -= np.where(taken[:, rank], size, 0)
        if not left.any():
            break
    chosen = np.zeros_like(words)
    np.put_along_axis(chosen, order, taken, 1)
    return np.take_along_axis(chosen, begins, 1) & text


def mask_rows(
    rows: dict[str, np.ndarray], vocabulary: Vocabulary, how: Masking, random: np.random.Generator
) -> dict[str, np.ndarray]:
    """Mask a block: 80 % ``[MASK]``, 10 % unchanged, 10 % a random ordinary entry of the vocabulary.

    As in TensorFlow's Model Garden, a ``##`` piece that begins a segment (its word was cut) is a word of its own.

    Args:
        rows: What `lay_out` gives; its ``input_ids`` are changed in place.
        vocabulary: Gives the mask's id and the random replacements.
        how: What is masked.
        random: The block's stream.

    Returns:
        ``masked_lm_positions`` and ``masked_lm_ids`` int32 [B, P], ``masked_lm_weights`` float32 [B, P] (1 for a
        prediction, 0 for padding), positions ascending.
    """
    ids, text = rows["input_ids"], rows["text"]
    words = text
    if how.whole_word_masking:
        words = text.copy()
        words[:, 1:] &= ~(vocabulary.continues[ids[:, 1:]] & text[:, :-1])
    counts = np.minimum(prediction_counts(rows["input_mask"].sum(1, dtype=np.int64), how), text.sum(1))
    chosen = choose_positions(words, text, counts, random)
    row, column = np.nonzero(chosen)
    labels = ids[row, column]
    draws = random.random(len(labels))
    others = vocabulary.replacements[random.integers(len(vocabulary.replacements), size=len(labels))]
    ids[row, column] = np.where(draws < 0.8, vocabulary.mask, np.where(draws < 0.9, labels, others))

    found = chosen.sum(1)
    slot = np.arange(len(row)) - np.repeat(np.cumsum(found) - found, found)
    shape = (len(ids), how.max_predictions)
    positions, originals, weights = np.zeros(shape, np.int32), np.zeros(shape, np.int32), np.zeros(shape, np.float32)
    positions[row, slot], originals[row, slot], weights[row, slot] = column, labels, 1
    return {"masked_lm_positions": positions, "masked_lm_ids": originals, "masked_lm_weights": weights}
