"""Articles -> sentences."""

import json
import sys
from importlib import import_module
from pathlib import Path

import pytest
import regex

from polyticket.core.errors import PolyticketError
from polyticket.corpus.abbreviations import SAMPLE_CHARACTERS, learn
from polyticket.corpus.ledger import MARKUP_KINDS
from polyticket.corpus.sentence_cues import EXCLAMATIONS, FULL_STOPS
from polyticket.corpus.sentences import Splitter, split_paragraph, splitter_of
from polyticket.corpus.split import Filters, split_articles

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
benchmark = import_module("sentences")


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
        "documents": {"written": 2, "without_sentences": 2, "broken": 0},
        "broken": [],
        "paragraphs": {"read": 5, "duplicates": 0},
        "sentences": {
            "found": 7,
            "kept": 5,
            "dropped": {"no_letters": 2, "formula": 0, "too_short": 0, "wrong_script": 0},
            "one_word": 1,
            "one_word_share": 0.2,
            "median_length": 13,
        },
        "lost": {
            **{"formulas": 0, "formula_examples": [], "names": {}, "examples": {}},
            **{"link_names": {}, "link_examples": {}},
        },
        "abbreviations": {"vetoed": 1, "learnt": 1, "frequent": [["Dr", 1]]},
        "residual_markup": {
            "total": 0,
            "lines": 0,
            "kinds": dict.fromkeys(MARKUP_KINDS, 0),
            "addresses": 0,
            "examples": [],
        },
        "splitter": "marks",
        "splitter_language": "en",
    }


FORMULAS = {
    "The set is open. \ufffc is smooth. The end is here.": [
        "The set is open.",
        "\ufffc is smooth.",
        "The end is here.",
    ],
    "Is it open? \ufffc is. (\ufffc) holds.": ["Is it open?", "\ufffc is.", "(\ufffc) holds."],
    "Dr. \ufffc and e.g. \ufffc are. So \ufffc, \ufffc.": ["Dr. \ufffc and e.g. \ufffc are.", "So \ufffc, \ufffc."],
}


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_may_start_a_sentence(text):
    assert split_paragraph(text, "en") == FORMULAS[text]
    assert split_paragraph("Ելք է։ \ufffc է այստեղ։", "hy") == ["Ելք է։", "\ufffc է այստեղ։"]


def test_pieces_and_processes_do_not_matter(tmp_path):
    texts = [f"Eins {100 + n}. Zwei.\nGleich hier.\nText {n % 3}." for n in range(9)]
    filters = Filters(drop_duplicates=True, min_characters=7)
    whole = write_articles(tmp_path / "whole", texts)
    parts = [write_articles(tmp_path / str(part), texts[3 * part : 3 * part + 3]) for part in range(3)]
    first = split_articles([whole], [{"language": "de"}], tmp_path / "a", lang="de", filters=filters)
    ledgers = [{"language": "de"}] * 3
    second = split_articles(parts, ledgers, tmp_path / "b", lang="de", filters=filters, processes=3)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert first == second
    assert (tmp_path / "a").read_text().split("\n")[:5] == ["Eins 100.", "Gleich hier.", "Text 0.", "", "Eins 101."]
    assert first["paragraphs"] == {"read": 27, "duplicates": 14}
    assert first["sentences"]["dropped"]["too_short"] == 9
    assert {key: first["sentences"][key] for key in ("kept", "one_word", "one_word_share", "median_length")} == {
        "kept": 13,
        "one_word": 0,
        "one_word_share": 0.0,
        "median_length": 9,
    }


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
        ("th", "ดร. สมชาย เกิด พ.ศ. ๒๕๓๐ ราคา ๓.๕ บาท", ["ดร. สมชาย", "เกิด", "พ.ศ. ๒๕๓๐ ราคา ๓.๕ บาท"]),
        ("en", "He lived c. 1500–c. 1550 in Rome. It fell.", ["He lived c. 1500–c. 1550 in Rome.", "It fell."]),
        ("en", "At 8:00 p.m. EST it began.", ["At 8:00 p.m. EST it began."]),
        ("en", "It ended at 8 p.m. The crowd left.", ["It ended at 8 p.m.", "The crowd left."]),
        ("vi", "Ông sống tại TP. Hồ Chí Minh.", ["Ông sống tại TP. Hồ Chí Minh."]),
        ("de", "Sie ist mit Emine, geb. Gülbaran, da.", ["Sie ist mit Emine, geb. Gülbaran, da."]),
        ("nl", "Dhr. Jansen en mevr. De Vries kwamen.", ["Dhr. Jansen en mevr. De Vries kwamen."]),
        ("km", "គាត់ទិញផ្លែឈើ ។ល។ នៅផ្សារ។", ["គាត់ទិញផ្លែឈើ ។ល។", "នៅផ្សារ។"]),
        ("km", "គាត់ថា «ខ្ញុំទៅ។» គាត់ស្លាប់។", ["គាត់ថា", "«ខ្ញុំទៅ។»", "គាត់ស្លាប់។"]),
        ("th", "เขาวิ่งเร็ว ๆ ไปบ้าน", ["เขาวิ่งเร็ว ๆ", "ไปบ้าน"]),
        ("bo", "ཡིན་|དེ་ནི་", ["ཡིན་|", "དེ་ནི་"]),
        ("ja", "これは本である．値は3．5である｡", ["これは本である．", "値は3．5である｡"]),
        ("ja", "T.M.Revolutionは歌手。Dr.スミスも。", ["T.M.Revolutionは歌手。", "Dr.スミスも。"]),
        ("km", "ភាសាខ្មែរ គឺជាភាសា។វាមាន", ["ភាសាខ្មែរ", "គឺជាភាសា។", "វាមាន"]),
        ("bo", "བོད་ཡིག་ནི།བོད་མིའི་ཡིན། དེ་ནི་", ["བོད་ཡིག་ནི།", "བོད་མིའི་ཡིན།", "དེ་ནི་"]),
        ("fr", "Vers 800 av. J.-C. la cité. M. Dupont vint.", ["Vers 800 av. J.-C. la cité.", "M. Dupont vint."]),
        ("fr", "Le type M. Le sang.", ["Le type M.", "Le sang."]),
        ("fr", "Il dit « oui. » Pour Robert, non.", ["Il dit « oui. »", "Pour Robert, non."]),
        ("ar", "القرن الخامس ق. م في بلاد. بعد ذلك.", ["القرن الخامس ق. م في بلاد.", "بعد ذلك."]),
        ("sw", "Ilitolewa tar. 23 Machi. Kisha.", ["Ilitolewa tar. 23 Machi.", "Kisha."]),
        ("ko", "그는 1992. 3. 15. 서울에서 태어났다. 갔다.", ["그는 1992. 3. 15. 서울에서 태어났다.", "갔다."]),
        ("ko", "그는 1992.3.15. 서울에서 났다.", ["그는 1992.3.15. 서울에서 났다."]),
        ("sw", "Alizaliwa 1992. 3. 15. Kisha.", ["Alizaliwa 1992. 3. 15.", "Kisha."]),
        ("ur", "یہ ایم۔ اے۔ جناح ہے۔ وہ آیا۔", ["یہ ایم۔ اے۔ جناح ہے۔", "وہ آیا۔"]),
        ("ur", "یہ آئی۔ بی۔ ایم۔ ہے۔ وہ اے۔ تھا۔", ["یہ آئی۔ بی۔ ایم۔ ہے۔", "وہ اے۔", "تھا۔"]),
        (
            "en",
            "It has approx. 30 rooms (est. 1990). So est. 9 are.",
            ["It has approx. 30 rooms (est. 1990).", "So est. 9 are."],
        ),
        ("la", "Hoc verum est. 1990 annus.", ["Hoc verum est.", "1990 annus."]),
        ("nl", "Hij komt. 's-Hertogenbosch is groot.", ["Hij komt.", "'s-Hertogenbosch is groot."]),
        ("nl", "In 's-Hertogenbosch. Het is ver.", ["In 's-Hertogenbosch.", "Het is ver."]),
        ("ja", "彼は｢行く。帰る｣と言った。〝次。〟終。", ["彼は｢行く。帰る｣と言った。", "〝次。〟", "終。"]),
        ("ja", "彼は〝行く。帰る〟と言った。｢次。終。｣", ["彼は〝行く。帰る〟と言った。", "｢次。終。｣"]),
        ("en", "one\u2028two\rthree. Four.", ["one two three.", "Four."]),
    ],
)
def test_languages(lang, text, sentences):
    assert split_paragraph(text, lang) == sentences


def cut(lang, *paragraphs):
    """The sentences of a corpus of a few paragraphs, which it is learnt from too."""
    splitter = Splitter(lang, learn(paragraphs, lang))
    return [sentence for paragraph in paragraphs for sentence in splitter.cut(paragraph)]


@pytest.mark.parametrize(
    ("lang", "sentences"),
    [
        ("bn", ["দাম ৫০০.৫০ টাকা ছিল।", "সাক্ষরতার হার ৬৮.৭% হয়।", "আয়তন ১২.৫ কি.মি. বিস্তৃত।"]),
        ("mr", ["उंची ९.१ मीटर आहे.", "येथे डॉ. जोशी राहतात.", "ते म. गांधी यांना भेटले."]),
        ("fa", ["جمعیت آن ٩.١ میلیون است.", "این شهر بزرگ است."]),
        ("ur", ["رقبہ ۳۔۵ کلومیٹر ہے۔", "بی۔بی۔سی ایک ادارہ ہے۔", "حلقہ این اے۔31 یہاں ہے۔"]),
        ("ka", ["მთა მაღალია.", "ზამთარში თოვს.", "აქ ცხოვრობდა ი. ჭავჭავაძე.", "სიგრძე 5 კმ-ია."]),
        ("xmf", ["თე ქიანა რე.", "წყარი ჭითა რე."]),
        ("en", ["They sold phones.", "iPhone sales rose.", "eBay grew.", "macOS and iOS came next."]),
        ("zu", ["ITheku liyidolobha.", "iGoli likhulu.", "UMnu. Zulu wafika.", "eThekwini kuyashisa."]),
        ("xh", ["IKapa likhulu.", "eRhini kukho iyunivesithi.", "isiXhosa lulwimi."]),
        ("af", ["Die stad is oud.", "'n Groot brug is gebou."]),
        ("tok", ["toki pona li toki.", "jan li kepeken e ona.", "ona li pona."]),
        (
            "de",
            ["Im 19. Jahrhundert wuchs sie.", "Am 3. Juni war Markt.", "Der 1. FC spielt hier.", "Ludwig XIV. Straße"],
        ),
        ("de", ["Er hatte drei Kinder.", "»Ich bin müde«, sagte er.", "Dann ging er.", "»Gut!«", "Alle lachten."]),
        ("sv", ["Han gick.", "”Jag är trött”, sade han.", "Det var sent."]),
        ("en", ["It opened on 3 Feb. 1907 in Leeds.", "It ran for 9 km.", "1908 was its last year."]),
        ("fi", ["Se oli 3. Divisioona.", "Hän syntyi 1950.", "Talo paloi."]),
        ("hu", ["II. Rákóczi Ferenc vezette.", "A 2. Ukrán Front jött."]),
        ("it", ["Nacque nel 44 a.C. a Roma.", "Vedi la legge n. 1 del 1948.", "Fu console."]),
        ("el", ["Βλ. Κεφ. 3 του βιβλίου.", "Πού είναι;", "Εδώ είναι.", "Το 300 π.Χ. έζησε εκεί."]),
        ("he", ['צה"ל הוקם בשנת 1948.', "הוא צבא גדול.", 'ד"ר כהן גר בת"א.', 'אשתו היא עו"ד.', "הם כאן."]),
        ("yi", ["ער האָט געוווינט אין פֿ״ש.", "די שטאָט איז גרויס.", 'זי איז אַ ד"ר.', "ער אויך."]),
        ("en", ['The 12" single came out.', "It sold well.", 'A 7" followed.', "He was 6' tall.", 'It was 5".']),
        (
            "ja",
            [
                "『君の名は。』は公開された。",
                "掲示に【立入禁止。】とあった。",
                "J.R.R. トールキンは書いた。",
                "終わった。",
            ],
        ),
        ("zh", ["他说：“我来了。”", "他走了。", "温度是3.5度。", "《前进吧！》的歌词很长。"]),
        ("my", ["မြို့၏ စီးပွားရေး၊ ပညာရေး ဗဟိုဖြစ်သည်။", "မြို့ကြီးဖြစ်သည်။"]),
        ("am", ["ከተማ ናት፡፡", "ብዙ ሰዎች ይኖሩባታል።", "በ1886 ዓ.ም. ተመሠረተች፡፡", "ይህ ነው፧"]),
        ("hi", ["यह पहला है|", "यह दूसरा है।", "वह तीसरा है ||", "डॉ. शर्मा आए।"]),
        ("tn", ["Rra. Khama o ne a le tautona.", "O tlhokafetse ka 1980."]),
        ("my", ["“ကောင်းသည်။”ဟု ဆိုသည်။", "(လူများသည်။)", "မြို့ဖြစ်သည်။"]),
        ("ko", ["“저는 갑니다.”라고 말했다.", "그는 갔다."]),
        ("am", ["ይህ ከተማ ነው ፡፡", "ትልቅ ናት::", "ጥሩ ነው።"]),
        ("gu", ["પ્રો. શાહ આવ્યા.", "તે મોટું છે.", "ઊંચાઈ ૩.૫ મી. છે."]),
        ("hy", ["Տե՛ս էջ 5:", "Մոտ 5 մարդ էր:"]),
        ("hy", ["Ծնվել է 1900 թ.:", "Ժամը 12:30 էր:"]),
        ("or", ["ଏହା ଏକ ସହର |", "ଏହା ବଡ଼ |"]),
        ("hy", ["Քաղաքը մեծ է։", "Այն հին է:", "Ծնվել է մ.թ.ա. 5-րդ դարում:", "Նա ասել է. «Գնանք»։"]),
        ("fr", ["Né vers 800 av. J.-C. à Rome.", "M. Dupont vint.", "Il dit « oui. »", "Elle partit."]),
        ("cs", ["Žil v 19. století.", "Tzv. Karlův most stojí.", "Narodil se 5. května 1985.", "Zemřel."]),
        ("ru", ["Он родился в г. Москве.", "В 1900 г. А. С. Попов умер.", "Это т. н. правило."]),
        ("ko", ["서울은 수도이다.", "인구는 9.7백만 명이다.", "J. S. 바흐가 있다.", "끝이다."]),
        ("ar", ["ولد د. محمد في القاهرة.", "عاش في القرن 5 ق.م. في روما.", "هل مات؟", "نعم."]),
    ],
)
def test_a_corpus_of_one_paragraph(lang, sentences):
    assert cut(lang, " ".join(sentences)) == sentences


@pytest.mark.parametrize(
    ("lang", "sentences"),
    [
        ("ta", ["இது ஒரு நகரம்.", "இங்கு பலர் உள்ளனர்."]),
        ("bn", ["সে এল।", "তারপর গেল।"]),
        ("de", ["Er ging fort.", "Danach kam www.Beispiel.de dran."]),
        ("ar", ["ولدت عام 1953.", "وقد انتقلت إلى لندن."]),
    ],
)
def test_a_space_left_out_after_a_full_stop(lang, sentences):
    assert cut(lang, "".join(sentences)) == sentences


def test_a_dash_is_a_full_stop_where_paragraphs_end_with_it():
    assert cut("ur", *["یہ شہر ہے- وہ گاؤں ہے-"] * 3) == ["یہ شہر ہے-", "وہ گاؤں ہے-"] * 3
    assert cut("ur", "یہ شہر- وہ گاؤں ہے۔") == ["یہ شہر- وہ گاؤں ہے۔"]


def test_an_abbreviation_is_learnt_whatever_its_length_and_a_word_that_ends_sentences_is_not():
    text = ["Kazi ya Mhesh. Juma ni kubwa. Watu walifika mjini.", "Mhesh. Ali alisema. Kisha Mhesh. Asha alifika."] * 6
    assert cut("sw", *text)[:4] == [
        "Kazi ya Mhesh. Juma ni kubwa.",
        "Watu walifika mjini.",
        "Mhesh. Ali alisema.",
        "Kisha Mhesh. Asha alifika.",
    ]
    knowledge = learn(["ते घर आहे. हे गाव आहे. तो डॉ. जोशी आहे. डॉ. देव येथे आहे."] * 9, "mr")
    assert knowledge.abbreviations == (("डॉ", 18),)


def test_what_is_learnt_depends_on_the_first_articles_alone():
    first = ["Mhesh. Juma alifika. Mhesh. Ali alisema."] * 5
    more = [*first, "x" * SAMPLE_CHARACTERS, "Jina. Lake. Ndiye."]
    assert learn(more, "sw") == learn(more[:-1], "sw")
    assert learn(more, "sw").characters == SAMPLE_CHARACTERS + sum(map(len, first))


def test_unicode_marks_are_known():
    terminals = regex.findall(r"\p{Sentence_Break=STerm}", "".join(map(chr, range(0xD800))) + "︒︖︕﹖﹗！？｡")
    assert set(terminals) - {*FULL_STOPS, *EXCLAMATIONS} == {"၊"}  # the Burmese comma is one to Unicode


ODD = [
    "(Aaaa. Bbbb) cc. " * 9_000,
    "«" * 20_000,
    '"a. B ' * 9_000,
    "(" * 9_000 + ". A)" * 9_000,
    "." * 50_000,
    "a.A" * 20_000,
    ". ° " * 9_000,
]


@pytest.mark.parametrize("text", ODD)
def test_odd_text_takes_time_that_grows_with_its_length(text):
    assert "".join("".join(cut("fr", text)).split()) == "".join(text.split())


def test_wiki_codes():
    codes = {code: splitter_of(code) for code in ("simple", "zh_yue", "be-x-old", "th", "xx")}
    assert codes == {
        "simple": ("marks", "en"),
        "zh_yue": ("marks", "zh-yue"),
        "be-x-old": ("marks", "be-tarask"),
        "th": ("spaces", "th"),
        "xx": ("marks", "xx"),
    }


@pytest.mark.parametrize("line", ["{", "[]", "3", '{"id": "1"}', '{"text": 4}', ""])
def test_bad_line_is_named(tmp_path, line):
    path = write_articles(tmp_path / "a.jsonl", ["One."])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(PolyticketError, match=r"a\.jsonl:2: not an article; expected a JSON object"):
        split_articles([path], [], tmp_path / "out", lang="en")
    assert not (tmp_path / "out").exists()


LABELLED = sorted((ROOT / "tests/data/sentences").glob("*.txt"))


@pytest.mark.parametrize("path", LABELLED, ids=lambda path: path.stem)
def test_labelled_sentences(path):
    labelled = benchmark.read_labelled(path.stem)
    assert len(labelled) >= 40
    found = benchmark.by_polyticket(benchmark.joined(labelled, path.stem), path.stem)
    assert benchmark.f1_score(labelled, found) >= 0.985


def test_labelled_sentences_that_were_held_back():
    scores = [benchmark.held_back_score(path.stem) for path in benchmark.HELD_BACK.glob("*.txt")]
    assert len(scores) == 15
    assert sum(scores) / len(scores) >= 0.985


def test_boundaries_are_counted_within_paragraphs():
    assert benchmark.boundaries(["a b.", "c."]) == {3}
    assert benchmark.f1_score([["a.", "b.", "c."], ["d."]], [["a.", "b. c."], ["d", "."]]) == 2 / (2 + 1 + 1)
