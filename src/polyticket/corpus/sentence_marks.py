"""Marks that may end a sentence, in every script, and quotations and brackets that hold what looks like an end."""

import re
from collections.abc import Iterator

FULL_STOPS = "։؝؞؟۔܀܁܂߹࠷࠹࠽࠾।॥။።፧፨᙮᜵᜶។៕᠃᠉᥄᥅᪨᪩᪪᪫᭎᭏᭚᭛᭞᭟᭽᭾᭿᰻᰼᱾᱿⳹⳺⳻⸮⸼⹓⹔⹠⹡꓿꘎꘏꛳꛷꡶꡷꣎꣏꤯꧈꧉꩝꩞꩟꫰꫱꯫︒︕︖﹖﹗！？｡。．\u05c3\u10fb"
"""Unicode's sentence terminals of the basic plane, less what follows and the Burmese comma; Hebrew, Georgian."""
EXCLAMATIONS = "!?‼‽⁇⁈⁉…⋯"
"""Marks that every script uses, and that stand within names and titles too."""
POINTS = ".․﹒"
"""Marks of abbreviations as well as of sentences."""

LONGEST_BLOCK = 50_000
"""Code points of text that are looked at together."""

_UNSPACED = "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_INDIC = "\u0900-\u0963\u0970-\u0dff\u1c50-\u1c7d\ua800-\ua82b\uabc0-\uabea"
_ETHIOPIC, _ARMENIAN, _GREEK = "\u1200-\u135f\u1369-\u137c", "\u0531-\u0587", "\u0370-\u03ff\u1f00-\u1fff"
_NO_SPACES = re.compile(f"[{_UNSPACED}]")
_LOOK_ALIKE = re.compile(
    rf"(?<=[{_INDIC}])[|ǀ৷]+(?=\s|[{_INDIC}]|$)|(?<=[{_INDIC}] )[|ǀ৷]+(?=\s|$)"  # for the danda
    rf"|(?<=[{_ETHIOPIC}])[፡:] ?[፡:]|(?<=[{_ETHIOPIC}] )[፡:] ?[፡:]"  # two word spaces or colons
    rf"|(?<=[{_ARMENIAN}.․]):(?=\s+[«“\"(]?[Ա-Ֆ\d]|$)|(?<=\d):(?=\s+[«“\"(]?[Ա-Ֆ])"
    rf"|(?<=[{_GREEK}])[;\u037e](?=\s+[«“\"(]?[Α-ΩΆΈΉΊΌΎΏ]|$)"
    r"|(?<=[\u0620-\u06d3\u06ee-\u06ff])[-_](?=\s+[\u0620-\u06ff]|$)"  # for the Urdu full stop
)
"""What is typed for a full stop of the script that it stands in."""

_CLOSERS = (
    r"(?:[)\]}'’”»›」』】》〉）］｝〕〗〙〛｣﹂﹄⦆\u200b-\u200f\u2060\ufeff¹²³⁰⁴-⁹]|\"(?!\w)|\s?\[\d+\]"
    r"|[“‘«‹](?=[\s.,;:!?)]|$)|\s[»›”](?=[\s.,;:!?)]|$)|\s\"(?=[\s.,;:!?)]|$))*"
)
_STOPS = f"{FULL_STOPS}{EXCLAMATIONS}{POINTS}"
TYPED = frozenset("|ǀ৷፡:;\u037e-_")
"""Marks that are typed for full stops: see `is_look_alike`."""


def ends_pattern(dashes: bool) -> re.Pattern[str]:
    """What finds each place where a sentence may end: group 1 is the mark, after it come closing marks.

    Args:
        dashes: Whether a dash may stand for the Urdu full stop.
    """
    marks = rf"[{_STOPS}|ǀ৷፡:;\u037e{'_-' if dashes else ''}]"
    # One set of characters comes first, so that the search is fast; a point in a number or an address ends nothing.
    scripts = f"{_ETHIOPIC}፡ .․\\d{_ARMENIAN}{_GREEK}"
    return re.compile(rf"({marks}(?<!\.(?=[0-9a-z]))(?<![^{scripts}][:;])(?:(?<=[፡:]) ?[፡:])?[{_STOPS}|]*){_CLOSERS}")


def is_look_alike(text: str, place: int) -> bool:
    """Whether what stands here is typed for a full stop."""
    return _LOOK_ALIKE.match(text, place) is not None


_SOUTH_EAST = "\u0e00-\u0e4f\u0e5a-\u0ecf\u0eda-\u0f1f\u0f34-\u0fff\u1780-\u17df"
_CLAUSE_END = re.compile(
    rf"(?:[།༎༑།།។៕]+|(?<=[\u0f0b\u0f40-\u0fbc])\|+){_CLOSERS}\s*"
    rf"|(?:(?<=[{_SOUTH_EAST}]{{5}}[.])|[!?…]+|(?<=[{_SOUTH_EAST}])(?=[\s)\]»”\"'])){_CLOSERS}\s+(?=[{_SOUTH_EAST}«“(])(?![ๆฯໆຯៗ])"
)
"""A clause mark, or a space, except beside a number, a foreign word or an abbreviation."""


def spaced(text: str) -> str:
    """The text with single spaces for runs of white space, and none around it."""
    if text.isprintable() and "  " not in text:  # faster to tell; of white space only the space is printable
        return text.strip(" ")
    return " ".join(text.split())


def blocks(text: str) -> list[str]:
    """A text as it is; one longer than `LONGEST_BLOCK` in blocks, cut at spaces where there are any.

    No prose has such paragraphs. Blocks bound what takes more than linear time.
    """
    found, begin = [], 0
    while len(text) - begin > LONGEST_BLOCK:
        end = text.rfind(" ", begin + 1, begin + LONGEST_BLOCK) + 1 or begin + LONGEST_BLOCK
        found.append(text[begin:end])
        begin = end
    return [*found, text[begin:]]


def clauses(text: str) -> list[str]:
    """Cut text of a script without marks at the ends of sentences: at spaces and clause marks.

    Args:
        text: A paragraph whose white space is single spaces.
    """
    found, begin = [], 0
    for end in _CLAUSE_END.finditer(text):
        found.append(text[begin : end.end()].rstrip())
        begin = end.end()
    return [part for part in (*found, text[begin:]) if part]


NEVER_BEGIN = frozenset(
    FULL_STOPS + ",;:،؛՝՛·၊၏、，；：%‰)]}」』】》〉）］｝〕〗〙〛｣’”»›?!.…\u0f0b\u1361\u1363\u1364\u1365\u1366"
)
"""What begins no sentence: commas, closing marks, and what goes with the number or the word before."""
_BOTH = frozenset("»”’›“")


def opens(text: str) -> bool:
    """Whether a closing mark at the beginning of a word opens a quotation, as in German, Swedish or Finnish."""
    return text[0] in _BOTH and text[1:2].isalnum()


OPENERS = "\"'“”„‟‘’‚‹›«»「『【《〈（([{［｛〔〖¿¡-–—―*•·ʻʼ\u200b-\u200f\u2060\ufeff"
OPENING = re.compile(rf"[\s{re.escape(OPENERS)}]*")

LONGEST_QUOTATION = 250
"""Code points of a quotation or of what stands in brackets that may keep a sentence whole."""
_QUOTE = re.compile(r"[\"“”„‟«»‹›「」『』【】《》〈〉（）()\[\]〔〕]")
_PAIRS = dict(zip("「『【《〈（([〔", "」』】》〉）)]〕", strict=True))
_SHAPES = {"«": "»", "»": "«", "“": "”", "„": "“", "”": "”“", "‟": "”", "‹": "›", "›": "‹", '"': '"'}
_ALSO_CLOSE = {"„": '“”"„', "“": "”“", "”": "”“", "«": "»", "»": "«»", "‹": "›", "›": "‹›", '"': '"', "‟": "”“"}


def is_unspaced(letter: str) -> bool:
    """Whether a character is of a script without spaces between words: Han, Hiragana, Katakana."""
    return _NO_SPACES.match(letter) is not None


def quotations(text: str) -> list[tuple[int, int]]:
    """Where quotations and brackets open and close, both within the text, in the order in which they close.

    A mark opens if white space or another opening mark stands before it and none after it, and closes the other way
    round; between two letters (Hebrew acronyms) or after a number (inches) it does neither. What nothing closes, or
    closes only after more than `LONGEST_QUOTATION` characters, is no quotation.
    """
    found: list[tuple[int, int]] = []
    waiting: list[tuple[str, int]] = []
    for mark, place in _marks(text):
        while waiting and place - waiting[0][1] > LONGEST_QUOTATION:
            del waiting[0]
        role = _role(text, mark, place)
        if role == "both":
            role = "close" if any(mark in _ALSO_CLOSE.get(opener, "") for opener, _ in waiting) else "open"
        if role == "open":
            waiting.append((mark, place))
        elif role == "close":
            for depth in range(len(waiting) - 1, -1, -1):
                opener, start = waiting[depth]
                if mark in (_PAIRS.get(opener) or _ALSO_CLOSE.get(opener, "")):
                    found.append((start, place))
                    del waiting[depth:]
                    break
    return found


def _marks(text: str) -> Iterator[tuple[str, int]]:
    return ((match[0], match.start()) for match in _QUOTE.finditer(text))


def _role(text: str, mark: str, place: int) -> str:
    if mark in _PAIRS:
        return "open"
    if mark not in _SHAPES:
        return "close"
    before, after = text[place - 1 : place], text[place + 1 : place + 2]
    bare_before = not before or before.isspace() or before in "([{「『（“„«»‘'-–—/"
    bare_after = not after or after.isspace() or after in ".,;:!?)]}」』）”»…、。，！？।۔։"
    if bare_before != bare_after:
        return "open" if bare_before else "close"
    if mark == '"' and bare_before:
        return "close"
    if mark in "“„«‹":
        return "open"
    if mark in "”»›":
        return "close"
    within = before.isalnum() and after.isalnum() and not is_unspaced(before) and not is_unspaced(after)
    return "neither" if within else "both"
