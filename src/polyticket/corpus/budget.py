"""How long a page may take: a page is a stranger's, and no rule is proof against all of them."""

import re
import time

SECONDS_PER_MEGABYTE = 120.0
"""The usual budget; ordinary pages take less than a second."""
MOST_BROKEN, MOST_BROKEN_SHARE = 20, 0.01
"""How many pages of one piece may fail, or which share if that is more; more mean that something else is wrong."""
MOST_OPEN = 50
"""Brackets or tags that nothing closes, from which on they are hidden: the extractor's time grows with their square."""
MANY = 5000
"""Brackets from which on each line is looked at, even if as many close as open."""

_BRACKET = re.compile(r"[\[\]]")
_OPEN_TAG = re.compile(r"<(?=[^<>]*+(?:<|\Z))")
_NOWIKI = re.compile(r"<nowiki\b[^<>]*>", re.IGNORECASE)


class OverBudget(Exception):  # noqa: N818 - it tells of a page, which is then left out
    """A page took longer than it may."""


class Budget:
    """The time of one page, which begins now.

    Args:
        size: Code points of the page.
        seconds_per_megabyte: Seconds for each 2^20 of them, of which at least one counts.
    """

    def __init__(self, size: int, seconds_per_megabyte: float = SECONDS_PER_MEGABYTE) -> None:
        self.seconds = seconds_per_megabyte * max(1.0, size / 2**20)
        self._end = time.monotonic() + self.seconds

    def check(self) -> None:
        """Go on if there is time left.

        Raises:
            OverBudget: There is none.
        """
        if time.monotonic() > self._end:
            raise OverBudget(f"over {self.seconds:g} s")


def tame(text: str) -> str:
    """Marked wikitext without masses of brackets and tags that nothing closes; ordinary pages stay as they are."""
    opened = text.count("[")
    if opened > MANY or abs(opened - text.count("]")) > MOST_OPEN:
        text = "\n".join(_closed(line) if line.count("[") > MOST_OPEN else line for line in text.split("\n"))
    if text.count("<") > MOST_OPEN:
        if len(_NOWIKI.findall(text)) > MOST_OPEN:
            text = _NOWIKI.sub("", text)
        if len(_OPEN_TAG.findall(text)) > MOST_OPEN:
            text = _OPEN_TAG.sub("", text)
    return text


def _closed(line: str) -> str:
    """The line without brackets that nothing opens or closes, if they are many."""
    opened: list[int] = []
    stray: list[int] = []
    for match in _BRACKET.finditer(line):
        if match[0] == "[":
            opened.append(match.start())
        elif opened:
            opened.pop()
        else:
            stray.append(match.start())
    gone = set(opened + stray)
    return "".join(char for place, char in enumerate(line) if place not in gone) if len(gone) > MOST_OPEN else line
