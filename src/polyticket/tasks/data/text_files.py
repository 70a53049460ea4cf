"""Text files of examples: lines, sentences of tagged words (`word<TAB>tag`, CoNLL-U), pairs, articles."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np

from polyticket.core.errors import PolyticketError
from polyticket.core.text import parsed_json
from polyticket.tasks.examples import Pair, Sentence, Text
from polyticket.tasks.table import Task, known_label

Lines = Iterable[tuple[int, str]]
"""Numbers from 1 and lines without their ends."""


def is_blank(line: str) -> bool:
    """Whether a line has nothing but spaces."""
    return not line.strip(" ")


def blocks(lines: Lines) -> Iterator[list[tuple[int, str]]]:
    """Group lines by the blank lines between them, of which any number may stand anywhere."""
    block: list[tuple[int, str]] = []
    for number, line in chain(lines, [(0, "")]):
        if not is_blank(line):
            block.append((number, line))
        elif block:
            yield block
            block = []


def count_of_columns(columns: list[str]) -> str:
    """For errors: ``3 columns``."""
    return f"{len(columns)} column{'s' * (len(columns) > 1)}"


_WORD = re.compile(r"[0-9]{1,9}")
_OTHER = re.compile(r"[0-9]+[-.][0-9]+")  # 3-4: how words 3 and 4 are written together; 8.1: a word that is not written
CONLLU_COLUMNS = 10
DOCUMENT = "-DOCSTART-"
"""What some files have in place of a word where a document begins."""


def read_tagged(lines: Lines, where: str, task: Task, language: str) -> tuple[list[Sentence], int]:
    """Read ``word<TAB>tag`` lines, with blank lines between sentences.

    Where the first line of words has no tab, word and tag are separated by blanks. `-DOCSTART-` is no word.

    Args:
        lines: Of a file, numbered.
        where: What the file is called in errors.
        task: Gives the tags that are known; words of dropped tags are left out.
        language: The code that is stripped, with its colon, from the front of words if the task's words have such.

    Returns:
        The sentences, and the number of words that are left out.

    Raises:
        PolyticketError: No sentence, another number of columns, or an unknown tag; names file and line.
    """
    prefix = f"{language}:" if task.prefixed else ""
    sentences: list[Sentence] = []
    tabs, words = None, 0
    for block in blocks(lines):
        rows: list[tuple[str, str]] = []
        for number, line in block:
            if re.split("[\t ]", line.strip(" "), maxsplit=1)[0] == DOCUMENT:
                continue
            tabs = "\t" in line if tabs is None else tabs
            columns = line.split("\t") if tabs else re.split(" +", line.strip(" "))
            if len(columns) != 2:
                raise _wrong_columns(columns, f"{where}:{number}", untagged=not (rows or sentences))
            rows.append((columns[0].removeprefix(prefix), known_label(columns[1], task, where, number)))
        words += len(rows)
        sentences += sentence_of(rows, task)
    if not sentences:
        raise PolyticketError("no sentences", where=where, expected="at least one line word<TAB>tag")
    if task.prefixed:
        _check_language(sentences, language, where)
    return sentences, words - count_words(sentences)


def count_words(sentences: Sequence[Sentence]) -> int:
    """The words of all sentences."""
    return sum(len(sentence.words) for sentence in sentences)


def _wrong_columns(columns: list[str], where: str, *, untagged: bool) -> PolyticketError:
    """The error of a line with another number of columns, and the way out; `untagged`: no line before has a tag."""
    expected = "word<TAB>tag"
    if len(columns) > 2:
        expected += "; cut -f (with -d ' ' where blanks separate) takes two columns out of several"
    elif untagged:
        expected += "; words without tags can't be scored, splits: {test: dev} takes another split in their place"
    return PolyticketError(f"{count_of_columns(columns)} where two are needed", where=where, expected=expected)


def _check_language(sentences: Sequence[Sentence], language: str, where: str) -> None:
    """Refuse a file all of whose words are prefixed with another language."""
    prefixes = {re.match(r"([a-z][a-z-]+):|", word)[1] for sentence in sentences for word in sentence.words}  # type: ignore[index]
    if len(prefixes) == 1 and (other := prefixes.pop()) is not None:
        raise PolyticketError(f"words of {other!r}", where=where, expected=f"words of {language!r}")


def read_conllu(lines: Lines, where: str, task: Task) -> tuple[list[Sentence], int]:
    """Read the words (FORM) and tags (UPOS) of a treebank in CoNLL-U.

    Comments are skipped; ranges of several words (``3-4``) and empty nodes (``8.1``) are no words of their own.

    Args:
        lines: Of a file, numbered.
        where: What the file is called in errors.
        task: Gives the tags that are known; words of dropped tags are left out.

    Returns:
        The sentences, and the number of words that are left out.

    Raises:
        PolyticketError: No sentence, another number of columns, a bad ID, one that does not follow the last (a word is
            missing, or there is no blank line between two sentences), no word, or an unknown tag; names file and line.
    """
    sentences, words = [], 0
    for block in blocks(lines):
        rows, last = [], 0
        for number, line in block:
            if line.startswith("#"):
                continue
            columns = line.split("\t")
            if len(columns) != CONLLU_COLUMNS:
                count = f"{count_of_columns(columns)} where ten are needed"
                raise PolyticketError(count, where=f"{where}:{number}", expected="a line of CoNLL-U")
            if _WORD.fullmatch(columns[0]):
                if int(columns[0]) != last + 1:
                    expected = f"{last + 1}, or a blank line between sentences" if last else "1"
                    after = f"after {last}" if last else "first"
                    raise PolyticketError(f"ID {columns[0]} {after}", where=f"{where}:{number}", expected=expected)
                if not columns[1]:
                    raise PolyticketError("no word (FORM)", where=f"{where}:{number}", expected="_ where there is none")
                last += 1
                rows.append((columns[1], known_label(columns[3], task, where, number)))
            elif not _OTHER.fullmatch(columns[0]):
                expected = "3, 3-4 or 8.1, as CoNLL-U has it"
                raise PolyticketError(f"bad ID {columns[0]!r}", where=f"{where}:{number}", expected=expected)
        words += len(rows)
        sentences += sentence_of(rows, task)
    if not sentences and words:
        expected = "words with tags in the fourth column (UPOS)"
        raise PolyticketError(f"none of {words:,} words has a tag", where=where, expected=expected)
    if not sentences:
        raise PolyticketError("no sentences", where=where, expected="a treebank in CoNLL-U")
    return sentences, words - count_words(sentences)


def wordless(sentences: Sequence[Sentence]) -> str | None:
    """Why sentences are no data: most of their words are ``_``, left out for reasons of copyright; None if not."""
    words = [word for sentence in sentences for word in sentence.words]
    bare = words.count("_")
    return f"{bare:,} of {len(words):,} words are _" if 2 * bare > len(words) else None


def require_iob2(sentences: Sequence[Sentence], where: str) -> None:
    """Refuse entities most of which begin with ``I-``, as in the schemes IOB1 and IO.

    A few do so in WikiANN as well: they are read as they are.

    Raises:
        PolyticketError: More entities begin with ``I-X`` after another tag than with ``B-X``.
    """
    begun, inside = 0, 0
    for sentence in sentences:
        for before, tag in zip(("O", *sentence.tags), sentence.tags, strict=False):
            begun += tag.startswith("B-")
            inside += tag.startswith("I-") and before[2:] != tag[2:]
    if inside > begun:
        raise PolyticketError(
            f"{inside:,} of {inside + begun:,} entities begin with I-, as in IOB1 or IO",
            where=where,
            expected="IOB2: B-X begins every entity",
        )


def sentence_of(rows: list[tuple[str, str]], task: Task) -> list[Sentence]:
    """A sentence of words and tags without those that the task drops; none if no word is left."""
    kept = [row for row in rows if row[1] not in task.dropped]
    if not kept:
        return []
    words, tags = zip(*kept, strict=True)
    return [Sentence(words, tags)]


PAIR_COLUMNS = "premise<TAB>hypothesis<TAB>label"
UNLABELLED = "; a file without labels can't be scored, splits: {test: dev} takes another in its place"
TOO_MANY_COLUMNS = "; cut -f takes three columns out of several, of rows in one language"


def read_pairs(lines: Lines, where: str, task: Task) -> list[Pair]:
    """Read pairs, one a line.

    Args:
        lines: Of a file, numbered.
        where: What the file is called in errors.
        task: Gives the labels that are known, and how some files spell them. A first line of what the task's columns
            may be called names the columns, in any order; the name of the last one is enough.

    Raises:
        PolyticketError: No pair, another number of columns (test files of benchmarks may come without labels), or an
            unknown label; names file and line.
    """
    pairs: list[Pair] = []
    first, order = True, [0, 1, 2]
    for number, line in lines:
        if is_blank(line):
            continue
        columns = line.split("\t")
        if len(columns) != 3:
            raise PolyticketError(
                f"{count_of_columns(columns)} where three are needed",
                where=f"{where}:{number}",
                expected=PAIR_COLUMNS
                + (TOO_MANY_COLUMNS if len(columns) > 3 else UNLABELLED if first and len(columns) == 2 else ""),
            )
        named = [at for names in task.columns for at, name in enumerate(columns) if name in names] if first else []
        if sorted(named) == [0, 1, 2]:
            order = named
        elif not (first and columns[2] in task.columns[2]):
            premise, hypothesis, label = (columns[at] for at in order)
            pairs.append(Pair(premise, hypothesis, known_label(label, task, where, number)))
        first = False
    if not pairs:
        raise PolyticketError("no pairs", where=where, expected=f"at least one line {PAIR_COLUMNS}")
    return pairs


def read_articles(lines: Lines, where: str) -> list[Text]:
    """Read articles; those without text are left out.

    Args:
        lines: Of a file, numbered.
        where: What the file is called: ``*.jsonl`` holds an object with a ``text`` a line; other files hold a sentence
            a line, which are joined by spaces, and a blank line between articles.

    Raises:
        PolyticketError: A line is no JSON object, or its ``text`` is missing or no text; names file and line.
    """
    if not where.endswith(".jsonl"):
        return [Text(" ".join(line for _, line in block)) for block in blocks(lines)]
    texts = (_article_of(line, f"{where}:{number}") for number, line in lines if not is_blank(line))
    return [Text(text) for text in texts if text.strip()]


def _article_of(line: str, where: str) -> str:
    expected = 'a JSON object a line, {"text": "…"}'
    row = parsed_json(line, where, expected=expected)
    text = row.get("text") if isinstance(row, dict) else None
    if not isinstance(text, str):
        raise PolyticketError("no text", where=where, expected=expected)
    return text


def check_share(dev_share: float) -> None:
    """See that something is left to train on.

    Raises:
        PolyticketError: The share is not between 0 and 0.5.
    """
    if not 0 < dev_share < 0.5:
        expected = "a share > 0 and < 0.5: as much goes to dev and to test"
        raise PolyticketError(f"{dev_share} is not allowed", where="dev_share", expected=expected)


def divided(texts: Sequence[Text], where: str, *, dev_share: float, seed: int) -> dict[str, list[Text]]:
    """Divide articles into train, dev and test, each in the order given.

    Of n articles, ``max(1, round(n · dev_share))`` drawn with the seed go to dev and as many others to test. The
    draw depends on the number of articles and the seed alone, not on the files that they came from.

    Args:
        texts: Articles, all files joined.
        where: What they are called in errors.
        dev_share: Share of dev, and of test.
        seed: Of the draw.

    Raises:
        PolyticketError: A bad share, or too few articles to leave one in each split.
    """
    check_share(dev_share)
    total = len(texts)
    size = max(1, round(total * dev_share))
    if total - 2 * size < 1:
        raise PolyticketError(f"{total} articles", where=where, expected="at least three, one for each split")
    drawn = np.random.default_rng(seed).permutation(total)
    parts = {"dev": drawn[:size], "test": drawn[size : 2 * size], "train": drawn[2 * size :]}
    return {name: [texts[place] for place in np.sort(places)] for name, places in parts.items()}
