"""Bars of what became of each language's pages and lines, and of the markup that is left."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from polyticket.core.files import Pathlike
from polyticket.figures.ledger_table import Counts
from polyticket.figures.rows import draw_panels, write_beside_rows
from polyticket.figures.style import COLOURS, FAINT

SHOWN = 6  # kinds of a panel that have a colour of their own
OTHERS = "others"
LEFTOVER = "leftover.kinds."


def page_fates(counts: Counts) -> Counter[str]:
    """Pages by what became of them: ``kept`` and the reasons why the others were left out."""
    return Counter(
        {_last(key): int(count) for key, count in counts.items() if key.startswith("pages.") and "read" not in key}
    )


def line_fates(counts: Counts) -> Counter[str]:
    """Lines of the articles' wikitext: ``kept``, and those dropped by reason, whatever their kind."""
    found: Counter[str] = Counter()
    for key, count in counts.items():
        path = key.split(".")
        if path[0] == "lines" and "read" not in path:
            found["kept" if "kept" in path else path[-1]] += int(count)
    return found


def leftover_rates(counts: Counts) -> dict[str, float]:
    """Pieces of markup left in the sentences, by kind, per million characters of them."""
    size = max(1, counts["characters.sentences"])
    return {_last(key): 1e6 * count / size for key, count in counts.items() if key.startswith(LEFTOVER)}


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
    """Draw a row per language: shares of its pages and of its articles' lines by fate, and the markup left.

    Args:
        table: The counts of each language, see `polyticket.figures.ledger_table`.
        path: The SVG file.
    """
    pages = stacked([shares(page_fates(counts)) for counts in table.values()])
    lines = stacked([shares(line_fates(counts)) for counts in table.values()])
    left = stacked([leftover_rates(counts) for counts in table.values()])
    panels = [
        ("Pages", lambda axes: _draw_shares(axes, pages, "share of all pages")),
        ("Lines of articles", lambda axes: _draw_shares(axes, lines, "share of lines of wikitext")),
        ("Markup left in sentences", lambda axes: _draw_rates(axes, left, len(table))),
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
