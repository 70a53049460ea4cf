"""The table of what became of each language's text."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import groupby
from types import MappingProxyType
from typing import Any

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, write_text
from polyticket.figures.names import name_of
from polyticket.figures.page import write_table_page

Counts = dict[str, int | float]
BY_NAME = ("names", "link_names", "headings")
"""The parts of a ledger that count by name, with other names in each language."""
STYLE = """tbody th { position: sticky; left: 0; background: #fff; }
tbody th { text-align: left; font-weight: normal; white-space: nowrap; }
.first { border-left: 1px solid #8a8a8a; }
.part { text-align: left; }
.none { color: #aaa; }
.warnings { text-align: left; white-space: nowrap; color: #a33d00; }"""
WARNINGS = "warnings"
NONE: Mapping[str, Sequence[str]] = MappingProxyType({})


def counts_of(ledger: Mapping[str, Any]) -> Counts:
    """All numbers of a ledger, by the keys that lead to them with dots between, as in ``lines.dropped.table``.

    Words and lists are left out, and so are the parts `BY_NAME`.
    """
    return dict(_numbers(ledger, ""))


def _numbers(part: Mapping[str, Any], before: str) -> Iterator[tuple[str, int | float]]:
    for name, value in part.items():
        if isinstance(value, Mapping) and name not in BY_NAME:
            yield from _numbers(value, f"{before}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{before}{name}", value


def ledger_table(languages: Sequence[str], ledgers: Sequence[Mapping[str, Any]]) -> dict[str, Counts]:
    """The counts of all languages, with the same keys in each; what a ledger does not name is 0.

    Keys come in the order of the ledgers, part by part; within a part, those that only some languages have come last.

    Raises:
        PolyticketError: A ledger is of another language.
    """
    for language, ledger in zip(languages, ledgers, strict=True):
        if ledger["language"] != language:
            raise PolyticketError(f"ledger of {ledger['language']}", where="corpus", expected=f"that of {language}")
    counted = [counts_of(ledger) for ledger in ledgers]
    keys = dict.fromkeys(key for counts in counted for key in counts)
    parts = dict.fromkeys(key.rpartition(".")[0] for key in keys)
    ordered = [key for part in parts for key in keys if key.rpartition(".")[0] == part]
    rows = ({key: counts.get(key, 0) for key in ordered} for counts in counted)
    return dict(zip(languages, rows, strict=True))


def write_ledgers(table: Mapping[str, Counts], path: Pathlike, warnings: Mapping[str, Sequence[str]] = NONE) -> None:
    """Write the table as CSV: a row per language, a column per count, and what there is to warn of."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["language", *next(iter(table.values())), WARNINGS])
    for language, counts in table.items():
        writer.writerow([language, *counts.values(), "; ".join(warnings.get(language, ()))])
    write_text(path, text.getvalue())


def read_ledgers(path: Pathlike) -> dict[str, Counts]:
    """Read what `write_ledgers` wrote, without the warnings.

    Raises:
        PolyticketError: The file is not such a table; names it.
    """
    with open(path, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    try:
        return {
            row.pop("language"): {key: _number(value) for key, value in row.items() if key != WARNINGS} for row in rows
        }
    except (KeyError, ValueError, TypeError):
        raise PolyticketError("not a table of ledgers", where=path, expected="language and numbers") from None


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def write_ledger_page(
    table: Mapping[str, Counts], path: Pathlike, warnings: Mapping[str, Sequence[str]] = NONE
) -> None:
    """Write the table as a page of HTML that needs nothing else; columns stand under the part of the ledger."""
    keys = list(next(iter(table.values())))
    parts = [(part, list(found)) for part, found in groupby(keys, lambda key: key.rpartition(".")[0])]
    first = {found[0] for _, found in parts}
    over = "".join(f'<th class="part first" colspan="{len(found)}">{_words(part)}</th>' for part, found in parts)
    under = "".join(f"<th{_mark(key in first)}>{_words(key.rpartition('.')[2])}</th>" for key in keys)
    corner = "".join(f'<th rowspan="2" class="part">{word}</th>' for word in ("language", WARNINGS))
    head = f"<tr>{corner}{over}</tr>\n<tr>{under}</tr>"
    rows = []
    for language, counts in table.items():
        cells = "".join(f"<td{_mark(key in first, not count)}>{count:,}</td>" for key, count in counts.items())
        name = escape(f"{language} {name_of(language)}".strip())
        said = "<br>".join(map(escape, warnings.get(language, ())))
        rows.append(f'<tr><th>{name}</th><td class="warnings">{said}</td>{cells}</tr>')
    write_table_page(path, "Text ledger", style=STYLE, head=head, rows=rows)


def _mark(first: bool, none: bool = False) -> str:
    names = " ".join(["first"] * first + ["none"] * none)
    return f' class="{names}"' if names else ""


def _words(key: str) -> str:
    return escape(key.replace(".", ": ").replace("_", " "))
