"""Wikitext, made simpler before the extractor reads it, and plain text, cleaned after it.

Literal text is hidden from all code that reads markup, and shown again at the end.

The content of ``<nowiki>``, character references (``&lt;div&gt;``), names between underscores (``__init__``) and calls
(``printf()``) are no markup. `hide` replaces their ASCII punctuation by private-use characters, `show` restores it.
"""

import re
from html import unescape
from string import punctuation


def word_set(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


FORMULA = "\ufffc"
"""Unicode's object replacement character, which stands for a formula in articles."""

_FIRST = 0x10FE00
_HIDING = {ord(char): _FIRST + ord(char) for char in punctuation}
_SHOWING = {hidden: char for char, hidden in _HIDING.items()}
_HIDDEN = re.compile(f"[{chr(_FIRST)}-{chr(_FIRST + 0xFF)}]")
_OURS = re.compile(f"[\ue000-\ue007{FORMULA}{chr(_FIRST)}-{chr(_FIRST + 0xFF)}]")

_FIRST_BYTES = ("\ue000".encode()[:1], FORMULA.encode(), chr(_FIRST).encode()[:1])

_REFERENCE = re.compile(r"&(?:#0{0,9}[0-9]{1,7}|#[xX]0{0,9}[0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,40});")
_UNREADABLE = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""Characters that no text may hold: control characters except white space, lone surrogates, noncharacters."""

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
"""MediaWiki's switches in ASCII letters, in English and some other languages; some may be in lower case."""
_UNDERSCORED = re.compile(r"__(?=[^\W_])\w{1,60}?__(?!\w)")
_ALONE = re.compile(r"(?m)^[ \t]*+((?:__\w{1,60}?__[ \t]*+)++)$")
_NAME_END = "_'$@%&*+=!?~^<>]"
_CALL = re.compile(rf"\(\)(?<=[\w{re.escape(_NAME_END + _NAME_END.translate(_HIDING))}]\(\))(?:\(\))*+")


def hide(text: str) -> str:
    """The text with its character references replaced by their characters, and its ASCII punctuation hidden."""
    return (_REFERENCE.sub(_unescaped, text) if "&" in text else text).translate(_HIDING)


def hide_references(text: str) -> str:
    """The text with punctuation of character references hidden, and without unreadable references.

    ``&lt;`` and ``&#91;`` are no markup. References to other characters stay, numeric ones as `plain_references`.
    """
    return _REFERENCE.sub(_reference, text) if "&" in text else text


def plain_references(text: str) -> str:
    """The text with numeric references in decimal, as HTML reads them: ``&#x92;`` and ``&#X2019;`` are ``&#8217;``."""
    return _REFERENCE.sub(_plain, text) if "&#" in text else text


def hide_names(text: str) -> str:
    """The text without MediaWiki's switches, and with other underscored names and calls hidden.

    A switch is a known word, holds a letter outside of ASCII (as in other languages, not in programs), or is alone
    on its line. ``printf()`` and ``$()`` are calls; parentheses after a space or a stop are not.
    """
    if "__" in text:
        text = _UNDERSCORED.sub(_underscored, _ALONE.sub("", _SWITCH.sub("", text)))
    return _CALL.sub(lambda call: call[0].translate(_HIDING), text) if "()" in text else text


def show(text: str) -> str:
    """The text with hidden characters shown, and without characters that no text may hold."""
    if text.isprintable():  # a fast check, and none of these are printable
        return text
    text = text.translate(_SHOWING) if _HIDDEN.search(text) else text
    return _UNREADABLE.sub("", text)


def without_hidden(text: str) -> str:
    """The text without the characters that serve as marks here (lines, formulas, hidden text): a page may hold any."""
    # In UTF-8, a search for the first byte of these characters takes a quarter of the pattern's time.
    encoded = text.encode("utf-8", "surrogatepass")
    return _OURS.sub("", text) if any(first in encoded for first in _FIRST_BYTES) else text


def _unescaped(reference: re.Match[str]) -> str:
    """The character of a reference; nothing for a noncharacter, the reference itself if its name is unknown."""
    char = unescape(reference[0])
    return "" if char == "\ufffd" else _UNREADABLE.sub("", char)


def _reference(match: re.Match[str]) -> str:
    char = _unescaped(match)
    if char.isspace() and char.isascii():
        return " "
    return char.translate(_HIDING) if not char or (len(char) == 1 and ord(char) in _HIDING) else _plain(match)


def _plain(match: re.Match[str]) -> str:
    if match[0][1] != "#":
        return match[0]
    char = _unescaped(match)
    return f"&#{ord(char)};" if char else ""


def _underscored(match: re.Match[str]) -> str:
    return match[0].translate(_HIDING) if match[0].isascii() else ""


ELEMENT_GONE, TEMPLATE_GONE = "\ue006", "\ue007"
"""Private-use characters in the place of removed text: a line of nothing else does not count as blank."""
GONE = ELEMENT_GONE + TEMPLATE_GONE
BLOCK = "\ue000"
"""Stands where a block begins or ends within a line of wikitext: a list item, ``<div>``, a quotation."""

DEEPEST_PARENTHESES = 8
"""Most levels of empty parentheses that are removed."""
_HOLLOW = re.compile(f"(?<!')('{{2,5}})([ {GONE}]*[{GONE}] *)\\1(?!')")
"""Marks of bold or italic type around nothing but removed text."""
_PAIRS = {
    **{"„": "“”", "“": "”", "‘": "’", "‚": "‘’", "«": "»", "‹": "›", "「": "」", "『": "』", "《": "》", "〈": "〉"},
    **{"｢": "｣", "〝": "〞〟", "【": "】", "〔": "〕", "[": "]", "(": ")", "（": "）"},
}
_EITHER = {'"': '"', "'": "'", "»": "«»", "›": "‹", "”": "”", "’": "’", "‘": "‘", "“": "“"}
"""The same with a first mark that may also close: it stands after a space or an opening mark."""
_PAIR, _PAIR_OF_EITHER = (
    re.compile(
        rf"([{re.escape(''.join(pairs))}])[\s,;:،、；：，.…/–—-]*+[{GONE}][\s,;:،、；：，.…/–—{GONE}-]*+"
        rf"([{re.escape(''.join({*''.join(pairs.values())}))}])"
    )
    for pairs in (_PAIRS, _EITHER)
)
"""Quotation marks or brackets around nothing but removed text."""
_BEFORE_QUOTATION = re.compile(rf"(?:^|[\s{GONE}(\[（„“«「])\Z")


def without_hollow(text: str) -> str:
    """The text without marks of type, quotation marks and brackets around nothing but removed text."""
    for _ in range(DEEPEST_PARENTHESES):
        before = text
        text = _HOLLOW.sub(r"\2", text) if "''" in text else text
        text = _PAIR_OF_EITHER.sub(_either, _PAIR.sub(_pair, text))
        if text == before:
            break
    return text


def _pair(match: re.Match[str]) -> str:
    return TEMPLATE_GONE if match[2] in _PAIRS[match[1]] else match[0]


def _either(match: re.Match[str]) -> str:
    text, start, end = match.string, match.start(), match.end()
    stands = _BEFORE_QUOTATION.search(text[max(0, start - 1) : start]) and not text[end : end + 1].isalnum()
    return TEMPLATE_GONE if stands and match[2] in _EITHER[match[1]] else match[0]


_NO_PROSE = (
    "ref|references|gallery|math|chem|ce|timeline|score|graph|imagemap|syntaxhighlight|source|pre|templatedata|mapframe"
    "|maplink|indicator|hiero|includeonly|inputbox|categorytree|templatestyles|style|script"
)
_FORMULAS = ("math", "chem", "ce")
_ELEMENT = re.compile(rf"<!--|<(nowiki|{_NO_PROSE})\b[^<>]*>", re.IGNORECASE)
"""Comments, literal text, and elements whose content is no prose."""
_INLINE = re.compile(
    r"<(?:syntaxhighlight|source)(?:\s++[\w-]++(?:\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+'|[^\s\"'>]++))?+)*?\s++inline(?=[\s=/>])",
    re.IGNORECASE,
)
"""Code within a line, as ``<code>``."""
_ENDS = {name: re.compile(rf"</\s*{name}\s*>", re.IGNORECASE) for name in ("nowiki", *_NO_PROSE.split("|"))}
_ENDS |= {"": re.compile(r"-->|\Z")}
_UNWRAPPED = re.compile(
    r"</?(?:small|code|q|dfn|del|ins|samp|mark|bdo|time|data|ruby|rb|onlyinclude|noinclude|ref|references|gallery|math|a)"
    r"(?:\s[^<>]*)?/?>|<wbr\s*/?>",
    re.IGNORECASE,
)
"""Tags that are removed while their content stays; the extractor would drop both, or leave the tag."""
_CODE = re.compile(
    r"(<(code|kbd|samp|tt|var)\b[^<>]*+(?<!/)>)((?:(?!</?\2\b).)*+)(?=</\2\s*>)", re.IGNORECASE | re.DOTALL
)
_LITERAL = re.compile(r"\A\s*+[*#:;=|!]++|\{\|(?!\|)|\|\}(?!\})|\([^\w(){}\ue006\ue007]*+\)")
"""Code that would be a table, the mark of a line, or empty parentheses, without the tags around it."""
_LIST_ELEMENT = re.compile(r"<(?:li|dt|dd)\b[^<>]*>[ \t]*", re.IGNORECASE)
_LIST_TAGS = re.compile(
    r"<(?:/(?:ul|ol|dl)\s*+>[ \t]*+(?P<more>(?=[^\s<]))|/?(?:ul|ol|dl)\b[^<>]*>|/(?:li|dt|dd)\s*>)", re.IGNORECASE
)
_BLOCK_TAG = r"</?(?:div|blockquote)\b[^<>]*>[ \t]*+"
_BLOCKS = re.compile(rf"{_BLOCK_TAG}(?:{_BLOCK_TAG}|<br\b[^<>]*>[ \t]*+)*+", re.IGNORECASE)
_CLOSING = re.compile(r"</\w+\s*>\Z")
_RUBY = re.compile(r"<(rp|rt)\b[^<>]*>[^<>]*(?:</\1\s*>)?", re.IGNORECASE)

_VARIANT = re.compile(r"-\{([^{}]*)\}-")
_RULE = re.compile(r"\s*([a-z]{2,3}(?:-[a-z]+)*)\s*:(.*)", re.DOTALL)
FIRST_VARIANTS = ("zh-hans", "zh-cn", "zh", "sr-ec", "sr-cyrl", "kk-cyrl", "uz-latn", "ku-latn")
"""Preferred forms in ``-{zh-hans:…;zh-hant:…}-``; without any of these, the first one."""

_QUOTES = re.compile(r"'{2,}")


def drop_elements(text: str) -> str:
    """Remove comments, references, formulas, galleries and the like, and the tags around other text.

    `ELEMENT_GONE` replaces an element, `FORMULA` a formula; `BLOCK` parts blocks that share a line. Literal text is
    hidden, and code within a line.
    """
    if "<" in text:
        text = _without_elements(text)
    if "<" in text:
        text = _CODE.sub(lambda code: code[1] + _LITERAL.sub(lambda mark: mark[0].translate(_HIDING), code[3]), text)
        text = _RUBY.sub("", _UNWRAPPED.sub("", text.replace("<brclear", "<br clear")))
        text = _LIST_TAGS.sub(lambda tag: "" if tag["more"] is None else BLOCK, text)
        text = _LIST_ELEMENT.sub(lambda tag: f"{BLOCK}* " if _goes_before(tag) else "* ", text)
        text = _BLOCKS.sub(lambda tags: BLOCK if _goes_before(tags) and _goes_after(tags) else tags[0], text)
    return hide_names(hide_references(text))


def _goes_before(tag: re.Match[str]) -> bool:
    """Whether text stands before a tag on its line, or the end of a tag around text."""
    text, place = tag.string, tag.start()
    while place and text[place - 1] in " \t":
        place -= 1
    return place > 0 and (text[place - 1] not in "\n>" or bool(_CLOSING.search(text[max(0, place - 20) : place])))


def _goes_after(tags: re.Match[str]) -> bool:
    """Whether text follows tags on their line, or a tag around text."""
    following = tags.string[tags.end() : tags.end() + 2]
    if following[:1] == "<":
        return following[1:2].isalpha()
    return not following[:1].isspace() and following != ""


def without_unread(text: str) -> str:
    """The text without comments, and with the content of ``<nowiki>`` hidden."""
    return _without_elements(text) if "<" in text else text


def _without_elements(text: str) -> str:
    kept: list[str] = []
    unclosed: set[str] = set()  # the end of each name is searched once, so the time is linear
    place = position = 0
    while match := _ELEMENT.search(text, position):
        name = (match[1] or "").lower()
        end = match if match[0].endswith("/>") else None if name in unclosed else _ENDS[name].search(text, match.end())
        position = end.end() if end else match.end()
        if not end:
            unclosed.add(name)
            continue
        if name == "nowiki" and end is match:  # separates the text around it
            continue
        inside = FORMULA if name in _FORMULAS else ELEMENT_GONE
        if name == "nowiki":
            inside = hide(text[match.end() : end.start()])
        elif end is not match and _INLINE.match(match[0]):
            inside = " ".join(text[match.end() : end.start()].split()).translate(_HIDING)
        kept += (text[place : match.start()], inside)
        place = position
    return "".join((*kept, text[place:]))


def choose_variants(text: str) -> str:
    """Choose one form where a page gives several, as ``-{zh-hans:发射;zh-hant:發射}-`` and ``-{云}-``.

    Hidden rules (flags ``H``, ``T``, ``D``, ``-``) are removed.
    """
    return _VARIANT.sub(_variant, text) if "-{" in text else text


def _variant(match: re.Match[str]) -> str:
    flags, bar, rules = match[1].rpartition("|")
    if bar and {flag.strip() for flag in flags.split(";")} & {"H", "T", "D", "-", "N"}:
        return ""
    forms = {form[1]: form[2] for rule in rules.split(";") if (form := _RULE.fullmatch(rule))}
    if not forms:
        return rules
    return next((forms[name] for name in FIRST_VARIANTS if name in forms), next(iter(forms.values()))).strip()


def drop_quotes(line: str) -> str:
    """Remove the marks of bold and italic type as MediaWiki reads them, but keep an apostrophe before them.

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
    """The place of an apostrophe and italics: after a one-letter word, else after a word, else after a space."""
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

_LINE_END = re.compile("\r\n?")
_SEPARATORS = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
"""Line ends for Python, but not for MediaWiki."""
_PLACEHOLDER = re.compile(r"(?:formula|codice)_\d+")
_EMPTY_PARENTHESES = re.compile(r"(?<![ \t\u00a0])[ \t\u00a0]*+[(（](?!(?:\.\.\.|…)[)）])[\s,;:،、；：，.…/–—-]*+[)）]")
_EDGES = re.compile(
    r"([(（])[ \t\u00a0]*+[,;،؛、；，][\s,;،؛、；，]*+(?=[^)）])"
    r"|(?<=[^\s(（,;،؛、；，])\s*+[,;،؛、；，][\s,;،؛、；，]*+([)）])"
)
_ODD_PARENTHESIS = re.compile(
    r"[(（](?=[\s,;:،؛、；：，.…/–—-]*+[)）]|[ \t\u00a0]*+[,;،؛、；，])|[)）](?<=[\s,;،؛、；，].)"
)
"""A parenthesis of either pattern above; the search takes a fifth of their time."""
_PARAMETER = re.compile(r"\{\{\{[^{}]*\}\}\}")
_TAG = re.compile(
    r"</?(?:ref|references|noinclude|includeonly|small|div|span|br|sup|sub|center|font|li|ul|p|nowiki)\b[^<>]*>"
)
_STRAY_LINK = re.compile(r"\[\[(?:[^\[\]|\n]{0,80}\|)?|\]\]")
"""Unpaired brackets of links."""


def prepare(wikitext: str, timestamp: str) -> tuple[str, int]:
    """Change a template's wikitext so that the extractor keeps all sentences, and the same on each day.

    Headings are removed: they are no sentences. List items become indented lines, since the extractor drops list items.
    Words for the present time (``{{CURRENTYEAR}}``) become the revision's time.

    Args:
        wikitext: A template's wikitext.
        timestamp: The revision's time, ISO 8601.

    Returns:
        The changed wikitext, and the number of removed headings.
    """
    wikitext = plain_references(present_time(wikitext, timestamp))
    headings = sum(map(_is_heading, _MARKED_LINE.findall(wikitext)))
    wikitext = _MARKED_LINE.sub(lambda line: "" if _is_heading(line[0]) else line[0], wikitext)
    # The rest of such lines is text, which the extractor would read as a heading.
    wikitext = _FALSE_HEADING.sub(":", wikitext)
    return _LIST_MARK.sub(":", wikitext), headings


def line_feeds(wikitext: str) -> str:
    """Wikitext with line feeds as line ends, without the last one; other separators (U+2028) become spaces."""
    if "\r" in wikitext:
        wikitext = _LINE_END.sub("\n", wikitext)
    for separator in _SEPARATORS:
        wikitext = wikitext.replace(separator, " ")
    return wikitext.removesuffix("\n")


def _is_heading(line: str) -> bool:
    """Whether a line starts and ends with equality signs, apart from a comment at its end."""
    begins = _HEADING_BEGINS.match(line)
    if not begins:
        return False
    rest = line[begins.end() :].rstrip(" \t")
    return rest.endswith("=") or (rest.endswith("-->") and bool(_COMMENT_AFTER.search(rest, 0, len(rest) - 3)))


def present_time(wikitext: str, timestamp: str) -> str:
    """Replace words for the present time by the revision's time (ISO 8601), if it is known."""
    revision = _TIMESTAMP.match(timestamp)
    return _NOW.sub(lambda word: revision[word[1]], wikitext) if revision else wikitext


def clean(text: str) -> str:
    """Remove the rests of formulas and dropped templates from the extractor's text.

    Placeholders (``formula_1``, ``codice_1``) become `FORMULA`. Parentheses without words, punctuation at the edge of
    parentheses, tags of references, unfilled parameters, brackets of broken links and empty lines are removed; a run of
    spaces becomes one space.

    Args:
        text: Plain text, a paragraph per line.

    Returns:
        The paragraphs with text, one per line; an empty string if there is none.
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
            text, removed = _EMPTY_PARENTHESES.subn("", text)
            if not removed:
                break
    text = text.replace("\t", " ").replace("\u00a0", " ")
    while "  " in text:  # halves each run; faster than a pattern that finds every space
        text = text.replace("  ", " ")
    lines = map(str.strip, text.split("\n"))
    return "\n".join(line for line in lines if line)


def keep_spaces(wikitext: str) -> str:
    """Wikitext whose spaces within guillemets do not break: the extractor would remove them."""
    return wikitext.replace("« ", "«\u00a0").replace(" »", "\u00a0»").replace("» :", "»\u00a0:")
