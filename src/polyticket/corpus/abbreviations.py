"""Cues of sentence ends learnt from a corpus: abbreviations, words that start sentences, ordinals, letter case.

The idea is Punkt's (Kiss & Strunk, Unsupervised Multilingual Sentence Boundary Detection, 2006): an abbreviation is a
word that nearly always has a point, and the next word tells whether the sentence continues. The model here is Bayesian,
for word types and for places, and does not need letter case. For a word before points it weighs

- how often it has no point: beta-binomial, relative to the corpus's long words (verbs at sentence ends);
- how often a paragraph ends with it: often for words that end sentences, rarely for abbreviations;
- how often a lower-case letter, a comma or the like follows;
- how often it is close to the stop before it, as titles and initials are;
- its length, inner points, lack of vowels, and whether sentencex lists it: the prior, which decides in small corpora.

For the next word it compares how often it starts sentences with how often it is within them.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

from polyticket.core.languages import splitter_of
from polyticket.core.logs import log
from polyticket.corpus.sentence_cues import (
    AFTER,
    CLITIC,
    FULL_STOPS,
    NEVER_BEGIN,
    POINTS,
    YEAR,
    Prior,
    before_number,
    blocks,
    first_of,
    is_cased,
    is_small,
    key_of,
    opens,
    spaced,
    word_of,
)

SAMPLE_CHARACTERS = 8_000_000
"""Most code points of a language's articles to learn from, from the first on."""
NEAR, NEAR_SHARE = 3, 0.25
"""Most words between a stop and a word close to it, and the share of abbreviations that are close."""
LONGEST = 16
"""Most code points of an abbreviation."""
SHORT, RARE = 4, 4
"""Most letters of words that one point makes candidates, and least points of words with more than eight letters."""
GLANCED_CHARACTERS, MANY_WORDS = 200_000, 2000
"""Code points in which capitals are counted, and least words that decide whether nouns have capitals."""
CAPITAL_NOUNS = frozenset({"als", "bar", "de", "frr", "ksh", "lb", "nds", "pdc", "pfl", "stq"})
"""Languages whose nouns have capitals: the assumption for small corpora."""
ORDINAL_POINT = frozenset(
    {
        *("als", "az", "bar", "bs", "cs", "da", "de", "dsb", "et", "eu", "fi", "fo", "frr", "hr", "hsb", "hu", "is"),
        *("ksh", "lb", "lt", "lv", "nb", "nds", "nn", "no", "pdc", "pfl", "pl", "se", "sh", "sk", "sl", "sq", "sr"),
        *("stq", "tr", "vro"),
    }
)
"""Languages that write ordinals as a number and a point (CLDR): the assumption for small corpora."""


@dataclass(frozen=True)
class Knowledge:
    """The knowledge about a language's sentences.

    Attributes:
        words: For each word before points, the log-odds that the sentence continues after the point: before a word, and
            before a number.
        starts: For each word, the log of its frequency at sentence starts over that within sentences.
        case: Whether sentences start with capital letters, if the script has them.
        ordinals: Whether a number with a point is an ordinal.
        nouns: Whether nouns have capitals within sentences too, as in German.
        point_shift: Added to the log-odds that a sentence continues after a point beside letters that are not Latin.
        dashes: Whether a dash is used for the Urdu full stop.
        pointed_rate: Parameters of the beta distribution of the shares of points of ordinary words.
        end_share: The share of sentence ends that are paragraph ends.
        abbreviations: The learnt abbreviations, the most frequent first, with their numbers of points.
        closing: Words before the Urdu full stop and a space.
        characters: Code points of the text that teaches.
    """

    words: Mapping[str, tuple[float, float]] = field(default_factory=lambda: MappingProxyType({}))
    starts: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    case: bool = True
    ordinals: bool = False
    nouns: bool = False
    dashes: bool = False
    point_shift: float = 0.0
    pointed_rate: tuple[float, float] = (0.3, 3.0)
    end_share: float = 0.25
    abbreviations: tuple[tuple[str, int], ...] = ()
    closing: frozenset[str] = frozenset()
    characters: int = 0


def assume(lang: str) -> Knowledge:
    """The knowledge about a language without a corpus."""
    code = splitter_of(lang)[1]
    return Knowledge(ordinals=code in ORDINAL_POINT, nouns=code in CAPITAL_NOUNS)


class _Counts:
    """Counts of one pass: words, and the tokens around points."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.points: Counter[tuple[str, str]] = Counter()
        """The token before a point, and the token after it; empty at a paragraph end."""
        self.near: Counter[str] = Counter()
        """The token before a point, close to the stop before it."""
        self.numbers: Counter[str] = Counter()
        self.starts: Counter[str] = Counter()
        self.unsure: Counter[str] = Counter()
        self.firsts: Counter[bool] = Counter()
        self.dashes = self.paragraphs = self.own_stops = self.points_last = 0
        self.closing: set[str] = set()
        self.characters = 0

    def add(self, paragraph: str) -> None:
        """Count a paragraph's words, and keep its text for `count`."""
        text = spaced(paragraph)
        if not text:
            return
        self.texts.append(text)
        self.characters += len(text)
        first, last = text.find(" "), text.rfind(" ") + 1
        self._add_edges(text if first < 0 else text[:first], text[last:])
        before = 0
        for stop_mark in _STOP_AT.finditer(text):
            place = stop_mark.start()
            start, end = text.rfind(" ", 0, place) + 1, text.find(" ", place + 2)
            following = text[place + 2 :] if end < 0 else text[place + 2 : end]
            if following in _LONE_CLOSERS and end > 0:
                stop = text.find(" ", end + 1)
                following = text[end + 1 :] if stop < 0 else text[end + 1 : stop]
            self._add_stop(text[start : place + 1], following, start == 0)
            if text[place] == "." and text.count(" ", before, start) < NEAR:
                self.near[text[start:place]] += 1
            before = place + 2

    def count(self, words: set[str]) -> Counter[str]:
        """The number of each word in the text, alone or before a comma."""
        is_counted = words.union([f"{word}," for word in words]).__contains__
        tokens: Counter[str] = Counter()
        for text in self.texts:
            tokens.update(filter(is_counted, text.split(" ")))
        counts: Counter[str] = Counter()
        for token, number in tokens.items():
            counts[token.removesuffix(",")] += number
        return counts

    def capitals(self) -> tuple[int, int]:
        """Numbers of words with a lower-case and with another first letter, in the first paragraphs."""
        small = large = read = 0
        for text in self.texts:
            for token in text.split(" "):
                if is_small(token[0]):
                    small += 1
                elif token[0].isalpha():
                    large += 1
            read += len(text)
            if read > GLANCED_CHARACTERS:
                break
        return small, large

    def _add_edges(self, first: str, last: str) -> None:
        self.starts[first] += 1
        letter = first_of(first)
        if letter and is_cased(letter):
            self.firsts[is_small(letter)] += 1
        self.paragraphs += 1
        if last[-1] in "-_":
            self.dashes += "\u0620" <= last[-2:-1] <= "\u06ff"
        elif last[-1] in _OWN_STOPS:
            self.own_stops += 1
        elif last[-1] in POINTS and not last.isascii():
            self.points_last += 1

    def _add_stop(self, token: str, following: str, is_first: bool) -> None:
        if token[-1] != ".":
            if token[-1] == "۔":
                self.closing.add(token.rstrip("۔"))
            if following:
                self.starts[following] += 1
            return
        word = token[:-1]
        if not word or word[-1] in ".…":
            return
        if word.isdigit():
            if not is_first and len(word) <= 2 and following:
                self.numbers[_kind(following)] += 1
        else:
            # Sentences of one word are rare: the first word of a paragraph does not end a sentence.
            self.points[word, "," if is_first and following else following] += 1
        if following:
            sure = len(word) >= 6 and "." not in word and word[-1] not in AFTER and _kind(following) == "other"
            (self.starts if sure else self.unsure)[following] += 1


_LONE_CLOSERS = frozenset({"»", '"', "”", ")", "›", "“"})
MOST_FOLLOWED = 2
"""Most counts of a word before a point with the same word after it: bots write the same sentence many times."""
_OWN_STOPS = frozenset(FULL_STOPS + ":") - frozenset("！？؟")
_STOP_AT = re.compile(rf"[{FULL_STOPS}.!?](?= |$)")


@lru_cache(2**16)
def _kind(following: str) -> str:
    if not following:
        return "end"
    if following[0] in NEVER_BEGIN and not opens(following):
        return "small"
    first = "" if CLITIC.fullmatch(following) else first_of(following)
    if first.isdigit():
        return "other" if YEAR.match(following) else "number"
    return "small" if first and is_small(first) else "other"


def learn(paragraphs: Iterable[str], lang: str, most: int = SAMPLE_CHARACTERS) -> Knowledge:
    """Learn from the first paragraphs of a language; very long ones are read in blocks.

    Args:
        paragraphs: Paragraphs in a fixed order; the result depends on nothing else.
        lang: A Wikipedia's code.
        most: Code points after which no further paragraph is read.
    """
    counts = _Counts()
    for paragraph in paragraphs:
        try:
            for block in blocks(paragraph):
                counts.add(block)
        except Exception:  # paragraphs may hold anything; the others teach as much
            log.exception("learnt nothing from a paragraph of %s that starts with %r", lang, paragraph[:60])
        if counts.characters >= most:
            break
    return _Learner(counts, lang).knowledge()


class _Learner:
    def __init__(self, counts: _Counts, lang: str) -> None:
        self.counts, self.lang = counts, lang
        self.prior = Prior(lang)
        assumed = assume(lang)
        firsts = counts.firsts
        self.case = firsts[True] <= firsts[False] or (firsts.total() < 20 and self._some_capitals())
        numbers = counts.numbers
        self.ordinals = assumed.ordinals or numbers["small"] >= max(5, 0.2 * numbers.total())
        self.kinds: dict[str, Counter[str]] = {}
        self.pointed: Counter[str] = Counter()
        for (token, following), number in counts.points.items():
            kind = _kind(following)
            if not self.case and kind == "small":
                kind = "other"
            word = key_of(token)
            if word and not any(map(str.isdigit, word)):
                self.pointed[word] += number
                self.kinds.setdefault(word, Counter())[kind] += min(number, MOST_FOLLOWED) if following else number
        self.near: Counter[str] = Counter()
        for token, number in counts.near.items():
            self.near[key_of(token)] += number
        self.follow = self._follow()
        self.bare: Counter[str] = Counter()
        self.within: Counter[str] = Counter()
        self.small: Counter[str] = Counter()
        self._look_up()
        self.end_share = self._end_share()
        self.near_share = self._near_share()
        self.pointed_rate = self._pointed_rate()

    def knowledge(self) -> Knowledge:
        """The knowledge that the counts give; abbreviations by frequency, then by name."""
        words, abbreviations = {}, []
        for word, kinds in self.kinds.items():
            if not self._is_candidate(word):
                continue
            odds = self._odds(word, kinds)
            words[word] = self._places(word, odds, kinds, self.bare[word])
            if odds > 0:
                abbreviations.append((word, self.pointed[word]))
        abbreviations.sort(key=lambda pair: (-pair[1], pair[0]))
        return Knowledge(
            words=words,
            starts=self._starts(),
            case=self.case,
            ordinals=self.ordinals,
            nouns=self._capital_nouns(),
            point_shift=self._point_shift(),
            dashes=self.counts.dashes >= max(3, 0.02 * self.counts.paragraphs),
            pointed_rate=self.pointed_rate,
            end_share=self.end_share,
            abbreviations=tuple(abbreviations),
            closing=frozenset(self.counts.closing),
            characters=self.counts.characters,
        )

    def _is_candidate(self, word: str) -> bool:
        """Whether a word before points may be an abbreviation."""
        return len(word) <= SHORT or (len(word) <= LONGEST and self.pointed[word] >= (2 if len(word) <= 8 else RARE))

    def _point_shift(self) -> float:
        """The log-odds against sentence ends at points if paragraphs end with a full stop of the script."""
        own, points = self.counts.own_stops, self.counts.points_last
        return min(4.0, max(0.0, math.log((own + 1) / (points + 1)))) if own >= 5 else 0.0

    def _long(self) -> list[tuple[str, Counter[str]]]:
        return [(word, kinds) for word, kinds in self.kinds.items() if len(word) >= 6 and "." not in word]

    def _end_share(self) -> float:
        """The share of paragraph ends among points after long words that may end a sentence."""
        ends = others = 8
        others *= 3
        for _, kinds in self._long():
            ends += kinds["end"]
            others += kinds["other"] + kinds["number"]
        return min(0.9, max(0.02, ends / (ends + others)))

    def _near_share(self) -> float:
        """The share of points after long words that are close to the stop before them."""
        near, pointed = 1, 10
        for word, _ in self._long():
            near, pointed = near + self.near[word], pointed + self.pointed[word]
        return min(0.6, near / pointed)

    def _pointed_rate(self) -> tuple[float, float]:
        """The parameters of the beta distribution of long words' shares of points: the most likely on a grid."""
        pairs = Counter((min(40, kinds.total()), min(40, self.bare[word])) for word, kinds in self._long())
        grid = [(a, b) for a in (0.1, 0.2, 0.4, 0.8) for b in (0.3, 1.0, 3.0, 10.0)]
        if pairs.total() < 20:
            return (0.3, 3.0)
        # Each type here has a point: the likelihood is conditional on it.
        return max(
            grid,
            key=lambda rate: sum(
                number * (log_beta_binomial(pointed, bare, *rate) - _some_point(pointed + bare, *rate))
                for (pointed, bare), number in pairs.items()
            ),
        )

    def _odds(self, word: str, kinds: Counter[str]) -> float:
        # A letter and an article are words as well.
        bare = 0 if len(word) == 1 and not word.islower() else self.bare[word]
        counts = kinds["end"], kinds["small"], kinds["number"] + kinds["other"], bare
        most = (
            20.0 if self.case and is_cased(word[0]) else 1.5
        )  # without capitals, a word with a point may end sentences
        return (
            self.prior(word) + self._closeness(word, kinds) + evidence(*counts, self.pointed_rate, self.end_share, most)
        )

    def _closeness(self, word: str, kinds: Counter[str]) -> float:
        """The log-odds of an abbreviation from the distance to the stop before."""
        near = min(1.0, self.near[word] / self.pointed[word])
        each = near * math.log(NEAR_SHARE / self.near_share)
        each += (1 - near) * math.log((1 - NEAR_SHARE) / (1 - self.near_share))
        return min(5.0, max(-1.2 if kinds.total() > 2 else 0.0, each * kinds.total()))

    def _places(self, key: str, odds: float, kinds: Counter[str], bare: int) -> tuple[float, float]:
        """Log-odds that the sentence continues after the word's point, before a word and before a number."""
        expected = kinds["end"] * (1 - self.end_share) / self.end_share
        end = (expected + 0.7) / (max(expected, kinds["other"]) + 4.0)
        word = continuation_odds(odds, end)
        number = before_number(key, bare > 3 * kinds.total())
        number += math.log((kinds["number"] + 0.3) / (0.05 * (expected + kinds["other"]) + 0.5))
        if odds < 0 and kinds["number"] <= MOST_FOLLOWED and self.prior(key) < 0:
            number += odds / 3
        return word, max(word, number)

    def _capital_nouns(self) -> bool:
        small, large = self.counts.capitals()
        if small + large < MANY_WORDS or not small:
            return assume(self.lang).nouns
        return large > 0.3 * (small + large)

    def _some_capitals(self) -> bool:
        """Whether anything but a lower-case letter follows a point."""
        return any(following and _kind(following) == "other" for _, following in self.counts.points)

    def _follow(self) -> tuple[Counter[str], Counter[str]]:
        """The number of each word after certain sentence ends, and after other points."""
        both = (Counter[str](), Counter[str]())
        for counts, tokens in zip(both, (self.counts.starts, self.counts.unsure), strict=True):
            for token, number in tokens.items():
                if word := word_of(token):
                    counts[word] += number
        return both

    def _look_up(self) -> None:
        """Count the words beside points elsewhere: without a point, within sentences, in lower case."""
        sure, unsure = self.follow
        known = {word for word in self.kinds if self._is_candidate(word)}
        capital = {word[0].upper() + word[1:]: word for word in known if word[:1].islower()}
        begins = {_small(word): word for word in (*sure, *unsure)} if self.case else {}
        bare, within, small = self.bare, self.within, self.small
        tails = {word for word, _ in self.counts.points if "-" in word and len(word) <= LONGEST}
        for word, number in self.counts.count({*known, *capital, *tails, *begins, *sure, *unsure}).items():
            if word in known:
                bare[word] += number
            elif word in tails and (tail := key_of(word)) in known:
                bare[tail] += number
            elif word in capital:
                bare[capital[word]] += number
            if word in begins and is_small(word[0]):
                small[begins[word]] += number
            elif word in sure or word in unsure:
                within[word] += number
        for word, number in (*sure.items(), *unsure.items()):
            within[word] -= number  # without a comma or the like

    def _starts(self) -> dict[str, float]:
        """For each word after points, the log of its frequency at sentence starts over that within sentences."""
        sure = self.follow[0]
        shift = 1.2  # of words that may start sentences, three or four are within one for each that starts one
        starts = {}
        for word, number in self.within.items():
            inner, lower = max(0, number), self.small[word]
            if sure[word] + inner + lower >= 2:
                # A capital marks a sentence start if the word has lower case elsewhere; but the name Rivers has none.
                smaller = min(3.0 if sure[word] > 1 else 0.7, math.log1p(lower / (inner + 1)))
                odds = math.log((sure[word] + (lower > 0) + 0.5) / (inner + 0.5)) + (shift if inner else 0.0) + smaller
                starts[word] = round(min(8.0, max(-4.0 if is_cased(word[0]) else -1.2, odds)), 3)
        return starts


def _small(word: str) -> str:
    return word[0].lower() + word[1:]


@lru_cache(2**14)
def evidence(
    ends: int, small: int, others: int, bare: int, rate: tuple[float, float], end_share: float, most: float
) -> float:
    """The log-odds of an abbreviation from the occurrences of a word.

    Args:
        ends: Occurrences with a point at a paragraph end.
        small: Occurrences with a point before a lower-case letter, a comma or the like.
        others: Other occurrences with a point.
        bare: Occurrences without a point.
        rate: Parameters of the beta distribution of the shares of points of ordinary words.
        end_share: The share of sentence ends that are paragraph ends.
        most: The largest term for the share of points.
    """
    pointed = ends + small + others
    rare = end_share / 8
    odds = ends * math.log(rare / end_share) + others * math.log((1 - rare) / (1 - end_share))
    odds += log_beta_binomial(small, pointed - small, 0.7, 1.0) - log_beta_binomial(small, pointed - small, 0.05, 5.0)
    alone = log_beta_binomial(pointed, bare, 20.0, 1.0)
    alone -= log_beta_binomial(pointed, bare, *rate) - _some_point(pointed + bare, *rate)
    return odds + min(most, max(-8.0, alone))  # an abbreviation may also be another word


def continuation_odds(odds: float, end: float) -> float:
    """Log-odds that a sentence continues after a point.

    Args:
        odds: Log-odds that the word before it is an abbreviation.
        end: The share of sentence ends after the word's points, if it is an abbreviation.
    """
    probability = (1 - end) / (1 + math.exp(-max(-50.0, min(50.0, odds))))
    return math.log(probability / (1 - probability))


@lru_cache(2**14)
def log_beta_binomial(hits: int, misses: int, a: float, b: float) -> float:
    """The log probability of a sequence of hits and misses whose rate is beta distributed."""
    return _log_beta(hits + a, misses + b) - _log_beta(a, b)


def _some_point(number: int, a: float, b: float) -> float:
    """The log probability that at least one of a word's occurrences has a point."""
    return math.log1p(-math.exp(min(-1e-9, log_beta_binomial(0, number, a, b))))


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
