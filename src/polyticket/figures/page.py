"""A table as CSV, and as a page of HTML that needs nothing else."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from polyticket.core.files import Pathlike, write_text

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 14px/1.4 system-ui, sans-serif; color: #222; background: #fff; margin: 1em; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: 0.3em 0.7em; text-align: right; border-bottom: 1px solid #e4e4e4; }}
thead th {{ background: #f4f4f4; vertical-align: bottom; }}
{style}
</style>
</head>
<body>
<table>
<thead>
{head}
</thead>
<tbody>
{rows}
</tbody>
</table>
</body>
</html>
"""


def write_table_page(path: Pathlike, title: str, *, style: str, head: str, rows: Iterable[str]) -> None:
    """Write a page with one table.

    Args:
        path: The file.
        title: Plain text without markup.
        style: CSS rules that this table has beside the common ones.
        head: The table's head, rows of HTML.
        rows: Its other rows, of HTML.
    """
    write_text(path, PAGE.format(title=title, style=style, head=head, rows="\n".join(rows)))


def write_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], path: Pathlike) -> None:
    """Write rows, which hold a value for each column, as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
