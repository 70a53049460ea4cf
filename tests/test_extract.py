"""Dumps -> articles, with the real wikiextractor."""

import bz2
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from polyticket.core.errors import PolyticketError
from polyticket.core.processes import children_of
from polyticket.corpus import extractor as extractor_module
from polyticket.corpus import lines as lines_module
from polyticket.corpus.extract import extract_articles, is_disambiguation
from polyticket.corpus.extractor import Extractor, Sent, texts_of
from polyticket.corpus.lines import mark_lines, show_links
from polyticket.corpus.template_table import write_out
from polyticket.corpus.templates import collect_templates, layout
from polyticket.corpus.wikitext import (
    BLOCK,
    choose_variants,
    clean,
    drop_elements,
    drop_quotes,
    line_feeds,
    prepare,
    without_hidden,
)
from polyticket.dumps.dump import read_siteinfo
from tests.support.growth import growth

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


def extract(path: Path, out: Path, templates: bool = True, **options) -> dict:
    """Extract a French dump, as a rule with its own templates."""
    if templates:
        collect_templates([path], out.with_suffix(".xml"), lang="fr")
        options["templates"] = out.with_suffix(".xml")
    return extract_articles([path], out, lang="fr", **options)


def test_articles_and_ledger(tmp_path):
    out = tmp_path / "fr.jsonl"
    ledger = extract(write_dump(tmp_path / "pages.xml.bz2"), out, processes=2)
    articles = read(out)
    assert articles[0] == {
        "id": "1",
        "url": "https://fr.wikipedia.org/wiki?curid=1",
        "title": "Paris",
        "text": "Paris est une ville.\nLa ville de Lyon est grande.\nUn point.",
    }
    assert [article["title"] for article in articles] == ["Paris", "AT&T", "Modèle économique", "Fin"]
    assert articles[1]["text"] == "AT&T est <grande> avec ￼."
    left_out = {"redirects": 1, "other_namespaces": 2, "other_models": 0, "disambiguation": 2}
    left_out |= {"empty": 2, "broken": 0}
    dropped = {"heading": 3, "table": 0, "template": 1, "element": 0, "blank": 1}
    assert ledger == {
        "language": "fr",
        "pages": {"read": 11, "kept": 4, **left_out},
        "characters": {"wikitext": 238, "text": sum(len(article["text"]) for article in articles)},
        "lines": {
            "prose": {"read": 5, "kept": 5, "dropped": {"nothing_left": 0}},
            "list": {"read": 1, "kept": 1, "dropped": {"nothing_left": 0, "source": 0, "end_matter": 0}},
            "link": {"read": 0, "kept": 0, "dropped": {"nothing_left": 0}},
            **{kind: {"read": lines, "kept": 0, "dropped": {kind: lines}} for kind, lines in dropped.items()},
        },
        "text_lines": {"prose": 5, "list": 1, "link": 0, "made": 0},
        "templates": {"written": 0, "shown": 0, "learnt": 0, "silent": 0, "dropped": 1, "names": {"inconnu": 1}},
        "end_matter": {"sections": 0, "lines": 0, "headings": {}},
        "lost": {
            **{"templates": 0, "names": {}, "examples": {}},
            **{"links": 0, "link_names": {}, "link_examples": {}},
        },
        "broken": [],
    }


def test_pages_that_are_no_wikitext_are_counted_and_left_out(tmp_path):
    path = write_dump(tmp_path / "fr.xml", [(1, 0, "A", "Un mot."), (2, 0, "B", "a { b: c }"), (3, 0, "C", "Fin.")])
    text, models = path.read_text(encoding="utf-8"), iter(("wikitext", "css", "Scribunto"))
    path.write_text(re.sub("(?=<text)", lambda _: f"<model>{next(models)}</model>", text), encoding="utf-8")
    ledger = extract(path, tmp_path / "out")
    assert [article["title"] for article in read(tmp_path / "out")] == ["A"]
    assert (ledger["pages"]["other_models"], ledger["pages"]["kept"]) == (2, 1)


@pytest.mark.parametrize(
    ("wikitext", "lines"),
    [
        ("<ul><li>Un chat.</li><li>Deux chiens.</li></ul>", ["Un chat.", "Deux chiens."]),
        ("Avant <ol><li>un</li> <li>deux</li></ol> et la fin.", ["Avant", "un", "deux", "et la fin."]),
        ("<dl><dt>Mot</dt><dd>Son sens.</dd></dl>", ["Mot", "Son sens."]),
        ("<div>Un chat.</div><div class='a'>Deux chiens.</div>", ["Un chat.", "Deux chiens."]),
        ("Il dit <blockquote>Non.</blockquote>Puis il part.", ["Il dit", "Non.", "Puis il part."]),
        ("Il <b>dit</b> <blockquote>Non.</blockquote> <i>Puis</i> il part.", ["Il dit", "Non.", "Puis il part."]),
        ("<div><b>Un</b> chat.</div><br><div><i>Deux</i> chiens.</div>", ["Un chat.", "Deux chiens."]),
    ],
)
def test_blocks_within_a_line_are_lines_of_their_own(tmp_path, wikitext, lines):
    ledger = extract(write_dump(tmp_path / "fr.xml", [(1, 0, "A", escape(wikitext))]), tmp_path / "out")
    assert read(tmp_path / "out")[0]["text"].split("\n") == lines
    assert sum(kind["read"] for kind in ledger["lines"].values()) == len(lines)


def test_time_words_are_the_revisions_and_not_todays(tmp_path):
    for templates in (False, True):
        extract(write_dump(tmp_path / "fr.xml"), tmp_path / "out", templates=templates)
        assert read(tmp_path / "out")[2]["text"] == "Un modèle, ou Modèle économique, en 2021."


def test_articles_of_all_byte_ranges_are_those_of_the_whole(tmp_path):
    pages = [(n, 0, f"P{n}", f"* Page {n} de {{{{unité|{n}000|m}}}}.") for n in range(1, 40)]
    path = write_dump(tmp_path / "fr.xml", pages)
    extract(path, tmp_path / "whole", templates=False)
    parts = b""
    for number in range(3):
        extract(path, tmp_path / "part", templates=False, byte_range=number, byte_ranges=3)
        parts += (tmp_path / "part").read_bytes()
    assert parts == (tmp_path / "whole").read_bytes()
    assert read(tmp_path / "whole")[11]["text"] == "Page 12 de 12 000 m."


def test_page_that_breaks_the_extractor_is_left_out_and_named(tmp_path):
    pages = [(n, 0, f"P{n}", f"Page {n}." + "{{Profond}}" * (n in (3, 9))) for n in range(1, 12)]
    pages.append((99, 10, "Modèle:Profond", "{{{" * 3000 + "x" + "}}}" * 3000))
    ledger = extract(write_dump(tmp_path / "fr.xml", pages), tmp_path / "out.jsonl", processes=2)
    assert (ledger["pages"]["kept"], ledger["pages"]["broken"], ledger["broken"]) == (9, 2, ["P3", "P9"])
    assert [a["id"] for a in read(tmp_path / "out.jsonl")] == ["1", "2", "4", "5", "6", "7", "8", "10", "11"]


def test_page_that_is_never_done_is_left_out(tmp_path):
    pages = [(1, 0, "A", "Un."), (2, 0, "B", "{{#expr:9**9**9**9}}"), (3, 0, "C", "Trois.")]
    ledger = extract(write_dump(tmp_path / "fr.xml", pages), tmp_path / "out", templates=False, page_budget=4.0)
    assert ledger["broken"] == ["B"]
    assert [a["text"] for a in read(tmp_path / "out")] == ["Un.", "Trois."]


def test_every_line_is_accounted_for():
    text = (
        "{{Infobox\n|a=b\n}}'''Nom''' est {{nobr|un\nmot}}.<ref>Un\ndeux</ref>\n<!-- x\ny -->\n\n== Titre ==\n* un\n"
        "* [http://a.fr A]\n{|\n| c\n|}\n[[Fichier:A.jpg|x]]\n{{Palette}}\n: {{citation bloc|dit}}\n"
        "== Liens externes ==\n* deux\n=== Vidéos ===\n* trois\n== Suite ==\n* quatre\nFin {{perdu"
    )
    lines = mark_lines(text, "", "fr", frozenset(), templates=None)
    kinds = {"prose": 4, "list": 5, "link": 1, "heading": 4, "table": 3, "template": 3, "element": 3, "blank": 1}
    assert lines.read == kinds
    assert lines.read.total() == text.count("\n") + 1
    assert lines.left_out == {"source": 1, "end_matter": 2}
    assert (lines.templates.written, dict(lines.templates.unknown)) == (2, {"Infobox": 1, "Palette": 1})
    marked = lines.text.replace("\ue001", "P").replace("\ue002", "L").replace("\ue003", "K").split("\n")
    kept = mark_lines(text, "", "fr", frozenset(), templates=None, references=True)
    assert kept.left_out == {}
    assert kept.text.count("\ue002") == kinds["list"]
    prose = [":PNom est un Pmot."]
    assert marked == [*prose, ":Lun", ":K[[Fichier:A.jpg|x]]", "", ":Pdit", ":Lquatre", ":PFin {{perdu"]


FRAGMENTS = [
    *(
        "a",
        "mot ",
        "\n",
        "\n\n",
        "* ",
        "== T ==",
        "{{",
        "}}",
        "{{{1|\n}}}",
        "{{nobr|u\nv}}",
        "{{inconnu|\n}}",
        "{{sfn\n|A}}",
    ),
    *(
        "<small\n>",
        "</small>",
        "<ref>\n</ref>",
        "<ref\nname=a />",
        "<!--\n",
        "-->",
        "<li\n>",
        "<ol><li>",
        "</li></ol>",
        "<div\n>",
        "</div>",
        "<rt\n>",
        "{{\nCURRENTDAY\n}}",
    ),
    *(
        "-{zh-hans:a\n;zh-hant:b}-",
        "-{",
        "}-",
        "[[a:b|c]]",
        "[[",
        "]]",
        "{|\n",
        "|}",
        "|",
        "\u2028",
        "\r\n",
        "\ue001",
        "__TOC__",
    ),
]


def test_any_text_is_accounted_for():
    chance = random.Random(1)
    texts = ["a\n<small\n>b</small>", "x -{zh-hans:a\n;zh-hant:b}- y", "a {{b\n{{c\n|d}}\ne"]
    texts += ["".join(chance.choices(FRAGMENTS, k=chance.randrange(1, 30))) for _ in range(1500)]
    for text in texts:
        lines = mark_lines(text, "2021-03-04T05:06:07Z", "zh", {"a"}, templates=None)
        blocks = choose_variants(drop_elements(line_feeds(without_hidden(text)))).count(BLOCK)
        assert lines.read.total() == 1 + text.replace("\ue001", "").removesuffix("\n").count("\n") + blocks, text
        assert min(lines.read.values()) >= 0, text


french_lines = partial(mark_lines, timestamp="", lang="fr", namespaces={"a"}, templates=None)
LONG_PAGES = {  # by their size in characters
    "braces and spaces": lambda size: "{{" + " " * size + "[",
    "colons in a link": lambda size: "[[" + "a:" * (size // 2) + "[x",
    "links with a prefix": lambda size: "[[a:b|c]] " * (size // 10) + "x",
    "a heading without end": lambda size: "==" + "a" * size,
    "templates in templates": lambda size: "{{nowrap|" * (size // 11) + "}}" * (size // 11),
    "a parameter of spaces": lambda size: "{{a|b" + " " * size + "}}",
    "a number of points": lambda size: "{{convert|" + "1." * size + "}}",
    "bars": lambda size: "{{nowrap|[[a]]" + "|" * size + "}}",
    "references": lambda size: "<ref>" * (size // 5),
    "variants": lambda size: "-{" * size,
    "boxes": lambda size: "a" + "<div> " * (size // 6) + "\n",
    "items": lambda size: "a" + (" " * 20 + "<li>") * (size // 24),
    "apostrophes": lambda size: "'" * size,
    "comments": lambda size: "<!--" * (size // 4),
}
LONG_TEXTS = {
    "commas": lambda size: "(a" + ", " * (size // 2),
    "spaces": lambda size: "_" + " " * size,
    "brackets": lambda size: "(" * size,
    "brackets and commas": lambda size: "( , " * (size // 4),
    "brackets behind a name": lambda size: "x_" + "( " * (size // 2),
}
LONG_DEFINITIONS = {
    "items": lambda size: "*" * size + "\n",
    "comments without end": lambda size: "= a" + "=<!--" * (size // 5),
    "comments": lambda size: "=a" + "=<!-- -->" * (size // 9) + "x",
}
LONG = [
    *((name, french_lines, made) for name, made in LONG_PAGES.items()),
    *((name, lambda page: is_disambiguation(page, page), made) for name, made in LONG_PAGES.items()),
    *((name, clean, made) for name, made in LONG_TEXTS.items()),
    *((name, lambda text: prepare(text, ""), made) for name, made in LONG_DEFINITIONS.items()),
]


@pytest.mark.parametrize(("function", "made"), [case[1:] for case in LONG], ids=[case[0] for case in LONG])
def test_time_is_linear_in_what_patterns_read(function, made):
    """A page of 200 kB that makes a pattern try all pairs of places would take hours."""
    assert growth(lambda size: partial(function, made(size)), 50_000) < 2.5


def test_templates_that_nobody_can_expand_are_counted(tmp_path):
    text = "Il pese {{monpoids|a=5}} kilos et {{inconnu|G}} grammes, {{USA}} {{GER|X}} {{#time:Y}} {{ {{!}} }}"
    path = write_dump(tmp_path / "fr.xml", [(1, 0, "A", text + "{{DEFAULTSORT:A}}")])
    names = {"#time:": 1, "GER": 1, "USA": 1, "inconnu": 1, "monpoids": 1, "{{…}}": 1}
    for templates in (True, False):
        ledger = extract(path, tmp_path / "out", templates=templates)
        assert ledger["templates"] == {"written": 0, "shown": 0, "learnt": 0, "silent": 1, "dropped": 6, "names": names}


def test_defined_templates_are_found_under_all_their_names(tmp_path):
    text = (
        "{{poids de|1}} {{Poids_de|2}} {{Modèle: poids  de|3}} {{template:Ancien|4}} {{P &quot;q&quot;|5}} "
        "{{#If :x|{{uc:y}}}} {{nobr|6}} {{double|7}} {{perdu|8}} {{a-b:c|9}} "
        "{{ancien&lt;!-- x --&gt;\n|{{Frac}}0&lt;!-- y --&gt;}}"
    )
    pages = [
        (1, 0, "A", text),
        (2, 10, "Modèle:Poids de", "p{{{1}}}"),
        (3, 10, "Modèle:Ancien", "#REDIRECT [[Template:poids_de]]"),
        (4, 10, "Modèle:P &quot;q&quot;", "q{{{1}}}"),
        (5, 10, "Modèle:Double", "#redirect [[modèle:Ancien]]"),
        (6, 10, "Modèle:Perdu", "#REDIRECT [[Paris]]"),
        (7, 10, "Modèle:A-b:c", "d"),
        (8, 10, "Modèle:Nobr", "la table passe avant {{{1}}}"),
    ]
    ledger = extract(write_dump(tmp_path / "fr.xml", pages), tmp_path / "out")
    assert read(tmp_path / "out")[0]["text"] == "p1 p2 p3 p4 q5 Y 6 p0"
    names = {"Frac": 1, "a-b:c": 1, "double": 1, "perdu": 1}
    assert ledger["templates"] == {"written": 1, "shown": 0, "learnt": 0, "silent": 0, "dropped": 4, "names": names}


def test_page_that_fails_here_is_left_out_and_named(tmp_path, monkeypatch, caplog):
    def failing(text: str, timestamp: str) -> str:
        return str(int(text)) if text.isdecimal() else text

    monkeypatch.setattr(lines_module, "present_time", failing)
    digits = "9" * 4400
    pages = [(1, 0, "A", "Un."), (2, 0, "B", digits), (3, 0, "C", f"{{{{formatnum:{digits}}}}}")]
    ledger = extract(write_dump(tmp_path / "fr.xml", pages), tmp_path / "out", templates=False)
    assert (ledger["pages"]["kept"], ledger["pages"]["broken"], ledger["broken"]) == (2, 1, ["B"])
    assert [a["text"] for a in read(tmp_path / "out")] == ["Un.", digits]
    assert "dropped page 'B'" in caplog.text
    assert "ValueError: Exceeds the limit" in caplog.text


def test_published_fault_words_lost_within_sentences(tmp_path):
    text = (
        "Vu dans [[2001: l'Odyssée]] et [[Kill Bill: Volume 1|''Kill Bill'']].\nIl fait {{unité|3797|m}} "
        "&lt;small&gt;(environ)&lt;/small&gt; selon &lt;code&gt;x&lt;/code&gt;.\n(Entre parenthèses.)\n"
        "L'''Iliade'' &lt;math&gt;x&lt;/math&gt; [[:en:Cat|chat]] [[en:Cat]].\n"
        "[[Catégorie:A|B]]\n* Un {{inconnu|x}} mot"
    )
    extract(write_dump(tmp_path / "fr.xml", [(1, 0, "A", text)]), tmp_path / "out", templates=False)
    assert read(tmp_path / "out")[0]["text"].split("\n") == [
        "Vu dans 2001: l'Odyssée et Kill Bill.",
        "Il fait 3797 m (environ) selon x.",
        "(Entre parenthèses.)",
        "L'Iliade \ufffc chat.",
        "Un x mot",
    ]


@pytest.mark.parametrize(
    ("lang", "template", "said"),
    [
        ("en", "convert|111866|km|mi|abbr=on", "111,866 km"),
        ("en", "convert|10|to|20|km2|sqmi", "10 to 20 km²"),
        ("en", "Convert|5|ft|10|in|m", "5 ft 10 in"),
        ("de", "convert|1234.5|m", "1234,5 m"),
        ("vi", "cvt|20950|km2", "20.950 km²"),
        ("en", "val|6.241|e=-18|u=m", "6.241×10⁻¹⁸ m"),
        ("en", "frac|1|2|3", "1 2/3"),
        ("en", "frac", None),
        ("en", "frac||2", None),
        ("en", "frac|1|2|3|4", None),
        ("en", "ps|1|2", None),
        ("vi", "ps|1|2", "1/2"),
        ("vi", "ps", None),
        ("en", "height|ft=6|in=1", "6 ft 1 in"),
        ("de", "height|m=1.85", "1,85 m"),
        ("en", "formatnum:" + "9" * 4400, "9" * 4400),
        ("en", "nowrap|" + "1" * 4400 + "=a", None),
        ("en", "convert|" + "1" * 4400 + "|km", "1" * 4400 + " km"),
        ("en", "As of|2019|10", "As of October 2019"),
        ("vi", "Tính đến|2019", "Tính đến 2019"),
        ("en", "IPAc-en|lang|ˈ|æ|,_|n|en.ogg", "/ˈæ, n/"),
        ("en", "nihongo|Ranma|らんま|Ranma", "Ranma (らんま, Ranma)"),
        ("en", "nowrap|1=a=b", "a=b"),
        ("en", "lang|de|[[Wort|W]]", "[[Wort|W]]"),
        ("en", "lang-de|link=no|Evangelisch", "Evangelisch"),
        ("en", "transl|ar|ISO|Isa", "Isa"),
        ("en", "Template:Sfn|A|2011", ""),
        ("en", "cite web|url=x", ""),
        ("en", "Infobox person|name=x", None),
        ("fr", "formatnum:44694", "44\u00a0694"),
        ("fr", "unité|5|km||s|-1", "5 km s⁻¹"),
        ("fr", "date|29|9|2019", "29 septembre 2019"),
        ("fr", "s-|XXI", "XXIe siècle"),
        ("fr", "XXe siècle", "XXe siècle"),
        ("fr", "e", "e"),
        ("fr", "exp|5", "⁵"),
        ("fr", "n°|5", "n° 5"),
        ("en", "inr", "₹"),
        ("en", "sqrt|2", "√2"),
        ("fa", "zwnj", "\u200c"),
        ("fr", "84e|Congrès", "84e Congrès"),
        ("en", "84e|Congrès", None),
        ("fr", "ville|Lyon", None),
        ("fr", "de", ""),
        ("fr", "abc", None),
        ("fr", "euro|77.80", "77,80 €"),
        ("de", '"|Es liegt', "„Es liegt“"),
        ("ar", "ألمانية|Spree", "(بالألمانية: Spree)"),
        ("zh", "link-de|边境总督|Markgraf", "边境总督"),
    ],
)
def test_well_known_templates(lang, template, said):
    assert write_out(template, lang) == said


def test_variants_quotes_and_links():
    assert (
        choose_variants("发-{zh-hant:升;zh-hans:上;}-若-{云}-雪-{H|zh:a}-朝-{}-鲜-{zh-tw:透;zh-hk:過}-")
        == "发上若云雪朝鲜透"
    )
    assert drop_quotes("d'''Ampère'' '''''b''''' ''c'' don't L''''x''''") == "d'Ampère b c don't L'x'"
    text = "x [[A: b]] [[de:b]] [[a:b|c]] [[:a:b]] [[ملف: x.jpg|c]] [[User:x|c]]\n[[Kat:x|y]] "
    assert show_links(text, {"user"}) == "x A: b [[de:b]] c a:b [[ملف: x.jpg|c]] [[User:x|c]]\n[[Kat:x|y]] "


def test_published_fault_pages_dropped_without_template_namespace(tmp_path):
    head = '<mediawiki><siteinfo><namespaces><namespace key="0" /></namespaces></siteinfo>\n'
    dumps = [write_dump(tmp_path / "a.xml", PAGES[:1], head), write_dump(tmp_path / "b.xml", PAGES[10:], "<mediawiki>")]
    assert extract_articles(dumps, tmp_path / "out", lang="zh_yue")["pages"]["kept"] == 2
    assert read(tmp_path / "out")[1]["url"] == "https://zh-yue.wikipedia.org/wiki?curid=11"


def test_published_fault_pages_on_one_line_dropped(tmp_path):
    path = write_dump(tmp_path / "a.xml", [PAGES[0], PAGES[10]], one_line=True)
    assert extract_articles([path], tmp_path / "out", lang="fr")["pages"]["kept"] == 2


def test_published_fault_neighbours_with_one_id_dropped(tmp_path):
    dumps = [write_dump(tmp_path / name, [(7, 0, name, f"Texte de {name}.")]) for name in ("a.xml", "b.xml", "c.xml")]
    ledger = extract_articles(dumps, tmp_path / "out", lang="fr")
    assert ledger["pages"]["kept"] == 3
    assert [a["text"] for a in read(tmp_path / "out")] == ["Texte de a.xml.", "Texte de b.xml.", "Texte de c.xml."]


def test_redirected_template_is_expanded(tmp_path):
    pages = [
        (1, 0, "A", "{{alias|Nice}}."),
        (2, 10, "Modèle:Alias", "#REDIRECTION [[Modèle:Ville]]"),
        (3, 10, "Modèle:Ville", "La ville de {{{1}}}"),
    ]
    extract(write_dump(tmp_path / "a.xml", pages), tmp_path / "out.jsonl")
    assert read(tmp_path / "out.jsonl")[0]["text"] == "La ville de Nice."


def test_output_does_not_depend_on_processes(tmp_path):
    pages = [(n, 0, f"P{n}", f"Page {n}. " * (1 + n * 7919 % 97)) for n in range(1, 90)]
    path = write_dump(tmp_path / "fr.xml.bz2", pages)
    for processes in (1, 3):
        extract_articles([path], tmp_path / str(processes), lang="fr", processes=processes)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "3").read_bytes()
    assert [a["id"] for a in read(tmp_path / "1")] == [str(n) for n in range(1, 90)]


def test_broken_dumps_say_where(tmp_path):
    before = threading.active_count()
    whole = write_dump(tmp_path / "whole.xml.bz2", PAGES * 40).read_bytes()
    cases = {
        "cut.xml.bz2": (whole[:-20], rf"cut\.xml\.bz2: bad bzip2 data at byte {len(whole) - 20:,}: "),
        "page.xml.bz2": (b"<html>not found</html>", r"page\.xml\.bz2: bad bzip2 data in the stream at byte 0, before"),
        "cut.xml": (HEAD.encode() + b"<page>\n<title>A", r"cut\.xml: cut short within the page"),
        "page.xml": (b"<html><p/></html>", r"page\.xml: the root is <html>; expected <mediawiki>"),
        "dtd.xml": (b'<!DOCTYPE m [<!ENTITY a "b">]><mediawiki/>', r"dtd\.xml: a document type definition"),
        "id.xml": (write_dump(tmp_path / "x", [("x", 0, "A", "B")]).read_bytes(), r"id\.xml: page 'A' has id 'x'"),
    }
    for name, (data, message) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(PolyticketError, match=message):
            extract_articles([tmp_path / name], tmp_path / "out.jsonl", lang="fr")
    with pytest.raises(PolyticketError, match=r"none\.xml: no such file"):
        extract_articles([tmp_path / "none.xml"], tmp_path / "out.jsonl", lang="fr")
    with pytest.raises(PolyticketError, match="no dump for language fr"):
        extract_articles([], tmp_path / "out.jsonl", lang="fr")
    assert not (tmp_path / "out.jsonl").exists()
    assert threading.active_count() <= before


def test_failing_extractor_is_one_error(tmp_path):
    (tmp_path / "templates.xml").write_bytes(b"\xff\xfe not utf-8")
    with (
        Extractor(tmp_path / "templates.xml", 1) as extractor,
        pytest.raises(PolyticketError, match="wikiextractor: UnicodeDecodeError"),
    ):
        list(extractor.extract("<mediawiki>\n<siteinfo>\n</siteinfo>\n", ["<page>\n</page>\n"] * 100_000))


MEMORY = re.compile(r"/dev/shm/psm_\w+")


def memory_of(process: int) -> set[str]:
    """The shared memory that a process maps."""
    return set(MEMORY.findall(Path(f"/proc/{process}/maps").read_text(encoding="utf-8")))


def living(group: int) -> list[str]:
    """The processes of a group, but for those that ended and nobody asked after."""
    stats = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            stats.append(stat.read_text(encoding="utf-8"))
    fields = [stat.rpartition(")")[2].split() for stat in stats]
    return [stat for stat, (state, _, its, *_) in zip(stats, fields, strict=True) if int(its) == group and state != "Z"]


def test_failed_extraction_leaves_no_shared_memory(tmp_path):
    pages = [(10, 10, "Modèle:Profond", "{{{" * 3000 + "x" + "}}}" * 3000)]
    collect_templates([write_dump(tmp_path / "fr.xml", pages)], tmp_path / "t.xml", lang="fr")
    head = '<mediawiki>\n<siteinfo>\n<namespace key="10">Modèle</namespace>\n</siteinfo>\n'
    seen: set[str] = set()

    def texts(extractor: Extractor) -> Iterator[str]:
        yield layout(1, 0, "A", "Un." * 10_000)  # more than is held back for the pipe
        while len(memory_of(extractor._process.pid)) < 3:  # one after the other
            time.sleep(0.02)
        seen.update(memory_of(extractor._process.pid))
        yield layout(2, 0, "B", "{{Profond}}")

    with Extractor(tmp_path / "t.xml", 2) as extractor, pytest.raises(PolyticketError, match="RecursionError"):
        list(extractor.extract(head, texts(extractor)))
    assert len(seen) >= 3
    assert [path for path in seen if Path(path).exists()] == []
    ends = time.monotonic() + 20  # what was told to end may take a moment on a busy machine
    while living(extractor._process.pid) and time.monotonic() < ends:
        time.sleep(0.1)
    assert living(extractor._process.pid) == []


ENDED = """
import signal, sys, time
from polyticket.corpus.extractor import Extractor, Sent, texts_of
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
def pages():
    yield "<page>\\n</page>\\n" * 10_000
    time.sleep(600)
with Extractor(sys.argv[1], 2) as extractor:
    print(extractor._process.pid, flush=True)
    list(extractor.extract("<mediawiki>\\n<siteinfo>\\n</siteinfo>\\n", pages()))
"""


def test_extractor_ends_with_a_process_that_is_told_to_end(tmp_path):
    collect_templates([write_dump(tmp_path / "fr.xml")], tmp_path / "t.xml", lang="fr")
    command = [sys.executable, "-c", ENDED, str(tmp_path / "t.xml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        group = int(process.stdout.readline())
        while len(living(group)) < 4 or not (memory := memory_of(group)):
            time.sleep(0.05)
        process.terminate()
        assert process.wait(60) == 3
    assert living(group) == []
    assert [path for path in memory if Path(path).exists()] == []


WAITING = ENDED.replace("sys.exit(3)", "None")


def test_extractor_ends_with_a_process_that_is_killed(tmp_path):
    collect_templates([write_dump(tmp_path / "fr.xml")], tmp_path / "t.xml", lang="fr")
    command = [sys.executable, "-c", WAITING, str(tmp_path / "t.xml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        group = int(process.stdout.readline())
        while len(living(group)) < 4 or not (memory := memory_of(group)):
            time.sleep(0.05)
        process.kill()
    ends = time.monotonic() + 30
    while living(group) and time.monotonic() < ends:
        time.sleep(0.1)
    assert living(group) == []
    assert [path for path in memory if Path(path).exists()] == []


def test_a_killed_process_of_the_extractor_is_seen_at_once_and_no_page_is_lost(tmp_path, caplog):
    collect_templates([write_dump(tmp_path / "fr.xml")], tmp_path / "t.xml", lang="fr")
    started: list[Extractor] = []
    killed = threading.Event()

    class Watched(Extractor):
        def __init__(self, *arguments, **options) -> None:
            super().__init__(*arguments, **options)
            started.append(self)

    def pages() -> Iterator[Sent[None]]:
        for number in range(1, 41):
            if number == 40:  # the others are with the extractor, or done
                group = started[0]._process.pid
                while len(children_of(group)) < 4:  # tracker, reducer, two workers
                    time.sleep(0.02)
                os.kill(max(children_of(group)), signal.SIGKILL)
                killed.set()
                deadline = time.monotonic() + 60
                while not started[0].killed and time.monotonic() < deadline:  # a worker that is left might be faster
                    time.sleep(0.02)
            text = f"Texte {number}." + " Un." * (20_000 if number == 1 else 1)  # the first is more than a pipe holds
            yield Sent(number, f"Page {number}", text + "\n", None, seconds=600.0)

    began = time.monotonic()
    with pytest.MonkeyPatch.context() as patch, caplog.at_level("WARNING"):
        patch.setattr(extractor_module, "Extractor", Watched)
        head = '<mediawiki>\n<siteinfo>\n<namespace key="10">Modèle</namespace>\n</siteinfo>\n'
        found = list(texts_of(pages(), head, tmp_path / "t.xml", 2))
    assert killed.is_set()
    assert [text.split(".")[0] for _, text in found] == [f"Texte {number}" for number in range(1, 41)]
    assert time.monotonic() - began < 300  # half of the patience
    assert [line for line in caplog.messages if "one of its processes was killed; one process reads the" in line]


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
        ("Mercure", "{{Modèle:Homonymie}}", True),
        ("Sao Hỏa", "{{Bản mẫu:Định hướng}}", True),
        ("Mercurius", "{{dp}}", True),
        ("Peker", "A name. {{DEFAULTSORT:Peker}}", False),
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
    assert clean("A ( ; , ) b（）c formula_12, d (( )).\n\n \n质量formula_1是 (e)") == "A bc ￼, d.\n质量￼是 (e)"
    assert clean("A (; né en 1960 ; ) [[b|c]] d]] e<br /> f {{{1|}}}g") == "A (né en 1960) c d e f g"


@pytest.mark.skipif(not DATA, reason="POLYTICKET_DATA is unset")
def test_real_dumps(tmp_path):
    dumps = sorted(Path(DATA or "", "wiki", "ur").glob("*.bz2"))
    ledger = extract_articles(dumps, tmp_path / "ur.jsonl", lang="ur", processes=2)
    lines = ledger["lines"]
    assert (ledger["pages"]["read"], ledger["pages"]["kept"], lines["heading"]["read"]) == (1309, 1309, 43)
    assert lines["list"] == {"read": 76, "kept": 66, "dropped": {"nothing_left": 0, "source": 2, "end_matter": 8}}
