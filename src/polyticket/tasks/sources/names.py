"""What names of files tell: the split, and the language."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from polyticket.core.languages import CODES

SYNONYMS = {"dev": ("validation", "valid", "val", "devel", "testa"), "test": ("testb",)}
"""What splits are called elsewhere: `splits: {dev: valid}` reads them."""
TREEBANK = re.compile(r"(?P<code>[a-z]{2,3})(?P<name>_\w+)?-ud-(?P<split>\w+?)(?P<part>-[\w.-]+)?\.conllu")
_OF_LANGUAGE = re.compile(r"(?P<split>\w+)-(?P<code>[a-z]{2,3}(?:[-_][A-Za-z]+)*)\.(?:tsv|txt|jsonl|conllu|conll)")
_ARCHIVE = re.compile(r"(?P<code>[a-z]{2,3}(?:[-_][a-z]+)*)\.(?:tar|tar\.gz|tgz)")
SAME = {
    "als": ("gsw",),
    "be-tarask": ("be",),
    "be-x-old": ("be",),
    "ku": ("kmr",),
    "nb": ("no",),
    "nn": ("no",),
    "simple": ("en",),
    "zh-classical": ("lzh",),
    "zh-min-nan": ("nan",),
    "zh-yue": ("yue",),
}
"""Codes of Wikipedias to those that Universal Dependencies has for them."""


def splits_in(name: str, splits: Iterable[str]) -> list[str]:
    """The splits that a file's name tells: `train-fr.tsv`, `train2`, `fr_gsd-ud-train-a-1.conllu` tell train."""
    words = re.split(r"[-_. ]+", re.sub(r"(?<=[A-Za-z])(?=\d)", "-", name).lower())
    return [split for split in splits if split.lower() in words]


def language_in(path: str, splits: Sequence[str]) -> str | None:
    """The language that a file's name tells, as `fr_gsd-ud-train.conllu` and `train-fr.tsv` do; None if none."""
    name = Path(path).name
    if found := TREEBANK.fullmatch(name):
        return found["code"] if found["name"] or is_code(found["code"]) else None
    if found := _ARCHIVE.fullmatch(name):
        return found["code"] if is_code(found["code"]) else None
    found = _OF_LANGUAGE.fullmatch(name)
    return found["code"] if found and found["split"] in splits else None


def is_code(word: str) -> bool:
    """Whether a word is the code of a language that is known."""
    return word.replace("_", "-").lower() in CODES or any(word in others for others in SAME.values())


def is_same(code: str, language: str) -> bool:
    """Whether a code in a file's name may stand for a language."""
    code, language = (one.replace("_", "-").lower() for one in (code, language))
    return code == language or code in SAME.get(language, ())
