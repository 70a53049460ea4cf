"""Which files of a place hold the examples of a task. Light to import: the Snakefile asks it for inputs."""

from collections.abc import Mapping, Sequence
from glob import escape, glob
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from polyticket.dumps.sources import is_glob, matching, natural_order
from polyticket.errors import PolyticketError
from polyticket.files import visible_files
from polyticket.tasks.sources.addresses import address_of, is_address

if TYPE_CHECKING:
    from polyticket.tasks.task import Task

SPLITS = ("train", "dev", "test")
NO_OTHERS: Mapping[str, str] = MappingProxyType({})
LAYOUTS = {
    "Sentence": ("{split}", "{split}-{lang}.tsv", "{split}.tsv", "*-ud-{split}.conllu"),
    "Pair": ("{split}-{lang}.tsv", "{split}.tsv"),
    "Text": ("{split}.jsonl", "{split}-{lang}.jsonl", "{split}.txt", "{split}-{lang}.txt"),
}
"""How files are called, by kind of example; of several layouts that a folder has, the first is read."""
UNSPLIT = {
    "Sentence": ("{lang}.tar.gz", "{lang}.tar"),
    "Pair": (),
    "Text": ("*.jsonl", "sentences.txt"),
}
"""Where no layout is found: an archive with a member for each split, or texts that are yet to be divided."""
SUFFIXES = {"Sentence": (".tar.gz", ".tgz", ".tar"), "Pair": (), "Text": (".jsonl", ".txt")}
"""The files that may be named themselves, in place of a folder."""


class Found(NamedTuple):
    """The files of a source.

    Attributes:
        splits: Name of a split to its files, in the order in which they are joined; empty if `unsplit` is not.
        unsplit: An archive of all splits, or articles that are yet to be divided.
    """

    splits: dict[str, list[str]]
    unsplit: list[str]


def named_splits(splits: Mapping[str, str]) -> dict[str, str]:
    """For train, dev and test: the name of the split that is read.

    Args:
        splits: Those that another one stands in for, such as ``{"test": "dev"}``.

    Raises:
        PolyticketError: Another one than train, dev and test is given.
    """
    for name in splits:
        if name not in SPLITS:
            raise PolyticketError(f"unknown split {name!r}", where="splits", expected=f"some of {', '.join(SPLITS)}")
    return {split: splits.get(split, split) for split in SPLITS}


def source_files(
    source: str | Sequence[str], task: "Task", language: str, *, splits: Mapping[str, str] = NO_OTHERS
) -> list[str]:
    """The local files that `load_splits` reads, each once; none of a data set on the Hugging Face hub.

    Args:
        source: As `load_splits` takes it.
        task: What its examples are.
        language: Part of the name of some files.
        splits: As `load_splits` takes it.

    Raises:
        PolyticketError: See `find_files`; or a local data set's folder is missing.
    """
    if is_address(source):
        address = address_of(source)
        return [str(path) for _, path in visible_files(address.name)] if address.local else []
    found = find_files(source, task, language, splits=splits)
    return list(dict.fromkeys([*(path for paths in found.splits.values() for path in paths), *found.unsplit]))


def find_files(
    source: str | Sequence[str], task: "Task", language: str, *, splits: Mapping[str, str] = NO_OTHERS
) -> Found:
    """Find the files of every split below a local source.

    The layouts of `LAYOUTS` are tried in order, and the first that has files of all splits is taken; then those of
    `UNSPLIT`. Several folders (treebanks of one language, say) are joined in the order given, those of a glob pattern
    in natural order.

    Args:
        source: A folder, a file of `SUFFIXES`, a glob pattern of them, or several of these.
        task: What its examples are.
        language: Part of the name of some files.
        splits: Splits that others stand in for.

    Raises:
        PolyticketError: There is no such place, a split has no file, or one of several folders has none.
    """
    kind, names = task.examples.__name__, list(dict.fromkeys(named_splits(splits).values()))
    places = _places(source)
    folders = [place for place in places if Path(place).is_dir()]
    if not folders:
        return Found({}, _whole(places, kind))
    if len(folders) < len(places):
        file = next(place for place in places if place not in folders)
        raise PolyticketError("a file among folders", where=file, expected="folders only, or files only")
    seen: dict[str, dict[str, list[str]]] = {}
    for layout in LAYOUTS[kind]:
        files = {name: _files(folders, layout, name, language) for name in names}
        if all(files.values()):
            _check_all_used(folders, [path for paths in files.values() for path in paths], layout)
            return Found(files, [])
        if any(files.values()):
            seen[layout] = files
    unsplit = [] if seen else _unsplit(folders, kind, language)
    return Found({}, unsplit) if unsplit else _refuse(source, kind, language, names, seen)


def require_own(files: Sequence[str], language: str, *, where: str) -> None:
    """Check that files of a place that all languages share are a language's own, by their names.

    Raises:
        PolyticketError: One is not, or there is none (a data set of the hub): all languages would read the same.
    """
    ends, begins = (f"-{language}.tsv", f"-{language}.jsonl", f"-{language}.txt"), (f"{language}.tar", f"{language}_")
    if not files or not all(Path(file).name.endswith(ends) or Path(file).name.startswith(begins) for file in files):
        raise PolyticketError(
            "the same for all languages", where=where, expected="a place with {lang}, or files {split}-{lang}.tsv"
        )


def _places(source: str | Sequence[str]) -> list[str]:
    patterns = [source] if isinstance(source, str) else list(source)
    places: list[str] = []
    for pattern in patterns:
        if is_address(pattern):
            raise PolyticketError("one of several sources", where=pattern, expected="a data set by itself")
        found = [pattern] if Path(pattern).exists() else natural_order(matching(pattern)) if is_glob(pattern) else []
        if not pattern or not found:
            raise PolyticketError("no such folder or file", where=pattern or "source", expected="a place with data")
        places += found
    if not places:
        raise PolyticketError("no place is given", where="source", expected="a folder, a file or a data set")
    return list(dict.fromkeys(places))


def _whole(files: list[str], kind: str) -> list[str]:
    suffixes = SUFFIXES[kind]
    expected = f"a folder or a file *{' or *'.join(suffixes)}" if suffixes else "a folder"
    for path in files:
        if not path.endswith(suffixes):
            raise PolyticketError("not a folder", where=path, expected=expected)
    if kind == "Sentence" and len(files) > 1:
        raise PolyticketError("a second archive", where=files[1], expected="one archive")
    return files


def _files(folders: list[str], layout: str, split: str, language: str) -> list[str]:
    pattern = "*".join(escape(part.format(split=split, lang=language)) for part in layout.split("*"))
    return [path for folder in folders for path in natural_order(glob(f"{escape(folder)}/{pattern}")) if _is_file(path)]


def _is_file(path: str) -> bool:
    return Path(path).is_file()


def _check_all_used(folders: list[str], files: list[str], layout: str) -> None:
    used = {str(Path(path).parent) for path in files}
    for folder in folders:
        if str(Path(folder)) not in used:
            expected = f"files like those of the other folders: {layout}"
            raise PolyticketError("no file that can be joined", where=folder, expected=expected)


def _unsplit(folders: list[str], kind: str, language: str) -> list[str]:
    for layout in UNSPLIT[kind]:
        files = _files(folders, layout, "", language)
        if files:
            _check_all_used(folders, files, layout)
            return _whole(files, kind)
    return []


def _refuse(
    source: str | Sequence[str],
    kind: str,
    language: str,
    names: list[str],
    seen: dict[str, dict[str, list[str]]],
) -> NoReturn:
    """Say what was looked for: in the layout that lacks the fewest splits, or in all if none has any."""
    where = source if isinstance(source, str) else ", ".join(source)
    if not seen:
        layouts = [layout.replace("{lang}", language) for layout in (*LAYOUTS[kind], *UNSPLIT[kind])]
        listed = f"one of {' | '.join(layouts)}, with {', '.join(names)} for {{split}}"
        raise PolyticketError("no data that can be read", where=where, expected=listed)
    layout, files = min(seen.items(), key=lambda item: sum(not paths for paths in item[1].values()))
    lacking = [name for name in names if not files[name]]
    wanted = " and ".join(layout.format(split=name, lang=language) for name in lacking)
    hint = "splits: {test: dev}" if lacking == ["test"] and files.get("dev") else "splits"
    raise PolyticketError(
        f"no {' and no '.join(lacking)} split",
        where=where,
        expected=f"{wanted}, or another split in its place ({hint})",
    )
