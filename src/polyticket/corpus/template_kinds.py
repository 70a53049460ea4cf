"""What a template shows, learnt from its uses: kinds of template names, for those that nothing defines.

A single call may be odd; what a name is used for is not. Over a sample of a language's articles each name's calls are
counted: where they stand (`polyticket.corpus.unknown_templates.place`), what they are given, and whether what they are
given comes next anyway. A name with enough calls in prose that agree gets a kind; other calls are judged on their own.

| kind | its calls | show |
|---|---|---|
| ``nothing`` | hang on words (notes), begin items (flags, notices), hold codes or files, name what follows | nothing |
| ``first`` | stand as words and hold words | the first argument |
| ``second`` | hold the code of a language, or a colour, and words | the second argument |
| ``number`` | hold a number | the number, with its unit |
| ``quotation`` | stand alone and hold sentences | the first argument |
| ``lookup`` | look up figures, and are asked for their source as well (``{{UN Population|ref}}``) | nothing; a loss |
| ``name`` | follow numbers (``{{m s.l.m.}}``), or are labels of links to a page of that name | their name |

A template page that redirects to another has the other's kind.
"""

import json
import re
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from polyticket.core.files import Pathlike, read_json, write_json
from polyticket.corpus.ledger import LONGEST_EXAMPLE
from polyticket.corpus.template_table import arguments, is_in_table
from polyticket.corpus.unknown_templates import WINDOW, content, is_below_prose, is_repeated, is_titled, place

SAMPLE_BYTES = 256 * 2**20
"""Bytes of XML that are learnt from, about; of a larger language some of the pages, by their ids."""
PACKED = 5
"""How many bytes of XML a byte of a packed dump is, about."""
LEAST_USES = 5
"""How often a name must be seen in prose."""
LEAST_ASKED = 2
"""How often, if one of its calls asks for a source."""
MOST_KINDS = 5000
"""How many names are kept, the most frequent ones."""

LONGEST_PAGE, MANY = 2**20, 100
"""Code points of a page that are looked at, and how many of its references may stay open."""
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
    """The calls of one name that stand in prose.

    Attributes:
        counts: How many there are by where they stand (`PLACES`), by what they are given, and of special ones.
        example: The first one, in its place.
    """

    counts: Counter[str] = field(default_factory=Counter)
    example: str = ""

    def total(self) -> int:
        """How many there are."""
        return sum(self.counts[name] for name in PLACES)

    def add(self, other: "Uses") -> None:
        """Add the calls of a later part of the language."""
        self.counts.update(other.counts)
        self.example = self.example or other.example


def sample_share(dumps: Sequence[Pathlike]) -> float:
    """Which share of the pages of a language's dumps is learnt from."""
    paths = map(Path, dumps)
    size = sum(path.stat().st_size * (PACKED if path.suffix == ".bz2" else 1) for path in paths)
    return min(1.0, SAMPLE_BYTES / max(1, size))


def is_sampled(page: str, share: float) -> bool:
    """Whether a page is learnt from, by its id alone."""
    return share >= 1 or zlib.crc32(page.encode()) < share * 2**32


def key_of(name: str) -> str:
    """A template's name as it is counted: with spaces, its first letter a capital."""
    name = " ".join(name.replace("_", " ").split())
    return name[:1].upper() + name[1:]


def count_uses(wikitext: str, lang: str, found: dict[str, Uses]) -> None:
    """Count the calls in the prose of one article: those outside of references and of other calls that hold no call.

    Those that ask for the source of a figure count anywhere.

    Args:
        wikitext: The article's wikitext.
        lang: The code of its Wikipedia.
        found: By `key_of` the name; gets the counts.
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
        uses = found.setdefault(key_of(name), Uses())
        uses.counts.update((stands, *_features(body, before, after)))
        uses.counts["below"] += stands == "alone" and is_below_prose(before)
        uses.example = uses.example or _example(before, match[0], after)


def _is_broken(wikitext: str) -> bool:
    """Whether masses of references or comments are not closed: the search for their ends would take too long."""
    closed = wikitext.count("</ref") + wikitext.count("/>")
    return wikitext.count("<ref") > closed + MANY or wikitext.count("<!--") > wikitext.count("-->") + MANY


def _features(body: str, before: str, after: str) -> Iterator[str]:
    """What is counted of one call beside its place."""
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
    """A call in its place, in wikitext of `LONGEST_EXAMPLE` characters at most."""
    call = call if len(call) <= _LONGEST_NAME else f"{call[:_LONGEST_NAME]}…"
    return " ".join(f"{before.rpartition(chr(10))[2][-60:]}{call}{after}".split())[:LONGEST_EXAMPLE]


def kind_of(uses: Uses) -> str | None:
    """The kind of a name with these calls; None if they do not agree, or are too few."""
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


def write_uses(found: Mapping[str, Uses], aliases: Mapping[str, str], path: Path) -> None:
    """Write the counts of a part of a language as JSON lines, and which names redirect to which."""
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for alias, name in aliases.items():
            out.write(json.dumps([alias, name]) + "\n")
        for name, uses in found.items():
            out.write(json.dumps([name, uses.total(), uses.counts, uses.example]) + "\n")


def learn_kinds(parts: Sequence[Path], defined: Collection[str] = ()) -> dict[str, tuple[str, Uses]]:
    """The names that have a kind, with it and their calls, the most frequent first.

    Args:
        parts: The files that `write_uses` wrote, of all parts of a language in their order.
        defined: Names that need no kind, by `key_of`: the dumps define them.
    """
    aliases: dict[str, str] = {}
    for line in _lines(parts, aliases=True):
        aliases.setdefault(*line)
    totals: Counter[str] = Counter()
    for name, total, _, _ in _lines(parts, aliases=False):
        totals[aliases.get(name, name)] += total
    known = set(defined) - set(aliases)
    found = {name: Uses() for name, total in totals.items() if total >= LEAST_ASKED and name not in known}
    for name, _, counts, example in _lines(parts, aliases=False):
        if uses := found.get(aliases.get(name, name)):
            uses.add(Uses(Counter(counts), example))
    of_name = {name: kind for name, uses in found.items() if (kind := kind_of(uses))}
    of_name |= {alias: of_name[name] for alias, name in aliases.items() if name in of_name}
    every = ((name, (kind, found[aliases.get(name, name)])) for name, kind in of_name.items())
    return dict(islice(sorted(every, key=lambda item: (-item[1][1].total(), item[0])), MOST_KINDS))


def _lines(parts: Sequence[Path], *, aliases: bool) -> Iterator[list]:
    for part in parts:
        with part.open(encoding="utf-8") as lines:
            yield from (line for line in map(json.loads, lines) if (len(line) == 2) == aliases)


def write_kinds(found: Mapping[str, tuple[str, Uses]], path: Pathlike) -> None:
    """Write the kinds as JSON, each with its calls, how many of them stand as words, and an example, to be read."""
    write_json(
        path,
        {
            name: {"kind": kind, "uses": uses.total(), "words": uses.counts["word"], "example": uses.example}
            for name, (kind, uses) in found.items()
        },
    )


def read_kinds(path: Pathlike | None) -> dict[str, str]:
    """The kinds that `write_kinds` wrote, by `key_of` the name; none without a file."""
    return {} if path is None else {name: str(one["kind"]) for name, one in read_json(path).items()}
