"""Examples as rows of named fields: those of Hugging Face data sets, and JSON lines."""

from collections.abc import Sequence, Set
from typing import Any

from polyticket.core.errors import PolyticketError
from polyticket.core.text import parsed_json
from polyticket.tasks.data.names import is_code, is_same
from polyticket.tasks.data.text_files import Lines, count_words, is_blank, sentence_of
from polyticket.tasks.examples import Pair, Sentence, Text
from polyticket.tasks.table import Task, known_label

LANGUAGE_KEYS = ("language", "lang")


def read_rows(lines: Lines, where: str, task: Task, language: str) -> tuple[list[Any], int]:
    """Read JSON lines of sentences or pairs, an object a line.

    Args:
        lines: Of a file, numbered.
        where: What the file is called in errors.
        task: What the examples are, and what the keys of their fields may be called.
        language: That of all rows, where they say one.

    Returns:
        The examples, and the number of words that are left out.

    Raises:
        PolyticketError: No line, a line that is no object or lacks a field, or an unknown label; names file and line.
            Or rows are of several languages, or of another.
    """
    examples, languages, words = [], set(), 0
    for number, line in lines:
        if not is_blank(line):
            row = _row(line, task, f"{where}:{number}")
            languages |= {row[key] for key in LANGUAGE_KEYS if isinstance(row.get(key), str)}
            fields = _fields(row, task, f"{where}:{number}")
            examples += examples_of(fields, None, task, where, number)
            words += len(fields[0] or ()) if task.examples is Sentence else 0
    require_language(languages, language, where)
    if not examples:
        raise PolyticketError("no examples", where=where, expected="at least one JSON object on a line of its own")
    return examples, words - count_words(examples) if task.examples is Sentence else 0


def require_language(languages: Set[str], language: str, where: str) -> None:
    """Check the languages that the rows of a file or split say.

    Raises:
        PolyticketError: They are several, or another one that is known.
    """
    codes = sorted(languages)
    if len(codes) > 1 or (codes and is_code(codes[0]) and not is_same(codes[0], language)):
        shown = ", ".join(codes[:6]) + ", …" * (len(codes) > 6)
        raise PolyticketError(f"rows of {shown} where {language!r} is read", where=where, expected="its rows alone")


def _row(line: str, task: Task, where: str) -> dict[str, Any]:
    expected = _expected(task)
    row = parsed_json(line, where, expected=expected)
    if not isinstance(row, dict):
        raise PolyticketError("no JSON object", where=where, expected=expected)
    return row


def _fields(row: dict[str, Any], task: Task, where: str) -> list[Any]:
    keys = [next((name for name in names if name in row), None) for names in task.columns]
    if None in keys:
        lacking = task.columns[keys.index(None)][0]
        there = ", ".join(row) or "nothing"
        raise PolyticketError(f"no {lacking} among {there}", where=where, expected=_expected(task))
    return [row[key] for key in keys if key is not None]


def _expected(task: Task) -> str:
    return f"a JSON object a line, with {', '.join(' or '.join(names) for names in task.columns)}"


def examples_of(fields: Sequence[Any], names: list[str] | None, task: Task, where: str, row: int) -> list[Any]:
    """The example of a row; none if nothing is left of it.

    Args:
        fields: As many as an example has.
        names: The names of numbered labels; None where labels have none.
        task: What the example is; words whose tags it drops are left out.
        where: The file or split, in errors.
        row: Its number there.

    Raises:
        PolyticketError: A field is of another type, or the label is missing or unknown.
    """
    if task.examples is Text:
        (text,) = fields
        return [Text(_text(text, where, row))] if text and not str(text).isspace() else []
    return (_sentence if task.examples is Sentence else _pair)(fields, names, task, where, row)


def _sentence(fields: Sequence[Any], names: list[str] | None, task: Task, where: str, row: int) -> list[Sentence]:
    """The sentence of a row; none if all its words are dropped."""
    words, labels = (field or [] for field in fields)
    if not (isinstance(words, list) and isinstance(labels, list) and len(words) == len(labels)):
        expected = "two lists of one length, words and tags"
        raise PolyticketError(f"{words!r:.40} and {labels!r:.40}", where=f"{where}:{row}", expected=expected)
    tags = [_label(label, names, task, where, row) for label in labels]
    return sentence_of([(_text(word, where, row), tag) for word, tag in zip(words, tags, strict=True)], task)


def _pair(fields: Sequence[Any], names: list[str] | None, task: Task, where: str, row: int) -> list[Pair]:
    premise, hypothesis, label = fields
    return [Pair(_text(premise, where, row), _text(hypothesis, where, row), _label(label, names, task, where, row))]


def _text(value: Any, where: str, row: int) -> str:
    if not isinstance(value, str):
        raise PolyticketError(f"{value!r:.40} is no text", where=f"{where}:{row}", expected="text")
    return value


def _label(label: Any, names: list[str] | None, task: Task, where: str, row: int) -> str:
    """A label as the task spells it, from its name or from its number in a column whose labels have names."""
    if not isinstance(label, str):
        if label is None or (names and label not in range(len(names))):  # -1 where labels are withheld
            expected = "a labelled split, or another in its place (splits)"
            raise PolyticketError("no label", where=f"{where}:{row}", expected=expected)
        if names is None:
            expected = "its name, or a column that names its labels (ClassLabel)"
            raise PolyticketError(f"the label {label!r:.40}", where=f"{where}:{row}", expected=expected)
        label = names[label]
    return known_label(label, task, where, row)
