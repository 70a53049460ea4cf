"""MediaWiki XML dumps, read page by page with bounded memory: whole, or any range of their bytes."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, read_json
from polyticket.core.logs import log
from polyticket.dumps.pages import DumpText, dump_size
from polyticket.dumps.pages import Page as Page

TEMPLATE_NAMESPACE = 10
LARGEST_PAGE = 64 * 2**20
"""Bytes of XML that one page may take. MediaWiki allows 2 MiB of wikitext, at most 12 MiB when escaped."""


_CONTENT = {"user": 2, "project": 4, "file": 6, "image": 6, "mediawiki": 8, "template": 10, "help": 12, "category": 14}
GENERAL_NAMESPACES = {
    **{"media": -2, "special": -1, "talk": 1},
    **_CONTENT,
    **{f"{name} talk": number + 1 for name, number in _CONTENT.items()},
}
"""Numbers of the namespaces that every wiki has, by their English names, case folded."""

_REDIRECT = re.compile(r"\s*#\s*[^\W\d_]+(?:[_ ][^\W\d_]+)?\s*:?\s*\[\[[^\[\]\n]+\]\]")
"""How a page begins that points to another, in any language."""


@dataclass
class SiteInfo:
    """What the head of a dump says of its wiki.

    Attributes:
        base: Address of the main page; empty if the dump does not say.
        namespaces: Local names of the namespaces by number.
    """

    base: str = ""
    namespaces: dict[int, str] = field(default_factory=dict)

    def namespace_of(self, title: str) -> int:
        """The number of the namespace that a title is of; 0 if it begins with no namespace's name.

        Local names are known from the head, and so are the English ones that every wiki knows.
        """
        prefix, colon, _ = title.partition(":")
        if not colon:
            return 0
        folded = _folded(prefix)
        local = {_folded(name): number for number, name in self.namespaces.items()}
        return local.get(folded, GENERAL_NAMESPACES.get(folded, 0))


def _folded(name: str) -> str:
    return " ".join(name.replace("_", " ").split()).casefold()


def read_siteinfo(dump: Pathlike) -> SiteInfo:
    """Read the head of a dump; what it lacks stays empty.

    Raises:
        PolyticketError: As `read_pages`.
    """
    root = DumpText(dump, 0, dump_size(dump)).head()
    info = SiteInfo()
    for child in root.iterfind("./{*}siteinfo//*"):
        name, text = child.tag.rpartition("}")[2], child.text or ""
        if name == "base":
            info.base = text.strip()
        elif name == "namespace" and text:
            key = child.get("key", "0")
            if not re.fullmatch("-?[0-9]{1,9}", key):
                raise PolyticketError(f"namespace {text!r} has key {key[:30]!r}", where=dump, expected="a number")
            info.namespaces[int(key)] = text
    return info


def site_of(dumps: Sequence[Pathlike], lang: str) -> SiteInfo:
    """The first address and names of namespaces that a language's dumps give; no more heads are read than that takes.

    An address or a name of the template namespace that none gives is supplied.

    Raises:
        PolyticketError: There is no dump, or as `read_pages`.
    """
    if not dumps:
        raise PolyticketError(f"no dump for language {lang}", expected="at least one .xml or .xml.bz2 file")
    site = SiteInfo()
    for info in map(read_siteinfo, dumps):
        site.base = site.base or info.base
        site.namespaces = {**info.namespaces, **site.namespaces}
        if site.base and TEMPLATE_NAMESPACE in site.namespaces:
            break
    if TEMPLATE_NAMESPACE not in site.namespaces:
        log.warning("%s: no dump names namespace %d; taken as Template", dumps[0], TEMPLATE_NAMESPACE)
        site.namespaces[TEMPLATE_NAMESPACE] = "Template"
    site.base = site.base or f"https://{lang.replace('_', '-')}.wikipedia.org/wiki/"
    return site


def read_pages(dump: Pathlike) -> Iterator[Page]:
    """Yield the pages of a dump in its order, holding one at a time.

    Args:
        dump: A MediaWiki export, ``.xml`` or ``.xml.bz2`` (one stream or several).

    Raises:
        PolyticketError: The file is missing, cut short, no bzip2, no well-formed XML, not in UTF-8, has a document
            type definition or a page of over `LARGEST_PAGE` bytes, or is no MediaWiki export; names the file and the
            byte in it: of a packed file the byte where a stream begins, and the byte of what that stream holds.
    """
    yield from read_range(dump, 0, dump_size(dump))


def read_range(dump: Pathlike, begin: int, end: int) -> Iterator[Page]:
    """Yield the pages of a range of a dump's bytes.

    A page is of the range that holds the first byte of its ``<page>`` tag or, in a packed dump, the first byte of the
    bzip2 stream in which that byte is. What a range holds of a page that began before it is left out; a page that
    begins in it is read to its end, wherever that is. So streams may be cut anywhere, even within a tag.

    Args:
        dump: As `read_pages`.
        begin: First byte of the range in the file.
        end: The byte after the range.

    Raises:
        PolyticketError: As `read_pages`.
    """
    text = DumpText(dump, begin, end)
    if begin == 0:
        text.head()
    elif not text.skip_to_page():
        return
    site: SiteInfo | None = None
    while text.at_own_page():
        page = text.page(LARGEST_PAGE)
        if page.namespace is None:
            site = site or (_site_with_names(dump) if ":" in page.title else None)
            page = _told_by_title(page, site or SiteInfo())
        yield page
        text.between()


def _site_with_names(dump: Pathlike) -> SiteInfo:
    """The head of a dump whose pages do not say their namespace."""
    site = read_siteinfo(dump)
    if not site.namespaces:
        expected = "a dump whose pages have <ns> (export 0.6 or later), or whose head names the namespaces"
        raise PolyticketError("neither the pages nor the head tell namespaces", where=dump, expected=expected)
    return site


def _told_by_title(page: Page, site: SiteInfo) -> Page:
    """A page of an old export with its namespace, and whether it points to another: such exports may not say either."""
    redirect = page.redirect or bool(_REDIRECT.match(page.text))
    return replace(page, namespace=site.namespace_of(page.title), redirect=redirect)


def read_piece(dumps: Sequence[Pathlike], piece: int, pieces: int) -> Iterator[Page]:
    """Yield the pages of one piece; over all pieces every page comes exactly once, in order.

    Piece i of n is the range [⌊i·S/n⌋, ⌊(i+1)·S/n⌋) of the S bytes of all dumps laid end to end. A page is of the
    piece that holds the beginning of its ``<page>`` tag or, in a ``.bz2`` dump, of the bzip2 stream with that
    beginning: a dump of one stream is wholly of one piece. Files outside the range are not opened.

    Args:
        dumps: MediaWiki exports (``.xml``, ``.xml.bz2``) in the order their pages are to have.
        piece: The piece's number from 0.
        pieces: How many pieces there are; more than there are streams leave some without a page.

    Raises:
        PolyticketError: There is no such piece, or as `read_pages`.
    """
    if not 0 <= piece < pieces:
        raise PolyticketError(f"piece {piece} of {pieces}", expected=f"0 to {pieces - 1}")
    sizes = [dump_size(dump) for dump in dumps]
    total = sum(sizes)
    first, last = piece * total // pieces, (piece + 1) * total // pieces
    for dump, size, before in zip(dumps, sizes, accumulate(sizes, initial=0), strict=False):
        begin, end = max(first - before, 0), min(last - before, size)
        if begin < end:
            yield from read_range(dump, begin, end)


def dump_files(inputs: Sequence[Pathlike]) -> list[str]:
    """The dump files that are meant: each input that is a receipt (``.json``) gives way to the files it lists.

    A receipt has the keys ``folder`` (of the files) and ``files`` (a list of objects with a ``name`` each).

    Raises:
        PolyticketError: A receipt is unreadable or has another form.
    """
    files: list[str] = []
    for given in inputs:
        path = os.fspath(given)
        files += _received(path) if path.endswith(".json") else [path]
    return files


def _received(receipt: Pathlike) -> list[str]:
    value: Any = read_json(receipt)
    try:
        folder, names = Path(value["folder"]), [file["name"] for file in value["files"]]
        if any(name != Path(name).name or not name for name in names):
            raise ValueError
    except (KeyError, TypeError, ValueError):
        expected = '{"folder": "...", "files": [{"name": "..."}, ...]}'
        raise PolyticketError("no receipt of a download", where=receipt, expected=expected) from None
    return [str(folder / name) for name in names]
