"""MediaWiki dumps -> articles as JSON lines, through the wikiextractor program.

wikiextractor 3.1.0 reads dumps line by line and loses pages without a message: all pages if the dump's header names no
namespace 10 or a page is on one line, and articles whose title starts with that namespace's name. So it never reads a
dump here: an XML parser reads the pages, which are counted and written in the layout that wikiextractor expects. Within
pages it loses list items, links whose title holds a colon, small print and unknown templates: see `mark_lines`.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from xml.sax.saxutils import escape

from polyticket.core.files import Pathlike, written_beside
from polyticket.core.logs import Progress, log
from polyticket.corpus.budget import MOST_BROKEN, MOST_BROKEN_SHARE, SECONDS_PER_MEGABYTE, Budget, OverBudget
from polyticket.corpus.end_matter import read_end_matter
from polyticket.corpus.extractor import Sent, texts_of
from polyticket.corpus.ledger import MOST_EXAMPLES, Ledger, commonest
from polyticket.corpus.lines import KINDS, MARKS, Lines, mark_lines, read_marks, silent_namespaces
from polyticket.corpus.template_kinds import read_kinds
from polyticket.corpus.template_table import NAMESPACE
from polyticket.corpus.templates import Definitions
from polyticket.corpus.wikitext import without_unread
from polyticket.dumps.dump import TEMPLATE_NAMESPACE, Page, SiteInfo, read_range, site_of


def _names(text: str) -> frozenset[str]:
    """The names between bars and line ends, case folded."""
    return frozenset(name.strip().casefold() for name in re.split(r"[|\n]", text) if name.strip())


DISAMBIGUATION_TEMPLATES = _names(
    """
    Disambiguation|Disambig|Dab|Disamb|Disambiguation page|Disambiguation cleanup|Disambig cleanup|Disambig-cleanup
    Geodis|Hndis|Hndis-cleanup|Human name disambiguation|Place name disambiguation|Mil-unit-dis|Numberdis
    School disambiguation|Hospital disambiguation|Airport disambiguation|Letter-number combination disambiguation
    Music disambiguation|Station disambiguation|Road disambiguation|Biology disambiguation|Chinese title disambiguation
    Begriffsklärung|Begriffsklaerung|BKL|Homonymie|Paronymie|Patronyme|Toponymie|Arrondissements homonymes
    Desambiguación|Desambiguacion|Desambig|Desambiguação|Desambiguacao|Desambiguació|Disambigua|Doorverwijspagina|Dp
    Dpintro|Discretiva|Peker|Aimai|Пояснение|Појаснување|Nuorodinis|DisambigG|Αποσαφ
    Неоднозначность|Список однофамильцев|Многозначность|Неоднозначность-Т|Багатозначність|Неоднозначнасць
    Неадназначнасць|Многозначна|Вишезначна одредница|Višeznačna odrednica|Višeznačnost|Razdvojba
    Ujednoznacznienie|Rozcestník|Rozlišovacia stránka|Egyért|Egyértelműsítő lap|Dezambiguizare|Razločitev|Täpsustus
    Täsmennyssivu|Förgrening|Pekerside|Flertydig|Aðgreining|Täpsustuslehekülg|Nuorodinis puslapis|Nozīmju atdalīšana
    Anlam ayrımı|Anlam ayrım|Dəqiqləşdirmə|Айрық|Айрыќ|Күп мәгънәләр|Αποσαφήνιση|Kthjellim|Kuptimeve|Argipen|Homónimos
    توضيح|صفحة توضيح|ابهام‌زدایی|ابهام زدایی|ضد ابہام|ضدابہام|פירושונים|Trang định hướng
    Định hướng|Trang định hướng nhân danh|Trang định hướng địa danh|Disambiguasi|Nyahkekaburan|Maana
    Paglilinaw|Pagklaro|Dubbelsinnig|Dubbelsinnig-plek|消歧义|消歧義|消歧义页|消歧義頁|地名消歧义|地名消歧義
    人名消歧义|人名消歧義|曖昧さ回避|人名の曖昧さ回避|地名の曖昧さ回避|동음이의|동명이인|बहुविकल्पी
    बहुविकल्पी शब्द|दुवाच्यता|নির্ঘণ্ট|দ্ব্যর্থতা নিরসন|பக்கவழி நெறிப்படுத்தல்|అయోమయ నివృత్తి|വിവക്ഷകൾ|ದ್ವಂದ್ವ ನಿವಾರಣೆ
    แก้กำกวม|แก้ความกำกวม|მრავალმნიშვნელოვანი|Բազմիմաստություն|Gwahaniaethu|Idirdhealú|Disheñvelout|Apartigilo
    """
)
"""Templates of disambiguation pages, in many languages, case folded.

Hatnotes (``dablink``, ``Voir homonymes``, ``Begriffsklärungshinweis``) belong to articles and are not in the list.
"""

TITLE_WORDS = _names(
    """
    disambiguation|Begriffsklärung|homonymie|desambiguación|desambiguação|disambigua|desambiguació|homónimos|homonymia
    doorverwijspagina|значения|значення|значэнні|пояснение|вишезначна одредница|višeznačna odrednica|razvrstavanje
    ujednoznacznienie|rozcestník|egyértelműsítő lap|dezambiguizare|razločitev|täpsustus|täsmennyssivu|olika betydelser
    flertydig|pekerside|aðgreining|nuorodinis puslapis|nozīmju atdalīšana|anlam ayrımı|dəqiqləşdirmə|αποσαφήνιση
    kthjellim|argipena|توضيح|ابهام‌زدایی|ضد ابہام|פירושונים|định hướng|disambiguasi|nyahkekaburan|maana|paglilinaw
    dubbelsinnig|消歧义|消歧義|曖昧さ回避|동음이의|동명이인|बहुविकल्पी|দ্ব্যর্থতা নিরসন|แก้ความกำกวม|apartigilo
    """
)
"""Words in the last parentheses of a disambiguation page's title, case folded."""

_TEMPLATE = re.compile(rf"\{{\{{\s*+(?:{NAMESPACE}\s*+:\s*+)?+([^{{}}|<>\[\]\n/]++)[|}}\n<]", re.IGNORECASE)
"""A call, with or without the namespace of templates in the wiki's language."""
_LAST_PARENTHESES = re.compile(r"[(（]([^()（）]+)[)）]\s*$")


def is_disambiguation(title: str, text: str) -> bool:
    """Whether a page of the article namespace is a disambiguation page: a list of links that share a name.

    Args:
        title: The page's title.
        text: Its wikitext.
    """
    last = _LAST_PARENTHESES.search(title)
    if last and last[1].strip().casefold() in TITLE_WORDS:
        return True
    # Comments and <nowiki> do not count; they are removed only if needed, as this takes time.
    return _is_marked(text) and _is_marked(without_unread(text))


def _is_marked(text: str) -> bool:
    return "__DISAMBIG__" in text or any(
        _normal(name[1]) in DISAMBIGUATION_TEMPLATES for name in _TEMPLATE.finditer(text)
    )


def _normal(name: str) -> str:
    return " ".join(name.replace("_", " ").split()).casefold()


LEFT_OUT = ("redirects", "other_namespaces", "other_models", "disambiguation", "empty", "broken")
MOST_NAMES = 100
"""Most names of dropped templates, and most headings of end matter, in the ledger of a byte range."""
MOST_EXAMPLES_HELD = 5000
"""Most names with an example in memory."""

_GUARD = "\ue000"
"""A private-use character before titles that start like a template's, which the extractor would drop."""


def extract_articles(
    dumps: Sequence[Pathlike],
    articles: Pathlike,
    *,
    lang: str,
    byte_range: int = 0,
    byte_ranges: int = 1,
    templates: Pathlike | None = None,
    end_matter: Pathlike | None = None,
    kinds: Pathlike | None = None,
    references: bool = False,
    page_budget: float = SECONDS_PER_MEGABYTE,
    processes: int = 1,
) -> Ledger:
    """Write the articles of a byte range as JSON lines with ``id``, ``url``, ``title`` and ``text``.

    ``text`` is plain, with a paragraph per line. Redirects, other namespaces, pages that are no wikitext (style sheets,
    modules), disambiguation pages and empty pages are dropped. A page that fails here, breaks the extractor or exceeds
    its budget is dropped too, and none of its lines is counted. The file depends on the dumps, the byte range and the
    templates, not on `processes`. The joined files of all byte ranges are equal to the file of a single one.

    Args:
        dumps: MediaWiki exports (``.xml``, ``.xml.bz2``) in the order of their articles.
        articles: The file to write, UTF-8.
        lang: The language's code, for messages and for dumps that do not name their wiki.
        byte_range: The number of the byte range, from 0.
        byte_ranges: The number of byte ranges.
        templates: The templates of `collect_templates`; without it, only the templates of the table are known.
        end_matter: The headings of references and links of `collect_templates`; without it, only the headings of the
            list are known.
        kinds: The template kinds of `collect_templates`; without it, each call of an unknown template is judged alone.
        references: Keep list items that name sources or links; else they are dropped and counted.
        page_budget: Seconds for each 2^20 code points of a page, and for at least one such unit; the extractor may take
            as long again.
        processes: Processes that extract at once.

    Returns:
        The ledger of the byte range (see `polyticket.corpus.ledger`).

    Raises:
        PolyticketError: There is no dump, a dump is unreadable (see `read_pages`), or the extractor fails.
    """
    site = site_of(dumps, lang)
    count = _Count()
    with written_beside(articles) as place, place.open("w", encoding="utf-8", newline="\n") as out:
        options = {
            "templates": Definitions(templates) if templates else None,
            "kinds": read_kinds(kinds),
            "references": references,
            "end_matter": read_end_matter(end_matter),
        }
        sent = _sent(read_range(dumps, byte_range, byte_ranges), count, site, lang, options, page_budget)
        # Closed here: it holds the program's processes.
        with closing(texts_of(sent, _header(site), Path(templates) if templates else None, processes)) as texts:
            for page, text in texts:
                _keep(page, *_read(page, text.replace(_GUARD, "")), site, out, count)
    ledger = count.ledger(lang)
    log.info("%s: %s", lang, ", ".join(f"{name} {number:,}" for name, number in ledger["pages"].items()))
    return ledger


@dataclass
class _PageInfo:
    """The facts about a page that are needed once its text is extracted."""

    id: str
    title: str
    read: Counter[str]


class _Lost:
    """Counts the templates or links that sentences lack, by name."""

    def __init__(self) -> None:
        self._names: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def add(self, losses: Iterable[tuple[str, str]]) -> None:
        """Count losses, each a name with an example."""
        for name, example in losses:
            self._names[name] += 1
            if len(self._examples) < MOST_EXAMPLES_HELD:
                self._examples.setdefault(name, example)

    def ledger(self, kind: str, prefix: str = "") -> Ledger:
        """The total, the commonest names, and an example of each."""
        names = commonest(self._names, MOST_NAMES)
        examples = {name: [self._examples[name]] for name in names if name in self._examples}
        return {kind: self._names.total(), f"{prefix}names": names, f"{prefix}examples": examples}


class _Count:
    """Counts pages before the extractor in one thread, and after it in another; no count is changed in both."""

    def __init__(self) -> None:
        self.left_out: Counter[str] = Counter()
        self.read: Counter[str] = Counter()
        self.names: Counter[str] = Counter()
        self.lost_templates, self.lost_links = _Lost(), _Lost()
        self.lines_left_out: Counter[str] = Counter()
        self.end_matter: Counter[str] = Counter()
        self.unread: list[str] = []
        self.wikitext = self.written = self.shown = self.learnt = self.silent = 0
        self.back: Counter[str] = Counter()
        self.text = 0
        self.kept: Counter[str] = Counter()
        self.broken: list[str] = []

    def add_lines(self, lines: Lines) -> None:
        """Count an article before the extractor."""
        self.wikitext += lines.characters
        self.read.update(lines.read)
        self.lines_left_out.update(lines.left_out)
        self.end_matter.update(lines.end_matter)
        self.written += lines.templates.written
        self.shown += lines.templates.shown
        self.learnt += lines.templates.learnt
        self.silent += lines.templates.silent
        self.names.update(lines.templates.unknown)
        self.lost_templates.add(lines.templates.lost)
        self.lost_links.add(lines.lost_links)

    def ledger(self, lang: str) -> Ledger:
        """All counts as a ledger."""
        pages = {name: self.left_out[name] + self.back[name] for name in ("kept", *LEFT_OUT)}
        kept = {kind: self.kept[kind] for kind in MARKS}
        return {
            "language": lang,
            "pages": {"read": sum(pages.values()), **pages},
            "characters": {"wikitext": self.wikitext, "text": self.text},
            "lines": {
                kind: _line_counts(kind, self.read[kind], kept.get(kind, 0), self.lines_left_out) for kind in KINDS
            },
            "text_lines": {**kept, "made": self.kept["made"]},
            "templates": {
                "written": self.written,
                "shown": self.shown,
                "learnt": self.learnt,
                "silent": self.silent,
                "dropped": self.names.total(),
                "names": commonest(self.names, MOST_NAMES),
            },
            "end_matter": {
                "sections": self.end_matter.total(),
                "lines": self.lines_left_out["end_matter"],
                "headings": commonest(self.end_matter, MOST_NAMES),
            },
            "lost": self.lost_templates.ledger("templates") | self.lost_links.ledger("links", "link_"),
            "broken": [*self.unread, *self.broken][:MOST_EXAMPLES],
        }


def _line_counts(kind: str, read: int, kept: int, left_out: Counter[str]) -> dict[str, Any]:
    if kind not in MARKS:
        return {"read": read, "kept": 0, "dropped": {kind: read}}
    reasons = {reason: left_out[reason] for reason in ("source", "end_matter")} if kind == "list" else {}
    return {"read": read, "kept": kept, "dropped": {"nothing_left": read - kept - sum(reasons.values()), **reasons}}


def _left_out(page: Page) -> str | None:
    """The count under which a page is dropped, the first that fits; None for an article."""
    if page.namespace != 0:
        return "other_namespaces"
    if page.model != "wikitext":
        return "other_models"
    if page.redirect or page.text.lstrip()[:9].casefold() == "#redirect":
        return "redirects"
    if is_disambiguation(page.title, page.text):
        return "disambiguation"
    return None if page.text.strip() else "empty"


def _sent(
    pages: Iterator[Page], count: _Count, site: SiteInfo, lang: str, options: dict[str, Any], page_budget: float
) -> Iterator[Sent[_PageInfo]]:
    """Count every page, and yield the articles for the extractor."""
    template = site.namespaces[TEMPLATE_NAMESPACE]
    namespaces = silent_namespaces(site.namespaces)
    progress = Progress(f"extract {lang}", None, "pages")
    for page in pages:
        progress.add()
        budget = Budget(len(page.text), page_budget)
        try:
            reason = _left_out(page)
            if reason:
                count.left_out[reason] += 1
                continue
            lines = mark_lines(page.text, page.timestamp, lang, namespaces, budget=budget, **options)
        except (
            Exception
        ) as error:  # pages may hold anything; a fault of this code shows in the log, and ends the run if frequent
            log.warning("dropped page %r: %s", page.title, error, exc_info=not isinstance(error, OverBudget))
            count.left_out["broken"] += 1
            count.unread.append(page.title)
            if len(count.unread) > max(MOST_BROKEN, progress.done * MOST_BROKEN_SHARE):
                raise
            continue
        count.add_lines(lines)
        title = _GUARD + page.title if page.title.startswith(template) else page.title
        # The extractor joins neighbours with equal ids, and two dumps may share ids.
        number = progress.done
        yield Sent(number, title, lines.text, _PageInfo(page.id, page.title, lines.read), budget.seconds)


def _read(page: Sent[_PageInfo], text: str) -> tuple[str, Counter[str]]:
    """The result of `read_marks` for an extractor's text; a page whose text breaks it becomes `broken`."""
    try:
        return read_marks(text)
    except Exception:
        log.exception("dropped page %r, whose text cannot be read", page.info.title)
        page.broken = True
        return "", Counter()


def _keep(page: Sent[_PageInfo], text: str, kept: Counter[str], site: SiteInfo, out: IO[str], count: _Count) -> None:
    """Count an extracted page, and write its article if it has text."""
    if page.broken:
        count.broken.append(page.info.title)
    count.back["broken" if page.broken else "kept" if text else "empty"] += 1
    if not text:
        return
    # More lines of a kind than were read come back where templates repeat their arguments.
    count.kept.update({kind: min(number, page.info.read[kind]) for kind, number in kept.items() if kind in MARKS})
    count.kept["made"] += kept.total() - sum(min(number, page.info.read[kind]) for kind, number in kept.items())
    count.text += len(text)
    url = f"{site.base.rpartition('/')[0]}?curid={page.info.id}"
    article = {"id": page.info.id, "url": url, "title": page.info.title, "text": text}
    out.write(json.dumps(article, ensure_ascii=False) + "\n")


def _header(site: SiteInfo) -> str:
    names = "".join(
        f'<namespace key="{number}">{escape(name)}</namespace>\n' for number, name in sorted(site.namespaces.items())
    )
    return f"<mediawiki>\n<siteinfo>\n<base>{escape(site.base)}</base>\n{names}</siteinfo>\n"
