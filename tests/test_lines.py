"""Lines of wikitext: tables and how they end, marks around what was dropped, links and items with addresses."""

import pytest

from polyticket.corpus.lines import table_ends
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


MARKS = {
    "A ''{{unknown}}'' word.": "A word.",
    "A '''{{unknown}}''' word, '''''<ref>x</ref>'''''.": "A word.",
    "The ''<ref>x</ref> '' word ''is'' here.": "The word is here.",
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
