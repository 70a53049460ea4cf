"""Splits and languages in file names, and addresses of Hugging Face data sets."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeGuard

from polyticket.core.errors import PolyticketError
from polyticket.core.languages import CODES
from polyticket.core.text import read_text

SYNONYMS = {"dev": ("validation", "valid", "val", "devel", "testa"), "test": ("testb",)}
"""Other names of splits; `splits: {dev: valid}` reads them."""
TREEBANK = re.compile(r"(?P<code>[a-z]{2,3})(?P<name>_\w+)?-ud-(?P<split>\w+?)(?P<part>-[\w.-]+)?\.conllu")
_OF_LANGUAGE = re.compile(r"(?P<split>\w+)-(?P<code>[a-z]{2,3}(?:[-_][A-Za-z]+)*)\.(?:tsv|txt|jsonl|conllu|conll)")
WORDS = ("my", "new")
"""Codes that are words as well: `my_train.tsv` says nothing of Burmese."""
_SUFFIX = re.compile(r"\.(?:tsv|txt|jsonl|conllu|conll)$")
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
    """The splits in a file's name: `train-fr.tsv`, `train2`, `fr_gsd-ud-train-a-1.conllu` tell train."""
    words = re.split(r"[-_. ]+", re.sub(r"(?<=[A-Za-z])(?=\d)", "-", name).lower())
    return [split for split in splits if split.lower() in words]


def language_in(path: str, splits: Sequence[str], *, known: bool = True) -> str | None:
    """The language in a file's name, as `fr_gsd-ud-train.conllu`, `train-fr.tsv` and `fr_train.tsv` do; None if none.

    Args:
        path: The file.
        splits: The names of splits, beside which a code stands.
        known: Whether a code has to be known unless a hyphen joins it to the split, as in `train-fr.tsv`.
    """
    name = Path(path).name
    if match := TREEBANK.fullmatch(name):
        return match["code"] if match["name"] or is_code(match["code"]) else None
    if match := _ARCHIVE.fullmatch(name):
        return match["code"] if is_code(match["code"]) else None
    match = _OF_LANGUAGE.fullmatch(name)
    return match["code"] if match and match["split"] in splits else _beside_split(name, splits, known=known)


def _beside_split(name: str, splits: Sequence[str], *, known: bool) -> str | None:
    """The code right after a split at the end of a name, or right before one at its beginning or at the end."""
    stem = re.sub(r"(?<=[A-Za-z])(?=\d)", "-", _SUFFIX.sub("", name).lower())
    words = [word for word in re.split(r"[-_. ]+", stem) if word and not word.isdigit()]
    for place, word in enumerate(words):
        if word not in splits:
            continue
        before, after = words[:place], words[place + 1 :]
        sides = [after, before, before[-2:] if not after else [], before[-1:] if not after else []]
        if found := next((code for code in map("-".join, sides) if is_code(code) and code not in WORDS), None):
            return found
        if not known and len(words) == 2 and re.fullmatch("[a-z]{2,3}", other := words[1 - place]):
            return other
    return None


def is_code(word: str) -> bool:
    """Whether a word is the code of a language that is known."""
    code = word.replace("_", "-").lower()
    named = "-" in code and code in SAME  # `simple` and `als` alone may be other words
    return code in CODES or named or any(word in others for others in SAME.values())


def is_same(code: str, language: str) -> bool:
    """Whether a code in a file's name may stand for a language."""
    code, language = (one.replace("_", "-").lower() for one in (code, language))
    return code == language or code in SAME.get(language, ())


SCHEME = "hf://"
_HUB = re.compile(
    r"(?P<name>[\w.-]+/[\w.-]+)(?:@(?P<revision>refs/(?:convert|pr)/[\w.-]+|[^/@\s]+))?(?:/(?P<config>[^/@\s]+))?"
)


class Address(NamedTuple):
    """A data set.

    Attributes:
        name: ``owner/name`` on the hub, or the path of a local folder.
        config: One of its configurations; None takes the only one or the default.
        revision: A commit, tag or branch on the hub; None is the newest.
        local: Whether the name is a folder's.
    """

    name: str
    config: str | None
    revision: str | None
    local: bool


def is_address(source: str | Sequence[str]) -> TypeGuard[str]:
    """Whether a source is the address of a Hugging Face data set and not a place on disk."""
    return isinstance(source, str) and source.startswith(SCHEME)


def address_of(source: str) -> Address:
    """Take an address apart.

    What begins with ``/``, ``./`` or ``../`` behind the scheme is a local folder: of a copy of a data set (its parquet
    files and the ``README.md`` that lists configurations). A last part without a ``README.md`` of its own, in a folder
    whose ``README.md`` lists configurations, names one: ``hf:///data/wikiann/fr`` is the configuration ``fr`` of
    ``/data/wikiann``, whether or not there is a folder ``fr`` in it.

    Raises:
        PolyticketError: It is none, or its local folder is missing.
    """
    rest = source.removeprefix(SCHEME)
    if rest.startswith(("/", "./", "../")):
        return _local(Path(rest), source)
    match = _HUB.fullmatch(rest)
    if match is None or ".." in rest:
        raise PolyticketError(
            "no address of a data set", where=source, expected=f"{SCHEME}owner/name[@revision][/config]"
        )
    if Path(match["name"]).is_dir():  # the library would read that folder and not the hub
        expected = f"another working folder, or {SCHEME}./{match['name']} for the folder"
        raise PolyticketError("a local folder has the name of the data set", where=source, expected=expected)
    return Address(match["name"], match["config"], match["revision"], local=False)


def _local(path: Path, source: str) -> Address:
    if not (path / "README.md").is_file() and _lists_configurations(path.parent / "README.md"):
        return Address(str(path.parent), path.name, None, local=True)
    if not path.is_dir():
        raise PolyticketError("no such folder", where=source, expected=f"{SCHEME}./folder[/config] with a README.md")
    return Address(str(path), None, None, local=True)


def _lists_configurations(readme: Path) -> bool:
    """Whether a README.md is that of a data set with configurations."""
    return readme.is_file() and re.search(r"^ *-? *config_name:", read_text(readme), re.MULTILINE) is not None
