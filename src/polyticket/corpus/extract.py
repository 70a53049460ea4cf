"""MediaWiki dumps -> articles as JSON lines, through the wikiextractor program.

wikiextractor 3.1.0 reads dumps line by line and loses pages without a word: all of them when the head names no
namespace 10 or a page stands on one line, and articles whose title begins with that namespace's name. So it is never
given a dump: pages are read by an XML parser here, counted, and handed over in the layout that it reads.
"""

import json
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any
from xml.sax.saxutils import escape

from polyticket.corpus.disambiguation import is_disambiguation
from polyticket.corpus.dump import TEMPLATE_NAMESPACE, Page, SiteInfo, read_pages, read_siteinfo
from polyticket.corpus.extractor import Extractor
from polyticket.corpus.markup import clean, prepare
from polyticket.errors import PolyticketError
from polyticket.files import Pathlike, written_beside
from polyticket.logs import Progress, log

LEFT_OUT = ("redirects", "other_namespaces", "disambiguation", "empty")
COUNTS = ("pages", "kept", *LEFT_OUT, "headings", "characters")

_REDIRECT_TARGET = re.compile(r"\[\[([^\[\]|#]+)")
_GUARD = "\ue000"
"""A private-use character before titles that begin like a template's, which the extractor would drop."""


def extract_articles(
    dumps: Sequence[Pathlike], articles: Pathlike, *, lang: str, processes: int = 1, templates: bool = True
) -> dict[str, int]:
    """Write the articles of one language's dumps as JSON lines with ``id``, ``url``, ``title`` and ``text``.

    ``text`` is plain, a paragraph a line. Redirects, other namespaces, disambiguation pages and empty pages are
    left out. The file depends on the dumps and on `templates`, not on `processes`.

    Args:
        dumps: MediaWiki exports (``.xml``, ``.xml.bz2``) in the order their articles are to have.
        articles: The file to write, UTF-8.
        lang: The language's code, used in messages and where a dump does not name its wiki.
        processes: How many processes extract at once.
        templates: Whether templates are expanded; without, the dumps are read once and not twice.

    Returns:
        Counts of ``pages`` = ``kept`` + ``redirects`` + ``other_namespaces`` + ``disambiguation`` + ``empty``, of
        the ``headings`` left out, and of the ``characters`` (code points) of text kept.

    Raises:
        PolyticketError: There is no dump, a dump is unreadable (see `read_pages`), or the extractor failed.
    """
    if not dumps:
        raise PolyticketError(f"no dump for language {lang}", expected="at least one .xml or .xml.bz2 file")
    site = _site(dumps, lang)
    # Two, since pages are drawn in one thread and texts come back in another.
    read: Counter[str] = Counter()
    got: Counter[str] = Counter()
    waiting: deque[Page] = deque()
    with written_beside(articles) as place:
        definitions = place.with_name("templates.xml") if templates else None
        if definitions:
            _write_templates(dumps, definitions, site)
        pages = _sent(_articles(dumps, read, lang), site, read, waiting)
        with place.open("w", encoding="utf-8", newline="\n") as out, Extractor(definitions, processes) as extractor:
            for line in extractor.extract(_head(site), pages):
                _keep(waiting.popleft(), json.loads(line)["text"], site, out, got)
        if waiting:
            raise PolyticketError(
                f"wikiextractor lost {len(waiting)} pages, the first {waiting[0].title!r}", where=lang
            )
    counts = {name: read[name] + got[name] for name in COUNTS}
    assert counts["pages"] == counts["kept"] + sum(counts[reason] for reason in LEFT_OUT), counts
    log.info("%s: %s", lang, ", ".join(f"{name} {count:,}" for name, count in counts.items()))
    return counts


def _site(dumps: Sequence[Pathlike], lang: str) -> SiteInfo:
    """The first address and template namespace that a dump names; what none names is supplied."""
    site = SiteInfo()
    for info in map(read_siteinfo, dumps):
        site.base = site.base or info.base
        site.namespaces = {**info.namespaces, **site.namespaces}
    if TEMPLATE_NAMESPACE not in site.namespaces:
        log.warning("%s: no dump names namespace %d; taken as Template", dumps[0], TEMPLATE_NAMESPACE)
        site.namespaces[TEMPLATE_NAMESPACE] = "Template"
    site.base = site.base or f"https://{lang.replace('_', '-')}.wikipedia.org/wiki/"
    return site


def _articles(dumps: Sequence[Pathlike], counts: Counter[str], lang: str) -> Iterator[Page]:
    """Count every page, and yield those that are to be extracted."""
    progress = Progress(f"extract {lang}", None, "pages")
    for dump in dumps:
        for page in read_pages(dump):
            counts["pages"] += 1
            reason = _left_out(page)
            if reason:
                counts[reason] += 1
            else:
                yield page
            progress.add()


def _left_out(page: Page) -> str | None:
    """Under which count a page is left out, the first that fits; None for an article."""
    if page.namespace != 0:
        return "other_namespaces"
    if page.redirect or page.text.lstrip()[:9].casefold() == "#redirect":
        return "redirects"
    if is_disambiguation(page.title, page.text):
        return "disambiguation"
    return None if page.text.strip() else "empty"


def _sent(pages: Iterable[Page], site: SiteInfo, counts: Counter[str], waiting: deque[Page]) -> Iterator[str]:
    """Yield each page as the extractor reads it, and put it in the queue of those whose text is awaited."""
    template = site.namespaces[TEMPLATE_NAMESPACE]
    for number, page in enumerate(pages):
        title = _GUARD + page.title if page.title.startswith(template) else page.title
        text, headings = prepare(page.text, page.timestamp)
        counts["headings"] += headings
        waiting.append(Page(page.id, page.title, 0, False, "", ""))
        # Neighbours with one id would be taken for one page, and two dumps may share ids.
        yield _layout(number + 1, 0, title, text)


def _keep(page: Page, text: str, site: SiteInfo, out: IO[str], counts: Counter[str]) -> None:
    text = clean(text.replace(_GUARD, ""))
    if not text:
        counts["empty"] += 1
        return
    counts["kept"] += 1
    counts["characters"] += len(text)
    url = f"{site.base.rpartition('/')[0]}?curid={page.id}"
    article: dict[str, Any] = {"id": page.id, "url": url, "title": page.title, "text": text}
    out.write(json.dumps(article, ensure_ascii=False) + "\n")


def _write_templates(dumps: Sequence[Pathlike], path: Path, site: SiteInfo) -> None:
    """Write the template pages of all dumps where the extractor looks them up."""
    template = site.namespaces[TEMPLATE_NAMESPACE]
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for dump in dumps:
            for page in read_pages(dump):
                if page.namespace == TEMPLATE_NAMESPACE:
                    target = _REDIRECT_TARGET.search(page.text) if page.redirect else None
                    text = f"#REDIRECT [[{target[1]}]]" if target else prepare(page.text, page.timestamp)[0]
                    title = f"{template}:{page.title.partition(':')[2]}"
                    out.write(_layout(int(page.id), TEMPLATE_NAMESPACE, title, text))


def _head(site: SiteInfo) -> str:
    names = "".join(
        f'<namespace key="{number}">{escape(name)}</namespace>\n' for number, name in sorted(site.namespaces.items())
    )
    return f"<mediawiki>\n<siteinfo>\n<base>{escape(site.base)}</base>\n{names}</siteinfo>\n"


def _layout(number: int, namespace: int, title: str, text: str) -> str:
    """A page as XML with each element on its own line, and only line feeds as line ends."""
    text = escape("\n".join(text.splitlines()), {'"': "&quot;"})
    return (
        f"<page>\n<title>{escape(title)}</title>\n<ns>{namespace}</ns>\n<id>{number}</id>\n"
        f'<text xml:space="preserve">{text}</text>\n</page>\n'
    )
