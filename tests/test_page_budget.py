"""No page stops a language or takes for ever, whatever stands in it."""

import json
from pathlib import Path

import pytest

from polyticket.corpus.abbreviations import learn
from polyticket.corpus.budget import MOST_BROKEN, Budget, OverBudget, tame
from polyticket.corpus.lines import mark_lines
from polyticket.corpus.sentence_cues import blocks
from polyticket.corpus.sentences import Splitter
from polyticket.corpus.split import Filters, split_articles
from tests.support.growth import growth
from tests.support.wiki_text import extracted

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
UNCLOSED += ["a\n" * 20, "&#xD83D;", "&#0;", "__a", "* x [http://a ", "[[File:a.png|", "<math>", "|-\n", "&lt;"]


@pytest.mark.parametrize("templates", [None, {"A": "{{{1}}}"}])
def test_pages_of_unclosed_markup_pass_within_their_budget(tmp_path, templates):
    pages = {f"P{number}": f"First.\n\n{opener * 5000}\n" for number, opener in enumerate(UNCLOSED)}
    found, ledger = extracted(tmp_path, {**pages, "Last": "The end."}, templates=templates, page_budget=30.0)
    assert found["Last"] == ["The end."]
    assert ledger["broken"] == []
    assert all(found[title][0].startswith("First.") for title in pages)
    whole = split_articles([tmp_path / "articles.jsonl"], [ledger], tmp_path / "out.txt", lang="en", page_budget=30.0)
    assert whole["documents"] == {"written": len(pages) + 1, "without_sentences": 0, "broken": 0}
    assert (tmp_path / "out.txt").read_text(encoding="utf-8").endswith("\n\nThe end.\n")


@pytest.mark.parametrize("lang", ["en", "th"])
@pytest.mark.parametrize(
    "mark", ["a. ", "A. ", "(“a. ", "a!b", "—. ", "a. ) “", "あ。「", "x\ud83d\x00. ", "| ", "१. "]
)
def test_a_line_of_many_marks_is_learnt_from_and_cut_in_time_that_grows_with_it(mark, lang):
    def cut(size):
        text = mark * (size // len(mark))
        return lambda: Splitter(lang, learn([text], lang)).cut(text)

    assert growth(cut, 25_000) < 2.5
    text, sentences = mark * (100_000 // len(mark)), cut(100_000)()
    assert "".join("".join(sentences).split()) == "".join(text.split())


def test_long_lines_are_split_in_blocks_that_end_at_spaces():
    assert blocks("short one.", 10) == ["short one."]
    assert blocks("One two. Three four. Five", 10) == ["One two. ", "Three ", "four. Five"]
    assert blocks("a" * 25, 10) == ["a" * 10, "a" * 10, "a" * 5]
    assert blocks("", 10) == [""]


def written(path: Path, texts: list[str]) -> Path:
    """Articles of some texts."""
    articles = ({"id": str(n), "title": f"T{n}", "text": text} for n, text in enumerate(texts))
    path.write_text("".join(json.dumps(article) + "\n" for article in articles), encoding="utf-8")
    return path


def test_articles_that_break_the_splitter_are_named_and_left_out(tmp_path, monkeypatch):
    def cut(self: Splitter, paragraph: str) -> list[str]:
        if "breaks" in paragraph:
            raise IndexError(paragraph)
        return [paragraph]

    monkeypatch.setattr(Splitter, "cut", cut)
    texts = ["One.\nSame.", "Two.\nIt breaks.\nSame.", "Half \ud83d a pair.", "Same.\nLast."]
    articles = written(tmp_path / "a.jsonl", texts)
    filters = Filters(drop_duplicates=True)
    found = split_articles([articles], [{"language": "en"}], tmp_path / "out", lang="en", filters=filters)
    assert (tmp_path / "out").read_text(encoding="utf-8") == "One.\nSame.\n\nHalf  a pair.\n\nLast.\n"
    assert found["documents"] == {"written": 3, "without_sentences": 0, "broken": 1}
    assert (found["broken"], found["paragraphs"]) == (["T1"], {"read": 8, "duplicates": 2})
    many = written(tmp_path / "b.jsonl", ["It breaks."] * (MOST_BROKEN + 1))
    with pytest.raises(IndexError, match="It breaks"):
        split_articles([many], [{"language": "en"}], tmp_path / "never", lang="en")
    assert not (tmp_path / "never").exists()


def test_articles_that_take_too_long_to_split_are_left_out(tmp_path):
    articles = written(tmp_path / "a.jsonl", ["One.", "Two."])
    found = split_articles([articles], [{"language": "en"}], tmp_path / "out", lang="en", page_budget=1e-12)
    assert (found["broken"], found["documents"]["broken"], found["sentences"]["found"]) == (["T0", "T1"], 2, 0)


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
