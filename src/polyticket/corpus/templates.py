"""The template pages of a language's dumps, in the layout that the extractor program reads, and its end matter."""

import json
import re
from collections.abc import Generator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from xml.sax.saxutils import escape

from polyticket.corpus.end_matter import Sections, count_sections, learn_end_matter, write_end_matter, write_sections
from polyticket.corpus.markup import line_feeds, prepare
from polyticket.dumps.dump import TEMPLATE_NAMESPACE, site_of
from polyticket.dumps.page import Page
from polyticket.dumps.pieces import read_piece
from polyticket.files import Pathlike, written_beside
from polyticket.logs import Progress, log
from polyticket.workers import in_order

PIECES = 8
"""Pieces for each process, so that none waits long for the last."""

_REDIRECT_TARGET = re.compile(r"\[\[([^\[\]|#]+)")


def collect_templates(
    dumps: Sequence[Pathlike], path: Pathlike, *, lang: str, processes: int = 1, end_matter: Pathlike | None = None
) -> int:
    """Write the template pages of all dumps where the extractor looks them up, and which headings open end matter.

    Of pages with one title the first is taken. The files depend on the dumps alone, not on `processes`.

    Args:
        dumps: MediaWiki exports (``.xml``, ``.xml.bz2``).
        path: The file to write: pages of namespace 10 as XML, each element on a line of its own.
        lang: The language's code.
        processes: How many processes read at once.
        end_matter: The file to write what the articles teach about headings, see `polyticket.corpus.end_matter`.

    Returns:
        How many pages the file holds.

    Raises:
        PolyticketError: There is no dump, or one is unreadable (see `read_pages`).
    """
    name = site_of(dumps, lang).namespaces[TEMPLATE_NAMESPACE]
    seen: set[str] = set()
    with written_beside(path) as place:
        collect = partial(_collect, [str(dump) for dump in dumps], name, place.parent, processes * PIECES)
        with place.open("w", encoding="utf-8", newline="\n") as out, closing(_parts(collect, processes, lang)) as parts:
            for part in parts:
                with part.open(encoding="utf-8") as lines:
                    for title, xml in map(json.loads, lines):
                        if title not in seen:
                            out.write(xml)
                            seen.add(title)
                part.unlink()
        learnt = learn_end_matter(sorted(place.parent.glob("*.sections")))
        if end_matter is not None:
            write_end_matter(learnt, end_matter)
        for part in place.parent.glob("*.sections"):
            part.unlink()
    log.info("%s: %s templates, %s headings of end matter", lang, f"{len(seen):,}", f"{len(learnt):,}")
    return len(seen)


def layout(number: int, namespace: int, title: str, text: str) -> str:
    """A page as the extractor reads it: each element on its own line, and only line feeds as line ends."""
    text = escape(line_feeds(text), {'"': "&quot;"})
    title = escape(" ".join(title.split()), {'"': "&quot;"})  # as in texts, where the extractor compares them
    return (
        f"<page>\n<title>{title}</title>\n<ns>{namespace}</ns>\n<id>{number}</id>\n"
        f'<text xml:space="preserve">{text}</text>\n</page>\n'
    )


def _parts(collect: partial[Path], processes: int, lang: str) -> Generator[Path, None, None]:
    """Collect all pieces and yield their files in order."""
    progress = Progress(f"templates {lang}", processes * PIECES, "pieces")
    with closing(in_order(collect, zip(range(processes * PIECES)), processes)) as parts:
        for part in parts:
            yield part
            progress.add()


def _collect(dumps: Sequence[str], name: str, folder: Path, pieces: int, piece: int) -> Path:
    """Write title and XML of the templates of a piece as JSON lines, and beside it what its articles teach."""
    path = folder / f"{piece}.jsonl"
    sections: dict[str, Sections] = {}
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for page in read_piece(dumps, piece, pieces):
            if page.namespace == 0 and not page.redirect:
                _count_sections(page, sections)
            elif page.namespace == TEMPLATE_NAMESPACE:
                title = f"{name}:{page.title.partition(':')[2]}"
                try:
                    xml = layout(int(page.id), TEMPLATE_NAMESPACE, title, _definition(page, name))
                except Exception:  # a template is a stranger's; pages that use it are read as without it
                    log.exception("left out %r, which cannot be read", page.title)
                    continue
                out.write(json.dumps([title, xml]) + "\n")
    write_sections(sections, path.with_suffix(".sections"))
    return path


def _count_sections(page: Page, sections: dict[str, Sections]) -> None:
    try:
        count_sections(page.text, sections)
    except Exception:  # an article is a stranger's; the others teach as much
        log.exception("learnt nothing from the headings of %r", page.title)


def _definition(page: Page, name: str) -> str:
    """A template's wikitext, or where it redirects to, under the local name of its namespace as titles have it."""
    redirects = page.redirect or page.text.lstrip()[:9].casefold() == "#redirect"
    target = _REDIRECT_TARGET.search(page.text) if redirects else None
    if not target:
        return prepare(page.text, page.timestamp)[0]
    title = " ".join(target[1].replace("_", " ").split()).removeprefix(":")
    prefix, _, rest = title.partition(":")
    if prefix.strip().casefold() in ("template", name.casefold()):
        rest = rest.strip()
        title = f"{name}:{rest[:1].upper()}{rest[1:]}"
    return f"#REDIRECT [[{title}]]"
