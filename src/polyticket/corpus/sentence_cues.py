"""Cues of sentence ends, in all scripts: marks that may end a sentence, quotations and brackets, and word forms.

A token is the text between spaces; a word is a token without the marks around it.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

import sentencex

from polyticket.core.languages import splitter_of

FULL_STOPS = "։؝؞؟۔܀܁܂߹࠷࠹࠽࠾।॥။።፧፨᙮᜵᜶។៕᠃᠉᥄᥅᪨᪩᪪᪫᭎᭏᭚᭛᭞᭟᭽᭾᭿᰻᰼᱾᱿⳹⳺⳻⸮⸼⹓⹔⹠⹡꓿꘎꘏꛳꛷꡶꡷꣎꣏꤯꧈꧉꩝꩞꩟꫰꫱꯫︒︕︖﹖﹗！？｡。．\u05c3\u10fb"
"""Unicode's sentence terminals of the basic plane without those below and the Burmese comma; Hebrew, Georgian."""
EXCLAMATIONS = "!?‼‽⁇⁈⁉…⋯"
"""Marks of all scripts, which names and titles may hold too."""
POINTS = ".․﹒"
"""Marks of both abbreviations and sentences."""

LONGEST_BLOCK = 50_000
"""Most code points of a text that are split at once."""

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
"""Marks that are typed for a full stop of their script."""

_CLOSERS = (
    r"(?:[)\]}'’”»›」』】》〉）］｝〕〗〙〛｣〞〟﹂﹄⦆\u200b-\u200f\u2060\ufeff¹²³⁰⁴-⁹]|\"(?!\w)|\s?\[\d+\]"
    r"|[“‘«‹](?=[\s.,;:!?)]|$)|\s[»›”](?=[\s.,;:!?)]|$)|\s\"(?=[\s.,;:!?)]|$))*"
)
_STOPS = f"{FULL_STOPS}{EXCLAMATIONS}{POINTS}"
TYPED = frozenset("|ǀ৷፡:;\u037e-_")
"""Marks that may be typed for full stops, see `is_look_alike`."""


def ends_pattern(dashes: bool) -> re.Pattern[str]:
    """The pattern of possible sentence ends: group 1 is the mark, and closing marks follow it.

    Args:
        dashes: Whether a dash may be the Urdu full stop.
    """
    marks = rf"[{_STOPS}|ǀ৷፡:;\u037e{'_-' if dashes else ''}]"
    # A set of characters comes first: the search is fast. A point in a number or an address ends nothing.
    scripts = f"{_ETHIOPIC}፡ .․\\d{_ARMENIAN}{_GREEK}"
    return re.compile(
        rf"({marks}(?<!\.(?=[0-9a-z]))(?<!។(?=ល។))(?<![^{scripts}][:;])(?:(?<=[፡:]) ?[፡:])?[{_STOPS}|]*){_CLOSERS}"
    )


def is_look_alike(text: str, place: int) -> bool:
    """Whether the mark at `place` is typed for a full stop."""
    return _LOOK_ALIKE.match(text, place) is not None


_SOUTH_EAST = "\u0e00-\u0e4f\u0e5a-\u0ecf\u0eda-\u0f1f\u0f34-\u0fff\u1780-\u17df"
_CLAUSE_END = re.compile(
    rf"(?:[།༎༑།།។៕]+(?!ល។)|(?<=[\u0f0b\u0f40-\u0fbc])\|+){_CLOSERS}\s*"
    rf"|(?:(?<=[{_SOUTH_EAST}]{{5}}[.])|[!?…]+|(?<=[{_SOUTH_EAST}])(?=[\s)\]»”\"'])){_CLOSERS}\s+(?=[{_SOUTH_EAST}«“(])(?![ๆฯໆຯៗ។៕])"
)
"""A clause mark, or a space, except beside a number, a foreign word or an abbreviation."""


def spaced(text: str) -> str:
    """The text with single spaces for runs of white space, and none around it."""
    if text.isprintable() and "  " not in text:  # a fast check; the space is the only printable white space
        return text.strip(" ")
    return " ".join(text.split())


def blocks(text: str, longest: int = LONGEST_BLOCK) -> list[str]:
    """A text in blocks of at most `longest` code points, cut at spaces if there are any.

    Prose has no such paragraphs. Blocks bound the time of steps that are not linear.
    """
    parts, begin = [], 0
    while len(text) - begin > longest:
        end = text.rfind(" ", begin + 1, begin + longest) + 1 or begin + longest
        parts.append(text[begin:end])
        begin = end
    return [*parts, text[begin:]]


def clauses(text: str) -> list[str]:
    """Split text of a script without sentence marks, at spaces and clause marks.

    Args:
        text: A paragraph whose white space is single spaces.
    """
    parts, begin = [], 0
    for end in _CLAUSE_END.finditer(text):
        parts.append(text[begin : end.end()].rstrip())
        begin = end.end()
    return [part for part in (*parts, text[begin:]) if part]


NEVER_BEGIN = frozenset(
    FULL_STOPS + ",;:،؛՝՛·၊၏、，；：%‰)]}」』】》〉）］｝〕〗〙〛｣〞〟’”»›?!.…\u0f0b\u1361\u1363\u1364\u1365\u1366"
)
"""Characters that start no sentence: commas, closing marks, and signs that belong to the number or word before."""
_BOTH = frozenset("»”’›“")


def opens(text: str) -> bool:
    """Whether a closing mark at the start of a word opens a quotation, as in German, Swedish or Finnish."""
    return text[0] in _BOTH and text[1:2].isalnum()


OPENERS = "\"'“”„‟‘’‚‹›«»「『【《〈（([{［｛〔〖｢〝¿¡-–—―*•·ʻʼ\u200b-\u200f\u2060\ufeff"
OPENING = re.compile(rf"[\s{re.escape(OPENERS)}]*")

LONGEST_QUOTATION = 250
"""Most code points of a quotation or of brackets that may keep a sentence whole."""
_QUOTE = re.compile(r"[\"“”„‟«»‹›「」『』【】《》〈〉（）()\[\]〔〕｢｣〝〞〟]")
_PAIRS = dict(
    zip("「『【《〈（([〔｢〝", ("」", "』", "】", "》", "〉", "）", ")", "]", "〕", "｣", "〞〟"), strict=True)
)
_SHAPES = {"«": "»", "»": "«", "“": "”", "„": "“", "”": "”“", "‟": "”", "‹": "›", "›": "‹", '"': '"'}
_ALSO_CLOSE = {"„": '“”"„', "“": "”“", "”": "”“", "«": "»", "»": "«»", "‹": "›", "›": "‹›", '"': '"', "‟": "”“"}


def is_unspaced(letter: str) -> bool:
    """Whether a character is of a script without spaces between words: Han, Hiragana, Katakana."""
    return _NO_SPACES.match(letter) is not None


def quotations(text: str) -> list[tuple[int, int]]:
    """The places where quotations and brackets open and close, in the order of their ends.

    A mark opens if white space or an opening mark is before it and not after it, and closes in the opposite case.
    Between two letters (Hebrew acronyms) or after a number (inches) it does neither. A quotation without an end, or of
    more than `LONGEST_QUOTATION` characters, does not count.
    """
    spans: list[tuple[int, int]] = []
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
                    spans.append((start, place))
                    del waiting[depth:]
                    break
    return spans


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


MOST_CACHED = 2**17
MOST_KNOWN = 9
"""Most letters of words that are looked up in sentencex's lists."""
_VOWEL = re.compile("[aeiouyæøœəıаеиоуыэюяєіѣөүұәαεηιουωաեէըիոօւაეიოუ]", re.IGNORECASE)
_VOWELLED = re.compile(r"[a-z\u00c0-\u024fа-џ\u0490-\u052fα-ωա-ևა-ჰ]+", re.IGNORECASE)
_UNSPACED_TAIL = re.compile("[^\u3005-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff]*$")
_ACRONYM = re.compile(r"[^\W\d_][\"״”'’׳][^\W\d_]")
_PREFIX = re.compile(r"^[a-zA-Z][a-z]{0,3}(?=[A-Z][a-z])")
"""A prefix before a name's capital, as in isiZulu."""
CLITIC = re.compile("['’ʼ][a-z]")
"""A word without a capital at a sentence start, in Afrikaans and Dutch; the next word has it."""
_SUFFIXED = re.compile(r"\d[-–'’](?!ca?$)[^\W\d_]+$")
YEAR = re.compile(r"[^\w]*\d{4}(?!\d|[.,]\d)")
"""A number that starts sentences as often as words do."""
_LAST_PART = re.compile(r"[-–—/(„“«\[]")
_ELIDED = re.compile(r"(?:[a-zA-Z\u00c0-\u024f]{0,3}[^\W\d_aeiouyAEIOUY]|[Qq]u)['’](?=[a-zA-Z\u00c0-\u024f])")
_BEFORE = OPENERS + "/…’'"
AFTER = ",;:!?)]}»”“\"'’‘›」』】،؛…-–—*"
_AROUND = "".join(sorted({*_BEFORE, *AFTER, ".", *FULL_STOPS}))
_CAMEL = re.compile(r"[^\W\d_]{1,5}[^\W\d_a-z]|['’ʼ][a-z][\s-]?[A-Z]")
_FIRST = re.compile(r"[^\W\d_]|\d")


def is_small(letter: str) -> bool:
    """Whether a letter is lower case, in a script whose sentences start with capitals; Georgian sentences never do."""
    return letter.islower() and not "\u10d0" <= letter <= "\u10ff"


def is_cased(letter: str) -> bool:
    """Whether a letter belongs to a script with capitals."""
    return letter.lower() != letter.upper() and not "\u10d0" <= letter <= "\u10ff"


def length(word: str) -> int:
    """The number of letters and digits, without combining marks."""
    return sum(map(str.isalnum, word))


@lru_cache(2**16)
def key_of(token: str) -> str:
    """The counted form of a word before a point: without opening marks, after the last hyphen or elision.

    It is empty if the token ends with a closing mark or a suffix of a number: the point then ends a sentence.
    """
    if not token or ((not token[-1].isalnum()) and unicodedata.category(token[-1])[0] != "M"):
        return ""
    if _SUFFIXED.search(token):
        return ""
    word = _LAST_PART.split(token.lstrip(_BEFORE))[-1]
    word = _PREFIX.sub("", word)
    if '"' in word and word[0] < "\u0250":
        word = word.rpartition('"')[2]
    if "'" in word or "’" in word:
        elided = _ELIDED.match(word)
        word = word[elided.end() :] if elided else word
    if len(word) > 1 and not word.isascii():
        tail = _UNSPACED_TAIL.search(word)
        if tail and tail[0]:
            word = tail[0]
    return word


def first_of(token: str) -> str:
    """The first letter or digit of the next word, or the capital of a name that starts in lower case; else empty."""
    match = _FIRST.search(token)
    if not match:
        return ""
    first = match[0]
    if is_small(first):
        camel = _CAMEL.match(token, max(0, match.start() - 1)) or _CAMEL.match(token, match.start())
        if camel and camel[0][-1].isupper():
            return camel[0][-1]
    return first


def word_of(token: str) -> str:
    """The counted form of the next word."""
    return token.lstrip(_BEFORE).rstrip(AFTER + "." + FULL_STOPS)


_ALSO = {
    "de": frozenset({"geb", "hl", "Ste"}),
    "en": frozenset({"incl", "Pte", "Ste"}),
    "nl": frozenset({"dhr", "mevr"}),
    "vi": frozenset({"BS", "GS", "KTS", "TP", "ThS"}),
}
"""Abbreviations that sentencex's lists lack or that look like acronyms."""


class Prior:
    """Log-odds that a word before a point is an abbreviation, by its form and by sentencex's lists."""

    def __init__(self, lang: str) -> None:
        self.code = splitter_of(lang)[1]
        self._cache: dict[str, float] = {}

    def __call__(self, word: str) -> float:
        """The log-odds, for a word without its point."""
        odds = self._cache.get(word)
        if odds is None:
            if len(self._cache) > MOST_CACHED:
                self._cache.clear()
            odds = self._cache[word] = self._odds(word)
        return odds

    def _odds(self, word: str) -> float:
        letters = length(word)
        if not letters or not word[0].isalnum():
            return -8.0
        if any(map(str.isdigit, word)) or _ACRONYM.search(word):
            return -5.0
        if word in _ALSO.get(self.code, ()):
            return 5.0
        if _is_unspaced(word[-1]):
            return -8.0
        if "." in word.strip("."):
            longest = max(map(length, word.split(".")))
            return 6.0 if longest == 1 else 4.0 if longest == 2 else 1.5 if longest == 3 else -4.0
        if letters > 1 and word.isupper():
            return -2.5 if letters == 2 else -4.0  # an acronym
        odds = (3.0, -0.7, -2.2, -3.5, -4.5, -5.5)[letters - 1] if letters <= 6 else -7.0
        if letters == 1:
            return odds if len(word) == 1 else 0.3  # an initial; a syllable
        if letters <= 3 and word.istitle():
            odds += 0.8
        elif letters == 2 and len(word) > 2:
            odds -= 1.8  # two syllables, of a script whose letters carry vowel signs
        if letters <= 4 and not _VOWEL.search(unicodedata.normalize("NFD", word)) and _VOWELLED.fullmatch(word):
            odds = max(odds, 1.0)
        if letters > MOST_KNOWN or not self.is_known(f"{word}."):
            return odds
        return (
            max(odds + 4.0, 1.0) if letters <= 6 else odds + 4.0
        )  # the lists hold some long words that are no abbreviations

    def is_known(self, word: str) -> bool:
        """Whether sentencex ends no sentence after a word with its mark: an abbreviation, or ``Yahoo!``."""
        return len(sentencex.segment(self.code, f"Abcd {word} Xyzw vuts.")) == 1


def _is_unspaced(letter: str) -> bool:
    return "\u3005" <= letter <= "\u30ff" or "\u3400" <= letter <= "\u9fff" or "\uac00" <= letter <= "\ud7a3"


def before_number(word: str, is_common: bool) -> float:
    """Log-odds that a sentence continues after a word's point before a number, by its length: ``n. 1``, ``Kap. 3``."""
    letters = (length(word) + len(word)) // 2  # vowel signs count half
    if word and _is_unspaced(word[-1]):
        return -4.0
    short = 1.0 if letters <= 2 or (letters == 3 and word.istitle()) else 0.4
    return (short if letters <= 3 else -0.6 if letters == 4 else -1.5 if letters == 5 else -2.0) - is_common
