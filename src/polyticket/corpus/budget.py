"""Limits of the time for a page, because a few pages would take hours."""

import re
import time

SECONDS_PER_MEGABYTE = 120.0
"""The usual budget; ordinary pages take less than a second."""
MOST_BROKEN, MOST_BROKEN_SHARE = 20, 0.01
"""Most broken pages of a byte range: this number or this share, whichever is more. More mean another fault."""
MOST_OPEN = 50
"""Most unclosed brackets or tags that stay: the extractor's time grows with the square of their number."""
MANY = 5000
"""Most brackets of a page whose lines are not checked one by one."""

_BRACKET = re.compile(r"[\[\]]")
_OPEN_TAG = re.compile(r"<(?=[^<>]*+(?:<|\Z))")
_NOWIKI = re.compile(r"<nowiki\b[^<>]*>", re.IGNORECASE)


class OverBudget(Exception):  # noqa: N818 - it concerns a page, which is then dropped
    """A page takes longer than its budget."""


class Budget:
    """The time of one page, from now on.

    Args:
        size: Code points of the page.
        seconds_per_megabyte: Seconds for each 2^20 code points, and for at least one such unit.
    """

    def __init__(self, size: int, seconds_per_megabyte: float = SECONDS_PER_MEGABYTE) -> None:
        self.seconds = seconds_per_megabyte * max(1.0, size / 2**20)
        self._end = time.monotonic() + self.seconds

    def check(self) -> None:
        """Check that there is time left.

        Raises:
            OverBudget: There is none.
        """
        if time.monotonic() > self._end:
            raise OverBudget(f"over {self.seconds:g} s")


def tame(text: str) -> str:
    """Marked wikitext without masses of unclosed brackets and tags; ordinary pages do not change."""
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
    """The line without unpaired brackets, if they are many."""
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
