"""Templates: those of a language's dumps are collected for the extractor, and those of a page are replaced.

A call in a page is written out if `polyticket.corpus.template_table` knows the template. If the dump defines it, or the
extractor computes it, it becomes a token, and a call again for the extractor. The other templates are unknown:
`polyticket.corpus.unknown_templates` decides what they show. The extractor would drop them without a count.
"""

import json
import re
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from xml.sax.saxutils import escape, unescape

from polyticket.core.files import Pathlike, written_beside
from polyticket.core.logs import Progress, log
from polyticket.core.processes import in_order
from polyticket.corpus.budget import Budget
from polyticket.corpus.end_matter import Sections, count_sections, learn_end_matter, write_end_matter, write_sections
from polyticket.corpus.ledger import LONGEST_EXAMPLE
from polyticket.corpus.template_calls import WINDOW, is_of_file, is_within_sentence
from polyticket.corpus.template_kinds import (
    Uses,
    count_uses,
    is_sampled,
    key_of,
    learn_kinds,
    sample_share,
    write_kinds,
    write_uses,
)
from polyticket.corpus.template_table import write_out
from polyticket.corpus.unknown_templates import shown
from polyticket.corpus.wikitext import (
    ELEMENT_GONE,
    GONE,
    TEMPLATE_GONE,
    line_feeds,
    prepare,
    show,
    without_hollow,
    word_set,
)
from polyticket.dumps.dump import TEMPLATE_NAMESPACE, read_range, site_of
from polyticket.dumps.pages import Page

DEEPEST = 40
"""Most levels of nested templates; the extractor expands 30 levels, and crashes on a thousand."""
OPEN, CLOSE = "\ue004", "\ue005"
"""Private-use characters around the number of a hidden template."""


WORDS = word_set("! PAGENAME FULLPAGENAME")
"""Magic words that the extractor writes out; `present_time` has replaced those for the present time."""
FUNCTIONS = word_set(
    "#if #ifeq #iferror #expr #ifexpr #switch #len #pos #rpos #sub #count #replace #explode"
    " urlencode urldecode lc lcfirst uc ucfirst padleft padright"
)
"""Parser functions that the extractor computes."""
SILENT = word_set(
    "namespace defaultsort defaultsortkey defaultcategorysort displaytitle clefdetri cledetri affichertitre sortierung"
    " seitentitel mặcđịnhxếploại ترتيب_افتراضي 默认排序 默認排序 預設排序 ordenar сортировка_по_умолчанию"
)
"""Magic words that show nothing in an article, case folded."""

_PARAMETER = re.compile(r"(?<!\{)\{\{\{(?!\{)[^{}|]*+(?:\|([^{}]*+))?\}\}\}(?!\})")
"""A parameter of a template; in an article it shows its default, if it has one."""
_BRACES = re.compile(r"\{\{+|\}\}+")
_UNCLOSED = re.compile(r"\A[^\n|]{1,80}(?:\n(?=\s*\|)|\|(?:[^\n\[\]|]*\|)*+)")
_CURRENCY = re.compile(r"(?:\b[A-Z]{1,2})?[$€£¥₹]\Z")
_ENDS = re.compile(r"[\w.!?։।。)\]]\Z")
_NOTHING = dict.fromkeys(map(ord, GONE + OPEN + CLOSE))
_SHOWN_BEFORE, _SHOWN_OF_BODY = 70, 40
TOKEN = re.compile(f"{OPEN}(\\d+){CLOSE}")
"""The token of a template that the extractor expands."""


class Definitions:
    """The templates that the extractor can expand.

    Args:
        path: The file of `collect_templates`; without it there are no definitions.
    """

    def __init__(self, path: Pathlike | None = None) -> None:
        self._titles: set[str] = set()
        self._prefixes = {"template"}
        if path is not None:
            self._read(Path(path))

    def title(self, name: str) -> str | None:
        """The title, without its namespace, under which the extractor finds a template; None if it does not."""
        prefix, colon, rest = name.partition(":")
        if colon and prefix.strip().casefold() in self._prefixes:
            name = rest.strip()
        title = name[:1].upper() + name[1:]
        # The extractor reads the text before a colon as a parser function, unless it is a single letter.
        return title if title in self._titles and title.find(":") < 2 else None

    def _read(self, path: Path) -> None:
        redirects: list[tuple[str, str]] = []
        title = ""
        with path.open(encoding="utf-8", newline="\n") as lines:
            for line in lines:  # other lines cannot start like this: their < is escaped
                if line.startswith("<title>"):
                    prefix, _, title = unescape(line[7:-9], {"&quot;": '"'}).partition(":")
                    self._prefixes.add(prefix.casefold())
                elif line.startswith("<text"):
                    begin = line.find(">") + 1
                    if line.startswith("#REDIRECT [[", begin):
                        target = unescape(line[begin + 12 :].partition("]]")[0], {"&quot;": '"'})
                        redirects.append((title, target.partition(":")[2]))
                    else:
                        self._titles.add(title)
        # The extractor follows one redirect.
        self._titles.update([title for title, target in redirects if target in self._titles])


class Templates:
    """Replaces the templates of one page.

    Args:
        lang: The code of the page's Wikipedia.
        defined: The templates that the extractor can expand; the table has precedence.
        budget: The time that the page may take.
        kinds: The kinds of unknown templates (see `polyticket.corpus.template_kinds`), by `key_of` their names.

    Attributes:
        written: Calls that are written out.
        shown: Calls of unknown templates that show text.
        learnt: Calls of unknown templates that a learnt kind decides, shown or dropped.
        silent: Calls that show nothing in prose, such as notes.
        unknown: Dropped calls, by name.
        lost: Name and example of each dropped call that a sentence lacks, nested calls excepted.
    """

    def __init__(self, lang: str, defined: Definitions, budget: Budget, kinds: Mapping[str, str] | None = None) -> None:
        self.lang, self.defined, self._budget, self._kinds = lang, defined, budget, kinds or {}
        self.written = self.shown = self.learnt = self.silent = 0
        self._text = ""
        self.unknown: Counter[str] = Counter()
        self.lost: list[tuple[str, str]] = []
        self._hidden: list[str] = []

    def replace(self, text: str) -> str:
        """The text with known templates written out, and those of the extractor as tokens, which hold no line end.

        `TEMPLATE_GONE` replaces a template that shows nothing; ``{{!}}`` is a bar, which may belong to a table. An
        unclosed template loses its name and arguments up to the last bar on its line. Other unpaired braces stay,
        except closing ones after a word or a stop.
        """
        if "{{" not in text:
            return text
        text = _PARAMETER.sub(lambda parameter: parameter[1] or "", text) if "{{{" in text else text
        frames: list[list[str]] = [[]]
        self._text, place = text, 0
        for match in _BRACES.finditer(text):
            frames[-1].append(text[place : match.start()])
            place, odd = match.end(), len(match[0]) % 2
            if match[0][0] == "{":
                frames[-1].append("{" * odd)
                frames += ([] for _ in range(len(match[0]) // 2))
            else:
                for closed in range(len(match[0]) // 2):
                    self._close(frames, match.start() + 2 * closed + 2)
                frames[-1].append("}" * odd)
        frames[-1].append(text[place:])
        whole, *unclosed = ("".join(frame) for frame in frames)
        if "!" in self._hidden:
            whole = TOKEN.sub(lambda token: "|" if self._hidden[int(token[1])] == "!" else token[0], whole)
        return whole + "".join(rest if (rest := _UNCLOSED.sub("", part)) != part else "{{" + part for part in unclosed)

    def restore(self, text: str) -> str:
        """The text with the templates of the extractor in the place of their tokens."""
        return TOKEN.sub(lambda token: "{{" + self.restore(self._hidden[int(token[1])]) + "}}", text)

    def _close(self, frames: list[list[str]], place: int) -> None:
        if len(frames) == 1:
            frames[-1].append("" if _ENDS.search(_end_of(frames[-1])) else "}}")
            return
        self._budget.check()
        depth = len(frames) - 1
        body = "".join(frames.pop())
        if TEMPLATE_GONE in body:  # of templates within it
            body = without_hollow(body).replace(TEMPLATE_GONE, "")
        text = self._known_text(body, depth)
        if text is None:
            text = self._unknown_text(body, frames[-1], place, is_outermost=depth == 1)
            if not text:
                _drop_sign(frames[-1])
        frames[-1].append(text or TEMPLATE_GONE)

    def _unknown_text(self, body: str, frame: list[str], place: int, *, is_outermost: bool) -> str:
        """The text of an unknown template; one that shows nothing is counted by name."""
        body = body.replace(ELEMENT_GONE, "")
        before = after = ""
        if is_outermost or "|" in body or self._kinds:
            before = _end_of(frame).rstrip(GONE)
            after = self._text[place : place + WINDOW].partition("\n")[0].lstrip(GONE)
        kind = self._kinds.get(key_of(body.partition("|")[0])) if self._kinds else None
        self.learnt += kind is not None
        text = shown(body, before, after, self.lang, kind)
        if text:
            self.shown += 1
            return text
        name = " ".join(body.partition("|")[0].replace("_", " ").split())
        function = name.startswith("#") and ":" in name
        name = show(name.partition(":")[0] + ":" if function else TOKEN.sub("{{…}}", name)[:60])
        self.unknown[name] += 1
        if is_outermost and kind != "nothing" and not is_of_file(body) and is_within_sentence(before, after):
            self.lost.append((name, _example(before, body, after)))
        return ""

    def _known_text(self, body: str, depth: int) -> str | None:
        """The text or token of a known template; None if it is unknown."""
        body = body.replace(ELEMENT_GONE, "")
        written = write_out(body, self.lang) if depth <= DEEPEST else None
        if written is not None:
            self.written += bool(written)
            self.silent += not written
            return written
        given, bar, rest = body.partition("|")
        name = " ".join(given.replace("_", " ").split())
        start = self._start(given, name) if depth <= DEEPEST else None
        if start:
            self._hidden.append(start + bar + rest)
            return f"{OPEN}{len(self._hidden) - 1}{CLOSE}"
        if start is None:
            return None
        self.silent += 1
        return ""

    def _start(self, given: str, name: str) -> str | None:
        """The start of the call for the extractor; empty if it shows nothing, None if it is unknown."""
        if name in WORDS:
            return name
        word, colon, argument = given.partition(":")
        word = word.strip().casefold()
        if colon and word in FUNCTIONS:
            return f"{word}:{argument}"
        return "" if word in SILENT else self.defined.title(name)


def _drop_sign(frame: list[str]) -> None:
    """Remove a currency's sign, which lacks its amount, from the end of a text in parts."""
    while frame and not frame[-1]:
        frame.pop()
    if frame:
        frame[-1] = _CURRENCY.sub("", frame[-1])


def _end_of(frame: list[str]) -> str:
    """The last characters of a text in parts, at most `WINDOW`."""
    before = ""
    for part in reversed(frame):
        before = part[-WINDOW:] + before
        if len(before) >= WINDOW:
            break
    return before[-WINDOW:]


def _example(before: str, body: str, after: str) -> str:
    """A template and the wikitext around it, at most `LONGEST_EXAMPLE` characters."""
    line, body = (TOKEN.sub("{{…}}", part) for part in (before.rpartition("\n")[2], body))
    shortened = body if len(body) <= _SHOWN_OF_BODY else f"{body[:_SHOWN_OF_BODY]}…"
    text = f"{line[-_SHOWN_BEFORE:]}{{{{{shortened}}}}}{after}"
    return show(" ".join(text.translate(_NOTHING).split()))[:LONGEST_EXAMPLE]


RANGES_PER_PROCESS = 8
"""Byte ranges for each process, so that no process waits long for the last."""

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
    """Write the template pages of all dumps, and learn end matter and template kinds from the articles.

    The first page of each title is used. The files depend on the dumps alone, not on `processes`.

    Args:
        dumps: MediaWiki exports (``.xml``, ``.xml.bz2``).
        path: The file to write: pages of namespace 10 as XML, one element a line.
        lang: The language's code.
        processes: Processes that read at once.
        end_matter: The file to write with headings of end matter, see `polyticket.corpus.end_matter`.
        kinds: The file to write with the kinds of templates, see `polyticket.corpus.template_kinds`.

    Returns:
        The number of pages of the file.

    Raises:
        PolyticketError: There is no dump, or a dump is unreadable (see `read_pages`).
    """
    name = site_of(dumps, lang).namespaces[TEMPLATE_NAMESPACE]
    seen: set[str] = set()
    with written_beside(path) as place:
        job = _Job(
            [str(dump) for dump in dumps], lang, name, place.parent, processes * RANGES_PER_PROCESS, sample_share(dumps)
        )
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
        parts_of_uses = [place.parent / f"{number}.uses" for number in range(job.ranges)]
        learnt_kinds = learn_kinds(parts_of_uses, {key_of(title.partition(":")[2]) for title in seen})
        if kinds is not None:
            write_kinds(learnt_kinds, kinds)
        for part in (*place.parent.glob("*.sections"), *place.parent.glob("*.uses")):
            part.unlink()
    counts = (lang, len(seen), len(learnt), len(learnt_kinds))
    log.info("%s: %s templates, %s headings of end matter, %s kinds of templates", *counts)
    return len(seen)


def layout(number: int, namespace: int, title: str, text: str) -> str:
    """A page for the extractor: one element a line, and only line feeds as line ends."""
    text = escape(line_feeds(text), {'"': "&quot;"})
    title = escape(" ".join(title.split()), {'"': "&quot;"})  # the extractor compares it with the names in texts
    return (
        f"<page>\n<title>{title}</title>\n<ns>{namespace}</ns>\n<id>{number}</id>\n"
        f'<text xml:space="preserve">{text}</text>\n</page>\n'
    )


def _parts(collect: partial[Path], processes: int, lang: str) -> Generator[Path, None, None]:
    """Collect from all byte ranges and yield their files in order."""
    progress = Progress(f"templates {lang}", processes * RANGES_PER_PROCESS, "byte ranges")
    with closing(in_order(collect, zip(range(processes * RANGES_PER_PROCESS)), processes)) as parts:
        for part in parts:
            yield part
            progress.add()


@dataclass(frozen=True)
class _Job:
    """The job of all byte ranges: the dumps, their language, the local name of the template namespace, the directory of
    the ranges' files, the number of ranges, and the share of articles that teaches template kinds.
    """

    dumps: Sequence[str]
    lang: str
    name: str
    folder: Path
    ranges: int
    share: float


def _collect(job: _Job, number: int) -> Path:
    """Write titles and XML of a byte range's templates as JSON lines, and the counts of its articles beside them."""
    path = job.folder / f"{number}.jsonl"
    sections: dict[str, Sections] = {}
    uses: dict[str, Uses] = {}
    aliases: dict[str, str] = {}
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for page in read_range(job.dumps, number, job.ranges):
            if page.namespace == 0 and not page.redirect:
                _learn(page, job, sections, uses)
            elif page.namespace == TEMPLATE_NAMESPACE:
                title = f"{job.name}:{page.title.partition(':')[2]}"
                try:
                    definition = _definition(page, job.name)
                    xml = layout(int(page.id), TEMPLATE_NAMESPACE, title, definition)
                except Exception:  # templates may hold anything; this one is then unknown
                    log.exception("dropped template %r, which cannot be read", page.title)
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
    except Exception:  # articles may hold anything; the others teach as much
        log.exception("learnt nothing from article %r", page.title)


def is_module_call(definition: str) -> bool:
    """Whether a template only calls a module, or another function that the extractor cannot compute.

    Such a template counts as unknown. Each wiki has its own names for the call beside ``#invoke``.
    """
    text = _UNREAD.sub("", definition).strip()
    called = _FUNCTION.match(text)
    if not called or called[1].casefold() in FUNCTIONS:
        return False
    depths = accumulate((char == "{") - (char == "}") for char in text)
    return next((place for place, depth in enumerate(depths) if depth == 0), -1) == len(text) - 1


def _definition(page: Page, name: str) -> str:
    """A template's wikitext, or its redirect to a title with the local name of the namespace."""
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
