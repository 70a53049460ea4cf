"""The table of scores."""

import csv
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from polyticket.errors import PolyticketError
from polyticket.figures.page import write_table_page
from polyticket.files import Pathlike, write_text

Row = dict[str, Any]
COLUMNS = (
    *("run", "task", "language", "remain_ratio", "mask_method", "saliency", "density"),
    *("test_f1", "test_precision", "test_recall", "dev_f1", "baseline_f1"),
    *("best_step", "train_sentences", "test_sentences"),
)
WORDS = ("run", "task", "language", "mask_method", "saliency")
STYLE = """thead th { position: sticky; top: 0; }
.word { text-align: left; }
.low { color: #b0400a; }"""


def score_row(run: str, result: Mapping[str, Any], baseline: Mapping[str, Any]) -> Row:
    """One row of the table, from a result of fine-tuning and its baseline.

    A run without masks has neither remain ratio nor saliency: both are empty. Shares and scores have four digits.

    Raises:
        PolyticketError: The two are of different tasks or languages.
    """
    what, floor = ((found["task"], found["language"]) for found in (result, baseline))
    if what != floor:
        raise PolyticketError(f"baseline of {floor}", where=f"scores of {run}", expected=f"one of {what}")
    masked = result["mask_method"] == "linear"
    test = result["test"]
    return {
        "run": run,
        "task": result["task"],
        "language": result["language"],
        "remain_ratio": result["remain_ratio"] if masked else "",
        "mask_method": result["mask_method"],
        "saliency": result["saliency"] if masked else "",
        "density": f"{result['density']:.4f}",
        **{f"test_{name}": f"{test[name]:.4f}" for name in ("f1", "precision", "recall")},
        "dev_f1": f"{result['dev']['f1']:.4f}",
        "baseline_f1": f"{baseline['test']['f1']:.4f}",
        "best_step": result["best_step"],
        **{f"{name}_sentences": result["sentences"][name] for name in ("train", "test")},
    }


def write_scores(rows: Sequence[Row], path: Pathlike) -> None:
    """Write the table as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def write_page(rows: Sequence[Row], path: Pathlike) -> None:
    """Write the table as a page of HTML that needs nothing else; a test F1 below the baseline has another colour."""
    lines = [_line("td", row, low=float(row["test_f1"]) < float(row["baseline_f1"])) for row in rows]
    head = _line("th", {name: name.replace("_", " ") for name in COLUMNS})
    write_table_page(path, "Scores", style=STYLE, head=head, rows=lines)


def _line(tag: str, row: Mapping[str, Any], *, low: bool = False) -> str:
    marks = dict.fromkeys(WORDS, ' class="word"') | ({"test_f1": ' class="low"'} if low else {})
    cells = (f"<{tag}{marks.get(name, '')}>{escape(str(row[name]))}</{tag}>" for name in COLUMNS)
    return f"<tr>{''.join(cells)}</tr>"


def read_scores(path: Pathlike) -> list[Row]:
    """Read the table; all values are text."""
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
