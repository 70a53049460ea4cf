"""End matter is learnt from where headings stand and what stands below them, in a language that nobody knows."""

import json
import os
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from polyticket.corpus import lines
from polyticket.corpus.end_matter import (
    END_MATTER,
    EndMatter,
    Sections,
    count_sections,
    heading_name,
    learn_end_matter,
    write_sections,
)
from polyticket.corpus.extract import extract_articles
from polyticket.corpus.lines import mark_lines
from polyticket.corpus.templates import collect_templates
from tests.support.wiki_text import HEAD, extracted

DATA = os.environ.get("POLYTICKET_DATA")
PROSE = "Onu kelari menuta doli veran, kolu mena tirasi. Vela onu tari kumela dosi menari lokatu, ne vari."
BOOK = "* Tari Velo, ''Kumela onu'', Dosi {}, ISBN 0-306-40615-2"
LINK = "* [http://tari.example/{} Kumela]"
CITED = "* {{{{Kuro\n|noma=Tari\n|jaro={}\n|sita=http://a.example\n}}}}"
NOTES = "{{{{Notari}}}}"


def article(number: int, *sections: tuple[str, str]) -> str:
    """An article with a note, and sections by heading after its prose."""
    text = "".join(f"\n\n== {name} ==\n{body.format(number)}" for name, body in sections)
    return f"{PROSE}<ref>Tari http://b.example</ref>\n\n== Tirasi ==\n{PROSE}{text}\n[[Category:Tari]]\n"


def learnt(folder: Path, articles: list[str], parts: int = 1) -> dict[str, Sections]:
    """What articles teach, counted in parts."""
    paths = [folder / f"{part}.sections" for part in range(parts)]
    for part, path in enumerate(paths):
        found: dict[str, Sections] = {}
        for text in articles[part::parts]:
            count_sections(text, found)
        write_sections(found, path)
    return learn_end_matter(paths)


def test_headings_that_close_articles_and_cite_are_learnt(tmp_path):
    articles = [
        article(n, ("Libera", BOOK), ("Notaji", NOTES), ("KUROJI", CITED), ("Ligiloj:", LINK)) for n in range(4)
    ]
    articles += [article(9, ("Notaji", "<references />"), ("Ligiloj", LINK + "\n" + PROSE[:50]))]
    articles += [article(8, ("Libera", "* Tari Velo, ''Kumela onu'', Dosi 1990"))]
    found = {"ligiloj": Sections(5, 5, 5), "notaji": Sections(5, 5, 5), "kuroji": Sections(4, 4, 4)}
    found["libera"] = Sections(5, 5, 4)
    for parts in (1, 2, 5):
        assert learnt(tmp_path, articles, parts) == found
    assert list(learnt(tmp_path, articles)) == ["ligiloj", "notaji", "kuroji", "libera"]
    # Seen to cite three times, not always; those that always do need two.
    assert set(learnt(tmp_path, articles[1:])) == {"ligiloj", "notaji", "kuroji"}
    assert set(learnt(tmp_path, articles[3:])) == {"ligiloj", "notaji"}


@pytest.mark.parametrize(
    "body",
    [
        PROSE + "<ref>http://a.example ISBN 0-306-40615-2</ref>",
        PROSE + "\n" + LINK,
        "* ''Kumela'' (1990)\n* ''Tari'' (1991)",
        "* Dosi<ref>http://a.example</ref>\n* Vela<ref>{{Kuro|url=http://b.example}}</ref>",
        "* {{Flago|TA}} [[Tari]] 12\n* {{Flago|KU}} [[Kumela]] 9",
        "[[File:Tari.jpg|thumb|Kumela]]",
        "{|\n| http://a.example\n|}",
    ],
)
def test_prose_and_lists_that_do_not_cite_are_not_learnt(tmp_path, body):
    articles = [article(n, ("Kumela", body.replace("{", "{{").replace("}", "}}")), ("Notaji", NOTES)) for n in range(9)]
    assert list(learnt(tmp_path, articles)) == ["notaji"]


SEE = "* [[Tari]]\n* [[Kumela|Vela]], [[Dosi]]\n* ''[[Onu {}]]''"


def test_headings_of_bare_links_are_learnt_beside_sections_that_cite(tmp_path):
    articles = [article(n, ("Vidu", SEE), ("Ligiloj", LINK)) for n in range(4)]
    assert learnt(tmp_path, articles) == {"ligiloj": Sections(4, 4, 4), "vidu": Sections(4, 4, 0, 4)}
    assert list(learnt(tmp_path, articles[1:])) == ["ligiloj"]
    alone = [article(n, ("Vidu", SEE)) for n in range(9)]
    assert list(learnt(tmp_path, articles + alone[:4])) == ["ligiloj", "vidu"]
    assert list(learnt(tmp_path, articles + alone[:5])) == ["ligiloj"]
    above = [article(9, ("Vidu", SEE), ("Dosi", PROSE))]
    assert list(learnt(tmp_path, articles + above)) == ["ligiloj"]
    rare = [article(n, ("Ligiloj", LINK)) for n in range(200)]
    assert list(learnt(tmp_path, articles + rare)) == ["ligiloj"]


@pytest.mark.parametrize("item", ["[[Tari]] 12", "[[Tari]] (Dosi)", "Dosi", "[[Tari]] – kumela", "''Vela''"])
def test_headings_of_items_with_words_beside_links_are_not_learnt(tmp_path, item):
    body = "\n".join([f"* {item}", f"* {item}", "* [[Kumela]]", "* [[Dosi]]"])
    assert list(learnt(tmp_path, [article(n, ("Vidu", body), ("Ligiloj", LINK)) for n in range(9)])) == ["ligiloj"]


def test_of_bare_links_alone_those_items_are_left_out():
    text = (
        "== Vidu ==\n* [[Tari]]\n* {{x}} [[Vela]], ''[[Dosi]]''\n* [[Tari]] kumela onu.\n* Onu\n" + PROSE + "\n"
        "=== Sub ===\n# [[Onu]]\n== Alia ==\n* [[Tari]]\n"
    )
    marked = mark_lines(text, "", "xx", (), templates=None, end_matter=EndMatter(links={"vidu"}))
    assert (marked.left_out, marked.end_matter) == ({"end_matter": 3}, {"vidu": 1})
    assert marked.text.count("\n") + 1 == 4
    known = mark_lines(text.replace("Vidu", "See also"), "", "xx", (), templates=None)
    assert known.left_out == {"end_matter": 5}


def test_a_heading_above_prose_in_a_quarter_of_its_sections_is_not_learnt(tmp_path):
    closing = [article(n, ("Kumela", BOOK)) for n in range(9)]
    within = [article(n, ("Kumela", BOOK), ("Vela", PROSE)) for n in range(4)]
    assert learnt(tmp_path, closing + within[:3]) == {"kumela": Sections(12, 9, 9)}
    assert learnt(tmp_path, closing + within) == {}


def test_items_are_left_out_and_prose_stays_alike_for_any_number_of_processes(tmp_path):
    end = "* Tari Velo, Kumela onu."
    pages = [article(n, ("Kumela", "* [[Tari]] dosi."), ("Libera", BOOK)) for n in range(4)]
    pages.append(article(5, ("Libera", f"{PROSE[:47]}\n{end}\n=== Vela ===\n{end}\n== Tirasi ==\n{end}")))
    xml = "".join(
        f"<page><title>{n}</title><ns>0</ns><id>{n}</id><revision><text>{escape(text)}</text></revision></page>\n"
        for n, text in enumerate(pages, 1)
    )
    dump = tmp_path / "dump.xml"
    dump.write_text(f"{HEAD}{xml}</mediawiki>\n", encoding="utf-8")
    for processes in (1, 2):
        path = tmp_path / f"{processes}.json"
        collect_templates([dump], tmp_path / "templates.xml", lang="xx", processes=processes, end_matter=path)
        assert json.loads(path.read_text()) == {"libera": {"all": 5, "closing": 5, "citing": 4, "links": 0}}
    texts, ledger = extracted(tmp_path, {str(n): text for n, text in enumerate(pages, 1)}, "xx", end_matter=path)
    assert texts["1"] == [PROSE, PROSE, "Tari dosi."]
    assert texts["5"] == [PROSE, PROSE, PROSE[:47], "Tari Velo, Kumela onu."]
    assert ledger["end_matter"] == {"sections": 5, "lines": 6, "headings": {"libera": 5}}
    assert ledger["lines"]["list"]["dropped"] == {"nothing_left": 0, "source": 0, "end_matter": 6}


def test_headings_are_named_alike_where_they_are_learnt_and_used():
    assert heading_name("== '''External  Links''': ==\t") == "external links"
    text = "== ΠΗΓΈΣ ==\n* Ένα\n==Πηγές==\n* δύο"
    assert mark_lines(text, "", "el", (), templates=None, end_matter=EndMatter({"πηγέσ"})).left_out == {"end_matter": 2}


def test_what_nothing_closes_is_counted_in_bounded_time():
    for mark in ("<ref>", "{{", "[[", "{|\n", "== a ==\n* ", "<!--", "{{a|"):
        found: dict[str, Sections] = {}
        count_sections("== Tari ==\n" + mark * 20_000, found)
        assert set(found) <= {"tari", "a"}


@pytest.mark.skipif(not DATA, reason="POLYTICKET_DATA is unset")
@pytest.mark.parametrize(
    ("lang", "known", "left_out"),
    [
        ("hy", {"արտաքին հղումներ", "ծանոթագրություններ", "գրականություն", "տես նաեւ"}, 1057),
        ("it", {"note", "collegamenti esterni", "bibliografia", "altri progetti", "voci correlate"}, 3673),
        ("bn", {"তথ্যসূত্র", "বহিঃসংযোগ", "আরও পড়ুন", "আরও দেখুন"}, 1199),
        ("vi", {"liên kết ngoài", "tham khảo", "chú thích", "đọc thêm", "xem thêm"}, 2823),
    ],
)
def test_real_dumps_teach_their_end_matter_without_a_list(tmp_path, monkeypatch, lang, known, left_out):
    monkeypatch.setattr(lines, "END_MATTER", frozenset())
    dumps = sorted(Path(DATA or "", "wiki", lang).glob("*.bz2"))
    path = tmp_path / "end_matter.json"
    collect_templates(dumps, tmp_path / "templates.xml", lang=lang, processes=2, end_matter=path)
    found = json.loads(path.read_text(encoding="utf-8"))
    assert set(found) >= known
    ledger = extract_articles(dumps, tmp_path / "a.jsonl", lang=lang, end_matter=path, processes=2)
    assert ledger["end_matter"]["lines"] == left_out
    assert lang == "hy" or len(set(found) & END_MATTER) >= 2
