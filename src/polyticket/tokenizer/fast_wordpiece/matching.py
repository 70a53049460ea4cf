"""A hash table of short words whose look-up works on arrays."""

from typing import Any

import numpy as np

KEY_BYTES = 16
_MASKS = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)
_FACTORS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], np.uint64)

Keys = tuple[np.ndarray, np.ndarray]


def keys_of(text: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> Keys:
    """The first 16 bytes of words as two numbers each: of words of at most 16 bytes without NUL, all there is to know.

    Args:
        text: uint8 [n], with at least 16 bytes after the start of the last word.
        starts: int64 [W]: where the words begin.
        lengths: int64 [W]: their bytes, 1 or more.

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
    """Numbers of words, found by their keys. Open addressing, at most half full; number 0 is no word's.

    Args:
        size: Slots at first, a power of two; the table grows.
    """

    def __init__(self, size: int = 1 << 12) -> None:
        self.slots = np.zeros(size, np.int32)
        self.low, self.high = np.zeros(size, np.uint64), np.zeros(size, np.uint64)
        self.words = 0

    def find(self, keys: Keys) -> np.ndarray:
        """The number of each word, int32 [W]; 0 for those not in the table."""
        low, high = keys
        slots = self._first_slots(keys)
        numbers = self.slots[slots]
        left = np.flatnonzero((self.low[numbers] != low) | (self.high[numbers] != high))
        left = left[numbers[left] != 0]
        while len(left):
            slots[left] = (slots[left] + 1) & (len(self.slots) - 1)
            found = numbers[left] = self.slots[slots[left]]
            left = left[((self.low[found] != low[left]) | (self.high[found] != high[left])) & (found != 0)]
        return numbers

    def insert(self, keys: Keys, numbers: np.ndarray) -> None:
        """Add words that are not in the table yet, each once.

        Args:
            keys: Of W words.
            numbers: int32 [W], 1 or more, ascending, higher than all before.
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
            self.slots[slots[free]] = numbers[free]  # where several want one slot, one gets it
            left = self.slots[slots] != numbers
            numbers, slots = numbers[left], (slots[left] + 1) & (len(self.slots) - 1)

    def _first_slots(self, keys: Keys) -> np.ndarray:
        """Fibonacci hashing: the highest bits of products with odd constants."""
        mixed = keys[0] * _FACTORS[0] ^ keys[1] * _FACTORS[1]
        return (mixed >> np.uint64(65 - len(self.slots).bit_length())).astype(np.int64)


_CODE_BITS = 21
_FIRST, _REST = 1, 2  # the tree's two roots: pieces that begin a word, and pieces that continue one

Found = tuple[np.ndarray, np.ndarray]


class WordPieces:
    """Greedy longest-match pieces of words: BERT's WordPiece, walked down a tree of the vocabulary's characters.

    Args:
        model: The tokenizer's ``model`` as in its JSON.
    """

    def __init__(self, model: dict[str, Any]) -> None:
        self.unknown: int = model["vocab"][model["unk_token"]]
        self.longest_word: int = model["max_input_chars_per_word"]
        # A piece with NUL matches nothing, since the tokenizer removes that character.
        first = {piece: number for piece, number in model["vocab"].items() if piece and "\0" not in piece}
        prefix = model["continuing_subword_prefix"]
        rest = {piece[len(prefix) :]: n for piece, n in first.items() if piece.startswith(prefix) and piece != prefix}
        codes = code_points("".join(f"{piece}\0" for piece in (*first, *rest)))
        roots = np.repeat([_FIRST, _REST], [len(first), len(rest)])
        self._grow(codes, roots, np.array([*first.values(), *rest.values()], np.int64))

    def _grow(self, codes: np.ndarray, nodes: np.ndarray, numbers: np.ndarray) -> None:
        """Make `children`, node and character -> node, and `pieces`, the id of the piece that ends at a node or -1."""
        begins, ends = word_bounds(codes)
        self.children = WordTable()
        self.pieces = np.full(len(codes) + _REST + 1, -1, np.int64)
        last, depth, left = _REST, 0, np.arange(len(nodes))
        while len(left):
            edges, which = np.unique(self._edges(nodes[left], codes[begins[left] + depth]), return_inverse=True)
            nodes[left] = last + 1 + which
            self.children.insert((edges, np.zeros_like(edges)), np.arange(last + 1, last + 1 + len(edges)))
            last, depth = last + len(edges), depth + 1
            ended = begins[left] + depth == ends[left]
            self.pieces[nodes[left[ended]]] = numbers[left[ended]]
            left = left[~ended]
        self.pieces = self.pieces[: last + 1].copy()

    @staticmethod
    def _edges(nodes: np.ndarray, codes: np.ndarray) -> np.ndarray:
        return (nodes.astype(np.int64) << _CODE_BITS | codes).view(np.uint64)

    def cut(self, codes: np.ndarray, words: np.ndarray) -> Found:
        """Cut words of characters that the tokenizer neither removes nor splits off.

        Args:
            codes: int64 [n]: the code points of W words, NUL after each.
            words: int64 [K]: which of them to cut.

        Returns:
            The word and the id of each piece (int64 [pieces]); the pieces of a word in their order, those of others
            among them.
        """
        begins, ends = word_bounds(codes)
        long = ends[words] - begins[words] > self.longest_word
        lost, left = [words[long]], words[~long]
        found: list[Found] = []
        places, nodes = begins[left], np.full(len(left), _FIRST)
        best, best_ends = np.full(len(left), -1), places
        while len(left):
            edges = self._edges(nodes, codes[places])
            nodes = self.children.find((edges, np.zeros_like(edges)))
            places = places + 1
            pieces = self.pieces[nodes]
            best, best_ends = np.where(pieces < 0, best, pieces), np.where(pieces < 0, best_ends, places)
            stopped = np.flatnonzero(nodes == 0)
            if not len(stopped):
                continue
            known = best[stopped] >= 0
            lost.append(left[stopped[~known]])
            again = stopped[known]
            found.append((left[again], best[again]))
            places[again], nodes[again], best[again] = best_ends[again], _REST, -1
            kept = nodes != 0
            kept[again] = places[again] < ends[left[again]]
            left, places, nodes, best, best_ends = (one[kept] for one in (left, places, nodes, best, best_ends))
        return self._without(np.concatenate(lost), found, len(ends))

    def _without(self, lost: np.ndarray, found: list[Found], words: int) -> Found:
        """Replace what was found of lost words by one unknown piece each."""
        owners = np.concatenate([np.zeros(0, np.int64), *(one for one, _ in found)])
        ids = np.concatenate([np.zeros(0, np.int64), *(one for _, one in found)])
        is_lost = np.zeros(words, bool)
        is_lost[lost] = True
        kept = ~is_lost[owners]
        return np.concatenate([owners[kept], lost]), np.concatenate([ids[kept], np.full(len(lost), self.unknown)])


def code_points(text: str) -> np.ndarray:
    """The code points of a text, int64."""
    return np.frombuffer(text.encode("utf-32-le"), "<u4").astype(np.int64)


def word_bounds(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First places and ends (int64 [W]) of words with NUL after each."""
    ends = np.flatnonzero(codes == 0)
    return np.concatenate([[0], ends[:-1] + 1])[: len(ends)], ends
