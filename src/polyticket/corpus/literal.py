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
