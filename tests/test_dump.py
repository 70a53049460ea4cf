"""Dumps: what is read of pages and heads, what is refused, and that nothing in a dump fills the memory."""

import bz2
import json
import os
import random
import re
import subprocess
import sys
from itertools import chain, pairwise
from pathlib import Path

import pytest

from polyticket.core.errors import PolyticketError
from polyticket.corpus.templates import collect_templates
from polyticket.dumps import pages
from polyticket.dumps.dump import (
    Page,
    SiteInfo,
    dump_files,
    read_pages,
    read_pages_between,
    read_range,
    read_siteinfo,
    site_of,
)

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


@pytest.mark.parametrize(
    ("language", "database", "lang", "told"),
    [
        *(("fr", "", "en", "fr"), ("fr", "frwiki", "en", "frwiki"), ("", "frwiki", "en", "frwiki")),
        *(("fr", "frwiki", "fr", None), ("", "frwikisource", "fr", None), ("", "", "fr", None)),
        *(
            ("en", "simplewiki", "simple", None),
            ("nb", "nowiki", "no", None),
            ("nan", "zh_min_nanwiki", "zh-min-nan", None),
        ),
        *(("yue", "", "zh_yue", None), ("crh-latn", "", "crh", None), ("be-tarask", "be_x_oldwiki", "be-x-old", None)),
        *(("en", "wikidatawiki", "en", None), ("fr", "mine", "fr", None), ("fr", "mine", "xx", "fr")),
    ],
)
def test_a_dump_of_another_language_is_read_with_a_warning(tmp_path, caplog, language, database, lang, told):
    head = HEAD.replace('xml:lang="fr"', f'xml:lang="{language}"').replace(
        "<siteinfo>", f"<siteinfo><dbname>{database}</dbname>"
    )
    path = written(tmp_path / "a.xml", head + PAGE + TAIL)
    site_of([path], lang)
    assert caplog.messages == ([f"{path}: the dump of {told} is read as {lang}"] if told else [])


def read_all(path: Path) -> tuple[SiteInfo, list[Page]]:
    return read_siteinfo(path), list(read_pages(path))


def deep(count: int) -> str:
    return "<page>" + "<a>" * count + "</a>" * count + "</page>"


BOMB = '<!DOCTYPE m [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'
JUNK = f"bad XML outside pages: junk after document element, in the text that begins at byte {END - 1}"
BAD = {  # what stands in the file, and what is said of it
    "<html><p/></html>": r"the root is <html>; expected <mediawiki>",
    "<!-- c --><rss><page/></rss>": r"the root is <rss>; expected <mediawiki>",
    "": "an empty file",
    " \n": "bad XML outside pages: no element found, in the text that begins at byte 0",
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
    + TAIL: f"bad XML outside pages: mismatched tag, in the text that begins at byte {END - 1}",
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


def test_one_page_cannot_fill_the_memory(tmp_path):
    path = written(tmp_path / "a.xml", HEAD + BARE.replace("</page>", f"<x>{'long ' * 40_000}</x></page>") + TAIL)
    assert len(list(read_pages(path))) == 1
    with pytest.raises(PolyticketError, match="a page of over 100,000 bytes that begins at byte 27"):
        list(read_pages_between(path, 0, 10**6, largest_page=100_000))


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


RANGE_HEAD = (
    '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/" xml:lang="fr">\n<siteinfo>'
    "<base>https://fr.wikipedia.org/wiki/Accueil</base>\n<namespaces>\n"
    '<namespace key="10" case="first-letter">Modèle</namespace>\n</namespaces></siteinfo>\n'
)
TEXTS = ["court", "é𝄞ü " * 40, "&lt;page&gt; &amp;lt;page&gt;", "", "== t ==\n\n{{modèle|a}}\n" * 9]


def page(number: int, namespace: int = 0, title: str = "", text: str | None = None) -> str:
    text = TEXTS[number % len(TEXTS)] if text is None else text
    redirect = "<redirect title='x' />" if "#REDIRECT" in text else ""
    return (
        f"  <page>\n    <title>{title or f'Page {number}'}</title><ns>{namespace}</ns>\n"
        f"    <id>{number}</id>{redirect}\n"
        f"    <revision><id>1</id><text xml:space='preserve'>{text}</text></revision>\n  </page>\n"
    )


def packed(text: bytes, cuts: list[int]) -> bytes:
    """Streams that begin at the cuts and at the start, as Wikimedia, pbzip2 and lbzip2 lay them end to end."""
    places = [0, *sorted(cuts), len(text)]
    return b"".join(bz2.compress(text[a:b], 1) for a, b in pairwise(places))


def aligned(pages: list[str], each: int) -> bytes:
    """Header, groups of pages and end, each in a stream of its own."""
    groups = ["".join(pages[i : i + each]) for i in range(0, len(pages), each)]
    return b"".join(bz2.compress(part.encode()) for part in (RANGE_HEAD, *groups, TAIL))


def any_dump(path: Path, form: str, numbers: range, chance: random.Random) -> Path:
    pages = [page(number) for number in numbers]
    text = (RANGE_HEAD + "".join(pages) + TAIL).encode()
    if chance.random() < 0.3:
        text = text.replace(b"\n", b"\r\n")
    if form == "aligned":
        data = aligned(pages, chance.choice((1, 2, 7)))
    elif form == "cut":
        data = packed(text, chance.choices(range(len(text) + 1), k=chance.choice((1, 9, 60))))
    else:
        data = text if form == "plain" else bz2.compress(text)
    path = path.with_suffix(".xml" if form == "plain" else ".xml.bz2")
    path.write_bytes(data)
    return path


def numbers_of(dumps: list[Path], ranges: int) -> list[list[int]]:
    return [[int(page.id) for page in read_range(dumps, number, ranges)] for number in range(ranges)]


@pytest.mark.parametrize("forms", [("one",), ("aligned",), ("cut",), ("plain",), ("cut", "plain", "one", "aligned")])
@pytest.mark.parametrize("seed", range(6))
def test_every_page_comes_once_and_in_order(tmp_path, monkeypatch, forms, seed):
    chance = random.Random(f"{forms} {seed}")
    # Small reads put tags and streams across their ends.
    monkeypatch.setattr(pages, "PACKED", chance.choice((11, 100, 2**18)))
    monkeypatch.setattr(pages, "PLAIN", chance.choice((1, 7, 100, 2**20)))
    dumps = [
        any_dump(tmp_path / str(i), form, range(100 * i, 100 * i + chance.randrange(0, 25)), chance)
        for i, form in enumerate(forms)
    ]
    (whole,) = numbers_of(dumps, 1)
    assert whole == sorted(whole)
    assert len(whole) == sum(len(re.findall("<page>", text(dump))) for dump in dumps)
    for ranges in (2, 3, chance.randrange(4, 40), 300):
        assert list(chain(*numbers_of(dumps, ranges))) == whole


def text(dump: Path) -> str:
    return (bz2.decompress(dump.read_bytes()) if dump.suffix == ".bz2" else dump.read_bytes()).decode()


def test_pages_are_of_the_range_where_their_stream_or_tag_begins(tmp_path):
    dump = tmp_path / "a.xml.bz2"
    text = (RANGE_HEAD + "".join(page(n) for n in range(4)) + TAIL).encode()
    begins = [match.start() for match in re.finditer(b"<page>", text)]
    streams = [text[: begins[1] + 3], text[begins[1] + 3 : begins[3]], text[begins[3] :]]  # page 1 begins in stream 0
    data = [bz2.compress(stream) for stream in streams]
    dump.write_bytes(b"".join(data))
    size, second, third = dump.stat().st_size, len(data[0]), len(data[0] + data[1])
    assert size > third > second
    got = numbers_of([dump], size)  # each range is a byte
    assert {i: ids for i, ids in enumerate(got) if ids} == {0: [0, 1], second: [2], third: [3]}
    for cut, ids in ((second, [0, 1]), (second + 1, [0, 1, 2]), (third, [0, 1, 2])):
        assert [int(page.id) for page in read_pages_between(dump, 0, cut)] == ids
        assert [int(page.id) for page in read_pages_between(dump, cut, size)] == [n for n in range(4) if n not in ids]
    plain = tmp_path / "a.xml"
    plain.write_bytes(text)
    got = numbers_of([plain], len(text))
    assert {i: ids for i, ids in enumerate(got) if ids} == {begin: [n] for n, begin in enumerate(begins)}


def test_one_stream_is_of_one_range_and_files_outside_a_range_are_not_read(tmp_path):
    first, second = (any_dump(tmp_path / name, "one", range(9), random.Random(1)) for name in "ab")
    assert numbers_of([first], 3) == [list(range(9)), [], []]
    second.write_bytes(bytes(first.stat().st_size))
    assert [page.id for page in read_range([first, second], 0, 2)] == [str(n) for n in range(9)]
    with pytest.raises(PolyticketError, match=r"b\.xml\.bz2: bad bzip2 data"):
        list(read_range([first, second], 1, 2))


def test_pages_of_ranges_are_those_of_the_whole(tmp_path):
    dump = any_dump(tmp_path / "a", "cut", range(20), random.Random(5))
    assert [page for number in range(7) for page in read_range([dump], number, 7)] == list(read_range([dump], 0, 1))


def test_empty_streams_and_files_without_pages(tmp_path):
    dump = tmp_path / "a.xml.bz2"
    text = (RANGE_HEAD + page(1) + TAIL).encode()
    dump.write_bytes(bz2.compress(b"") + packed(text, [5, 5, 5, len(text) - 20]) + bz2.compress(b""))
    empty = tmp_path / "b.xml"
    empty.write_text(RANGE_HEAD + TAIL)
    for ranges in (1, 2, 5, 500):
        assert list(chain(*numbers_of([empty, dump, empty], ranges))) == [1]


def test_a_false_beginning_of_a_stream_is_an_error_and_no_loss(tmp_path):
    dump = any_dump(tmp_path / "a", "one", range(9), random.Random(1))
    data = bytearray(dump.read_bytes())
    data[200:210] = b"BZh91AY&SY"
    dump.write_bytes(data)
    with pytest.raises(PolyticketError, match=r"a\.xml\.bz2: bad bzip2 data in the stream at byte 200, before byte"):
        list(read_range([dump], 200, len(data)))


@pytest.mark.parametrize("ranges", [1, 2, 5, 300])
def test_a_damaged_head_of_a_stream_loses_no_pages_in_silence(tmp_path, ranges):
    dump = tmp_path / "a.xml.bz2"
    data = aligned([page(n) for n in range(6)], 2)
    places = [match.start() for match in re.finditer(b"BZh9", data)]
    assert len(places) == 5
    for place in places:
        dump.write_bytes(data[:place] + b"XX" + data[place + 2 :])
        with pytest.raises(PolyticketError, match=rf"bad bzip2 data in the stream at byte {place:,}, before"):
            numbers_of([dump], ranges)


def test_ranges_that_do_not_exist(tmp_path):
    dump = any_dump(tmp_path / "a", "plain", range(3), random.Random(1))
    for number, ranges in ((3, 3), (-1, 2), (0, 0)):
        with pytest.raises(PolyticketError, match=f"byte range {number} of {ranges}; expected 0 to {ranges - 1}"):
            list(read_range([dump], number, ranges))


@pytest.mark.parametrize("name", ["a.xml.gz", "a.xml.7z", "a.zip", "a"])
def test_other_packings_are_refused_in_every_range(tmp_path, name):
    dump = any_dump(tmp_path / "b", "plain", range(3), random.Random(1))
    (tmp_path / name).write_bytes(b"\x1f\x8b")
    for number in (0, 1):
        with pytest.raises(PolyticketError, match=rf"{name}: a dump .*; expected a whole \.xml or \.xml\.bz2 dump"):
            list(read_range([dump, tmp_path / name], number, 2))


def test_receipts_give_way_to_their_files(tmp_path):
    receipt = tmp_path / "fr.json"
    receipt.write_text(json.dumps({"folder": "dumps/fr", "files": [{"name": "1.xml.bz2", "sha1": "x"}, {"name": "2"}]}))
    assert dump_files(["a.xml", receipt, Path("b.xml.bz2")]) == [
        "a.xml",
        "dumps/fr/1.xml.bz2",
        "dumps/fr/2",
        "b.xml.bz2",
    ]
    for value in ([], {"folder": "x"}, {"folder": "x", "files": [{"name": "../a"}]}, {"folder": 3, "files": []}):
        receipt.write_text(json.dumps(value))
        with pytest.raises(PolyticketError, match=r"fr\.json: not a receipt of a download; expected"):
            dump_files([receipt])


def test_templates_are_collected_alike_by_any_number_of_processes(tmp_path):
    pages = [page(n, 10 if n % 3 == 0 else 0, f"Modèle:M{n}" if n % 3 == 0 else "") for n in range(60)]
    first, second, third = (tmp_path / f"{name}.xml.bz2" for name in "abc")
    first.write_bytes(aligned(pages, 3))
    again = [page(0, 10, "Modèle:M0", "autre"), page(7, 10, "Template:R", "#REDIRECT [[ template:m_3#A|x]]")]
    second.write_bytes(bz2.compress((RANGE_HEAD + "".join(again) + TAIL).encode()))
    third.write_bytes(
        bz2.compress(
            ("<mediawiki>" + page(8, 10, "Modèle:A &amp; &quot;B&quot;", "x\u2028&quot;y&quot;") + TAIL).encode()
        )
    )
    for processes in (1, 3):
        out = tmp_path / f"{processes}.xml"
        assert collect_templates([first, second, third], out, lang="fr", processes=processes) == 22
    text = (tmp_path / "1.xml").read_text(encoding="utf-8")
    assert text == (tmp_path / "3.xml").read_text(encoding="utf-8")
    titles = re.findall("<title>(.*)</title>", text)
    assert titles == [f"Modèle:M{n}" for n in range(0, 60, 3)] + ["Modèle:R", "Modèle:A &amp; &quot;B&quot;"]
    assert text.startswith(
        "<page>\n<title>Modèle:M0</title>\n<ns>10</ns>\n<id>0</id>\n"
        '<text xml:space="preserve">court</text>\n</page>\n<page>\n'
    )
    assert text.endswith(
        "<id>7</id>\n"
        '<text xml:space="preserve">#REDIRECT [[Modèle:M 3]]</text>\n</page>\n'
        "<page>\n<title>Modèle:A &amp; &quot;B&quot;</title>\n<ns>10</ns>\n<id>8</id>\n"
        '<text xml:space="preserve">x &quot;y&quot;</text>\n</page>\n'
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1.xml", "3.xml", "a.xml.bz2", "b.xml.bz2", "c.xml.bz2"]


@pytest.mark.parametrize("processes", [1, 2])
def test_templates_are_complete_or_absent(tmp_path, processes):
    dump = tmp_path / "a.xml.bz2"
    dump.write_bytes(aligned([page(n, 10) for n in range(9)], 2)[:-70])
    with pytest.raises(
        PolyticketError, match=r"a\.xml\.bz2: bad bzip2 data at byte .*: cut short in the stream at byte"
    ):
        collect_templates([dump], tmp_path / "out.xml", lang="fr", processes=processes)
    assert [p.name for p in tmp_path.iterdir()] == ["a.xml.bz2"]
    with pytest.raises(PolyticketError, match="no dump for language fr"):
        collect_templates([], tmp_path / "out.xml", lang="fr", processes=processes)
