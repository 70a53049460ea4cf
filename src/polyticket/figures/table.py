"""The table of scores."""

import csv
from collections.abc import Mapping, Sequence
from html import escape
from statistics import fmean
from typing import Any

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.figures.page import write_table, write_table_page
from polyticket.model.mask_methods import masks_some, method_text

Row = dict[str, Any]
COLUMNS = (
    *("run", "task", "language", "remain_ratio", "mask_method", "saliency", "density"),
    *("score", "test_score", "test_score_sd", "dev_score", "baseline_score"),
    *("seeds", "best_step", "train_examples", "test_examples"),
)
WORDS = ("run", "task", "language", "mask_method", "saliency", "score")
STYLE = """thead th { position: sticky; top: 0; }
.word { text-align: left; }
.low { color: #b0400a; }"""


def score_row(run: str, result: Mapping[str, Any], baseline: Mapping[str, Any] | None) -> Row:
    """One row of the table, from the summary of a run's seeds and its baseline, if the task has one.

    The score is the one that chose the steps; `best_step` is the mean over seeds. A run without masks has neither
    remain ratio nor saliency, and one of a given model none that is known: both are empty, as is the deviation of one
    seed. Shares and scores have four digits.

    Raises:
        PolyticketError: The two are of different tasks or languages.
    """
    if baseline is not None:
        what, floor = ((found["task"], found["language"]) for found in (result, baseline))
        if what != floor:
            raise PolyticketError(f"baseline of {floor}", where=f"scores of {run}", expected=f"one of {what}")
    masked = (
        masks_some(result.get("pretraining_mask_method", result["mask_method"])) and result["finetune_from"] is None
    )
    score = result["selection"]
    return {
        "run": run,
        "task": result["task"],
        "language": result["language"],
        "remain_ratio": result["remain_ratio"] if masked else "",
        "mask_method": method_text(result["mask_method"], result.get("mask_language")),
        "saliency": result["saliency"] if masked else "",
        "density": f"{result['density']:.4f}",
        "score": score,
        "test_score": f"{result['test'][score]:.4f}",
        "test_score_sd": _digits(result["sd"]["test"][score]),
        "dev_score": f"{result['dev'][score]:.4f}",
        "baseline_score": _digits(None if baseline is None else baseline["test"][score]),
        "seeds": len(result["seeds"]),
        "best_step": f"{fmean(one['best_step'] for one in result['seeds']):g}",
        **{f"{name}_examples": result["examples"][name] for name in ("train", "test")},
    }


def _digits(number: float | None) -> str:
    return "" if number is None else f"{number:.4f}"


def write_scores(rows: Sequence[Row], path: Pathlike) -> None:
    """Write the table as CSV."""
    write_table(rows, COLUMNS, path)


def write_page(rows: Sequence[Row], path: Pathlike) -> None:
    """Write the table as a page of HTML that needs nothing else; a score below the baseline has another colour."""
    lines = [_line("td", row, low=_is_low(row)) for row in rows]
    head = _line("th", {name: name.replace("_", " ") for name in COLUMNS})
    write_table_page(path, "Scores", style=STYLE, head=head, rows=lines)


def _is_low(row: Row) -> bool:
    return bool(row["baseline_score"]) and float(row["test_score"]) < float(row["baseline_score"])


def _line(tag: str, row: Mapping[str, Any], *, low: bool = False) -> str:
    marks = dict.fromkeys(WORDS, ' class="word"') | ({"test_score": ' class="low"'} if low else {})
    cells = (f"<{tag}{marks.get(name, '')}>{escape(str(row[name]))}</{tag}>" for name in COLUMNS)
    return f"<tr>{''.join(cells)}</tr>"


def read_scores(path: Pathlike) -> list[Row]:
    """Read the table; all values are text."""
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
