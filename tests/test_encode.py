import os
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from polyticket.errors import PolyticketError
from polyticket.tasks.data import TASKS, Sentence, read_sentences
from polyticket.tasks.encode import WordEncoder, unflatten

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##a", "##b", "'", "["]
PAD, UNK, CLS, SEP, MASK, A, B, AA, BB, QUOTE, OPEN = range(len(PIECES))
LABELS = ("O", "B-PER", "I-PER")


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


def encoded(folder: Path, *words: str, length: int = 128) -> list[list[int]]:
    return [window.ids.tolist() for window in WordEncoder(folder, length).windows([sentence(*words)], LABELS)]


def test_label_stands_on_the_first_piece(folder):
    (window,) = WordEncoder(folder).windows([sentence("ab", "a'a", "b")], LABELS)
    assert window.ids.tolist() == [CLS, A, BB, A, QUOTE, A, B, SEP]
    assert window.firsts.tolist() == [1, 3, 6]
    assert window.labels.tolist() == [1, 0, 1]


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
        windows = WordEncoder(folder, length).windows(sentences, LABELS)
        assert [LABELS[label] for window in windows for label in window.labels] == gold
        for window in windows:
            assert len(window.ids) <= length
            assert len(window.firsts) == len(window.labels) == len(set(window.firsts.tolist())) > 0
            assert window.firsts.min() >= 1
            assert window.firsts.max() < len(window.ids) - 1


def test_unflatten_gives_tags_back_to_their_sentences():
    assert unflatten(["O", "B-PER", "O"], [sentence("a"), sentence("a", "b")]) == [["O"], ["B-PER", "O"]]


def test_tokenizers_that_do_not_fit_are_refused(folder, tmp_path):
    with pytest.raises(PolyticketError, match="max_seq_length: 2; expected at least 3"):
        WordEncoder(folder, 2)
    with pytest.raises(PolyticketError, match=r"none/tokenizer.json|none: no such file"):
        WordEncoder(tmp_path / "none")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(PolyticketError, match=r"broken.json: not a tokenizer"):
        WordEncoder(tmp_path / "broken.json")
    Tokenizer(models.WordPiece({"[UNK]": 0}, unk_token="[UNK]")).save(str(tmp_path / "bare.json"))
    with pytest.raises(PolyticketError, match=r"no piece \[CLS\]"):
        WordEncoder(tmp_path / "bare.json")


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
        sentences = read_sentences(
            data / task / language / TASKS[task].file.format(split="test"), TASKS[task], language
        )
        windows = WordEncoder(tmp_path).windows(sentences, TASKS[task].labels)
        labels = [TASKS[task].labels[label] for window in windows for label in window.labels]
        assert labels == [tag for s in sentences for tag in s.tags]
        assert len(windows) > len(sentences)
        assert max(len(window.ids) for window in windows) <= 128
