"""The words and names of a language, and how they fill the slots of a sentence frame."""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

LANGUAGES = ("en", "fr", "ur", "sw")
ENTITIES = {
    **dict.fromkeys(("per", "fam", "first", "family", "shared_first"), "PER"),
    **dict.fromkeys(("firm", "school", "club", "body", "brand"), "ORG"),
    **dict.fromkeys(("city", "country", "geo", "place", "shared_city"), "LOC"),
}
TAGS = {"job": "NOUN", "thing": "NOUN", "adj": "ADJ", "padj": "ADJ", "goods": "NOUN", "field": "NOUN"}
RANGES = {"year": (1850, 1935), "num": (31, 99), "score": (2, 5), "score2": (0, 1), "date": (2, 28)}
LATER = (31, 84)  # `year2` is so many years after `year`
INSIDE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Entry:
    """A line of a lexicon: key (the same in all languages), text, gender or class, whether train lacks it."""

    key: str
    text: str
    feature: str
    held_out: bool


@dataclass(frozen=True)
class Filler:
    """What stands in a slot: forms of a word or a name, and what agrees with it."""

    kind: str
    key: str
    text: str
    feature: str
    entity: str | None


class Lexicon:
    """One language's YAML file.

    Args:
        lang: The language code.
        folder: Where the YAML files stand.
    """

    def __init__(self, lang: str, folder: Path) -> None:
        self.lang = lang
        self.data: dict[str, Any] = yaml.safe_load((folder / f"{lang}.yaml").read_text(encoding="utf-8"))
        self.default: str = self.data["default"]
        self.frames: dict[str, str] = self.data["frames"]
        self._pools: dict[str, list[Entry]] = {}

    @cached_property
    def tags(self) -> dict[str, str]:
        """The universal tag of each listed word, in lower case."""
        return {word: tag for tag, words in self.data["tags"].items() for word in words.split()}

    def pool(self, kind: str) -> list[Entry]:
        """All entries of a category; every third name and every fourth word is held out of the train splits."""
        if kind not in self._pools:
            rows = list(_rows(self.data[kind], "" if kind in ENTITIES else self.default))
            step = 3 if kind in ("first", "family", "city", "place", "brand") else 4 if kind in TAGS else len(rows) + 1
            self._pools[kind] = [Entry(k, t, f, i % step == step - 1) for i, (k, t, f) in enumerate(rows)]
        return self._pools[kind]

    def filler(self, kind: str, key: str) -> Filler:
        """The filler of a category by its key, for the same sentence in another language."""
        entry = next(e for e in self.pool(kind) if e.key == key)
        return Filler(kind, key, entry.text, entry.feature, ENTITIES.get(kind))


class Chooser:
    """Draws fillers with one random stream.

    Args:
        lexicon: The language.
        rng: The stream; only `random()` is used, which Python promises to keep.
        held_out: The share of draws from what train lacks; None draws from everything alike.
    """

    def __init__(self, lexicon: Lexicon, rng: random.Random, held_out: float | None) -> None:
        self.lexicon, self.rng, self.held_out = lexicon, rng, held_out

    def one(self, items: Sequence[Any]) -> Any:
        """One item, all alike."""
        return items[int(self.rng.random() * len(items))]

    def entry(self, kind: str, keys: set[str] | None = None) -> Entry:
        """One entry of a category, of the given keys if any."""
        pool = [e for e in self.lexicon.pool(kind) if keys is None or e.key in keys]
        if self.held_out is None:
            return self.one(pool)
        held = self.rng.random() < self.held_out
        return self.one([e for e in pool if e.held_out == held] or pool)

    def fill(self, slot: str) -> Filler:
        """A filler for a slot name such as `city2`."""
        kind = slot.rstrip("0123456789")
        if kind in RANGES:
            return self._number(kind, *RANGES.get(slot, RANGES[kind]))
        if kind == "per":
            first = self.entry("first")
            family = self.entry("family")
            while family.text == first.text:
                family = self.entry("family")
            return Filler(kind, "", f"{first.text} {family.text}", first.feature, "PER")
        if kind == "fam":
            return Filler(kind, "", self.entry("family").text, self.one("mf"), "PER")
        return self._named(kind)

    def later(self, year: Filler) -> Filler:
        """A year that is a lifetime after another."""
        return self._number("year", *(int(year.text) + n for n in LATER))

    def _number(self, kind: str, low: int, high: int) -> Filler:
        number = str(low + int(self.rng.random() * (high - low + 1)))
        return Filler(kind, number, number, "", None)

    def _named(self, kind: str) -> Filler:
        entry = self.entry(kind)
        inner = INSIDE.findall(entry.text)
        text = INSIDE.sub(lambda m: self.entry(m[1]).text, entry.text)
        entity = ENTITIES[inner[0]] if kind == "any" else ENTITIES.get(kind)
        return Filler(kind, entry.key, text, entry.feature, entity)

    def fill_all(self, slots: Sequence[str], bound: Mapping[str, Filler] | None = None) -> dict[str, Filler]:
        """Fillers for all slots of a frame, all with different texts."""
        fillers: dict[str, Filler] = dict(bound or {})
        for slot in slots:
            while slot not in fillers:
                filler = self.later(fillers["year"]) if slot == "year2" else self.fill(slot)
                if filler.text not in {f.text for f in fillers.values()}:
                    fillers[slot] = filler
        return fillers


def _rows(value: Any, feature: str) -> list[tuple[str, str, str]]:
    if isinstance(value, list):
        return [(text, text, feature) for text in value]
    if all(isinstance(v, str) for v in value.values()):
        return [(key, text, feature) for key, text in value.items()]
    return [row for inner, part in value.items() for row in _rows(part, inner)]
