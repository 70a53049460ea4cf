"""Words beside points: what they are counted as, and what their form alone tells.

A token is what stands between spaces, a word what is left of it without the marks around it.
"""

import re
import unicodedata
from functools import lru_cache

import sentencex

from polyticket.core.languages import splitter_of
from polyticket.corpus.sentence_marks import FULL_STOPS, OPENERS

MOST_CACHED = 2**17
MOST_KNOWN = 9
"""Letters of the longest words for which sentencex is asked."""
_VOWEL = re.compile("[aeiouyæøœəıаеиоуыэюяєіѣөүұәαεηιουωաեէըիոօւაეიოუ]", re.IGNORECASE)
_VOWELLED = re.compile(r"[a-z\u00c0-\u024fа-џ\u0490-\u052fα-ωա-ևა-ჰ]+", re.IGNORECASE)
_UNSPACED_TAIL = re.compile("[^\u3005-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff]*$")
_ACRONYM = re.compile(r"[^\W\d_][\"״”'’׳][^\W\d_]")
_PREFIX = re.compile(r"^[a-zA-Z][a-z]{0,3}(?=[A-Z][a-z])")
"""What isiZulu and its relatives set before a name's capital."""
CLITIC = re.compile("['’ʼ][a-z]")
"""A word that leaves the capital to the next: Afrikaans and Dutch."""
_SUFFIXED = re.compile(r"\d[-–'’][^\W\d_]+$")
YEAR = re.compile(r"[^\w]*\d{4}(?!\d|[.,]\d)")
"""A number that begins sentences as often as words do."""
_LAST_PART = re.compile(r"[-–—/(„“«\[]")
_ELIDED = re.compile(r"(?:[a-zA-Z\u00c0-\u024f]{0,3}[^\W\d_aeiouyAEIOUY]|[Qq]u)['’](?=[a-zA-Z\u00c0-\u024f])")
_BEFORE = OPENERS + "/…’'"
AFTER = ",;:!?)]}»”“\"'’‘›」』】،؛…-–—*"
_AROUND = "".join(sorted({*_BEFORE, *AFTER, ".", *FULL_STOPS}))
_CAMEL = re.compile(r"[^\W\d_]{1,5}[^\W\d_a-z]|['’ʼ][a-z]\s?[A-Z]")
_FIRST = re.compile(r"[^\W\d_]|\d")


def is_small(letter: str) -> bool:
    """Whether a letter is a small one of a script whose sentences begin with capitals; Georgian's never do."""
    return letter.islower() and not "\u10d0" <= letter <= "\u10ff"


def is_cased(letter: str) -> bool:
    """Whether a letter is of a script that has capitals."""
    return letter.lower() != letter.upper() and not "\u10d0" <= letter <= "\u10ff"


def length(word: str) -> int:
    """Letters and digits, without the marks that are written on them."""
    return sum(map(str.isalnum, word))


@lru_cache(2**16)
def key_of(token: str) -> str:
    """The word before a point as it is counted: without opening marks, after the last hyphen or elision.

    Empty if it ends with a closing mark or with what is hung on a number, since the point is then the sentence's.
    """
    if not token or ((not token[-1].isalnum()) and unicodedata.category(token[-1])[0] != "M"):
        return ""
    if _SUFFIXED.search(token):
        return ""
    word = _LAST_PART.split(token.lstrip(_BEFORE))[-1]
    word = _PREFIX.sub("", word)
    if '"' in word and word[0] < "\u0250":
        word = word.rpartition('"')[2]
    if "'" in word or "’" in word:
        elided = _ELIDED.match(word)
        word = word[elided.end() :] if elided else word
    if len(word) > 1 and not word.isascii():
        tail = _UNSPACED_TAIL.search(word)
        if tail and tail[0]:
            word = tail[0]
    return word


def first_of(token: str) -> str:
    """The first letter or digit of the word that follows, or of a name that begins small, its capital; else empty."""
    found = _FIRST.search(token)
    if not found:
        return ""
    first = found[0]
    if is_small(first):
        camel = _CAMEL.match(token, max(0, found.start() - 1)) or _CAMEL.match(token, found.start())
        if camel and camel[0][-1].isupper():
            return camel[0][-1]
    return first


def word_of(token: str) -> str:
    """The word that follows, as it is counted."""
    return token.lstrip(_BEFORE).rstrip(AFTER + "." + FULL_STOPS)


class Prior:
    """Log-odds that a word before a point is an abbreviation, from its form alone and from sentencex's lists."""

    def __init__(self, lang: str) -> None:
        self.code = splitter_of(lang)[1]
        self._found: dict[str, float] = {}

    def __call__(self, word: str) -> float:
        """The log-odds, for a word without its point."""
        found = self._found.get(word)
        if found is None:
            if len(self._found) > MOST_CACHED:
                self._found.clear()
            found = self._found[word] = self._odds(word)
        return found

    def _odds(self, word: str) -> float:
        letters = length(word)
        if not letters or not word[0].isalnum():
            return -8.0
        if any(map(str.isdigit, word)) or _ACRONYM.search(word):
            return -5.0
        if _is_unspaced(word[-1]):
            return -8.0
        if "." in word.strip("."):
            longest = max(map(length, word.split(".")))
            return 6.0 if longest == 1 else 4.0 if longest == 2 else 1.5 if longest == 3 else -4.0
        if letters > 1 and word.isupper():
            return -2.5 if letters == 2 else -4.0  # an acronym
        odds = (3.0, -0.7, -2.2, -3.5, -4.5, -5.5)[letters - 1] if letters <= 6 else -7.0
        if letters == 1:
            return odds if len(word) == 1 else 0.3  # an initial; a syllable
        if letters <= 3 and word.istitle():
            odds += 0.8
        elif letters == 2 and len(word) > 2:
            odds -= 1.8  # two syllables, of a script whose letters carry vowel signs
        if letters <= 4 and not _VOWEL.search(unicodedata.normalize("NFD", word)) and _VOWELLED.fullmatch(word):
            odds = max(odds, 1.0)
        if letters > MOST_KNOWN or not self.is_known(f"{word}."):
            return odds
        return max(odds + 4.0, 1.0) if letters <= 6 else odds + 4.0  # its lists hold some long words that are none

    def is_known(self, word: str) -> bool:
        """Whether sentencex ends no sentence after a word with its mark: after an abbreviation, or ``Yahoo!``."""
        return len(sentencex.segment(self.code, f"Abcd {word} Xyzw vuts.")) == 1


def _is_unspaced(letter: str) -> bool:
    return "\u3005" <= letter <= "\u30ff" or "\u3400" <= letter <= "\u9fff" or "\uac00" <= letter <= "\ud7a3"


def before_number(word: str, is_common: bool) -> float:
    """Log-odds that a sentence goes on after a word's point before a number, from its length: ``n. 1``, ``Kap. 3``."""
    letters = (length(word) + len(word)) // 2  # vowel signs count half
    if word and _is_unspaced(word[-1]):
        return -4.0
    short = 1.0 if letters <= 2 or (letters == 3 and word.istitle()) else 0.4
    return (short if letters <= 3 else -0.6 if letters == 4 else -1.5 if letters == 5 else -2.0) - is_common
