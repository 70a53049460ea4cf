"""Wikitext of an article -> simpler wikitext that says the same, so that the extractor loses nothing a reader sees."""

import re
from collections.abc import Collection

from polyticket.corpus.literal import FORMULA, hide, hide_names, hide_references

_CONTENT = (
    "media",
    "special",
    "user",
    "wikipedia",
    "project",
    "file",
    "image",
    "mediawiki",
    "template",
    "help",
    "category",
    "portal",
    "draft",
    "module",
    "wp",
)
NAMESPACES = frozenset(f"{name}{talk}" for name in _CONTENT for talk in ("", " talk")) | {"talk"}
"""General names of namespaces, case folded; every wiki knows them beside its own."""
UNLABELLED = frozenset(("file", "image", "category"))
"""Those of them whose links place a picture or a category, so that their labels are no text."""

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

_COLON_LINK = re.compile(r"\[\[(:?)([^\[\]|{}:\n]+):([^\[\]|{}\n]*)(?:\|([^\[\]\n]*))?\]\]")
_FILE = re.compile(
    r"\.(?:jpe?g|png|svg|gif|tiff?|og[gav]|webm|webp|pdf|djvu|mid|wav|mp3|flac|xcf|stl)\s*$", re.IGNORECASE
)
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[a-z]+)*|simple")
"""What a link to another language begins with, in the text; in capitals it is a title."""
_ALONE = re.compile(rf"(?:[\s{ELEMENT_GONE}{TEMPLATE_GONE}]*+\[\[[^\[\]\n]*+\]\])++[\s{ELEMENT_GONE}{TEMPLATE_GONE}]*+")
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


def show_links(text: str, namespaces: Collection[str], labelled: Collection[str] = ()) -> str:
    """Write out links whose title holds a colon and that a reader sees: the extractor would drop them.

    ``[[2001: A Space Odyssey]]`` and ``[[:fr:Chat|chat]]`` are text; files, categories and links to the same page in
    another language are not. Of ``[[Portal:Chemistry|chemistry]]`` the label is, within a line.

    Args:
        text: Wikitext.
        namespaces: The local and the general names of the wiki's namespaces, case folded.
        labelled: Those of them whose links show their labels.
    """
    alone = _Alone(text)
    return _COLON_LINK.sub(lambda match: _shown(match, namespaces, labelled, alone), text)


class _Alone:
    """Tells whether a link's line holds nothing but links; each line is looked at once, since a line may be a page."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._end, self._answer = -1, False

    def __call__(self, place: int) -> bool:
        """Whether it is so at a place of the text, which is not before the place asked for last."""
        if place > self._end:
            start = self._text.rfind("\n", 0, place) + 1
            end = self._text.find("\n", place)
            self._end = len(self._text) if end < 0 else end
            self._answer = bool(_ALONE.fullmatch(self._text, start, self._end))
        return self._answer


def _shown(match: re.Match[str], namespaces: Collection[str], labelled: Collection[str], alone: _Alone) -> str:
    colon, space, title, label = match.groups()
    if colon:
        return label or f"{space}:{title}"
    name = space.strip().replace("_", " ").casefold()
    if name in namespaces or _FILE.search(title):
        is_text = label and "|" not in label and name in labelled and not _FILE.search(title)
        return label if is_text and not alone(match.start()) else match[0]
    if label and "|" in label:  # only files have several parts
        return match[0]
    if label is None and not title[:1].isspace() and (_LANGUAGE.fullmatch(space) or alone(match.start())):
        return match[0]
    return label if label and not alone(match.start()) else match[0] if label else f"{space}:{title}"


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
