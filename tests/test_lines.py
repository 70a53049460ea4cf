"""Lines of wikitext: tables and how they end, marks around what was dropped, links and items with addresses."""

import json

import pytest

from polyticket.corpus.ledger import LONGEST_EXAMPLE
from polyticket.corpus.lines import lost_links, silent_namespaces, table_ends
from polyticket.corpus.split import MOST_LOST, split_articles
from polyticket.corpus.template_calls import is_within_sentence
from tests.support.wiki_text import extracted, paragraphs

TABLE = '{| class="wikitable"\n! Year !! Prize\n|-\n| 1990 || {{won}}\n'
AFTER = "\n\nThe band went on tour.\n\n== Members ==\nFour people."
CLOSERS = [
    "{{end}}",
    "{{S-end}}",
    "{{Table end}}",
    "{{конец таблицы}}",
    "{{fb end|x=1}}",
    "|}",
    ":|}",
    "</table>",
    "*|}",
]


@pytest.mark.parametrize("closer", CLOSERS)
@pytest.mark.parametrize("defined", [False, True])
def test_table_ends_where_it_is_closed(tmp_path, closer, defined):
    name = closer.strip("{}").partition("|")[0]
    templates = {name[:1].upper() + name[1:]: "|}<noinclude>Closes.</noinclude>"} if defined and "{{" in closer else {}
    assert paragraphs(tmp_path, f"A band.\n\n{TABLE}{closer}{AFTER}", templates=templates) == [
        "A band.",
        "The band went on tour.",
        "Four people.",
    ]


def test_template_in_a_table_that_is_closed_ends_nothing(tmp_path):
    table = "{|\n| a\n{{row}}\n\nwithin the cell\n|}"
    assert paragraphs(tmp_path, f"{table}\nText here.") == ["Text here."]
    assert table_ends(table.split("\n")) == frozenset()
    assert paragraphs(tmp_path, "{|\n{{row}}\n{{row}}\n|-\n| a\n{|\n| b\n|}\n{{end}}\nText here.") == ["Text here."]
    assert paragraphs(tmp_path, "{|\n| never closed\nin the cell\n== Next ==\nText here.") == ["Text here."]


@pytest.mark.parametrize("opener", ["{|", "{{{!}} class=x"])
@pytest.mark.parametrize("closer", ["|}", "{{!}}}", ":{{!}}}", "|}}", "|}}}"])
def test_bars_of_a_table_may_be_templates(tmp_path, opener, closer):
    text = f"Before.\n\n{opener}\n{{{{!}}}}-\n{{{{!}}}} a\n{closer}\n\nAfter it. See [[Rome{{{{!}}}}the city]]."
    assert paragraphs(tmp_path, text) == ["Before.", "After it. See the city."]
    assert paragraphs(tmp_path, "It is a {{!}} b, {{nowrap|c {{!}} d}}.") == ["It is a | b, c | d."]


def test_text_after_a_table_on_its_last_line_is_kept(tmp_path):
    page, ledger = extracted(
        tmp_path, {"A": "{|\n| a\n|} After it.\n\n{|\n| b\n|}</div>\n{|\n|\n{|\n|} inside\n|}\nEnd."}
    )
    assert page == {"A": ["After it.", "End."]}
    lines = ledger["lines"]
    assert (lines["prose"]["read"], lines["table"]["read"], lines["blank"]["read"]) == (2, 10, 1)


def test_bars_typed_for_dandas_are_no_table(tmp_path):
    verse = "|| सर्वे भवन्तु सुखिनः ||"
    assert paragraphs(tmp_path, f"पाठ।\n\n{verse}\n\n| a || b\n") == ["पाठ।", verse]


IN_LINES = {
    "<code>{|</code> opens a table. It is a mark.\n\nThe middle.\n\n<code>|}</code> closes it.": [
        "{| opens a table. It is a mark.",
        "The middle.",
        "|} closes it.",
    ],
    "A mark {| opens.\n\nThe middle.\n\n{|\n| a\n|}\nIt |} closes.": [
        "A mark {| opens.",
        "The middle.",
        "It |} closes.",
    ],
    'F# writes {| Name = "x" |} for records.': ['F# writes {| Name = "x" |} for records.'],
    "* Ruby has [1].each {|x| y}\n<code>* x</code> is C.": ["Ruby has [1].each {|x| y}", "* x is C."],
    "<code>{{nowrap|a {b|} c}}</code> is.": ["a {b|} c is."],
    "{{unknown}}{|\n| a\n|}\nText here.": ["Text here."],
}


@pytest.mark.parametrize("wikitext", IN_LINES)
def test_marks_of_tables_within_a_line_are_text(tmp_path, wikitext):
    page, ledger = extracted(tmp_path, {"Page": wikitext})
    assert page["Page"] == IN_LINES[wikitext]
    assert ledger["lines"]["prose"]["dropped"]["nothing_left"] == 0


MARKS = {
    "A ''{{unknown}}'' word.": "A word.",
    "A '''{{unknown}}''' word, '''''<ref>x</ref>'''''.": "A word.",
    "The ''<ref>x</ref> '' word ''is'' here.": "The word is here.",
    "Das {{nowrap|lange „{{x}}“}} Wort {{nowrap|„{{x}}“}} hier.": "Das lange Wort hier.",
    "Das „{{x}}“ Wort, ein »{{x}}« und ‚{{x}}‘.": "Das Wort, ein und.",
    "The (\"{{x}}\") word, a \"{{x}}, {{x}}\" and '{{x}}' (“{{x}}”; „''{{x}}''“).": "The word, a and.",
    "Le mot «{{x}}» et « {{x}} » ici [{{x}}].": "Le mot et ici.",
    "語「{{x}}」と『{{x}}』。": "語と。",
    '"A"{{x}} "B" «A»{{x}}«B» "A {{x}}" {{x}}"B".': '"A" "B" «A»«B» "A " "B".',
    'Ein Wort «A»{{x}}«{{x}}» heißt "" und «».': 'Ein Wort «A» heißt "" und «».',
}


@pytest.mark.parametrize("wikitext", MARKS)
def test_marks_around_what_was_dropped_go_with_it(tmp_path, wikitext):
    assert paragraphs(tmp_path, wikitext) == [MARKS[wikitext]]


LINKS = {
    "See [[Batman:Year One]] here.": "See Batman:Year One here.",
    "See [[Ghost: The Tale]] and [[:Category:Cats]].": "See Ghost: The Tale and Category:Cats.",
    "See [[2001:Eine Reise]] here. [[de:Katze]]": "See 2001:Eine Reise here.",
    "See it.[[Category:Cats]]": "See it.",
}


@pytest.mark.parametrize("wikitext", LINKS)
def test_links_with_a_colon_and_no_label(tmp_path, wikitext):
    assert paragraphs(tmp_path, wikitext) == [LINKS[wikitext]]


ITEMS = {
    "* The [http://x.org Museum] opened in 1990 and holds many paintings.": True,
    "* 博物館は[http://x.org 公式]一九九〇年に開館し多くの絵を所蔵する。": True,
    "* Smith, J. (2010). ''A title''. [http://x.org Online] and in the archive of London.": False,
    "* Smith, J., A title of a book. London: Press. [http://x.org Online].": False,
    "* [http://x.org Official site]": False,
    "* [http://x.org Official site] has many useful pages for the study of it.": False,
    "* The museum at http://x.org opened in 1990 and holds many paintings.": False,
}


@pytest.mark.parametrize("item", ITEMS)
def test_items_that_tell_something_are_no_sources(tmp_path, item):
    page, ledger = extracted(tmp_path, {"A": f"Text.\n{item}"})
    assert (len(page["A"]) == 2, ledger["lines"]["list"]["dropped"]["source"] == 0) == (ITEMS[item],) * 2


BROKEN = {
    "The mixed model would compare the\nfixed texts to others.": [
        "The mixed model would compare the fixed texts to others."
    ],
    "During the war he joined the [[army]],\n[[history|later]] the navy.": [
        "During the war he joined the army, later the navy."
    ],
    "He said:\nno more.": ["He said:", "no more."],
    "It ended.\niPhone sales rose.": ["It ended.", "iPhone sales rose."],
    "It ended.[[File:A.jpg]]\niPhone sales rose.": ["It ended.", "iPhone sales rose."],
    "A short title\nThe town lies in France.": ["A short title", "The town lies in France."],
    "First it was tall\n\nthen it fell.": ["First it was tall", "then it fell."],
    "* tall\nthen it fell.": ["tall", "then it fell."],
    "A tall house\n* then it fell.": ["A tall house", "then it fell."],
    "সংযোজনের বিপরীত প্রক্রিয়া হিসেবে এই কারণে ভাগ হলো\nভাজকের ব্যাস্তানুপাত তথা গুণাত্মক বিপরীতের সাথে ভাজ্যের গুণ।": [
        "সংযোজনের বিপরীত প্রক্রিয়া হিসেবে এই কারণে ভাগ হলো ভাজকের ব্যাস্তানুপাত তথা গুণাত্মক বিপরীতের সাথে ভাজ্যের গুণ।"
    ],
    "ভাগ হলো\nভাজকের গুণ।": ["ভাগ হলো", "ভাজকের গুণ।"],
}


@pytest.mark.parametrize("wikitext", BROKEN)
def test_lines_that_break_off_within_a_sentence_are_one_paragraph(tmp_path, wikitext):
    assert paragraphs(tmp_path, wikitext) == BROKEN[wikitext]


@pytest.mark.parametrize(
    ("before", "after", "within"),
    [
        ("The tower is ", " high.", True),
        ("He was born in ", ".", True),
        ("A note", " hangs on a word.", False),
        ("A sentence. ", " Another.", False),
        ("A sentence. ", " the king rules.", True),
        ("The end. ", "", False),
        ("* ", " is a list item", False),
        ("* The length of ", " km", True),
        ("", " is the first.", False),
        ("Above it stands text of ", "", True),
        ("Prose.\n", "alone", False),
        ("| height = tall ", " m", False),
        ("[[File:a.jpg|thumb]] ", " text.", False),
        ("小説「", "」の中で", True),
        ("東京は", "である。", True),
        ("Слово (", ") есть.", True),
        ("كلمة ", " هنا.", True),
        ("文。", "次の文", False),
        ("* [http://a.org The title] ", "", False),
        ("A book, Rome 1994, ", " ISBN 3-16-148410-0", False),
    ],
)
def test_templates_within_sentences_are_told_apart(before, after, within):
    assert is_within_sentence(before, after) is within


def test_lost_templates_are_named_with_an_example_each(tmp_path):
    pages = {
        "A": "The tower is {{size-x}} high.{{cite|url=1}}\n\n{{Box|a={{size-x}}}}\nIn [[Rome]] {{age|born=1}} passed.",
        "B": f"A wall is {{{{size_x|h=3|{'w=1|' * 30}}}}} wide, &lt;long&gt;.\n\n{{{{alone}}}}\n\n* {{{{f}}}} Rome",
    }
    _, part = extracted(tmp_path, pages)
    assert part["lost"] == {
        "templates": 3,
        "names": {"age": 1, "size x": 1, "size-x": 1},
        "examples": {
            "age": ["In [[Rome]] {{age|born=1}} passed."],
            "size x": ["A wall is {{size_x|h=3|w=1|w=1|w=1|w=1|w=1|w=1|w=1|w…}} wide, <long>."],
            "size-x": ["The tower is {{size-x}} high.{{cite|url=1}}"],
        },
        **{"links": 0, "link_names": {}, "link_examples": {}},
    }
    assert part["templates"]["dropped"] == 7


LOST_LINKS = """The sign [[File:Arrow.svg|20px|to [[Rome]] and [[Oslo]]]] means go.
[[File:a.jpg|thumb|A caption.]] It stands [[File:Hill.png]] high.

It is told [http://a.example/x ] of law.

It is told of [[fr:Roi]] kings {{alone}} in [[Help:Kings|books]] and [[Portal:Law]].

A [[Category:Kings]] king and [[:Category:Kings|the kings]], see [[2001: A Space Odyssey]] and [[fr:Roi|roi]].

Rome.[[File:b.jpg]] A sentence. [[File:c.jpg|thumb]] Another one.

[[Category:Kings|x]] [[File:d.jpg]]
{|
| A cell with [[File:e.jpg]] in it.
|}
* The length [[File:Ruler.png]] counts
* [[File:Flag.png]] Oslo"""


def test_lost_links_are_named_with_an_example_each(tmp_path):
    found, part = extracted(tmp_path, {"A": LOST_LINKS})
    lost = part["lost"]
    assert lost["links"] == 6
    assert lost["link_names"] == {"File:": 3, "Category:": 1, "fr:": 1, "http://": 1}
    assert lost["link_examples"] == {
        "File:": ["The sign [[File:Arrow.svg|20px|to [[Rome]] and [[Oslo]]]] means go."],
        "Category:": ["A [[Category:Kings]] king and the kings, see 2001: A Space Odyssey and roi."],
        "fr:": ["It is told of [[fr:Roi]] kings in books and Portal:Law."],
        "http://": ["It is told [http://a.example/x ] of law."],
    }
    assert found["A"][3] == "It is told of kings in books and Portal:Law."


def test_many_links_that_nothing_closes_are_looked_at_in_linear_time():
    for line in ("[[a:", "[[a:b [[c]] ", "[http://", "[[a:b|[x] "):
        assert list(lost_links("A " + line * 50_000)) == []


def test_namespaces_without_text_are_files_and_categories():
    names = {0: "", 6: "Datei", 10: "Vorlage", 12: "Hilfe", 14: "Kategorie"}
    assert silent_namespaces(names) == {"file", "image", "category", "datei", "kategorie"}


def test_files_and_addresses_miss_no_word(tmp_path):
    text = "Rome ({{sound-x|It-Roma.ogg|listen}}) and {{archive-x|u=http://a.org}} and {{size-x|h=3}} stand."
    _, part = extracted(tmp_path, {"A": text})
    assert part["lost"]["names"] == {"size-x": 1}


def test_an_example_is_bounded_and_in_one_line(tmp_path):
    page = f"{'word ' * 60}{{{{x|{'a=b ' * 200}}}}}{' word' * 60}.\n\nSee {{{{y\n|a=1\n|b=2}}}} here."
    _, part = extracted(tmp_path, {"A": page})
    long, short = (part["lost"]["examples"][name][0] for name in ("x", "y"))
    assert len(long) == LONGEST_EXAMPLE
    assert "{{x|a=b a=b" in long
    assert short == "See {{y |a=1 |b=2}} here."


def test_a_language_names_the_commonest_whatever_its_pieces(tmp_path):
    articles = tmp_path / "a.jsonl"
    articles.write_text(json.dumps({"id": "1", "title": "T", "text": "One."}) + "\n", encoding="utf-8")

    def lost(start: int, times: int) -> dict:
        names = {f"n{number:02}": times for number in range(start, start + 8)}
        return {"templates": 8 * times, "names": names, "examples": {name: [f"{name} {times}"] for name in names}}

    parts = [{"language": "en", "lost": lost(0, 3)}, {"language": "en", "lost": lost(4, 2)}]
    found = split_articles([articles, articles], parts, tmp_path / "out", lang="en")["lost"]
    assert (found["templates"], len(found["names"])) == (40, MOST_LOST)
    expected = [*(f"n{number:02}" for number in (4, 5, 6, 7)), "n00", "n01", "n02", "n03", "n08", "n09"]
    assert list(found["names"].items()) == list(zip(expected, [5] * 4 + [3] * 4 + [2] * 2, strict=True))
    assert [found["examples"][name] for name in ("n04", "n08")] == ["n04 3", "n08 2"]


def test_spaces_within_guillemets_and_elisions_in_parentheses_are_kept(tmp_path):
    text = "Il dit « non » et «&nbsp;si&nbsp;» et « oui » : c’est (...) bien (…), (, ) vrai."
    assert paragraphs(tmp_path, text) == ["Il dit « non » et « si » et « oui » : c’est (...) bien (…), vrai."]
