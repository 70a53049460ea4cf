"""Lines of text -> ids of their pieces, word by word where the tokenizer allows it."""

import json
from collections.abc import Iterator
from typing import Protocol

import numpy as np
from tokenizers import Tokenizer

from polyticket.core.logs import log
from polyticket.tokenizer.fast_wordpiece.cutting import LINE, cutter
from polyticket.tokenizer.fast_wordpiece.matching import KEY_BYTES, WordPieces, WordTable, code_points, keys_of
from polyticket.tokenizer.wordpiece import cased_normalizer

LINES_PER_BATCH = 1024
CACHED_BYTES = 128 << 20
STEP_BYTES = 1 << 17  # so much text at a time that the arrays about its words stay in the processor's cache
WORDS_PER_LESSON = 1024

Step = tuple[bytes, np.ndarray, np.ndarray, np.ndarray]
"""Some lines, the numbers of their words, which of these are line feeds, and the places of these in the lines."""


class Encoder(Protocol):
    """Tokenizes complete lines."""

    def encode(self, text: bytes) -> tuple[np.ndarray, np.ndarray]:
        """Tokenize lines, each without the white space around it.

        Args:
            text: UTF-8, lines that each end with a line feed.

        Returns:
            uint32 [tokens]: the ids of all lines, end to end; int64 [lines]: how many each line has, -1 for a line of
            nothing but white space.

        Raises:
            UnicodeDecodeError: The text is not UTF-8; its `start` is a place in the text.
        """


class LineEncoder:
    """Gives the tokenizer whole lines: right for any tokenizer.

    Args:
        tokenizer: As `polyticket.tokenizer.wordpiece.load_for_text` sets it.
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
        found = tokenizer.encode_batch_fast(texts[begin : begin + LINES_PER_BATCH], add_special_tokens=False)
        lists = [encoding.ids for encoding in found]
        lengths += [len(one) for one in lists]
        ids.append(np.array([number for one in lists for number in one], np.uint32))
    return np.concatenate(ids), np.array(lengths, np.int64)


class WordEncoder:
    """Looks up the pieces of words seen before: the tokens of a line are those of its words, end to end.

    Lines are cut where the tokenizer surely cuts (`Cutter`). What is found between is cut into pieces once and then
    looked up, all words of a text at a time. The cache is started anew when it is full; no result depends on that.

    Args:
        tokenizer: One that `is_by_word`.
        cached_bytes: About how much memory the cache may take.
    """

    def __init__(self, tokenizer: Tokenizer, cached_bytes: int = CACHED_BYTES) -> None:
        self.tokenizer, self.cached_bytes = tokenizer, cached_bytes
        self.pieces = WordPieces(json.loads(tokenizer.to_str())["model"])
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
        for step in _steps(text):
            steps.append(self._number(step, new))
            if len(new) >= WORDS_PER_LESSON:
                self._learn(new)
        self._learn(new)
        ids, lengths = zip(*(self._expand(*step) for step in steps), strict=True) if steps else ((), ())
        return np.concatenate([np.zeros(0, np.uint32), *ids]), np.concatenate([np.zeros(0, np.int64), *lengths])

    def _number(self, block: bytes, new: dict[bytes, int]) -> Step:
        """The numbers of the words of some lines; words not seen before get one in `new`."""
        text = np.frombuffer(block + bytes(KEY_BYTES), np.uint8)
        starts, sizes, kinds = self.cutter.cut(block, text)
        words = self.table.find(keys_of(text, starts, sizes))
        long = np.flatnonzero(sizes > KEY_BYTES)
        words[long] = [self.long.get(part, 0) for part in _parts(block, starts[long], sizes[long])]
        missing = np.flatnonzero(words == 0)
        parts = _parts(block, starts[missing], sizes[missing])
        words[missing] = [new.setdefault(part, self.words + len(new)) for part in parts]
        line_ends = np.flatnonzero(kinds == LINE)
        return block, words, line_ends, starts[line_ends]

    def _expand(
        self, block: bytes, words: np.ndarray, line_ends: np.ndarray, places: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The ids of the words of some lines, and the number of ids of each line as `Encoder` says."""
        counts = self.counts[words]
        ends = np.cumsum(counts)
        ids = self.ids[np.repeat(self.firsts[words] - ends + counts, counts) + np.arange(ends[-1])]
        lengths = np.diff(ends[line_ends], prepend=0)
        for line in np.flatnonzero(lengths == 0).tolist():
            begin = int(places[line - 1]) + 1 if line else 0
            if not block[begin : places[line]].decode().strip():  # other lines without ids hold removed characters
                lengths[line] = -1
        return ids, lengths

    def _learn(self, new: dict[bytes, int]) -> None:
        """Cut the new words into pieces and keep them under their numbers, which follow those given before; empties."""
        if not new:
            return
        ids, counts = self._cut(b"".join(part + b"\0" for part in new).decode())
        self._keep(ids, counts)
        sizes = np.array([len(part) for part in new])
        text = np.frombuffer(b"".join([*new, bytes(KEY_BYTES)]), np.uint8)
        short = np.flatnonzero(sizes <= KEY_BYTES)
        starts = np.cumsum(sizes) - sizes
        self.table.insert(keys_of(text, starts[short], sizes[short]), self.words - len(new) + short)
        long = {part: number for part, number in new.items() if len(part) > KEY_BYTES}
        self.long |= long
        self.memory += 64 * len(new) + 8 * len(ids) + sum(map(len, long)) + 128 * len(long)
        new.clear()

    def _cut(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """The ids of words with NUL after each, end to end, and how many each has.

        The tokenizer itself is asked about words of odd characters.
        """
        codes = code_points(text)
        odd = self.cutter.odd_words(codes)
        owners, ids = self.pieces.cut(codes, np.flatnonzero(~odd))
        if odd.any():
            texts = text.split("\0")
            asked = np.flatnonzero(odd)
            told, counts = encode_all(self.tokenizer, [texts[word] for word in asked])
            owners, ids = np.concatenate([owners, np.repeat(asked, counts)]), np.concatenate([ids, told])
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


def _steps(text: bytes) -> Iterator[bytes]:
    begin = 0
    while begin < len(text):
        end = text.find(b"\n", begin + STEP_BYTES) + 1 or len(text)
        yield text[begin:end]
        begin = end


def _parts(block: bytes, starts: np.ndarray, sizes: np.ndarray) -> list[bytes]:
    return [block[begin:end] for begin, end in zip(starts.tolist(), (starts + sizes).tolist(), strict=True)]


def _with_room(array: np.ndarray, size: int) -> np.ndarray:
    """The array, or a copy with room for `size` entries and as many more."""
    return array if size <= len(array) else np.concatenate([array, np.zeros(2 * size - len(array), array.dtype)])


def is_by_word(tokenizer: Tokenizer) -> bool:
    """Whether this is BERT's cased WordPiece, with no rule that looks beyond a word or at entries in the text."""
    told = json.loads(tokenizer.to_str())
    normalizer = {"strip_accents": False} | {k: v for k, v in (told["normalizer"] or {}).items() if v is not None}
    return (
        told["model"]["type"] == "WordPiece"
        and told["model"]["unk_token"] in told["model"]["vocab"]
        and normalizer == json.loads(cased_normalizer().__getstate__())
        and told["pre_tokenizer"] == {"type": "BertPreTokenizer"}
        and told["truncation"] is told["padding"] is None
        and tokenizer.encode_special_tokens
        and all(token["special"] for token in told["added_tokens"])
    )


def encoder_of(tokenizer: Tokenizer) -> Encoder:
    """The fastest encoder that gives the tokenizer's own tokens."""
    if is_by_word(tokenizer):
        log.info("BERT's cased WordPiece: words are looked up")
        return WordEncoder(tokenizer)
    log.info("not BERT's cased WordPiece: whole lines are tokenized, which is slower")
    return LineEncoder(tokenizer)
