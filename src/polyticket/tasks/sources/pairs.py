"""Pairs of sentences: lines ``premise<TAB>hypothesis<TAB>label``."""

from typing import TYPE_CHECKING

from polyticket.core.errors import PolyticketError
from polyticket.tasks.examples import Pair
from polyticket.tasks.inventory import known_label
from polyticket.tasks.sources.lines import Lines, count_of_columns, is_blank

if TYPE_CHECKING:
    from polyticket.tasks.task import Task

COLUMNS = "premise<TAB>hypothesis<TAB>label"
BARE = "; a file without labels can't be scored, splits: {test: dev} takes another in its place"
MORE = "; cut -f takes three columns out of several, of rows in one language"


def read_pairs(lines: Lines, where: str, task: "Task") -> list[Pair]:
    """Read pairs, one a line.

    Args:
        lines: Of a file, numbered.
        where: What the file is called in errors.
        task: Gives the labels that are known, and how some files spell them. A first line whose last column is what
            the task's column of labels may be called names the columns.

    Raises:
        PolyticketError: No pair, another number of columns (test files of benchmarks may come without labels), or an
            unknown label; names file and line.
    """
    pairs: list[Pair] = []
    first = True
    for number, line in lines:
        if is_blank(line):
            continue
        columns = line.split("\t")
        if len(columns) != 3:
            raise PolyticketError(
                f"{count_of_columns(columns)} where three are needed",
                where=f"{where}:{number}",
                expected=COLUMNS + (MORE if len(columns) > 3 else BARE if first and len(columns) == 2 else ""),
            )
        if not (first and columns[2] in task.columns[2]):
            pairs.append(Pair(columns[0], columns[1], known_label(columns[2], task, where, number)))
        first = False
    if not pairs:
        raise PolyticketError("no pairs", where=where, expected=f"at least one line {COLUMNS}")
    return pairs
