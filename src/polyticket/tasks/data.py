"""Tagging tasks and their files: one word and its tag a line, a blank line between sentences."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from polyticket.errors import PolyticketError
from polyticket.files import Pathlike, write_text
from polyticket.tasks.metrics import Scores, Tags, entity_scores, token_scores


@dataclass(frozen=True)
class Task:
    """A tagging task; another one is another entry of `TASKS`.

    Attributes:
        name: Its name in XTREME.
        labels: All tags, in the order of the classifier's outputs.
        file: The file of a split below a language's folder.
        score: Gold and predicted tags of sentences to named scores.
        selection: The score on the dev split that chooses the best checkpoint.
        prefixed: Whether words may be written `language:word`.
        dropped: Tags whose rows are left out.
    """

    name: str
    labels: tuple[str, ...]
    file: str
    score: Callable[[Tags, Tags], Scores]
    selection: str = "f1"
    prefixed: bool = False
    dropped: frozenset[str] = frozenset()


ENTITIES = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")
UPOS = (
    *("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM"),
    *("PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X"),
)

TASKS = {
    task.name: task
    for task in (
        Task("panx", ENTITIES, "{split}", entity_scores, prefixed=True),
        Task("udpos", UPOS, "{split}.tsv", token_scores, dropped=frozenset("_")),
    )
}


@dataclass(frozen=True)
class Sentence:
    """Words and, for each of them, its tag."""

    words: tuple[str, ...]
    tags: tuple[str, ...]


def task_named(name: str) -> Task:
    """Look a task up in `TASKS`.

    Raises:
        PolyticketError: There is none of that name.
    """
    if name not in TASKS:
        raise PolyticketError(f"unknown task {name!r}", where="task", expected=f"one of {', '.join(TASKS)}")
    return TASKS[name]


def read_sentences(path: Pathlike, task: Task, language: str) -> list[Sentence]:
    """Read one split.

    Any number of blank lines may stand anywhere, line ends may be CRLF, and the last line needs no end.

    Args:
        path: UTF-8 text, `word<TAB>tag` a line; for panx also `language:word<TAB>tag`.
        task: Gives the tags that are known.
        language: The code that is stripped, with its colon, from the front of prefixed words.

    Raises:
        PolyticketError: The file is missing, holds no sentence, or a line is not UTF-8, has another number of columns
            or an unknown tag; names file and line.
    """
    sentences: list[Sentence] = []
    rows: list[tuple[str, str]] = []
    for number, line in enumerate([*_lines(path), ""], 1):
        if line.strip(" "):
            row = _row(line, task, f"{path}:{number}")
            rows += [row] if row[1] not in task.dropped else []
        elif rows:
            words, tags = zip(*rows, strict=True)
            sentences.append(Sentence(_bare(words, language) if task.prefixed else words, tags))
            rows = []
    if not sentences:
        raise PolyticketError("no sentences", where=path, expected="at least one line word<TAB>tag")
    return sentences


def _bare(words: Iterable[str], language: str) -> tuple[str, ...]:
    return tuple(word.removeprefix(f"{language}:") for word in words)


def _lines(path: Pathlike) -> list[str]:
    # Only \n ends a line: words may hold U+2028 and other characters that str.splitlines would cut at.
    try:
        data = Path(path).read_bytes()
        text = data.decode("utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        raise PolyticketError("no such file", where=path, expected="a split of a tagging task") from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PolyticketError(f"not UTF-8: {error.reason}", where=f"{path}:{line}", expected="UTF-8 text") from None
    return [line.removesuffix("\r") for line in text.split("\n")]


def _row(line: str, task: Task, where: str) -> tuple[str, str]:
    columns = line.split("\t")
    if len(columns) != 2:
        count = f"{len(columns)} column{'s' * (len(columns) > 1)}"
        raise PolyticketError(f"{count} where two are needed", where=where, expected="word<TAB>tag")
    word, tag = columns
    if tag not in task.labels and tag not in task.dropped:
        raise PolyticketError(f"unknown {task.name} tag {tag!r}", where=where, expected=f"one of {task.labels}")
    return word, tag


def write_tags(path: Pathlike, sentences: Sequence[Sequence[str]]) -> None:
    """Write predictions in XTREME's form: one tag a line, a blank line between sentences."""
    write_text(path, "\n\n".join("\n".join(tags) for tags in sentences) + "\n")
