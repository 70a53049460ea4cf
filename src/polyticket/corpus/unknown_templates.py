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
(``{{IETF RFC|675}}``). Functions and modules (``{{#invoke:Stats|area|France}}``) show nothing. All that is shown comes
from the wikitext; no words are invented.
"""

import re

from polyticket.corpus.template_calls import (
    COLOUR,
    IDENTIFIER,
    ITEM,
    LEAST_QUOTATION,
    LETTER,
    MOST_NUMBERS,
    NO_TEXT,
    NUMBER,
    STANDS,
    content,
    ends_sentence,
    is_below_prose,
    is_choice,
    is_code,
    is_repeated,
    is_titled,
    place,
)
from polyticket.corpus.template_table import arguments, convert, is_link
from polyticket.corpus.wikitext import word_set

_LONGEST, _LONGEST_USUAL, _LONGEST_QUOTATION, _LONGEST_NUMBER = 200, 1000, 5000, 30
_UNIT = re.compile(r"°?(?:e(?:[369]|12))?[^\W\d_]{1,5}[23²³]?(?:/[a-z]{1,3}[23]?)?|[CF]-change|Celsius|oilbbl")
_FEWEST_SPACES = 4
_LONG_DIGITS = re.compile(r"\d{9}")
"""Digits of an identifier of books and records; numbers in prose have fewer."""
_PUNCTUATED = re.compile(r"[.,\u00a0 /]")
_PREFIXES = frozenset("YZEPTGMkhdcmµμnpfazy")
_BASE_UNITS = word_set("m g s A K J W V N l L B b T F H C Hz Pa eV bit m/s")
_UNIT_NAMES = word_set("m km cm mm nm g kg mg t l ml s h ha b °C °F Hz kHz MHz GHz W kW MW V eV")
"""Units, as names or arguments of templates."""
_ACRONYM = re.compile(r"(?<![^\W\d_])[A-Z]{2,}(?![^\W\d_])")
_ROMAN = re.compile(r"[IVXLC]{1,8}")
_CENTURY = re.compile(
    r"s[eéè]c\.?|s(?:e|é|è|iè|ie|i)(?:c|g)(?:le?|lo|olo|ulo|ol)|wiek|век|вік|jh\.?|thế kỷ", re.IGNORECASE
)
"""Names that are a word or abbreviation for a century."""
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
_FUNCTION = re.compile(
    r"\s*(?:(?:safe)?subst:\s*)?(?:#|(?:int|nse?|(?:local|full|canonical)urle?|filepath|anchorencode|grammar|gender"
    r"|plural|bidi|special|pagesincategory|pagesize|protection(?:level|expiry))\s*:)",
    re.IGNORECASE,
)
"""The start of a call of a parser function, whose arguments are no words of the text."""
_LEAST_USUAL = 20
_QUOTES = frozenset('«»“”„‚‘‹「『《"')


def shown(body: str, before: str, after: str, lang: str, kind: str | None = None) -> str:
    """The text that an unknown template most likely shows; empty if it shows nothing.

    Args:
        body: The template without its braces; templates within it are written out, or hidden.
        before: The text before it, at most `WINDOW` characters.
        after: The text after it on its line, at most `WINDOW` characters.
        lang: The code of the page's Wikipedia.
        kind: The kind of its name, if it has one.
    """
    if kind in ("nothing", "lookup") or _FUNCTION.match(body):
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
    if not text or len(text) > longest or "\n" in text or NO_TEXT.search(text) or IDENTIFIER.fullmatch(text):
        return ""
    return "" if is_repeated(text, after) else text


def _is_clear(text: str, stands: str, before: str) -> bool:
    """Whether a call of a name without a kind may show text: it starts no item as flags and sources do."""
    if stands == "begins" and (text.count(" ") < _FEWEST_SPACES or not ITEM.match(before.rpartition("\n")[2])):
        return False
    return not (text[:1].isdecimal() and before[-1:].strip(" \u00a0('$€£¥₹") and STANDS.search(before))


def _own(named: dict[str, str], name: str, lang: str) -> str:
    """The text of a template with named arguments alone: that of the page's language, or of the template's own name."""
    text = named.get(lang.partition("-")[0]) or (named.get(name.casefold()) if len(named) == 1 else None) or ""
    return "" if "\n" in text or len(text) > _LONGEST or NO_TEXT.search(text) else text


def _second(args: list[str]) -> str:
    """The second argument after an empty first one, if it holds words."""
    second = args[1] if len(args) > 1 else ""
    return second if LETTER.search(second) and content([second]) == "words" and len(second) <= _LONGEST else ""


def _text(args: list[str], name: str, lang: str) -> str:
    first, second = args[0], args[1] if len(args) > 1 else ""
    if NUMBER.fullmatch(first):
        return "" if _LONG_DIGITS.search(first) or len(first) > _LONGEST_NUMBER else _figure(args, name, lang)
    if _ROMAN.fullmatch(first):
        is_number = not name.isupper() and (len(first) > 1 or len(args) == 1)  # else a code
        return f"{name} {first}" if _CENTURY.fullmatch(name) else first if is_number else ""
    if is_choice(first) and (LETTER.search(second) or COLOUR.fullmatch(first)):
        return "" if is_code(second) and not second.isdecimal() else second
    if any(_ITEM_NUMBER.fullmatch(arg) for arg in args) or _LOOKUP.fullmatch(name.partition(" ")[0]):
        return ""
    if _COMPLETED.fullmatch(f"{first}|{second}"):
        return f"{first} {second}"
    if _PAGE.match(first) and not NO_TEXT.search(first) and LETTER.search(second):
        return second
    return "" if is_code(first) or not LETTER.search(first) else first


def _figure(args: list[str], name: str, lang: str) -> str:
    """A number with its unit, its month and year, or the acronym in the template's name."""
    first, *others = args
    numbers = sum(bool(NUMBER.fullmatch(arg)) for arg in args)
    if len(others) > 1 and _is_date(first, others[0], others[1]):
        return " ".join(args[:3])
    if numbers > MOST_NUMBERS:  # coordinates, dates, rows of numbers
        return ""
    units = [arg for arg in others if arg.strip("-") and not NUMBER.fullmatch(arg)]
    if len(name) > 1 and name in _UNIT_NAMES:
        return f"{first} {name}"
    if not units:
        is_named = name.count(" ") < 2 and _ACRONYM.search(name) and not _PUNCTUATED.search(first)
        return "" if len(args) > 1 else f"{name} {first}" if is_named else first
    if NUMBER.fullmatch(others[0]):
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
    if not (_LEAST_USUAL if is_usual else LEAST_QUOTATION) <= len(text) <= _LONGEST_QUOTATION or NO_TEXT.search(text):
        return ""
    if is_usual:
        return text if LETTER.search(text) else ""
    is_prose = ends_sentence(text)
    return text if is_prose and (text.lstrip("'")[:1] in _QUOTES or is_below_prose(before)) else ""
