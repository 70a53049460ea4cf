"""Dumps: what is read of pages and heads, what is refused, and that nothing in a dump fills the memory."""

import bz2
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from polyticket.core.errors import PolyticketError
from polyticket.dumps import dump
from polyticket.dumps.dump import Page, SiteInfo, read_pages, read_pages_between, read_siteinfo, site_of

DATA = os.environ.get("POLYTICKET_DATA")
HEAD = (
    '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/" xml:lang="fr">\n<siteinfo>\n'
    "<base>https://fr.wikipedia.org/wiki/Accueil</base>\n<namespaces>\n"
    '<namespace key="0" case="first-letter" />\n<namespace key="10" case="first-letter">Modèle</namespace>\n'
    "</namespaces></siteinfo>\n"
)
PAGE = (
    "<page>\n<title>A&amp;B</title>\n<ns>-2</ns>\n<id>7</id>\n<redirect title='C' />\n<revision>\n<id>8</id>\n"
    "<timestamp>2021-03-04T05:06:07Z</timestamp>\n<contributor><username>U</username><id>9</id></contributor>\n"
    "<text bytes='5' xml:space='preserve'>a &lt;page&gt;\n\n&amp;lt; é𝄞</text>\n</revision>\n</page>\n"
)
READ = Page("7", "A&B", -2, True, text="a <page>\n\n&lt; é𝄞", timestamp="2021-03-04T05:06:07Z")
TAIL = "</mediawiki>\n"
BARE = "<page><id>7</id></page>"
N, END = len(HEAD.encode()), len((HEAD + PAGE).encode())


def written(path: Path, text: str | bytes) -> Path:
    data = text.encode() if isinstance(text, str) else text
    path.write_bytes(bz2.compress(data) if path.suffix == ".bz2" else data)
    return path


@pytest.mark.parametrize("name", ["a.xml", "a.xml.bz2"])
@pytest.mark.parametrize("change", [str, lambda t: t.replace("\n", "\r\n"), lambda t: "\ufeff" + t, str.rstrip])
def test_pages(tmp_path, name, change):
    text = f"<?xml version='1.0' encoding='UTF-8'?>\n{HEAD}{PAGE}{PAGE}{TAIL}"
    assert list(read_pages(written(tmp_path / name, change(text)))) == [READ, READ]


def test_pages_on_one_line_with_little_and_of_several_revisions(tmp_path):
    old, new = (f"<revision><timestamp>{n}</timestamp><text>{n}</text></revision>" for n in (1, 2))
    pages = [BARE, "<page ><ns>3</ns><id>8</id></page>"]
    pages += [BARE.replace("</page>", f"{revisions}</page>") for revisions in (old + new, old + "<revision/>")]
    got = list(read_pages(written(tmp_path / "a.xml", f"<mediawiki>{''.join(pages)}<!-- c --></mediawiki>")))
    assert [(p.id, p.namespace, p.redirect) for p in got] == [("7", 0, False), ("8", 3, False), *[("7", 0, False)] * 2]
    assert [(p.text, p.timestamp) for p in got] == [("", ""), ("", ""), ("2", "2"), ("", "")]


def test_siteinfo(tmp_path):
    for name in ("a.xml", "a.xml.bz2"):
        info = read_siteinfo(written(tmp_path / name, HEAD + PAGE + TAIL))
        assert (info.base, info.namespaces) == ("https://fr.wikipedia.org/wiki/Accueil", {10: "Modèle"})
    bare = written(tmp_path / "b.xml", f"<mediawiki>{PAGE}{TAIL}")
    assert (read_siteinfo(bare).base, read_siteinfo(bare).namespaces) == ("", {})
    written(tmp_path / "c.xml", HEAD.replace("Modèle", "Autre").replace("Accueil", "X") + TAIL)
    site = site_of([bare, tmp_path / "a.xml", tmp_path / "c.xml"], "fr")
    assert (site.base, site.namespaces) == ("https://fr.wikipedia.org/wiki/Accueil", {10: "Modèle"})
    site = site_of([bare], "zh_yue")
    assert (site.base, site.namespaces) == ("https://zh-yue.wikipedia.org/wiki/", {10: "Template"})


def read_all(path: Path) -> tuple[SiteInfo, list[Page]]:
    return read_siteinfo(path), list(read_pages(path))


def deep(count: int) -> str:
    return "<page>" + "<a>" * count + "</a>" * count + "</page>"


BOMB = '<!DOCTYPE m [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'
JUNK = f"bad XML outside pages: junk after document element, in what begins at byte {END - 1}"
BAD = {  # what stands in the file, and what is said of it
    "<html><p/></html>": r"the root is <html>; expected <mediawiki>",
    "<!-- c --><rss><page/></rss>": r"the root is <rss>; expected <mediawiki>",
    "": "an empty file",
    " \n": "bad XML outside pages: no element found, in what begins at byte 0",
    "plain text": "bad XML outside pages: syntax error",
    BOMB + "<mediawiki>&b;</mediawiki>": "a document type definition; expected a dump without one",
    '<!DOCTYPE m SYSTEM "file:///etc/passwd"><mediawiki/>': "a document type definition",
    "<?xml version='1.0' encoding='latin-1'?><mediawiki/>": "the encoding 'latin-1'; expected UTF-8",
    "<mediawiki><siteinfo>" + PAGE + TAIL: "bad XML outside pages: mismatched tag",
    "<mediawiki><siteinfo><namespace key='x'>N</namespace></siteinfo></mediawiki>": "namespace 'N' has key 'x'",
    HEAD: r"bad XML outside pages: no element found",
    HEAD + PAGE: rf"cut short after the page that ends at byte {END - 1}; expected </mediawiki>",
    HEAD + PAGE + "<page>\n<title>A": rf"cut short within the page that begins at byte {END}; expected a whole dump",
    HEAD
    + PAGE
    + "<pge>\n</page>"
    + PAGE
    + TAIL: f"bad XML outside pages: mismatched tag, in what begins at byte {END - 1}",
    HEAD + PAGE + TAIL + HEAD + PAGE + TAIL: JUNK,
    HEAD + PAGE + TAIL + "junk": JUNK,
    HEAD + "<page><id>x</id></page>" + TAIL: rf"page '' has id 'x', namespace '0' at byte {N}; expected numbers",
    HEAD + "<page><id>1</id><ns>²</ns></page>" + TAIL: "page '' has id '1', namespace '²' at byte",
    HEAD + f"<page><id>{'1' * 5000}</id></page>" + TAIL: rf"page '' has id '{'1' * 30}', namespace",
    HEAD + "<page><id>1</id><page></page>" + TAIL: f"bad XML: no element found at byte {N + 29}",
    HEAD + "<page><id>1</ id></page>" + TAIL: rf"bad XML: not well-formed \(invalid token\) at byte {N + 13}",
    HEAD + "<page><id>1</title></page>" + TAIL: f"bad XML: mismatched tag at byte {N + 13}",
    HEAD + "<page><title>a\x01b</title></page>" + TAIL: rf"bad XML: not well-formed \(invalid token\) at byte {N + 14}",
    HEAD + "<page><title>&nbsp;</title></page>" + TAIL: f"bad XML: undefined entity at byte {N + 13}",
    HEAD + "<page><title><![CDATA[</page>]]></title></page>" + TAIL: "bad XML: ",
    HEAD + "<!-- <page> -->" + PAGE + TAIL: "bad XML outside pages: ",
    HEAD + deep(32) + TAIL: f"over 32 elements within one another at byte {N + 99}",
    HEAD + "<page>" + "<a b='" + "c" * 140_000 + "'/></page>" + TAIL: f"a tag of over 65,536 bytes at byte {N + 6}",
}


@pytest.mark.parametrize(("text", "message"), BAD.items(), ids=range(len(BAD)))
def test_bad_dumps_say_where(tmp_path, text, message):
    path = written(tmp_path / "a.xml", text)
    with pytest.raises(PolyticketError, match=rf"a\.xml: {message}"):
        read_all(path)
    if text:
        message = re.sub(r"(at byte [\d,]+)", r"\1 of the bzip2 stream at byte 0", message)
        with pytest.raises(PolyticketError, match=rf"a\.xml\.bz2: {message}"):
            read_all(written(tmp_path / "a.xml.bz2", text))


def test_invalid_utf8_says_where(tmp_path):
    data = (HEAD + PAGE).encode() + b"<page><id>1</id><title>ab\xffc</title></page>"
    path = written(tmp_path / "a.xml", data + TAIL.encode())
    place = data.index(b"\xff")
    with pytest.raises(PolyticketError, match=rf"bad XML: .*invalid token.* at byte {place:,}; expected .*UTF-8"):
        list(read_pages(path))
    (tmp_path / "b.xml.bz2").write_bytes(bz2.compress(data[:500]) + bz2.compress(data[500:]))
    first = len(bz2.compress(data[:500]))
    with pytest.raises(PolyticketError, match=rf"at byte {place - 500:,} of the bzip2 stream at byte {first:,};"):
        list(read_pages(tmp_path / "b.xml.bz2"))


def test_places_in_a_range_are_those_of_the_file(tmp_path):
    text = HEAD + PAGE + "<page><id>1</id><title>a\x01</title></page>" + TAIL
    path = written(tmp_path / "a.xml", text)
    with pytest.raises(PolyticketError, match=rf" at byte {text.encode().index(1):,};"):
        list(read_pages_between(path, len(HEAD.encode()) + 3, 10**6))


def test_bad_files_say_where(tmp_path):
    whole = bz2.compress((HEAD + PAGE * 40 + TAIL).encode())
    size, cut = len(whole), "bad bzip2 data at byte"
    bad = "bad bzip2 data in the stream at byte"
    cases = {
        "cut.xml.bz2": (whole[:-20], rf"{cut} {size - 20:,}: cut short in the stream at byte 0; expected a whole"),
        "head.xml.bz2": (whole + b"BZh", rf"{cut} {size + 3:,}: cut short in the stream at byte {size:,}"),
        "page.xml.bz2": (b"<html>not found</html>", rf"{bad} 0, before byte 22: Invalid data stream"),
        "junk.xml.bz2": (whole + b"junk", rf"{bad} {size:,}, before byte {size + 4:,}: "),
        "block.xml.bz2": (whole[:99] + b"?" + whole[100:], rf"{bad} 0, before byte {size:,}: "),
        "a.xml.gz": (b"\x1f\x8b", r"a dump of the form \.gz; expected a whole \.xml or \.xml\.bz2 dump"),
        "a.xml.7z": (b"7z", r"a dump of the form \.7z; expected"),
    }
    for name, (data, message) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(PolyticketError, match=rf"{re.escape(name)}: {message}"):
            list(read_pages(tmp_path / name))
    with pytest.raises(PolyticketError, match=r"none\.xml: no such file"):
        list(read_pages(tmp_path / "none.xml"))
    (tmp_path / "folder.xml").mkdir()
    with pytest.raises(PolyticketError, match=r"folder\.xml: not a file; expected"):
        read_siteinfo(tmp_path / "folder.xml")


def test_one_page_cannot_fill_the_memory(tmp_path, monkeypatch):
    path = written(tmp_path / "a.xml", HEAD + BARE.replace("</page>", f"<x>{'long ' * 40_000}</x></page>") + TAIL)
    assert len(list(read_pages(path))) == 1
    monkeypatch.setattr(dump, "LARGEST_PAGE", 100_000)
    with pytest.raises(PolyticketError, match="a page of over 100,000 bytes that begins at byte 27"):
        list(read_pages(path))


READER = """
import sys
from pathlib import Path
from polyticket.dumps.dump import read_pages_between
from polyticket.core.errors import PolyticketError
try:
    print([len(page.text) for page in read_pages_between(sys.argv[1], int(sys.argv[2]), 2**40)])
except PolyticketError as error:
    print(error)
# Not ru_maxrss, which takes over what the process was forked from.
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""


def read_apart(path: Path, begin: int = 0) -> tuple[str, int]:
    """What reading yields or says, and the most memory it took in MiB."""
    command = [sys.executable, "-c", READER, str(path), str(begin)]
    said, memory = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout.splitlines()
    return said, int(memory) // 1024


def test_a_page_of_50_megabytes_is_read(tmp_path):
    # One character beyond the basic plane makes Python hold four bytes for each of the text.
    path = tmp_path / "a.xml"
    with path.open("w", encoding="utf-8") as out:
        out.write(HEAD + "<page><id>1</id><revision><text>𝄞")
        for _ in range(50):
            out.write("0123456789abcde\n" * 62_500)
        out.write("</text></revision></page>" + TAIL)
    said, memory = read_apart(path)
    assert said == "[50000001]"
    assert memory < 500


MANY = 8
BOMBS = {
    "page": ("<page><id>1</id><text>", "a", r"a page of over 67,108,864 bytes that begins at byte 0 of the", 250),
    "spaces": ("<page ", " ", "a page of over 67,108,864 bytes that begins", 250),
    "head": ("<x>", "a", "over 1,048,576 bytes without a page at byte 0 of the", 100),
    "gap": (BARE, " ", "over 1,048,576 bytes without a page at byte 0 of the", 100),
}


@pytest.mark.parametrize("name", BOMBS)
def test_packed_bombs(tmp_path, name):
    text, filling, message, most = BOMBS[name]
    path = tmp_path / "a.xml.bz2"
    many = bz2.compress(filling.encode() * 10_000_000, 1)  # 80 MB in some kB
    path.write_bytes(bz2.compress(b"<mediawiki>") + bz2.compress(text.encode()) + many * MANY)
    assert path.stat().st_size < 200_000
    said, memory = read_apart(path)
    assert message in said
    assert memory < most
    assert read_apart(path, 60)[1] < most  # a range that begins within


UNPACKED_BOMBS = {
    "tag without end": ("<a ", "b" * 100, "a tag of over 65,536 bytes"),
    "attributes": ("<a ", "b%d='>' ", "a tag of over 65,536 bytes"),
    "comment": ("<!--", "b" * 100, "a tag of over 65,536 bytes"),
    "depth": ("", "<a>", "over 32 elements within one another"),
    "names": ("", "<a%d/>", ""),
}


@pytest.mark.parametrize("name", UNPACKED_BOMBS)
def test_bombs_within_a_page(tmp_path, name):
    start, part, message = UNPACKED_BOMBS[name]
    count = 200_000 if name == "names" else 20_000_000 // len(part)
    text = part * count if "%" not in part else "".join(part % i for i in range(count))
    path = tmp_path / "a.xml"
    path.write_text(f"<mediawiki><page><id>1</id>{start}{text}</page></mediawiki>")
    del text
    said, memory = read_apart(path)
    assert message in said
    assert memory < 200


@pytest.mark.skipif(not DATA, reason="POLYTICKET_DATA is unset")
def test_real_dump():
    path = Path(DATA or "", "wiki", "vi", "viwiki-20230501-truncated.xml.bz2")
    pages = list(read_pages(path))
    assert len(pages) == 970
    assert read_siteinfo(path).namespaces[10] == "Bản mẫu"


OLD_HEAD = (
    '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.4/" version="0.4" xml:lang="fr"><siteinfo><namespaces>'
    '<namespace key="0" /><namespace key="1">Discussion</namespace>'
    '<namespace key="3">Discussion utilisateur</namespace>'
    '<namespace key="10">Modèle</namespace></namespaces></siteinfo>\n'
)


def old_page(title: str, text: str = "Texte.") -> str:
    return f"<page><title>{title}</title><id>7</id><revision><text>{text}</text></revision></page>\n"


def test_pages_without_namespace_are_told_by_their_titles(tmp_path):
    titles = {
        "Paris": 0,
        "Discussion:Paris": 1,
        "discussion utilisateur:Anna": 3,
        "Discussion_utilisateur: B": 3,
        "Modèle:Ville": 10,
        "Template:Ville": 10,
        "User talk:Anna": 3,
        "2001: Odyssée": 0,
        "Discussions:x": 0,
    }
    path = written(tmp_path / "a.xml.bz2", OLD_HEAD + "".join(map(old_page, titles)) + TAIL)
    assert {page.title: page.namespace for page in read_pages(path)} == titles
    size = path.stat().st_size
    assert [page.namespace for page in read_pages_between(path, 0, size)] == list(titles.values())
    plain = written(tmp_path / "a.xml", OLD_HEAD + "".join(map(old_page, titles)) + TAIL)
    begin = plain.read_text(encoding="utf-8").index("<page><title>discussion utilisateur")
    assert next(page.namespace for page in read_pages_between(plain, begin, plain.stat().st_size)) == 3


def test_pages_of_old_exports_that_point_to_others(tmp_path):
    texts = {
        "#REDIRECT [[A]]": True,
        "#WEITERLEITUNG [[A]]": True,
        "#перенаправление: [[A|b]]\nx": True,
        "# [[A]]": False,
        "#premier point": False,
        "Texte #REDIRECT [[A]]": False,
    }
    path = written(tmp_path / "a.xml", OLD_HEAD + "".join(old_page("T", text) for text in texts) + TAIL)
    assert [page.redirect for page in read_pages(path)] == list(texts.values())


def test_pages_whose_namespace_nothing_tells_are_refused(tmp_path):
    head = OLD_HEAD[: OLD_HEAD.index("<siteinfo>")]
    path = written(tmp_path / "a.xml", head + old_page("Paris") + old_page("Discussion:Paris") + TAIL)
    with pytest.raises(
        PolyticketError, match=r"neither the pages nor the header name namespaces; expected a dump whose"
    ):
        list(read_pages(path))


def test_part_that_was_unpacked_keeps_its_name(tmp_path):
    path = written(tmp_path / "frwiki-20261101-pages-articles2.xml-p41243p151573", HEAD + PAGE + TAIL)
    assert list(read_pages(path)) == [READ]
    packed = written(tmp_path / "frwiki-20261101-pages-articles2.xml-p41243p151573.bz2", HEAD + PAGE + TAIL)
    assert list(read_pages(packed)) == [READ]
    for name in ("a.xml-p1", "a.xml-p1p2.gz", "a.json", "xml"):
        with pytest.raises(PolyticketError, match="a dump of the form"):
            list(read_pages(written(tmp_path / name, HEAD + PAGE + TAIL)))
