"""Articles -> sentences."""

import json

import pytest

from polyticket.corpus.filters import Filters
from polyticket.corpus.gather import split_articles
from polyticket.corpus.ledger import LEFTOVER_KINDS
from polyticket.corpus.sentences import split_paragraph, splitter_of
from polyticket.errors import PolyticketError


def write_articles(path, texts):
    path.write_text("".join(json.dumps({"id": "1", "text": text}, ensure_ascii=False) + "\n" for text in texts))
    return path


def test_one_sentence_a_line_and_a_blank_line_between_documents(tmp_path):
    texts = ["Dr. Smith came.  He\tleft\u00a0early.\n\nNew paragraph", "...\n—", "", "Last one. Really!"]
    out = tmp_path / "sentences.txt"
    ledger = {"language": "en", "pages": {"read": 4}, "characters": {"text": 100}}
    found = split_articles([write_articles(tmp_path / "a.jsonl", texts)], [ledger], out, lang="en")
    lines = ["Dr. Smith came.", "He left early.", "New paragraph", "", "Last one.", "Really!"]
    assert out.read_text() == "\n".join(lines) + "\n"
    assert found == {
        "language": "en",
        "pages": {"read": 4},
        "characters": {"text": 100, "sentences": sum(map(len, lines))},
        "documents": {"written": 2, "without_sentences": 2},
        "paragraphs": {"read": 5, "duplicates": 0},
        "sentences": {"found": 7, "kept": 5, "dropped": {"no_letters": 2, "too_short": 0, "wrong_script": 0}},
        "leftover": {"total": 0, "lines": 0, "kinds": dict.fromkeys(LEFTOVER_KINDS, 0), "addresses": 0, "examples": []},
        "splitter": "sentencex",
        "splitter_language": "en",
    }


def test_pieces_and_processes_do_not_matter(tmp_path):
    texts = [f"Eins {n}. Zwei.\nGleich hier.\nText {n % 3}." for n in range(9)]
    filters = Filters(drop_duplicates=True, min_characters=7)
    whole = write_articles(tmp_path / "whole", texts)
    parts = [write_articles(tmp_path / str(part), texts[3 * part : 3 * part + 3]) for part in range(3)]
    first = split_articles([whole], [{"language": "de"}], tmp_path / "a", lang="de", filters=filters)
    ledgers = [{"language": "de"}] * 3
    second = split_articles(parts, ledgers, tmp_path / "b", lang="de", filters=filters, processes=3)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert first == second
    assert (tmp_path / "a").read_text().split("\n")[:5] == ["Eins 0.", "Gleich hier.", "Text 0.", "", "Eins 1."]
    assert first["paragraphs"] == {"read": 27, "duplicates": 14}
    assert first["sentences"]["dropped"]["too_short"] == 9


def test_ledgers_of_another_language_are_refused(tmp_path):
    articles = write_articles(tmp_path / "a", ["A."])
    with pytest.raises(PolyticketError, match=r"language: 'fr' beside 'de'"):
        split_articles([articles], [{"language": "de"}], tmp_path / "out", lang="fr")


def test_no_article_gives_an_empty_file(tmp_path):
    split_articles([write_articles(tmp_path / "a", [])], [{"language": "fr"}], tmp_path / "out", lang="fr")
    assert (tmp_path / "out").read_bytes() == b""


def test_unbalanced_quote_does_not_glue_paragraphs():
    texts = ['He said "yes.', "Then he left. She stayed."]
    assert [split_paragraph(text, "en") for text in texts] == [['He said "yes.'], ["Then he left.", "She stayed."]]


@pytest.mark.parametrize(
    ("lang", "text", "sentences"),
    [
        ("zh", "你好。今天好！是吗？", ["你好。", "今天好！", "是吗？"]),
        ("zh", "他来了。1969年他走了。", ["他来了。", "1969年他走了。"]),
        ("ur", "یہ ایک جملہ ہے۔ یہ دوسرا ہے۔", ["یہ ایک جملہ ہے۔", "یہ دوسرا ہے۔"]),
        ("hi", "यह है। वह है।", ["यह है।", "वह है।"]),
        ("sw", "Yeye ni mwanariadha. Alizaliwa 1961.", ["Yeye ni mwanariadha.", "Alizaliwa 1961."]),
        ("th", "กรุงเทพ เป็นเมืองหลวง พ.ศ. 2325 โดย", ["กรุงเทพ", "เป็นเมืองหลวง", "พ.ศ. 2325 โดย"]),
        ("km", "ភាសាខ្មែរ គឺជាភាសា។វាមាន", ["ភាសាខ្មែរ", "គឺជាភាសា។", "វាមាន"]),
        ("bo", "བོད་ཡིག་ནི།བོད་མིའི་ཡིན། དེ་ནི་", ["བོད་ཡིག་ནི།", "བོད་མིའི་ཡིན།", "དེ་ནི་"]),
        ("fr", "Vers 800 av. J.-C. la cité. M. Dupont vint.", ["Vers 800 av. J.-C. la cité.", "M. Dupont vint."]),
        ("fr", "Le type M. Le sang.", ["Le type M.", "Le sang."]),
        ("fr", "Il dit « oui. » Pour Robert, non.", ["Il dit « oui. »", "Pour Robert, non."]),
        ("ar", "القرن الخامس ق. م في بلاد. بعد ذلك.", ["القرن الخامس ق. م في بلاد.", "بعد ذلك."]),
        ("sw", "Ilitolewa tar. 23 Machi. Kisha.", ["Ilitolewa tar. 23 Machi.", "Kisha."]),
        ("en", "one\u2028two\rthree. Four.", ["one two three.", "Four."]),
    ],
)
def test_languages(lang, text, sentences):
    assert split_paragraph(text, lang) == sentences


def test_wiki_codes():
    codes = {code: splitter_of(code) for code in ("simple", "zh_yue", "be-x-old", "th", "xx")}
    assert codes == {
        "simple": ("sentencex", "en"),
        "zh_yue": ("sentencex", "zh-yue"),
        "be-x-old": ("sentencex", "be-tarask"),
        "th": ("spaces", "th"),
        "xx": ("sentencex", "xx"),
    }


@pytest.mark.parametrize("line", ["{", "[]", "3", '{"id": "1"}', '{"text": 4}', ""])
def test_bad_line_is_named(tmp_path, line):
    path = write_articles(tmp_path / "a.jsonl", ["One."])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(PolyticketError, match=r"a\.jsonl:2: not an article; expected a JSON object"):
        split_articles([path], [], tmp_path / "out", lang="en")
    assert not (tmp_path / "out").exists()
