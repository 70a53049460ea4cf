"""The kinds of unknown templates: what `polyticket.corpus.unknown_templates` shows of them, learnt from their calls."""

import json
import re
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from polyticket.core.files import Pathlike, read_json, write_json
from polyticket.core.text import read_as
from polyticket.corpus.ledger import LONGEST_EXAMPLE
from polyticket.corpus.template_calls import WINDOW, content, is_below_prose, is_repeated, is_titled, place
from polyticket.corpus.template_table import arguments, is_in_table

SAMPLE_BYTES = 256 * 2**20
"""About the most bytes of XML to learn from; of larger languages a sample of pages, by their ids."""
PACKED = 5
"""Bytes of XML per byte of a packed dump, about."""
LEAST_USES = 5
"""Least calls of a name in prose."""
LEAST_ASKED = 2
"""Least calls if one of them asks for a source."""
MOST_KINDS = 5000
"""Most names that are kept, the most frequent ones."""
LONGEST_PAGE, MANY = 2**20, 100
"""Code points of a page that are read, and most unclosed references of a page."""
PLACES = ("alone", "begins", "hangs", "stop", "word", "field")
_CALL = re.compile(
    r"<!--.{0,5000}?-->|<ref\b[^<>]{0,300}(?:(?<=/)>|>.{0,5000}?</ref>)|\{\{([^{}]*+)\}\}|\{\{|\}\}|\n=",
    re.DOTALL,
)
"""Comments, references, calls that hold no other, the ends of other calls, and headings."""
_SOURCE = ("ref", "Ref", "REF", "source")
_DEEPER = {"{{": 1, "}}": -1}
_AFTER_NUMBER = re.compile(r"\d[\])']*(?:[ \u00a0]|&nbsp;)$")
_LINK_FOLLOWS = re.compile(r"(?:[ \u00a0']|&nbsp;)*\[\[")
_LONGEST_NAME = 80


@dataclass
class Uses:
    """The calls of one name in prose.

    Attributes:
        counts: Numbers of calls by place (`PLACES`), by content, and by special features.
        example: The first call, with the text around it.
    """

    counts: Counter[str] = field(default_factory=Counter)
    example: str = ""

    def total(self) -> int:
        """The number of calls."""
        return sum(self.counts[name] for name in PLACES)

    def add(self, other: "Uses") -> None:
        """Add the calls of a later byte range."""
        self.counts.update(other.counts)
        self.example = self.example or other.example


def sample_share(dumps: Sequence[Pathlike], most_bytes: int = SAMPLE_BYTES) -> float:
    """The share of pages of a language's dumps to learn from, so that they have about `most_bytes` bytes."""
    paths = map(Path, dumps)
    size = sum(path.stat().st_size * (PACKED if path.suffix == ".bz2" else 1) for path in paths)
    return min(1.0, most_bytes / max(1, size))


def is_sampled(page: str, share: float) -> bool:
    """Whether a page belongs to the sample; depends on its id alone."""
    return share >= 1 or zlib.crc32(page.encode()) < share * 2**32


def key_of(name: str) -> str:
    """A template's name, normalized: spaces for underscores, the first letter a capital."""
    name = " ".join(name.replace("_", " ").split())
    return name[:1].upper() + name[1:]


def count_uses(wikitext: str, lang: str, uses: dict[str, Uses]) -> None:
    """Count the calls in the prose of one article: calls without calls in them, outside of references and other calls.

    Calls that ask for the source of a number count everywhere.

    Args:
        wikitext: The article's wikitext.
        lang: The code of its Wikipedia.
        uses: The uses by `key_of` the name; they are updated.
    """
    if "{{" not in wikitext or _is_broken(wikitext):
        return
    depth = 0
    for match in _CALL.finditer(wikitext, 0, LONGEST_PAGE):
        body = match[1]
        if body is None:
            depth = max(0, depth + _DEEPER.get(match[0], 0)) if match[0] != "\n=" else 0
            continue
        is_asked = body.rpartition("|")[2].strip() in _SOURCE
        if depth and not is_asked:
            continue
        name = body.partition("|")[0]
        if not 0 < len(name) <= _LONGEST_NAME or ":" in name or is_in_table(name, lang):
            continue
        start, end = match.span()
        before, after = wikitext[max(0, start - WINDOW) : start], wikitext[end : end + WINDOW].partition("\n")[0]
        stands = "field" if depth else place(before, after)
        if stands == "field" and not is_asked:
            continue
        own = uses.setdefault(key_of(name), Uses())
        own.counts.update((stands, *_features(body, before, after)))
        own.counts["below"] += stands == "alone" and is_below_prose(before)
        own.example = own.example or _example(before, match[0], after)


def _is_broken(wikitext: str) -> bool:
    """Whether masses of references or comments are unclosed: the search for their ends would take too long."""
    closed = wikitext.count("</ref") + wikitext.count("/>")
    return wikitext.count("<ref") > closed + MANY or wikitext.count("<!--") > wikitext.count("-->") + MANY


def _features(body: str, before: str, after: str) -> Iterator[str]:
    """The features of one call that are counted, besides its place."""
    args, named = arguments(body) if "|" in body else ([], {})
    if not args or not args[0]:
        yield "named" if named else "bare"
        if not named and _AFTER_NUMBER.search(before):
            yield "measured"
        elif not named and is_titled(" ".join(body.replace("_", " ").split()), before):
            yield "titled"
    elif len(named) > len(args) + 1:
        yield "named"
    else:
        yield "asked" if args[-1] in _SOURCE else content(args)
        if is_repeated(args[0], after):
            yield "repeated"
        elif _LINK_FOLLOWS.match(after):
            yield "linked"


def _example(before: str, call: str, after: str) -> str:
    """A call and the wikitext around it, at most `LONGEST_EXAMPLE` characters."""
    call = call if len(call) <= _LONGEST_NAME else f"{call[:_LONGEST_NAME]}…"
    return " ".join(f"{before.rpartition(chr(10))[2][-60:]}{call}{after}".split())[:LONGEST_EXAMPLE]


def kind_of(uses: Uses) -> str | None:
    """The kind of a name with these calls; None if they disagree, or are too few."""
    counts, total = uses.counts, uses.total()
    given = total - counts["bare"] - counts["named"]
    if total >= LEAST_ASKED and counts["asked"] and counts["asked"] >= 0.1 * given:
        return "lookup"
    if total < LEAST_USES:
        return None
    if counts["named"] >= 0.8 * total and counts["word"] < 0.2 * total:
        return "nothing"
    if counts["bare"] >= 0.8 * total:
        is_name = counts["measured"] >= 0.8 * total or (counts["titled"] > 1 and counts["titled"] >= 0.2 * total)
        return "name" if is_name else None if counts["word"] > 0.2 * total else "nothing"
    if given < LEAST_USES:
        return None
    if counts["file"] >= 0.8 * given or counts["hangs"] >= 0.7 * total:
        return "nothing"
    if counts["repeated"] + counts["linked"] >= 0.6 * given:
        return "nothing"
    if counts["choice"] >= 0.7 * given:
        return "second"
    if counts["alone"] >= 0.7 * total:
        is_quotation = counts["sentence"] >= 0.5 * given and counts["below"] >= 0.4 * counts["alone"]
        return "quotation" if is_quotation else "nothing"
    if counts["word"] + counts["stop"] < 0.3 * total:
        return "nothing"
    if counts["word"] < 0.5 * total:
        return None
    if counts["number"] >= 0.7 * given:
        return "number"
    return "first" if counts["words"] + counts["sentence"] >= 0.6 * given else None


def write_uses(uses_of: Mapping[str, Uses], aliases: Mapping[str, str], path: Path) -> None:
    """Write the uses of a byte range as JSON lines, and the redirects of names."""
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for alias, name in aliases.items():
            out.write(json.dumps([alias, name]) + "\n")
        for name, uses in uses_of.items():
            out.write(json.dumps([name, uses.total(), uses.counts, uses.example]) + "\n")


def learn_kinds(
    parts: Sequence[Path], defined: Collection[str] = (), most: int = MOST_KINDS
) -> dict[str, tuple[str, Uses]]:
    """The names that have a kind, each with its kind and uses, the most frequent first.

    Args:
        parts: The files of `write_uses` of all byte ranges, in order.
        defined: Names that need no kind, by `key_of`: the dumps define them.
        most: Most names.
    """
    aliases: dict[str, str] = {}
    for line in _lines(parts, aliases=True):
        aliases.setdefault(*line)
    totals: Counter[str] = Counter()
    for name, total, _, _ in _lines(parts, aliases=False):
        totals[aliases.get(name, name)] += total
    known = set(defined) - set(aliases)
    uses_of = {name: Uses() for name, total in totals.items() if total >= LEAST_ASKED and name not in known}
    for name, _, counts, example in _lines(parts, aliases=False):
        if uses := uses_of.get(aliases.get(name, name)):
            uses.add(Uses(Counter(counts), example))
    of_name = {name: kind for name, uses in uses_of.items() if (kind := kind_of(uses))}
    of_name |= {alias: of_name[name] for alias, name in aliases.items() if name in of_name}
    every = ((name, (kind, uses_of[aliases.get(name, name)])) for name, kind in of_name.items())
    return dict(islice(sorted(every, key=lambda item: (-item[1][1].total(), item[0])), most))


def _lines(parts: Sequence[Path], *, aliases: bool) -> Iterator[list]:
    for part in parts:
        with part.open(encoding="utf-8") as lines:
            yield from (line for line in map(json.loads, lines) if (len(line) == 2) == aliases)


def write_kinds(kinds: Mapping[str, tuple[str, Uses]], path: Pathlike) -> None:
    """Write the kinds as JSON, each with its number of calls, of calls that stand as words, and an example."""
    write_json(
        path,
        {
            name: {"kind": kind, "uses": uses.total(), "words": uses.counts["word"], "example": uses.example}
            for name, (kind, uses) in kinds.items()
        },
    )


def read_kinds(path: Pathlike | None) -> dict[str, str]:
    """The kinds of a file of `write_kinds`, by `key_of` the name; none without a file."""
    with read_as("templates and their kinds", path):
        return {} if path is None else {name: str(entry["kind"]) for name, entry in read_json(path).items()}
