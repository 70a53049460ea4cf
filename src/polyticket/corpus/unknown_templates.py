"""Unknown templates: what a call shows, by the uses of its name in the corpus or by the call itself.

A template that neither `polyticket.corpus.template_table` nor the dump defines is unknown; only its uses are known. A
single call may be unusual, but the calls of a name together show what it is for. In a sample of a language's articles
the calls of each name are counted: their places (see `place`), their arguments, and whether the text after them repeats
the arguments. A name with enough calls in prose that agree gets a kind:

| kind | its calls | a call shows |
|---|---|---|
| ``nothing`` | follow words directly (notes), start list items (flags, notices), hold codes or files | nothing |
| ``first`` | stand as words and hold words | the first argument |
| ``second`` | hold a language code or a colour, and words | the second argument |
| ``number`` | hold a number | the number, with its unit |
| ``quotation`` | stand alone and hold sentences | the first argument |
| ``lookup`` | look up numbers, and sometimes ask for their source (``{{UN Population|ref}}``) | nothing; a loss |
| ``name`` | follow numbers (``{{m s.l.m.}}``), or are labels of links to a page of that name | the name |

A template page that redirects to another has the kind of the other. A call of a name without a kind is judged alone: if
it stands as a word, with prose on its line, it shows its first argument; its second one if the first is a language code
or a colour; a number with its unit. It shows nothing if it follows a word or stop directly, if its arguments are codes,
coordinates, addresses, files or mostly named ones, if its text comes next anyway, or if it starts a list item with a
word or two. A call that is alone on its line shows text if it is a sentence below prose: a quotation. A name shows
itself if it is an ordinal, the label of a link to a page of that name, or the unit of a bare number
(``{{IETF RFC|675}}``). All that is shown comes from the wikitext; no words are invented.
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
from polyticket.core.text import read_as
from polyticket.corpus.ledger import LONGEST_EXAMPLE
from polyticket.corpus.template_table import arguments, convert, is_in_table, is_link
from polyticket.corpus.wikitext import word_set

WINDOW = 100
"""Characters before and after a template that are read."""
_LONGEST, _LONGEST_USUAL, _LONGEST_QUOTATION = 200, 1000, 5000
_LEAST_QUOTATION = 60
_LETTER = re.compile(r"[^\W\d_]")
_NUMBER = re.compile(r"[−-]?\d[\d.,\u00a0 ]*(?:/\d+)?")
_UNIT = re.compile(r"°?(?:e(?:[369]|12))?[^\W\d_]{1,5}[23²³]?(?:/[a-z]{1,3}[23]?)?|[CF]-change|Celsius|oilbbl")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z]{2,8})*")
_CODE = re.compile(r"[A-Z]{1,3}|[a-z]{2,3}|[A-Z0-9_-]{1,8}")
_NO_TEXT = re.compile(
    r"https?:|//|\.(?:jpe?g|png|svg|gif|og[gav]|webm|wav|mp3|pdf)\b|=|^\s*[|!{*#:]|\[\[[^\[\]|:]+:", re.IGNORECASE
)
_MEDIA = re.compile(r"\.(?:jpe?g|png|svg|gif|og[gav]|webm|wav|mp3|pdf)\s*$", re.IGNORECASE)
_STOPS, _CLOSERS = ".!?…।॥。！？։؟۔", " \n\"'»”’」』)]"
_NO_SPACES = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
"""Letters of scripts without spaces between words, or with endings attached to them."""
_BESIDE = re.compile(r"\[\[[^\[\]|]+:[^\[\]]*\]\]|</?[A-Za-z][^<>]*>")
"""Files, categories and tags: no prose."""
_FIELD = re.compile(r"^\s*(?:[|!]|#\w+:)|(?:\|\||!!)[\s']*$|\|[^|=\[\]{}]{1,60}=[\s']*$")
"""The start of a line of a table or of fields, or an argument of a function."""
_GIVEN = re.compile(r"\|[\s']*$")
_IDENTIFIER = re.compile(r"\d[\d-]{8,15}[\dX]|(?=[^ ]*[a-z])(?=[^ ]*[A-Z])(?=[^ ]*[0-9_])[A-Za-z0-9_-]{8,}")
_CITED = re.compile(r"://|\bISBN\b")
_FEWEST_SPACES = 4
_LONGEST_NUMBER, _NEAR, _LONGEST_CODE = 30, 40, 3
_MOST_NUMBERS = 2
_LONG_DIGITS = re.compile(r"\d{9}")
"""Digits of an identifier of books and records; numbers in prose have fewer."""
_PUNCTUATED = re.compile(r"[.,\u00a0 /]")
_PREFIXES = frozenset("YZEPTGMkhdcmµμnpfazy")
_BASE_UNITS = word_set("m g s A K J W V N l L B b T F H C Hz Pa eV bit m/s")
_UNIT_NAMES = word_set("m km cm mm nm g kg mg t l ml s h ha b °C °F Hz kHz MHz GHz W kW MW V eV")
"""Units, as names or arguments of templates."""
_ACRONYM = re.compile(r"(?<![^\W\d_])[A-Z]{2,}(?![^\W\d_])")
_ROMAN = re.compile(r"[IVXLC]{1,8}")
_WORD_NAME = re.compile(r"(?:(?!\d)\w)+")
_NAMING = re.compile(r"[IVX]{2,}[^\W\d_A-Z]{1,4}|(?=.*\d)(?:(?:H|C|N|O|S|P|K|Na|Ca|Cl|Fe|Si)\d{0,2}){2,5}")
"""Names that are ordinals or formulas."""
_PAGE = re.compile(r"[^\s\d:\[\]]{2,}:\S")
"""The start of a title in another namespace."""
_COMPLETED = re.compile(r"\d[^|]*\|[A-Z]{3}|[^|]*[^\W\d_]\|\d{1,3}[:,.]\d[\d:,.–-]*|(?=[^|]*\d)[^|]*[^\W_]\|[12]\d{3}")
"""Two arguments that belong together: an amount and its currency, a verse of a book, a day and its year."""
_LOOKUP = re.compile(r"(?:wiki|meta)?dat[ae]\w*", re.IGNORECASE)
"""Names of templates that look up data."""
_ITEM_NUMBER = re.compile(r"[PQpq]\d{2,}")
"""An item or a property of Wikidata."""
_COLOUR = re.compile(
    r"#?[0-9A-Fa-f]{6};?|#[0-9A-Fa-f]{3};?|(?:dark|light|medium|deep)?(?:aqua|black|blue|brown|crimson|cyan|gold|gray|grey"
    r"|green|indigo|khaki|lime|magenta|maroon|navy|olive|orange|orchid|pink|purple|red|salmon|silver|tan|teal|turquoise"
    r"|violet|white|yellow);?"
)
_LABEL = re.compile(r"\[\[([^\[\]|]*)\|[^\[\]|]*$")
_LEAST_USUAL = 20
_QUOTES = frozenset('«»“”„‚‘‹「『《"')
_STANDS = re.compile(r"(?:^|[\s(\[{（「『《〈【“„‘«‹\"'>/=–—―$€£¥₹-]|&nbsp;)$")
_LIST = re.compile(r"^\s*[*#:;]*\s*")
_ITEM = re.compile(r"^\s*[*#:;]")
_PLAIN = re.compile(r"\[\[(?:[^\[\]|]*\|)?|\]\]|'{2,}")


def shown(body: str, before: str, after: str, lang: str, kind: str | None = None) -> str:
    """The text that an unknown template most likely shows; empty if it shows nothing.

    Args:
        body: The template without its braces; templates within it are written out, or hidden.
        before: The text before it, at most `WINDOW` characters.
        after: The text after it on its line, at most `WINDOW` characters.
        lang: The code of the page's Wikipedia.
        kind: The kind of its name, if it has one.
    """
    if kind in ("nothing", "lookup"):
        return ""
    name = " ".join(body.partition("|")[0].replace("_", " ").split())
    if "|" not in body:
        is_word = (kind == "name" or bool(_NAMING.fullmatch(name))) and place(before, after) == "word"
        return name if is_word or is_titled(name, before) else ""
    args, named = arguments(body)
    if not args or not args[0]:
        own = _second(args) or _own(named, name, lang)
        return own if own and place(before, after) == "word" else ""
    stands = place(before, after)
    if stands == "alone":
        return _quotation(args, before, is_usual=kind in ("quotation", "first"))
    if stands in ("field", "hangs") or (kind is None and len(named) > len(args) + 1):
        return ""
    text = args[1] if kind == "second" and len(args) > 1 else args[0] if kind == "first" else _text(args, name, lang)
    text = text or (args[0] if is_titled(args[0], before) else "")
    if kind is None and not _is_clear(text, stands, before):
        return ""
    longest = _LONGEST_USUAL if kind else _LONGEST
    if not text or len(text) > longest or "\n" in text or _NO_TEXT.search(text) or _IDENTIFIER.fullmatch(text):
        return ""
    return "" if is_repeated(text, after) else text


def place(before: str, after: str) -> str:
    """The place of a template.

    Args:
        before: The text before it.
        after: The text after it on its line.

    Returns:
        ``field`` of a table or of another template; ``alone`` on its line; ``begins`` a list item, or a line whose text
        does not continue it; ``hangs``: follows a word or stop directly, as a note does; ``stop``: between two
        sentences; ``word``: elsewhere in prose.
    """
    line = before.rpartition("\n")[2]
    if _is_field(line):
        return "field"
    lead = _LIST.sub("", _BESIDE.sub("", line))
    has_lead = bool(_LETTER.search(lead))
    if not has_lead and not _LETTER.search(_BESIDE.sub("", after.partition("{{")[0])):
        return "alone"
    if not has_lead and (_ITEM.match(line) or (not lead and after and after[0] not in " '\"" and not _goes_on(after))):
        return "begins"
    if _hangs(before, after):
        return "hangs"
    following = after.lstrip(" \u00a0'\"")[:1]
    return "stop" if lead.rstrip(_CLOSERS)[-1:] in tuple(_STOPS) and not following.islower() else "word"


def content(args: list[str]) -> str:
    """The content of a template's positional arguments.

    Returns:
        ``file`` (or address), ``code`` (or coordinates), ``number``, ``choice`` (a language or colour, and words), a
        ``sentence`` or more, or ``words``.
    """
    first, second = args[0], args[1] if len(args) > 1 else ""
    if _NO_TEXT.search(first) and not _COLOUR.fullmatch(first):
        return "file"
    if sum(bool(_NUMBER.fullmatch(arg)) for arg in args) > _MOST_NUMBERS:
        return "code"
    if _NUMBER.fullmatch(first):
        return "number"
    if _is_choice(first):
        return "choice" if _LETTER.search(second) and not _is_code(second) else "code"
    if _is_code(first) or _IDENTIFIER.fullmatch(first) or not _LETTER.search(first):
        return "code"
    return "sentence" if len(first) >= _LEAST_QUOTATION and first.rstrip(_CLOSERS)[-1:] in tuple(_STOPS) else "words"


def is_below_prose(before: str) -> bool:
    """Whether there is prose above the line of a template."""
    above = before.rpartition("\n")[0].rstrip()
    return above[-1:] not in ("", "=", "}", "|") and bool(_LETTER.search(above.rpartition("\n")[2]))


def is_of_file(body: str) -> bool:
    """Whether a template has an address or names a file, so that its sentence lacks no word."""
    return "://" in body or bool(_MEDIA.search(body.partition("|")[2].partition("|")[0]))


def is_titled(name: str, before: str) -> bool:
    """Whether a template is in the label of a link to a page of its name: ``[[TeX|{{TeX}}]]``."""
    link = _LABEL.search(before)
    if not link or not 0 < len(name) <= WINDOW:
        return False
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", link[1], re.IGNORECASE) is not None


def is_within_sentence(before: str, after: str) -> bool:
    """Whether a template stands in a sentence as a word does, so that the sentence lacks its text.

    Text with an address or an ISBN is a source and no sentence.

    Args:
        before: The text before it.
        after: The text after it on its line.
    """
    before = before.rpartition("\n")[2]
    if _CITED.search(before) or _CITED.search(after):
        return False
    lead = _LIST.sub("", _BESIDE.sub("", before)).rstrip()
    if not _LETTER.search(lead) or _is_field(before) or _hangs(before, after):
        return False
    following = after.lstrip(" \u00a0'\"")[:1]
    return lead.rstrip(_CLOSERS)[-1:] not in tuple(_STOPS) or following.islower()


def _is_field(line: str) -> bool:
    """Whether a template after this text belongs to a table or another template, and not to a link's label."""
    return bool(_FIELD.search(line) or (_GIVEN.search(line) and not _LABEL.search(line)))


def _goes_on(after: str) -> bool:
    """Whether the text continues a sentence, and starts no new one: a hatnote comes before a new one."""
    return bool(_NO_SPACES.match(after)) or not (_LETTER.match(after) or after[0] == "[")


def _is_clear(text: str, stands: str, before: str) -> bool:
    """Whether a call of a name without a kind may show text: it starts no item as flags and sources do."""
    if stands == "begins" and (text.count(" ") < _FEWEST_SPACES or not _ITEM.match(before.rpartition("\n")[2])):
        return False
    return not (text[:1].isdecimal() and before[-1:].strip(" \u00a0('$€£¥₹") and _STANDS.search(before))


def _is_code(text: str) -> bool:
    return bool(_CODE.fullmatch(text)) or (len(text) <= _LONGEST_CODE and text.isupper())


def _is_choice(text: str) -> bool:
    return bool(_LANGUAGE.fullmatch(text) or _COLOUR.fullmatch(text))


def _own(named: dict[str, str], name: str, lang: str) -> str:
    """The text of a template with named arguments alone: that of the page's language, or of the template's own name."""
    text = named.get(lang.partition("-")[0]) or (named.get(name.casefold()) if len(named) == 1 else None) or ""
    return "" if "\n" in text or len(text) > _LONGEST or _NO_TEXT.search(text) else text


def _second(args: list[str]) -> str:
    """The second argument after an empty first one, if it holds words."""
    second = args[1] if len(args) > 1 else ""
    return second if _LETTER.search(second) and content([second]) == "words" and len(second) <= _LONGEST else ""


def _text(args: list[str], name: str, lang: str) -> str:
    first, second = args[0], args[1] if len(args) > 1 else ""
    if _NUMBER.fullmatch(first):
        return "" if _LONG_DIGITS.search(first) or len(first) > _LONGEST_NUMBER else _figure(args, name, lang)
    if _ROMAN.fullmatch(first) and _WORD_NAME.fullmatch(name) and not name.isupper():
        return f"{name} {first}"
    if _is_choice(first) and (_LETTER.search(second) or _COLOUR.fullmatch(first)):
        return "" if _is_code(second) and not second.isdecimal() else second
    if any(_ITEM_NUMBER.fullmatch(arg) for arg in args) or _LOOKUP.fullmatch(name.partition(" ")[0]):
        return ""
    if _COMPLETED.fullmatch(f"{first}|{second}"):
        return f"{first} {second}"
    if _PAGE.match(first) and not _NO_TEXT.search(first) and _LETTER.search(second):
        return second
    return "" if _is_code(first) or not _LETTER.search(first) else first


def _figure(args: list[str], name: str, lang: str) -> str:
    """A number with its unit, its month and year, or the acronym in the template's name."""
    first, *others = args
    numbers = sum(bool(_NUMBER.fullmatch(arg)) for arg in args)
    if len(others) > 1 and _is_date(first, others[0], others[1]):
        return " ".join(args[:3])
    if numbers > _MOST_NUMBERS:  # coordinates, dates, rows of numbers
        return ""
    units = [arg for arg in others if arg.strip("-") and not _NUMBER.fullmatch(arg)]
    if len(name) > 1 and name in _UNIT_NAMES:
        return f"{first} {name}"
    if not units:
        is_named = _ACRONYM.search(name) and not _PUNCTUATED.search(first)
        return "" if len(args) > 1 else f"{name} {first}" if is_named else first
    if _NUMBER.fullmatch(others[0]):
        return ""
    if others[0] in ("", "-") or (units[0] in _PREFIXES and len(units) > 1 and units[1] in _BASE_UNITS):
        return f"{first} {''.join(units[: 1 + (others[0] not in ('', '-'))])}"
    if is_link(others[0]):
        return convert(args, lang)
    if len(units[0]) == 1 and units[0].islower() and units[0] not in _UNIT_NAMES:  # an option
        return first
    return convert(args, lang) if _UNIT.fullmatch(units[0]) else ""


def _is_date(day: str, month: str, year: str) -> bool:
    return day.isdecimal() and int(day) <= 31 and len(month) > 2 and month.isalpha() and year.isdecimal()


def _quotation(args: list[str], before: str, *, is_usual: bool) -> str:
    """The text of a block quotation: the first argument, if the name is for quotations, or if it is a sentence.

    The sentence starts with quotation marks or is below prose; notices are below headings.
    """
    text = args[0]
    if not (_LEAST_USUAL if is_usual else _LEAST_QUOTATION) <= len(text) <= _LONGEST_QUOTATION or _NO_TEXT.search(text):
        return ""
    if is_usual:
        return text if _LETTER.search(text) else ""
    is_prose = text.rstrip(_CLOSERS)[-1:] in tuple(_STOPS)
    return text if is_prose and (text.lstrip("'")[:1] in _QUOTES or is_below_prose(before)) else ""


def _hangs(before: str, after: str) -> bool:
    """Whether it follows a word or stop directly, as a note does, and does not stand as a word."""
    if _STANDS.search(before):
        return False
    return not (_NO_SPACES.match(before[-1:]) and _NO_SPACES.match(after[:1].lstrip("'[") or after[1:2]))


def is_repeated(text: str, after: str) -> bool:
    """Whether the text after a template repeats the text that it would show."""
    following = _PLAIN.sub("", after.partition("{{")[0].replace("&nbsp;", " ")).lstrip()
    return len(text) > 1 and not text.isdecimal() and _PLAIN.sub("", text).casefold() in following[:_NEAR].casefold()


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
