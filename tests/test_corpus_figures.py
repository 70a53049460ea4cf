"""The figures and the table of the corpus: exact counts, readable for four languages and for all."""

import re

import pytest

from polyticket.core.errors import PolyticketError
from polyticket.core.languages import CODES, LANGUAGES
from polyticket.core.processes import set_for_jobs
from polyticket.figures.corpus import corpora_of, plot_corpora
from polyticket.figures.ledger import (
    counts_of,
    ledger_table,
    line_fates,
    page_fates,
    plot_ledgers,
    read_ledgers,
    residual_markup_rates,
    shares,
    stacked,
    write_ledger_page,
    write_ledgers,
)
from polyticket.figures.rows import label_of
from tests.support.figures import ledger, texts_of


def stats(language: str, instances: int) -> dict:
    return {"language": language, "instances": instances, "sentences": 3 * instances, "tokens": 90 * instances}


def corpora(languages: list[str]):
    found = [stats(language, 100_000_000 // 3**row + 1) for row, language in enumerate(languages)]
    return corpora_of(languages, found, [ledger(language) for language in languages], {"sampling_exponent": 0.5})


def test_all_numbers_of_a_ledger_are_found_but_those_by_name():
    counts = counts_of(ledger("sw"))
    assert list(counts)[:5] == ["pages.read", "pages.kept", "pages.redirects", "pages.broken", "characters.wikitext"]
    assert counts["lines.list.dropped.source"] == 5
    assert counts["residual_markup.kinds.tag"] == 4
    assert not [
        key for key in counts if any(word in key for word in ("Infobox", "Sources", "Age", "examples", "splitter"))
    ]
    assert (counts["end_matter.sections"], counts["lost.templates"], counts["lost.formulas"]) == (3, 4, 1)


def test_languages_have_the_same_columns_whatever_their_ledgers_name():
    more = ledger("ur")
    more["lines"]["prose"]["dropped"]["too_odd"] = 4
    table = ledger_table(["sw", "ur"], [ledger("sw"), more])
    assert list(table["sw"]) == list(table["ur"])
    assert [table[code]["lines.prose.dropped.too_odd"] for code in table] == [0, 4]
    keys = list(table["sw"])
    assert keys.index("lines.prose.dropped.too_odd") == keys.index("lines.prose.dropped.nothing_left") + 1


def test_a_ledger_of_another_language_is_refused():
    with pytest.raises(PolyticketError, match=r"^corpus: ledger of ur; expected that of sw"):
        ledger_table(["sw"], [ledger("ur")])


def test_the_table_is_written_and_read_back(tmp_path):
    table = ledger_table(["sw", "ur"], [ledger("sw"), ledger("ur", 3)])
    write_ledgers(table, tmp_path / "ledger.csv", {"sw": ["much, of the others 3", "few"]})
    head, sw, ur = (tmp_path / "ledger.csv").read_text(encoding="utf-8").splitlines()
    assert head.startswith("language,pages.read,pages.kept,pages.redirects,pages.broken,characters.wikitext")
    assert sw.startswith("sw,100,60,30,10,5000000")
    assert (head.rpartition(",")[2], sw.partition('"')[2], ur[-1]) == ("warnings", 'much, of the others 3; few"', ",")
    assert read_ledgers(tmp_path / "ledger.csv") == table
    table["ur"]["sentences.one_word_share"] = table["sw"]["sentences.one_word_share"] = 1e-06
    write_ledgers(table, tmp_path / "ledger.csv")
    assert read_ledgers(tmp_path / "ledger.csv") == table


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a,b\n1,2\n", "l.csv: no column language"),
        ("language,pages.read\nsw,x\n", "l.csv: not a table of ledgers; expected language and numbers"),
        ("language,pages.read\nsw\n", "l.csv:2: 1 columns; expected 2"),
    ],
)
def test_another_table_is_refused(tmp_path, text, line):
    (tmp_path / "l.csv").write_text(text, encoding="utf-8")
    with pytest.raises(PolyticketError, match=line):
        read_ledgers(tmp_path / "l.csv")


def test_the_page_has_a_heading_for_each_part_and_a_row_per_language(tmp_path):
    write_ledger_page(
        ledger_table(["sw", "xx-<b>"], [ledger("sw"), ledger("xx-<b>", 3)]),
        tmp_path / "l.html",
        {"xx-<b>": ["1 < 2", "b"]},
    )
    parts, names, sw, other = re.findall(r"<tr>(.*)</tr>", (tmp_path / "l.html").read_text(encoding="utf-8"))
    assert '<th class="part first" colspan="4">pages</th>' in parts
    assert '<th class="part first" colspan="2">lines: list: dropped</th>' in parts
    assert '<th class="first">read</th><th>kept</th><th>redirects</th>' in names
    assert sw.startswith('<th>sw Swahili</th><td class="warnings"></td><td class="first">100</td><td>60</td>')
    assert '<td class="none">0</td>' in sw
    assert other.startswith('<th>xx-&lt;b&gt;</th><td class="warnings">1 &lt; 2<br>b</td><td class="first">300</td>')
    assert sum(int(span) for span in re.findall(r'colspan="(\d+)"', parts)) == names.count("<th") == sw.count("<td") - 1


def test_fates_are_shares_of_all_pages_and_lines():
    counts = counts_of(ledger("sw", 7))
    assert page_fates(counts) == {"kept": 420, "redirects": 210, "broken": 70}
    assert line_fates(counts) == {"kept": 45, "nothing_left": 30, "source": 5, "table": 20}
    assert shares(page_fates(counts)) == {"kept": 0.6, "redirects": 0.3, "broken": 0.1}
    assert shares({"kept": 0}) == {"kept": 0.0}


def test_markup_left_is_counted_per_million_characters_of_sentences():
    assert residual_markup_rates(counts_of(ledger("sw"))) == {"tag": 2.0, "quotes": 1.0}
    empty = ledger("sw") | {"characters": {"sentences": 0}, "residual_markup": {"kinds": {"tag": 0}}}
    assert residual_markup_rates(counts_of(empty)) == {"tag": 0.0}


def test_the_largest_names_are_stacked_and_the_rest_is_others():
    rows = [{"kept": 1.0, "a": 2.0, "b": 5.0, "never": 0.0}, {"kept": 1.0, "c": 3.0, "b": 0.5, "d": 0.25}]
    assert stacked(rows, shown=3) == {"kept": [1, 1], "b": [5, 0.5], "c": [0, 3], "others": [2, 0.25]}
    assert stacked(rows, shown=4) == {"kept": [1, 1], "b": [5, 0.5], "c": [0, 3], "a": [2, 0], "d": [0, 0.25]}
    assert stacked([{"a": 0.0}]) == {}


def test_the_ledger_is_drawn_with_every_fate_named(tmp_path):
    plot_ledgers(ledger_table(["sw", "ur"], [ledger("sw"), ledger("ur", 3)]), tmp_path / "l.svg")
    found = texts_of(tmp_path / "l.svg")
    assert {"Swahili  sw", "Urdu  ur", "Pages", "Lines of articles", "Residual markup in sentences"} <= set(found)
    assert {"kept", "redirects", "broken", "nothing left", "source", "table", "tag", "quotes"} <= set(found)
    assert [found.count(words) for words in ("kept", "others", "3", "1")] == [2, 0, 1, 1]


def test_a_ledger_without_markup_or_pages_can_be_drawn(tmp_path):
    bare = {
        "language": "sw",
        "pages": {"read": 0, "kept": 0},
        "lines": {},
        "characters": {"sentences": 0},
        "residual_markup": {},
    }
    plot_ledgers(ledger_table(["sw"], [bare]), tmp_path / "l.svg")
    assert "Swahili  sw" in texts_of(tmp_path / "l.svg")


def test_corpora_are_sorted_by_size_and_know_share_and_ratio():
    languages = ["sw", "fr", "en"]
    found = [stats("sw", 100), stats("fr", 400), stats("en", 2500)]
    made = corpora_of(languages, found, [ledger(code) for code in languages], {"sampling_exponent": 0.5})
    assert [corpus.language for corpus in made] == ["en", "fr", "sw"]
    assert [corpus.share for corpus in made] == pytest.approx([2500 / 3000, 400 / 3000, 100 / 3000])
    assert [corpus.ratio for corpus in made] == pytest.approx([50 / 80, 20 / 80, 10 / 80])
    assert made[2].sizes == {"characters": 2_000_000, "tokens": 9000, "sentences": 300, "instances": 100}


@pytest.mark.parametrize(
    ("records", "text", "message"),
    [("ur", "sw", "records of ur; expected records of sw"), ("sw", "ur", "ledger of ur")],
)
def test_a_corpus_of_another_language_is_refused(records, text, message):
    with pytest.raises(PolyticketError, match=f"^corpus: {message}"):
        corpora_of(["sw"], [stats(records, 3)], [ledger(text)], {"sampling_exponent": 1})


def test_sizes_and_ratios_of_a_few_languages_are_drawn(tmp_path):
    plot_corpora(corpora(["en", "sw", "zh-yue"]), tmp_path / "c.svg")
    found = texts_of(tmp_path / "c.svg")
    assert {"English  en", "Swahili  sw", "zh-yue", "characters", "tokens", "sentences", "instances"} <= set(found)
    assert {"share of all instances", "sampling ratio", "×0.76", "×1.3", "×2.3", "100M"} <= set(found)


def draw_corpora(path, languages):
    plot_corpora(corpora(languages), path)


def draw_ledgers(path, languages):
    plot_ledgers(ledger_table(languages, [ledger(code, row + 1) for row, code in enumerate(languages)]), path)


@pytest.mark.parametrize("draw", [draw_corpora, draw_ledgers])
def test_all_languages_are_named(tmp_path, draw):
    draw(tmp_path / "all.svg", list(CODES))
    assert {label_of(code) for code in LANGUAGES} <= set(texts_of(tmp_path / "all.svg"))


NAMED = {
    "ltg": ("Latgalian", "Latgalian  ltg"),
    "se": ("Davvisámegiella", "Davvisámegiella  se"),
    "sw": ("Kiswahili", "Kiswahili  sw"),
    "sat": ("ᱥᱟᱱᱛᱟᱲᱤ", "sat"),
    "yi": ("ייִדיש", "yi"),
    "ckb": ("کوردی", "ckb"),
    "xa": ("A $x$ b", "xa"),
    "xb": ("A -- <b>", "A -- <b>  xb"),
    "xc": ("Language " * 5 + "X", "Language L… Language X  xc"),
}


def test_given_names_are_shown_where_the_font_has_their_letters(tmp_path, monkeypatch):
    monkeypatch.setenv("POLYTICKET_LANGUAGE_NAMES", "{}")
    assert (label_of("ltg"), label_of("sw")) == ("ltg", "Swahili  sw")
    set_for_jobs(language_names={code: name for code, (name, _) in NAMED.items()})
    assert {code: label_of(code) for code in NAMED} == {code: label for code, (_, label) in NAMED.items()}
    draw_ledgers(tmp_path / "l.svg", ["ltg", "sat"])
    assert {"Latgalian  ltg", "sat"} <= set(texts_of(tmp_path / "l.svg"))
    write_ledger_page(ledger_table(["sat", "xb"], [ledger("sat"), ledger("xb")]), tmp_path / "l.html")
    page = (tmp_path / "l.html").read_text(encoding="utf-8")
    assert "<th>sat ᱥᱟᱱᱛᱟᱲᱤ</th>" in page
    assert "<th>xb A -- &lt;b&gt;</th>" in page


@pytest.mark.parametrize("draw", [draw_corpora, draw_ledgers])
def test_figures_are_the_same_bytes_again(tmp_path, draw):
    draw(tmp_path / "one.svg", ["en", "fr", "sw"])
    draw(tmp_path / "two.svg", ["en", "fr", "sw"])
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert b"<dc:date>" not in (tmp_path / "one.svg").read_bytes()
