"""End matter: sections of references, links, literature and related articles, known by their headings.

Headings are learnt from a language's articles, without words of any language: end matter closes articles, holds no
prose, and its list items cite, or a template or ``<references>`` shows the article's notes there. Lists of bare links
("see also") are known by their place beside sections that cite. Many other lists look like them, so their limits are
stricter, and only their items that are nothing but links are end matter.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from polyticket.core.files import Pathlike, read_json, write_json
from polyticket.core.text import read_as
from polyticket.corpus.wikitext import BLOCK, drop_elements

_WHOLE_LINK = re.compile(r"\[\[[^\[\]]*+\]\]")
_WORD = re.compile(r"[^\W_]")


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip().casefold() for name in text.replace("\n", "|").split("|") if name.strip())


END_MATTER = _names(
    """
    References|Notes|Notes and references|References and notes|Footnotes|Citations|Sources|Works cited
    Bibliography|Further reading|External links|External link|See also|Primary sources|Secondary sources
    General references|Einzelnachweise|Weblinks|Literatur|Siehe auch|Anmerkungen|Quellen|Belege|Fußnoten
    Literatur (Auswahl)|Notes et références|Références|Note|Bibliographie|Liens externes|Lien externe
    Voir aussi|Articles connexes|Annexes|Sources et bibliographie|Tham khảo|Liên kết ngoài|Chú thích|Ghi chú
    Xem thêm|Thư mục|Đọc thêm|Nguồn|Tài liệu tham khảo|Sách tham khảo|Nguồn tham khảo|Tài liệu|参考文献|參考文獻
    参考资料|參考資料|外部链接|外部連結|外部鏈接|参见|參見|参考来源|參考來源|註釋|注释|注釋|註解|延伸阅读|延伸閱讀|相关条目|相關條目|扩展阅读|المراجع|مراجع|مصادر
    المصادر|هوامش|وصلات خارجية|روابط خارجية|انظر أيضا|انظر أيضًا|انظر ايضا|اقرأ أيضا|مراجع ومصادر|حوالہ جات
    بیرونی روابط|مزید دیکھیے|مزید دیکھیں|کتابیات|حواشی|ملاحظات|Marejeo|Viungo vya nje|Tazama pia|Tanbihi
    Viungo vya Nje|Referencias|Enlaces externos|Véase también|Bibliografía|Notas|Notas y referencias
    Referências|Ligações externas|Ver também|Bibliografia|Notas e referências|Leitura adicional
    Collegamenti esterni|Voci correlate|Altri progetti|Примечания|Литература|Ссылки|См. также|Источники
    Сноски|Примітки|Література|Посилання|Див. також|Джерела|Przypisy|Linki zewnętrzne|Zobacz też|Uwagi
    Bronnen, noten en/of referenties|Externe links|Zie ook|Literatuur|Referenties|Referenser|Källor
    Externa länkar|Se även|Litteratur|Noter|Kaynakça|Dış bağlantılar|Ayrıca bakınız|Notlar|Referensi
    Pranala luar|Lihat pula|Lihat juga|Catatan kaki|Daftar pustaka|منابع|پیوند به بیرون|جستارهای وابسته
    پانویس|脚注|外部リンク|関連項目|出典|注釈|参考図書|각주|외부 링크|같이 보기|참고 문헌|참고문헌|सन्दर्भ|बाहरी कड़ियाँ
    इन्हें भी देखें
    তথ্যসূত্র|বহিঃসংযোগ|আরও দেখুন|הערות שוליים|קישורים חיצוניים|ראו גם|לקריאה נוספת|Reference|Externí odkazy
    Související články|Poznámky|Literatura|Jegyzetek|További információk|Források|Kapcsolódó szócikkek
    Lähteet|Viitteet|Aiheesta muualla|Katso myös|Legături externe|Vezi și|Note bibliografice|Παραπομπές
    Εξωτερικοί σύνδεσμοι|Βιβλιογραφία|Δείτε επίσης
    """
)
"""Headings of end matter in the larger Wikipedias, case folded."""


def heading_name(heading: str) -> str:
    """The text of a heading such as ``== External links ==``, case folded and stripped."""
    return " ".join(heading.strip("= \t:'").casefold().split())


def heading_level(heading: str) -> int:
    """The number of equality signs at the start of a heading."""
    return len(heading) - len(heading.lstrip("="))


def is_links(item: str) -> bool:
    """Whether a list item holds links, and no word beside them."""
    return "[[" in item and not _WORD.search(_WHOLE_LINK.sub("", item))


LEAST_SECTIONS = 4
"""Least articles in which a heading must open end matter."""
LEAST_CLOSING, LEAST_CITING = 0.75, 0.5
"""Least share of a heading's sections that have no prose in or below them, and of those that also cite."""
CERTAIN_SECTIONS = 2
"""Least articles, if all sections of the heading close and cite."""
LEAST_CLOSING_LINKS, LEAST_LINKS = 0.9, 0.5
"""The same shares for sections of bare links, in articles that cite in another section."""
LEAST_SHARE = 0.02
"""Least sections of bare links per citing section of the heading with most citing sections."""
LEAST_CITATIONS = 0.3
"""Least share of items that cite in a citing section."""
LEAST_LINK_ITEMS = 0.75
"""Least share of bare links in a section of bare links."""
MOST_PROSE = 60
"""Most letters outside of lists in a section without prose, if its lists have fewer."""
LONGEST_HEADING = 60
_MOST_NESTED = 8

_HEADING = re.compile(r"\n(={1,6})([^=\n][^\n]*?)\1[ \t]*(?=\n|$)")
_TEMPLATE = re.compile(r"\{\{([^{}]*+)\}\}")
_TABLE = re.compile(r"^\{\|[^\n]*+(?:\n(?!\|\})[^\n]*+)*+(?:\n\|\}[^\n]*+)?+", re.MULTILINE)
_CITES = "\ue000"
"""A private-use character that replaces a template that cites."""
_CITATION = re.compile(rf"{_CITES}|//\w|IS[BS]N\b|OCLC\b|doi\b|DOI\b")
_FIELDS = 3
"""Least named arguments of a citation template."""
_LINK = re.compile(r"\[\[([^\[\]]*+)\]\]")


@dataclass
class Sections:
    """Counts of the sections under one heading; sections without text do not count.

    Attributes:
        all: All sections.
        closing: Sections without prose in them and in all later sections of the article.
        citing: Closing sections that hold citations, or show the notes of the article.
        links: Closing sections of bare links, in articles with another closing section that cites.
    """

    all: int = 0
    closing: int = 0
    citing: int = 0
    links: int = 0

    def add(self, other: "Sections") -> None:
        """Add the counts of another byte range."""
        self.all += other.all
        self.closing += other.closing
        self.citing += other.citing
        self.links += other.links


def count_sections(wikitext: str, sections: dict[str, Sections]) -> None:
    """Count the sections of one article, each heading once.

    Args:
        wikitext: The article's wikitext; it is read backwards up to the first section with prose.
        sections: The counts by `heading_name`; they are updated.
    """
    wikitext = f"\n{wikitext}"
    headings = list(_HEADING.finditer(wikitext))
    has_notes = "<ref" in wikitext
    end, closing = len(wikitext), True
    kinds: dict[str, tuple[str, bool]] = {}
    for heading in reversed(headings):
        name = heading_name(heading[0].strip())
        kind = _kind_of(wikitext[heading.end() : end], has_notes) if closing else "prose"
        end = heading.start()
        closing = closing and kind != "prose"
        if kind != "empty" and 0 < len(name) <= LONGEST_HEADING:
            kinds.setdefault(name, (kind, closing))
    cites = any(kind == "citing" for kind, _ in kinds.values())
    for name, (kind, closing) in kinds.items():
        counted = Sections(1, closing, kind == "citing", cites and kind == "links")
        sections.setdefault(name, Sections()).add(counted)


def _kind_of(text: str, has_notes: bool) -> str:
    """The kind of a section: ``prose``, ``citing``, ``links``, another ``list`` or ``empty``."""
    shows_notes = "<references" in text
    text, templates = _without_templates(_TABLE.sub("", drop_elements(text).replace(BLOCK, "\n")))
    prose = listed = items = citing = links = 0
    for line in text.split("\n"):
        bare = _LINK.sub(_label, line).strip()
        letters = sum(map(str.isalpha, bare))
        if bare[:1] in ("*", "#", ":", ";") and bare:
            items += letters > 0 or _CITES in bare
            citing += bool(_CITATION.search(bare))
            links += is_links(line)
            listed += letters
        elif not _CITATION.search(bare):
            prose += letters
    if prose > max(MOST_PROSE, listed):
        return "prose"
    if items:
        return (
            "citing" if citing >= LEAST_CITATIONS * items else "links" if links >= LEAST_LINK_ITEMS * items else "list"
        )
    return "citing" if shows_notes or (has_notes and templates == 1 and not prose) else "list" if prose else "empty"


def _without_templates(text: str) -> tuple[str, int]:
    """The text with `_CITES` for templates that cite and nothing for others, and the number of outermost templates."""
    count = 0

    def gone(match: re.Match[str]) -> str:
        nonlocal count
        count += 1
        return _CITES if _CITATION.search(match[1]) or match[1].count("=") >= _FIELDS else ""

    for _ in range(_MOST_NESTED):
        count = 0
        text, replaced = _TEMPLATE.subn(gone, text)
        if "{{" not in text or not replaced:
            break
    return text, count


def _label(link: re.Match[str]) -> str:
    """The text that a link shows; none if it may lead to a file, a category or another language."""
    title, bar, label = link[1].partition("|")
    return "" if ":" in title else label if bar else title


def write_sections(sections: Mapping[str, Sections], path: Path) -> None:
    """Write the counts of a byte range as JSON lines."""
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for name, counts in sections.items():
            out.write(json.dumps([name, counts.all, counts.closing, counts.citing, counts.links]) + "\n")


def learn_end_matter(parts: Sequence[Path]) -> dict[str, Sections]:
    """The headings that open end matter, the most frequent first.

    Args:
        parts: The files of `write_sections` of all byte ranges; their number does not change the result.
    """
    evidence: Counter[str] = Counter()
    for name, counts in _read_sections(parts):
        if counts.citing or counts.links:
            evidence[name] += counts.citing + counts.links
    # Millions of headings occur in one article: only those that cite, or link, often enough are summed up.
    sections = {name: Sections() for name, number in evidence.items() if number >= CERTAIN_SECTIONS}
    for name, counts in _read_sections(parts):
        if name in sections:
            sections[name].add(counts)
    most = max((counts.citing for counts in sections.values() if _cites(counts)), default=0)
    learnt = [(name, counts) for name, counts in sections.items() if _cites(counts) or _links(counts, most)]
    return dict(sorted(learnt, key=lambda item: (-item[1].citing, -item[1].links, item[0])))


def _read_sections(parts: Sequence[Path]) -> Iterator[tuple[str, Sections]]:
    for part in parts:
        with part.open(encoding="utf-8") as lines:
            for name, *counts in map(json.loads, lines):
                yield name, Sections(*counts)


def _cites(counts: Sections) -> bool:
    if counts.citing >= CERTAIN_SECTIONS and counts.citing == counts.all:
        return True
    closes = counts.closing >= LEAST_CLOSING * counts.all
    return counts.citing >= LEAST_SECTIONS and closes and counts.citing >= LEAST_CITING * counts.closing


def _links(counts: Sections, most: int) -> bool:
    closes = counts.closing >= LEAST_CLOSING_LINKS * counts.all
    often = counts.links >= max(LEAST_SECTIONS, LEAST_SHARE * most)
    return often and closes and counts.links >= LEAST_LINKS * counts.closing


def write_end_matter(learnt: Mapping[str, Sections], path: Pathlike) -> None:
    """Write the learnt headings with their counts as a JSON object."""
    write_json(path, {name: asdict(counts) for name, counts in learnt.items()})


@dataclass(frozen=True)
class EndMatter:
    """Headings that open end matter, as `heading_name` gives them.

    Attributes:
        citing: Headings below which all list items are dropped.
        links: Headings below which only list items of bare links are dropped.
    """

    citing: Collection[str] = ()
    links: Collection[str] = ()


def read_end_matter(path: Pathlike | None) -> EndMatter:
    """The headings of a file of `write_end_matter`; none without a file."""
    with read_as("sections and their counts", path):
        sections = {name: Sections(**counts) for name, counts in read_json(path).items()} if path is not None else {}
    citing = frozenset(name for name, counts in sections.items() if _cites(counts))
    return EndMatter(citing, frozenset(sections) - citing)
