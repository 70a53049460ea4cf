"""The lines of an article's wikitext: their kinds, tables and links, and their marks.

Each line of prose, list item and line of links gets a private-use character of its kind before it. The text that the
extractor keeps of the line comes back with this character, so the lines that it drops are known exactly.

The extractor drops all links whose title holds a colon. Those that a reader sees are written out first. Links to files,
categories and other languages, and addresses without a label, show no text; `lost_links` finds those that stand in a
sentence as a word does.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from polyticket.corpus.budget import Budget, tame
from polyticket.corpus.end_matter import END_MATTER, EndMatter, heading_level, heading_name, is_links
from polyticket.corpus.ledger import LONGEST_EXAMPLE
from polyticket.corpus.template_calls import WINDOW, is_within_sentence
from polyticket.corpus.templates import CLOSE, OPEN, TOKEN, Definitions, Templates
from polyticket.corpus.wikitext import (
    BLOCK,
    ELEMENT_GONE,
    FORMULA,
    GONE,
    TEMPLATE_GONE,
    choose_variants,
    clean,
    drop_elements,
    drop_quotes,
    hide,
    keep_spaces,
    line_feeds,
    present_time,
    show,
    without_hidden,
    without_hollow,
)

TABLE_OPENS = re.compile(rf"[:*#; \t{GONE}]*\{{\|")
TABLE_CLOSES = re.compile(r"[:*#; \t]*\|\}|[:*#; \t]*</table\s*>", re.IGNORECASE)
TAGS = re.compile(r"</?[A-Za-z][^<>]*>")
_NO_TABLE = re.compile(r"\{\||\|\}|(?<!\})\}$")
"""Marks of tables within a line, and a brace at its end: the extractor would drop the text between, or the line."""

_NOTHING_BUT_TOKENS = re.compile(f"{OPEN}\\d+{CLOSE}|[{TEMPLATE_GONE}\\s]")
_CELL = re.compile(r"\s*[|!]")
_HEADING_LINE = re.compile(r"\s*=.*=\s*$")


def table_ends(lines: Sequence[str]) -> frozenset[int]:
    """The lines at which templates such as ``{{end}}`` close tables, whatever their names.

    A table without an end before the next heading ends at the first line that is a template alone, if no cell, row or
    other such line follows. Without such a line it ends at the heading.

    Args:
        lines: Wikitext whose templates are tokens, or `TEMPLATE_GONE` if they show nothing.
    """
    ends: set[int] = set()
    opened = 0  # open tables
    first: int | None = None  # the first line at which a template could have closed the outermost table
    for number, line in enumerate([*lines, "= end ="]):
        if _HEADING_LINE.match(line):
            if opened and first is not None:
                ends.add(first)
            opened, first = 0, None
        elif TABLE_OPENS.match(line):
            opened += 1
        elif opened and TABLE_CLOSES.match(line):
            opened -= 1
            first = first if opened else None
        elif opened and first is None and _is_template(line) and not _table_goes_on(lines, number + 1):
            first = number
    return frozenset(ends)


def _is_template(line: str) -> bool:
    return bool(line) and (TEMPLATE_GONE in line or OPEN in line) and not _NOTHING_BUT_TOKENS.sub("", line)


def _table_goes_on(lines: Sequence[str], number: int) -> bool:
    """Whether the next line is a table's row, cell or another template."""
    following = next((line for line in lines[number : number + 5] if line.strip()), "")
    return bool(_CELL.match(following)) or _is_template(following) or bool(TABLE_OPENS.match(following))


FILE_NAMESPACE, CATEGORY_NAMESPACE = 6, 14

_COLON_LINK = re.compile(r"\[\[(:?)([^\[\]|{}:\n]+):([^\[\]|{}\n]*)(?:\|([^\[\]\n]*))?\]\]")
_FILE = re.compile(
    r"\.(?:jpe?g|png|svg|gif|tiff?|og[gav]|webm|webp|pdf|djvu|mid|wav|mp3|flac|xcf|stl)\s*$", re.IGNORECASE
)
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[a-z]+)*|simple")
"""The prefix of a link to another language; in capitals it is part of a title."""
_ALONE = re.compile(rf"(?:[\s{GONE}]*+\[\[[^\[\]\n]*+\]\])++[\s{GONE}]*+")
_LOST = re.compile(
    r"\[\[(?P<space>[^\[\]|{}:\n]+):(?:[^\[\]\n]|\[\[[^\[\]\n]*+\]\]|\[[^\[\]\n]*+\])*+\]\]"
    r"|\[(?:https?:)?//[^\s\[\]]*+\s*+\]"
)
_ADDRESS = "http://"
"""The name under which addresses without a label are counted."""
_SHOWN_BEFORE, _SHOWN_OF_LINK = 60, 50


def silent_namespaces(names: Mapping[int, str]) -> frozenset[str]:
    """The namespaces whose links show no text, case folded: files and categories, by local and English names.

    Args:
        names: The local names of a wiki's namespaces by number.
    """
    local = {names[number].casefold() for number in (FILE_NAMESPACE, CATEGORY_NAMESPACE) if number in names}
    return frozenset({"file", "image", "category"} | local)


def show_links(text: str, namespaces: Collection[str]) -> str:
    """Write out the visible links whose title holds a colon: the extractor would drop them.

    ``[[2001: A Space Odyssey]]``, ``[[Help:Chat|chat]]`` and ``[[:fr:Chat|chat]]`` are visible; files, categories and
    links to the same page in another language are not.

    Args:
        text: Wikitext.
        namespaces: Namespaces whose links show no text, see `silent_namespaces`.
    """
    alone = _Alone(text)
    return _COLON_LINK.sub(lambda match: _shown(match, namespaces, alone), text)


def lost_links(line: str) -> Iterator[tuple[str, str]]:
    """The links that the sentences of a line of prose or list lack: the namespace and an example of each.

    Args:
        line: Wikitext after `show_links` and `Templates.replace`.
    """
    for match in _LOST.finditer(line):
        before = line[max(0, match.start() - WINDOW) : match.start()].rstrip(GONE)
        after = line[match.end() : match.end() + WINDOW].lstrip(GONE)
        if is_within_sentence(before, after):
            name = f"{match['space'].strip()}:" if match["space"] else _ADDRESS
            yield name[:LONGEST_EXAMPLE], _example(before, match[0], after)


def _example(before: str, link: str, after: str) -> str:
    """A link and the wikitext around it, at most `LONGEST_EXAMPLE` characters."""
    link = link if len(link) <= _SHOWN_OF_LINK else f"{link[:_SHOWN_OF_LINK]}…"
    text = TOKEN.sub("{{…}}", before)[-_SHOWN_BEFORE:] + TOKEN.sub("{{…}}", link + after)
    text = re.sub(f"[{GONE}{OPEN}{CLOSE}]", "", text)
    return show(" ".join(text.split()))[:LONGEST_EXAMPLE]


class _Alone:
    """Tells whether a link's line holds only links. It reads each line once, since a line may be a whole page."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._end, self._answer = -1, False

    def __call__(self, place: int) -> bool:
        """Whether the line at `place` holds only links; places come in ascending order."""
        if place > self._end:
            start = self._text.rfind("\n", 0, place) + 1
            end = self._text.find("\n", place)
            self._end = len(self._text) if end < 0 else end
            self._answer = bool(_ALONE.fullmatch(self._text, start, self._end))
        return self._answer


def _shown(match: re.Match[str], namespaces: Collection[str], alone: _Alone) -> str:
    colon, space, title, label = match.groups()
    if colon:
        return label or f"{space}:{title}"
    if space.strip().replace("_", " ").casefold() in namespaces or _FILE.search(title):
        return match[0]
    if label and "|" in label:  # only links to files have several parts
        return match[0]
    if label is None and not title[:1].isspace() and (_LANGUAGE.fullmatch(space) or alone(match.start())):
        return match[0]
    return label if label and not alone(match.start()) else match[0] if label else f"{space}:{title}"


KINDS = ("prose", "list", "link", "heading", "table", "template", "element", "blank")
"""Kinds of lines. ``link``: only files, categories or other languages; ``element``: comments, references, and line ends
within tags or forms of other scripts."""
NO_END_MATTER = EndMatter()
MARKS = {"prose": "\ue001", "list": "\ue002", "link": "\ue003"}

_GONE_MARKS = re.compile(f"[{GONE}]")
_HEADED = re.compile(r"[^=\s]")
_LINKS_ONLY = re.compile(r"\[\[[^\[\]|:\n]*+:[^\[\]\n]*+(?:\[\[[^\[\]\n]*+\]\][^\[\]\n]*+)*+(?:\]\]|$)\s*+")
_SOURCE = re.compile(r"https?://|\bISBN\b|\bISSN\b|\bdoi:", re.IGNORECASE)
_ONLY_FORMULA = FORMULA + " ,.;:،。"
_LABELLED = re.compile(r"\[(?:https?:)?//[^\s\[\]]+ [^\[\]]+\]")
_SENTENCE_END = re.compile(r"^ ?\w(?:(?:\S* ){4}|\S{11}).*[.!?。！？।॥؟۔։]\s*$")
"""A few words, or some letters without spaces, up to the end of a sentence."""
_WORD = re.compile(r"\w")
_VERSE = re.compile(r"\|\|?[^|{}]*[\u0900-\u0dff][^|{}]*\|\|?$")
"""A line between bars, typed for dandas: a verse in an Indic script."""
_COMMAS = tuple(",،、，՝")
_INNER_LINK = re.compile(r"\[\[[^\[\]|:]*[|\]]")
_BEGINS = re.compile(r"(?:\[\[(?:[^\[\]|]*\|)?|[«„“\"'(])*([^\W\d_])")
_LONG_LINE = 40
"""Least code points of a line of a broken paragraph, in scripts without letter case."""
_MARKS = tuple(MARKS.values())
_MARK = re.compile(f"[{''.join(_MARKS)}]")
_KIND_OF = {mark: kind for kind, mark in MARKS.items()}


@dataclass(frozen=True)
class Lines:
    """An article that is ready for the extractor.

    Attributes:
        text: The marked wikitext.
        read: Numbers of lines of the page's wikitext by kind; their sum is the number of all lines, of which each
            `BLOCK` makes one more. A line end that is removed with the text around it counts as a line of that kind.
        left_out: Numbers of dropped list items: ``source`` holds an address, ISBN, ISSN or DOI; ``end_matter`` belongs
            to a section of references or links.
        end_matter: Numbers of sections of end matter, by heading.
        templates: The templates of the page.
        lost_links: Links that sentences lack, each with its namespace and an example.
        characters: Code points of the page's wikitext.
    """

    text: str
    read: Counter[str]
    left_out: Counter[str]
    end_matter: Counter[str]
    templates: Templates
    lost_links: list[tuple[str, str]]
    characters: int


def mark_lines(
    wikitext: str,
    timestamp: str,
    lang: str,
    namespaces: Collection[str],
    *,
    templates: Definitions | None,
    kinds: Mapping[str, str] | None = None,
    references: bool = False,
    end_matter: EndMatter = NO_END_MATTER,
    budget: Budget | None = None,
) -> Lines:
    """Prepare an article's wikitext for the extractor, and count its lines.

    Args:
        wikitext: The page's wikitext.
        timestamp: The time of the revision, ISO 8601.
        lang: The code of its Wikipedia.
        namespaces: Namespaces whose links show no text, see `silent_namespaces`.
        templates: The templates that the extractor can expand; None if there are none.
        kinds: The kinds of unknown templates, by name (see `polyticket.corpus.template_kinds`).
        references: Keep list items that name sources or links.
        end_matter: Learnt headings of references and links, besides those of the list.
        budget: The time that the page may take; None gives the default `Budget`.

    Raises:
        OverBudget: The page takes longer.
    """
    text = line_feeds(without_hidden(wikitext))
    characters, line_ends = len(text), text.count("\n")
    budget = budget or Budget(characters)
    page_templates = Templates(lang, templates or Definitions(), budget, kinds)
    text = choose_variants(present_time(drop_elements(text), timestamp))
    budget.check()
    read = Counter({"element": line_ends - text.count("\n")})
    text = text.replace(BLOCK, "\n")
    line_ends = text.count("\n")
    text = show_links(page_templates.replace(text), namespaces)
    read["template"] = line_ends - text.count("\n")
    lines = text.split("\n")
    marking = _Marking(read, references, end_matter, table_ends(lines) if "{|" in text else frozenset())
    out: list[str] = []
    last = -1
    for number, line in enumerate(lines):
        if (marked := marking.mark(line, number)) is not None:
            joins = last == number - 1 and out and _goes_on(lines[last], line)
            out.append(" " + marked[1:] if joins else "\n" + marked)
            last = number
        budget.check()
    text = keep_spaces(page_templates.restore(tame("".join(out)[1:])))
    return Lines(text, read, marking.left_out, marking.sections, page_templates, marking.lost_links, characters)


def _goes_on(line: str, following: str) -> bool:
    """Whether a line breaks off within a sentence that the next line continues: a reader sees one paragraph."""
    if not (_is_plain(line) and _is_plain(following)):
        return False
    line, following = _without_gone(line).rstrip(), _without_gone(following).strip()
    begins = _BEGINS.match(following)
    if not line or not begins:
        return False
    if line.endswith(_COMMAS):
        return not begins[1].isupper()
    if unicodedata.category(line[-1])[0] not in "LMN" and not line.endswith(("]]", ")", "''")):
        return False
    if line.endswith("]]") and not _INNER_LINK.match(line, line.rfind("[[")):
        return False  # a file or category after the sentence
    if begins[1].islower():
        return True
    caseless = begins[1].lower() == begins[1].upper()
    return (
        caseless and len(line) >= _LONG_LINE and len(following) >= _LONG_LINE and bool(_SENTENCE_END.match(following))
    )


def _is_plain(line: str) -> bool:
    return line[:1] not in ("", *" :*#;|!{=<") and (not line.startswith("[[") or bool(_INNER_LINK.match(line)))


class _Marking:
    """Marks lines in order, and counts them by kind in `read`."""

    def __init__(
        self, read: Counter[str], references: bool, end_matter: EndMatter, table_ends: Collection[int]
    ) -> None:
        self.read, self.references, self._table_ends = read, references, table_ends
        self.left_out: Counter[str] = Counter()
        self.sections: Counter[str] = Counter()
        self.lost_links: list[tuple[str, str]] = []
        self._names = end_matter
        self._tables = 0
        self._end_matter = self._links = 0
        """The heading level of the current section of references, or of bare links; 0 outside of one."""

    def mark(self, line: str, number: int) -> str | None:
        """The line for the extractor; None if it is dropped."""
        bare = _without_gone(line).strip()
        if len(bare) < len(line):
            bare = _without_gone(without_hollow(line)).strip()
        if self._tables and (closed := TABLE_CLOSES.match(bare)):
            self._tables -= 1
            bare = bare[closed.end() :].strip()
            line = bare if not self._tables and _WORD.search(TAGS.sub("", bare)) else "|"
            bare = line
        kind = _kind(line, bare, self._tables)
        self.read[kind] += 1
        if number in self._table_ends:
            self._tables = 0
        elif kind == "table":
            self._tables += bool(TABLE_OPENS.match(bare))
        elif kind == "heading":
            self._heading(bare)
        elif kind == "template":
            return bare
        elif kind == "list" and (reason := self._reason(bare)):
            self.left_out[reason] += 1
        elif kind in MARKS:
            if kind != "link" and "[" in bare and (":" in bare or "//" in bare):
                self.lost_links += lost_links(bare)
            text = bare.lstrip("*#;: \t") if kind == "list" or bare[0] == ":" else bare
            text = _NO_TABLE.sub(lambda mark: hide(mark[0]), text) if "}" in text or "{|" in text else text
            return ":" + MARKS[kind] + (drop_quotes(text) if "''" in text else text)
        return None

    def _heading(self, bare: str) -> None:
        self._tables = 0  # a heading ends an unclosed table
        level = heading_level(bare)
        name = heading_name(bare)
        if name in END_MATTER or name in self._names.citing:
            self.sections[name] += 1
            self._end_matter = min(level, self._end_matter or level)
        elif level <= self._end_matter:
            self._end_matter = 0
        if name in self._names.links:
            self.sections[name] += name not in END_MATTER
            self._links = min(level, self._links or level)
        elif level <= self._links:
            self._links = 0

    def _reason(self, bare: str) -> str | None:
        if self.references:
            return None
        if self._end_matter or (self._links and is_links(TOKEN.sub("", bare))):
            return "end_matter"
        return "source" if _SOURCE.search(bare) and not _is_prose(bare) else None


def _is_prose(item: str) -> bool:
    """Whether a list item is a sentence with an address within it; a source has the address at its end."""
    parts = _LABELLED.split(item)
    return (
        bool(_WORD.search(parts[0]))
        and len(parts) > 1
        and not _SOURCE.search("".join(parts))
        and "''" not in item
        and bool(_SENTENCE_END.search(parts[-1]))
    )


def _without_gone(line: str) -> str:
    return _GONE_MARKS.sub("", line) if ELEMENT_GONE in line or TEMPLATE_GONE in line else line


def _kind(line: str, bare: str, tables: int) -> str:
    if not bare.strip(_ONLY_FORMULA):
        return "template" if TEMPLATE_GONE in line else "element" if ELEMENT_GONE in line or bare else "blank"
    first = bare[0]
    if first == "=" and bare[-1] == "=" and _HEADED.search(bare):
        return "heading"
    if tables or (first == "|" and not _VERSE.match(bare)) or (first in ":*#;{" and TABLE_OPENS.match(bare)):
        return "table"
    if first == OPEN and not TOKEN.sub("", bare).strip():
        return "template"
    if first in "*#;":
        return "list"
    if first == "[" and bare.startswith("[[") and not _LINKS_ONLY.sub("", bare).strip():
        return "link"
    return "prose"


def read_marks(text: str) -> tuple[str, Counter[str]]:
    """Remove the marks from the extractor's text.

    Returns:
        The clean paragraphs, one per line (see `clean`), and the number of lines with text by kind. Lines of kind
        ``made`` come from templates and are no lines of the page.
    """
    kept: Counter[str] = Counter()
    paragraphs = []
    for line in text.split("\n"):
        marks = _MARK.findall(line) if any(mark in line for mark in _MARKS) else []
        if len(marks) == 1:
            line = line.replace(marks[0], "")
        elif marks:
            line = _MARK.sub("", line)
        paragraph = show(clean(line))
        if paragraph:
            paragraphs.append(paragraph)
            kept.update([_KIND_OF[mark] for mark in marks] or ["made"])
    return "\n".join(paragraphs), kept
