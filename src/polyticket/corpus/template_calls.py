"""Calls of templates as they stand in wikitext: their places in the text around them, and what their arguments hold."""

import re

WINDOW = 100
"""Characters before and after a template that are read."""
LEAST_QUOTATION = 60
LETTER = re.compile(r"[^\W\d_]")
NUMBER = re.compile(r"[−-]?\d[\d.,\u00a0 ]*(?:/\d+)?")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z]{2,8})*")
_CODE = re.compile(r"[A-Z]{1,3}|[a-z]{2,3}|[A-Z0-9_-]{1,8}")
NO_TEXT = re.compile(
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
IDENTIFIER = re.compile(r"\d[\d-]{8,15}[\dX]|(?=[^ ]*[a-z])(?=[^ ]*[A-Z])(?=[^ ]*[0-9_])[A-Za-z0-9_-]{8,}")
_CITED = re.compile(r"://|\bISBN\b")
_NEAR, _LONGEST_CODE = 40, 3
MOST_NUMBERS = 2
COLOUR = re.compile(
    r"#?[0-9A-Fa-f]{6};?|#[0-9A-Fa-f]{3};?|(?:dark|light|medium|deep)?(?:aqua|black|blue|brown|crimson|cyan|gold|gray|grey"
    r"|green|indigo|khaki|lime|magenta|maroon|navy|olive|orange|orchid|pink|purple|red|salmon|silver|tan|teal|turquoise"
    r"|violet|white|yellow);?"
)
_LABEL = re.compile(r"\[\[([^\[\]|]*)\|[^\[\]|]*$")
_WIDE_STOPS = tuple("。、，；：！？・")
"""Marks without a space behind them."""
STANDS = re.compile(r"(?:^|[\s(\[{（「『《〈【“„‘«‹\"'>/=–—―$€£¥₹-]|&nbsp;)$")
_LIST = re.compile(r"^\s*[*#:;]*\s*")
ITEM = re.compile(r"^\s*[*#:;]")
_PLAIN = re.compile(r"\[\[(?:[^\[\]|]*\|)?|\]\]|'{2,}")


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
    has_lead = bool(LETTER.search(lead))
    if not has_lead and not LETTER.search(_BESIDE.sub("", after.partition("{{")[0])):
        return "alone"
    if not has_lead and (ITEM.match(line) or (not lead and after and after[0] not in " '\"" and not _goes_on(after))):
        return "begins"
    if _hangs(before, after):
        return "hangs"
    following = after.lstrip(" \u00a0'\"")[:1]
    return "stop" if ends_sentence(lead) and not following.islower() else "word"


def content(args: list[str]) -> str:
    """The content of a template's positional arguments.

    Returns:
        ``file`` (or address), ``code`` (or coordinates), ``number``, ``choice`` (a language or colour, and words), a
        ``sentence`` or more, or ``words``.
    """
    first, second = args[0], args[1] if len(args) > 1 else ""
    if NO_TEXT.search(first) and not COLOUR.fullmatch(first):
        return "file"
    if sum(bool(NUMBER.fullmatch(arg)) for arg in args) > MOST_NUMBERS:
        return "code"
    if NUMBER.fullmatch(first):
        return "number"
    if is_choice(first):
        return "choice" if LETTER.search(second) and not is_code(second) else "code"
    if is_code(first) or IDENTIFIER.fullmatch(first) or not LETTER.search(first):
        return "code"
    return "sentence" if len(first) >= LEAST_QUOTATION and ends_sentence(first) else "words"


def ends_sentence(text: str) -> bool:
    """Whether a text ends with a stop, behind which quotation marks and brackets may be closed."""
    return text.rstrip(_CLOSERS)[-1:] in tuple(_STOPS)


def is_code(text: str) -> bool:
    """Whether an argument is a code, as of a country or a currency, and no word."""
    return bool(_CODE.fullmatch(text)) or (len(text) <= _LONGEST_CODE and text.isupper())


def is_choice(text: str) -> bool:
    """Whether an argument is the code of a language or a colour, so that the text is in the next one."""
    return bool(_LANGUAGE.fullmatch(text) or COLOUR.fullmatch(text))


def is_below_prose(before: str) -> bool:
    """Whether there is prose above the line of a template."""
    above = before.rpartition("\n")[0].rstrip()
    return above[-1:] not in ("", "=", "}", "|") and bool(LETTER.search(above.rpartition("\n")[2]))


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
    if not LETTER.search(lead) or _is_field(before) or _hangs(before, after):
        return False
    following = after.lstrip(" \u00a0'\"")[:1]
    return not ends_sentence(lead) or following.islower()


def _is_field(line: str) -> bool:
    """Whether a template after this text belongs to a table or another template, and not to a link's label."""
    return bool(_FIELD.search(line) or (_GIVEN.search(line) and not _LABEL.search(line)))


def _goes_on(after: str) -> bool:
    """Whether the text continues a sentence, and starts no new one: a hatnote comes before a new one."""
    return bool(_NO_SPACES.match(after)) or not (LETTER.match(after) or after[0] == "[")


def _hangs(before: str, after: str) -> bool:
    """Whether it follows a word or stop directly, as a note does, and does not stand as a word."""
    if STANDS.search(before):
        return False
    joins = _NO_SPACES.match(before[-1:]) or before[-1:] in _WIDE_STOPS
    return not (joins and _NO_SPACES.match(after[:1].lstrip("'[") or after[1:2]))


def is_repeated(text: str, after: str) -> bool:
    """Whether the text after a template repeats the text that it would show."""
    following = _PLAIN.sub("", after.partition("{{")[0].replace("&nbsp;", " ")).lstrip()
    return len(text) > 1 and not text.isdecimal() and _PLAIN.sub("", text).casefold() in following[:_NEAR].casefold()
