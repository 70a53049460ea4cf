"""Paragraphs -> sentences, by the marks that may end one and the words around them."""

import json
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator
from operator import itemgetter

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.core.languages import splitter_of as splitter_of
from polyticket.core.text import lines_of
from polyticket.corpus.abbreviations import Knowledge, assume, continuation_odds
from polyticket.corpus.sentence_cues import (
    CLITIC,
    EXCLAMATIONS,
    FULL_STOPS,
    LONGEST_BLOCK,
    LONGEST_QUOTATION,
    MOST_CACHED,
    NEVER_BEGIN,
    POINTS,
    TYPED,
    YEAR,
    Prior,
    before_number,
    blocks,
    clauses,
    ends_pattern,
    first_of,
    is_cased,
    is_look_alike,
    is_small,
    is_unspaced,
    key_of,
    length,
    opens,
    quotations,
    spaced,
    word_of,
)
from polyticket.corpus.wikitext import FORMULA, show

_WORD = re.compile(r"[^\W_]")
_ROMAN = re.compile(r"[IVXLC]{2,}|[IVX]")
_ARMENIAN = re.compile("[\u0561-\u0587]")
_GOES_ON = re.compile(r"[ぁ-ん]|的(?!确)")
"""A continuation after a closing mark without a space."""
_PARTICLE = re.compile(r"を|は(?=[、A-Za-z0-9\u30a0-\u30ff\u4e00-\u9fff])|の(?!ち)|が(?![んっ])|に(?![もわ])|的(?!确)")
_CITED = re.compile(r"\d{1,3}[,.;)]")
"""A number that follows an abbreviation more often than it starts a sentence."""
_DAY = re.compile(r"[0-3]?\d[^\W\d_]{0,2}")
_DASHES = frozenset("-–—")
_FORMULA = re.compile(rf"[(\[]*{FORMULA}")
"""A formula, which may start a sentence as a word does."""
_GLUED = re.compile(r"\w[^\s.,;:!?()]*(?=[\s,])")
"""A word after a mark without a space; addresses have no such word."""
_TITLES, _NAMES = frozenset("「『【《〈（([〔｢〝"), frozenset("『【《〈")
_DATE = re.compile(r"(?<![\d.])\d{4}\. ?(?:1[0-2]|0?[1-9])\. ?(?:[12]\d|3[01]|0?[1-9])\.")
_LONGEST_DATE = 14
_HANGUL = re.compile("[\uac00-\ud7a3]")
_LETTER_NAME = "(?:اے|بی|سی|ڈی|ای|ایف|جی|ایچ|آئی|جے|کے|ایل|ایم|این|او|پی|کیو|آر|ایس|ٹی|یو|وی|ڈبلیو|ایکس|وائی|زیڈ)"
"""English letters in Urdu."""
_INITIAL = re.compile(rf"{_LETTER_NAME}۔")
_ENDS_INITIAL = re.compile(rf"(?<!\w)({_INITIAL.pattern} ?)?{_LETTER_NAME}\Z")
_LONGEST_INITIALS = 14
_DOUBLED = re.compile(r"([A-Z])\1\.[ \u00a0]([A-Z])\2\.")
_AMOUNTS, _ENGLISH = frozenset({"approx"}), frozenset({"en", "sco", "simple"})
"""Abbreviations of words before numbers; English has one more, which is a word of other languages."""
_TOGETHER = tuple(
    (re.compile(word), re.compile(after))
    for word, after in (
        (r"\d[\d,.]*[–—-]ca?", r"\d"),
        (r"[ap]\.m", r"(?:[A-Z]{1,4}T|GMT|UTC)\b|(?:Eastern|Central|Mountain|Pacific) (?:Standard|Daylight|Time)"),
    )
)
"""Words with a point, and what follows them within a sentence."""
# Log-odds that a sentence continues.
_ORDINAL = 2.5
"""After an ordinal of one or two digits, where nouns have capitals."""
_ORDINAL_NAME = 0.3
"""The same where only names have capitals."""
# Added to the log-odds that a sentence continues after a word's point.
_ALONE = 3.0
"""If it is the first word of the sentence: sentences of one word are rare."""
_INITIALS = 2.0
"""If it is an initial beside another."""
_PLURAL_INITIALS = 6.0
"""If it is the first of two doubled initials, as plurals have in Spanish (``EE. UU.``, ``JJ. OO.``)."""
_COUNTED = -3.5
"""If it is a number after an abbreviation, hence no ordinal (``Kap. 4.``)."""
_MEASURED = -3.0
"""If a number is before it, and a capital or a year follows: units have no point (``5 km.``)."""
_MEASURED_NOUN = -0.5
"""The same where nouns have capitals (``2 Mio. Mark``)."""
_COUNTING = 1.0
"""If it is short, a number is before it, and anything else follows."""
_DATED = 1.5
"""If a day is before it and a year follows (``3 Feb. 1907``)."""
SMALL_CORPUS = 100_000
"""Code points below which two letters with a capital count as a word that starts sentences (``He``, ``Il``)."""
_LONGEST_WORD, _MOST_MARKS, _SHORT_INITIAL = 40, 4, 3
"""Most code points of a word, most lone marks before the next word, and code points of an initial and its point."""


def split_paragraph(paragraph: str, lang: str) -> list[str]:
    """Split one paragraph into sentences, without a corpus; drop sentences without letters and digits.

    Args:
        paragraph: Text of one paragraph.
        lang: A Wikipedia's code.
    """
    return [sentence for sentence in Splitter(lang).cut(paragraph) if has_word(sentence)]


class Splitter:
    """Splits the paragraphs of a language into sentences.

    The text around a mark decides whether it ends a sentence: see `polyticket.corpus.abbreviations`. A mark within a
    short quotation or brackets within a sentence never does.

    Attributes:
        vetoed: Points before white space that end no sentence because of the word before them.
    """

    def __init__(self, lang: str, knowledge: Knowledge | None = None) -> None:
        """Make a splitter.

        Args:
            lang: A Wikipedia's code.
            knowledge: The result of `learn` for the language's corpus; without it, `assume`.
        """
        self.knowledge = knowledge or assume(lang)
        self.vetoed = 0
        self._spaces = splitter_of(lang)[0] == "spaces"
        self._prior = Prior(lang)
        self._amounts = _AMOUNTS | ({"est"} if lang in _ENGLISH else set())
        self._ends = ends_pattern(self.knowledge.dashes)
        self._before: dict[str, tuple[float, float]] = {}
        self._after: dict[str, tuple[str, float]] = {}

    def cut(self, paragraph: str) -> list[str]:
        """Split one paragraph into sentences.

        Runs of white space become one space, so no sentence holds a line end, and none is empty.

        Args:
            paragraph: Text of one paragraph.
        """
        text = spaced(paragraph)
        if len(text) > LONGEST_BLOCK:
            return [sentence for block in blocks(text) for sentence in self.cut(block)]
        if self._spaces:
            return clauses(text)
        sentences, begin, size = [], 0, len(text)
        quoted: list[tuple[int, int]] | None = None
        for mark in self._ends.finditer(text):
            end = mark.end()
            if end >= size:
                break
            if not self._is_end(text, begin, mark.start(), mark[1], end):
                continue
            if quoted is None:
                quoted = quotations(text)
            if quoted and _keeps_whole(text, begin, mark.start(), end, quoted):
                continue
            sentences.append(text[begin:end])
            begin = end + (text[end] == " ")
        if begin < size:
            sentences.append(text[begin:])
        return sentences

    def _is_end(self, text: str, begin: int, place: int, mark: str, end: int) -> bool:
        """Whether a mark ends the sentence that starts at `begin`, without regard to quotations."""
        spaced = text[end] == " "
        following = end + spaced
        if text[following] in NEVER_BEGIN and not (spaced and opens(text[following : following + 2])):
            return False
        if mark[0] in TYPED and not is_look_alike(text, place):
            return False
        if not spaced and text[end - 1] in "”’»›“" and text[end].isalpha() and not is_unspaced(text[end]):
            return False  # the sentence continues after the quotation: Burmese, Korean
        if mark[0] in POINTS:
            if len(mark) == 1:
                return (self._point_ends if spaced else self._glued_ends)(text, begin, place, following)
            return spaced and self._mark_ends(text, place, following)
        if mark[0] in EXCLAMATIONS and mark[-1] not in FULL_STOPS:
            if not spaced:
                return mark[0] in "!?؟" and self._glued_ends(text, begin, place, following)
            return self._mark_ends(text, place, following)
        return self._full_stop_ends(text, place, following, spaced)

    def _point_ends(self, text: str, begin: int, place: int, following: int) -> bool:
        """Whether a point before a space ends the sentence."""
        least = max(begin, place - _LONGEST_WORD)
        start = max(text.rfind(" ", least, place) + 1, least)
        token = text[start:place]
        if _ARMENIAN.match(token[-1:]):
            return False  # the Armenian point is a colon
        if start == begin and token.isdigit():  # the number of an item
            return False
        kind, odds = self._following(text, following)
        if kind == "small" or (kind in ("number", "year") and key_of(token) in self._amounts):
            return False
        if token[-1:].isdigit() and _is_in_date(text, place, following):
            return False
        if token[-2:-1] in ".–—-c" and any(
            word.fullmatch(token) and after.match(text, following) for word, after in _TOGETHER
        ):
            return False
        word, number = self._preceding(token)
        shift = _shift(text, begin, start, place, kind)
        if self.knowledge.nouns and shift == _MEASURED:
            shift = _MEASURED_NOUN
        if odds > (number if kind == "number" else word) + shift:
            return True
        self.vetoed += 1
        return False

    def _glued_ends(self, text: str, begin: int, place: int, following: int) -> bool:
        """Whether a mark without a space after it ends the sentence: not within a name, a number or an address."""
        before, after = text[place - 1 : place], text[following]
        if not before or after.isdigit():
            return False
        glued = _GLUED.match(text, following)
        if before in ")]»”“²³" or text[max(0, place - 3) : place].isdigit():
            return glued is not None and length(glued[0]) > 1 and (not is_cased(after) or glued[0].istitle())
        if not before.isalpha() and unicodedata.category(before or " ")[0] != "M":
            return False
        if is_unspaced(after) and is_unspaced(before):
            return True
        start = max(text.rfind(mark, max(begin, place - _LONGEST_WORD), place) for mark in " .") + 1
        word = text[max(start, begin) : place]
        if len(word) < 3 or (before.isupper() and not is_small(before)) or not after.isalpha():
            return False
        if is_small(after):
            return False
        if not glued or length(glued[0]) < 2 or (before.islower() != glued[0][-1].islower()):
            return False
        return self._preceding(word)[0] < -1 and self._begins(glued[0])[1] > -2

    def _mark_ends(self, text: str, place: int, following: int) -> bool:
        """Whether a question mark, an exclamation mark or an ellipsis before a space ends the sentence."""
        if place and text[place - 1] in "([":
            return False
        kind, odds = self._following(text, following)
        if kind == "small":
            return False
        if kind in ("number", "year") or odds > 0:
            return True
        start = text.rfind(" ", max(0, place - _LONGEST_WORD), place) + 1
        return text[place] in POINTS or not self._prior.is_known(text[start : place + 1])

    def _full_stop_ends(self, text: str, place: int, following: int, spaced: bool) -> bool:
        """Whether a full stop of a script ends the sentence: within numbers, names and titles it does not."""
        before = text[place - 1 : place]
        if before in "([" or (not spaced and self._is_within(text, place, following)):
            return False
        if spaced and text[place] == "۔" and text[place - 2 : place - 1] == "۔":
            return False  # ق۔م۔
        if spaced and text[place] == "۔" and _is_initial(text, place, following):
            return False
        if _FORMULA.match(text, following):
            return True
        first = first_of(text[following : following + 8])
        return not (first and is_small(first) and is_cased(before))

    def _is_within(self, text: str, place: int, following: int) -> bool:
        """Whether a full stop without a space after it belongs to a number, an abbreviation or a name."""
        before, after = text[place - 1 : place], text[following]
        if text[place] == "۔" and after.isalnum():
            start = max(text.rfind(mark, max(0, place - _LONGEST_WORD), place) for mark in " ۔") + 1
            word = text[start:place]
            return after.isdigit() or (word not in self.knowledge.closing and length(word) <= 3)
        if text[place] == "．" and before.isalnum() and not is_unspaced(before):
            return True
        digits = before.isdigit() and after.isdigit() and text[place] not in "。！？｡"
        return digits or _PARTICLE.match(text, following) is not None

    def _following(self, text: str, place: int) -> tuple[str, float]:
        """The kind of the next word, and the log-odds that it starts a sentence."""
        dashed, result = False, ("mark", -0.5)
        for _ in range(_MOST_MARKS):
            stop = text.find(" ", place, place + _LONGEST_WORD)
            token = text[place : place + _LONGEST_WORD] if stop < 0 else text[place:stop]
            cached = self._after.get(token)
            if cached is None:
                if len(self._after) > MOST_CACHED:
                    self._after.clear()
                cached = self._after[token] = self._begins(token)
            result = cached
            if result[0] != "mark" or stop < 0 or dashed:
                return ("small", 0.0) if dashed and result[0] in ("number", "year") else result
            dashed = token in _DASHES
            place = stop + 1
        return result

    def _begins(self, token: str) -> tuple[str, float]:
        if _FORMULA.match(token):
            return ("word", -0.5)
        first = first_of(token)
        if not first or CLITIC.fullmatch(token):
            return ("mark", -0.5)
        if first.isdigit():
            return ("year", -1.0) if YEAR.match(token) else ("number", -1.0 if _CITED.match(token) else 0.0)
        word = word_of(token)
        known = self.knowledge.starts.get(word)
        if self.knowledge.case and is_small(first):
            return ("small", 0.0)
        if token[1:2] == "." or (length(word) <= 2 and token[-1] == "."):
            return ("word", -3.0 if token[2:3] == "-" else -2.0)
        odds = -0.5 if known is None else known
        if token[-1] == "." and self.knowledge.words.get(word, (-1.0,))[0] > 1:
            odds = min(odds, -2.0)
        elif len(word) == 2 and word.istitle() and word.isascii() and self.knowledge.characters < SMALL_CORPUS:
            odds = max(odds, 2.0)
        return ("word", odds)

    def _preceding(self, token: str) -> tuple[float, float]:
        """The log-odds that the sentence continues after a word's point, before a word and before a number."""
        odds = self._before.get(token)
        if odds is None:
            if len(self._before) > MOST_CACHED:
                self._before.clear()
            odds = self._before[token] = self._word_odds(token)
        return odds

    def _word_odds(self, token: str) -> tuple[float, float]:
        word = key_of(token)
        if not word:
            return (-9.0, -9.0) if token else (-3.0, -3.0)
        if word[0].isdigit() and word.replace(".", "").isdigit():
            ordinal = self.knowledge.ordinals and word[0] != "0" and max(map(len, word.split("."))) <= 2
            odds = (_ORDINAL if self.knowledge.nouns else _ORDINAL_NAME) if ordinal else -9.0
            return odds, max(odds, _ORDINAL) if ordinal else odds
        known = self.knowledge.words.get(word)
        if known is None:
            known = self._assumed(word)
        if not word.isascii() and self.knowledge.point_shift and word[-1] > "\u024f":
            shift = self.knowledge.point_shift
            return known[0] + shift, known[1] + shift
        if self.knowledge.ordinals and _ROMAN.fullmatch(word):
            return (max(known[0], 1.5), known[1])
        return known

    def _assumed(self, word: str) -> tuple[float, float]:
        odds = continuation_odds(self._prior(word), 0.1)
        return odds, max(odds, before_number(word, False) if word.isalpha() or length(word) <= 3 else odds)


def _is_in_date(text: str, place: int, following: int) -> bool:
    """Whether a point belongs to a date as ``1992. 3. 15.``, at whose end a sentence continues in Korean."""
    for date in _DATE.finditer(text, max(0, place - _LONGEST_DATE), place + _LONGEST_DATE):
        if date.start() < place < date.end():
            return place < date.end() - 1 or _HANGUL.match(text, following) is not None
    return False


def _is_initial(text: str, place: int, following: int) -> bool:
    """Whether an Urdu full stop belongs to one of several initials."""
    initial = _ENDS_INITIAL.search(text[max(0, place - _LONGEST_INITIALS) : place])
    return initial is not None and (initial[1] is not None or _INITIAL.match(text, following) is not None)


def _shift(text: str, begin: int, start: int, place: int, kind: str) -> float:
    """The term of the text before the word, for the log-odds that a sentence continues after the word's point."""
    if start == begin:
        answers = text[max(0, begin - 3) : begin].rstrip("”»\"' ").endswith(("?", "？", "؟", ";"))
        return 0.0 if answers else _ALONE
    if place - start == 2 and _DOUBLED.match(text, start):
        return _PLURAL_INITIALS
    before = text[start - 2]
    if length(text[start:place]) == 1 and text[start].isalpha():
        previous = text[text.rfind(" ", begin, start - 1) + 1 : start - 1]
        if (before == "." and len(previous) <= _SHORT_INITIAL) or text[place + 3 : place + 4] == ".":
            return _INITIALS
    if text[start].isdigit():
        return _COUNTED if before == "." and text[start - 3].isalpha() else 0.0
    if kind == "year" and place - start > 2 and _DAY.fullmatch(text, text.rfind(" ", begin, start - 1) + 1, start - 1):
        return _DATED
    if not before.isdigit():
        return 0.0
    if kind != "number" and (kind == "year" or is_cased(text[place + 2 : place + 3])):
        return _MEASURED
    return _COUNTING if place - start <= (5 if kind == "number" else 2) else 0.0


def _keeps_whole(text: str, begin: int, place: int, end: int, quoted: list[tuple[int, int]]) -> bool:
    """Whether a quotation or brackets around a mark keep the sentence whole that starts at `begin`."""
    for number in range(bisect_left(quoted, place, key=itemgetter(1)), len(quoted)):
        opened, closed = quoted[number]
        if closed > place + LONGEST_QUOTATION:
            break  # they are in the order of their ends
        if not begin <= opened < place:
            continue
        if closed >= end:
            return True
        within = any(map(str.isalnum, text[begin:opened]))
        if text[end] != " " and is_unspaced(text[end]):
            if _GOES_ON.match(text, end):
                return True
            if text[opened] in (_TITLES if within else _NAMES) and text[opened - 1] not in ":：,，、":
                return True
        if not within and text[place] in "?!؟？！" and text[opened] not in _TITLES:
            following = text[end : end + 2].lstrip()[:1]  # the speaker, in scripts without capitals
            if following.isalpha() and not is_cased(following):
                return True
    return False


def has_word(sentence: str) -> bool:
    """Whether a sentence holds a letter or digit."""
    return _WORD.search(sentence) is not None


def read_articles(articles: Pathlike) -> Iterator[tuple[str, list[str]]]:
    """Yield the title (empty if there is none) and the paragraphs of each article.

    Raises:
        PolyticketError: The file is missing, not UTF-8, or a line is not an article; names file and line.
    """
    for number, line in enumerate(lines_of(articles), start=1):
        yield _article(line, f"{articles}:{number}")


def _article(line: str, where: str) -> tuple[str, list[str]]:
    try:
        article = json.loads(line)
        text, title = article["text"], article.get("title", "")
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        text = title = None
    if not isinstance(text, str):
        raise PolyticketError("not an article", where=where, expected='a JSON object with "text"')
    try:
        text.encode()
    except UnicodeEncodeError:  # JSON may hold lone surrogates
        text = show(text)
    return str(title), [paragraph for paragraph in text.split("\n") if paragraph.strip()]
