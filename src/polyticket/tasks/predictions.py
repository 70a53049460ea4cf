"""Predictions for test examples as files, in the layout that XTREME's `evaluate.py` takes.

Tags stand one a line with a blank line between sentences, labels one a line. Of masked tokens, which XTREME does not
score, each line says `log-likelihood<TAB>hits<TAB>masked tokens` of an article.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, write_text
from polyticket.core.text import read_text
from polyticket.tasks.examples import Example, Pair, Sentence, Text
from polyticket.tasks.metrics import Prediction
from polyticket.tasks.table import Task

BREAKS = re.compile(r"[\r\n]+")


def write_predictions(path: Pathlike, predictions: Sequence[Prediction], task: Task) -> None:
    """Write predictions, complete or absent.

    An answer of several lines, which is no label, is written on one.

    Args:
        path: The file.
        predictions: One for each example: a tuple of tags, a label, or (log-likelihood, hits, masked tokens).
        task: Says which of them.
    """
    between = "\n\n" if task.examples is Sentence else "\n"
    lines = between.join(_written(prediction, task.examples) for prediction in predictions)
    write_text(path, f"{lines}\n" if predictions else "")


def read_predictions(path: Pathlike, task: Task, examples: Sequence[Any]) -> list[Prediction]:
    """Read what `write_predictions` wrote.

    Args:
        path: The file.
        task: What was predicted.
        examples: For which examples; there is a prediction for each, and a tag for each of their words.

    Raises:
        PolyticketError: The file is missing, or holds more, fewer or other predictions; names the line.
    """
    lines = _Lines(path)
    predictions = list(READERS[task.examples](lines, task, examples))
    if not lines.ended():
        raise lines.wrong("more predictions than examples", f"the end after {len(examples):,}")
    return predictions


class _Lines:
    """The lines of a file, one after the other."""

    def __init__(self, path: Pathlike) -> None:
        self.path, self.read = path, 0
        self.lines = read_text(path).split("\n")
        if self.lines[-1] == "":
            self.lines.pop()

    def ended(self) -> bool:
        return self.read == len(self.lines)

    def next(self, expected: str) -> str:
        if self.ended():
            raise self.wrong("the file ends", expected)
        self.read += 1
        return self.lines[self.read - 1].removesuffix("\r")

    def wrong(self, what: str, expected: str, *, back: int = 0) -> PolyticketError:
        """The error of the line that comes next, or of one some lines back."""
        return PolyticketError(what, where=f"{self.path}:{self.read + 1 - back}", expected=expected)


def _written(prediction: Prediction, kind: type[Example]) -> str:
    if kind is Sentence:
        return "\n".join(prediction)
    if kind is Pair:
        return BREAKS.sub(" ", prediction)
    total, hits, masked = prediction
    return f"{float(total)!r}\t{int(hits)}\t{int(masked)}"


def _tags(lines: _Lines, task: Task, examples: Sequence[Sentence]) -> Iterator[tuple[str, ...]]:
    for number, sentence in enumerate(examples, 1):
        about = f"of sentence {number:,}, which has {len(sentence.tags)} words"
        if number > 1 and (line := lines.next("a blank line")):
            raise lines.wrong(f"{line!r} after the last word of sentence {number - 1:,}", "a blank line", back=1)
        tags = tuple(lines.next(f"a tag {about}") for _ in sentence.tags)
        for back, tag in enumerate(reversed(tags), 1):
            if tag not in task.labels:
                raise lines.wrong(f"{tag!r} where a tag stands {about}", " or ".join(task.labels), back=back)
        yield tags


def _labels(lines: _Lines, task: Task, examples: Sequence[Pair]) -> Iterator[str]:
    for number, _ in enumerate(examples, 1):
        yield lines.next(f"the answer to example {number:,} of {task.name}")


def _sums(lines: _Lines, task: Task, examples: Sequence[Text]) -> Iterator[tuple[float, int, int]]:
    expected = "log-likelihood<TAB>hits<TAB>masked tokens"
    for number, _ in enumerate(examples, 1):
        line = lines.next(f"{expected} of example {number:,} of {task.name}")
        try:
            total, hits, masked = line.split("\t")
            yield float(total), int(hits), int(masked)
        except ValueError:
            raise lines.wrong(f"{line!r}", expected, back=1) from None


READERS: dict[type[Example], Callable[[_Lines, Task, Sequence[Any]], Iterator[Prediction]]] = {
    Sentence: _tags,
    Pair: _labels,
    Text: _sums,
}
