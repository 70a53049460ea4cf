"""What tasks are made of: one example of each kind."""

from typing import NamedTuple


class Sentence(NamedTuple):
    """Words and, for each of them, its tag."""

    words: tuple[str, ...]
    tags: tuple[str, ...]


class Pair(NamedTuple):
    """Two sentences and what holds between them."""

    premise: str
    hypothesis: str
    label: str


class Text(NamedTuple):
    """An article; paragraphs end with a line feed."""

    text: str


Example = Sentence | Pair | Text


def text_of(example: Example) -> str:
    """The text of an example as one string."""
    match example:
        case Sentence(words=words):
            return " ".join(words)
        case Pair(premise=premise, hypothesis=hypothesis):
            return f"{premise} {hypothesis}"
        case Text(text=text):
            return text
