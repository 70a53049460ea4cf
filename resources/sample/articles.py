"""Wiki articles: prose about one topic each, in real wiki markup."""

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

from frames import Sentence, render, slots
from lexicon import Chooser, Filler, Lexicon
from spelling import join
from tasks import draw_frame

TOPICS = {"per": 125, "city": 36, "firm": 50, "school": 24, "club": 14, "body": 17, "geo": 24}
AFTER_NUMBER = re.compile(r"(?<=\d) (?=\w)")
KIND = {"per": "per", "city": "city", "geo": "geo", "firm": "org", "school": "org", "club": "org", "body": "org"}


class Article:
    """One article, written as it is built.

    Args:
        lexicon: The language.
        chooser: Where chance comes from.
        topic: What the article is about.
        links: The title that each name, or the end of a name, links to.
    """

    def __init__(self, lexicon: Lexicon, chooser: Chooser, topic: Filler, links: Mapping[str, str]) -> None:
        self.lexicon, self.chooser, self.topic = lexicon, chooser, topic
        self.links = links
        self.words: dict[str, Any] = lexicon.data["wiki"]
        self.sentences = self.refs = 0
        self.used: set[str] = set()

    def chance(self, share: float) -> bool:
        """True with the given probability."""
        return self.chooser.rng.random() < share

    def text(self) -> str:
        """The wikitext."""
        count = 6 + int(self.chooser.rng.random() * 9)
        intro, rest = 2 + int(self.chooser.rng.random() * 2), self.words["headings"]
        parts = [self._infobox()] if self.chance(0.5) else []
        parts += [self._picture()] if self.chance(0.3) else []
        parts += [self._paragraph(intro, bold=True)]
        parts += [f"== {rest['life']} ==", self._paragraph((count - intro + 1) // 2)]
        parts += [self._paragraph((count - intro) // 2)]
        parts += [f"=== {rest['table']} ===", self._table()] if self.chance(0.3) else []
        parts += [f"=== {rest['list']} ===", self._numbered()] if self.chance(0.25) else []
        parts += [f"== {rest['links']} ==", self._links()] if self.chance(0.4) else []
        parts += [f"== {rest['refs']} ==\n<references />"] if self.refs else []
        parts += ["{{" + self.words["note"]["template"] + "}}"] if self.chance(0.1) else []
        category = self.words["kinds"][KIND[self.topic.kind]]
        return "\n\n".join([*parts, f"[[{self.words['namespaces'][14]}:{category}]]"])

    def _paragraph(self, count: int, *, bold: bool = False) -> str:
        lines = []
        for i in range(count):
            about = self.chance(0.6) or (bold and i == 0)
            lines.append(self._marked(self._sentence(about), bold=bold and i == 0) + self._after())
        return " ".join(lines)

    def _sentence(self, about: bool) -> Sentence:
        frames = self.lexicon.frames
        names = [n for n, f in frames.items() if not about or self.topic.kind in slots(f)]
        name = self.chooser.one([n for n in names if n not in self.used] or names)
        self.used.add(name)
        self.sentences += 1
        bound = {self.topic.kind: self.topic} if about else {}
        return draw_frame(self.lexicon, self.chooser, name, bound)

    def _marked(self, sentence: Sentence, *, bold: bool = False) -> str:
        """The sentence with its names joined, and some of them linked, set bold or in italics."""
        pieces: list[str] = []
        slot = None
        for token in sentence.tokens:
            if slot is not None and token.slot == slot:
                pieces[-1] = join([pieces[-1], token.word], sentence.lang)
            else:
                pieces.append(token.word)
            slot = token.slot if token.entity else None
        text = join((self._mark(html.escape(p, quote=False), bold) for p in pieces), sentence.lang)
        text = text.replace(" %", "&nbsp;%")
        return AFTER_NUMBER.sub("&nbsp;", text, count=1) if self.chance(0.1) else text

    def _mark(self, piece: str, bold: bool) -> str:
        plain = html.unescape(piece)
        if plain == self.topic.text:
            return f"'''{piece}'''" if bold else piece
        title = self.links.get(plain)
        if title is None or not self.chance(0.5):
            return f"''{piece}''" if title and self.chance(0.1) else piece
        return f"[[{piece}]]" if title == plain else f"[[{html.escape(title, quote=False)}|{piece}]]"

    def _after(self) -> str:
        """A reference or a comment behind a sentence, now and then."""
        if self.chance(0.12):
            self.refs += 1
            cite, year = self.words["cite"], 1950 + int(self.chooser.rng.random() * 60)
            return "<ref>{{" + f"{cite['template']}|{cite['title']}={cite['book']}|{cite['year']}={year}" + "}}</ref>"
        return f"<!-- {self.words['talk']} -->" if self.chance(0.04) else ""

    def _infobox(self) -> str:
        box = self.words["infobox"]
        rows = ((box["name"], self.topic.text), (box["place"], f"[[{self.chooser.entry('city').text}]]"))
        lines = [f"| {name} = {html.escape(value, quote=False)}" for name, value in rows]
        date = f"| {box['date']} = {self.chooser.fill('year').text}"
        return "\n".join(["{{" + box["template"], *lines, date, "}}"])

    def _picture(self) -> str:
        names, place = self.words["namespaces"], self.chooser.entry("city").text
        return f"[[{names[6]}:{place} 1.jpg|{self.words['thumb']}|200px|{self.words['caption']} [[{place}]]]]"

    def _table(self) -> str:
        year, number = self.words["columns"]
        rows = [f"|-\n| {1900 + 20 * i} || {self.chooser.fill('num').text}" for i in range(3)]
        return "\n".join(['{| class="wikitable"', f"! {year} !! {number}", *rows, "|}"])

    def _numbered(self) -> str:
        frames = [(n, f) for n, f in self.lexicon.frames.items() if n.startswith("loc")]
        lines = []
        for _ in range(3):
            name, frame = self.chooser.one(frames)
            sentence = render(self.lexicon, name, frame, self.chooser.fill_all(slots(frame)))
            lines.append(f"# {html.escape(sentence.text, quote=False)}")
        return "\n".join(lines)

    def _links(self) -> str:
        titles = list(self.links.values())
        picked = dict.fromkeys(self.chooser.one(titles) for _ in range(3))
        return "\n".join(f"* [[{html.escape(title, quote=False)}]]" for title in picked)


def link_targets(titles: Sequence[str]) -> dict[str, str]:
    """The title that a name means: itself, or else the first title that ends in it."""
    targets = {title: title for title in titles}
    for title in titles:
        words = title.split()
        for start in range(1, len(words)):
            targets.setdefault(" ".join(words[start:]), title)
    return targets


def topics(chooser: Chooser) -> list[Filler]:
    """The topics of a language's wiki, no title twice, people and places mixed."""
    chosen: dict[str, Filler] = {}
    for kind, count in TOPICS.items():
        goal = len(chosen) + count
        rows = [chooser.lexicon.filler(k, e.key) for k in ("city", "shared_city") for e in chooser.lexicon.pool(k)]
        cities = [Filler("city", f.key, f.text, f.feature, "LOC") for f in rows]
        for _ in range(20 * count):
            if len(chosen) == goal:
                break
            topic = cities.pop(0) if kind == "city" and cities else chooser.fill(kind)
            chosen.setdefault(topic.text, topic)
    keyed = [(chooser.rng.random(), topic.text, topic) for topic in chosen.values()]
    return [topic for _, _, topic in sorted(keyed, key=lambda row: row[:2])]
