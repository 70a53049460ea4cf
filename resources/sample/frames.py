"""Sentence frames: from `{per} was born in {city} .` and fillers to tagged tokens.

A frame is a row of words. A word is a slot `{kind}`, `{kind.1}` (second form), `{kind:head}` (agrees with the slot
`head`), or text; `<name:head>` in a text is replaced by what `agree` lists for the head's gender or class, and
`word/TAG` gives a tag that the language's table does not.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from lexicon import TAGS, Filler, Lexicon
from spelling import join, spell

SLOT = re.compile(r"\{(\w+)(?:\.(\d))?(?::(\w+))?\}")
HEAD = re.compile(r"<(\w+)(?::(\w+))?>")
INLINE = re.compile(r"/([A-Z]+)$")
FUNCTION = {"ADP", "DET", "CCONJ", "PART", "SCONJ"}


@dataclass(frozen=True)
class Token:
    """A word with its universal tag; `slot` names the slot it fills and `entity` its type, if any."""

    word: str
    tag: str
    slot: str | None = None
    entity: str | None = None


@dataclass(frozen=True)
class Sentence:
    """A rendered frame."""

    frame: str
    tokens: tuple[Token, ...]
    fillers: Mapping[str, Filler]
    lang: str

    @property
    def words(self) -> tuple[str, ...]:
        """The words alone."""
        return tuple(t.word for t in self.tokens)

    @property
    def text(self) -> str:
        """The sentence as people write it."""
        return join(self.words, self.lang)

    def labels(self) -> list[str]:
        """IOB2 entity labels of the tokens."""
        before, labels = None, []
        for token in self.tokens:
            inside = token.slot is not None and token.slot == before
            labels.append("O" if token.entity is None else f"{'I' if inside else 'B'}-{token.entity}")
            before = token.slot
        return labels


@cache
def slots(frame: str) -> tuple[str, ...]:
    """The slots of a frame in their order, those that are only agreed with included."""
    found = [m[1] for m in SLOT.finditer(frame)] + [m[2] for m in HEAD.finditer(frame) if m[2]]
    return tuple(dict.fromkeys(found))


def render(lexicon: Lexicon, name: str, frame: str, fillers: Mapping[str, Filler], *, tagged: bool = True) -> Sentence:
    """Render a frame.

    Args:
        lexicon: The language.
        name: The frame's key, for errors.
        frame: The frame.
        fillers: A filler for each of its slots.
        tagged: Whether each word needs a tag; an unlisted word is then an error.

    Raises:
        KeyError: A word without a tag, or an agreement that the lexicon lacks.
    """
    tokens: list[Token] = []
    for part in frame.split():
        slot = SLOT.fullmatch(part)
        if slot:
            tokens += _slot_tokens(lexicon, slot, fillers)
        else:
            tokens += _text_tokens(lexicon, name, part, fillers, tagged)
    return Sentence(name, tuple(_capital(spell(tokens, lexicon.lang))), fillers, lexicon.lang)


def _text_tokens(lexicon: Lexicon, name: str, part: str, fillers: Mapping[str, Filler], tagged: bool) -> list[Token]:
    inline = INLINE.search(part)
    text = HEAD.sub(lambda m: _agreed(lexicon, m[1], fillers[m[2]].feature), INLINE.sub("", part))
    tokens = []
    for word in text.split():
        tag = inline[1] if inline else lexicon.tags.get(word.lower(), "")
        if tagged and not tag:
            raise KeyError(f"{lexicon.lang}, frame {name}: no tag for {word!r}")
        tokens.append(Token(word, tag))
    return tokens


def _slot_tokens(lexicon: Lexicon, match: re.Match[str], fillers: Mapping[str, Filler]) -> list[Token]:
    slot, form, head = match[1], match[2], match[3]
    filler = fillers[slot]
    forms = filler.text.split("|")
    feature = fillers[head].feature if head in fillers else head or lexicon.default
    index = int(form) if form else int(head is not None and feature == "f")
    text = HEAD.sub(lambda m: _agreed(lexicon, m[1], feature), forms[min(index, len(forms) - 1)])
    tokens = []
    for part in text.split():
        inline = INLINE.search(part)
        word = INLINE.sub("", part)
        tag = inline[1] if inline else _name_tag(lexicon, word, filler)
        tokens.append(Token(word, tag, slot, filler.entity))
    return tokens


def _name_tag(lexicon: Lexicon, word: str, filler: Filler) -> str:
    listed = lexicon.tags.get(word, "")
    if listed in FUNCTION:
        return listed
    if word.isdigit():
        return "NUM"
    if filler.entity:
        return "NOUN" if word[0].islower() else "PROPN"
    return TAGS.get(filler.kind, "PROPN" if word[0].isupper() else "NOUN")


def _agreed(lexicon: Lexicon, name: str, feature: str) -> str:
    return lexicon.data["agree"][name][feature]


def _capital(tokens: list[Token]) -> list[Token]:
    first = tokens[0]
    return [Token(first.word[0].upper() + first.word[1:], first.tag, first.slot, first.entity), *tokens[1:]]
