"""Where the tables of an article begin and end, also those that a template closes."""

import re
from collections.abc import Sequence

from polyticket.corpus.templates import CLOSE, OPEN
from polyticket.corpus.wikitext import TEMPLATE_GONE

TABLE_OPENS = re.compile(r"[:*#; \t]*\{\|")
TABLE_CLOSES = re.compile(r"[:*#; \t]*\|\}(?!\})|[:*#; \t]*</table\s*>", re.IGNORECASE)
TAGS = re.compile(r"</?[A-Za-z][^<>]*>")

_TOKENS = re.compile(f"{OPEN}\\d+{CLOSE}|[{TEMPLATE_GONE}\\s]")
_CELL = re.compile(r"\s*[|!]")
_HEADING = re.compile(r"\s*=.*=\s*$")


def table_ends(lines: Sequence[str]) -> frozenset[int]:
    """The lines at which templates close tables, as ``{{end}}`` does, whatever their names.

    A table that nothing else closes before the next heading ends at the first line of a template alone that no cell,
    row or other such line follows. If there is none, it goes on to the heading.

    Args:
        lines: Wikitext whose templates are tokens, or `TEMPLATE_GONE` where they said nothing.
    """
    ends: set[int] = set()
    opened = 0  # tables open at this place
    first: int | None = None  # the first line at which a template could have closed the outermost table
    for number, line in enumerate([*lines, "= end ="]):
        if _HEADING.match(line):
            if opened and first is not None:
                ends.add(first)
            opened, first = 0, None
        elif TABLE_OPENS.match(line):
            opened += 1
        elif opened and TABLE_CLOSES.match(line):
            opened -= 1
            first = first if opened else None
        elif opened and first is None and _is_template(line) and not _goes_on(lines, number + 1):
            first = number
    return frozenset(ends)


def _is_template(line: str) -> bool:
    return bool(line) and (TEMPLATE_GONE in line or OPEN in line) and not _TOKENS.sub("", line)


def _goes_on(lines: Sequence[str], number: int) -> bool:
    """Whether a table's row, cell or another template comes next."""
    following = next((line for line in lines[number : number + 5] if line.strip()), "")
    return bool(_CELL.match(following)) or _is_template(following) or bool(TABLE_OPENS.match(following))
