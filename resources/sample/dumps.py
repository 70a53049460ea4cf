"""Wikipedia dumps: pages of all kinds in MediaWiki's export format 0.11."""

import bz2
import hashlib
from collections import Counter
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any

from articles import Article, link_targets, topics
from lexicon import Chooser, Filler, Lexicon
from tasks import stream

HEADER = (
    '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xsi:schemaLocation="http://www.mediawiki.org/xml/export-0.11/ http://www.mediawiki.org/xml/export-0.11.xsd" '
    'version="0.11" xml:lang="{lang}">'
)
START = datetime(2024, 1, 1, tzinfo=UTC)


class Dump:
    """A dump that is built page by page, and the count of each sort of page in it."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self.words: dict[str, Any] = lexicon.data["wiki"]
        self.lines = [HEADER.format(lang=lexicon.lang), *self._siteinfo()]
        self.counts: Counter[str] = Counter()

    def page(self, sort: str, title: str, text: str, *, namespace: int = 0, target: str | None = None) -> None:
        """Add a page; an empty text gives a self-closed element, as MediaWiki writes it."""
        self.counts.update(("pages", sort))
        number = self.counts["pages"]
        title = title[0].upper() + title[1:]
        prefix = f"{self.words['namespaces'][namespace]}:" if namespace else ""
        time = (START + timedelta(minutes=37 * number)).strftime("%Y-%m-%dT%H:%M:%SZ")
        digest = _base36(int(hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), 16))
        size = f'bytes="{len(text.encode())}" sha1="{digest}" xml:space="preserve"'
        redirect = [f'    <redirect title="{escape(target)}" />'] if target else []
        body = f"<text {size}>{escape(text, quote=False)}</text>" if text else f"<text {size} />"
        self.lines += [
            "  <page>",
            f"    <title>{escape(prefix + title, quote=False)}</title>",
            f"    <ns>{namespace}</ns>",
            f"    <id>{3 * number}</id>",
            *redirect,
            "    <revision>",
            f"      <id>{1000 + 7 * number}</id>",
            f"      <timestamp>{time}</timestamp>",
            "      <contributor>\n        <username>Sample</username>\n        <id>1</id>\n      </contributor>",
            "      <model>wikitext</model>\n      <format>text/x-wiki</format>",
            f"      {body}",
            f"      <sha1>{digest}</sha1>",
            "    </revision>\n  </page>",
        ]

    def compressed(self) -> bytes:
        """The dump as bzip2 data, the same bytes each time."""
        return bz2.compress(("\n".join([*self.lines, "</mediawiki>"]) + "\n").encode())

    def _siteinfo(self) -> list[str]:
        lang = self.lexicon.lang
        spaces = sorted({**self.words["namespaces"], 0: ""}.items())
        rows = [
            f'      <namespace key="{key}" case="first-letter"' + (f">{name}</namespace>" if name else " />")
            for key, name in spaces
        ]
        return [
            "  <siteinfo>",
            f"    <sitename>{self.words['name']}</sitename>",
            f"    <dbname>{lang}wiki</dbname>",
            f"    <base>https://{lang}.wikipedia.org/wiki/{self.words['main'].replace(' ', '_')}</base>",
            "    <generator>polyticket sample</generator>\n    <case>first-letter</case>\n    <namespaces>",
            *rows,
            "    </namespaces>\n  </siteinfo>",
        ]


def wiki(lexicon: Lexicon) -> tuple[dict[str, bytes], dict[str, int]]:
    """One language's dump, `wiki/<l>/<l>wiki-sample-pages-articles.xml.bz2`, and its counts."""
    chooser = Chooser(lexicon, stream("wiki", lexicon.lang), None)
    chosen = topics(chooser)
    titles = [topic.text for topic in chosen]
    links = link_targets(titles)
    dump = Dump(lexicon)
    _templates(dump)
    for i, topic in enumerate(chosen):
        article = Article(lexicon, chooser, topic, links)
        dump.page("articles", topic.text, article.text())
        dump.counts["article_sentences"] += article.sentences
        if i % 15 == 7:
            dump.page("other_namespaces", topic.text, dump.words["talk"], namespace=1)
    _redirects(dump, chosen)
    _disambiguations(dump, titles)
    _others(dump)
    path = f"wiki/{lexicon.lang}/{lexicon.lang}wiki-sample-pages-articles.xml.bz2"
    return {path: dump.compressed()}, dict(sorted(dump.counts.items()))


def _templates(dump: Dump) -> None:
    words, box = dump.words, dump.words["infobox"]
    rows = "".join(f"\n|-\n| {box[key]} || {{{{{{{box[key]}|}}}}}}" for key in ("name", "place", "date"))
    cite = words["cite"]
    dump.page("other_namespaces", box["template"], f'{{| class="infobox"{rows}\n|}}', namespace=10)
    text = f"''{{{{{{{cite['title']}}}}}}}'', {{{{{{{cite['year']}}}}}}}."
    dump.page("other_namespaces", cite["template"], text, namespace=10)
    dump.page("other_namespaces", words["note"]["template"], words["note"]["text"], namespace=10)
    dump.page("other_namespaces", words["disambig"], f"<!-- {words['refers']} -->", namespace=10)


def _redirects(dump: Dump, chosen: list[Filler]) -> None:
    known = {topic.text for topic in chosen}
    for topic in chosen:
        short = topic.text.split()[-1]
        if topic.kind == "per" and short not in known:
            known.add(short)
            dump.page("redirects", short, f"{dump.words['redirect']} [[{topic.text}]]", target=topic.text)


def _disambiguations(dump: Dump, titles: list[str]) -> None:
    for title in titles:
        others = [other for other in titles if title in other.split() and other != title]
        if len(others) > 1:
            items = "".join(f"\n* [[{escape(other, quote=False)}]]" for other in [title, *others])
            text = f"'''{title}''' {dump.words['refers']}{items}\n\n{{{{{dump.words['disambig']}}}}}"
            dump.page("disambiguations", dump.words["disambig_title"].format(title), text)


def _others(dump: Dump) -> None:
    words = dump.words
    for category in words["kinds"].values():
        dump.page("other_namespaces", category, words["note"]["text"], namespace=14)
    for number in (1, 2, 3):
        dump.page("other_namespaces", f"Sample {number}", words["talk"], namespace=2)
        dump.page("empty", f"{words['caption'].capitalize()} {number}", "")
    dump.page("empty", f"{words['caption'].capitalize()} 4", f"[[{words['namespaces'][14]}:{words['kinds']['city']}]]")


def _base36(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = ""
    while number:
        number, rest = divmod(number, 36)
        text = digits[rest] + text
    return text.rjust(31, "0")
