"""Dumps -> articles, with the real wikiextractor."""

import bz2
import json
import os
import threading
from pathlib import Path

import pytest

from polyticket.corpus import dump
from polyticket.corpus.disambiguation import is_disambiguation
from polyticket.corpus.dump import read_pages, read_siteinfo
from polyticket.corpus.extract import extract_articles
from polyticket.corpus.extractor import Extractor
from polyticket.corpus.markup import clean, prepare
from polyticket.errors import PolyticketError

DATA = os.environ.get("POLYTICKET_DATA")
HEAD = (
    '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/" xml:lang="fr">\n<siteinfo>'
    "<base>https://fr.wikipedia.org/wiki/Accueil</base>\n<namespaces>\n"
    '<namespace key="0" case="first-letter" />\n<namespace key="10" case="first-letter">Modèle</namespace>\n'
    "</namespaces></siteinfo>\n"
)
PAGES = [
    (1, 0, "Paris", "'''Paris''' () est une ville.\n\n== Histoire ==\n{{ville|Lyon}} est grande.\n* [[Un]] point.\n"),
    (2, 0, "AT&amp;T", "AT&amp;amp;T est &amp;lt;grande&amp;gt; avec &lt;math&gt;x^2&lt;/math&gt;.\n=== Vide ==="),
    (3, 0, "Modèle économique", "Un modèle, ou {{PAGENAME}}, en {{CURRENTYEAR}}."),
    (4, 0, "Vieux", "#REDIRECTION [[Paris]]"),
    (5, 0, "Mercure", "Mercure désigne :\n* le métal\n{{Homonymie}}"),
    (6, 0, "Lune (homonymie)", "Lune désigne deux choses."),
    (7, 0, "Rien", ""),
    (8, 0, "Rien non plus", "{{inconnu}}\n== Titre ==\n"),
    (9, 10, "Modèle:Ville", "La ville de {{{1}}}"),
    (10, 1, "Discussion:Paris", "Bavardage."),
    (11, 0, "Fin", "Voir aussi Paris."),
]


def page(number: int, namespace: int, title: str, text: str, one_line: bool = False) -> str:
    redirect = '<redirect title="Paris" />\n' if "REDIRECTION" in text else ""
    xml = (
        f"<page>\n<title>{title}</title>\n<ns>{namespace}</ns>\n<id>{number}</id>\n{redirect}<revision>\n"
        f"<id>9</id>\n<timestamp>2021-03-04T05:06:07Z</timestamp>\n<text xml:space='preserve'>{text}</text>\n"
        "</revision>\n</page>\n"
    )
    return xml.replace("\n", "") + "\n" if one_line else xml


def write_dump(path: Path, pages=PAGES, head: str = HEAD, one_line: bool = False) -> Path:
    data = (head + "".join(page(*p, one_line=one_line) for p in pages) + "</mediawiki>\n").encode()
    path.write_bytes(bz2.compress(data) if path.suffix == ".bz2" else data)
    return path


def read(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def test_articles_and_counts(tmp_path):
    out = tmp_path / "fr.jsonl"
    counts = extract_articles([write_dump(tmp_path / "fr.xml.bz2")], out, lang="fr", processes=2)
    articles = read(out)
    assert articles[0] == {
        "id": "1",
        "url": "https://fr.wikipedia.org/wiki?curid=1",
        "title": "Paris",
        "text": "Paris est une ville.\nLa ville de Lyon est grande.\nUn point.",
    }
    assert [article["title"] for article in articles] == ["Paris", "AT&T", "Modèle économique", "Fin"]
    assert articles[1]["text"] == "AT&T est <grande> avec."
    assert counts == {
        "pages": 11,
        "kept": 4,
        "redirects": 1,
        "other_namespaces": 2,
        "disambiguation": 2,
        "empty": 2,
        "headings": 3,
        "characters": sum(len(article["text"]) for article in articles),
    }


def test_time_words_are_the_revisions_and_not_todays(tmp_path):
    extract_articles([write_dump(tmp_path / "fr.xml")], tmp_path / "a", lang="fr", templates=False)
    assert read(tmp_path / "a")[2]["text"] == "Un modèle, ou Modèle économique, en 2021."
    extract_articles([write_dump(tmp_path / "fr.xml")], tmp_path / "b", lang="fr")
    assert read(tmp_path / "b")[2]["text"] == "Un modèle, ou Modèle économique, en 2021."


def test_published_fault_pages_dropped_without_template_namespace(tmp_path):
    head = '<mediawiki><siteinfo><namespaces><namespace key="0" /></namespaces></siteinfo>\n'
    dumps = [write_dump(tmp_path / "a.xml", PAGES[:1], head), write_dump(tmp_path / "b.xml", PAGES[10:], "<mediawiki>")]
    assert extract_articles(dumps, tmp_path / "out", lang="zh_yue")["kept"] == 2
    assert read(tmp_path / "out")[1]["url"] == "https://zh-yue.wikipedia.org/wiki?curid=11"


def test_published_fault_pages_on_one_line_dropped(tmp_path):
    path = write_dump(tmp_path / "a.xml", [PAGES[0], PAGES[10]], one_line=True)
    assert extract_articles([path], tmp_path / "out", lang="fr")["kept"] == 2


def test_published_fault_neighbours_with_one_id_dropped(tmp_path):
    dumps = [write_dump(tmp_path / name, [(7, 0, name, f"Texte de {name}.")]) for name in ("a.xml", "b.xml", "c.xml")]
    counts = extract_articles(dumps, tmp_path / "out", lang="fr")
    assert counts["kept"] == 3
    assert [a["text"] for a in read(tmp_path / "out")] == ["Texte de a.xml.", "Texte de b.xml.", "Texte de c.xml."]


def test_redirected_template_is_expanded(tmp_path):
    pages = [
        (1, 0, "A", "{{alias|Nice}}."),
        (2, 10, "Modèle:Alias", "#REDIRECTION [[Modèle:Ville]]"),
        (3, 10, "Modèle:Ville", "La ville de {{{1}}}"),
    ]
    extract_articles([write_dump(tmp_path / "a.xml", pages)], tmp_path / "out", lang="fr")
    assert read(tmp_path / "out")[0]["text"] == "La ville de Nice."


def test_output_does_not_depend_on_processes(tmp_path):
    pages = [(n, 0, f"P{n}", f"Page {n}. " * (1 + n * 7919 % 97)) for n in range(1, 90)]
    path = write_dump(tmp_path / "fr.xml.bz2", pages)
    for processes in (1, 3):
        extract_articles([path], tmp_path / str(processes), lang="fr", processes=processes)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "3").read_bytes()
    assert [a["id"] for a in read(tmp_path / "1")] == [str(n) for n in range(1, 90)]


def test_broken_dumps_say_where(tmp_path):
    whole = write_dump(tmp_path / "whole.xml.bz2", PAGES * 40).read_bytes()
    cases = {
        "cut.xml.bz2": (whole[:-20], rf"cut\.xml\.bz2: bad bzip2 data at byte {len(whole) - 20:,}: "),
        "page.xml.bz2": (b"<html>not found</html>", r"page\.xml\.bz2: bad bzip2 data at byte 22: Invalid data stream"),
        "cut.xml": (HEAD.encode() + b"<page>\n<title>A", r"cut\.xml:8:8: bad XML: no element found"),
        "page.xml": (b"<html><p/></html>", r"page\.xml: the root is <html>; expected <mediawiki>"),
        "dtd.xml": (b'<!DOCTYPE m [<!ENTITY a "b">]><mediawiki/>', r"dtd\.xml: a document type definition"),
        "id.xml": (write_dump(tmp_path / "x", [("x", 0, "A", "B")]).read_bytes(), r"id\.xml: page 'A' has id 'x'"),
    }
    for name, (data, message) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(PolyticketError, match=message):
            extract_articles([tmp_path / name], tmp_path / "out.jsonl", lang="fr", templates=False)
    with pytest.raises(PolyticketError, match=r"none\.xml: no such file"):
        extract_articles([tmp_path / "none.xml"], tmp_path / "out.jsonl", lang="fr")
    with pytest.raises(PolyticketError, match="no dump for language fr"):
        extract_articles([], tmp_path / "out.jsonl", lang="fr")
    assert not (tmp_path / "out.jsonl").exists()
    assert threading.active_count() < 5


def test_one_page_cannot_fill_the_memory(tmp_path, monkeypatch):
    path = write_dump(tmp_path / "a.xml", [(1, 0, "A", "long " * 40_000)])
    assert len(list(read_pages(path))) == 1
    monkeypatch.setattr(dump, "LARGEST_PAGE", 100_000)
    with pytest.raises(PolyticketError, match="a page of over 100,000 bytes"):
        list(read_pages(path))


def test_failing_extractor_is_one_error(tmp_path):
    (tmp_path / "templates.xml").write_bytes(b"\xff\xfe not utf-8")
    with (
        Extractor(tmp_path / "templates.xml", 1) as extractor,
        pytest.raises(PolyticketError, match="wikiextractor: UnicodeDecodeError"),
    ):
        list(extractor.extract("<mediawiki>\n<siteinfo>\n</siteinfo>\n", ["<page>\n</page>\n"] * 100_000))


def test_siteinfo(tmp_path):
    info = read_siteinfo(write_dump(tmp_path / "a.xml"))
    assert (info.base, info.namespaces) == ("https://fr.wikipedia.org/wiki/Accueil", {10: "Modèle"})


@pytest.mark.parametrize(
    ("title", "text", "told"),
    [
        ("Mercury", "{{disambiguation}}", True),
        ("Mercury", "{{ Disambig |astronomy}}", True),
        ("Merkur", "x\n{{Begriffsklärung}}", True),
        ("水星", "{{消歧义}}", True),
        ("عطارد", "{{ضد ابہام}}", True),
        ("Sao Thủy", "{{Trang định hướng}}", True),
        ("Zebaki", "{{maana}}", True),
        ("Merkur (Begriffsklärung)", "Text", True),
        ("Paris", "{{Voir homonymes|Paris}} Paris est", False),
        ("Berlin", "{{Begriffsklärungshinweis}} Berlin ist", False),
        ("Paris", "{{dablink|x}} in France{{disambiguation needed}}", False),
        ("Paris (film)", "A film", False),
    ],
)
def test_disambiguation(title, text, told):
    assert is_disambiguation(title, text) is told


def test_markup_is_prepared_and_cleaned():
    text = "= A =\nb\n== C == <!-- d -->\n== E == text\n* f\n#: g\n: h\n{{#if: x | y}}\n#if: z\n{{CURRENTTIME}}"
    prepared = "\nb\n\n:== E == text\n:f\n:g\n: h\n{{#if: x | y}}\n#if: z\n05:06:07"
    assert prepare(text, "2021-03-04T05:06:07Z") == (prepared, 2)
    assert clean("A ( ; , ) b（）c formula_12, d (( )).\n\n \n质量formula_1是 (e)") == "A bc, d.\n质量是 (e)"


@pytest.mark.skipif(not DATA, reason="POLYTICKET_DATA is unset")
def test_real_dumps(tmp_path):
    dumps = sorted(Path(DATA or "", "wiki", "ur").glob("*.bz2"))
    counts = extract_articles(dumps, tmp_path / "ur.jsonl", lang="ur", processes=2)
    assert (counts["pages"], counts["kept"], counts["headings"]) == (1309, 1309, 43)
