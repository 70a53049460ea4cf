"""What the entries of a vocabulary tell about the text that it was made of: capitals, accents, letters."""

from collections import Counter
from collections.abc import Callable, Iterable
from functools import cached_property

from tokenizers import normalizers

STRAY = 0.01
"""The share of letters up to which capitals or accents are strays in a vocabulary that has none."""
_STRIP = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)


class Alphabet:
    """The characters of a vocabulary.

    Args:
        tokens: The entries. Those in brackets, such as `[CLS]` or `<mask>`, are not text.
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        text = (token.removeprefix("##") for token in tokens if not is_bracketed(token))
        self.counts = Counter(char for token in text for char in set(token))

    def __contains__(self, text: str) -> bool:
        return all(char in self.counts for char in text)

    @cached_property
    def has_capitals(self) -> bool:
        """Whether there are capital letters; true where no letter could be one."""
        lower, upper = self._sum(str.islower), self._sum(str.isupper)
        return upper > STRAY * (lower + upper) or not lower

    @cached_property
    def has_accents(self) -> bool:
        """Whether there are characters that stripping of accents changes."""
        return self._sum(lambda char: unaccented(char) != char) > STRAY * self._sum(str.isalpha)

    def as_written(self, text: str) -> str:
        """A text as the vocabulary writes it: in lower case if it has no capitals, then without accents likewise."""
        if self.has_capitals:
            return text
        return text.lower() if self.has_accents else unaccented(text.lower())

    def _sum(self, holds: Callable[[str], bool]) -> int:
        return sum(count for char, count in self.counts.items() if holds(char))


def is_bracketed(token: str) -> bool:
    """Whether an entry is written as special tokens are."""
    return len(token) > 2 and (token[0], token[-1]) in (("[", "]"), ("<", ">"))


def unaccented(text: str) -> str:
    """A text as BERT strips accents: decomposed, without non-spacing marks."""
    return _STRIP.normalize_str(text)
