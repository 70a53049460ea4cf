"""What neighbouring words do to each other: elision, contraction, articles, and the spaces of a written line."""

import dataclasses
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

ELIDED = {"le", "la", "de", "ne", "se", "que", "je"}
CONTRACTED = {("de", "le"): "du", ("de", "les"): "des", ("à", "le"): "au", ("à", "les"): "aux"}
NO_SPACE_BEFORE = {".", ",", ")", "۔", "،", "؟", "–", "'s"}
NO_SPACE_AFTER = {"(", "–"}
TIGHT_ELSEWHERE = {"?", "!", ":", ";", "؛", "%"}  # French sets a space before these


def spell(tokens: Sequence[Any], lang: str) -> list[Any]:
    """Apply the language's rules for neighbours to tokens that have a `word`."""
    rules = {"fr": _french, "en": _english}
    return rules[lang](list(tokens)) if lang in rules else list(tokens)


def join(words: Iterable[str], lang: str) -> str:
    """Words as a line of text."""
    line, glue = "", True
    tight = NO_SPACE_BEFORE if lang == "fr" else NO_SPACE_BEFORE | TIGHT_ELSEWHERE
    for word in words:
        line += word if glue or word in tight else f" {word}"
        glue = word in NO_SPACE_AFTER or (lang == "fr" and word.endswith("'") and not word.endswith("''"))
    return line


def _vowel(word: str) -> bool:
    return unicodedata.normalize("NFD", word)[0].lower() in "aeiouhœ"


def _french(tokens: list[Any]) -> list[Any]:
    spelled: list[Any] = []
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        word = token.word
        contracted = spelled and CONTRACTED.get((spelled[-1].word, word))
        if after is not None and _vowel(after.word) and word.lower() in ELIDED:
            token = dataclasses.replace(token, word=word[:-1] + "'")
        elif word == "si" and after is not None and after.word == "il":
            token = dataclasses.replace(token, word="s'")
        elif contracted and token.tag != "PRON":
            token = dataclasses.replace(spelled.pop(), word=contracted)
        spelled.append(token)
    return spelled


def _english(tokens: list[Any]) -> list[Any]:
    spelled = []
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        sounds = after is not None and (after.word[0].lower() in "aeiou" or after.word == "honest")
        spelled.append(dataclasses.replace(token, word="an") if token.word == "a" and sounds else token)
    return spelled
