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
