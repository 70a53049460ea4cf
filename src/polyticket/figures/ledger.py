"""The table of the text ledgers."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import groupby
from types import MappingProxyType
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.core.tables import read_rows, write_cells
from polyticket.figures.rows import draw_panels, name_of, write_beside_rows
from polyticket.figures.style import COLOURS, FAINT
from polyticket.figures.tables import write_table_page

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
    names = ["language", *next(iter(table.values())), WARNINGS]
    lines = ([language, *counts.values(), "; ".join(warnings.get(language, ()))] for language, counts in table.items())
    write_cells(path, [names, *lines])


def read_ledgers(path: Pathlike) -> dict[str, Counts]:
    """Read what `write_ledgers` wrote, without the warnings.

    Raises:
        PolyticketError: The file is not such a table; names it.
    """
    rows = read_rows(path, ["language"])
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
    parts = [(part, list(members)) for part, members in groupby(keys, lambda key: key.rpartition(".")[0])]
    first = {members[0] for _, members in parts}
    over = "".join(f'<th class="part first" colspan="{len(members)}">{_words(part)}</th>' for part, members in parts)
    under = "".join(f"<th{_mark(key in first)}>{_words(key.rpartition('.')[2])}</th>" for key in keys)
    corner = "".join(f'<th rowspan="2" class="part">{word}</th>' for word in ("language", WARNINGS))
    head = f"<tr>{corner}{over}</tr>\n<tr>{under}</tr>"
    rows = []
    for language, counts in table.items():
        cells = "".join(f"<td{_mark(key in first, not count)}>{count:,}</td>" for key, count in counts.items())
        name = escape(f"{language} {name_of(language)}".strip())
        warned = "<br>".join(map(escape, warnings.get(language, ())))
        rows.append(f'<tr><th>{name}</th><td class="warnings">{warned}</td>{cells}</tr>')
    write_table_page(path, "Text ledger", style=STYLE, head=head, rows=rows)


def _mark(first: bool, none: bool = False) -> str:
    names = " ".join(["first"] * first + ["none"] * none)
    return f' class="{names}"' if names else ""


def _words(key: str) -> str:
    return escape(key.replace(".", ": ").replace("_", " "))


SHOWN = 6  # kinds of a panel that have a colour of their own
OTHERS = "others"
RESIDUAL_MARKUP = "residual_markup.kinds."


def page_fates(counts: Counts) -> Counter[str]:
    """Pages by what became of them: ``kept`` and the reasons why the others were left out."""
    return Counter(
        {_last(key): int(count) for key, count in counts.items() if key.startswith("pages.") and "read" not in key}
    )


def line_fates(counts: Counts) -> Counter[str]:
    """Lines of the articles' wikitext: ``kept``, and those dropped by reason, whatever their kind."""
    fates: Counter[str] = Counter()
    for key, count in counts.items():
        path = key.split(".")
        if path[0] == "lines" and "read" not in path:
            fates["kept" if "kept" in path else path[-1]] += int(count)
    return fates


def residual_markup_rates(counts: Counts) -> dict[str, float]:
    """Residual markup of the sentences, by kind, per million characters of them."""
    size = max(1, counts["characters.sentences"])
    return {_last(key): 1e6 * count / size for key, count in counts.items() if key.startswith(RESIDUAL_MARKUP)}


def _last(key: str) -> str:
    return key.rpartition(".")[2]


def shares(fates: Mapping[str, float]) -> dict[str, float]:
    """Each count's share of their sum; all 0 if the sum is."""
    total = sum(fates.values()) or 1
    return {name: count / total for name, count in fates.items()}


def stacked(rows: Sequence[Mapping[str, float]], shown: int = SHOWN) -> dict[str, list[float]]:
    """Rows as columns to be stacked.

    Returns:
        A value per row under each name: ``kept`` first, if there is such a count, then those with the largest sum over
        all rows, `shown` names at most, and all that follow as ``others``. Names that are 0 everywhere are left out.
    """
    sums: Counter[str] = Counter()
    for row in rows:
        sums.update(row)
    names = sorted(
        (name for name, total in sums.items() if total), key=lambda name: (name != "kept", -sums[name], name)
    )
    first, rest = (names, []) if len(names) <= shown + 1 else (names[:shown], names[shown:])
    columns = {name: [float(row.get(name, 0)) for row in rows] for name in first}
    return columns | ({OTHERS: [float(sum(row.get(name, 0) for name in rest)) for row in rows]} if rest else {})


def plot_ledgers(table: Mapping[str, Counts], path: Pathlike) -> None:
    """Draw a row per language: shares of its pages and of its articles' lines by fate, and the residual markup.

    Args:
        table: The counts of each language, see `polyticket.figures.ledger`.
        path: The SVG file.
    """
    pages = stacked([shares(page_fates(counts)) for counts in table.values()])
    lines = stacked([shares(line_fates(counts)) for counts in table.values()])
    left = stacked([residual_markup_rates(counts) for counts in table.values()])
    panels = [
        ("Pages", lambda axes: _draw_shares(axes, pages, "share of all pages")),
        ("Lines of articles", lambda axes: _draw_shares(axes, lines, "share of lines of wikitext")),
        ("Residual markup in sentences", lambda axes: _draw_rates(axes, left, len(table))),
    ]
    longest = max(map(len, (pages, lines, left)))
    draw_panels(path, "Text ledger", list(table), panels, width=3.0, legend=-(-longest // 2))


def _draw_stack(axes: Axes, columns: Mapping[str, Sequence[float]]) -> None:
    colours = iter([*COLOURS[: SHOWN + 1]])
    ends = np.zeros(len(next(iter(columns.values()), [])))
    for name, values in columns.items():
        colour = FAINT if name == OTHERS else next(colours)
        axes.barh(np.arange(len(ends)), values, 0.78, left=ends, color=colour, label=name.replace("_", " "))
        ends = ends + np.asarray(values)


def _draw_shares(axes: Axes, columns: Mapping[str, Sequence[float]], label: str) -> None:
    _draw_stack(axes, columns)
    axes.set_xlim(0, 1)
    axes.set_xticks(np.linspace(0, 1, 5))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel(label)


def _draw_rates(axes: Axes, columns: Mapping[str, Sequence[float]], rows: int) -> None:
    _draw_stack(axes, columns)
    totals = [sum(values) for values in zip(*columns.values(), strict=True)] or [0.0] * rows
    write_beside_rows(axes, [f"{total:,.0f}" if total >= 99.5 else f"{total:.2g}" for total in totals])
    axes.set_xlim(0, (max(totals) or 1) * 1.02)  # of none there is an axis too
    axes.set_xlabel("per million characters")
