"""Positions where BERT's tokenizer always splits a text: at white space, and around characters that are words."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from tokenizers import normalizers, pre_tokenizers

from polyticket.tokenizer.fast_wordpiece.matching import word_bounds
from polyticket.tokenizer.wordpiece import cased_normalizer

WORD, SPACE, LONE, ODD, LINE = range(5)
"""Kinds of characters: inside a word, white space, a word by itself, unusual (such as removed), and the line feed."""
_TWO, _THREE = 5, 6
_PLANE = 1 << 16
_PER_CALL = 1024


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
    for code in np.flatnonzero(kinds == LONE).tolist():
        if code >= 128:
            first, *rest = chr(code).encode()
            leads[first] = _TWO if len(rest) == 1 else _THREE
    return Cutter(kinds, bytes(leads))


def _kinds() -> np.ndarray:
    """The kinds of the basic plane's characters, uint8 [65536], by the words that each gives between two letters."""
    kinds = np.full(_PLANE, ODD, np.uint8)
    normalizer, splitter = cased_normalizer(), pre_tokenizers.BertPreTokenizer()
    codes = [code for code in range(_PLANE) if not 0xD800 <= code < 0xE000]
    for begin in range(0, len(codes), _PER_CALL):
        batch = codes[begin : begin + _PER_CALL]
        words = _words(normalizer, splitter, " ".join(f"a{chr(code)}b" for code in batch))
        first = 0
        for code in batch:
            forms = {WORD: [f"a{chr(code)}b"], SPACE: ["a", "b"], LONE: ["a", chr(code), "b"], ODD: ["ab"]}
            kinds[code] = next(kind for kind, form in forms.items() if words[first : first + len(form)] == form)
            first += len(forms[int(kinds[code])])
    return kinds


def _words(normalizer: normalizers.Normalizer, splitter: pre_tokenizers.PreTokenizer, text: str) -> list[str]:
    return [word for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))]
