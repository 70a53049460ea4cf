"""No page stops a language or takes for ever, whatever stands in it."""

import pytest
from wiki_text import extracted

from polyticket.corpus.budget import Budget, OverBudget, tame
from polyticket.corpus.lines import mark_lines

UNCLOSED = [
    "[[",
    "[[a|",
    "[[a:b\n",
    "{{",
    "{{a|",
    "{{{",
    "{|\n",
    "<ref>",
    "<ref name=a>x ",
    "<!--",
    "<nowiki>",
    "<div>",
]
UNCLOSED += [
    "''a ",
    "-{",
    "[http://a b",
    "[mailto:a b ",
    '<div style="a ',
    '<br style="a ',
    "<td x='a\n",
    "[[[a",
    "]]",
    "((,",
]
UNCLOSED += ["&#xD83D;", "&#0;", "__a", "* x [http://a ", "[[File:a.png|", "<math>", "|-\n", "&lt;"]


@pytest.mark.parametrize("templates", [None, {"A": "{{{1}}}"}])
def test_pages_of_unclosed_markup_pass_within_their_budget(tmp_path, templates):
    pages = {f"P{number}": f"First.\n\n{opener * 5000}\n" for number, opener in enumerate(UNCLOSED)}
    found, ledger = extracted(tmp_path, {**pages, "Last": "The end."}, templates=templates, page_budget=30.0)
    assert found["Last"] == ["The end."]
    assert ledger["broken"] == []
    assert all(found[title][0].startswith("First.") for title in pages)


def test_pages_over_their_budget_are_named_and_left_out(tmp_path):
    found, ledger = extracted(tmp_path, {"A": "One.", "B": "Two."}, page_budget=1e-12)
    assert (found, ledger["broken"], ledger["pages"]["broken"]) == ({}, ["A", "B"], 2)
    with pytest.raises(OverBudget, match="over 1e-12 s"):
        mark_lines("One.", "", "en", (), templates=None, budget=Budget(4, 1e-12))


def test_a_large_page_has_more_time():
    assert Budget(100, 3.0).seconds == 3.0
    assert Budget(4 * 2**20, 3.0).seconds == 12.0


def test_ordinary_pages_are_left_as_they_are():
    line = "[[a]] [http://x y] b] <small>c</small> a < b [ "
    assert tame(line * 40) == line * 40
    assert tame("[[a]] " * 100 + "[ " * 60 + "] b") == "[[a]] " * 100 + " " * 59 + "[ ] b"
    assert tame("<b>x</b>" + "<i " * 60) == "<b>x</b>" + "i " * 60
