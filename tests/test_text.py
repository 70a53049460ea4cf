"""Text files: what is read, and the one line for what cannot be read."""

import pytest

from polyticket.core.errors import PolyticketError
from polyticket.core.text import UTF_8, decoded, lines_of, read_text


def line_of(read, path) -> str:
    with pytest.raises(PolyticketError) as caught:
        read(path)
    return str(caught.value)


def test_a_text_comes_without_its_byte_order_mark_and_carriage_returns(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\xc3\xa9\rc\n")
    assert read_text(path) == "a\nbé\nc\n"


def test_lines_end_at_line_feeds_alone(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffa\r\nb\u2028c\x0bd\n\ne".encode())
    assert list(lines_of(path)) == ["a", "b\u2028c\x0bd", "", "e"]
    path.write_bytes(b"")
    assert list(lines_of(path)) == []


@pytest.mark.parametrize("read", [read_text, lambda path: list(lines_of(path))], ids=["text", "lines"])
def test_a_file_that_cannot_be_opened_ends_in_one_line(tmp_path, read):
    assert line_of(read, tmp_path / "none.txt") == f"{tmp_path}/none.txt: no such file"
    assert line_of(read, tmp_path) == f"{tmp_path}: Is a directory"


def test_bytes_that_are_no_utf_8_are_named_by_their_place(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfa\n\nb\xff\n")
    assert line_of(read_text, path) == f"{path}: not UTF-8 at byte 7"
    assert line_of(lambda path: read_text(path, expected="words"), path).endswith("at byte 7; expected words")
    assert (
        line_of(lambda path: list(lines_of(path)), path) == f"{path}:3: not UTF-8: invalid start byte; expected {UTF_8}"
    )


def test_zero_bytes_are_another_encoding():
    with pytest.raises(PolyticketError, match=r"^a:1: not UTF-8: a zero byte, as UTF-16 has; expected UTF-8$"):
        list(decoded(["a".encode("utf-16-le")], "a", expected="UTF-8"))
