"""The articles of a language -> its sentences, a line each, filtered, and its text ledger."""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import regex
from numpy.typing import NDArray

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, written_beside
from polyticket.core.languages import LANGUAGES
from polyticket.core.logs import Progress, log
from polyticket.core.processes import in_order
from polyticket.corpus.abbreviations import SAMPLE_CHARACTERS, Knowledge, learn
from polyticket.corpus.budget import MOST_BROKEN, MOST_BROKEN_SHARE, SECONDS_PER_MEGABYTE, Budget, OverBudget
from polyticket.corpus.ledger import (
    ADDRESSES,
    LONGEST_EXAMPLE,
    LONGEST_SENTENCE,
    MARKUP_KINDS,
    MOST_EXAMPLES,
    Ledger,
    add_ledgers,
    around_markup,
    commonest,
    count_markup,
    is_one_word,
    median_length,
)
from polyticket.corpus.sentences import Splitter, has_word, read_articles, splitter_of
from polyticket.corpus.wikitext import FORMULA

BUCKET_BYTES = 64 * 2**20
"""Most bytes of hashes that are compared at once; sorting takes about seven times this memory."""

_LETTER = regex.compile(r"\p{L}")


@dataclass(frozen=True)
class Filters:
    """The filters of a language's sentences; all are off by default.

    Attributes:
        drop_duplicates: Drop a paragraph that is equal to an earlier one of the language.
        min_characters: Least code points of a sentence; 0 keeps all.
        min_script_share: Least share, from 0 to 1, of letters of the language's scripts in a sentence; 0 keeps all.
        scripts: Unicode names of the language's scripts; without any, no script is wrong.
        formula: The text that replaces a formula; None drops sentences with formulas.
    """

    drop_duplicates: bool = False
    min_characters: int = 0
    min_script_share: float = 0.0
    scripts: tuple[str, ...] = ()
    formula: str | None = None

    def __post_init__(self) -> None:
        if self.min_characters < 0:
            raise PolyticketError(f"{self.min_characters}", where="min_characters", expected="0 or more")
        if not 0 <= self.min_script_share <= 1:
            raise PolyticketError(f"{self.min_script_share}", where="min_script_share", expected="0 to 1")

    def reason(self, sentence: str) -> str | None:
        """The reason to drop a sentence (``formula``, ``too_short``, ``wrong_script``); None to keep it."""
        if FORMULA in sentence:
            return "formula"
        if len(sentence) < self.min_characters:
            return "too_short"
        share = self.min_script_share
        if share and self.scripts and script_share(sentence, self.scripts) < share:
            return "wrong_script"
        return None


def filters_from(options: Mapping[str, Any], lang: str) -> Filters:
    """The filters of a configuration.

    Args:
        options: ``drop_duplicates``, ``min_characters``, ``min_script_share``, ``formula`` and, if the table of
            languages lacks the language or gives others, ``scripts``.
        lang: A Wikipedia's code.

    Raises:
        PolyticketError: A value is out of range, or a script share is given and no scripts are known.
    """
    known = LANGUAGES.get(lang)
    scripts = tuple(options.get("scripts") or (known.scripts if known else ()))
    share = options["min_script_share"]
    if share and not scripts:
        raise PolyticketError(f"no scripts are known for {lang}", where="min_script_share", expected="scripts, or 0")
    formula = options.get("formula")
    return Filters(bool(options["drop_duplicates"]), options["min_characters"], share, scripts, formula)


def script_share(text: str, scripts: Sequence[str]) -> float:
    """The share of a text's letters that belong to the scripts; 1 if it has no letter.

    Args:
        text: Any text.
        scripts: Unicode names of scripts, such as ``Latin``, ``Han``.
    """
    letters = len(_LETTER.findall(text))
    return len(_letters_of(tuple(scripts)).findall(text)) / letters if letters else 1.0


@lru_cache
def _letters_of(scripts: tuple[str, ...]) -> regex.Pattern[str]:
    union = "".join(f"\\p{{Script={script}}}" for script in scripts)
    return regex.compile(f"[\\p{{L}}&&[{union}]]", regex.V1)


def hash_paragraphs(paragraphs: Iterable[str]) -> NDArray[np.uint64]:
    """64-bit hashes (BLAKE2b) of paragraphs; a run of white space counts as one space.

    In 50 million paragraphs, two different ones have the same hash with probability 7e-5.
    """
    digests = (blake2b(" ".join(text.split()).encode(), digest_size=8).digest() for text in paragraphs)
    return np.frombuffer(b"".join(digests), dtype="<u8")


def keep_first(hashes: Sequence[Path], keep: Path, bucket_bytes: int = BUCKET_BYTES) -> int:
    """Find the first paragraph of each hash, in memory that does not grow with their number.

    Args:
        hashes: Files of little-endian 64-bit hashes, in the order of the paragraphs.
        keep: The file to write: a byte per paragraph, 1 for the first with its hash and 0 for later ones.
        bucket_bytes: Most bytes of hashes that are compared at once.

    Returns:
        The number of paragraphs.
    """
    sizes = [path.stat().st_size // 8 for path in hashes]
    total = sum(sizes)
    keep.write_bytes(b"")
    if not total:
        return 0
    flags = np.memmap(keep, dtype=np.uint8, mode="w+", shape=(total,))
    buckets = max(1, -(-total * 8 // bucket_bytes))
    for bucket in range(buckets):
        values, places = _bucket(hashes, sizes, bucket, buckets)
        _, first = np.unique(values, return_index=True)  # the first place of each value
        flags[places[first]] = 1
    flags.flush()
    return total


def _bucket(
    hashes: Sequence[Path], sizes: Sequence[int], bucket: int, buckets: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The hashes of one bucket and their int64 places, in order."""
    values, places = [], []
    offset = 0
    for path, size in zip(hashes, sizes, strict=True):
        for start in range(0, size, 2**20):
            block = np.fromfile(path, dtype="<u8", count=2**20, offset=8 * start)
            own = np.flatnonzero(block % np.uint64(buckets) == bucket) if buckets > 1 else np.arange(len(block))
            values.append(block[own])
            places.append(own + (offset + start))
        offset += size
    return np.concatenate(values), np.concatenate(places)


SAMPLE_SHARE, LEAST_SAMPLE = 0.25, 1_500_000
"""Code points to learn from: per byte of the articles' files, and at least."""
MOST_FREQUENT = 20
"""Most learnt abbreviations that the ledger names."""
MOST_LOST = 10
"""Most lost templates, and most lost links, that the ledger names, with an example each."""
REASONS = ("no_letters", "formula", "too_short", "wrong_script")


def split_articles(
    articles: Sequence[Pathlike],
    ledgers: Sequence[Mapping[str, Any]],
    sentences: Pathlike,
    *,
    lang: str,
    filters: Filters | None = None,
    page_budget: float = SECONDS_PER_MEGABYTE,
    processes: int = 1,
) -> Ledger:
    """Write the sentences of a language's articles, a line each, with an empty line between documents.

    Each paragraph is split alone: an unbalanced quotation mark would otherwise join a whole article. The first articles
    teach abbreviations for all (see `polyticket.corpus.abbreviations.learn`). The file depends on the articles and the
    filters, not on `processes` or the number of byte ranges.

    Args:
        articles: Files of JSON lines whose ``text`` holds a paragraph per line, in the order of the byte ranges.
        ledgers: The ledgers of the byte ranges.
        sentences: The file to write, UTF-8; it has no empty line at its end.
        lang: A Wikipedia's code.
        filters: The filters of sentences. Sentences without a letter or digit are always dropped.
        page_budget: Seconds for each 2^20 code points of an article, and for at least one such unit. An article that
            takes longer, or cannot be split, is dropped, named in the log and counted.
        processes: Byte ranges that are split at once.

    Returns:
        The language's ledger (see `polyticket.corpus.ledger`), with the ``splitter`` and ``splitter_language`` used.

    Raises:
        PolyticketError: A line is not an article (names file and line), or a ledger belongs to another language.
        Exception: The error of splitting, if more than a few articles are broken.
    """
    splitter, code = splitter_of(lang)
    filters = filters or Filters()
    paths = [Path(path) for path in articles]
    with written_beside(sentences) as place:
        parts = [place.with_name(f"{number}.txt") for number in range(len(paths))]
        keep = _first_paragraphs(paths, place, processes) if filters.drop_duplicates else repeat(None)
        split_ledgers = []
        progress = Progress(f"sentences {lang}", len(paths), "byte ranges")
        knowledge = _learn(paths, lang)
        tasks = zip(paths, keep, parts, strict=False)
        context = (lang, filters, knowledge, page_budget)
        for ledger in in_order(_split_range, tasks, processes, start=_prepare, start_with=context):
            split_ledgers.append(ledger)
            progress.add()
        _join(parts, place)
    whole = add_ledgers([*ledgers, *split_ledgers])
    if whole["language"] != lang:
        raise PolyticketError(f"a ledger of {whole['language']}", where=lang, expected="ledgers of its own byte ranges")
    _summarize_lengths(whole)
    _name_lost(whole["lost"])
    learnt = knowledge.abbreviations
    whole["abbreviations"] |= {"learnt": len(learnt), "frequent": [list(pair) for pair in learnt[:MOST_FREQUENT]]}
    log.info("%s: %s sentences, %s abbreviations", lang, f"{whole['sentences']['kept']:,}", f"{len(learnt):,}")
    return {**whole, "splitter": splitter, "splitter_language": code}


def _summarize_lengths(ledger: Ledger) -> None:
    """Replace the counts of all lengths by the median length and the share of sentences of one word."""
    sentences = ledger["sentences"]
    share = sentences["one_word"] / max(1, sentences["kept"])
    sentences |= {"one_word_share": round(share, 6), "median_length": median_length(ledger.pop("lengths"))}


def _name_lost(lost: dict[str, Any]) -> None:
    """Keep the commonest lost templates and links, with one example each."""
    for prefix in ("", "link_"):
        names = commonest(lost.get(f"{prefix}names", {}), MOST_LOST)
        examples = lost.get(f"{prefix}examples", {})
        lost[f"{prefix}names"] = names
        lost[f"{prefix}examples"] = {name: examples[name][0] for name in names if name in examples}


def _learn(articles: Sequence[Path], lang: str) -> Knowledge:
    """Learn from a share of the articles, whatever the byte ranges, so that it takes a small share of the time."""
    size = sum(path.stat().st_size for path in articles)
    most = min(SAMPLE_CHARACTERS, max(LEAST_SAMPLE, int(SAMPLE_SHARE * size)))
    return learn((text for path in articles for _, texts in read_articles(path) for text in texts), lang, most)


def _first_paragraphs(articles: Sequence[Path], place: Path, processes: int) -> list[tuple[Path, int]]:
    """For each byte range, the file that marks first paragraphs, and the place of the range's paragraphs in it."""
    hashes = [place.with_name(f"{number}.hashes") for number in range(len(articles))]
    sizes = list(in_order(_hash_range, zip(articles, hashes, strict=True), processes))
    keep = place.with_name("keep")
    keep_first(hashes, keep)
    return [(keep, sum(sizes[:number])) for number in range(len(sizes))]


def _hash_range(articles: Path, hashes: Path) -> int:
    """Write the hashes of a byte range's paragraphs; return their number."""
    with hashes.open("wb") as out:
        for _, paragraphs in read_articles(articles):
            hash_paragraphs(paragraphs).tofile(out)
        return out.tell() // 8


_context: dict[str, tuple[str, Filters, Knowledge, float]] = {}
"""The context of each process that splits."""


def _prepare(lang: str, filters: Filters, knowledge: Knowledge, page_budget: float) -> None:
    _context["of"] = (lang, filters, knowledge, page_budget)


def _split_range(articles: Path, keep: tuple[Path, int] | None, part: Path) -> Ledger:
    """Write a byte range's documents, each with an empty line after it; return its counts as a ledger."""
    lang, filters, knowledge, page_budget = _context["of"]
    count = _Count(lang, filters)
    splitter = Splitter(lang, knowledge)
    first = _flags(keep)
    with part.open("w", encoding="utf-8", newline="\n") as out:
        for title, paragraphs in read_articles(articles):
            first_texts = [text for text in paragraphs if count.is_first(next(first))]
            try:
                sentences = _sentences(first_texts, splitter, filters.formula, page_budget)
            except Exception as error:  # articles may hold anything, as where they are extracted
                count.add_broken(title, error)
                continue
            kept = [sentence for sentence in sentences if count.keeps(sentence, title)]
            count.vetoed = splitter.vetoed
            count.documents["written" if kept else "without_sentences"] += 1
            if kept:
                out.write("\n".join(kept) + "\n\n")
    return count.ledger()


def _sentences(paragraphs: Sequence[str], splitter: Splitter, formula: str | None, page_budget: float) -> list[str]:
    """Split the paragraphs of an article.

    Raises:
        OverBudget: It takes longer than its budget.
    """
    budget = Budget(sum(map(len, paragraphs)), page_budget)
    sentences: list[str] = []
    for paragraph in paragraphs:
        sentences += splitter.cut(paragraph if formula is None else paragraph.replace(FORMULA, formula))
        budget.check()
    return sentences


def _flags(keep: tuple[Path, int] | None) -> Iterator[bool]:
    """Whether each paragraph of a byte range is the first of its kind."""
    if keep is None:
        yield from repeat(True)
        return
    path, begin = keep
    with path.open("rb") as flags:
        flags.seek(begin)
        while block := flags.read(2**16):
            yield from map(bool, block)


class _Count:
    """Filters and counts the sentences of a byte range."""

    def __init__(self, lang: str, filters: Filters) -> None:
        self.lang, self.filters = lang, filters
        self.documents: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.markup: Counter[str] = Counter()
        self.vetoed = self.paragraphs = self.duplicates = self.kept = self.characters = self.lines = 0
        self.examples: list[tuple[str, str]] = []
        self.formulas: list[tuple[str, str]] = []
        self.broken: list[str] = []
        self.one_word = 0
        self.lengths = [0] * (LONGEST_SENTENCE + 1)

    def is_first(self, first: bool) -> bool:
        """Count a paragraph; tell whether it is kept."""
        self.paragraphs += 1
        self.duplicates += not first
        return first

    def add_broken(self, title: str, error: Exception) -> None:
        """Count a broken article; raise its error if there are too many."""
        log.warning("dropped %r: %s", title, error, exc_info=not isinstance(error, OverBudget))
        self.documents["broken"] += 1
        self.broken.append(title)
        if self.documents["broken"] > max(MOST_BROKEN, self.documents.total() * MOST_BROKEN_SHARE):
            raise error

    def keeps(self, sentence: str, title: str) -> bool:
        """Count a sentence; tell whether it is kept."""
        reason = self.filters.reason(sentence) if has_word(sentence) else "no_letters"
        if reason:
            self.dropped[reason] += 1
            if reason == "formula" and len(self.formulas) < MOST_EXAMPLES:
                self.formulas.append((title, sentence[:LONGEST_EXAMPLE]))
            return False
        self.kept += 1
        length = len(sentence)
        self.characters += length
        self.lengths[min(length, LONGEST_SENTENCE)] += 1
        self.one_word += is_one_word(sentence)
        if count_markup(sentence, self.markup):
            self.lines += 1
            if len(self.examples) < MOST_EXAMPLES:
                self.examples.append((title, around_markup(sentence)))
        return True

    def ledger(self) -> Ledger:
        """The counts as a ledger."""
        dropped = {reason: self.dropped[reason] for reason in REASONS}
        kinds = {kind: self.markup[kind] for kind in MARKUP_KINDS}
        return {
            "language": self.lang,
            "characters": {"sentences": self.characters},
            "documents": {name: self.documents[name] for name in ("written", "without_sentences", "broken")},
            "broken": self.broken[:MOST_EXAMPLES],
            "paragraphs": {"read": self.paragraphs, "duplicates": self.duplicates},
            "sentences": {
                "found": self.kept + sum(dropped.values()),
                "kept": self.kept,
                "dropped": dropped,
                "one_word": self.one_word,
            },
            "lengths": {length: number for length, number in enumerate(self.lengths) if number},
            "abbreviations": {"vetoed": self.vetoed},
            "lost": {"formulas": dropped["formula"], "formula_examples": self.formulas},
            "residual_markup": {
                "total": sum(kinds.values()),
                "lines": self.lines,
                "kinds": kinds,
                "addresses": self.markup[ADDRESSES],
                "examples": self.examples,
            },
        }


def _join(parts: Sequence[Path], place: Path) -> None:
    """Join the parts, without the empty line at the end of the last one."""
    with place.open("wb") as out:
        for part in parts:
            with part.open("rb") as stream:
                shutil.copyfileobj(stream, out, 2**20)
            part.unlink()
        if out.tell():
            out.truncate(out.tell() - 1)
