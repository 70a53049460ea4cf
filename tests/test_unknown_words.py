"""Unknown words: how they are counted and explained, and when they stop a run."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from polyticket.core.errors import PolyticketError
from polyticket.model.folder import write_model
from polyticket.records.held_out import tokenize_and_hold_out
from polyticket.records.tokens import tokenize_corpus
from polyticket.tasks.backbones.base import read_backbone
from polyticket.tasks.examples import Pair, Sentence, Text, text_of
from polyticket.tasks.finetuning import FinetuningSpec, prepare
from polyticket.tasks.options import FinetuneOptions
from polyticket.tasks.table import PANX
from polyticket.tasks.tokenizer import TaskTokenizer
from polyticket.tokenizer.unknown_words import LENGTH, SAMPLED, Limits, count_unknown, sampled, sampled_lines
from polyticket.tokenizer.wordpiece import SPECIAL_TOKENS, load_for_text, wordpiece, write_tokenizer
from tests.support.models import TINY, trained_model

DEFAULT = Limits(0.1, 0.9)
LETTERS = "abcdefghijklmnopqrstuvwxyz"
UNCASED = [*SPECIAL_TOKENS, *LETTERS, *(f"##{char}" for char in LETTERS), ".", ","]
CASED = [*UNCASED, *LETTERS.upper(), "é", "##é"]


def counted(tokens: list[str], *texts: str):
    tokenizer = wordpiece(tokens)
    tokenizer.encode_special_tokens = True
    return count_unknown(tokenizer, tokenizer.token_to_id("[UNK]"), texts)


def test_words_are_counted_not_tokens():
    found = counted(CASED, "abc def, ghi.", "日本 abc")
    assert found.about() == {"words": 8, "unknown": 2, "misread": 0, "unknown_rate": 0.25, "misread_rate": 0.0}
    assert found.examples == ("日", "本")
    assert counted(CASED).about()["unknown_rate"] == 0.0


def test_capitals_are_misread_by_an_uncased_vocabulary():
    found = counted(UNCASED, "The Old Bridge stood. Élan vital", "The Mill")
    assert (found.words, found.unknown, found.misread) == (9, 6, 6)
    assert found.examples == ("The", "Bridge", "Mill", "Old", "Élan")
    message = (
        r"^voc: 67% of the words of fr are unknown to the tokenizer, such as 'The', 'Bridge', 'Mill', 'Old', 'Élan'; "
        r"the text has capitals or accents and the vocabulary none, so it is one for lower-cased text "
        r"\(do_lower_case\); expected a share of at most 0\.1, or another unknown_words\.max_misread_share "
        r"in the configuration$"
    )
    with pytest.raises(PolyticketError, match=message):
        found.require(DEFAULT, "fr", "voc")
    found.require(Limits(0.7, 0.9), "fr", "voc")
    found.require(Limits(None, None), "fr", "voc")


def test_letters_that_a_cased_vocabulary_lacks_are_no_misreading():
    found = counted(CASED, "ሰላም ነው እንዴት abc")
    assert (found.words, found.unknown, found.misread) == (4, 3, 0)
    found.require(DEFAULT, "am", "voc")
    with pytest.raises(
        PolyticketError, match=r"75% of .* characters such as '.' \(Ethiopic\), so it may be of other lang"
    ):
        found.require(Limits(0.1, 0.5), "am", "voc")
    accents = counted(CASED, "дӓ àbc éa")  # the vocabulary has accents, only not this one
    assert (accents.unknown, accents.misread) == (2, 0)


def test_another_script_altogether_stops():
    found = counted(CASED, "ሰላም ነው እንዴት")
    with pytest.raises(PolyticketError, match=r"100% of the words of am .*another unknown_words\.max_share "):
        found.require(DEFAULT, "am", "voc")


def test_known_letters_that_make_no_words_are_of_another_kind_of_tokenizer():
    found = counted([*SPECIAL_TOKENS, *LETTERS, *LETTERS.upper()], "abc def a")  # no piece continues a word
    assert (found.words, found.unknown, found.misread) == (3, 2, 2)
    with pytest.raises(PolyticketError, match="the vocabulary has their letters, so it may be of another kind"):
        found.require(DEFAULT, "en", "voc")


def test_long_words_of_writing_without_spaces_are_no_misreading():
    found = counted(CASED, f"{'ab' * 100}c {'ba' * 100} cab")  # one of 201 characters, one of 200
    assert (found.words, found.unknown, found.misread) == (3, 1, 0)
    assert found.reason == "words of more than 200 characters, as in text without spaces, are not tokenized"
    assert found.examples == ("ab" * 20,)


def test_other_tokenizers_count_tokens():
    scores = [("<unk>", -9.0), *((char, -1.0) for char in "▁abc")]
    tokenizer = Tokenizer(models.Unigram(scores, 0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    found = count_unknown(tokenizer, 0, ["ab Cb"])
    assert (found.words, found.unknown, found.misread) == (6, 1, 1)
    assert count_unknown(tokenizer, None, ["ab cd"]).unknown == 0


def test_many_unknown_words_below_the_limit_are_told(caplog):
    with caplog.at_level(logging.WARNING, "polyticket"):
        counted(CASED, "abc def").require(DEFAULT, "en", "voc")
        assert not caplog.records
        counted(CASED, "abc ሰላም").require(DEFAULT, "am", "voc")
    assert [record.getMessage().partition(",")[0] for record in caplog.records] == [
        "voc: 50% of the words of am are unknown to the tokenizer"
    ]


def test_samples_are_spread_evenly(tmp_path):
    texts = [str(number) for number in range(3 * SAMPLED)]
    assert sampled(texts) == texts[::3]
    assert sampled(["a" * 5000]) == ["a" * LENGTH]
    assert sampled([]) == []
    (tmp_path / "s.txt").write_text("\n".join(f"{number:07}" for number in range(1_000_000)) + "\n")
    lines = sampled_lines(tmp_path / "s.txt")
    assert len(lines) == SAMPLED
    numbers = np.array([int(line) for line in lines])
    assert (np.diff(numbers) > 0).all()
    assert np.histogram(numbers, 4, (0, 1_000_000))[0].tolist() == pytest.approx([SAMPLED / 4] * 4, rel=0.05)
    (tmp_path / "small.txt").write_bytes(b"one\n\ntwo\r\n\xff\nend")
    assert [line.strip() for line in sampled_lines(tmp_path / "small.txt")] == ["one", "two", "end"]


def test_limits_are_read_from_text():
    assert Limits.of("0.1 0.9") == DEFAULT
    assert Limits.of("None 1") == Limits(None, 1.0)


def test_the_text_of_an_example():
    assert text_of(Sentence(("a", "b"), ("O", "O"))) == "a b"
    assert text_of(Pair("a", "b", "neutral")) == "a b"
    assert text_of(Text("a\nb")) == "a\nb"


def test_a_corpus_is_not_tokenized_by_a_vocabulary_that_misreads_it(tmp_path):
    write_tokenizer(UNCASED, tmp_path / "voc")
    (tmp_path / "s.txt").write_text("The Mill.\nThe mill.\n\nThe Bridge.\n")
    options = {"language": "en", "share": 0.0, "most": 1, "seed": 1}
    with pytest.raises(PolyticketError, match=r"voc: 56% of the words of en .* such as 'The', 'Bridge', 'Mill'"):
        tokenize_and_hold_out(
            tmp_path / "s.txt", tmp_path / "voc", tmp_path / "out", tmp_path / "held", limits=DEFAULT, **options
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.txt", "voc"]
    stats = tokenize_corpus(tmp_path / "s.txt", tmp_path / "voc", tmp_path / "out", language="en")
    assert stats["unknown_tokens"] == 5
    assert load_for_text(tmp_path / "voc").encode("The", add_special_tokens=False).tokens == ["[UNK]"]


def model_of(folder: Path, tokens: list[str]) -> Path:
    """A BERT whose tokenizer has these pieces."""
    shape = type(TINY)(**{**TINY.__dict__, "vocab_size": len(tokens)})
    write_tokenizer(tokens, folder / "voc")
    (folder / "model").mkdir()
    write_model(trained_model(shape), folder / "model", tokenizer=folder / "voc")
    return folder / "model"


def sentences(*texts: str) -> list[Sentence]:
    return [Sentence(tuple(text.split()), ("O",) * len(text.split())) for text in texts]


def test_fine_tuning_stops_before_it_begins_and_records_what_is_unknown(tmp_path):
    backbone = read_backbone(model_of(tmp_path, UNCASED), DEFAULT)
    assert backbone.reinitialized(1).tokenizer.limits == DEFAULT
    good, bad = sentences("the mill .", "the bridge"), sentences("The Mill .", "the bridge")
    how = FinetuneOptions(max_seq_length=16, threads=1, precision="float32")
    asked = FinetuningSpec(PANX, "sw", 1, how)
    made = prepare(backbone, {"train": good, "dev": good, "test": good}, asked)
    none = {"words": 5, "unknown": 0, "misread": 0, "unknown_rate": 0.0, "misread_rate": 0.0}
    assert made.unknown == {"train": none, "dev": none, "test": none}
    with pytest.raises(PolyticketError, match=r"model: 40% of the words of sw .* such as 'Mill', 'The'"):
        prepare(backbone, {"train": good, "dev": good, "test": bad}, asked)
    backbone.tokenizer.limits = Limits()
    made = prepare(backbone, {"train": good, "dev": good, "test": bad}, asked)
    assert json.loads(json.dumps(made.unknown["test"]))["misread_rate"] == 0.4


def test_bytes_have_no_unknown_words(tmp_path):
    made = Tokenizer(models.BPE({"a": 0, "b": 1}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel()
    made.save(str(tmp_path / "tokenizer.json"))
    assert TaskTokenizer(tmp_path / "tokenizer.json").unknown_words(["ab"], "en").unknown == 0
