"""The tables of scores by language and by class, as CSV and HTML."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from statistics import fmean
from typing import Any

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, write_text
from polyticket.core.tables import read_rows, write_rows
from polyticket.model.mask_methods import masks_some, method_text

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


Row = dict[str, Any]
SCORE_COLUMNS = (
    *("run", "task", "language", "remain_ratio", "mask_method", "saliency", "density"),
    *("score", "test_score", "test_score_sd", "dev_score", "baseline_score"),
    *("seeds", "best_step", "train_examples", "test_examples"),
)
SCORE_WORDS = ("run", "task", "language", "mask_method", "saliency", "score")
SCORE_STYLE = """thead th { position: sticky; top: 0; }
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
    write_rows(path, SCORE_COLUMNS, rows, digits=None)


def write_score_page(rows: Sequence[Row], path: Pathlike) -> None:
    """Write the table as a page of HTML that needs nothing else; a score below the baseline has another colour."""
    lines = [_score_line("td", row, low=_is_low(row)) for row in rows]
    head = _score_line("th", {name: name.replace("_", " ") for name in SCORE_COLUMNS})
    write_table_page(path, "Scores", style=SCORE_STYLE, head=head, rows=lines)


def _is_low(row: Row) -> bool:
    return bool(row["baseline_score"]) and float(row["test_score"]) < float(row["baseline_score"])


def _score_line(tag: str, row: Mapping[str, Any], *, low: bool = False) -> str:
    marks = dict.fromkeys(SCORE_WORDS, ' class="word"') | ({"test_score": ' class="low"'} if low else {})
    cells = (f"<{tag}{marks.get(name, '')}>{escape(str(row[name]))}</{tag}>" for name in SCORE_COLUMNS)
    return f"<tr>{''.join(cells)}</tr>"


def read_scores(path: Pathlike) -> list[Row]:
    """Read the table; all values are text."""
    return read_rows(path)


ClassRow = dict[str, str]
CLASS_COLUMNS = ("run", "task", "language", "class", "precision", "recall", "f1", "f1_sd", "support", "seeds")
CLASS_WORDS = ("run", "task", "language", "class")
CLASS_STYLE = """thead th { position: sticky; top: 0; }
.word { text-align: left; }"""


def class_rows(run: str, result: Mapping[str, Any]) -> Iterator[ClassRow]:
    """A row per class, of the scores on test in the summary of a run's seeds; none for a task without classes."""
    for name, scores in result.get("by_class", {}).get("test", {}).items():
        numbers = {key: "" if scores[key] is None else f"{scores[key]:.4f}" for key in CLASS_COLUMNS[4:8]}
        words = {"run": run, "task": result["task"], "language": result["language"], "class": name}
        yield words | numbers | {"support": f"{scores['support']:.0f}", "seeds": str(len(result["seeds"]))}


def write_classes(rows: Sequence[ClassRow], path: Pathlike) -> None:
    """Write the table as CSV."""
    write_rows(path, CLASS_COLUMNS, rows, digits=None)


def write_class_page(rows: Sequence[ClassRow], path: Pathlike) -> None:
    """Write the table as a page of HTML that needs nothing else."""
    head = _class_line("th", {name: name.replace("_", " ") for name in CLASS_COLUMNS})
    write_table_page(
        path, "Scores by class", style=CLASS_STYLE, head=head, rows=[_class_line("td", row) for row in rows]
    )


def _class_line(tag: str, row: ClassRow) -> str:
    marks = dict.fromkeys(CLASS_WORDS, ' class="word"')
    cells = (f"<{tag}{marks.get(name, '')}>{escape(row[name])}</{tag}>" for name in CLASS_COLUMNS)
    return f"<tr>{''.join(cells)}</tr>"
