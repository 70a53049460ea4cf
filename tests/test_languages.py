"""The table of languages: complete, right, and true of the installed splitter."""

import subprocess
import sys
import unicodedata

import pytest
import sentencex

from polyticket.core.errors import PolyticketError
from polyticket.core.languages import (
    CODES,
    LANGUAGES,
    SCRIPTS,
    known_languages,
    language,
    require_languages,
    splitter_of,
)
from polyticket.corpus import sentences

ROWS = """
en ceb de sv fr nl ru es it pl ja vi war uk ar pt fa ca sr id ko no fi tr hu cs ce sh ro tt eu ms he hy da bg
cy azb sk kk et min be el hr lt gl az uz ur sl ka nn hi th ta la mk ast bn lv tg af my mg bs mr oc sq ky ml te
sw br new jv ht pms pnb su lb ba ga lmo is cv fy tl an sco pa io vo yo ne gu kn bar scn bpy mn nds zh
"""
NOT_LATIN = {
    "Cyrillic": "ru uk ce bg kk be mk tg ky ba cv mn",
    "Cyrillic, Latin": "sr tt",
    "Latin, Cyrillic": "sh uz",
    "Arabic": "ar fa azb ur pnb",
    "Devanagari": "hi mr new ne",
    "Bengali": "bn bpy",
    "Han": "zh",
    "Han, Hiragana, Katakana": "ja",
    "Hangul, Han": "ko",
    **{"Hebrew": "he", "Armenian": "hy", "Greek": "el", "Georgian": "ka", "Thai": "th", "Tamil": "ta", "Myanmar": "my"},
    **{"Malayalam": "ml", "Telugu": "te", "Gurmukhi": "pa", "Gujarati": "gu", "Kannada": "kn"},
}
OWN_RULES = "am ar bg bn ca da de el en es fi fr gu hi hy it ja kk kn ml mr my nl pa pl pt ru sk ta te uk"
PROBES = [  # an abbreviation that some of the rules know: together they tell all rules apart but Hindi's and Marathi's
    *("Word a. s. a. p. Next word.", "Word dir. rom. Next word.", "Word Adj. Next word.", "Word a. r. k. Next word."),
    *("Word б.р. Next word.", "Word Adm. Next word.", "Word d.y. Next word.", "Word Γ. Next word."),
    *("Word ا. Next word.", "Word आई. Next word.", "Word আই. Next word.", "Word ਆਈ. Next word.", "Word આઈ. Next word."),
    *("Word ఆర్. Next word.", "Word ಆರ್. Next word.", "Word ആർ. Next word.", "တ၏ တ"),
]


def behaviour(code: str) -> list[int]:
    return [len(sentencex.segment(code, probe)) for probe in PROBES]


def test_codes_stand_in_the_order_of_their_rows():
    assert tuple(ROWS.split()) == CODES
    assert len(CODES) == len(set(CODES)) == 103


def test_scripts_are_those_the_wikipedias_are_written_in():
    expected = dict.fromkeys(CODES, "Latin")
    expected |= {code: scripts for scripts, codes in NOT_LATIN.items() for code in codes.split()}
    assert {code: ", ".join(found.scripts) for code, found in LANGUAGES.items()} == expected


@pytest.mark.parametrize("code", CODES)
def test_own_names_are_spelt_in_the_language_s_scripts(code):
    found = LANGUAGES[code]
    letters = [unicodedata.name(letter) for letter in found.native if unicodedata.category(letter)[0] in "LM"]
    shown = {"CJK" if script == "Han" else script.upper() for script in found.scripts}
    marks = {name for name in letters if name.split()[0] not in shown}
    assert letters
    assert marks <= {"MODIFIER LETTER TURNED COMMA"}  # of Uzbek


def test_names_are_told_apart():
    assert len({found.name for found in LANGUAGES.values()}) == 103
    assert [LANGUAGES[code].name for code in ("no", "nn", "io", "sco")] == [
        *("Norwegian Bokmål", "Norwegian Nynorsk", "Ido", "Scots"),
    ]


def test_direction_is_that_of_the_script():
    assert [code for code in CODES if LANGUAGES[code].direction == "rtl"] == ["ar", "fa", "he", "azb", "ur", "pnb"]


def test_probes_tell_the_splitter_s_rules_apart():
    rules = [tuple(behaviour(code)) for code in OWN_RULES.split()]
    assert len(set(rules)) == len(rules) - 1
    assert behaviour("hi") == behaviour("mr")


@pytest.mark.parametrize("code", [code for code in CODES if LANGUAGES[code].rules])
def test_the_splitter_applies_the_rules_that_the_table_says(code):
    rules = LANGUAGES[code].rules
    assert rules in OWN_RULES.split()
    assert behaviour(splitter_of(code)[1]) == behaviour(rules)
    assert LANGUAGES[code].splitter == "marks"


def test_only_languages_without_marks_are_split_at_spaces():
    assert [code for code in CODES if LANGUAGES[code].splitter == "spaces"] == ["th"]
    assert [code for code in CODES if LANGUAGES[code].rules is None] == ["th"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("fr", ("marks", "fr")),
        ("zh_yue", ("marks", "zh-yue")),
        ("be-x-old", ("marks", "be-tarask")),
        ("simple", ("marks", "en")),
        ("km", ("spaces", "km")),
    ],
)
def test_the_splitter_of_any_wikipedia_is_named(code, expected):
    assert splitter_of(code) == expected
    assert sentences.splitter_of is splitter_of


def test_a_configuration_adds_languages_and_describes_known_ones_anew():
    extra = {
        "zh-yue": {"name": "Cantonese", "scripts": ["Han"]},
        "uz": {"scripts": ["Latin"]},
        "xx": {"scripts": ["Lao"]},
    }
    known = known_languages(extra)
    assert list(known) == [*CODES, "zh-yue", "xx"]
    assert (known["zh-yue"].name, known["zh-yue"].scripts, known["zh-yue"].rules) == ("Cantonese", ("Han",), None)
    assert (known["uz"].name, known["uz"].scripts, LANGUAGES["uz"].scripts) == (
        "Uzbek",
        ("Latin",),
        ("Latin", "Cyrillic"),
    )
    assert known["xx"].name == "xx"
    assert known_languages() == known_languages({}) == LANGUAGES


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (
            {"Zh": {"scripts": ["Han"]}},
            "extra_languages.Zh: bad code 'Zh'; expected a Wikipedia's code, such as zh-yue",
        ),
        ({"xx": {}}, r"extra_languages.xx: no scripts; expected scripts, for example \[Latin\]"),
        ({"xx": {"scripts": "Latin"}}, "extra_languages.xx.scripts: 'Latin'; expected a list of scripts"),
        (
            {"xx": {"scripts": ["latn"]}},
            "extra_languages.xx.scripts: unknown script 'latn'; expected Latin, or one of Ar",
        ),
        ({"en": {"scripts": []}}, r"extra_languages.en.scripts: \[\]; expected a list of scripts"),
        ({"xx": {"script": ["Latin"]}}, "extra_languages.xx: unknown key 'script'; expected name, native, scripts"),
    ],
)
def test_a_mistake_in_added_languages_is_named(extra, message):
    with pytest.raises(PolyticketError, match=f"^{message}"):
        known_languages(extra)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("Fr", "fr, or an entry 'Fr' in extra_languages"),
        ("swahili", "sw, or an entry 'swahili' in extra_languages"),
        ("norwegian", "no, ka, nn, or an entry 'norwegian' in extra_languages"),
        ("zh-yue", "an entry 'zh-yue' in extra_languages"),
    ],
)
def test_an_unknown_code_is_met_with_the_nearest_ones(code, expected):
    with pytest.raises(PolyticketError) as caught:
        require_languages(["en", code])
    assert str(caught.value) == f"config languages: unknown language {code!r}; expected {expected}"


def test_required_languages_come_in_the_order_asked_for():
    known = known_languages({"zh-yue": {"scripts": ["Han"]}})
    assert [found.code for found in require_languages(["sw", "zh-yue", "en"], known)] == ["sw", "zh-yue", "en"]
    assert language("fr") is LANGUAGES["fr"]


def test_scripts_that_other_wikipedias_need_are_known():
    assert {"Ethiopic", "Tibetan", "Oriya", "Sinhala", "Khmer", "Latin", "Canadian_Aboriginal"} <= SCRIPTS


def test_the_table_needs_no_heavy_imports():
    code = "import sys, polyticket.core.languages; print({'sentencex', 'numpy', 'torch'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
