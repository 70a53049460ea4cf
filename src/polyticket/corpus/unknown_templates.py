"""What templates that nothing defines show within a sentence: their positional text, unless they show nothing.

Of a template in neither the table nor the dump there is only its use to go by. One that stands as a word does, with
prose on its line, shows its text: the first positional argument, the second where the first is a language's code, a
number with its unit. One that hangs on the word or stop before it, as notes do, shows nothing; nor does one whose
arguments are codes, coordinates, addresses, files or mostly named ones, nor one whose text follows it at once, as the
country follows its flag, nor one that begins a list item with a word or two. One that stands alone shows text only if
that is a sentence, and prose stands above: a quotation. What is shown stands in the wikitext; no words are made.
"""

import re

from polyticket.corpus.inline_numbers import convert
from polyticket.corpus.inline_templates import arguments

WINDOW = 100
"""Characters before and after a template that are looked at."""
_LONGEST, _LONGEST_QUOTATION = 200, 5000
_LEAST_QUOTATION = 60
_LETTER = re.compile(r"[^\W\d_]")
_NUMBER = re.compile(r"[−-]?\d[\d.,\u00a0 ]*(?:/\d+)?")
_UNIT = re.compile(r"°?[^\W\d_]{1,5}[23²³]?(?:/[a-z]{1,3})?")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z]{2,8})*")
_CODE = re.compile(r"[A-Z]{1,3}|[a-z]{2,3}|[A-Z0-9_-]{1,8}")
_NO_TEXT = re.compile(
    r"https?:|//|\.(?:jpe?g|png|svg|gif|og[gav]|webm|wav|mp3|pdf)\b|=|^\s*[|!{*#:]|\[\[[^\[\]|:]+:", re.IGNORECASE
)
_STOPS, _CLOSERS = ".!?…।॥。！？։؟۔", " \n\"'»”’」』)]"
_NO_SPACES = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
"""Letters of scripts that part words by no spaces, or hang endings on them."""
_BESIDE = re.compile(r"\[\[[^\[\]|]+:[^\[\]]*\]\]|</?[A-Za-z][^<>]*>")
"""What is no prose beside a template: files, categories, tags."""
_FIELD = re.compile(r"^\s*(?:[|!]|#\w+:)|(?:\|\||!!|\|)[\s']*$")
"""How a line of a table or of fields begins, or what a function is given."""
_IDENTIFIER = re.compile(r"(?=[^ ]*[a-z])(?=[^ ]*[A-Z])(?=[^ ]*[0-9_])[A-Za-z0-9_-]{8,}")
_PROSE_ABOVE = re.compile(r"[^\W\d_][^\n]*[^\s=}|][^\S\n]*\n*$")
_CITED = re.compile(r"://|\bISBN\b")
_FEWEST_SPACES = 4
_LONGEST_NUMBER, _NEAR = 9, 40
_PREFIXES = frozenset("YZEPTGMkhdcmµμnpfazy")
_BASE_UNITS = frozenset(
    (
        "m",
        "g",
        "s",
        "A",
        "K",
        "J",
        "W",
        "V",
        "N",
        "l",
        "L",
        "B",
        "b",
        "T",
        "F",
        "H",
        "C",
        "Hz",
        "Pa",
        "eV",
        "bit",
        "m/s",
    )
)
_STANDS = re.compile(r"(?:^|[\s(\[{（「『《〈【“„‘«‹\"'>/=–—―-])$")
_LIST = re.compile(r"^\s*[*#:;]*\s*")
_PLAIN = re.compile(r"\[\[(?:[^\[\]|]*\|)?|\]\]|'{2,}")


def shown(body: str, before: str, after: str, lang: str) -> str:
    """What a reader most likely sees of an unknown template; empty if nothing.

    Args:
        body: The template without its braces; templates within are written out, or hidden, already.
        before: What stands before it, at most `WINDOW` characters of it.
        after: What stands after it on its line, alike.
        lang: The code of the page's Wikipedia.
    """
    if "|" not in body:
        return ""
    args, named = arguments(body)
    if not args or not args[0] or len(named) > len(args) + 1:
        return ""
    above, _, before = before.rpartition("\n")
    lead = _LIST.sub("", _BESIDE.sub("", before))
    if not _LETTER.search(lead) and not _LETTER.search(_BESIDE.sub("", after.partition("{{")[0])):
        return _quotation(args) if _PROSE_ABOVE.search(above) else ""
    if _FIELD.search(before) or (not lead and after and after[0] not in " '\"" and not _goes_on(after)):
        return ""
    text = _text(args, lang)
    if before and not lead and text.count(" ") < _FEWEST_SPACES:  # begins a list item, as flags and sources do
        return ""
    if text[:1].isdecimal() and before[-1:].strip(" \u00a0('") and _STANDS.search(before):
        return ""
    if not text or len(text) > _LONGEST or "\n" in text or _NO_TEXT.search(text) or _IDENTIFIER.fullmatch(text):
        return ""
    return "" if _hangs(before, after) or _is_repeated(text, after) else text


def is_within_sentence(before: str, after: str) -> bool:
    """Whether a template stands in a sentence as a word does, so that the sentence misses what it showed.

    Near an address or an ISBN there is a source and no sentence.

    Args:
        before: What stands before it.
        after: What stands after it on its line.
    """
    before = before.rpartition("\n")[2]
    if _CITED.search(before) or _CITED.search(after):
        return False
    lead = _LIST.sub("", _BESIDE.sub("", before)).rstrip()
    if not _LETTER.search(lead) or _FIELD.search(before) or _hangs(before, after):
        return False
    following = after.lstrip(" \u00a0'\"")[:1]
    return lead.rstrip(_CLOSERS)[-1:] not in tuple(_STOPS) or following.islower()


def _goes_on(after: str) -> bool:
    """Whether a sentence goes on after its first word, and none begins anew: a hatnote stands before one."""
    return bool(_NO_SPACES.match(after)) or not (_LETTER.match(after) or after[0] == "[")


def _text(args: list[str], lang: str) -> str:
    first, second = args[0], args[1] if len(args) > 1 else ""
    if _NUMBER.fullmatch(first) and len(first) < _LONGEST_NUMBER:
        numbers = sum(bool(_NUMBER.fullmatch(arg)) for arg in args)
        if numbers > 2:  # coordinates, dates in some order, rows of figures
            return ""
        units = [arg for arg in args[1:] if arg and not _NUMBER.fullmatch(arg)]
        if not units:
            return first if len(args) == 1 else ""
        if _NUMBER.fullmatch(args[1]):
            return ""
        if args[1] == "" or (units[0] in _PREFIXES and len(units) > 1 and units[1] in _BASE_UNITS):
            return f"{first} {''.join(units[: 1 + (args[1] != '')])}"
        return convert(args, lang) if _UNIT.fullmatch(units[0]) else ""
    if _LANGUAGE.fullmatch(first) and _LETTER.search(second):
        return "" if _CODE.fullmatch(second) else second
    return "" if _CODE.fullmatch(first) or not _LETTER.search(first) else first


def _quotation(args: list[str]) -> str:
    """The text of a block quotation: the first argument, if it is a sentence or more."""
    text = args[0]
    if not _LEAST_QUOTATION <= len(text) <= _LONGEST_QUOTATION or _NO_TEXT.search(text):
        return ""
    return text if text.rstrip(_CLOSERS)[-1:] in tuple(_STOPS) else ""


def _hangs(before: str, after: str) -> bool:
    """Whether it hangs on what stands before it, as a note does, and does not stand as a word."""
    if _STANDS.search(before):
        return False
    return not (_NO_SPACES.match(before[-1:]) and _NO_SPACES.match(after[:1].lstrip("'[") or after[1:2]))


def _is_repeated(text: str, after: str) -> bool:
    """Whether what it would show comes next anyway."""
    following = _PLAIN.sub("", after.replace("&nbsp;", " ")).lstrip()
    return _PLAIN.sub("", text).casefold() in following[:_NEAR].casefold()
