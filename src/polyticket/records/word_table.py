"""A hash table of short words whose look-up works on arrays."""

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
