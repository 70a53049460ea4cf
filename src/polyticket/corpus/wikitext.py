"""Wikitext of an article -> simpler wikitext that says the same, so that the extractor loses nothing a reader sees."""

import re

from polyticket.corpus.literal import FORMULA, hide, hide_names, hide_references

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
    (see `polyticket.corpus.literal`).
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
