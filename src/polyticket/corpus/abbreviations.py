"""What a corpus teaches about the ends of its sentences: abbreviations, words that begin sentences, ordinals, case.

The idea is Punkt's (Kiss & Strunk, Unsupervised Multilingual Sentence Boundary Detection, 2006): an abbreviation is a
word that nearly always has a point, and what follows tells whether the sentence goes on. The model here is a Bayesian
one, of types as well as of places, and needs no letter case. For a word that stands before points it weighs

- how often it has none: beta-binomial, against the corpus's long words (verbs that end sentences have one often too);
- how often a paragraph ends with it: words that end sentences end paragraphs as often as all do, abbreviations rarely;
- how often a small letter, a comma or the like follows;
- how often it stands close after another stop, as titles and initials do;
- its length, inner points, lack of vowels, and whether sentencex knows it: the prior, all there is in a small corpus.

For the word that follows it compares how often it begins sentences with how often it stands within them.
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
"""Code points of a language's articles, from the first on, that are learnt from at most."""
NEAR, NEAR_SHARE = 3, 0.25
"""How many words after a stop are close to it, and the share of abbreviations that stand so."""
LONGEST = 16
"""Code points of the longest words before points that are looked at; longer ones are no abbreviations."""
SHORT, RARE = 4, 4
"""Letters of words that are looked at if they stand before a point once, and how often those of more than eight do."""
GLANCED_CHARACTERS, MANY_WORDS = 200_000, 2000
"""Code points in which capitals are counted, and how many words tell whether nouns have them."""
CAPITAL_NOUNS = frozenset({"als", "bar", "de", "frr", "ksh", "lb", "nds", "pdc", "pfl", "stq"})
"""Languages whose nouns have capitals: assumed where a corpus is too small to show it."""
ORDINAL_POINT = frozenset(
    {
        *("als", "az", "bar", "bs", "cs", "da", "de", "dsb", "et", "eu", "fi", "fo", "frr", "hr", "hsb", "hu", "is"),
        *("ksh", "lb", "lt", "lv", "nb", "nds", "nn", "no", "pdc", "pfl", "pl", "se", "sh", "sk", "sl", "sq", "sr"),
        *("stq", "tr", "vro"),
    }
)
"""Languages that write ordinals as a number and a point (CLDR): assumed where a corpus is too small to show it."""


@dataclass(frozen=True)
class Knowledge:
    """What is known of a language's sentences.

    Attributes:
        words: Words that stand before points to the log-odds that a sentence goes on after the point, where a word
            follows and where a number does.
        starts: Words to the log of how much likelier they are at a sentence's beginning than within.
        case: Whether sentences begin with capital letters, where the script has them.
        ordinals: Whether a number with a point is an ordinal.
        nouns: Whether nouns have capitals within sentences too, as in German.
        point_shift: Log-odds more that a sentence goes on after a point beside letters other than Latin ones.
        dashes: Whether a dash stands for the Urdu full stop.
        pointed_rate: Parameters of the beta distribution of ordinary words' shares of points.
        end_share: Of sentences' ends, the share that ends a paragraph.
        abbreviations: The abbreviations learnt, the most frequent first, and how often each has its point.
        closing: Words that stand before the Urdu full stop and a space.
        characters: Code points that were learnt from.
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
    """What is known of a language without a corpus."""
    code = splitter_of(lang)[1]
    return Knowledge(ordinals=code in ORDINAL_POINT, nouns=code in CAPITAL_NOUNS)


class _Counts:
    """What is counted in one pass: words, and what stands around points."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.points: Counter[tuple[str, str]] = Counter()
        """Token before a point, and the one after it; none at a paragraph's end."""
        self.near: Counter[str] = Counter()
        """Token before a point, close after another stop."""
        self.numbers: Counter[str] = Counter()
        self.starts: Counter[str] = Counter()
        self.unsure: Counter[str] = Counter()
        self.firsts: Counter[bool] = Counter()
        self.dashes = self.paragraphs = self.own_stops = self.points_last = 0
        self.closing: set[str] = set()
        self.characters = 0

    def add(self, paragraph: str) -> None:
        """Count a paragraph's words, and keep its text to be looked at again."""
        text = spaced(paragraph)
        if not text:
            return
        self.texts.append(text)
        self.characters += len(text)
        first, last = text.find(" "), text.rfind(" ") + 1
        self._add_edges(text if first < 0 else text[:first], text[last:])
        before = 0
        for found in _STOP_AT.finditer(text):
            place = found.start()
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
        """How often each of some words stands in the text, alone or before a comma."""
        wanted = words.union([f"{word}," for word in words]).__contains__
        counted: Counter[str] = Counter()
        for text in self.texts:
            counted.update(filter(wanted, text.split(" ")))
        found: Counter[str] = Counter()
        for token, number in counted.items():
            found[token.removesuffix(",")] += number
        return found

    def capitals(self) -> tuple[int, int]:
        """Words with small and with capital first letters, or of scripts without, in the first paragraphs."""
        small = large = seen = 0
        for text in self.texts:
            for token in text.split(" "):
                if is_small(token[0]):
                    small += 1
                elif token[0].isalpha():
                    large += 1
            seen += len(text)
            if seen > GLANCED_CHARACTERS:
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
            # A sentence of one word is so rare that what begins a paragraph does not end a sentence.
            self.points[word, "," if is_first and following else following] += 1
        if following:
            sure = len(word) >= 6 and "." not in word and word[-1] not in AFTER and _kind(following) == "other"
            (self.starts if sure else self.unsure)[following] += 1


_LONE_CLOSERS = frozenset({"»", '"', "”", ")", "›", "“"})
MOST_FOLLOWED = 2
"""How often a word before a point counts with the same word after it, since bots write the same sentence many times."""
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
    """Learn from the first of a language's paragraphs, from very long ones in blocks.

    Args:
        paragraphs: Paragraphs in a fixed order; what is learnt depends on nothing else.
        lang: A Wikipedia's code.
        most: After so many code points no further paragraph is read.
    """
    counts = _Counts()
    for paragraph in paragraphs:
        try:
            for block in blocks(paragraph):
                counts.add(block)
        except Exception:  # a paragraph is a stranger's; the others teach as much
            log.exception("learnt nothing from a paragraph of %s that begins %r", lang, paragraph[:60])
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
        """What the counts say of every word that is looked at; the learnt ones, most frequent first, ties by name."""
        words, found = {}, []
        for word, kinds in self.kinds.items():
            if not self._is_looked_at(word):
                continue
            odds = self._odds(word, kinds)
            on = self._places(word, odds, kinds, self.bare[word])
            words[word] = on
            if odds > 0:
                found.append((word, self.pointed[word]))
        found.sort(key=lambda pair: (-pair[1], pair[0]))
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
            abbreviations=tuple(found),
            closing=frozenset(self.counts.closing),
            characters=self.counts.characters,
        )

    def _is_looked_at(self, word: str) -> bool:
        """Whether what is counted of a word before points could make it an abbreviation."""
        return len(word) <= SHORT or (len(word) <= LONGEST and self.pointed[word] >= (2 if len(word) <= 8 else RARE))

    def _point_shift(self) -> float:
        """How much less a point ends a sentence where paragraphs end with a full stop of the script's own."""
        own, points = self.counts.own_stops, self.counts.points_last
        return min(4.0, max(0.0, math.log((own + 1) / (points + 1)))) if own >= 5 else 0.0

    def _long(self) -> list[tuple[str, Counter[str]]]:
        return [(word, kinds) for word, kinds in self.kinds.items() if len(word) >= 6 and "." not in word]

    def _end_share(self) -> float:
        """Of all points after long words that may end a sentence, the share that ends a paragraph."""
        ends = others = 8
        others *= 3
        for _, kinds in self._long():
            ends += kinds["end"]
            others += kinds["other"] + kinds["number"]
        return min(0.9, max(0.02, ends / (ends + others)))

    def _near_share(self) -> float:
        """Of all points after long words, the share that stands close after another stop."""
        near, pointed = 1, 10
        for word, _ in self._long():
            near, pointed = near + self.near[word], pointed + self.pointed[word]
        return min(0.6, near / pointed)

    def _pointed_rate(self) -> tuple[float, float]:
        """The parameters of the beta distribution of long words' shares of points: the likeliest on a grid."""
        pairs = Counter((min(40, kinds.total()), min(40, self.bare[word])) for word, kinds in self._long())
        grid = [(a, b) for a in (0.1, 0.2, 0.4, 0.8) for b in (0.3, 1.0, 3.0, 10.0)]
        if pairs.total() < 20:
            return (0.3, 3.0)
        # A type is here since it has a point: the chance that it has none is left out.
        return max(
            grid,
            key=lambda rate: sum(
                number * (log_beta_binomial(pointed, bare, *rate) - _some_point(pointed + bare, *rate))
                for (pointed, bare), number in pairs.items()
            ),
        )

    def _odds(self, word: str, kinds: Counter[str]) -> float:
        # A letter stands for itself as well, and so does an article.
        bare = 0 if len(word) == 1 and not word.islower() else self.bare[word]
        seen = kinds["end"], kinds["small"], kinds["number"] + kinds["other"], bare
        most = 20.0 if self.case and is_cased(word[0]) else 1.5  # without capitals, what has a point may end sentences
        return (
            self.prior(word) + self._closeness(word, kinds) + evidence(*seen, self.pointed_rate, self.end_share, most)
        )

    def _closeness(self, word: str, kinds: Counter[str]) -> float:
        """What its distance from the stop before adds to the log-odds that a word is an abbreviation."""
        near = min(1.0, self.near[word] / self.pointed[word])
        each = near * math.log(NEAR_SHARE / self.near_share)
        each += (1 - near) * math.log((1 - NEAR_SHARE) / (1 - self.near_share))
        return min(5.0, max(-1.2 if kinds.total() > 2 else 0.0, each * kinds.total()))

    def _places(self, key: str, odds: float, kinds: Counter[str], bare: int) -> tuple[float, float]:
        """Log-odds that the sentence goes on after the word's point, before a word and before a number."""
        expected = kinds["end"] * (1 - self.end_share) / self.end_share
        end = (expected + 0.7) / (max(expected, kinds["other"]) + 4.0)
        word = goes_on(odds, end)
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
        """Whether anything but a small letter follows a point."""
        return any(following and _kind(following) == "other" for _, following in self.counts.points)

    def _follow(self) -> tuple[Counter[str], Counter[str]]:
        """How often each word stands after what surely ends a sentence, and after other points."""
        both = (Counter[str](), Counter[str]())
        for into, counted in zip(both, (self.counts.starts, self.counts.unsure), strict=True):
            for token, number in counted.items():
                if word := word_of(token):
                    into[word] += number
        return both

    def _look_up(self) -> None:
        """Count what the words that stand beside points are elsewhere: without a point, within sentences, in small."""
        sure, unsure = self.follow
        known = {word for word in self.kinds if self._is_looked_at(word)}
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
            within[word] -= number  # so far as it stands there without a comma or the like

    def _starts(self) -> dict[str, float]:
        """For each word that follows points: the log of its frequency at sentences' beginnings over that within."""
        sure = self.follow[0]
        shift = 1.2  # of words that might begin sentences, three or four stand within for each that does
        found = {}
        for word, number in self.within.items():
            inner, lower = max(0, number), self.small[word]
            if sure[word] + inner + lower >= 2:
                # A capital is a sentence's if the word is small elsewhere, but rivers are not Rivers, the name.
                smaller = min(3.0 if sure[word] > 1 else 0.7, math.log1p(lower / (inner + 1)))
                odds = math.log((sure[word] + (lower > 0) + 0.5) / (inner + 0.5)) + (shift if inner else 0.0) + smaller
                found[word] = round(min(8.0, max(-4.0 if is_cased(word[0]) else -1.2, odds)), 3)
        return found


def _small(word: str) -> str:
    return word[0].lower() + word[1:]


@lru_cache(2**14)
def evidence(
    ends: int, small: int, others: int, bare: int, rate: tuple[float, float], end_share: float, most: float
) -> float:
    """What occurrences of a word before points add to the log-odds that it is an abbreviation.

    Args:
        ends: How often a paragraph ends after its point.
        small: How often a small letter, a comma or the like follows.
        others: How often anything else follows.
        bare: How often the word has no point.
        rate: Parameters of the beta distribution of ordinary words' shares of points.
        end_share: Of sentences' ends, the share that ends a paragraph.
        most: The most that the share of points adds.
    """
    pointed = ends + small + others
    rare = end_share / 8
    odds = ends * math.log(rare / end_share) + others * math.log((1 - rare) / (1 - end_share))
    odds += log_beta_binomial(small, pointed - small, 0.7, 1.0) - log_beta_binomial(small, pointed - small, 0.05, 5.0)
    alone = log_beta_binomial(pointed, bare, 20.0, 1.0)
    alone -= log_beta_binomial(pointed, bare, *rate) - _some_point(pointed + bare, *rate)
    return odds + min(most, max(-8.0, alone))  # an abbreviation may be another word as well


def goes_on(odds: float, end: float) -> float:
    """Log-odds that a sentence goes on after a point.

    Args:
        odds: Log-odds that the word before it is an abbreviation.
        end: How often a sentence ends with the abbreviation, if it is one.
    """
    on = (1 - end) / (1 + math.exp(-max(-50.0, min(50.0, odds))))
    return math.log(on / (1 - on))


@lru_cache(2**14)
def log_beta_binomial(hits: int, misses: int, a: float, b: float) -> float:
    """The log probability of a sequence of hits and misses whose rate is beta distributed."""
    return _log_beta(hits + a, misses + b) - _log_beta(a, b)


def _some_point(number: int, a: float, b: float) -> float:
    """The log probability that at least one of a word's occurrences has a point."""
    return math.log1p(-math.exp(min(-1e-9, log_beta_binomial(0, number, a, b))))


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
