"""How often each language is drawn."""

import numpy as np
import pytest

from polyticket.core.errors import PolyticketError
from polyticket.core.languages import CODES
from polyticket.pretraining.sampling import (
    draw_languages,
    language_of_pattern,
    ratios_of,
    read_ratios,
    smoothed_ratios,
    table_ratios,
)


def test_ratios_are_smoothed_by_the_exponent():
    np.testing.assert_allclose(smoothed_ratios([100, 400], 0.5), [1 / 3, 2 / 3])
    np.testing.assert_allclose(smoothed_ratios([100, 300], 1.0), [0.25, 0.75])
    np.testing.assert_allclose(smoothed_ratios([100, 300], 0.0), [0.5, 0.5])
    np.testing.assert_allclose(table_ratios({"en": 3, "fr": 1, "de": 9}, ["fr", "en"]), [0.25, 0.75])
    with pytest.raises(PolyticketError, match=r"sampling_ratios: no ratio for sw"):
        table_ratios({"en": 1}, ["en", "sw"])


def test_draws_follow_the_ratios_and_do_not_depend_on_the_schedule_length():
    draws = draw_languages(np.array([0.2, 0.5, 0.3]), 20_000, 7)
    np.testing.assert_array_equal(draws[:100], draw_languages(np.array([0.2, 0.5, 0.3]), 100, 7))
    np.testing.assert_allclose(np.bincount(draws) / draws.size, [0.2, 0.5, 0.3], atol=0.015)  # 4 deviations
    assert (draws[:100] != draw_languages(np.array([0.2, 0.5, 0.3]), 100, 8)).any()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"sampling_exponent": 0.5}, [1 / 3, 2 / 3]),
        ({"sampling_exponent": 1.0, "sampling_temperature": None, "sampling_ratios": None}, [0.2, 0.8]),
        ({"sampling_exponent": 0.7, "sampling_temperature": 2}, [1 / 3, 2 / 3]),
        ({"sampling_exponent": 0.7, "sampling_temperature": 1}, [0.2, 0.8]),
        ({"sampling_exponent": 0.7, "sampling_temperature": 1e12}, [0.5, 0.5]),
        ({"sampling_exponent": 0.7, "sampling_ratios": {"fr": 3, "en": 1}}, [0.25, 0.75]),
        ({"sampling_exponent": 0.5, "sampling_ratios": {}}, [1 / 3, 2 / 3]),
    ],
)
def test_exponent_temperature_and_table_give_ratios(options, expected):
    np.testing.assert_allclose(ratios_of(options, ["en", "fr"], [100, 400]), expected)


def test_a_temperature_is_the_exponent_of_its_inverse_to_the_bit():
    sizes = [3, 17, 400, 12_345_678]
    cold = ratios_of({"sampling_temperature": 4}, list("abcd"), sizes)
    assert cold.tobytes() == smoothed_ratios(sizes, 0.25).tobytes()
    assert (ratios_of({"sampling_exponent": 0.7}, list("abcd"), sizes) == smoothed_ratios(sizes, 0.7)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"sampling_temperature": 2, "sampling_ratios": {"en": 1, "fr": 1}},
            "pretraining: sampling_temperature is 2 beside sampling_ratios; expected one of the two",
        ),
        ({"sampling_temperature": 0}, "pretraining.sampling_temperature: 0; expected a number above 0"),
        ({"sampling_temperature": float("nan")}, "pretraining.sampling_temperature: nan; expected"),
        ({"sampling_temperature": 1e-3}, "sampling: sizes to the power of 1000 are too large"),
        ({"sampling_ratios": {"en": 1}}, "pretraining.sampling_ratios: no ratio for fr; expected every language"),
        ({"sampling_ratios": {"en": 1, "fr": -1}}, "pretraining.sampling_ratios: ratio -1 for fr; expected a number"),
        ({"sampling_ratios": {"en": float("nan"), "fr": 1}}, "pretraining.sampling_ratios: ratio nan for en"),
    ],
)
def test_ratios_that_cannot_be_are_refused(options, message):
    with pytest.raises(PolyticketError, match=f"^{message}"):
        ratios_of({"sampling_exponent": 0.7} | options, ["en", "fr"], [100, 400])


@pytest.mark.parametrize(
    ("pattern", "language"),
    [
        ("en", "en"),
        ("gs://my-bucket/seq128/sw/*.tfrecord", "sw"),  # `my` is Burmese, but further from the file
        ("records/fr_128/part-*-of-*", "fr"),
        ("/data/is/no/new/wiki.nds.tfrecord-*", "nds"),
        ("tfrecords/seq_128/wiki_zh.tfrecord", "zh"),
        ("data/zh_yue/*", "zh-yue"),
        ("data/zh-min-nan/*", "zh-min-nan"),
        ("data/AR/*", "ar"),
        ("new_en_128/*", "en"),  # `new` is Newar, which this run has not
        ("data/ent/en2/de/x-*", "de"),
    ],
)
def test_the_language_of_a_pattern_is_the_last_code_in_its_path(pattern, language):
    assert language_of_pattern(pattern, ["en", "fr", "sw", "zh", "zh-yue", "ar", "de", "nds"]) == language


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("records/seq128/*", "'records/seq128/\\*' names no language; expected a pattern with a language's code"),
        ("records/en-fr/*", "'records/en-fr/\\*' names en and fr; expected a pattern with the code of one language"),
    ],
)
def test_a_pattern_of_no_language_or_of_several_is_refused(pattern, message):
    with pytest.raises(PolyticketError, match=f"^r.csv:3: {message}"):
        language_of_pattern(pattern, ["en", "fr"], where="r.csv:3")


@pytest.mark.parametrize("text", ["r/en/*,1\nr/fr/*,3\n", "r/en/*\t1\r\nr/fr/*\t3\r\n", "\ufeffen , 1\n\n fr,3e0"])
def test_ratios_are_read_with_tabs_as_the_published_code_and_commas_as_its_page(tmp_path, text):
    (tmp_path / "r.csv").write_bytes(text.encode())
    assert read_ratios(tmp_path / "r.csv", ["en", "fr"]) == {"en": 1.0, "fr": 3.0}
    found = ratios_of({"sampling_exponent": 0.7, "sampling_ratios": str(tmp_path / "r.csv")}, ["fr", "en"], [5, 5])
    assert found.tolist() == [0.75, 0.25]


def test_commas_in_a_pattern_are_kept_and_other_languages_left_out(tmp_path):
    (tmp_path / "r.csv").write_text("en/{a,b}*,1\nfr/{a,b}*\t2\nsw/x,9\n", encoding="utf-8")
    assert read_ratios(tmp_path / "r.csv", ["en", "fr"]) == {"en": 1.0, "fr": 2.0}


def test_ratios_of_all_languages_are_read(tmp_path):
    rows = (f"gs://bucket/tfrecord/{code}/seq128-*\t{0.001 * (row + 1)}\n" for row, code in enumerate(CODES))
    (tmp_path / "r.csv").write_text("".join(rows), encoding="utf-8")
    assert read_ratios(tmp_path / "r.csv", CODES) == {code: 0.001 * (row + 1) for row, code in enumerate(CODES)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("en,1\nfr;2\n", ":2: 'fr;2'; expected a file pattern and its ratio with a tab or a comma between them"),
        ("en,1\nfr,x\n", ":2: ratio 'x' is not a number; expected a file pattern and its ratio"),
        ("en,\n", ":1: ratio '' is not a number"),
        (",1\n", ":1: ',1'; expected a file pattern"),
        ("en,1\nfr,-0.5\n", ":2: ratio -0.5; expected a number above 0"),
        ("en,0\n", ":1: ratio 0; expected a number above 0"),
        ("en,nan\n", ":1: ratio nan; expected a number above 0"),
        ("en,inf\n", ":1: ratio inf; expected a number above 0"),
        ("a/en/*,1\n\nfr,1\nb/en/*,2\n", ":4: a second ratio for en, after line 1; expected one row per language"),
        ("en,1\n", ": no ratio for fr; expected every language"),
        ("en,1\nrecords/*,1\n", r":2: 'records/\*' names no language"),
    ],
)
def test_a_mistake_in_a_file_of_ratios_is_named_with_its_line(tmp_path, text, message):
    path = tmp_path / "r.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PolyticketError, match=f"r.csv{message}"):
        ratios_of({"sampling_exponent": 0.7, "sampling_ratios": str(path)}, ["en", "fr"], [1, 1])


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_of_ratios_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "r.csv"
    if content is not None:
        path.write_bytes(content)
    line = "no such file" if content is None else "not UTF-8 at byte 0; expected rows of a file pattern"
    with pytest.raises(PolyticketError, match=f"r.csv: {line}"):
        read_ratios(path, ["en"])
