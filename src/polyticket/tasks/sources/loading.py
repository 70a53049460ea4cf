"""The examples of a task, from wherever they lie."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from polyticket.errors import PolyticketError
from polyticket.tasks.examples import Pair, Sentence, Text
from polyticket.tasks.sources.addresses import address_of, is_address
from polyticket.tasks.sources.archive import read_members
from polyticket.tasks.sources.hub import open_dataset, read_split
from polyticket.tasks.sources.lines import decoded
from polyticket.tasks.sources.pairs import read_pairs
from polyticket.tasks.sources.places import NO_OTHERS, find_files, named_splits
from polyticket.tasks.sources.tagged import read_conllu, read_tagged
from polyticket.tasks.sources.texts import divided, read_articles
from polyticket.tasks.task import Task

Splits = dict[str, list[Any]]
"""train, dev and test, each a list of the task's examples."""


def load_splits(
    source: str | Sequence[str],
    task: Task,
    language: str,
    *,
    splits: Mapping[str, str] = NO_OTHERS,
    dev_share: float = 0.05,
    seed: int = 0,
) -> Splits:
    """Read the train, dev and test examples of a task in a language.

    A source is one of these, with the language and all variables filled in:

    - a folder in a layout of `places.LAYOUTS`: XTREME's raw (``train``) or processed (``train-fr.tsv``, ``train.tsv``)
      files, treebanks in CoNLL-U (``*-ud-train.conllu``), pairs, articles. Of several layouts that have all splits, the
      first of that list is read. A glob pattern or a list of folders joins them: ``UD_French-*``;
    - an archive of WikiANN (``fr.tar.gz``), or the folder that holds it;
    - articles that are not divided yet: a list of ``*.jsonl`` or ``*.txt``, or a folder with ``*.jsonl`` or
      ``sentences.txt``;
    - ``hf://owner/name[@revision][/config]``: a Hugging Face data set, or a local copy; see `hub`.

    Args:
        source: As above.
        task: What the examples are.
        language: Its code, as files and prefixes of words spell it.
        splits: Splits that others stand in for, such as ``{"test": "dev"}`` where there is no labelled test set.
        dev_share: Of articles that are not divided yet: the share that goes to dev, and as much to test.
        seed: Decides which.

    Raises:
        PolyticketError: Something is missing or malformed; names the place, and file and line where there are such.
    """
    names = named_splits(splits)
    wanted = list(dict.fromkeys(names.values()))
    if is_address(source):
        found, whole = _of_dataset(source, task, wanted)
    else:
        found, whole = _of_files(source, task, language, splits)
    if whole is not None:
        where = source if isinstance(source, str) else ", ".join(source)
        found = divided(whole, where, dev_share=dev_share, seed=seed)
    for name in wanted:
        if not found.get(name):
            raise PolyticketError(f"no examples of {name}", where=source, expected="at least one")
    return {split: list(found[name]) for split, name in names.items()}


def _of_files(
    source: str | Sequence[str], task: Task, language: str, splits: Mapping[str, str]
) -> tuple[Splits, list[Text] | None]:
    """Examples by split, or articles that are yet to be divided."""
    files = find_files(source, task, language, splits=splits)
    if not files.unsplit:
        read = {name: [_read_file(path, task, language) for path in paths] for name, paths in files.splits.items()}
        return {name: [example for part in parts for example in part] for name, parts in read.items()}, None
    if task.examples is Text:
        return {}, [text for path in files.unsplit for text in _read_file(path, task, language)]
    wanted = list(dict.fromkeys(named_splits(splits).values()))
    (archive,) = files.unsplit
    return read_members(archive, wanted, lambda lines, where: _read(lines, where, task, language)), None


def _of_dataset(source: str, task: Task, wanted: list[str]) -> tuple[Splits, list[Text] | None]:
    """The same of a Hugging Face data set; articles that are all in its train split are not divided yet."""
    data = open_dataset(address_of(source))
    if task.examples is Text and list(data) == ["train"]:
        return {}, read_split(data, "train", task, source)
    return {name: read_split(data, name, task, source) for name in wanted}, None


def _read_file(path: str, task: Task, language: str) -> list[Any]:
    with open(path, "rb") as stream:
        return _read(stream, path, task, language)


def _read(stream: Iterable[bytes], where: str, task: Task, language: str) -> list[Any]:
    lines = decoded(stream, where)
    if task.examples is Sentence:
        conllu = where.endswith(".conllu")
        return read_conllu(lines, where, task) if conllu else read_tagged(lines, where, task, language)
    return read_pairs(lines, where, task) if task.examples is Pair else read_articles(lines, where)
