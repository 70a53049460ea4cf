"""Vocabularies: files with one token per line, and the characters that a vocabulary has."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, lru_cache

from tokenizers import Tokenizer, normalizers

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.core.logs import log
from polyticket.core.text import read_text

UNKNOWN = "[UNK]"
SPECIAL_TOKENS = ("[PAD]", UNKNOWN, "[CLS]", "[SEP]", "[MASK]")
UNUSED = re.compile(r"\[unused\d+\]")
UNMATCHED = re.compile(r"[^\S\n]|\0")
WITH_COUNT = re.compile(r"\S+[ \t]+-?\d+(\.\d+)?")


def check_vocabulary(tokens: Sequence[str], where: object, special: Sequence[str] = SPECIAL_TOKENS) -> None:
    """Check that tokens differ, are not empty and have no counts beside them, and that no special token is missing.

    Args:
        tokens: The tokens.
        where: The file, for errors.
        special: The required special tokens.

    Raises:
        PolyticketError: The vocabulary has one of these faults; names the line, from 1.
    """
    lines: dict[str, int] = {}
    for number, token in enumerate(tokens, start=1):
        if not token or WITH_COUNT.fullmatch(token):
            what = f"{token!r} is a token and a number" if token else "an empty token"
            raise PolyticketError(what, where=f"{where}:{number}", expected="one token a line")
        if token in lines:
            raise PolyticketError(
                f"{token!r} is on line {lines[token]} already",
                where=f"{where}:{number}",
                expected="each token once",
            )
        lines[token] = number
    missing = [token for token in special if token not in lines]
    if missing:
        raise PolyticketError(f"no {', '.join(missing)}", where=where, expected=" ".join(special))


def read_vocabulary(path: Pathlike, special: Sequence[str] = SPECIAL_TOKENS) -> list[str]:
    """Read a ``vocab.txt``: one token a line. The id of a token is the number of its line, from 0.

    Lines end with LF or CRLF. A byte order mark and blank lines at the end are ignored.

    Args:
        path: The file.
        special: See `check_vocabulary`.

    Raises:
        PolyticketError: The file is missing or is not UTF-8, or see `check_vocabulary`.
    """
    text = read_text(path)
    tokens = text.rstrip("\n").split("\n")
    check_vocabulary(tokens, path, special)
    if unmatched := [token for token in tokens if UNMATCHED.search(token)] if UNMATCHED.search(text) else []:
        told = "%s: %d tokens hold white space or a zero byte, such as %r; they match no text"
        log.warning(told, path, len(unmatched), unmatched[0])
    return tokens


def vocabulary_of(tokenizer: Tokenizer) -> list[str]:
    """The tokens of a tokenizer, by id from 0; where ids have gaps, fewer than there are."""
    return list(_tokens(tokenizer, tokenizer.get_vocab_size()))


@lru_cache(maxsize=1)
def _tokens(tokenizer: Tokenizer, size: int) -> tuple[str, ...]:
    """`vocabulary_of` a tokenizer of a number of tokens."""
    return tuple([token for token in map(tokenizer.id_to_token, range(size)) if token is not None])


STRAY = 0.01
"""A vocabulary counts as having no capitals (or accents) if at most this share of its letters are capitals."""
_STRIP = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)


class Alphabet:
    """The characters of a vocabulary.

    Args:
        tokens: The tokens. Tokens in brackets, such as `[CLS]` or `<mask>`, are not text.
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        text = [token for token in tokens if not (token.endswith(("]", ">")) and is_bracketed(token))]
        self.counts = Counter("".join([token[2:] if token.startswith("##") else token for token in text]))

    def __contains__(self, text: str) -> bool:
        return all(char in self.counts for char in text)

    @cached_property
    def has_capitals(self) -> bool:
        """Whether there are capital letters; true if no letter of the vocabulary has a case."""
        lower, upper = self._sum(str.islower), self._sum(str.isupper)
        return upper > STRAY * (lower + upper) or not lower

    @cached_property
    def has_accents(self) -> bool:
        """Whether there are characters that accent stripping changes."""
        return self._sum(lambda char: unaccented(char) != char) > STRAY * self._sum(str.isalpha)

    def as_written(self, text: str) -> str:
        """A text as the vocabulary writes it: lower-cased if it has no capitals, and without accents if it has none."""
        if self.has_capitals:
            return text
        return text.lower() if self.has_accents else unaccented(text.lower())

    def _sum(self, holds: Callable[[str], bool]) -> int:
        return sum(count for char, count in self.counts.items() if holds(char))


def is_bracketed(token: str) -> bool:
    """Whether a token is written as special tokens are."""
    return len(token) > 2 and (token[0], token[-1]) in (("[", "]"), ("<", ">"))


def unaccented(text: str) -> str:
    """A text as BERT strips accents: decomposed, without non-spacing marks."""
    return _STRIP.normalize_str(text)
