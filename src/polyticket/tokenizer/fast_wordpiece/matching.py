"""WordPiece for many words at once, on arrays: a hash table of short keys, and a trie of the vocabulary."""

from typing import Any

import numpy as np

KEY_BYTES = 16
_MASKS = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)
_FACTORS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], np.uint64)

Keys = tuple[np.ndarray, np.ndarray]


def keys_of(text: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> Keys:
    """The first 16 bytes of words as two numbers each, which identify words of at most 16 bytes without NUL.

    Args:
        text: uint8 [n], with at least 16 bytes after the start of the last word.
        starts: int64 [W]: the first byte of each word.
        lengths: int64 [W]: the bytes of each word, 1 or more.

    Returns:
        Two uint64 [W], little-endian, zero beyond the word.
    """
    eights = np.ndarray((len(text) - 7,), "<u8", text, 0, (1,))
    low = eights[starts] & _MASKS[np.minimum(lengths, 8)]
    high = np.zeros(len(starts), np.uint64)
    longer = np.flatnonzero(lengths > 8)
    high[longer] = eights[starts[longer] + 8] & _MASKS[np.minimum(lengths[longer] - 8, 8)]
    return low, high


class WordTable:
    """A hash table from the keys of words to their numbers, with open addressing, at most half full. 0 is no number.

    Args:
        size: Slots at the start, a power of two; the table grows.
    """

    def __init__(self, size: int = 1 << 12) -> None:
        self.slots = np.zeros(size, np.int32)
        self.low, self.high = np.zeros(size, np.uint64), np.zeros(size, np.uint64)
        self.words = 0

    def find(self, keys: Keys) -> np.ndarray:
        """The number of each word, int32 [W]; 0 for words that are not in the table."""
        low, high = keys
        slots = self._first_slots(keys)
        numbers = self.slots[slots]
        left = np.flatnonzero((self.low[numbers] != low) | (self.high[numbers] != high))
        left = left[numbers[left] != 0]
        while len(left):
            slots[left] = (slots[left] + 1) & (len(self.slots) - 1)
            probed = numbers[left] = self.slots[slots[left]]
            left = left[((self.low[probed] != low[left]) | (self.high[probed] != high[left])) & (probed != 0)]
        return numbers

    def insert(self, keys: Keys, numbers: np.ndarray) -> None:
        """Add words that are not in the table, each once.

        Args:
            keys: The keys of W words.
            numbers: int32 [W], 1 or more, ascending, higher than all numbers in the table.
        """
        if not len(numbers):
            return
        self.words += len(numbers)
        highest = int(numbers[-1])
        if highest >= len(self.low):
            room = np.zeros(max(len(self.low), highest + 1 - len(self.low)), np.uint64)
            self.low, self.high = np.concatenate([self.low, room]), np.concatenate([self.high, room])
        self.low[numbers], self.high[numbers] = keys
        if 2 * self.words > len(self.slots):
            self.slots = np.zeros(1 << (4 * self.words).bit_length(), np.int32)
            numbers = np.flatnonzero(self.low).astype(np.int32)
        self._place(numbers)

    def _place(self, numbers: np.ndarray) -> None:
        slots = self._first_slots((self.low[numbers], self.high[numbers]))
        while len(numbers):
            free = self.slots[slots] == 0
            self.slots[slots[free]] = numbers[free]  # of several words with one slot, one gets it
            left = self.slots[slots] != numbers
            numbers, slots = numbers[left], (slots[left] + 1) & (len(self.slots) - 1)

    def _first_slots(self, keys: Keys) -> np.ndarray:
        """Fibonacci hashing: the highest bits of products with odd constants."""
        mixed = keys[0] * _FACTORS[0] ^ keys[1] * _FACTORS[1]
        return (mixed >> np.uint64(65 - len(self.slots).bit_length())).astype(np.int64)


_CODE_BITS = 21
_FIRST, _REST = 1, 2  # the trie's two roots: tokens that begin a word, and tokens that continue one

Matches = tuple[np.ndarray, np.ndarray]
"""The word and the id of each token."""


class Matcher:
    """Greedy longest-match tokens of words: BERT's WordPiece on a trie of the vocabulary's characters.

    Args:
        model: The tokenizer's ``model`` as in its JSON; as the ``vocab``, those tokens that text may have.
    """

    def __init__(self, model: dict[str, Any]) -> None:
        vocabulary, prefix = model["vocab"], model["continuing_subword_prefix"]
        self.unknown: int = vocabulary[model["unk_token"]]
        self.longest_word: int = model["max_input_chars_per_word"]
        # a token with NUL matches nothing, since the tokenizer removes that character
        first = [token for token in vocabulary if token and "\0" not in token]
        continuing = [token for token in first if token.startswith(prefix) and token != prefix]
        codes = code_points("\0".join([*first, *(token[len(prefix) :] for token in continuing), ""]))
        roots = np.repeat([_FIRST, _REST], [len(first), len(continuing)])
        self._grow(codes, roots, np.array([vocabulary[token] for token in (*first, *continuing)], np.int64))

    def _grow(self, codes: np.ndarray, nodes: np.ndarray, numbers: np.ndarray) -> None:
        """Make `children`, node and character -> node, and `tokens`, the id of the token that ends at a node or -1."""
        begins, ends = word_bounds(codes)
        self.children = WordTable()
        self.tokens = np.full(len(codes) + _REST + 1, -1, np.int64)
        last, depth, left = _REST, 0, np.arange(len(nodes))
        while len(left):
            edges, which = np.unique(self._edges(nodes[left], codes[begins[left] + depth]), return_inverse=True)
            nodes[left] = last + 1 + which
            self.children.insert((edges, np.zeros_like(edges)), np.arange(last + 1, last + 1 + len(edges)))
            last, depth = last + len(edges), depth + 1
            ended = begins[left] + depth == ends[left]
            self.tokens[nodes[left[ended]]] = numbers[left[ended]]
            left = left[~ended]
        self.tokens = self.tokens[: last + 1].copy()

    @staticmethod
    def _edges(nodes: np.ndarray, codes: np.ndarray) -> np.ndarray:
        return (nodes.astype(np.int64) << _CODE_BITS | codes).view(np.uint64)

    def match(self, codes: np.ndarray, words: np.ndarray) -> Matches:
        """Tokenize words of characters that the tokenizer neither removes nor splits off.

        Args:
            codes: int64 [n]: the code points of W words, NUL after each.
            words: int64 [K]: the indices of the words to tokenize.

        Returns:
            The word and the id of each token (int64 [tokens]). The tokens of a word are in their order, with tokens of
            other words between them.
        """
        begins, ends = word_bounds(codes)
        long = ends[words] - begins[words] > self.longest_word
        unknown, left = [words[long]], words[~long]
        matches: list[Matches] = []
        positions, nodes = begins[left], np.full(len(left), _FIRST)
        best, best_ends = np.full(len(left), -1), positions
        while len(left):
            edges = self._edges(nodes, codes[positions])
            nodes = self.children.find((edges, np.zeros_like(edges)))
            positions = positions + 1
            tokens = self.tokens[nodes]
            best, best_ends = np.where(tokens < 0, best, tokens), np.where(tokens < 0, best_ends, positions)
            stopped = np.flatnonzero(nodes == 0)
            if not len(stopped):
                continue
            known = best[stopped] >= 0
            unknown.append(left[stopped[~known]])
            again = stopped[known]
            matches.append((left[again], best[again]))
            positions[again], nodes[again], best[again] = best_ends[again], _REST, -1
            kept = nodes != 0
            kept[again] = positions[again] < ends[left[again]]
            left, positions, nodes = left[kept], positions[kept], nodes[kept]
            best, best_ends = best[kept], best_ends[kept]
        return self._replace_unknown(np.concatenate(unknown), matches, len(ends))

    def _replace_unknown(self, unknown: np.ndarray, matches: list[Matches], words: int) -> Matches:
        """Replace the matches of unknown words by one unknown token each."""
        owners = np.concatenate([np.zeros(0, np.int64), *(of_words for of_words, _ in matches)])
        ids = np.concatenate([np.zeros(0, np.int64), *(tokens for _, tokens in matches)])
        is_unknown = np.zeros(words, bool)
        is_unknown[unknown] = True
        kept = ~is_unknown[owners]
        unknown_ids = np.full(len(unknown), self.unknown)
        return np.concatenate([owners[kept], unknown]), np.concatenate([ids[kept], unknown_ids])


def code_points(text: str) -> np.ndarray:
    """The code points of a text, int64."""
    return np.frombuffer(text.encode("utf-32-le"), "<u4").astype(np.int64)


def word_bounds(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First positions and ends (int64 [W]) of words with NUL after each."""
    ends = np.flatnonzero(codes == 0)
    return np.concatenate([[0], ends[:-1] + 1])[: len(ends)], ends
