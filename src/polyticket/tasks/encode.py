"""Words to piece ids: every word of every sentence gets exactly one place where its tag is read off."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from polyticket.errors import PolyticketError
from polyticket.files import Pathlike
from polyticket.tasks.data import Sentence
from polyticket.tokenizer import load_for_text

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Window:
    """A run of words of one sentence as the model sees it: `[CLS] pieces [SEP]`.

    Attributes:
        ids: Piece ids [n], n <= max_seq_length.
        firsts: For each word, the place of its first piece in `ids`.
        labels: For each word, the index of its tag.
    """

    ids: Ids
    firsts: Ids
    labels: Ids


class WordEncoder:
    """WordPiece on single words, each distinct word tokenised once.

    Args:
        tokenizer: A `tokenizer.json` or the folder that holds one.
        max_seq_length: The longest window, `[CLS]` and `[SEP]` included.

    Raises:
        PolyticketError: The tokenizer cannot be read or lacks a special piece, or the length leaves no room for a word.
    """

    def __init__(self, tokenizer: Pathlike, max_seq_length: int = 128) -> None:
        if max_seq_length < 3:
            raise PolyticketError(f"{max_seq_length}", where="max_seq_length", expected="at least 3: [CLS] piece [SEP]")
        self.room = max_seq_length - 2
        self.tokenizer = load_for_text(tokenizer)
        self.cls, self.sep, self.unk = (
            _special(self.tokenizer, piece, tokenizer) for piece in ("[CLS]", "[SEP]", "[UNK]")
        )
        self._cache: dict[str, list[int]] = {}

    def windows(self, sentences: Sequence[Sentence], labels: Sequence[str]) -> list[Window]:
        """Cut sentences into consecutive windows at word boundaries, in reading order.

        A word of more pieces than a window holds, and one that the tokenizer turns into nothing (control characters),
        is `[UNK]`: all words are tagged and scored. Words that spell a special piece are plain text.

        Args:
            sentences: Words and tags.
            labels: The tags in the order of the classifier's outputs.

        Returns:
            Windows whose words, read in order, are the sentences' words.
        """
        self._tokenise({word for sentence in sentences for word in sentence.words})
        number = {label: index for index, label in enumerate(labels)}
        return [
            self._window([self._cache[word] for word in words], [number[tag] for tag in tags])
            for sentence in sentences
            for words, tags in self._cut(sentence)
        ]

    def _tokenise(self, words: Iterable[str]) -> None:
        new = sorted(set(words) - self._cache.keys())
        for word, encoding in zip(new, self.tokenizer.encode_batch(new, add_special_tokens=False), strict=True):
            self._cache[word] = encoding.ids if 0 < len(encoding.ids) <= self.room else [self.unk]

    def _cut(self, sentence: Sentence) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
        start = pieces = 0
        for end, word in enumerate(sentence.words):
            length = len(self._cache[word])
            if pieces + length > self.room:
                yield sentence.words[start:end], sentence.tags[start:end]
                start, pieces = end, 0
            pieces += length
        yield sentence.words[start:], sentence.tags[start:]

    def _window(self, words: list[list[int]], labels: list[int]) -> Window:
        ids = [self.cls, *(piece for word in words for piece in word), self.sep]
        firsts = np.cumsum([1, *map(len, words)], dtype=np.int64)[:-1]
        return Window(np.array(ids, np.int64), firsts, np.array(labels, np.int64))


def unflatten(flat: Sequence[str], sentences: Sequence[Sentence]) -> list[list[str]]:
    """Deal the tags of all words, in reading order, out to their sentences."""
    ends = np.cumsum([len(sentence.words) for sentence in sentences]).tolist()
    return [list(flat[start:end]) for start, end in zip([0, *ends], ends, strict=False)]


def _special(tokenizer: Tokenizer, piece: str, where: object) -> int:
    found = tokenizer.token_to_id(piece)
    if found is None:
        raise PolyticketError(f"no piece {piece}", where=where, expected="a BERT tokenizer")
    return found
