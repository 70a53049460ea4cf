"""What may leave sentences and paragraphs out, all off by default: shortness, foreign script, exact repetition."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import regex
from numpy.typing import NDArray

from polyticket.core.errors import PolyticketError
from polyticket.core.languages import LANGUAGES
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
