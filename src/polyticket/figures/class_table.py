"""The table of scores by class: types of entities, tags of words, labels of pairs."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from polyticket.core.files import Pathlike
from polyticket.figures.page import write_table, write_table_page

Row = dict[str, str]
COLUMNS = ("run", "task", "language", "class", "precision", "recall", "f1", "f1_sd", "support", "seeds")
WORDS = ("run", "task", "language", "class")
STYLE = """thead th { position: sticky; top: 0; }
.word { text-align: left; }"""


def class_rows(run: str, result: Mapping[str, Any]) -> Iterator[Row]:
    """A row per class, of the scores on test in the summary of a run's seeds; none for a task without classes."""
    for name, scores in result.get("by_class", {}).get("test", {}).items():
        numbers = {key: "" if scores[key] is None else f"{scores[key]:.4f}" for key in COLUMNS[4:8]}
        words = {"run": run, "task": result["task"], "language": result["language"], "class": name}
        yield words | numbers | {"support": f"{scores['support']:.0f}", "seeds": str(len(result["seeds"]))}


def write_classes(rows: Sequence[Row], path: Pathlike) -> None:
    """Write the table as CSV."""
    write_table(rows, COLUMNS, path)


def write_class_page(rows: Sequence[Row], path: Pathlike) -> None:
    """Write the table as a page of HTML that needs nothing else."""
    head = _line("th", {name: name.replace("_", " ") for name in COLUMNS})
    write_table_page(path, "Scores by class", style=STYLE, head=head, rows=[_line("td", row) for row in rows])


def _line(tag: str, row: Row) -> str:
    marks = dict.fromkeys(WORDS, ' class="word"')
    cells = (f"<{tag}{marks.get(name, '')}>{escape(row[name])}</{tag}>" for name in COLUMNS)
    return f"<tr>{''.join(cells)}</tr>"
