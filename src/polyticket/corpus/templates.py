"""The template pages of a language's dumps, as the extractor program reads them, and what its articles teach."""

import json
import re
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from xml.sax.saxutils import escape

from polyticket.core.files import Pathlike, written_beside
from polyticket.core.logs import Progress, log
from polyticket.core.workers import in_order
from polyticket.corpus.end_matter import Sections, count_sections, learn_end_matter, write_end_matter, write_sections
from polyticket.corpus.templating import FUNCTIONS
from polyticket.corpus.unknown_templates import (
    Uses,
    count_uses,
    is_sampled,
    key_of,
    learn_kinds,
    sample_share,
    write_kinds,
    write_uses,
)
from polyticket.corpus.wikitext import line_feeds, prepare
from polyticket.dumps.dump import TEMPLATE_NAMESPACE, read_piece, site_of
from polyticket.dumps.pages import Page

PIECES = 8
"""Pieces for each process, so that none waits long for the last."""

_UNREAD = re.compile(r"<noinclude>.*?(?:</noinclude>|\Z)|<!--.*?(?:-->|\Z)|</?(?:includeonly|onlyinclude)>", re.DOTALL)
_FUNCTION = re.compile(r"\{\{\s*(?:(?:safe)?subst:\s*)?(#\w+):", re.IGNORECASE)
_REDIRECT_TARGET = re.compile(r"\[\[([^\[\]|#]+)")


def collect_templates(
    dumps: Sequence[Pathlike],
    path: Pathlike,
    *,
    lang: str,
    processes: int = 1,
    end_matter: Pathlike | None = None,
    kinds: Pathlike | None = None,
) -> int:
    """Write the template pages of all dumps where the extractor looks them up, and what the articles teach.

    Of pages with one title the first is taken. The files depend on the dumps alone, not on `processes`.

    Args:
        dumps: MediaWiki exports (``.xml``, ``.xml.bz2``).
        path: The file to write: pages of namespace 10 as XML, each element on a line of its own.
        lang: The language's code.
        processes: How many processes read at once.
        end_matter: The file to write which headings open end matter, see `polyticket.corpus.end_matter`.
        kinds: The file to write what templates are used for, see `polyticket.corpus.unknown_templates`.

    Returns:
        How many pages the file holds.

    Raises:
        PolyticketError: There is no dump, or one is unreadable (see `read_pages`).
    """
    name = site_of(dumps, lang).namespaces[TEMPLATE_NAMESPACE]
    seen: set[str] = set()
    with written_beside(path) as place:
        job = _Job([str(dump) for dump in dumps], lang, name, place.parent, processes * PIECES, sample_share(dumps))
        collect = partial(_collect, job)
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
        parts_of_uses = [place.parent / f"{piece}.uses" for piece in range(job.pieces)]
        found = learn_kinds(parts_of_uses, {key_of(title.partition(":")[2]) for title in seen})
        if kinds is not None:
            write_kinds(found, kinds)
        for part in (*place.parent.glob("*.sections"), *place.parent.glob("*.uses")):
            part.unlink()
    counts = (lang, len(seen), len(learnt), len(found))
    log.info("%s: %s templates, %s headings of end matter, %s kinds of templates", *counts)
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


@dataclass(frozen=True)
class _Job:
    """What is the same for all pieces: the dumps, their language, the name of its namespace of templates, the folder
    for the pieces' files, how many pieces there are, and which share of the articles teaches kinds of templates.
    """

    dumps: Sequence[str]
    lang: str
    name: str
    folder: Path
    pieces: int
    share: float


def _collect(job: _Job, piece: int) -> Path:
    """Write title and XML of the templates of a piece as JSON lines, and beside it what its articles teach."""
    path = job.folder / f"{piece}.jsonl"
    sections: dict[str, Sections] = {}
    uses: dict[str, Uses] = {}
    aliases: dict[str, str] = {}
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for page in read_piece(job.dumps, piece, job.pieces):
            if page.namespace == 0 and not page.redirect:
                _learn(page, job, sections, uses)
            elif page.namespace == TEMPLATE_NAMESPACE:
                title = f"{job.name}:{page.title.partition(':')[2]}"
                try:
                    definition = _definition(page, job.name)
                    xml = layout(int(page.id), TEMPLATE_NAMESPACE, title, definition)
                except Exception:  # a template is a stranger's; pages that use it are read as without it
                    log.exception("left out %r, which cannot be read", page.title)
                    continue
                if definition.startswith("#REDIRECT [["):
                    aliases[key_of(title.partition(":")[2])] = key_of(definition[12:-2].partition(":")[2])
                if not is_module_call(definition):
                    out.write(json.dumps([title, xml]) + "\n")
    write_sections(sections, path.with_suffix(".sections"))
    write_uses(uses, aliases, path.with_suffix(".uses"))
    return path


def _learn(page: Page, job: _Job, sections: dict[str, Sections], uses: dict[str, Uses]) -> None:
    try:
        count_sections(page.text, sections)
        if is_sampled(page.id, job.share):
            count_uses(page.text, job.lang, uses)
    except Exception:  # an article is a stranger's; the others teach as much
        log.exception("learnt nothing from %r", page.title)


def is_module_call(definition: str) -> bool:
    """Whether a template only calls a module, or another function that the extractor cannot compute.

    Such a template is as good as undefined. Every wiki has its own names for the call beside ``#invoke``.
    """
    text = _UNREAD.sub("", definition).strip()
    called = _FUNCTION.match(text)
    if not called or called[1].casefold() in FUNCTIONS:
        return False
    depths = accumulate((char == "{") - (char == "}") for char in text)
    return next((place for place, depth in enumerate(depths) if depth == 0), -1) == len(text) - 1


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
