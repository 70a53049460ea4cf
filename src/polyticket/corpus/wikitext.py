"""Text that a reader sees as it is written: kept from all that reads markup, and shown again at the end.

What ``<nowiki>`` holds, what is written by character references (``&lt;div&gt;``), names with underscores around them
(``__init__``) and calls (``printf()``) are no markup. Their ASCII punctuation is hidden: each character becomes one
of a private-use plane, which nothing takes for markup, and comes back with `show`.
"""

import re
from html import unescape
from string import punctuation

FORMULA = "\ufffc"
"""Unicode's object replacement character: it stands in articles where a page shows a formula."""

_FIRST = 0x10FE00
_HIDING = {ord(char): _FIRST + ord(char) for char in punctuation}
_SHOWING = {hidden: char for char, hidden in _HIDING.items()}
_HIDDEN = re.compile(f"[{chr(_FIRST)}-{chr(_FIRST + 0xFF)}]")
_OURS = re.compile(f"[\ue000-\ue007{FORMULA}{chr(_FIRST)}-{chr(_FIRST + 0xFF)}]")

_REFERENCE = re.compile(r"&(?:#0{0,9}[0-9]{1,7}|#[xX]0{0,9}[0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,40});")
_UNREADABLE = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""What no text holds: control characters but white space, halves of surrogate pairs, code points that are none."""

_SWITCHES = """
TOC NOTOC FORCETOC NOGALLERY NOEDITSECTION NEWSECTIONLINK NONEWSECTIONLINK HIDDENCAT EXPECTUNUSEDCATEGORY
EXPECTUNUSEDTEMPLATE INDEX NOINDEX STATICREDIRECT DISAMBIG NOTITLECONVERT NOTC NOCONTENTCONVERT NOCC NOGLOBAL
ARCHIVEDTALK NOTALK INHALTSVERZEICHNIS INHALTSVERZEICHNIS_ERZWINGEN KEIN_INHALTSVERZEICHNIS KEINE_GALERIE
ABSCHNITTE_NICHT_BEARBEITEN SOMMAIRE AUCUNSOMMAIRE FORCERSOMMAIRE AUCUNEGALERIE TDM AUCUNETDM TDC NOTDC FORZARTDC
FORZAR_TDC NOGALERIA SEMTDC FORCARTDC SEMGALERIA SUMARIO SEMSUMARIO INDICE NOINDICE FORZA_INDICE GEENINHOUD INHOUD
INHOUD_DWINGEN BEZSPISU SPIS WYMUSZAJ_SPIS BEZGALERII
notoc toc forcetoc noeditsection nogallery
"""
_SWITCH = re.compile(f"__(?:{'|'.join(_SWITCHES.split())})__")
"""MediaWiki's switches in ASCII letters, in its own and some other languages; some of them may be small."""
_UNDERSCORED = re.compile(r"__(?=[^\W_])\w{1,60}?__(?!\w)")
_ALONE = re.compile(r"(?m)^[ \t]*+((?:__\w{1,60}?__[ \t]*+)++)$")
_CALL = re.compile(r"\(\)(?<=[\w'\]>]\(\))")


def hide(text: str) -> str:
    """The text with its character references written as what they stand for, and its ASCII punctuation hidden."""
    return (_REFERENCE.sub(_unescaped, text) if "&" in text else text).translate(_HIDING)


def hide_references(text: str) -> str:
    """The text with punctuation that is written by character references hidden, and unreadable references gone.

    ``&lt;`` and ``&#91;`` are no markup. What refers to another character stays as it is, for later.
    """
    return _REFERENCE.sub(_reference, text) if "&" in text else text


def hide_names(text: str) -> str:
    """The text without MediaWiki's switches, and with other underscored names and with calls hidden.

    A switch is a known word, or holds a letter that is not of ASCII, as those of other languages do and names in
    programs do not, or stands on a line of its own. ``printf()`` is a call; parentheses after a space are none.
    """
    if "__" in text:
        text = _UNDERSCORED.sub(_underscored, _ALONE.sub("", _SWITCH.sub("", text)))
    return _CALL.sub(lambda call: call[0].translate(_HIDING), text) if "()" in text else text


def show(text: str) -> str:
    """The text with what was hidden, and without characters that no text may hold."""
    if text.isprintable():  # faster to tell, and none of these are
        return text
    text = text.translate(_SHOWING) if _HIDDEN.search(text) else text
    return _UNREADABLE.sub("", text)


def without_hidden(text: str) -> str:
    """The text without the characters that are marks here (of lines, formulas, hidden ones): a page may hold any."""
    return _OURS.sub("", text) if _OURS.search(text) else text


def _unescaped(reference: re.Match[str]) -> str:
    """The character that is meant; nothing for one that is none, the reference itself if its name is unknown."""
    char = unescape(reference[0])
    return "" if char == "\ufffd" else _UNREADABLE.sub("", char)


def _reference(match: re.Match[str]) -> str:
    char = _unescaped(match)
    if char.isspace() and char.isascii():
        return " "
    return char.translate(_HIDING) if not char or (len(char) == 1 and ord(char) in _HIDING) else match[0]


def _underscored(match: re.Match[str]) -> str:
    return match[0].translate(_HIDING) if match[0].isascii() else ""


ELEMENT_GONE, TEMPLATE_GONE = "\ue006", "\ue007"
"""Private-use characters where something was taken out, so that a line it stood on alone is not taken for blank."""

_NO_PROSE = (
    "ref|references|gallery|math|chem|ce|timeline|score|graph|imagemap|syntaxhighlight|source|pre|templatedata|mapframe"
    "|maplink|indicator|hiero|includeonly|inputbox|categorytree|templatestyles|style|script"
)
_FORMULAS = ("math", "chem", "ce")
_ELEMENT = re.compile(rf"<!--|<(nowiki|{_NO_PROSE})\b[^<>]*>", re.IGNORECASE)
"""Comments, what is shown as it is written, and elements whose content is no prose."""
_ENDS = {name: re.compile(rf"</\s*{name}\s*>", re.IGNORECASE) for name in ("nowiki", *_NO_PROSE.split("|"))}
_ENDS |= {"": re.compile(r"-->|\Z")}
_UNWRAPPED = re.compile(
    r"</?(?:small|code|q|dfn|del|ins|samp|mark|bdo|time|data|ruby|rb|onlyinclude|noinclude|ref|references|gallery|math|a)"
    r"(?:\s[^<>]*)?/?>|<wbr\s*/?>",
    re.IGNORECASE,
)
"""Tags that go while their content stays; the extractor would drop both, or leave the tag."""
_LIST_ELEMENT = re.compile(r"<(li|dt|dd)\b[^<>]*>[ \t]*", re.IGNORECASE)
_LIST_TAGS = re.compile(r"</?(?:ul|ol|dl)\b[^<>]*>|</(?:li|dt|dd)\s*>", re.IGNORECASE)
_RUBY = re.compile(r"<(rp|rt)\b[^<>]*>[^<>]*(?:</\1\s*>)?", re.IGNORECASE)

_VARIANT = re.compile(r"-\{([^{}]*)\}-")
_RULE = re.compile(r"\s*([a-z]{2,3}(?:-[a-z]+)*)\s*:(.*)", re.DOTALL)
FIRST_VARIANTS = ("zh-hans", "zh-cn", "zh", "sr-ec", "sr-cyrl", "kk-cyrl", "uz-latn", "ku-latn")
"""Which of the forms in ``-{zh-hans:…;zh-hant:…}-`` is taken; without any of these, the one given first."""

_QUOTES = re.compile(r"'{2,}")


def drop_elements(text: str) -> str:
    """Take out comments, references, formulas, galleries and the like, and the tags of what stays.

    `ELEMENT_GONE` stands where an element stood, `FORMULA` where a formula did. What is no markup is hidden
    (see `polyticket.corpus.wikitext`).
    """
    if "<" in text:
        text = _without_elements(text)
    if "<" in text:
        text = _RUBY.sub("", _UNWRAPPED.sub("", text.replace("<brclear", "<br clear")))
        text = _LIST_TAGS.sub("", _LIST_ELEMENT.sub("* ", text))
    return hide_names(hide_references(text))


def without_unread(text: str) -> str:
    """The text without comments, and with what ``<nowiki>`` holds hidden: what is left is read as markup."""
    return _without_elements(text) if "<" in text else text


def _without_elements(text: str) -> str:
    kept: list[str] = []
    unclosed: set[str] = set()  # a name is searched for its end once only, so the time is linear
    place = position = 0
    while match := _ELEMENT.search(text, position):
        name = (match[1] or "").lower()
        end = match if match[0].endswith("/>") else None if name in unclosed else _ENDS[name].search(text, match.end())
        position = end.end() if end else match.end()
        if not end:
            unclosed.add(name)
            continue
        if name == "nowiki" and end is match:  # only parts what stands around it
            continue
        inside = FORMULA if name in _FORMULAS else ELEMENT_GONE
        inside = hide(text[match.end() : end.start()]) if name == "nowiki" else inside
        kept += (text[place : match.start()], inside)
        place = position
    return "".join((*kept, text[place:]))


def choose_variants(text: str) -> str:
    """Write one form where a page gives several, as ``-{zh-hans:发射;zh-hant:發射}-`` and ``-{云}-``.

    Hidden rules (flags ``H``, ``T``, ``D``, ``-``) go; what is shown stays.
    """
    return _VARIANT.sub(_variant, text) if "-{" in text else text


def _variant(match: re.Match[str]) -> str:
    flags, bar, rules = match[1].rpartition("|")
    if bar and {flag.strip() for flag in flags.split(";")} & {"H", "T", "D", "-", "N"}:
        return ""
    forms = {found[1]: found[2] for rule in rules.split(";") if (found := _RULE.fullmatch(rule))}
    if not forms:
        return rules
    return next((forms[name] for name in FIRST_VARIANTS if name in forms), next(iter(forms.values()))).strip()


def drop_quotes(line: str) -> str:
    """Take out the marks of bold and italic type as MediaWiki reads them, keeping an apostrophe before one.

    ``l'''Iliade''`` is an apostrophe and italics. The extractor would write italics in quotation marks.
    """
    runs = list(_QUOTES.finditer(line))
    italic = sum(len(run[0]) == 2 or len(run[0]) >= 5 for run in runs)
    bold = sum(len(run[0]) != 2 for run in runs)
    apostrophe = _apostrophe(line, runs) if italic % 2 and bold % 2 else None
    return _QUOTES.sub(
        lambda run: "'" * (1 if run.start() == apostrophe or len(run[0]) == 4 else max(0, len(run[0]) - 5)), line
    )


def _apostrophe(line: str, runs: list[re.Match[str]]) -> int | None:
    """Where bold is an apostrophe and italic: after a word of one letter, else after a word, else after a space."""
    threes = [run.start() for run in runs if len(run[0]) == 3]

    def rank(place: int) -> int:
        before = line[max(0, place - 2) : place]
        return 2 if before[-1:] in ("", " ") else 0 if len(before) == 1 or before[0] == " " else 1

    return min(threes, key=rank, default=None)


_MARKED_LINE = re.compile(r"^=[^\n]*$", re.MULTILINE)
_HEADING_BEGINS = re.compile(r"={1,6}[^=\n]")
_COMMENT_AFTER = re.compile(r"=[ \t]*+<!--")
_FALSE_HEADING = re.compile(r"^(?==)", re.MULTILINE)
_LIST_MARK = re.compile(r"^(?!#\w+:)(?=:*+[*#;])[*#;:]++[ \t]*+(?=[^\s*#;:])", re.MULTILINE)
_NOW = re.compile(r"\{\{\s*(?:CURRENT|LOCAL)(YEAR|MONTH|DAY|HOUR|TIME)\s*\}\}")
_TIMESTAMP = re.compile(r"(?P<YEAR>\d{4})-(?P<MONTH>\d\d)-(?P<DAY>\d\d)T(?P<TIME>(?P<HOUR>\d\d):\d\d:\d\d)")

DEEPEST_PARENTHESES = 8
"""How deep empty parentheses may stand in each other to be taken out."""

_LINE_END = re.compile("\r\n?")
_SEPARATOR = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
"""What Python takes for line ends, and MediaWiki does not."""
_PLACEHOLDER = re.compile(r"(?:formula|codice)_\d+")
_EMPTY_PARENTHESES = re.compile(r"(?<![ \t\u00a0])[ \t\u00a0]*+[(（][\s,;:،、；：，.…/–—-]*+[)）]")
_EDGES = re.compile(
    r"([(（])[ \t\u00a0]*+[,;،؛、；，][\s,;،؛、；，]*+(?=[^)）])"
    r"|(?<=[^\s(（,;،؛、；，])\s*+[,;،؛、；，][\s,;،؛、；，]*+([)）])"
)
_ODD_PARENTHESIS = re.compile(
    r"[(（](?=[\s,;:،؛、；：，.…/–—-]*+[)）]|[ \t\u00a0]*+[,;،؛、；，])|[)）](?<=[\s,;،؛、；，].)"
)
"""What there is of parentheses wherever one of the two above is found; it is looked for in a fifth of their time."""
_PARAMETER = re.compile(r"\{\{\{[^{}]*\}\}\}")
_TAG = re.compile(
    r"</?(?:ref|references|noinclude|includeonly|small|div|span|br|sup|sub|center|font|li|ul|p|nowiki)\b[^<>]*>"
)
_STRAY_LINK = re.compile(r"\[\[(?:[^\[\]|\n]{0,80}\|)?|\]\]")
"""Brackets of links that nothing opens or closes."""


def prepare(wikitext: str, timestamp: str) -> tuple[str, int]:
    """Change a template's wikitext so that the extractor gives sentences, all of them, and the same on every day.

    Headings go, since a heading is no sentence. List items become indented lines, which the extractor keeps
    where it drops list items. Words for the present time (``{{CURRENTYEAR}}``) become the revision's time.

    Args:
        wikitext: A template's wikitext.
        timestamp: The revision's time, ISO 8601.

    Returns:
        The changed wikitext, and the number of headings left out.
    """
    wikitext = present_time(wikitext, timestamp)
    headings = sum(map(_is_heading, _MARKED_LINE.findall(wikitext)))
    wikitext = _MARKED_LINE.sub(lambda line: "" if _is_heading(line[0]) else line[0], wikitext)
    # What is left of such lines goes on after its second mark: text, which the extractor would take for a heading.
    wikitext = _FALSE_HEADING.sub(":", wikitext)
    return _LIST_MARK.sub(":", wikitext), headings


def line_feeds(wikitext: str) -> str:
    """Wikitext whose lines end with line feeds, without the last one; other separators (U+2028) become spaces."""
    if "\r" in wikitext:
        wikitext = _LINE_END.sub("\n", wikitext)
    wikitext = _SEPARATOR.sub(" ", wikitext) if _SEPARATOR.search(wikitext) else wikitext
    return wikitext.removesuffix("\n")


def _is_heading(line: str) -> bool:
    """Whether a line ends as it begins, with equality signs, be it before a comment."""
    begins = _HEADING_BEGINS.match(line)
    if not begins:
        return False
    rest = line[begins.end() :].rstrip(" \t")
    return rest.endswith("=") or (rest.endswith("-->") and bool(_COMMENT_AFTER.search(rest, 0, len(rest) - 3)))


def present_time(wikitext: str, timestamp: str) -> str:
    """Replace words for the present time by the revision's time (ISO 8601), if that is known."""
    made = _TIMESTAMP.match(timestamp)
    return _NOW.sub(lambda word: made[word[1]], wikitext) if made else wikitext


def clean(text: str) -> str:
    """Take out what the extractor leaves of formulas and of templates that it drops.

    Placeholders (``formula_1``, ``codice_1``) become `FORMULA`, parentheses that hold nothing but punctuation go, runs
    of spaces become one, and so do empty lines. What punctuation a dropped word left at a parenthesis' edge goes too,
    and so do tags of references, parameters that nothing filled, and brackets of broken links.

    Args:
        text: Plain text, a paragraph a line.

    Returns:
        The paragraphs that are left, one a line; an empty string if none is.
    """
    if "_" in text:
        text = _PLACEHOLDER.sub(FORMULA, text)
    if "{{{" in text:
        text = _PARAMETER.sub("", text)
    if "<" in text:
        text = _TAG.sub("", text)
    if "[[" in text or "]]" in text:
        text = _STRAY_LINK.sub("", text)
    if ("(" in text or "（" in text) and _ODD_PARENTHESIS.search(text):
        text = _EDGES.sub(lambda edge: edge[1] or edge[2], text)
        for _ in range(DEEPEST_PARENTHESES):
            text, found = _EMPTY_PARENTHESES.subn("", text)
            if not found:
                break
    text = text.replace("\t", " ").replace("\u00a0", " ")
    while "  " in text:  # each time half as many stand in a row; faster than a pattern that finds every space
        text = text.replace("  ", " ")
    lines = map(str.strip, text.split("\n"))
    return "\n".join(line for line in lines if line)
