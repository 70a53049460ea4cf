"""The 103 Wikipedias of multilingual BERT, in the order of their rows, and any others that a configuration adds."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from polyticket.errors import PolyticketError
from polyticket.language_table import TABLE

SPACE_SPLIT = frozenset({"bo", "dz", "km", "lo", "th"})
"""Languages written without marks at the end of sentences, where a space stands between clauses."""

WIKI_CODES = {"be-x-old": "be-tarask", "cbk-zam": "es", "simple": "en", "tokipona": "en"}
"""Codes of Wikipedias that sentencex does not know, though it knows their language."""

_OTHER_SCRIPTS = """
Balinese Buginese Canadian_Aboriginal Cherokee Ethiopic Gothic Javanese Khmer Lao Meetei_Mayek Mongolian Nko Ol_Chiki
Oriya Sinhala Sundanese Syriac Thaana Tibetan Tifinagh
"""
_RIGHT_TO_LEFT = {"Arabic", "Hebrew", "Nko", "Syriac", "Thaana"}
_CODE = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")


@dataclass(frozen=True)
class Language:
    """A Wikipedia's language.

    Attributes:
        code: The Wikipedia's code.
        name: Its English name.
        native: Its own name; empty if not known.
        scripts: Unicode names of the scripts it is written in, the commonest first.
        rules: The language whose abbreviations sentencex knows; None if it is not asked or that is not known.
    """

    code: str
    name: str
    native: str
    scripts: tuple[str, ...]
    rules: str | None = None

    @property
    def splitter(self) -> str:
        """What splits sentences: ``marks`` or ``spaces``."""
        return splitter_of(self.code)[0]

    @property
    def direction(self) -> str:
        """The direction of its commonest script: ``ltr`` or ``rtl``."""
        return "rtl" if self.scripts[0] in _RIGHT_TO_LEFT else "ltr"


def splitter_of(code: str) -> tuple[str, str]:
    """Name what splits sentences for a Wikipedia's code, and the language that sentencex is asked for.

    Args:
        code: A Wikipedia's code, with ``-`` or ``_`` (``zh-yue``, ``zh_yue``).

    Returns:
        ``("spaces", code)`` or ``("marks", code)``; sentencex, whose abbreviations are assumed there, falls back by
        itself on the nearest language whose rules it has, in the end on English.
    """
    code = code.replace("_", "-").lower()
    code = WIKI_CODES.get(code, code)
    return ("spaces" if code in SPACE_SPLIT else "marks"), code


def _read(row: str) -> Language:
    code, name, scripts, rules, native = (cell.strip() for cell in row.split("|"))
    return Language(code, name, native, tuple(scripts.split(", ")), None if rules == "-" else rules)


LANGUAGES: dict[str, Language] = {found.code: found for found in map(_read, TABLE.strip().splitlines())}
CODES: tuple[str, ...] = tuple(LANGUAGES)
SCRIPTS = frozenset(script for found in LANGUAGES.values() for script in found.scripts) | set(_OTHER_SCRIPTS.split())
"""Unicode names of all scripts that a Wikipedia is written in."""


def known_languages(extra: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, Language]:
    """The languages of the table, and those that a configuration adds or describes anew.

    Args:
        extra: Code to `scripts` and, optionally, `name` and `native`. For a code of the table, what is given replaces
            what the table says.

    Returns:
        Code to language: the table's in its order, then the others as given.

    Raises:
        PolyticketError: A code is not of the form of codes, a script is unknown, or a new language has no scripts.
    """
    known = dict(LANGUAGES)
    for code, entry in (extra or {}).items():
        known[code] = _added(code, entry)
    return known


def language(code: str, known: Mapping[str, Language] = LANGUAGES) -> Language:
    """The language of a code.

    Raises:
        PolyticketError: The code is unknown; says which known ones are nearest.
    """
    if code not in known:
        words = {word.lower(): name for name, one in known.items() for word in (name, one.name)}
        expected = _choice(_nearest(code, words), f"an entry {code!r} in extra_languages")
        raise PolyticketError(f"unknown language {code!r}", where="config languages", expected=expected)
    return known[code]


def require_languages(codes: Iterable[str], known: Mapping[str, Language] = LANGUAGES) -> list[Language]:
    """The languages of the given codes.

    Args:
        codes: Wikipedia codes.
        known: What `known_languages` gives.

    Raises:
        PolyticketError: A code is unknown; says which known ones are nearest.
    """
    return [language(code, known) for code in codes]


def is_code(text: str) -> bool:
    """Whether a text has the form of a Wikipedia's code."""
    return _CODE.fullmatch(text) is not None


def _added(code: str, entry: Mapping[str, Any]) -> Language:
    where = f"extra_languages.{code}"
    if not is_code(code):
        raise PolyticketError(f"bad code {code!r}", where=where, expected="a Wikipedia's code, such as zh-yue")
    if unknown := set(entry) - {"name", "native", "scripts"}:
        raise PolyticketError(f"unknown key {min(unknown)!r}", where=where, expected="name, native, scripts")
    base = LANGUAGES.get(code)
    if base is None and not entry.get("scripts"):
        raise PolyticketError("no scripts", where=where, expected="scripts, for example [Latin]")
    given = dict(entry)
    if "scripts" in entry:
        given["scripts"] = _checked_scripts(entry["scripts"], f"{where}.scripts")
    for key in {"name", "native"} & set(entry):
        _check_name(entry[key], f"{where}.{key}")
    return replace(base or Language(code, code, "", ()), **given)


def _check_name(name: Any, where: str) -> None:
    if not isinstance(name, str) or not name.isprintable() or not name or name != name.strip():
        raise PolyticketError(f"{name!r}", where=where, expected="a name, for example Latgalian")


def _checked_scripts(scripts: Any, where: str) -> tuple[str, ...]:
    if isinstance(scripts, str) or not scripts:
        raise PolyticketError(f"{scripts!r}", where=where, expected="a list of scripts, for example [Latin]")
    for script in scripts:
        if script not in SCRIPTS:
            near = _nearest(str(script), {known.lower(): known for known in SCRIPTS})
            expected = _choice(near, f"one of {', '.join(sorted(SCRIPTS))}")
            raise PolyticketError(f"unknown script {script!r}", where=where, expected=expected)
    return tuple(scripts)


def _nearest(word: str, known: Mapping[str, str]) -> list[str]:
    """What stands for the words that are most like this one, the nearest first."""
    near = get_close_matches(word.lower(), known, n=3, cutoff=0.6)
    return list(dict.fromkeys(known[found] for found in near))


def _choice(near: list[str], otherwise: str) -> str:
    return f"{', '.join(near)}, or {otherwise}" if near else otherwise
