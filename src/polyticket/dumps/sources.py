"""Sources of dumps: local files, or URLs with a language and a date. This module uses no network."""

import re
from collections import defaultdict
from collections.abc import Iterable
from glob import escape, glob
from itertools import pairwise
from os.path import basename, dirname, exists, realpath, split

from polyticket.core.errors import PolyticketError

WIKIMEDIA = (
    "https://dumps.wikimedia.org/{lang}wiki/{date}/{lang}wiki-{date}-pages-articles-multistream.xml.bz2"  # 20251101
)
"""Wikimedia's classic dumps, whole; ``…-multistream[0-9]*.xml-p*.bz2`` matches the parts of the larger wikis."""
WIKIMEDIA_EXPORTS = (  # 2026-06-01
    "https://dumps.wikimedia.org/other/mediawiki_content_current/{lang}wiki/{date}/xml/bzip2/{lang}wiki-{date}-p*.xml.bz2"
)
"""Wikimedia's content file exports, which replace the classic dumps; they are always in parts."""
INDEX = "https://dumps.wikimedia.org/backup-index.html"

_DATABASES = {
    "be-tarask": "be_x_old",
    "egl": "eml",
    "gsw": "als",
    "lzh": "zh_classical",
    "nan": "zh_min_nan",
    "nb": "no",
    "rup": "roa_rup",
    "sgs": "bat_smg",
    "vro": "fiu_vro",
    "yue": "zh_yue",
}
"""Language codes whose Wikipedia has a database with an older name."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_LANGUAGE = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_DATE = re.compile(r"\d{8}|\d{4}-\d\d-\d\d")
_HOST = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d+)?")
_PUBLISHED = re.compile(
    r"(?P<wiki>\w+)-(?P<date>\d{8}|\d{4}-\d\d-\d\d|latest)-"
    r"(?:pages-(?P<content>articles|meta-current|meta-history)(?P<multistream>-multistream)?\d*\.xml(?P<part>-p\d+p\d+)?"
    r"|p\d+p\d+\.xml)"
)
"""Wikimedia's names of dumps of articles, unpacked."""
_PACKED = re.compile(r"\.(?:bz2|gz|xz|zst|zip|7z)$")
_MARK = re.compile(
    r"(?: ?\(\d+\)| \(copy\)| - Copy(?: \(\d+\))?| copy(?: \d+)?)"
    r"(?=(?:\.xml)?(?:-p\d+p\d+)?(?:\.(?:bz2|gz|xz|zst|zip|7z))?$)"
)
"""What browsers and file managers add to the name of a second copy."""
_RANGE = re.compile(r"(.*)-p(\d+)p(\d+)(?:\.xml)?")


def is_url(pattern: str) -> bool:
    """Whether a pattern names files on a server."""
    return _SCHEME.match(pattern) is not None


def database_prefix(lang: str) -> str:
    """The name of a Wikipedia's database before ``wiki``: the code with ``_`` for ``-``, or an older name.

    Raises:
        PolyticketError: The code has other characters than lower-case letters, digits and hyphens.
    """
    if not _LANGUAGE.fullmatch(lang):
        raise PolyticketError(f"bad language code {lang!r}", expected="a Wikipedia's code such as fr or zh-min-nan")
    return _DATABASES.get(lang, lang).replace("-", "_")


def url_of(pattern: str, lang: str, date: str | None) -> str:
    """A URL pattern with its language and date filled in.

    Args:
        pattern: ``http://`` or ``https://`` with ``{lang}`` and ``{date}``; only the part after the last slash may have
            the glob characters ``*``, ``?`` and ``[]``.
        lang: Wikipedia's language code; its `database_prefix` replaces ``{lang}``.
        date: ``YYYYMMDD`` or ``YYYY-MM-DD``, as the server writes it; None if the pattern has no date.

    Raises:
        PolyticketError: Another scheme, an unknown placeholder, a missing or bad date, a name or password in the URL,
            a query, glob characters before the last slash, or no file name.
    """
    if "{date}" in pattern and not (date and _DATE.fullmatch(date)):
        raise PolyticketError(
            "no date is given" if date is None else f"bad date {date!r}",
            where=pattern,
            expected=f"YYYYMMDD or YYYY-MM-DD of a finished dump, as {INDEX} lists them",
        )
    url = pattern.replace("{lang}", database_prefix(lang)).replace("{date}", date or "")
    scheme, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    folder, name = f"/{path}".rpartition("/")[::2]
    problem = (
        (scheme.lower() not in ("http", "https") and f"unknown scheme {scheme}")
        or (not _HOST.fullmatch(host) and f"bad host {host!r}")
        or (re.search(r"[{}#\s\\]", url) and "an unknown placeholder or character")
        or (is_glob(folder) and "a query, or glob characters before the last slash")
        or (not name and "no file name after the last slash")
        or (name.startswith(".") and "a file name that begins with a dot")
    )
    if problem:
        raise PolyticketError(problem, where=pattern, expected=f"a URL such as {WIKIMEDIA}")
    return url


def sums_url_of(pattern: str, lang: str, date: str | None) -> str | None:
    """The URL of Wikimedia's checksums for the files of a URL pattern; None if the names are not Wikimedia's.

    It is ``{lang}wiki-{date}-sha1sums.txt`` beside classic dumps, and ``SHA256SUMS`` beside content file exports, whose
    dates have hyphens.
    """
    folder, _, name = url_of(pattern, lang, date).rpartition("/")
    stem = f"{database_prefix(lang)}wiki-{date}-"
    if date is None or not name.startswith(stem):
        return None
    return f"{folder}/SHA256SUMS" if "-" in date else f"{folder}/{stem}sha1sums.txt"


def is_glob(name: str) -> bool:
    """Whether a name has glob characters."""
    return re.search(r"[*?\[\]]", name) is not None


def natural_order(names: Iterable[str]) -> list[str]:
    """Sort names by the values of the numbers in them: part 2 comes before part 10."""

    def key(name: str) -> tuple[list[tuple[int, str]], str]:
        # re.split puts text at even and digits at odd places, so both are compared with their own kind.
        parts = enumerate(re.split(r"([0-9]+)", name))
        return [(int(part), "") if place % 2 else (0, part) for place, part in parts], name

    return sorted(names, key=key)


def matching(pattern: str) -> list[str]:
    """The paths that a glob matches. The names of existing directories are literal: `[v2]` in them is no pattern."""
    start = pattern
    while start and not exists(start):
        start = dirname(start) if start != dirname(start) else ""
    return glob(escape(start) + pattern[len(start) :])


def local_dumps(pattern: str) -> list[str]:
    """The local files that a glob matches, in natural order; none if it matches none.

    Raises:
        PolyticketError: See `check_once`; or two paths lead to one file.
    """
    paths = natural_order(path for path in matching(pattern) if not path.endswith((".part", ".part.json")))
    check_once(paths, where=pattern)
    real: dict[str, str] = {}
    for path in paths:
        if (other := real.setdefault(realpath(path), path)) != path:
            raise _same_articles(other, path, pattern)
    return paths


def check_once(paths: Iterable[str], *, where: str) -> None:
    """Check by their names that no article comes twice.

    Wikimedia publishes each dump whole, in parts, with and without multistream, and with and without talk pages. A file
    may stand beside its unpacked or otherwise packed copy, or beside the one that a browser saved again.

    Raises:
        PolyticketError: Files of one wiki have two dates or two of these forms, ranges of pages overlap, or a file
            stands beside a copy; names one file of each.
    """
    forms: defaultdict[str, dict[tuple[object, ...], str]] = defaultdict(dict)
    ranges: defaultdict[object, list[tuple[int, int, str]]] = defaultdict(list)
    held: dict[object, tuple[str, bool]] = {}
    for path in paths:
        folder, name = split(path)
        plain = _MARK.sub("", name)
        stem, marked = _PACKED.sub("", plain), plain != name
        match = _PUBLISHED.fullmatch(stem)
        keys: list[object] = [(folder, _PACKED.sub("", name)), stem if match else (folder, stem)]
        for key in dict.fromkeys(keys):
            first, is_copy = held.setdefault(key, (path, marked))
            if first != path and (match or key == keys[0] or not (marked and is_copy)):  # a (1), a (2): maybe parts
                raise _same_articles(first, path, where)
        form: tuple[object, ...] = ()
        if match:
            kind = (match["date"], match["content"], bool(match["multistream"]), bool(match["part"]))
            form = (*kind, stem != plain)
            forms[match["wiki"]].setdefault(form, path)
        if found := _RANGE.fullmatch(stem):
            of = (match["wiki"], form) if match else (folder, found[1])
            ranges[of].append((int(found[2]), int(found[3]), path))
    for paths_by_form in forms.values():
        if len(paths_by_form) > 1:
            first, second = list(paths_by_form.values())[:2]
            raise _same_articles(first, second, where)
    for parts in ranges.values():
        for (_, last, first), (begin, _, second) in pairwise(sorted(parts)):
            if begin <= last:
                raise _same_articles(first, second, where)


def _same_articles(first: str, second: str, where: str) -> PolyticketError:
    names = [basename(path) for path in (first, second)]
    one, other = names if names[0] != names[1] else (first, second)
    return PolyticketError(
        f"{one} and {other} hold the same articles",
        where=where,
        expected="a pattern of one of them, such as *-multistream.xml.bz2, or for parts *[0-9].xml-p*.bz2",
    )
