"""What sentences lost within them: counted in the ledger, with names and examples."""

import json

import pytest

from polyticket.corpus.ledger import LONGEST_EXAMPLE
from polyticket.corpus.lines import lost_links, silent_namespaces
from polyticket.corpus.split import MOST_LOST, split_articles
from polyticket.corpus.unknown_templates import is_within_sentence
from tests.support.wiki_text import extracted


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


LINKS = """The sign [[File:Arrow.svg|20px|to [[Rome]] and [[Oslo]]]] means go.
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
    found, part = extracted(tmp_path, {"A": LINKS})
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
