"""The sequences of instances and their masked positions and labels, for a whole block at a time."""

from dataclasses import dataclass

import numpy as np

from polyticket.records.instances import Instances
from polyticket.records.token_ids import TokenIds

KEEP_POSITION = np.uint64(0xFFFF)
NOT_A_WORD = np.uint64(1 << 63)


@dataclass(frozen=True)
class Masking:
    """The settings of masking.

    Attributes:
        max_seq_length: T, the length of a sequence, with padding; below 2^16.
        max_predictions: P, the masked positions of a sequence, at most.
        masked_lm_prob: The share of a sequence's tokens, special tokens included, that are masked.
        whole_word_masking: Whether the tokens of a word are masked together.
    """

    max_seq_length: int
    max_predictions: int
    masked_lm_prob: float
    whole_word_masking: bool


def lay_out(tokens: np.ndarray, pairs: Instances, vocabulary: TokenIds, length: int) -> dict[str, np.ndarray]:
    """Put ``[CLS] A [SEP] B [SEP]`` of B instances into rows of T = `length` ids, padded with zeros.

    Args:
        tokens: uint16 or uint32 [n]: A and B of each instance, end to end.
        pairs: B instances; only their lengths matter.
        vocabulary: The special ids.
        length: T.

    Returns:
        ``input_ids`` [B, T], in the type of `tokens`; ``input_mask`` and ``segment_ids`` uint8 [B, T].
    """
    position = np.arange(length, dtype=np.uint16)
    middle = (pairs.a_length + 1).astype(np.uint16)[:, None]
    last = middle + pairs.b_length.astype(np.uint16)[:, None] + np.uint16(1)
    used = position <= last
    second = used & (position > middle)
    text = used.copy()
    text[:, 0] = False
    row = np.arange(len(text))[:, None]
    text[row, middle] = text[row, last] = False
    rows = np.zeros(used.shape, tokens.dtype)
    rows[text] = tokens
    rows[:, 0] = vocabulary.cls
    rows[row, middle] = rows[row, last] = vocabulary.sep
    return {"input_ids": rows, "input_mask": used.view(np.uint8), "segment_ids": second.view(np.uint8)}


def prediction_counts(lengths: np.ndarray, masking: Masking) -> np.ndarray:
    """int64 [B]: min(P, max(1, round(masked_lm_prob · length))); halves go to even, lengths count special tokens."""
    return np.clip(np.rint(lengths * masking.masked_lm_prob), 1, masking.max_predictions).astype(np.int64)


def choose_tokens(lengths: np.ndarray, counts: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Draw tokens without replacement: the first steps of a Fisher-Yates shuffle, in all rows at once.

    Args:
        lengths: int64 [B], the number of tokens to draw from.
        counts: int64 [B], the number of tokens to draw, at most `lengths`.
        random: The random stream.

    Returns:
        int64 [B, C], C the highest count: the indices of the tokens, from 0, ascending; meaningless after `counts`.
    """
    rows, most = len(counts), int(counts.max())
    draws = random.random((most, rows))
    deck = np.tile(np.arange(int(lengths.max()), dtype=np.uint16), (rows, 1))
    bottom = np.arange(rows) * deck.shape[1]
    cards, chosen = deck.ravel(), np.empty((most, rows), np.uint16)
    for step in range(most):
        drawn = (draws[step] * np.maximum(lengths - step, 0)).astype(np.int64) + (bottom + step)
        chosen[step] = cards[drawn]
        cards[drawn] = cards[bottom + step]
    chosen[np.arange(most)[:, None] >= counts] = 0xFFFF
    picked = chosen.T.astype(np.int64, order="C")
    picked.sort(1)
    return picked


def choose_words(words: np.ndarray, text: np.ndarray, counts: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Draw words to mask, in random order. A word that would exceed the count is skipped.

    Args:
        words: bool [B, T], where a word begins.
        text: bool [B, T], positions that may be masked; every run of them begins with a word.
        counts: int64 [B], the number of positions to mask.
        random: The random stream.

    Returns:
        bool [B, T], the positions to mask: at most `counts` of each row.
    """
    keys = random.bit_generator.random_raw(words.size).reshape(words.shape) >> np.uint64(1)
    keys &= ~KEEP_POSITION
    keys |= np.arange(words.shape[1], dtype=np.uint64)
    keys[~words] |= NOT_A_WORD
    keys.sort(1)
    order = (keys & KEEP_POSITION).astype(np.int64)
    begins = np.maximum.accumulate(np.where(words, np.arange(words.shape[1]), 0), 1)
    flat = (begins + np.arange(len(words))[:, None] * words.shape[1])[text]
    tokens_per_word = np.bincount(flat, minlength=words.size).reshape(words.shape)
    sizes = np.take_along_axis(tokens_per_word, order, 1)
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
    rows: dict[str, np.ndarray],
    pairs: Instances,
    vocabulary: TokenIds,
    masking: Masking,
    random: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Mask a block: 80 % ``[MASK]``, 10 % unchanged, 10 % a random ordinary token of the vocabulary.

    As in TensorFlow's Model Garden, a ``##`` token that begins a segment (its word was truncated) is a word by itself.

    Args:
        rows: What `lay_out` gives for `pairs`; its ``input_ids`` are changed in place.
        pairs: The B instances.
        vocabulary: The mask's id and the random replacements.
        masking: The settings.
        random: The block's stream.

    Returns:
        ``masked_lm_positions`` uint16 and ``masked_lm_ids`` [B, P] in the type of the ids, ``masked_lm_weights``
        float32 [B, P] (1 for a prediction, 0 for padding), positions ascending.
    """
    ids = rows["input_ids"]
    a_length = pairs.a_length.astype(np.int64)[:, None]
    lengths = a_length[:, 0] + pairs.b_length
    counts = np.minimum(prediction_counts(lengths + 3, masking), lengths)
    if masking.whole_word_masking:
        position, counts = _word_positions(rows, a_length, vocabulary, counts, random)
    else:
        position = choose_tokens(lengths, counts, random)
        position += 1 + (position >= a_length)
    real = np.arange(position.shape[1]) < counts[:, None]
    position[~real] = 0
    row = np.arange(len(ids))[:, None]
    labels = np.where(real, ids[row, position], 0).astype(ids.dtype)
    draws = random.random(labels.shape)
    others = vocabulary.replacements[random.integers(len(vocabulary.replacements), size=labels.shape)]
    given = np.where(draws < 0.8, vocabulary.mask, np.where(draws < 0.9, labels, others))
    ids[row, position] = np.where(real, given, vocabulary.cls)  # position 0 of what is no prediction keeps its [CLS]
    features = {"masked_lm_positions": position.astype(np.uint16), "masked_lm_ids": labels}
    features["masked_lm_weights"] = real.astype(np.float32)
    spare = ((0, 0), (0, masking.max_predictions - position.shape[1]))
    return {name: np.pad(values, spare) for name, values in features.items()}


def _word_positions(
    rows: dict[str, np.ndarray],
    a_length: np.ndarray,
    vocabulary: TokenIds,
    counts: np.ndarray,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of whole words, int64 [B, C], and the number of valid ones in each row, int64 [B]."""
    ids = rows["input_ids"]
    text = rows["input_mask"].astype(bool)
    text[:, 0] = False
    row = np.arange(len(text))[:, None]
    text[row, a_length + 1] = text[row, rows["input_mask"].sum(1, dtype=np.int64)[:, None] - 1] = False
    words = text.copy()
    words[:, 1:] &= ~(vocabulary.continues[ids[:, 1:]] & text[:, :-1])
    chosen = choose_words(words, text, counts, random)
    sums = chosen.sum(1)
    of_row, column = np.nonzero(chosen)
    positions = np.zeros((len(ids), int(counts.max())), np.int64)
    positions[of_row, np.arange(len(of_row)) - np.repeat(np.cumsum(sums) - sums, sums)] = column
    return positions, sums
