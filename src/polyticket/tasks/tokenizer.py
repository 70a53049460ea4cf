"""The tokenizer of a backbone: special tokens by role, each word tokenised once."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.core.logs import log
from polyticket.tokenizer.folder import special_names
from polyticket.tokenizer.unknown_words import Limits, UnknownWords, count_unknown, sampled
from polyticket.tokenizer.wordpiece import load_for_text


class TaskTokenizer:
    """Text to token ids, without the special tokens that a task head puts around them.

    Args:
        source: A model or tokenizer folder, or a tokenizer file.

    Attributes:
        limits: The most unknown words that a text may have where it is tokenised for a task.

    Raises:
        PolyticketError: The tokenizer cannot be read.
    """

    limits = Limits()

    def __init__(self, source: Pathlike) -> None:
        self.source = source
        self.backend = load_for_text(source, of_model=True)
        self._names = special_names(Path(source), self.backend)
        self._words: dict[str, list[int]] = {}
        self._not_text = frozenset(self.all_special()) - {self.backend.token_to_id(self._names["unk"])}

    def __len__(self) -> int:
        return self.backend.get_vocab_size()

    def require_rows(self, rows: int) -> None:
        """Check that a model has an embedding for every token; that it has more is said in the log.

        Raises:
            PolyticketError: It has fewer.
        """
        if len(self) > rows:
            expected = f"at most {rows}, the model's rows of word embeddings"
            raise PolyticketError(f"a tokenizer of {len(self)} tokens", where=self.source, expected=expected)
        if len(self) < rows:
            log.info(f"{self.source}: {rows - len(self):,} of {rows:,} rows of word embeddings are no token's")

    def special(self, role: str) -> int:
        """The id of a special token: `cls`, `sep`, `unk`, `pad`, `mask` or `eos`.

        Raises:
            PolyticketError: The tokenizer has none.
        """
        number = self.backend.token_to_id(self._names[role])
        if number is None:
            raise PolyticketError(
                f"no token {self._names[role]}", where=self.source, expected=f"a tokenizer with a {role} token"
            )
        return number

    def all_special(self) -> list[int]:
        """The ids of all special tokens that there are, in order."""
        named = {self.backend.token_to_id(name) for name in self._names.values()}
        added = self.backend.get_added_tokens_decoder()
        return sorted({number for number in named if number is not None} | {n for n, t in added.items() if t.special})

    def of_words(self, words: Iterable[str]) -> dict[str, list[int]]:
        """The tokens of words, each taken alone and tokenised once; the table holds all words so far."""
        new = sorted(set(words) - self._words.keys())
        for word, encoding in zip(new, self.backend.encode_batch_fast(new, add_special_tokens=False), strict=True):
            self._words[word] = self._as_text(encoding.ids)
        return self._words

    def of_texts(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text."""
        encodings = self.backend.encode_batch_fast(list(texts), add_special_tokens=False)
        return [self._as_text(encoding.ids) for encoding in encodings]

    def unknown_words(self, texts: Sequence[str], language: str) -> UnknownWords:
        """Count the unknown words of a sample of texts.

        Args:
            texts: All texts.
            language: Their language, for errors.

        Raises:
            PolyticketError: There are more than `limits` allow.
        """
        unknown = count_unknown(self.backend, self.backend.token_to_id(self._names["unk"]), sampled(texts))
        unknown.require(self.limits, language, self.source)
        return unknown

    def _as_text(self, ids: list[int]) -> list[int]:
        """Special tokens that stand in a vocabulary like any other, and that text spells, are the unknown token."""
        if self._not_text.isdisjoint(ids):
            return ids
        return [self.special("unk") if number in self._not_text else number for number in ids]

    def digest(self) -> str:
        """SHA-256 of everything that determines the tokens of a text, as 64 hexadecimal digits."""
        content = self.backend.to_str() + repr(sorted(self._names.items()))
        return hashlib.sha256(content.encode()).hexdigest()
