"""What a reader sees as it is written is no markup: <nowiki>, character references, underscores, calls."""

import json

import pytest

from polyticket.corpus.extract import is_disambiguation
from polyticket.corpus.split import Filters, filters_from, split_articles
from polyticket.corpus.wikitext import drop_elements, line_feeds, show, without_hidden
from tests.support.wiki_text import extracted, paragraphs

SHOWN = {
    "A <nowiki><!--</nowiki> opens it. Here.": "A <!-- opens it. Here.",
    "A <nowiki><ref>x</ref></nowiki> is a note.": "A <ref>x</ref> is a note.",
    "Write <nowiki>{{cite|a=b}} and [[File:X.png|thumb]] or ''x''</nowiki>.": (
        "Write {{cite|a=b}} and [[File:X.png|thumb]] or ''x''."
    ),
    "It is <NOWIKI >{| x |}</NOWIKI > in one line.": "It is {| x |} in one line.",
    "<nowiki>* no item</nowiki> here.": "* no item here.",
    "<nowiki>A &lt;b&gt; &amp;amp; C</nowiki> end.": "A <b> &amp; C end.",
    "{{nowrap|<nowiki>a|b}}c</nowiki>}} end.": "a|b}}c end.",
    "<!-- <nowiki> --> This is seen. <!-- </nowiki> -->": "This is seen.",
    "A<nowiki/>B ends.": "AB ends.",
    "The <nowiki>tag never ends.": "The tag never ends.",
    "The &lt;div&gt; and &#60;ref&#62; and &#x3C;!-- x --&gt; stay.": "The <div> and <ref> and <!-- x --> stay.",
    "Two &#91;&#91;brackets]] and &#123;&#123;x}} here.": "Two [[brackets and {{x}} here.",
    "It&apos;s &quot;so&quot; &amp;nbsp; x&nbsp;y.": 'It\'s "so" &nbsp; x y.',
    "a &amp;lt; b, &unknown; c.": "a &lt; b, &unknown; c.",
    "It&#146;s 1&#150;2&#x92;, &#129;I don&#X2019;t know &#X41;&#160;&#x3B1;.": "It’s 1–2’, I don’t know A α.",
    "<nowiki>It&#146;s &#X41;</nowiki>.": "It’s A.",
    'The <syntaxhighlight lang="c" inline>unsigned int\n{{x}}</syntaxhighlight> is.': "The unsigned int {{x}} is.",
    "The <source inline=1 lang=c>a < b && f()</source> is. <source inline/>It ends.": "The a < b && f() is. It ends.",
    'It is.<syntaxhighlight lang="x inline">int a;</syntaxhighlight><source lang=inline>b</source>': "It is.",
    "l&#39;''Iliade'' d&apos;Homère.": "l'Iliade d'Homère.",
    "The __init__ and __FILE__ of __a_b__. __NOTOC__": "The __init__ and __FILE__ of __a_b__.",
    "__NOTOC____NOINDEX__A text. __notoc__B": "A text. B",
    "Perl has __END__ and Python __index__ and __toc_x__.": "Perl has __END__ and Python __index__ and __toc_x__.",
    "Un texte. __AUCUNSOMMAIRE__": "Un texte.",
    "Ein Text. __KEIN_INHALTSVERZEICHNIS__": "Ein Text.",
    "Текст. __БЕЗ_ОГЛАВЛЕНИЯ__": "Текст.",
    "文です。__目次非表示__": "文です。",
    "printf() and '''main'''() and <code>f()</code> run.": "printf() and main() and f() run.",
    "__init__() and foo.__len__(), $() and f()() run.": "__init__() and foo.__len__(), $() and f()() run.",
    "<code>()</code>, <code>foo( )</code>, <tt>( ... )</tt>, <code>() -> 1</code>.": "(), foo( ), ( ... ), () -> 1.",
    "&quot;Paris&quot;() and Paris&nbsp;() end.": '"Paris" and Paris end.',
    "Paris{{x}}() and <code>x ({{x}})</code> and (<code>{{x}}</code>) end.": "Paris and x and end.",
    "Paris () is here (, ).": "Paris is here.",
    "Paris ({{lang|}}) is here.": "Paris is here.",
}


@pytest.mark.parametrize("wikitext", SHOWN)
def test_literal_text_is_shown(tmp_path, wikitext):
    assert paragraphs(tmp_path, wikitext) == [SHOWN[wikitext]]


def test_switch_on_a_line_of_its_own_goes(tmp_path):
    assert paragraphs(tmp_path, "One.\n__GEENINHOUDSOPGAVE__ __X__\nTwo.") == ["One.", "Two."]


def test_references_to_no_character_go_and_stop_nothing(tmp_path):
    text = "A &#xD83D;&#55357;&#0;&#x1F; smile\ud7ff &#xFFFE;&#1114112; ends. &#99999999999999999999;"
    assert paragraphs(tmp_path, text) == ["A smile\ud7ff ends. &#99999999999999999999;"]
    defined = {"Half": "a&#xD83D;b", "It": "it&#x92;s"}
    pages, ledger = extracted(tmp_path, {"A": "It says {{half}} here.", "B": "And {{it}} so."}, templates=defined)
    assert pages == {"A": ["It says ab here."], "B": ["And it’s so."]}
    assert ledger["pages"]["broken"] == 0


def test_characters_that_stand_for_hidden_ones_are_no_way_in(tmp_path):
    assert paragraphs(tmp_path, "A \U0010fe3cdiv\U0010fe3e B.") == ["A div B."]


def test_hidden_text_keeps_its_lines():
    assert show(drop_elements("a<nowiki>\n* b\n</nowiki>c")) == "a\n* b\nc"


@pytest.mark.parametrize("text", ["<!-- {{Disambig}} -->X.", "<nowiki>{{disambig}}</nowiki> X.", "<!--__DISAMBIG__-->"])
def test_what_is_not_read_marks_no_disambiguation(text):
    assert not is_disambiguation("Mercury", text)
    assert is_disambiguation("Mercury", f"{text}\n{{{{Disambig}}}}")


PAGE = (
    "The mass <math>m</math> is small. It is known.\n\n:<math>E = mc^2</math>,\n\nWater is {{nowrap|<chem>H2O</chem>}} "
    "here. Salt is not. <math>x</math> is it.\n\nA mark \ufffc of its own stays out. Then {{sum|3}} is added. End."
)
LEFT = ["It is known.", "Salt is not.", "A mark of its own stays out.", "End."]


@pytest.mark.parametrize("shown", [None, "FORMULA"])
def test_sentences_with_formulas(tmp_path, shown):
    _, part = extracted(tmp_path, {"A": PAGE}, templates={"Sum": "a <math>x_{{{1}}}</math>"})
    assert part["lines"]["element"]["read"] == 1
    out = tmp_path / "sentences.txt"
    ledger = split_articles([tmp_path / "articles.jsonl"], [part], out, lang="en", filters=Filters(formula=shown))
    lines = out.read_text(encoding="utf-8").split("\n")
    if shown is None:
        assert lines == [*LEFT, ""]
        assert ledger["sentences"]["dropped"]["formula"] == ledger["lost"]["formulas"] == 4
        shown_of = [
            ("A", "The mass \ufffc is small."),
            ("A", "Water is \ufffc here."),
            ("A", "\ufffc is it."),
            ("A", "Then a \ufffc is added."),
        ]
        assert ledger["lost"]["formula_examples"] == shown_of
    else:
        assert lines == [
            "The mass FORMULA is small.",
            LEFT[0],
            "Water is FORMULA here.",
            LEFT[1],
            "FORMULA is it.",
            LEFT[2],
            "Then a FORMULA is added.",
            LEFT[3],
            "",
        ]
        assert ledger["sentences"]["dropped"]["formula"] == 0
    assert ledger["sentences"]["found"] == ledger["sentences"]["kept"] + sum(ledger["sentences"]["dropped"].values())
    assert "\ufffc" in json.loads((tmp_path / "articles.jsonl").read_text(encoding="utf-8"))["text"]


def test_filters_take_what_formulas_show():
    options = {"drop_duplicates": False, "min_characters": 0, "min_script_share": 0}
    assert filters_from(options, "fr").formula is None
    assert filters_from(options | {"formula": "X"}, "fr").formula == "X"


@pytest.mark.parametrize("mark", ["\ue000", "\ue007", "\ufffc", "\U0010fe00", "\U0010feff"])
def test_marks_of_this_package_are_removed_from_a_page_and_like_characters_stay(mark):
    like = "a\ue008\uf8ff\ufffb\ufffd\uff0c\U0010fdff\U0010ff00\ud800é"
    assert without_hidden(like) == like
    assert without_hidden(mark + like + mark) == like


def test_only_line_feeds_end_lines():
    assert line_feeds("a\r\nb\rc\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029d\x1f\n") == f"a\nb\nc{' ' * 8}d\x1f"
