"""Fast tokenization of lines: BERT's cased WordPiece by a table of known words, any other tokenizer by whole lines."""

import json
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from polyticket.core.logs import log
from polyticket.tokenizer.fast_wordpiece.cutting import LINE, cutter
from polyticket.tokenizer.fast_wordpiece.matching import KEY_BYTES, Matcher, WordTable, code_points, keys_of
from polyticket.tokenizer.vocabulary import vocabulary_of
from polyticket.tokenizer.wordpiece import cased_normalizer

LINES_PER_BATCH = 1024
CACHED_BYTES = 128 << 20
STEP_BYTES = 1 << 17  # text at a time, so that the arrays of its words stay in the processor's cache
NEW_WORDS = 1024  # words that are tokenized at a time

Step = tuple[bytes, np.ndarray, np.ndarray, np.ndarray]
"""Lines, the numbers of their words, the indices of the words that are line feeds, and the byte of each line feed."""


class Encoder(Protocol):
    """Tokenizes complete lines."""

    def encode(self, text: bytes) -> tuple[np.ndarray, np.ndarray]:
        """Tokenize lines, each without the white space around it.

        Args:
            text: UTF-8, lines that each end with a line feed.

        Returns:
            uint32 [tokens]: the ids of all lines, end to end; int64 [lines]: the number of ids of each line, -1 for a
            line of white space alone.

        Raises:
            UnicodeDecodeError: The text is not UTF-8; its `start` is a byte of the text.
        """


class LineEncoder:
    """Tokenizes whole lines by the tokenizer itself, so it is exact for any tokenizer.

    Args:
        tokenizer: What `polyticket.tokenizer.wordpiece.load_for_text` gives.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    def encode(self, text: bytes) -> tuple[np.ndarray, np.ndarray]:
        """See `Encoder`."""
        lines = [line.strip() for line in text.decode().split("\n")[:-1]]
        ids, lengths = encode_all(self.tokenizer, lines)
        return ids, np.where([not line for line in lines], -1, lengths)


def encode_all(tokenizer: Tokenizer, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The ids of texts as the tokenizer gives them, end to end (uint32), and their number for each text (int64)."""
    ids, lengths = [np.zeros(0, np.uint32)], []
    for begin in range(0, len(texts), LINES_PER_BATCH):
        encodings = tokenizer.encode_batch_fast(texts[begin : begin + LINES_PER_BATCH], add_special_tokens=False)
        lists = [encoding.ids for encoding in encodings]
        lengths += [len(own) for own in lists]
        ids.append(np.array([number for own in lists for number in own], np.uint32))
    return np.concatenate(ids), np.array(lengths, np.int64)


class WordEncoder:
    """Looks up the tokens of known words: the tokens of a line are those of its words, end to end.

    Lines are cut where the tokenizer certainly cuts (`Cutter`). Each word is tokenized once and then looked up, all
    words of a text at a time. A full cache is emptied; no result depends on that.

    Args:
        tokenizer: A tokenizer that `is_by_word`.
        cached_bytes: Memory of the cache, about.
        step_bytes: Text that is looked up at a time.
    """

    def __init__(self, tokenizer: Tokenizer, cached_bytes: int = CACHED_BYTES, step_bytes: int = STEP_BYTES) -> None:
        self.tokenizer, self.cached_bytes, self.step_bytes = tokenizer, cached_bytes, step_bytes
        self.matcher = Matcher(_model_of(tokenizer))
        self.cutter = cutter()
        self.lines = LineEncoder(tokenizer)
        self._forget()

    def _forget(self) -> None:
        self.table = WordTable()
        self.long: dict[bytes, int] = {}
        self.ids = np.zeros(1, np.uint32)
        self.firsts, self.counts = np.zeros((2, 1), np.int64)
        self.words = 1  # word 0 is none
        self.used = self.memory = 0

    def encode(self, text: bytes) -> tuple[np.ndarray, np.ndarray]:
        """See `Encoder`."""
        if not text.isascii():
            text.decode()
        if b"\0" in text:  # pads the keys of the table
            return self.lines.encode(text)
        if self.memory > self.cached_bytes:
            self._forget()
        new: dict[bytes, int] = {}
        steps = []
        for step in _steps(text, self.step_bytes):
            steps.append(self._number(step, new))
            if len(new) >= NEW_WORDS:
                self._learn(new)
        self._learn(new)
        ids, lengths = zip(*(self._expand(*step) for step in steps), strict=True) if steps else ((), ())
        return np.concatenate([np.zeros(0, np.uint32), *ids]), np.concatenate([np.zeros(0, np.int64), *lengths])

    def _number(self, block: bytes, new: dict[bytes, int]) -> Step:
        """The numbers of the words of lines; unknown words get a number in `new`."""
        text = np.frombuffer(block + bytes(KEY_BYTES), np.uint8)
        starts, sizes, kinds = self.cutter.cut(block, text)
        words = self.table.find(keys_of(text, starts, sizes))
        long = np.flatnonzero(sizes > KEY_BYTES)
        words[long] = [self.long.get(word, 0) for word in _slices(block, starts[long], sizes[long])]
        missing = np.flatnonzero(words == 0)
        missing_words = _slices(block, starts[missing], sizes[missing])
        words[missing] = [new.setdefault(word, self.words + len(new)) for word in missing_words]
        line_ends = np.flatnonzero(kinds == LINE)
        return block, words, line_ends, starts[line_ends]

    def _expand(
        self, block: bytes, words: np.ndarray, line_ends: np.ndarray, line_feeds: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The ids of the words of lines, and the number of ids of each line, as of `Encoder.encode`."""
        counts = self.counts[words]
        ends = np.cumsum(counts)
        ids = self.ids[np.repeat(self.firsts[words] - ends + counts, counts) + np.arange(ends[-1])]
        lengths = np.diff(ends[line_ends], prepend=0)
        for line in np.flatnonzero(lengths == 0).tolist():
            begin = int(line_feeds[line - 1]) + 1 if line else 0
            if not block[begin : line_feeds[line]].decode().strip():  # other lines without ids hold removed characters
                lengths[line] = -1
        return ids, lengths

    def _learn(self, new: dict[bytes, int]) -> None:
        """Tokenize the new words and store them under their numbers, which follow the numbers so far; empties `new`."""
        if not new:
            return
        ids, counts = self._tokenize(b"".join(word + b"\0" for word in new).decode())
        self._keep(ids, counts)
        sizes = np.array([len(word) for word in new])
        text = np.frombuffer(b"".join([*new, bytes(KEY_BYTES)]), np.uint8)
        short = np.flatnonzero(sizes <= KEY_BYTES)
        starts = np.cumsum(sizes) - sizes
        self.table.insert(keys_of(text, starts[short], sizes[short]), self.words - len(new) + short)
        long = {word: number for word, number in new.items() if len(word) > KEY_BYTES}
        self.long |= long
        self.memory += 64 * len(new) + 8 * len(ids) + sum(map(len, long)) + 128 * len(long)
        new.clear()

    def _tokenize(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """The ids of words with NUL after each, end to end, and the number of ids of each word.

        The tokenizer itself gives the ids of words with unusual characters.
        """
        codes = code_points(text)
        odd = self.cutter.odd_words(codes)
        owners, ids = self.matcher.match(codes, np.flatnonzero(~odd))
        if odd.any():
            texts = text.split("\0")
            odd_words = np.flatnonzero(odd)
            odd_ids, counts = encode_all(self.tokenizer, [texts[word] for word in odd_words])
            owners, ids = np.concatenate([owners, np.repeat(odd_words, counts)]), np.concatenate([ids, odd_ids])
        order = np.argsort(owners, kind="stable")
        return ids[order], np.bincount(owners, minlength=len(odd))

    def _keep(self, ids: np.ndarray, counts: np.ndarray) -> None:
        words, used = self.words + len(counts), self.used + len(ids)
        self.ids = _with_room(self.ids, used)
        self.firsts, self.counts = _with_room(self.firsts, words), _with_room(self.counts, words)
        self.ids[self.used : used] = ids
        self.firsts[self.words : words] = self.used + np.cumsum(counts) - counts
        self.counts[self.words : words] = counts
        self.words, self.used = words, used


def _steps(text: bytes, size: int) -> Iterator[bytes]:
    begin = 0
    while begin < len(text):
        end = text.find(b"\n", begin + size) + 1 or len(text)
        yield text[begin:end]
        begin = end


def _slices(block: bytes, starts: np.ndarray, sizes: np.ndarray) -> list[bytes]:
    return [block[begin:end] for begin, end in zip(starts.tolist(), (starts + sizes).tolist(), strict=True)]


def _with_room(array: np.ndarray, size: int) -> np.ndarray:
    """The array, or a copy with room for twice `size` entries."""
    return array if size <= len(array) else np.concatenate([array, np.zeros(2 * size - len(array), array.dtype)])


def _model_of(tokenizer: Tokenizer) -> dict[str, Any]:
    """The model of a tokenizer that `is_by_word`, as in its JSON."""
    model = tokenizer.model
    vocabulary = {token: number for number, token in enumerate(vocabulary_of(tokenizer))}
    for added in tokenizer.get_added_tokens_decoder().values():
        if model.token_to_id(added.content) is None:
            del vocabulary[added.content]
    names = ("unk_token", "continuing_subword_prefix", "max_input_chars_per_word")
    return {"vocab": vocabulary, **{name: getattr(model, name) for name in names}}


def is_by_word(tokenizer: Tokenizer) -> bool:
    """Whether this is BERT's cased WordPiece, without rules that look beyond a word or at added tokens in the text."""
    model, own = tokenizer.model, tokenizer.normalizer
    stated = json.loads(own.__getstate__()) if isinstance(own, BertNormalizer) else {}
    normalizer = {"strip_accents": False} | {key: value for key, value in stated.items() if value is not None}
    return (
        isinstance(model, WordPiece)
        and model.token_to_id(model.unk_token) is not None
        and normalizer == json.loads(cased_normalizer().__getstate__())
        and isinstance(tokenizer.pre_tokenizer, BertPreTokenizer)
        and tokenizer.truncation is tokenizer.padding is None
        and tokenizer.encode_special_tokens
        and all(token.special for token in tokenizer.get_added_tokens_decoder().values())
    )


def encoder_of(tokenizer: Tokenizer) -> Encoder:
    """The fastest encoder that gives the tokenizer's own tokens."""
    if is_by_word(tokenizer):
        log.info("BERT's cased WordPiece: words are looked up")
        return WordEncoder(tokenizer)
    log.info("not BERT's cased WordPiece: lines are tokenized as a whole, which is slower")
    return LineEncoder(tokenizer)
