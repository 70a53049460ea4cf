"""Read the examples of a task from files, archives or Hugging Face data sets."""

import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from polyticket.core.errors import PolyticketError
from polyticket.core.logs import log
from polyticket.core.text import decoded, read_as, require_regular
from polyticket.tasks.data.files import NO_OTHERS, find_files, named_splits
from polyticket.tasks.data.hub import open_dataset, read_split
from polyticket.tasks.data.names import address_of, is_address, splits_in
from polyticket.tasks.data.rows import read_rows
from polyticket.tasks.data.text_files import (
    count_words,
    divided,
    read_articles,
    read_conllu,
    read_pairs,
    read_tagged,
    require_iob2,
    wordless,
)
from polyticket.tasks.examples import (
    Pair,
    Sentence,
    Text,
    count_duplicates,
    describe,
    labels_of,
    thinned,
    unseen_labels,
    without_duplicates,
)
from polyticket.tasks.table import FROM_DATA, Task, found_inventory, with_inventory

Splits = dict[str, list[Any]]
"""train, dev and test, each a list of the task's examples."""


@dataclass
class Loaded:
    """The examples of a source, and the files they are from.

    Attributes:
        task: The task with the label inventory of the examples.
        splits: train, dev and test.
        files: Examples of each file, in the order of reading.
        passed_over: Files that are skipped as a whole or in part, with the reason.
        unread: Other files of the place.
    """

    task: Task
    splits: Splits = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    passed_over: dict[str, str] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)


def load_splits(
    source: str | Sequence[str],
    task: Task,
    language: str,
    *,
    splits: Mapping[str, str] = NO_OTHERS,
    dev_share: float = 0.05,
    seed: int = 0,
) -> Splits:
    """The train, dev and test examples of a task in a language; see `load`."""
    return load(source, task, language, splits=splits, dev_share=dev_share, seed=seed).splits


def load(
    source: str | Sequence[str],
    task: Task,
    language: str,
    *,
    labels: Sequence[str] | str | None = None,
    splits: Mapping[str, str] = NO_OTHERS,
    dev_share: float = 0.05,
    seed: int = 0,
) -> Loaded:
    """Read the train, dev and test examples of a task in a language.

    A source is one of these, with the language and all variables filled in:

    - a directory in a layout of `files.LAYOUTS`: XTREME's raw (``train``) or processed (``train-fr.tsv``,
      ``train.tsv``) files, ``train.txt``, treebanks in CoNLL-U (``*-ud-train.conllu``, or its parts
      ``*-ud-train-a.conllu``), pairs, articles. Of several layouts that have all splits, the first of that list is
      read. A glob pattern or a list of directories joins them: ``UD_French-*``;
    - files with the split in their names, or a glob of them: ``UD_*/fr_*-ud-*.conllu``, ``fr/*.txt``;
    - an archive of WikiANN (``fr.tar.gz``), or the directory that holds it;
    - articles without splits: a list of ``*.jsonl`` or ``*.txt``, or a directory with ``*.jsonl`` or
      ``sentences.txt``;
    - ``hf://owner/name[@revision][/config]``: a Hugging Face data set, or a local copy; see `hub`.

    Files of treebanks that are given without their words are passed over where others of the split have words, and
    such sentences in any of them.

    Args:
        source: As above.
        task: What the examples are.
        language: Its code, as files and prefixes of words spell it.
        labels: A label inventory that replaces the task's own, see `with_inventory`.
        splits: Splits that another one replaces, such as ``{"test": "dev"}`` where there is no labelled test set.
        dev_share: Of articles without splits: the share that goes to dev, and as much to test.
        seed: Seed of this draw.

    Raises:
        PolyticketError: Something is missing or malformed; names the place, and file and line where there are such.
    """
    names = named_splits(splits)
    loaded = Loaded(with_inventory(task, labels))
    reader = _Hub(source, language, loaded) if is_address(source) else _Files(source, language, splits, loaded)
    where = source if isinstance(source, str) else ", ".join(source)
    read: Splits
    if (undivided := reader.undivided()) is not None:
        read = dict(divided(undivided, where, dev_share=dev_share, seed=seed))
    else:
        read = _by_split(reader, list(dict.fromkeys(names.values())), loaded, names["train"], labels == FROM_DATA)
    for name in names.values():
        if not read.get(name):
            raise PolyticketError(f"no examples of {name}", where=source, expected="at least one")
        if task.entities:
            require_iob2(read[name], f"{where}, {name}")
    loaded.splits = {split: list(read[name]) for split, name in names.items()}
    return loaded


def _by_split(reader: "_Hub | _Files", names: list[str], loaded: Loaded, train: str, from_data: bool) -> Splits:
    """The splits; where labels are those of the training data, it is read first."""
    if not from_data:
        return reader.read(names)
    read = reader.read([train])
    loaded.task = found_inventory(loaded.task, (label for example in read[train] for label in labels_of(example)))
    return {**read, **reader.read([name for name in names if name != train])}


class _Files:
    """Files on disk."""

    def __init__(self, source: str | Sequence[str], language: str, splits: Mapping[str, str], loaded: Loaded) -> None:
        self.loaded, self.language = loaded, language
        self.files = find_files(source, loaded.task, language, splits=splits)
        loaded.unread += self.files.unread

    def undivided(self) -> list[Text] | None:
        """Articles without splits; None if there are splits."""
        if not self.files.unsplit or self.loaded.task.examples is not Text:
            return None
        return [text for path in self.files.unsplit for text in self._file(path)]

    def read(self, names: list[str]) -> Splits:
        """The examples of splits, all files joined."""
        if self.files.unsplit:
            return self._archive(self.files.unsplit[0], names)
        return {name: self._joined(self.files.splits[name]) for name in names}

    def _joined(self, paths: list[str]) -> list[Any]:
        parts = {path: self._file(path) for path in paths}
        bare = {path: why for path, part in parts.items() if path.endswith(".conllu") and (why := wordless(part))}
        if bare and len(bare) == len(parts):
            path, why = next(iter(bare.items()))
            expected = "a treebank that is given with its words, or a glob that leaves this one out"
            raise PolyticketError(why, where=path, expected=expected)
        self.loaded.passed_over.update(bare)
        for path in bare:
            del self.loaded.files[path]
            self.loaded.passed_over.pop(_in_part(path), None)
        return [example for path, part in parts.items() if path not in bare for example in self._with_words(path, part)]

    def _with_words(self, path: str, part: list[Any]) -> list[Any]:
        """A file's examples without sentences that are given without their words; a single one may be a sign."""
        treebank = path.endswith(".conllu")
        kept = (
            [sentence for sentence in part if set(sentence.words) != {"_"} or len(sentence.words) == 1]
            if treebank
            else part
        )
        if dropped := len(part) - len(kept):
            self._pass_over(path, f"{dropped:,} of {len(part):,} sentences have no words but _")
            self.loaded.files[path] = len(kept)
        return kept

    def _pass_over(self, path: str, reason: str) -> None:
        known = self.loaded.passed_over.get(_in_part(path))
        self.loaded.passed_over[_in_part(path)] = f"{known}; {reason}" if known else reason

    def _archive(self, path: str, names: list[str]) -> Splits:
        if not names:
            return {}
        read, others = read_members(path, names, lambda lines, where: self._lines(lines, where))
        self.loaded.unread = [f"{path}/{name}" for name in others if f"{path}/{name}" not in self.loaded.files]
        for member in self.loaded.unread:
            if split_names := splits_in(member.rpartition("/")[2], names):
                problem = f"named as data of {split_names[0]}, and not read"
                raise PolyticketError(problem, where=member, expected=f"one member for {split_names[0]}")
        return read

    def _file(self, path: str) -> list[Any]:
        require_regular(path)
        with open(path, "rb") as stream:
            return self._lines(stream, path)

    def _lines(self, stream: Iterable[bytes], where: str) -> list[Any]:
        examples, untagged = _read(stream, where, self.loaded.task, self.language)
        self.loaded.files[where] = len(examples)
        if untagged:
            self._pass_over(where, _told(untagged, examples))
        return examples


def _told(untagged: int, sentences: Sequence[Sentence]) -> str:
    return f"{untagged:,} of {untagged + count_words(sentences):,} words have no tag but _"


class _Hub:
    """A Hugging Face data set."""

    def __init__(self, source: str, language: str, loaded: Loaded) -> None:
        self.source, self.language, self.loaded = source, language, loaded
        self.data = open_dataset(address_of(source))

    def undivided(self) -> list[Text] | None:
        """Articles that are all in the train split."""
        if self.loaded.task.examples is not Text or list(self.data) != ["train"]:
            return None
        return self._split("train")

    def read(self, names: list[str]) -> Splits:
        """The examples of splits."""
        return {name: self._split(name) for name in names}

    def _split(self, name: str) -> list[Any]:
        present, examples, untagged = read_split(self.data, name, self.loaded.task, self.source, self.language)
        where = f"{self.source}:{present}"
        self.loaded.files[where] = len(examples)
        if untagged:
            self.loaded.passed_over[_in_part(where)] = _told(untagged, examples)
        others = [other for other in self.data if f"{self.source}:{other}" not in self.loaded.files]
        self.loaded.unread = [f"{self.source}:{other}" for other in others]
        return examples


def _read(stream: Iterable[bytes], where: str, task: Task, language: str) -> tuple[list[Any], int]:
    """The examples of a file, and the number of words that are left out."""
    lines = decoded(stream, where)
    if where.endswith(".jsonl") and task.examples is not Text:
        return read_rows(lines, where, task, language)
    if task.examples is Sentence:
        conllu = where.endswith(".conllu")
        return read_conllu(lines, where, task) if conllu else read_tagged(lines, where, task, language)
    return read_pairs(lines, where, task) if task.examples is Pair else read_articles(lines, where), 0


def _in_part(path: str) -> str:
    """The name of a file in `passed_over` of which a part is left out."""
    return f"{path} (in part)"


LIMIT = 2**30
"""Bytes of a member beyond which an archive is refused."""

Result = TypeVar("Result")


def read_members(
    path: str, names: Sequence[str], read: Callable[[Iterable[bytes], str], Result], *, limit: int = LIMIT
) -> tuple[dict[str, Result], list[str]]:
    """Read members of a tar archive, packed or not.

    Args:
        path: The archive.
        names: Names of members; they may stand in one folder. All else is passed over; hidden members (macOS adds
            ``._train`` to ``train``) are not even named.
        read: Takes the lines of a member and what it is called in errors.
        limit: Bytes that a member may have.

    Returns:
        What `read` made of each, and the names of all other members.

    Raises:
        PolyticketError: It is no archive or is cut off; a member is missing, there twice, no plain file, or too big.
    """
    results: dict[str, Result] = {}
    others: list[str] = []
    with _opened_archive(path) as archive:
        for member in archive:
            if member.isdir() or _is_hidden(member.name):
                continue
            folder, _, name = member.name.removeprefix("./").rpartition("/")
            if name not in names or "/" in folder:
                others.append(member.name)
                continue
            _check_member(member, path, results, name, limit)
            stream = archive.extractfile(member)
            assert stream is not None
            results[name] = read(stream, f"{path}/{member.name}")
    for name in names:
        if name not in results:
            there = ", ".join([*results, *others][:8]) or "nothing"
            expected = f"a member {name}, or another split in its place (splits)"
            raise PolyticketError(f"no {name} split among {there}", where=path, expected=expected)
    return results, others


@contextmanager
def _opened_archive(path: str) -> Iterator[tarfile.TarFile]:
    with read_as("a whole tar file", path):
        require_regular(path)
        with tarfile.open(path, "r:*") as archive:
            yield archive


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") and part not in (".", "..") for part in name.split("/"))


def _check_member(member: tarfile.TarInfo, path: str, results: dict[str, Result], name: str, limit: int) -> None:
    where = f"{path}/{member.name}"
    if not member.isreg():
        raise PolyticketError("no plain file", where=where, expected="a file with the lines of a split")
    if name in results:
        raise PolyticketError(f"a second {name}", where=where, expected="one member for each split")
    if not 0 <= member.size <= limit:
        raise PolyticketError(f"{member.size} bytes", where=where, expected=f"at most {limit}")


class Prepared(NamedTuple):
    """The examples of a task and language as jobs use them.

    Attributes:
        splits: train, dev and test.
        inventory: All labels; None if they are not known.
        report: JSON values: files, counts, duplicates, unseen labels.
    """

    splits: Mapping[str, Sequence[Any]]
    inventory: Sequence[str] | None
    report: dict[str, Any]


def prepare(
    loaded: Loaded,
    *,
    name: str,
    drop_duplicates: bool = False,
    max_examples: Mapping[str, int] = MappingProxyType({}),
    seed: int = 0,
    test_only: bool = False,
    from_data: bool = False,
) -> Prepared:
    """Remove duplicates, reduce splits, and report what the splits have. The log gets a warning of each problem.

    Args:
        loaded: What `load` gave.
        name: Task and language, for the log.
        drop_duplicates: See `without_duplicates`.
        max_examples: The most examples of a split.
        seed: Seed of the draw of fewer examples.
        test_only: Whether the language is only predicted; then train and dev are empty.
        from_data: Whether the labels are those of the training data.
    """
    splits: Mapping[str, Sequence[Any]] = loaded.splits
    if test_only:
        splits = {**splits, "train": [], "dev": []}
    duplicates = count_duplicates(splits)
    unique = without_duplicates(splits) if drop_duplicates and not test_only else splits
    kept = {split: thinned(unique[split], max_examples.get(split), [seed, n]) for n, split in enumerate(unique)}
    inventory = None if not loaded.task.labels or (test_only and from_data) else loaded.task.labels
    report: dict[str, Any] = {
        "files": loaded.files,
        "passed_over": loaded.passed_over,
        "unread": loaded.unread,
        "inventory": inventory,
        **describe(kept, loaded.task.labels),
        "duplicates": duplicates,
    }
    if drop_duplicates:
        report["dropped"] = {split: len(splits[split]) - len(unique[split]) for split in ("train", "dev")}
    report["unseen_labels"] = unseen_labels(kept)
    _log(name, report, drop_duplicates=drop_duplicates, test_only=test_only)
    return Prepared(kept, inventory, report)


def _log(name: str, report: Mapping[str, Any], *, drop_duplicates: bool, test_only: bool) -> None:
    count, share = (report["duplicates"]["test"][key] for key in ("in_train", "in_train_share"))
    if count and not drop_duplicates:
        log.warning(f"{name}: {count:,} of test's examples ({share:.1%}) are also in train")
    dev, test = (report["unseen_labels"][split] for split in ("dev", "test"))
    if not test_only and (labels := dict.fromkeys([*dev, *test])):
        counts = ", ".join(f"{label} ({dev.get(label, 0)} in dev, {test.get(label, 0)} in test)" for label in labels)
        log.warning(f"{name}: labels that are not in train: {counts}")
    for path, reason in report["passed_over"].items():
        log.warning(f"{name}: {path} is skipped: {reason}")
    if report["unread"]:
        log.info(f"{name}: not read: {', '.join(report['unread'])}")
    sizes = ", ".join(f"{size:,} of {split}" for split, size in report["examples"].items())
    log.info(f"{name}: {sizes}, of {len(report['files']):,} files")
