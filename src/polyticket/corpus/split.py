"""What may leave sentences and paragraphs out, all off by default: shortness, foreign script, exact repetition."""

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
    LEFTOVER_KINDS,
    LONGEST_EXAMPLE,
    LONGEST_SENTENCE,
    MOST_EXAMPLES,
    Ledger,
    add_ledgers,
    around_leftover,
    commonest,
    count_leftover,
    is_one_word,
    median_length,
)
from polyticket.corpus.sentences import Splitter, has_word, read_articles, splitter_of
from polyticket.corpus.wikitext import FORMULA

BUCKET_BYTES = 64 * 2**20
"""Most bytes of hashes that are compared at once; sorting them takes about seven times as much memory."""

_LETTER = regex.compile(r"\p{L}")


@dataclass(frozen=True)
class Filters:
    """What is left out of a language's sentences.

    Attributes:
        drop_duplicates: Whether a paragraph that stood before, in any document of the language, is left out.
        min_characters: Code points that a sentence has at least; 0 keeps all.
        min_script_share: Share, from 0 to 1, of a sentence's letters that are of the language's scripts at least;
            0 keeps all.
        scripts: Unicode names of the language's scripts; without any, no script is wrong.
        formula: What a sentence shows for a formula in it; None leaves such sentences out.
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
        """Why a sentence is left out (``formula``, ``too_short``, ``wrong_script``); None if it stays."""
        if FORMULA in sentence:
            return "formula"
        if len(sentence) < self.min_characters:
            return "too_short"
        share = self.min_script_share
        if share and self.scripts and script_share(sentence, self.scripts) < share:
            return "wrong_script"
        return None


def filters_from(options: Mapping[str, Any], lang: str) -> Filters:
    """The filters that a configuration asks for.

    Args:
        options: ``drop_duplicates``, ``min_characters``, ``min_script_share``, ``formula`` and, for a language that the
            table of languages lacks or describes otherwise, ``scripts``.
        lang: A Wikipedia's code.

    Raises:
        PolyticketError: A value is out of range, or scripts are asked for and none are known.
    """
    known = LANGUAGES.get(lang)
    scripts = tuple(options.get("scripts") or (known.scripts if known else ()))
    share = options["min_script_share"]
    if share and not scripts:
        raise PolyticketError(f"no scripts are known for {lang}", where="min_script_share", expected="scripts, or 0")
    formula = options.get("formula")
    return Filters(bool(options["drop_duplicates"]), options["min_characters"], share, scripts, formula)


def script_share(text: str, scripts: Sequence[str]) -> float:
    """The share of a text's letters that are of some scripts; 1 if it has no letter.

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
    """64-bit hashes (BLAKE2b) of paragraphs, runs of white space counting as one space.

    Among 50 million paragraphs two different ones share a hash with probability 7e-5.
    """
    digests = (blake2b(" ".join(text.split()).encode(), digest_size=8).digest() for text in paragraphs)
    return np.frombuffer(b"".join(digests), dtype="<u8")


def keep_first(hashes: Sequence[Path], keep: Path) -> int:
    """Tell for each paragraph whether it is the first of its kind, in memory that does not grow with their number.

    Args:
        hashes: Files of little-endian 64-bit hashes, in the order of the paragraphs.
        keep: The file to write: one byte per paragraph, 1 for the first with its hash and 0 for later ones.

    Returns:
        How many paragraphs there are.
    """
    sizes = [path.stat().st_size // 8 for path in hashes]
    total = sum(sizes)
    keep.write_bytes(b"")
    if not total:
        return 0
    flags = np.memmap(keep, dtype=np.uint8, mode="w+", shape=(total,))
    buckets = max(1, -(-total * 8 // BUCKET_BYTES))
    for bucket in range(buckets):
        values, places = _bucket(hashes, sizes, bucket, buckets)
        _, first = np.unique(values, return_index=True)  # of equal values, the place of the first
        flags[places[first]] = 1
    flags.flush()
    return total


def _bucket(
    hashes: Sequence[Path], sizes: Sequence[int], bucket: int, buckets: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The hashes of one bucket, int64 places beside them, in order."""
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
"""Code points that are learnt from: so many per byte of the articles' files, but so many at least."""
MOST_FREQUENT = 20
"""How many of the abbreviations that a corpus teaches its ledger names."""
MOST_LOST = 10
"""How many of the templates, and of the links, that sentences lost it names, with an example each."""
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
    """Write the sentences of a language's articles, one a line, with a blank line between documents.

    Each paragraph is split on its own, since an unbalanced quotation mark would otherwise glue a whole article. What
    the first articles teach (see `polyticket.corpus.abbreviations.learn`) goes for all. The file depends on the
    articles and the filters, not on `processes` nor on how the articles are cut into pieces.

    Args:
        articles: Files of JSON lines whose ``text`` holds a paragraph a line, in the order of the pieces.
        ledgers: The ledgers of the pieces.
        sentences: The file to write, UTF-8; it has no blank line at its end.
        lang: A Wikipedia's code.
        filters: What is left out besides sentences without a letter or digit.
        page_budget: Seconds that an article may take for each 2^20 code points, of which at least one counts. One that
            takes longer, or cannot be split, is left out, named in the log and counted.
        processes: How many pieces are worked on at once.

    Returns:
        The language's ledger (see `polyticket.corpus.ledger`), with the ``splitter`` and ``splitter_language`` used.

    Raises:
        PolyticketError: A line is not an article (names file and line), or a ledger is of another language.
        Exception: Whatever splitting raises, if it does so for more than a few articles.
    """
    splitter, code = splitter_of(lang)
    filters = filters or Filters()
    paths = [Path(path) for path in articles]
    with written_beside(sentences) as place:
        parts = [place.with_name(f"{number}.txt") for number in range(len(paths))]
        keep = _first_ones(paths, place, processes) if filters.drop_duplicates else repeat(None)
        found = []
        progress = Progress(f"sentences {lang}", len(paths), "pieces")
        knowledge = _learn(paths, lang)
        tasks = zip(paths, keep, parts, strict=False)
        known = (lang, filters, knowledge, page_budget)
        for ledger in in_order(_split_piece, tasks, processes, start=_prepare, start_with=known):
            found.append(ledger)
            progress.add()
        _join(parts, place)
    whole = add_ledgers([*ledgers, *found])
    if whole["language"] != lang:
        raise PolyticketError(f"a ledger of {whole['language']}", where=lang, expected="ledgers of its own pieces")
    _tell_lengths(whole)
    _name_lost(whole["lost"])
    learnt = knowledge.abbreviations
    whole["abbreviations"] |= {"learnt": len(learnt), "frequent": [list(pair) for pair in learnt[:MOST_FREQUENT]]}
    log.info("%s: %s sentences, %s abbreviations", lang, f"{whole['sentences']['kept']:,}", f"{len(learnt):,}")
    return {**whole, "splitter": splitter, "splitter_language": code}


def _tell_lengths(ledger: Ledger) -> None:
    """Put the median length of the sentences, and the share that is of one word, in the place of all their lengths."""
    sentences = ledger["sentences"]
    share = sentences["one_word"] / max(1, sentences["kept"])
    sentences |= {"one_word_share": round(share, 6), "median_length": median_length(ledger.pop("lengths"))}


def _name_lost(lost: dict[str, Any]) -> None:
    """Keep the commonest of the templates and of the links that sentences lost, with one example each."""
    for prefix in ("", "link_"):
        names = commonest(lost.get(f"{prefix}names", {}), MOST_LOST)
        examples = lost.get(f"{prefix}examples", {})
        lost[f"{prefix}names"] = names
        lost[f"{prefix}examples"] = {name: examples[name][0] for name in names if name in examples}


def _learn(articles: Sequence[Path], lang: str) -> Knowledge:
    """Learn from a share of the articles, so that it takes a small share of the time, whatever the pieces."""
    size = sum(path.stat().st_size for path in articles)
    most = min(SAMPLE_CHARACTERS, max(LEAST_SAMPLE, int(SAMPLE_SHARE * size)))
    return learn((text for path in articles for _, texts in read_articles(path) for text in texts), lang, most)


def _first_ones(articles: Sequence[Path], place: Path, processes: int) -> list[tuple[Path, int]]:
    """For each piece, the file that tells which paragraphs of all pieces are first ones, and where it begins there."""
    hashes = [place.with_name(f"{number}.hashes") for number in range(len(articles))]
    sizes = list(in_order(_hash_piece, zip(articles, hashes, strict=True), processes))
    keep = place.with_name("keep")
    keep_first(hashes, keep)
    return [(keep, sum(sizes[:number])) for number in range(len(sizes))]


def _hash_piece(articles: Path, hashes: Path) -> int:
    """Write the hashes of a piece's paragraphs; how many there are."""
    with hashes.open("wb") as out:
        for _, paragraphs in read_articles(articles):
            hash_paragraphs(paragraphs).tofile(out)
        return out.tell() // 8


_prepared: dict[str, tuple[str, Filters, Knowledge, float]] = {}
"""What each process that splits knows."""


def _prepare(lang: str, filters: Filters, knowledge: Knowledge, page_budget: float) -> None:
    _prepared["of"] = (lang, filters, knowledge, page_budget)


def _split_piece(articles: Path, keep: tuple[Path, int] | None, part: Path) -> Ledger:
    """Write a piece's documents, each followed by a blank line; its part of the ledger."""
    lang, filters, knowledge, page_budget = _prepared["of"]
    count = _Count(lang, filters)
    splitter = Splitter(lang, knowledge)
    first = _flags(keep)
    with part.open("w", encoding="utf-8", newline="\n") as out:
        for title, paragraphs in read_articles(articles):
            stay = [text for text in paragraphs if count.is_first(next(first))]
            try:
                found = _sentences(stay, splitter, filters.formula, page_budget)
            except Exception as error:  # an article is a stranger's, as where it is extracted
                count.is_broken(title, error)
                continue
            kept = [sentence for sentence in found if count.keeps(sentence, title)]
            count.vetoed = splitter.vetoed
            count.documents["written" if kept else "without_sentences"] += 1
            if kept:
                out.write("\n".join(kept) + "\n\n")
    return count.ledger()


def _sentences(paragraphs: Sequence[str], splitter: Splitter, formula: str | None, page_budget: float) -> list[str]:
    """Cut the paragraphs of an article.

    Raises:
        OverBudget: It takes longer than its budget.
    """
    budget = Budget(sum(map(len, paragraphs)), page_budget)
    found: list[str] = []
    for paragraph in paragraphs:
        found += splitter.cut(_with_formulas(paragraph, formula))
        budget.check()
    return found


def _with_formulas(paragraph: str, shown: str | None) -> str:
    """A paragraph with what is shown for formulas; as it is if sentences with formulas are left out."""
    return paragraph if shown is None or FORMULA not in paragraph else paragraph.replace(FORMULA, shown)


def _flags(keep: tuple[Path, int] | None) -> Iterator[bool]:
    """Whether each paragraph of a piece is a first one."""
    if keep is None:
        yield from repeat(True)
        return
    path, begin = keep
    with path.open("rb") as flags:
        flags.seek(begin)
        while block := flags.read(2**16):
            yield from map(bool, block)


class _Count:
    """Decides on a piece's sentences, and counts them."""

    def __init__(self, lang: str, filters: Filters) -> None:
        self.lang, self.filters = lang, filters
        self.documents: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.leftover: Counter[str] = Counter()
        self.vetoed = self.paragraphs = self.duplicates = self.kept = self.characters = self.lines = 0
        self.examples: list[tuple[str, str]] = []
        self.formulas: list[tuple[str, str]] = []
        self.broken: list[str] = []
        self.one_word = 0
        self.lengths = [0] * (LONGEST_SENTENCE + 1)

    def is_first(self, first: bool) -> bool:
        """Count a paragraph; whether it stays."""
        self.paragraphs += 1
        self.duplicates += not first
        return first

    def is_broken(self, title: str, error: Exception) -> None:
        """Count an article that is left out; raises its error if there are too many."""
        log.warning("left out %r: %s", title, error, exc_info=not isinstance(error, OverBudget))
        self.documents["broken"] += 1
        self.broken.append(title)
        if self.documents["broken"] > max(MOST_BROKEN, self.documents.total() * MOST_BROKEN_SHARE):
            raise error

    def keeps(self, sentence: str, title: str) -> bool:
        """Count a sentence; whether it stays."""
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
        if count_leftover(sentence, self.leftover):
            self.lines += 1
            if len(self.examples) < MOST_EXAMPLES:
                self.examples.append((title, around_leftover(sentence)))
        return True

    def ledger(self) -> Ledger:
        """The counts as a ledger."""
        dropped = {reason: self.dropped[reason] for reason in REASONS}
        kinds = {kind: self.leftover[kind] for kind in LEFTOVER_KINDS}
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
            "leftover": {
                "total": sum(kinds.values()),
                "lines": self.lines,
                "kinds": kinds,
                "addresses": self.leftover[ADDRESSES],
                "examples": self.examples,
            },
        }


def _join(parts: Sequence[Path], place: Path) -> None:
    """Lay the parts end to end, without the blank line that the last one ends with."""
    with place.open("wb") as out:
        for part in parts:
            with part.open("rb") as stream:
                shutil.copyfileobj(stream, out, 2**20)
            part.unlink()
        if out.tell():
            out.truncate(out.tell() - 1)
