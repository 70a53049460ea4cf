"""Find the files of a task's examples. This module imports nothing heavy: the Snakefile calls it for inputs."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from polyticket.core.errors import PolyticketError
from polyticket.core.files import visible_files
from polyticket.dumps.sources import is_glob, matching, natural_order
from polyticket.tasks.data.names import (
    SCHEME,
    SYNONYMS,
    TREEBANK,
    address_of,
    is_address,
    is_code,
    is_same,
    language_in,
    splits_in,
)

if TYPE_CHECKING:
    from polyticket.tasks.table import Task

SPLITS = ("train", "dev", "test")
NO_OTHERS: Mapping[str, str] = MappingProxyType({})
PART = "{part}"
LAYOUTS = {
    "Sentence": (
        *("{split}", "{split}-{lang}.tsv", "{split}.tsv", "{split}-{lang}.txt", "{split}.txt"),
        *("{split}-{lang}.conll", "{split}.conll", "{split}-{lang}.conllu", "{split}.conllu"),
        *("{split}-{lang}.jsonl", "{split}.jsonl", f"*-ud-{{split}}{PART}.conllu"),
    ),
    "Pair": ("{split}-{lang}.tsv", "{split}.tsv", "{split}-{lang}.jsonl", "{split}.jsonl"),
    "Text": ("{split}.jsonl", "{split}-{lang}.jsonl", "{split}.txt", "{split}-{lang}.txt"),
}
"""Names of files by kind of example; if a directory has several layouts, the first is read."""
UNSPLIT = {
    "Sentence": ("{lang}.tar.gz", "{lang}.tar"),
    "Pair": (),
    "Text": ("*.jsonl", "sentences.txt"),
}
"""Read if there is no layout: an archive with a member for each split, or texts without splits."""
ARCHIVES = (".tar.gz", ".tgz", ".tar")
SUFFIXES = {
    "Sentence": (".conllu", ".conll", ".tsv", ".txt", ".jsonl", *ARCHIVES),
    "Pair": (".tsv", ".jsonl"),
    "Text": (".jsonl", ".txt"),
}
"""Suffixes of files that may be given in place of a directory."""
COPIES = re.compile(r"(~|[.](gz|bz2|xz|zst|zip|bak|orig|old|tmp|swp|idx|lock|dvc|md5|sha1|sha256)|[.-]bert-.*)+")
"""What follows the name of a file in the name of a copy of it, or of what a tool made of it."""
PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")


class Found(NamedTuple):
    """The files of a source.

    Attributes:
        splits: Name of a split to its files, in the order in which they are joined; empty if `unsplit` is not.
        unsplit: An archive of all splits, or articles that are yet to be divided.
        unread: The other files beside them: documentation, copies, other layouts, other languages.
    """

    splits: dict[str, list[str]]
    unsplit: list[str]
    unread: list[str]


def named_splits(splits: Mapping[str, str]) -> dict[str, str]:
    """For train, dev and test: the name of the split that is read.

    Args:
        splits: Splits that another one replaces, such as ``{"test": "dev"}``.

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
        PolyticketError: See `find_files`; or a local data set's directory is missing.
    """
    if is_address(source):
        address = address_of(source)
        return [str(path) for _, path in visible_files(address.name)] if address.local else []
    files = find_files(source, task, language, splits=splits)
    return list(dict.fromkeys([*(path for paths in files.splits.values() for path in paths), *files.unsplit]))


def find_files(
    source: str | Sequence[str], task: "Task", language: str, *, splits: Mapping[str, str] = NO_OTHERS
) -> Found:
    """Find the files of every split below a local source.

    In directories the layouts of `LAYOUTS` are tried in order, and the first that has files of all splits is taken;
    then those of `UNSPLIT`. Several directories (treebanks of one language, say) are joined in the order given, those
    of a glob pattern, and the parts of a split in one directory, in natural order. Of files that are named themselves,
    the names tell the splits.

    Args:
        source: A directory, a file of `SUFFIXES`, a glob pattern of them, or several of these.
        task: What its examples are.
        language: Part of the name of some files.
        splits: Splits that another one replaces.

    Raises:
        PolyticketError: There is no such place; a split has no file; one of several directories has none; a file
            beside those that are read is named as data of a split; or files are of another language.
    """
    kind, names = task.examples.__name__, list(dict.fromkeys(named_splits(splits).values()))
    places = _places(source)
    folders = [place for place in places if Path(place).is_dir()]
    if folders and len(folders) < len(places):
        file = next(place for place in places if place not in folders)
        raise PolyticketError("a file among folders", where=file, expected="folders only, or files only")
    search = _Search(_shown(source), kind, language, names)
    if isinstance(source, str):
        search.check_one_language(folders or [str(Path(place).parent) for place in places])
    return search.in_folders(folders) if folders else search.of_files(places)


def require_own(files: Sequence[str], language: str, *, where: str) -> None:
    """Check that files of a place that all languages share are a language's own, by their names.

    Raises:
        PolyticketError: One is not, or there is none (a data set of the hub): all languages would read the same.
    """
    if not files or not all(_is_own(Path(file).name, language) for file in files):
        raise PolyticketError(
            "the same for all languages", where=where, expected="a place with {lang}, or files {split}-{lang}.tsv"
        )


def _is_own(name: str, language: str) -> bool:
    code = language_in(name, [name.split("-")[0]])
    return Path(name).stem.endswith(f"-{language}") or (code is not None and is_same(code, language))


class _Search:
    """The search for the files of a source.

    Args:
        where: The source, in errors.
        kind: What examples are.
        language: Their language.
        names: The splits to find.
    """

    def __init__(self, where: str, kind: str, language: str, names: list[str]) -> None:
        self.where, self.kind, self.language, self.names = where, kind, language, names

    def in_folders(self, folders: list[str]) -> Found:
        """The files of the first layout that has all splits, or of an undivided one."""
        listing = {folder: _files_in(folder) for folder in folders}
        matched = {layout: self._match(layout, listing) for layout in LAYOUTS[self.kind]}
        complete = [layout for layout, files in matched.items() if all(files.values())]
        if complete:
            files, layout = matched[complete[0]], complete[0]
        else:
            layout, whole = next(self._unsplit(listing), ("", []))
            if not whole or any(any(files.values()) for files in matched.values()):
                self._refuse(listing, matched)
            files = {"": whole}
        used = [path for paths in files.values() for path in paths]
        self._check_all_used(folders, used, layout)
        self._check_languages(used)
        _check_parts(used)
        others = [path for paths in listing.values() for path in paths if path not in used]
        copies = {path for one in complete[1:] for paths in matched[one].values() for path in paths}
        unread = self._unread(others, used, layout, copies)
        return Found(files if complete else {}, [] if complete else self._whole(used), unread)

    def of_files(self, files: list[str]) -> Found:
        """The files of each split, by the splits in their names."""
        if self.kind == "Text" and not self._tell_splits(files):
            return Found({}, self._whole(files), [])
        if any(path.endswith(ARCHIVES) for path in files) and self.kind == "Sentence":
            return Found({}, self._whole(files), [])
        self._check_suffixes(files)
        self._check_languages(files)
        _check_parts(files)
        by_split: dict[str, list[str]] = {name: [] for name in self.names}
        unread = []
        for path in files:
            split = self._split_of(path)
            if split in by_split:
                by_split[split].append(path)
            else:
                unread.append(path)
        lacking = [name for name, paths in by_split.items() if not paths]
        if lacking:
            self._refuse_lacking(
                lacking, [name for name in by_split if by_split[name]], files, "a file with the split in its name"
            )
        return Found(by_split, [], unread)

    def check_one_language(self, folders: Iterable[str]) -> None:
        """Refuse directories of several languages, by their names, where one is wanted."""
        names = {Path(folder).name for folder in folders}
        known = {name for name in names if is_code(name)}
        codes = names if all(re.fullmatch("[a-z]{2,3}", name) for name in names) else known
        if len(codes) > 1:
            what = f"directories of several languages: {_some(codes)}"
            raise PolyticketError(what, where=self.where, expected="that of one: a place with {lang} in it, or a table")

    def _match(self, layout: str, listing: Mapping[str, list[str]]) -> dict[str, list[str]]:
        patterns = {name: _regex(layout, name, self.language) for name in self.names}
        return {
            name: [path for paths in listing.values() for path in paths if pattern.fullmatch(Path(path).name)]
            for name, pattern in patterns.items()
        }

    def _unsplit(self, listing: Mapping[str, list[str]]) -> Iterator[tuple[str, list[str]]]:
        for layout in UNSPLIT[self.kind]:
            pattern = _regex(layout, "", self.language)
            files = [path for paths in listing.values() for path in paths if pattern.fullmatch(Path(path).name)]
            if files:
                yield layout, files

    def _whole(self, files: list[str]) -> list[str]:
        self._check_suffixes(files)
        self._check_languages(files)
        if self.kind == "Sentence" and len(files) > 1:
            raise PolyticketError("a second archive", where=files[1], expected="one archive")
        return files

    def _check_suffixes(self, files: list[str]) -> None:
        kinds = {path: self._kind_of(path) for path in files}
        suffixes = SUFFIXES[self.kind]
        other = next((path for path, suffix in kinds.items() if suffix is None), None)
        if other is not None:
            expected = f"a directory or a file *{' or *'.join(suffixes)}"
            expected = "it unpacked" if other.endswith(PACKED) else expected
            raise PolyticketError("not a file of examples", where=other, expected=expected)
        first = kinds[files[0]] or ""
        other = next((path for path, suffix in kinds.items() if suffix != first), None)
        if other is not None:
            expected = f"files of one kind: a glob such as {Path(other).parent}/*{first}"
            raise PolyticketError(f"a file *{kinds[other]} among files *{first}", where=other, expected=expected)

    def _kind_of(self, path: str) -> str | None:
        """The suffix of a file of examples, empty for `train` and `eng.train`; None of others."""
        suffix = next((known for known in SUFFIXES[self.kind] if path.endswith(known)), None)
        last = Path(path).name.rpartition(".")[2]
        bare = self.kind == "Sentence" and splits_in(last, [*self.names, *_synonyms(self.names)])
        return "" if suffix is None and bare else suffix

    def _check_languages(self, files: list[str]) -> None:
        """Refuse files whose names tell another language: a release of treebanks must not be read as one."""
        splits = [*self.names, *SPLITS]
        codes = {path: code for path in files if (code := language_in(path, splits))}
        if loose := {path: code for path in files if (code := language_in(path, splits, known=False))}:
            codes = loose if any(is_same(code, self.language) for code in loose.values()) else codes
        others = [path for path, code in codes.items() if not is_same(code, self.language)]
        mixed = len(set(codes.values())) > 1
        wrong = [path for path in others if mixed or is_code(codes[path]) or TREEBANK.fullmatch(Path(path).name)]
        if not wrong:
            return
        parent, treebank = Path(wrong[0]).parent, wrong[0].endswith(".conllu")
        flat = len({str(Path(path).parent) for path in files}) == 1 and len(others) < len(files)
        folder = str(parent) if flat or not treebank else str(parent.parent / "*")
        narrower = (
            f"{folder}/{self.language}_*-ud-*.conllu"
            if treebank
            else f"{folder}/{_narrower(wrong[0], codes[wrong[0]], self.language)}"
        )
        renamed = "train.conllu" if treebank else "train.tsv"
        raise PolyticketError(
            f"a file of {_some(codes[path] for path in wrong)} where {self.language!r} is read",
            where=wrong[0],
            expected=f"files of one language: a glob such as {narrower}, or names without a language ({renamed})",
        )

    def _check_all_used(self, folders: list[str], files: list[str], layout: str) -> None:
        used = {str(Path(path).parent) for path in files}
        for folder in folders:
            if str(Path(folder)) not in used:
                expected = f"files like those of the other folders: {layout.replace(PART, '')}"
                raise PolyticketError("no file that can be joined", where=folder, expected=expected)

    def _unread(self, others: list[str], used: list[str], layout: str, copies: set[str]) -> list[str]:
        """Check the other files beside those that are read, and list them.

        Raises:
            PolyticketError: A file is named as data of a split, and is neither read nor a copy, another whole layout's
                or another language's.
        """
        unread, codes = [], []
        sets = self._of_other_languages(others, layout)
        for path in others:
            if path in sets:
                codes.append(sets[path])
            elif path in copies or _is_copy(path, used) or not splits_in(Path(path).name, self.names):
                unread.append(path)
            else:
                split = splits_in(Path(path).name, self.names)[0]
                name, suffix = layout.replace(PART, "").format(split=split, lang=self.language), Path(path).suffix
                files = f"{Path(path).parent}/*{suffix}"
                way = "unpack it" if suffix in PACKED else f"read it as well by a glob of files ({files})"
                expected = f"{name} alone for {split}: move this file away, or {way}"
                raise PolyticketError(f"named as data of {split}, and not read", where=path, expected=expected)
        if codes:
            unread.append(f"{len(codes)} files of other languages: {', '.join(sorted(set(codes)))}")
        return unread

    def _of_other_languages(self, others: list[str], layout: str) -> dict[str, str]:
        """Files of other languages in a directory that languages share, with their codes."""
        codes: dict[str, str] = {}
        for shared in (one for one in LAYOUTS[self.kind] if "{lang}" in one):
            patterns = [_regex(shared, name, None) for name in (*self.names, *SPLITS)]
            for path in others:
                match = next((m for p in patterns if (m := p.fullmatch(Path(path).name))), None)
                if match and not is_same(match["lang"], self.language):
                    codes[path] = match["lang"]
        if "{lang}" in layout:
            return codes
        whole = {code for code in codes.values() if list(codes.values()).count(code) >= len(self.names)}
        return {path: code for path, code in codes.items() if code in whole}

    def _tell_splits(self, files: list[str]) -> bool:
        splits = [splits_in(Path(path).name, [*self.names, *SPLITS]) for path in files]
        return all(map(len, splits)) and len({tuple(names) for names in splits}) > 1

    def _split_of(self, path: str) -> str:
        known = list(dict.fromkeys([*self.names, *SPLITS]))
        match = TREEBANK.fullmatch(Path(path).name)
        splits = [match["split"]] if match and match["split"] in known else splits_in(Path(path).name, known)
        if len(splits) != 1:
            problem = f"the splits {' and '.join(splits)} in the name" if splits else "no split in the name"
            other = next((split for split in known if splits_in(Path(path).name, _synonyms([split]))), None)
            hint = f"splits: {_stand_in([other], [], [Path(path).name])}" if other else "splits"
            expected = f"one of {', '.join(known)} in it, or another name for a split ({hint})"
            raise PolyticketError(problem, where=path, expected=expected)
        return splits[0]

    def _refuse(self, listing: Mapping[str, list[str]], matched: Mapping[str, dict[str, list[str]]]) -> NoReturn:
        """Raise the error of missing splits: of the layout that lacks the fewest, or of all if none has any."""
        seen = {layout: files for layout, files in matched.items() if any(files.values())}
        there = [path for paths in listing.values() for path in paths]
        if seen:
            layout, files = min(seen.items(), key=lambda item: sum(not paths for paths in item[1].values()))
            lacking = [name for name in self.names if not files[name]]
            example = " and ".join(layout.replace(PART, "").format(split=x, lang=self.language) for x in lacking)
            used = [path for paths in files.values() for path in paths]
            self._check_languages(used)
            near = [p for p in there if p not in used and _of_splits(p, [*lacking, *_synonyms(lacking)])]
            self._refuse_lacking(lacking, [name for name in self.names if files[name]], near, example)
        layouts = [layout.replace(PART, "") for layout in (*LAYOUTS[self.kind], *UNSPLIT[self.kind])]
        listed = " | ".join(layout.replace("{lang}", self.language) for layout in layouts)
        raise PolyticketError(
            f"no data that can be read{self._around(listing, there)}",
            where=self.where,
            expected=f"one of {listed}, with {', '.join(self.names)} for {{split}}",
        )

    def _refuse_lacking(self, lacking: list[str], present: list[str], near: list[str], example: str) -> NoReturn:
        names = [Path(path).name for path in near]
        there = f" (there is {_some(names)})" if names else ""
        ways = [example, f"another split in its place (splits: {_stand_in(lacking, present, names)})"]
        if "test" in present and "train" in lacking:
            ways.append("the language in predict_also, where it is only predicted")
        what = f"no {' and no '.join(lacking)} split{there}"
        raise PolyticketError(what, where=self.where, expected=", or ".join(ways))

    def _around(self, listing: Mapping[str, list[str]], there: list[str]) -> str:
        """The content of a place without data, and a hint what to write."""
        folders = [path.name for folder in listing for path in Path(folder).iterdir() if path.is_dir()]
        first, names = next(iter(listing)), [Path(path).name for path in there]
        if self.language in folders:
            return f" (write {Path(first) / self.language})"
        if any(name.startswith("UD_") for name in folders):
            return f" (write {first}/UD_*/{self.language}_*-ud-*.conllu)"
        saved = ("dataset_dict.json", "dataset_info.json", "state.json")
        if any(name.endswith(".parquet") or name in saved for name in names) or "data" in folders:
            return f" (of a Hugging Face data set write {SCHEME}{'' if first.startswith('/') else './'}{first})"
        present = [name for name in self.names if any(splits_in(file, [name]) for file in names)]
        lacking = [name for name in self.names if name not in present]
        hint = f" with splits: {_stand_in(lacking, present, names)}" if lacking else ""
        named = [path for path in there if _of_splits(path, [*present, *_synonyms(lacking)])]
        if suffixes := [suffix for path in named if (suffix := self._kind_of(path)) is not None]:
            return f" among {_some(names)} (write {first}/*{suffixes[0]}{hint})"
        if any(name.endswith(PACKED) for name in names):
            return f" among {_some(names)} (unpack them)"
        if folders and all(re.fullmatch("[a-z]{2,3}", name) for name in folders):
            return f" among {_some([*names, *folders])} (write {Path(first) / min(folders)}, one for each language)"
        return f" among {_some([*names, *folders])}" if names or folders else ""


def _places(source: str | Sequence[str]) -> list[str]:
    patterns = [source] if isinstance(source, str) else list(source)
    places: list[str] = []
    for pattern in patterns:
        if is_address(pattern):
            raise PolyticketError("one of several sources", where=pattern, expected="a data set by itself")
        matches = [pattern] if Path(pattern).exists() else natural_order(matching(pattern)) if is_glob(pattern) else []
        if not pattern or not matches:
            raise PolyticketError("no such folder or file", where=pattern or "source", expected="a place with data")
        places += matches
    if not places:
        raise PolyticketError("no place is given", where="source", expected="a folder, a file or a data set")
    return list(dict.fromkeys(places))


def _files_in(folder: str) -> list[str]:
    """The visible files of a directory, in natural order.

    Raises:
        PolyticketError: One is a broken link.
    """
    files = [path for path in Path(folder).iterdir() if not path.name.startswith(".") and not path.is_dir()]
    for path in files:
        if not path.exists():
            raise PolyticketError("a broken link", where=path, expected="a file")
    return natural_order(str(path) for path in files)


def _regex(layout: str, split: str, language: str | None) -> re.Pattern[str]:
    """What names of files of a layout look like; a language that is None may be any."""
    code = r"(?P<lang>[a-z]{2,3}(?:[-_][A-Za-z]+)*)" if language is None else re.escape(language)
    holes = {"{split}": re.escape(split), "{lang}": code, PART: r"(?:-[\w-]+)?", "*": ".+"}
    parts = re.split(r"(\{\w+\}|\*)", layout)
    return re.compile("".join(holes.get(part, re.escape(part)) for part in parts))


def _narrower(path: str, code: str, language: str) -> str:
    """A glob of a language's files that are named as a file of another."""
    name = Path(path).name
    found = re.search(rf"(^|.*[-_. ]){re.escape(code)}([-_. ]|$)", name.replace("_", "-") if "-" in code else name)
    before, after = (name[max(found.end(1) - 1, 0) : found.end(1)], found[2]) if found else ("-", ".")
    return f"{'*' * bool(before)}{before}{language}{after}*"


def _check_parts(files: list[str]) -> None:
    """Refuse a split of a treebank that is there whole and in parts: its sentences would be read twice."""
    parts = [(path, match) for path in files if (match := TREEBANK.fullmatch(Path(path).name))]
    wholes = {path for path, match in parts if not match["part"]}
    for path, match in parts:
        whole = str(Path(path).with_name(Path(path).name.removesuffix(f"{match['part']}.conllu") + ".conllu"))
        if match["part"] and whole in wholes:
            expected = f"either the parts or {Path(whole).name}"
            raise PolyticketError("a part of a split that is there as a whole", where=path, expected=expected)


def _is_copy(path: str, used: list[str]) -> bool:
    """Whether a file is what a tool or an editor left of one that is read, or the text of a treebank."""
    for original in used:
        if path.startswith(original) and COPIES.fullmatch(path.removeprefix(original)):
            return True
        if original.endswith(".conllu") and path == original.removesuffix(".conllu") + ".txt":
            return True
    return False


def _of_splits(path: str, splits: Iterable[str]) -> bool:
    return bool(splits_in(Path(path).name, splits))


def _synonyms(splits: Iterable[str]) -> list[str]:
    return [other for split in splits for other in SYNONYMS.get(split, ())]


def _stand_in(lacking: list[str], present: list[str], names: list[str]) -> str:
    """A value of `splits` that replaces the missing splits."""
    replacements = {}
    for split in lacking:
        synonym = next((o for o in SYNONYMS.get(split, ()) if any(splits_in(name, [o]) for name in names)), None)
        partner = {"test": "dev", "dev": "train"}.get(split)
        replacements[split] = synonym or (partner if partner in present else "…")
    return "{" + ", ".join(f"{split}: {synonym}" for split, synonym in replacements.items()) + "}"


def _some(names: Iterable[str], most: int = 6) -> str:
    listed = sorted(set(names))
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")


def _shown(source: str | Sequence[str]) -> str:
    return source if isinstance(source, str) else ", ".join(source)
