"""How long sentences are: their median length, and how many are of one word."""

import re
from collections.abc import Mapping
from itertools import accumulate

LONGEST = 10_000
"""Code points that are told apart; longer sentences count as of so many."""
LONGEST_WORD = 60
"""Code points of the longest sentence that is taken for one word."""
MOST_LETTERS = 4
"""Letters and digits of a word, at most, in scripts that set no spaces between words."""
_TWO_WORDS = re.compile(r"[^\W_]\S*\s[\W_]*[^\W_]")
_ALPHANUMERIC = re.compile(r"[^\W_]")
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u0f00-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aad\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Thai, Lao, Tibetan, Burmese, Khmer, Tai scripts, Kana, Han."""


def is_one_word(sentence: str) -> bool:
    """Whether a sentence has no more than a word.

    A word is what stands between white space and holds a letter or digit, in a sentence of at most `LONGEST_WORD` code
    points. If it has a letter of a script that sets no spaces, it has at most `MOST_LETTERS` letters and digits.
    """
    if len(sentence) > LONGEST_WORD or _TWO_WORDS.search(sentence):
        return False
    return _UNSPACED.search(sentence) is None or len(_ALPHANUMERIC.findall(sentence)) <= MOST_LETTERS


def median_length(lengths: Mapping[int, int]) -> int:
    """The median of sentence lengths in code points, of an even number the lower one in the middle; 0 of none.

    Args:
        lengths: How many sentences there are of each length.
    """
    ordered = sorted(lengths.items())
    below = accumulate(number for _, number in ordered)
    half = (sum(lengths.values()) + 1) // 2
    return (
        next((length for (length, _), number in zip(ordered, below, strict=True) if number >= half), 0) if half else 0
    )
