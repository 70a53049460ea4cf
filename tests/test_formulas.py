"""Formulas: a sentence with one is left out and counted, or shows what the configuration says."""

import json

import pytest

from polyticket.corpus.split import Filters, filters_from, split_articles
from tests.support.wiki_text import extracted

PAGE = (
    "The mass <math>m</math> is small. It is known.\n\n:<math>E = mc^2</math>,\n\nWater is {{nowrap|<chem>H2O</chem>}} "
    "here. Salt is not.\n\nA mark \ufffc of its own stays out. Then {{sum|3}} is added. End."
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
        assert ledger["sentences"]["dropped"]["formula"] == ledger["lost"]["formulas"] == 3
        shown_of = [
            ("A", "The mass \ufffc is small."),
            ("A", "Water is \ufffc here."),
            ("A", "Then a \ufffc is added."),
        ]
        assert ledger["lost"]["formula_examples"] == shown_of
    else:
        assert lines == [
            "The mass FORMULA is small.",
            LEFT[0],
            "Water is FORMULA here.",
            LEFT[1],
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
