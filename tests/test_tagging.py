import os
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from polyticket.core.errors import PolyticketError
from polyticket.tasks.data.loading import load_splits
from polyticket.tasks.encoded import Encoded
from polyticket.tasks.examples import Sentence
from polyticket.tasks.heads.tagging import Tagging
from polyticket.tasks.table import PANX, TASKS
from polyticket.tasks.tokenizer import TaskTokenizer

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##a", "##b", "'", "["]
PAD, UNK, CLS, SEP, MASK, A, B, AA, BB, QUOTE, OPEN = range(len(PIECES))
LABELS = PANX.labels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    vocabulary = {piece: number for number, piece in enumerate(PIECES)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=200))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(PIECES[:5])
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=9)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def sentence(*words: str) -> Sentence:
    return Sentence(words, tuple("O" if n % 2 else "B-PER" for n in range(len(words))))


def windows(folder: Path, sentences: list[Sentence], length: int = 128) -> Encoded:
    return Tagging(PANX).encode(sentences, TaskTokenizer(folder), length)


def rows(made: Encoded, column: str) -> list[list[int]]:
    return [made[column].row(number).tolist() for number in range(len(made))]


def encoded(folder: Path, *words: str, length: int = 128) -> list[list[int]]:
    return rows(windows(folder, [sentence(*words)], length), "ids")


def test_label_stands_on_the_first_piece(folder):
    made = windows(folder, [sentence("ab", "a'a", "b")])
    assert rows(made, "ids") == [[CLS, A, BB, A, QUOTE, A, B, SEP]]
    assert rows(made, "firsts") == [[1, 3, 6]]
    assert rows(made, "labels") == [[1, 0, 1]]


def test_truncation_and_padding_of_the_file_do_not_apply(folder):
    assert encoded(folder, "aaaaaaaa") == [[CLS, A, *[AA] * 7, SEP]]


def test_long_sentences_are_cut_at_word_boundaries(folder):
    assert encoded(folder, "aa", "bb", "a", "bbb", length=6) == [
        [CLS, A, AA, B, BB, SEP],
        [CLS, A, B, BB, BB, SEP],
    ]
    assert encoded(folder, "a", "abab", "b", length=6) == [[CLS, A, SEP], [CLS, A, BB, AA, BB, SEP], [CLS, B, SEP]]


def test_words_that_fill_a_window_stay_and_longer_ones_are_unknown(folder):
    assert encoded(folder, "aaaa", "aaaaa", length=6) == [[CLS, A, AA, AA, AA, SEP], [CLS, UNK, SEP]]


def test_words_that_vanish_are_unknown(folder):
    assert encoded(folder, "a", "\x00", "\x9f", "", "\ufffd", " ", "b") == [[CLS, A, UNK, UNK, UNK, UNK, UNK, B, SEP]]


def test_words_that_spell_special_pieces_are_text(folder):
    assert encoded(folder, "[SEP]") == [[CLS, OPEN, UNK, UNK, SEP]]


def test_every_word_is_labelled_whatever_the_length(folder):
    sentences = [sentence(*(["a", "ab", "\x00", "aaaaa", "", "b'a"] * 5)), sentence("b"), sentence("aaaaaaaaa")]
    gold = [tag for s in sentences for tag in s.tags]
    for length in range(3, 20):
        made = windows(folder, sentences, length)
        assert [LABELS[label] for label in made["labels"].values] == gold
        assert made.lengths().max() <= length
        for ids, firsts, labels in zip(rows(made, "ids"), rows(made, "firsts"), rows(made, "labels"), strict=True):
            assert len(firsts) == len(labels) == len(set(firsts)) > 0
            assert 1 <= min(firsts) <= max(firsts) < len(ids) - 1


def test_tags_of_windows_are_given_back_to_their_sentences(folder):
    sentences = [sentence("a"), sentence("a", "aaa", "b", "bbb", "a"), sentence("b", "a")]
    made = windows(folder, sentences, 5)
    assert rows(made, "example") == [[0], [1], [1], [1], [1], [1], [2]]
    found = [made["labels"].row(number) for number in range(len(made))]
    assert Tagging(PANX).gather(found, made, sentences) == [s.tags for s in sentences]


def test_tokenizers_that_do_not_fit_are_refused(folder, tmp_path):
    with pytest.raises(PolyticketError, match="max_seq_length: 2; expected at least 3"):
        windows(folder, [sentence("a")], 2)
    with pytest.raises(PolyticketError, match=r"none/tokenizer.json|none: no such file"):
        TaskTokenizer(tmp_path / "none")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(PolyticketError, match=r"broken.json: cannot be read as a tokenizer"):
        TaskTokenizer(tmp_path / "broken.json")
    Tokenizer(models.WordPiece({"[UNK]": 0}, unk_token="[UNK]")).save(str(tmp_path / "bare.json"))
    with pytest.raises(PolyticketError, match=r"no token \[CLS\]; expected a tokenizer with a cls token"):
        windows(tmp_path / "bare.json", [sentence("a")])


def test_special_pieces_are_those_that_the_tokenizers_settings_name(folder):
    (folder / "tokenizer_config.json").write_text('{"cls_token": "a", "sep_token": {"content": "b"}}')
    pieces = TaskTokenizer(folder)
    assert [pieces.special(role) for role in ("cls", "sep", "unk", "pad", "mask")] == [A, B, UNK, PAD, MASK]
    assert pieces.all_special() == [PAD, UNK, CLS, SEP, MASK, A, B]
    assert encoded(folder, "ab", "ba") == [
        [A, UNK, BB, UNK, AA, B]
    ]  # text that spells a special piece is no special piece
    assert TaskTokenizer(folder).digest() == pieces.digest()
    (folder / "tokenizer_config.json").write_text('{"cls_token": "b"}')
    assert TaskTokenizer(folder).digest() != pieces.digest()


@pytest.mark.skipif("POLYTICKET_DATA" not in os.environ, reason="POLYTICKET_DATA is not set")
def test_real_tokens_are_all_scored(tmp_path):
    data = Path(os.environ["POLYTICKET_DATA"])
    lines = (data / "mbert/vocab.txt").read_text(encoding="utf-8").split("\n")[:119547]
    vocabulary = {piece: number for number, piece in enumerate(lines)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    for task, language in (("panx", "zh"), ("udpos", "ar")):
        source = str(data / task / language)
        sentences = load_splits(source, TASKS[task], language, splits={}, dev_share=0.1, seed=1)["test"]
        made = Tagging(TASKS[task]).encode(sentences, TaskTokenizer(tmp_path), 128)
        labels = [TASKS[task].labels[label] for label in made["labels"].values]
        assert labels == [tag for s in sentences for tag in s.tags]
        assert len(made) > len(sentences)
        assert made.lengths().max() <= 128
