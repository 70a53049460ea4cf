"""Sequences of instances, and their masked-language-model positions and labels, for a whole block at a time."""

import re
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from polyticket.core.errors import PolyticketError
from polyticket.records.instances import Instances
from polyticket.tokenizer.wordpiece import SPECIAL_TOKENS

KEEP_POSITION = np.uint64(0xFFFF)


NOT_A_WORD = np.uint64(1 << 63)


UNUSED = re.compile(r"\[unused\d+\]")


@dataclass(frozen=True)
class TokenIds:
    """Ids of the special tokens, and tables over all ids.

    Attributes:
        unk: Id of ``[UNK]``; likewise `cls`, `sep` and `mask`.
        continues: bool [V]: whether a piece continues the word before it (``##``).
        replacements: int32 [R]: the ids that a random replacement is drawn from, ascending: all but the special
            and the ``[unused…]`` ones.
    """

    unk: int
    cls: int
    sep: int
    mask: int
    continues: np.ndarray
    replacements: np.ndarray

    @property
    def size(self) -> int:
        """V: the highest id plus one."""
        return len(self.continues)


def token_ids(tokenizer: Tokenizer, where: object = None) -> TokenIds:
    """Collect the ids that the making of records needs.

    Args:
        tokenizer: The loaded tokenizer.
        where: The name of its file, for errors.

    Raises:
        PolyticketError: One of the five special tokens is missing, or nothing is left to replace tokens with.
    """
    ids: dict[str, int] = tokenizer.get_vocab(with_added_tokens=True)
    for piece in SPECIAL_TOKENS:
        if piece not in ids:
            raise PolyticketError(f"the vocabulary has no {piece}", where=where, expected=", ".join(SPECIAL_TOKENS))
    special = {token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special}
    special.update(SPECIAL_TOKENS)
    ordinary = sorted(i for piece, i in ids.items() if piece not in special and not UNUSED.fullmatch(piece))
    if not ordinary:
        raise PolyticketError("the vocabulary has special and unused pieces only", where=where)
    continues = np.zeros(max(ids.values()) + 1, bool)
    continues[[i for piece, i in ids.items() if piece.startswith("##")]] = True
    return TokenIds(
        unk=ids["[UNK]"],
        cls=ids["[CLS]"],
        sep=ids["[SEP]"],
        mask=ids["[MASK]"],
        continues=continues,
        replacements=np.array(ordinary, np.int32),
    )


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


def lay_out(tokens: np.ndarray, pairs: Instances, vocabulary: TokenIds, length: int) -> dict[str, np.ndarray]:
    """Put ``[CLS] A [SEP] B [SEP]`` of B instances into rows of T = `length` ids, padded with zeros.

    Args:
        tokens: uint16 or uint32 [n]: A and B of each instance, end to end.
        pairs: B instances; only their lengths matter.
        vocabulary: Gives the special ids.
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


def prediction_counts(lengths: np.ndarray, how: Masking) -> np.ndarray:
    """int64 [B]: min(P, max(1, round(masked_lm_prob · length))); halves go to even, lengths count special tokens."""
    return np.clip(np.rint(lengths * how.masked_lm_prob), 1, how.max_predictions).astype(np.int64)


def choose_pieces(lengths: np.ndarray, counts: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Draw pieces without replacement: the first steps of a Fisher-Yates shuffle, in all rows at once.

    Args:
        lengths: int64 [B], how many pieces there are to draw from.
        counts: int64 [B], how many to draw, at most `lengths`.
        random: Where the draws come from.

    Returns:
        int64 [B, C], C the highest count: the pieces, from 0, ascending; meaningless after `counts` of them.
    """
    rows, most = len(counts), int(counts.max())
    draws = random.random((most, rows))
    deck = np.tile(np.arange(int(lengths.max()), dtype=np.uint16), (rows, 1))
    bottom = np.arange(rows) * deck.shape[1]
    cards, chosen = deck.ravel(), np.empty((most, rows), np.uint16)
    for step in range(most):
        at = (draws[step] * np.maximum(lengths - step, 0)).astype(np.int64) + (bottom + step)
        chosen[step] = cards[at]
        cards[at] = cards[bottom + step]
    chosen[np.arange(most)[:, None] >= counts] = 0xFFFF
    picked = chosen.T.astype(np.int64, order="C")
    picked.sort(1)
    return picked


def choose_words(words: np.ndarray, text: np.ndarray, counts: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Draw words to mask: in random order, each skipped that would exceed the count.

    Args:
        words: bool [B, T], where a word begins.
        text: bool [B, T], positions that may be masked; every run of it begins with a word.
        counts: int64 [B], how many positions to mask.
        random: Where the order comes from.

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
    rows: dict[str, np.ndarray],
    pairs: Instances,
    vocabulary: TokenIds,
    how: Masking,
    random: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Mask a block: 80 % ``[MASK]``, 10 % unchanged, 10 % a random ordinary entry of the vocabulary.

    As in TensorFlow's Model Garden, a ``##`` piece that begins a segment (its word was cut) is a word of its own.

    Args:
        rows: What `lay_out` gives of `pairs`; its ``input_ids`` are changed in place.
        pairs: The B instances.
        vocabulary: Gives the mask's id and the random replacements.
        how: What is masked.
        random: The block's stream.

    Returns:
        ``masked_lm_positions`` uint16 and ``masked_lm_ids`` [B, P] in the type of the ids, ``masked_lm_weights``
        float32 [B, P] (1 for a prediction, 0 for padding), positions ascending.
    """
    ids = rows["input_ids"]
    a_length = pairs.a_length.astype(np.int64)[:, None]
    lengths = a_length[:, 0] + pairs.b_length
    counts = np.minimum(prediction_counts(lengths + 3, how), lengths)
    if how.whole_word_masking:
        position, counts = _word_positions(rows, a_length, vocabulary, counts, random)
    else:
        position = choose_pieces(lengths, counts, random)
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
    spare = ((0, 0), (0, how.max_predictions - position.shape[1]))
    return {name: np.pad(values, spare) for name, values in features.items()}


def _word_positions(
    rows: dict[str, np.ndarray],
    a_length: np.ndarray,
    vocabulary: TokenIds,
    counts: np.ndarray,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of whole words, int64 [B, C], meaningless after the number of each row's: int64 [B]."""
    ids = rows["input_ids"]
    text = rows["input_mask"].astype(bool)
    text[:, 0] = False
    row = np.arange(len(text))[:, None]
    text[row, a_length + 1] = text[row, rows["input_mask"].sum(1, dtype=np.int64)[:, None] - 1] = False
    words = text.copy()
    words[:, 1:] &= ~(vocabulary.continues[ids[:, 1:]] & text[:, :-1])
    chosen = choose_words(words, text, counts, random)
    found = chosen.sum(1)
    at, column = np.nonzero(chosen)
    positions = np.zeros((len(ids), int(counts.max())), np.int64)
    positions[at, np.arange(len(at)) - np.repeat(np.cumsum(found) - found, found)] = column
    return positions, found
