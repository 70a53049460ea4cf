"""The templates of a page: known ones written out, the others hidden from what reads lines."""

import re
from collections import Counter

from polyticket.corpus.inline_templates import write_out
from polyticket.corpus.wikitext import TEMPLATE_GONE

DEEPEST = 40
"""How deep templates may stand in each other; the extractor expands 30 levels, and would crash on a thousand."""
OPEN, CLOSE = "\ue004", "\ue005"
"""Private-use characters around the number of a hidden template."""

_BRACES = re.compile(r"\{\{+|\}\}+")
_HIDDEN = re.compile(f"{OPEN}(\\d+){CLOSE}")
_FOR_EXTRACTOR = re.compile(r"[A-Z0-9]+$|!$|[^|]*:")
"""Magic words and parser functions, which need no dump."""


class Templates:
    """Replaces the templates of one page.

    Args:
        lang: The code of the page's Wikipedia.
        keep: Whether templates that are not in the table are kept for the extractor; without, they are dropped.

    Attributes:
        written: How many were written out.
        unknown: How many were dropped, by name.
        line_ends: How many line ends of the page were taken out with templates, or are hidden in them.
    """

    def __init__(self, lang: str, *, keep: bool) -> None:
        self.lang, self.keep = lang, keep
        self.written = self.line_ends = 0
        self.unknown: Counter[str] = Counter()
        self._hidden: list[str] = []

    def replace(self, text: str) -> str:
        """The text with known templates written out and the others as tokens, none of them with a line end.

        Where a template said nothing stands `TEMPLATE_GONE`. Braces that nothing closes, or opens, stay.
        """
        if "{{" not in text:
            return text
        frames: list[list[str]] = [[]]
        opened: list[int] = []
        place = 0
        for match in _BRACES.finditer(text):
            frames[-1].append(text[place : match.start()])
            place, odd = match.end(), len(match[0]) % 2
            if match[0][0] == "{":
                frames[-1].append("{" * odd)
                opened += range(match.start() + odd, match.end(), 2)
                frames += ([] for _ in range(len(match[0]) // 2))
            else:
                for end in range(match.start() + 2, match.end() + 1, 2):
                    self._close(text, end, frames, opened)
                frames[-1].append("}" * odd)
        frames[-1].append(text[place:])
        return "{{".join("".join(frame) for frame in frames)

    def restore(self, text: str) -> str:
        """The text with each token as the template it stands for."""
        return _HIDDEN.sub(lambda token: "{{" + self.restore(self._hidden[int(token[1])]) + "}}", text)

    def _close(self, text: str, end: int, frames: list[list[str]], opened: list[int]) -> None:
        if not opened:
            frames[-1].append("}}")
            return
        shown = self._shown("".join(frames.pop()), len(opened))
        start = opened.pop()
        if not opened:
            self.line_ends += text.count("\n", start, end) - shown.count("\n")
            shown = shown or TEMPLATE_GONE
        frames[-1].append(shown)

    def _shown(self, body: str, depth: int) -> str:
        written = write_out(body, self.lang)
        if written is not None:
            self.written += 1
            return written
        name = " ".join(body.partition("|")[0].split())
        if depth > DEEPEST or not (self.keep or _FOR_EXTRACTOR.match(name)):
            self.unknown[name[:60]] += 1
            return ""
        self._hidden.append(body)
        return f"{OPEN}{len(self._hidden) - 1}{CLOSE}"
