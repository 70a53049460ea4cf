"""MediaWiki XML dumps, read page by page in bounded memory: whole, or a byte range of a language's dumps."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, read_json
from polyticket.core.languages import WIKI_CODES
from polyticket.core.logs import log
from polyticket.dumps.pages import DumpText, dump_size
from polyticket.dumps.pages import Page as Page
from polyticket.dumps.sources import database_prefix

TEMPLATE_NAMESPACE = 10
LARGEST_PAGE = 64 * 2**20
"""Most bytes of XML of a page. MediaWiki allows 2 MiB of wikitext, which are at most 12 MiB when escaped."""

_CONTENT = {"user": 2, "project": 4, "file": 6, "image": 6, "mediawiki": 8, "template": 10, "help": 12, "category": 14}
GENERAL_NAMESPACES = {
    **{"media": -2, "special": -1, "talk": 1},
    **_CONTENT,
    **{f"{name} talk": number + 1 for name, number in _CONTENT.items()},
}
"""Namespace numbers by English name, case folded. Every wiki knows these names."""

_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_DATABASE = re.compile(r"(\w+?)wik")
"""The language in the name of a database: frwiki, frwikisource, frwiktionary."""
_REDIRECT = re.compile(r"\s*#\s*[^\W\d_]+(?:[_ ][^\W\d_]+)?\s*:?\s*\[\[[^\[\]\n]+\]\]")
"""The start of a redirect page, in any language."""


@dataclass
class SiteInfo:
    """The wiki of a dump, as the dump's header describes it.

    Attributes:
        base: Address of the main page; empty if the header has none.
        namespaces: Local names of the namespaces by number.
        language: Code of the wiki's language (`xml:lang`); empty if the header has none.
        database: Name of the wiki's database, such as frwiki; empty if the header has none.
    """

    base: str = ""
    namespaces: dict[int, str] = field(default_factory=dict)
    language: str = ""
    database: str = ""

    def namespace_of(self, title: str) -> int:
        """The namespace number of a title; 0 if the title begins with no name of a namespace, local or English."""
        prefix, colon, _ = title.partition(":")
        if not colon:
            return 0
        folded = _folded(prefix)
        local = {_folded(name): number for number, name in self.namespaces.items()}
        return local.get(folded, GENERAL_NAMESPACES.get(folded, 0))


def _folded(name: str) -> str:
    return " ".join(name.replace("_", " ").split()).casefold()


def read_siteinfo(dump: Pathlike) -> SiteInfo:
    """Read the header of a dump. Fields that it lacks stay empty.

    Raises:
        PolyticketError: See `read_pages`.
    """
    root = DumpText(dump, 0, dump_size(dump)).header()
    info = SiteInfo(language=root.get(_XML_LANG, "").strip())
    for child in root.iterfind("./{*}siteinfo//*"):
        name, text = child.tag.rpartition("}")[2], child.text or ""
        if name == "base":
            info.base = text.strip()
        elif name == "dbname":
            info.database = text.strip()
        elif name == "namespace" and text:
            key = child.get("key", "0")
            if not re.fullmatch("-?[0-9]{1,9}", key):
                raise PolyticketError(f"namespace {text!r} has key {key[:30]!r}", where=dump, expected="a number")
            info.namespaces[int(key)] = text
    return info


def site_of(dumps: Sequence[Pathlike], lang: str) -> SiteInfo:
    """The wiki of a language's dumps: the first address and the first namespace names that their headers give.

    An address or a template namespace that no header gives gets its usual value. The log gets a warning of a dump whose
    header tells another language; no more headers are read than are needed.

    Raises:
        PolyticketError: There is no dump, or see `read_pages`.
    """
    if not dumps:
        raise PolyticketError(f"no dump for language {lang}", expected="at least one .xml or .xml.bz2 file")
    site = SiteInfo()
    for dump in dumps:
        info = read_siteinfo(dump)
        _warn_of_another(info, dump, lang)
        site.base = site.base or info.base
        site.namespaces = {**info.namespaces, **site.namespaces}
        if site.base and TEMPLATE_NAMESPACE in site.namespaces:
            break
    if TEMPLATE_NAMESPACE not in site.namespaces:
        log.warning("%s: no dump names namespace %d; its name is taken to be Template", dumps[0], TEMPLATE_NAMESPACE)
        site.namespaces[TEMPLATE_NAMESPACE] = "Template"
    site.base = site.base or f"https://{lang.replace('_', '-')}.wikipedia.org/wiki/"
    return site


def _warn_of_another(info: SiteInfo, dump: Pathlike, lang: str) -> None:
    """Warn of a wiki neither whose database nor whose language is that of a code; people rename languages."""
    own = {_prefix(lang), lang.replace("-", "_")}
    databases = [found[1]] if (found := _DATABASE.match(info.database)) else []
    languages = [_prefix(info.language)] if info.language else []
    same = own & {*databases, *languages} or {_main(one) for one in own} & {_main(one) for one in languages}
    if (databases or languages) and not same:
        told = info.database if databases else info.language
        log.warning("%s: the dump of %s is read as %s", dump, " ".join(told.split())[:40], lang)


def _prefix(lang: str) -> str:
    code = lang.replace("_", "-").lower()
    try:
        return database_prefix(WIKI_CODES.get(code, code))
    except PolyticketError:  # what a header may hold
        return code


def _main(prefix: str) -> str:
    return prefix.partition("_")[0]


def read_pages(dump: Pathlike) -> Iterator[Page]:
    """Yield the pages of a dump in order, one in memory at a time.

    Args:
        dump: A MediaWiki export, ``.xml`` or ``.xml.bz2`` (one stream or several).

    Raises:
        PolyticketError: The file is missing, cut short, not bzip2, not well-formed XML, not UTF-8 or not a MediaWiki
            export, or it has a document type definition or a page of over `LARGEST_PAGE` bytes. The message names the
            file and the byte; in a packed file the first byte of the stream, and the byte of the stream's text.
    """
    yield from read_pages_between(dump, 0, dump_size(dump))


def read_pages_between(dump: Pathlike, begin: int, end: int, largest_page: int = LARGEST_PAGE) -> Iterator[Page]:
    """Yield the pages that start between two bytes of a dump.

    A page starts at the first byte of its ``<page>`` tag or, in a packed dump, at the first byte of the bzip2 stream
    that holds this tag. A page that starts before `begin` is skipped, and one that starts before `end` is read to its
    end, wherever that is. So streams may be cut anywhere, even within a tag.

    Args:
        dump: See `read_pages`.
        begin: The first byte.
        end: The byte after the last.
        largest_page: Most bytes of XML of a page.

    Raises:
        PolyticketError: See `read_pages`.
    """
    text = DumpText(dump, begin, end)
    if begin == 0:
        text.header()
    elif not text.skip_to_page():
        return
    site: SiteInfo | None = None
    while text.at_own_page():
        page = text.page(largest_page)
        if page.namespace is None:
            site = site or (_site_with_names(dump) if ":" in page.title else None)
            page = _with_namespace(page, site or SiteInfo())
        yield page
        text.between()


def _site_with_names(dump: Pathlike) -> SiteInfo:
    """The header of a dump whose pages do not name their namespace."""
    site = read_siteinfo(dump)
    if not site.namespaces:
        expected = "a dump whose pages have <ns> (export 0.6 or later), or whose header names the namespaces"
        raise PolyticketError("neither the pages nor the header name namespaces", where=dump, expected=expected)
    return site


def _with_namespace(page: Page, site: SiteInfo) -> Page:
    """A page of an old export with its namespace and redirect flag, which the export may lack."""
    redirect = page.redirect or bool(_REDIRECT.match(page.text))
    return replace(page, namespace=site.namespace_of(page.title), redirect=redirect)


def read_range(dumps: Sequence[Pathlike], number: int, ranges: int) -> Iterator[Page]:
    """Yield the pages of one byte range of a language's dumps. All ranges together give each page once, in order.

    Range i of n holds the bytes from ⌊i·S/n⌋ up to ⌊(i+1)·S/n⌋ of the S bytes of all dumps laid end to end. A page
    belongs to the range that holds the start of its ``<page>`` tag or, in a ``.bz2`` dump, the start of the bzip2
    stream with this tag: a dump of one stream belongs to one range. Files outside the range are not opened.

    Args:
        dumps: MediaWiki exports (``.xml``, ``.xml.bz2``) in the order of their pages.
        number: The number of the range, from 0.
        ranges: The number of ranges. If there are more ranges than streams, some have no page.

    Raises:
        PolyticketError: There is no such range, or see `read_pages`.
    """
    if not 0 <= number < ranges:
        raise PolyticketError(f"byte range {number} of {ranges}", expected=f"0 to {ranges - 1}")
    sizes = [dump_size(dump) for dump in dumps]
    total = sum(sizes)
    first, last = number * total // ranges, (number + 1) * total // ranges
    for dump, size, before in zip(dumps, sizes, accumulate(sizes, initial=0), strict=False):
        begin, end = max(first - before, 0), min(last - before, size)
        if begin < end:
            yield from read_pages_between(dump, begin, end)


def dump_files(inputs: Sequence[Pathlike]) -> list[str]:
    """Dump files, where each receipt of a download (``.json``) is replaced by the files that it lists.

    A receipt has the keys ``folder`` (of the files) and ``files`` (a list of objects with a ``name``).

    Raises:
        PolyticketError: A receipt is unreadable or has another form.
    """
    files: list[str] = []
    for given in inputs:
        path = os.fspath(given)
        files += _received(path) if path.endswith(".json") else [path]
    return files


def _received(receipt: Pathlike) -> list[str]:
    content: Any = read_json(receipt)
    try:
        folder, names = Path(content["folder"]), [file["name"] for file in content["files"]]
        if any(name != Path(name).name or not name for name in names):
            raise ValueError
    except (KeyError, TypeError, ValueError):
        expected = '{"folder": "...", "files": [{"name": "..."}, ...]}'
        raise PolyticketError("not a receipt of a download", where=receipt, expected=expected) from None
    return [str(folder / name) for name in names]
