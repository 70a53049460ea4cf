"""Articles -> sentences."""

import json

import pytest

from polyticket.corpus.sentences import split_articles, split_paragraph, splitter_of
from polyticket.errors import PolyticketError


def write_articles(path, texts):
    path.write_text("".join(json.dumps({"id": "1", "text": text}, ensure_ascii=False) + "\n" for text in texts))
    return path


def test_one_sentence_a_line_and_a_blank_line_between_documents(tmp_path):
    texts = ["Dr. Smith came.  He\tleft\u00a0early.\n\nNew paragraph", "...\n—", "", "Last one. Really!"]
    out = tmp_path / "sentences.txt"
    stats = split_articles(write_articles(tmp_path / "a.jsonl", texts), out, lang="en")
    lines = ["Dr. Smith came.", "He left early.", "New paragraph", "", "Last one.", "Really!"]
    assert out.read_text() == "\n".join(lines) + "\n"
    assert stats == {
        "documents": 2,
        "without_sentences": 2,
        "sentences": 5,
        "characters": sum(map(len, lines)),
        "splitter": "sentencex",
        "splitter_language": "en",
    }


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
        split_articles(path, tmp_path / "out", lang="en")
    assert not (tmp_path / "out").exists()
