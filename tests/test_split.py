"""What may be left out of sentences."""

import numpy as np
import pytest

from polyticket.core.errors import PolyticketError
from polyticket.corpus.split import Filters, filters_from, hash_paragraphs, keep_first, script_share

OFF = {"drop_duplicates": False, "min_characters": 0, "min_script_share": 0}


@pytest.mark.parametrize(
    ("text", "scripts", "share"),
    [
        ("Berlin 1999!", ("Latin",), 1.0),
        ("abcдежз", ("Latin",), 3 / 7),
        ("abcдежз", ("Latin", "Cyrillic"), 1.0),
        ("日本のカナ", ("Han", "Hiragana"), 3 / 5),
        ("1999 – 2000", ("Arabic",), 1.0),
    ],
)
def test_script_share(text, scripts, share):
    assert script_share(text, scripts) == share


def test_reasons():
    tested = Filters(min_characters=4, min_script_share=0.5, scripts=("Arabic",))
    reasons = [tested.reason(text) for text in ("abc", "abcd", "نهر النيل", "نهر ab", "1234")]
    assert reasons == ["too_short", "wrong_script", None, None, None]
    assert Filters().reason("") is None


def test_filters_from_configuration():
    assert filters_from(OFF, "fr") == Filters(scripts=("Latin",))
    assert filters_from(OFF | {"scripts": ["Han"], "min_script_share": 1}, "fr") == Filters(False, 0, 1, ("Han",))
    with pytest.raises(PolyticketError, match="min_script_share: no scripts are known for xx"):
        filters_from(OFF | {"min_script_share": 0.5}, "xx")
    with pytest.raises(PolyticketError, match="min_script_share: 2; expected 0 to 1"):
        filters_from(OFF | {"min_script_share": 2}, "fr")
    with pytest.raises(PolyticketError, match="min_characters: -1; expected 0 or more"):
        filters_from(OFF | {"min_characters": -1}, "fr")


@pytest.mark.parametrize("bucket_bytes", [8, 64, 2**20])
def test_first_of_equal_paragraphs_stays_whatever_the_buckets(tmp_path, bucket_bytes):
    ranges = [["a", "b", "a  b", "a"], [], ["b", "c", "a b", "d"]]
    paths = [tmp_path / str(number) for number in range(3)]
    for path, paragraphs in zip(paths, ranges, strict=True):
        hash_paragraphs(paragraphs).tofile(path)
    assert keep_first(paths, tmp_path / "keep", bucket_bytes) == 8
    assert np.fromfile(tmp_path / "keep", np.uint8).tolist() == [1, 1, 1, 0, 0, 1, 0, 1]


def test_no_paragraph(tmp_path):
    assert hash_paragraphs([]).tolist() == []
    assert keep_first([], tmp_path / "keep") == 0
    assert (tmp_path / "keep").read_bytes() == b""
