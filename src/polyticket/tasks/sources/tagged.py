"""Sentences of tagged words: lines ``word<TAB>tag``, and CoNLL-U."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from polyticket.errors import PolyticketError
from polyticket.tasks.examples import Sentence
from polyticket.tasks.sources.lines import Lines, blocks, count_of_columns, known_label

if TYPE_CHECKING:
    from polyticket.tasks.task import Task

_WORD = re.compile(r"[0-9]+")
_OTHER = re.compile(r"[0-9]+[-.][0-9]+")  # 3-4: how words 3 and 4 are written together; 8.1: a word that is not written
CONLLU_COLUMNS = 10


def read_tagged(lines: Lines, where: str, task: "Task", language: str) -> list[Sentence]:
    """Read ``word<TAB>tag`` lines, with blank lines between sentences.

    Args:
        lines: Of a file, numbered.
        where: What the file is called in errors.
        task: Gives the tags that are known; words of dropped tags are left out.
        language: The code that is stripped, with its colon, from the front of words if the task's words have such.

    Raises:
        PolyticketError: No sentence, another number of columns, or an unknown tag; names file and line.
    """
    prefix = f"{language}:" if task.prefixed else ""
    sentences = []
    for block in blocks(lines):
        rows = []
        for number, line in block:
            columns = line.split("\t")
            if len(columns) != 2:
                count = count_of_columns(columns)
                raise PolyticketError(
                    f"{count} where two are needed", where=f"{where}:{number}", expected="word<TAB>tag"
                )
            rows.append((columns[0].removeprefix(prefix), known_label(columns[1], task, where, number)))
        sentences += sentence_of(rows, task)
    if not sentences:
        raise PolyticketError("no sentences", where=where, expected="at least one line word<TAB>tag")
    if task.prefixed:
        _check_language(sentences, language, where)
    return sentences


def _check_language(sentences: Sequence[Sentence], language: str, where: str) -> None:
    """Refuse a file all of whose words are prefixed with another language."""
    found = {re.match(r"([a-z][a-z-]+):|", word)[1] for sentence in sentences for word in sentence.words}  # type: ignore[index]
    if len(found) == 1 and (other := found.pop()) is not None:
        raise PolyticketError(f"words of {other!r}", where=where, expected=f"words of {language!r}")


def read_conllu(lines: Lines, where: str, task: "Task") -> list[Sentence]:
    """Read the words (FORM) and tags (UPOS) of a treebank in CoNLL-U.

    Comments are skipped; ranges of several words (``3-4``) and empty nodes (``8.1``) are no words of their own.

    Args:
        lines: Of a file, numbered.
        where: What the file is called in errors.
        task: Gives the tags that are known; words of dropped tags are left out.

    Raises:
        PolyticketError: No sentence, another number of columns, a bad ID, an unknown tag, or a treebank whose words
            are left out for reasons of copyright; names file and line.
    """
    sentences = []
    for block in blocks(lines):
        rows = []
        for number, line in block:
            if line.startswith("#"):
                continue
            columns = line.split("\t")
            if len(columns) != CONLLU_COLUMNS:
                count = f"{count_of_columns(columns)} where ten are needed"
                raise PolyticketError(count, where=f"{where}:{number}", expected="a line of CoNLL-U")
            if _WORD.fullmatch(columns[0]):
                rows.append((columns[1], known_label(columns[3], task, where, number)))
            elif not _OTHER.fullmatch(columns[0]):
                expected = "3, 3-4 or 8.1, as CoNLL-U has it"
                raise PolyticketError(f"bad ID {columns[0]!r}", where=f"{where}:{number}", expected=expected)
        sentences += sentence_of(rows, task)
    if not sentences:
        raise PolyticketError("no sentences", where=where, expected="a treebank in CoNLL-U")
    if all(set(sentence.words) == {"_"} for sentence in sentences):
        raise PolyticketError("all words are _", where=where, expected="a treebank that is given with its words")
    return sentences


def sentence_of(rows: list[tuple[str, str]], task: "Task") -> list[Sentence]:
    """A sentence of words and tags without those that the task drops; none if no word is left."""
    kept = [row for row in rows if row[1] not in task.dropped]
    if not kept:
        return []
    words, tags = zip(*kept, strict=True)
    return [Sentence(words, tags)]
