"""Unknown words of a tokenizer: their number, the reason, and the limits at which a run stops."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordPiece

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.core.logs import log
from polyticket.tokenizer.fast_wordpiece.encoding import encode_all
from polyticket.tokenizer.vocabulary import Alphabet, vocabulary_of

SAMPLED, LENGTH = 2000, 1000
"""The number of texts that are sampled from a file or a split, evenly over it, and the characters of each."""
BLOCKS, BLOCK_BYTES = 64, 1 << 16
"""The blocks of a file that are read for the sample."""
SHOWN, SHOWN_LETTERS = 5, 40
WARNED = 0.1
"""The share of unknown words above which the log has a warning."""


class Limits(NamedTuple):
    """The limits of unknown words, above which a run stops; None is no limit.

    Attributes:
        max_misread_share: The share of words that are unknown although the vocabulary has their letters.
        max_share: The share of words that are unknown for any reason.
    """

    max_misread_share: float | None = None
    max_share: float | None = None

    @classmethod
    def of(cls, stated: str) -> "Limits":
        """Read both from a text with a space between them, such as `0.1 None`."""
        return cls(*(None if limit == "None" else float(limit) for limit in stated.split()))


@dataclass(frozen=True)
class UnknownWords:
    """The counts of a text.

    Attributes:
        words: Words and punctuation marks of WordPiece, or tokens of any other tokenizer.
        unknown: The number of them that are the unknown token.
        misread: The number of unknown words that the vocabulary could spell: it has all their letters, or it has no
            capitals or accents at all and has the letters without them. Words above the length limit of the
            tokenizer are not counted here.
        reason: The reason for most of the unknown words.
        examples: The most frequent words with that reason.
    """

    words: int
    unknown: int
    misread: int
    reason: str
    examples: tuple[str, ...]

    def about(self) -> dict[str, Any]:
        """The counts and their shares as JSON values."""
        counts = {"unknown": self.unknown, "misread": self.misread}
        return {"words": self.words, **counts, **{f"{key}_rate": self._share(count) for key, count in counts.items()}}

    def require(self, limits: Limits, language: str, where: object) -> None:
        """Check the limits, and warn if there are many unknown words.

        Args:
            limits: The limits.
            language: The language of the text.
            where: The tokenizer, for errors.

        Raises:
            PolyticketError: A share is above its limit.
        """
        both = (
            ("max_misread_share", self.misread, limits.max_misread_share),
            ("max_share", self.unknown, limits.max_share),
        )
        for key, count, most in both:
            if most is not None and self._share(count) > most:
                allowed = f"a share of at most {most:g}, or another unknown_words.{key} in the configuration"
                raise PolyticketError(self._line(language), where=where, expected=allowed)
        if self._share(self.unknown) > WARNED:
            log.warning("%s: %s", where, self._line(language))

    def _share(self, count: int) -> float:
        return count / self.words if self.words else 0.0

    def _line(self, language: str) -> str:
        words = ", ".join(repr(word) for word in self.examples)
        share = self._share(self.unknown)
        return f"{share:.0%} of the words of {language} are unknown to the tokenizer, such as {words}; {self.reason}"


def sampled(texts: Sequence[str]) -> list[str]:
    """At most `SAMPLED` texts, spread evenly, each cut to `LENGTH` characters."""
    step = max(1.0, len(texts) / SAMPLED)
    return [texts[int(number * step)][:LENGTH] for number in range(min(len(texts), SAMPLED))]


def sampled_lines(path: Pathlike) -> list[str]:
    """Lines of a UTF-8 file of any size, from blocks that are spread evenly over it."""
    size = Path(path).stat().st_size
    step = max(BLOCK_BYTES, size // BLOCKS)
    lines: list[str] = []
    with open(path, "rb") as stream:
        for begin in range(0, size, step):
            stream.seek(begin)
            if begin:
                stream.readline()
            lines += stream.read(BLOCK_BYTES).decode(errors="ignore").split("\n")
    return sampled([line for line in lines if line.strip()])


def count_unknown(tokenizer: Tokenizer, unknown: int | None, texts: Iterable[str]) -> UnknownWords:
    """Count the unknown words of texts.

    Args:
        tokenizer: What `polyticket.tokenizer.wordpiece.load_for_text` gives.
        unknown: The id of its unknown token; None counts nothing as unknown.
        texts: The texts.
    """
    listed, counts = list(texts), Counter[str]()
    ids, lengths = encode_all(tokenizer, listed)
    is_unknown = ids == unknown if unknown is not None else np.zeros(len(ids), bool)
    ends = np.cumsum(lengths)
    found = np.searchsorted(ends, np.flatnonzero(is_unknown), side="right").tolist()
    for text in (listed[number] for number in dict.fromkeys(found)):
        encoding = tokenizer.encode(text, add_special_tokens=False)
        spans = zip(encoding.ids, encoding.offsets, strict=True)
        counts.update(text[begin:end] for number, (begin, end) in spans if number == unknown)
    words = len(ids)
    if isinstance(tokenizer.model, WordPiece) and (prefix := tokenizer.model.continuing_subword_prefix):
        tokens, times = vocabulary_of(tokenizer), np.bincount(ids)
        words -= sum(int(times[one]) for one in np.flatnonzero(times).tolist() if tokens[one].startswith(prefix))
    return _explained(tokenizer, unknown, words, counts)


def _explained(tokenizer: Tokenizer, unknown: int | None, words: int, counts: Counter[str]) -> UnknownWords:
    if not counts:
        return UnknownWords(words, 0, 0, "", ())
    alphabet = Alphabet(vocabulary_of(tokenizer))
    respelt, spelt = set(), set()
    longest = tokenizer.model.max_input_chars_per_word if isinstance(tokenizer.model, WordPiece) else LENGTH
    for word in counts:
        if len(word) > longest:
            continue
        written = alphabet.as_written(word)
        if written != word and unknown not in tokenizer.encode(written, add_special_tokens=False).ids:
            respelt.add(word)
        elif (tokenizer.normalizer.normalize_str(word) if tokenizer.normalizer else word).strip() in alphabet:
            spelt.add(word)
    misread, total = sum(counts[word] for word in respelt | spelt), counts.total()
    lost = counts.keys() - respelt - spelt
    most = lost if 2 * misread < total else max(respelt, spelt, key=lambda words: sum(counts[word] for word in words))
    shown = sorted(most, key=lambda word: (-counts[word], word))[:SHOWN]
    if most is lost:
        reason = _lacking(shown, alphabet, longest)
    elif most is spelt:
        reason = "the vocabulary has their letters, so it may be of another kind of tokenizer"
    else:
        what = "capitals" if alphabet.has_accents else "capitals or accents"
        reason = f"the text has {what} and the vocabulary none, so it is one for lower-cased text (do_lower_case)"
    return UnknownWords(words, total, misread, reason, tuple(word[:SHOWN_LETTERS] for word in shown))


def _lacking(words: Sequence[str], alphabet: Alphabet, longest: int) -> str:
    if len(words[0]) > longest:
        return f"words of more than {longest} characters, as in text without spaces, are not tokenized"
    missing = next((char for word in words for char in word if char not in alphabet), None)
    if missing is None:
        return "the vocabulary may be of other languages"
    script = unicodedata.name(missing, "unnamed").partition(" ")[0].title()
    return f"the vocabulary lacks characters such as {missing!r} ({script}), so it may be of other languages"
