"""Positions where BERT's tokenizer always splits a text: at white space, and around characters that are words."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from tokenizers import pre_tokenizers

from polyticket.tokenizer.fast_wordpiece.matching import word_bounds
from polyticket.tokenizer.wordpiece import cased_normalizer

WORD, SPACE, LONE, ODD, LINE = range(5)
"""Kinds of characters: inside a word, white space, a word by itself, unusual (such as removed), and the line feed."""
_TWO, _THREE = 5, 6
_PLANE = 1 << 16
_LETTER = "a"


@dataclass(frozen=True)
class Cutter:
    """Cuts UTF-8 text; made by `cutter`.

    Attributes:
        kinds: uint8 [65536]: the kind of each character of the basic plane.
        leads: The table of `bytes.translate`: the kind of each ASCII character; for the first byte of a longer
            character 0, or a mark if some characters with this byte are words by themselves.
    """

    kinds: np.ndarray
    leads: bytes

    def odd_words(self, codes: np.ndarray) -> np.ndarray:
        """The words of W that do not certainly become one word with each of their characters, bool [W].

        Args:
            codes: int64 [n]: the code points of the words, NUL after each.
        """
        kinds = np.where(codes < _PLANE, self.kinds[codes & (_PLANE - 1)], np.uint8(ODD))
        begins, ends = word_bounds(codes)
        odd = np.add.reduceat((kinds != WORD) & (codes != 0), begins) > 0
        return odd & ~((kinds[begins] == LONE) & (ends - begins == 1))

    def cut(self, block: bytes, text: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cut a text into words whose tokens, end to end, are those of the text.

        Args:
            block: Valid UTF-8 that ends with a line feed.
            text: uint8, the same bytes, with two or more after them.

        Returns:
            For each word its first byte and its number of bytes (int64), and its kind (uint8): LINE for a line feed,
            LONE for a character that is a word by itself, else WORD. White space between words is left out.
        """
        kinds = np.frombuffer(bytearray(block.translate(self.leads)), np.uint8)
        flags = np.zeros(len(block) + 1, bool)
        np.logical_and(kinds, kinds < _TWO, out=flags[:-1])
        flags[1:] |= flags[:-1].copy()
        flags[[0, -1]] = True
        for lead, size in ((_TWO, 2), (_THREE, 3)):
            if lead in self.leads:
                self._mark_lone(text, kinds, flags, np.flatnonzero(kinds == lead), size)
        bounds = np.flatnonzero(flags)
        first_kinds = kinds[bounds[:-1]]
        kept = np.flatnonzero(first_kinds != SPACE)
        starts = bounds[kept]
        return starts, bounds[kept + 1] - starts, first_kinds[kept]

    def _mark_lone(self, text: np.ndarray, kinds: np.ndarray, flags: np.ndarray, starts: np.ndarray, size: int) -> None:
        """Mark, among the characters of two or three bytes at `starts`, those that are words by themselves."""
        code = text[starts].astype(np.int64) & (0x1F if size == 2 else 0x0F)
        for offset in range(1, size):
            code = code << 6 | text[starts + offset] & 0x3F
        lone = self.kinds[code] == LONE
        kinds[starts] = np.where(lone, LONE, WORD)
        flags[starts[lone]] = flags[starts[lone] + size] = True


@cache
def cutter() -> Cutter:
    """The cutter for `cased_normalizer` and BERT's pre-tokenizer."""
    kinds = _kinds()
    leads = bytearray(256)
    leads[:128] = [kind if kind in (SPACE, LONE) else WORD for kind in kinds[:128].tolist()]
    leads[ord("\n")] = LINE
    lone = np.flatnonzero(kinds == LONE)
    for first in set((0xC0 | lone[(lone >= 128) & (lone < 0x800)] >> 6).tolist()):
        leads[first] = _TWO
    for first in set((0xE0 | lone[lone >= 0x800] >> 12).tolist()):
        leads[first] = _THREE
    return Cutter(kinds, bytes(leads))


def _kinds() -> np.ndarray:
    """The kinds of the basic plane's characters, uint8 [65536], by what becomes of each between two letters."""
    kinds = np.full(_PLANE, ODD, np.uint8)
    codes = [code for code in range(_PLANE) if not 0xD800 <= code < 0xE000 and chr(code) != _LETTER]
    normalized = cased_normalizer().normalize_str(_LETTER.join(map(chr, codes))).split(_LETTER)
    same = []
    for code, form in zip(codes, normalized, strict=True):
        if form == chr(code):
            same.append(code)
        elif form == f" {chr(code)} ":
            kinds[code] = LONE
        elif form == " ":
            kinds[code] = SPACE
    words = pre_tokenizers.BertPreTokenizer().pre_tokenize_str(_LETTER.join(["", *map(chr, same), ""]))
    found = np.full(2 * len(same) + 1, SPACE, np.uint8)
    for word, (begin, end) in words:
        found[begin:end] = LONE if len(word) == 1 and word != _LETTER else WORD
    kinds[same], kinds[ord(_LETTER)] = found[1::2], WORD
    return kinds
