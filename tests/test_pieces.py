"""Byte ranges of dumps: each page once and in order, however files are packed and cut; templates of all ranges."""

import bz2
import json
import random
import re
from itertools import chain, pairwise
from pathlib import Path

import pytest

from polyticket.core.errors import PolyticketError
from polyticket.corpus.templates import collect_templates
from polyticket.dumps import pages as blocks
from polyticket.dumps.dump import dump_files, read_pages_between, read_range

HEAD = (
    '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/" xml:lang="fr">\n<siteinfo>'
    "<base>https://fr.wikipedia.org/wiki/Accueil</base>\n<namespaces>\n"
    '<namespace key="10" case="first-letter">Modèle</namespace>\n</namespaces></siteinfo>\n'
)
TAIL = "</mediawiki>\n"
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
    """Head, groups of pages and end, each in a stream of its own."""
    groups = ["".join(pages[i : i + each]) for i in range(0, len(pages), each)]
    return b"".join(bz2.compress(part.encode()) for part in (HEAD, *groups, TAIL))


def any_dump(path: Path, form: str, numbers: range, chance: random.Random) -> Path:
    pages = [page(number) for number in numbers]
    text = (HEAD + "".join(pages) + TAIL).encode()
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
    monkeypatch.setattr(blocks, "PACKED", chance.choice((11, 100, 2**18)))
    monkeypatch.setattr(blocks, "PLAIN", chance.choice((1, 7, 100, 2**20)))
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


def test_pages_are_of_the_piece_where_their_stream_or_tag_begins(tmp_path):
    dump = tmp_path / "a.xml.bz2"
    text = (HEAD + "".join(page(n) for n in range(4)) + TAIL).encode()
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


def test_one_stream_is_of_one_piece_and_files_outside_a_piece_are_not_read(tmp_path):
    first, second = (any_dump(tmp_path / name, "one", range(9), random.Random(1)) for name in "ab")
    assert numbers_of([first], 3) == [list(range(9)), [], []]
    second.write_bytes(bytes(first.stat().st_size))
    assert [page.id for page in read_range([first, second], 0, 2)] == [str(n) for n in range(9)]
    with pytest.raises(PolyticketError, match=r"b\.xml\.bz2: bad bzip2 data"):
        list(read_range([first, second], 1, 2))


def test_pages_of_pieces_are_those_of_the_whole(tmp_path):
    dump = any_dump(tmp_path / "a", "cut", range(20), random.Random(5))
    assert [page for number in range(7) for page in read_range([dump], number, 7)] == list(read_range([dump], 0, 1))


def test_empty_streams_and_files_without_pages(tmp_path):
    dump = tmp_path / "a.xml.bz2"
    text = (HEAD + page(1) + TAIL).encode()
    dump.write_bytes(bz2.compress(b"") + packed(text, [5, 5, 5, len(text) - 20]) + bz2.compress(b""))
    empty = tmp_path / "b.xml"
    empty.write_text(HEAD + TAIL)
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


def test_pieces_that_are_none(tmp_path):
    dump = any_dump(tmp_path / "a", "plain", range(3), random.Random(1))
    for number, ranges in ((3, 3), (-1, 2), (0, 0)):
        with pytest.raises(PolyticketError, match=f"byte range {number} of {ranges}; expected 0 to {ranges - 1}"):
            list(read_range([dump], number, ranges))


@pytest.mark.parametrize("name", ["a.xml.gz", "a.xml.7z", "a.zip", "a"])
def test_other_packings_are_refused_in_every_piece(tmp_path, name):
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
    second.write_bytes(bz2.compress((HEAD + "".join(again) + TAIL).encode()))
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
