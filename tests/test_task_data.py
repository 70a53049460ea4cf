import os
from pathlib import Path

import pytest

from polyticket.errors import PolyticketError
from polyticket.tasks.baseline import MostFrequentTag, baseline_scores
from polyticket.tasks.data import ENTITIES, TASKS, UPOS, Sentence, read_sentences, task_named, write_tags

PANX, UDPOS = TASKS["panx"], TASKS["udpos"]


def read(tmp_path: Path, data: bytes, task=PANX, language="fr") -> list[Sentence]:
    path = tmp_path / "train"
    path.write_bytes(data)
    return read_sentences(path, task, language)


def test_tags_and_files_are_the_published_ones():
    assert ENTITIES == ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")
    assert len(UPOS) == len(set(UPOS)) == 17
    assert PANX.file.format(split="dev") == "dev"
    assert UDPOS.file.format(split="dev") == "dev.tsv"


def test_prefix_is_stripped_only_if_it_is_the_language_and_a_colon(tmp_path):
    data = b"fr:Paris\tB-LOC\nfra:x\tO\nfr\tO\nfr:\tO\nfr:fr:y\tO\nbare\tO\n"
    assert read(tmp_path, data) == [
        Sentence(("Paris", "fra:x", "fr", "", "fr:y", "bare"), ("B-LOC", "O", "O", "O", "O", "O"))
    ]


def test_udpos_has_no_prefix_and_drops_underscore_rows(tmp_path):
    data = b"fr:a\tNOUN\ndu\t_\nle\tDET\n\ndu\t_\n\nfin\tX\n"
    assert read(tmp_path, data, UDPOS) == [Sentence(("fr:a", "le"), ("NOUN", "DET")), Sentence(("fin",), ("X",))]


@pytest.mark.parametrize(
    "data",
    [
        b"\nfr:a\tO\n\nfr:b\tO\n",
        b"fr:a\tO\n\n\nfr:b\tO\n",
        b"fr:a\tO\n\nfr:b\tO",
        b"fr:a\tO\r\n\r\nfr:b\tO\r\n",
        b"\xef\xbb\xbffr:a\tO\n  \n\n\nfr:b\tO\n\n\n",
    ],
    ids=["leading blank", "two blanks", "no final line end", "CRLF", "BOM, spaces, trailing blanks"],
)
def test_published_fault_blank_lines_crash(tmp_path, data):
    assert read(tmp_path, data) == [Sentence(("a",), ("O",)), Sentence(("b",), ("O",))]


def test_published_fault_a_path_with_a_slash_reads_no_data(tmp_path):
    folder = tmp_path / "org/model-LR2e-5" / "fr"
    folder.mkdir(parents=True)
    assert read(folder, b"fr:a\tO\n") == [Sentence(("a",), ("O",))]


def test_only_newlines_end_a_line(tmp_path):
    data = "fr:a\u2028b\tO\nfr:\x85\tO\nfr:\u3000\tO\nfr:\x0b\tO\n".encode()
    assert read(tmp_path, data)[0].words == ("a\u2028b", "\x85", "\u3000", "\x0b")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"fr:a\tO\nfr:b\n", "train:2: 1 column where two are needed; expected word<TAB>tag"),
        (b"\r\nfr:a\tO\tO\r\n", "train:2: 3 columns where two are needed; expected word<TAB>tag"),
        (b"fr:a\tB-MISC\n", "train:1: unknown panx tag 'B-MISC'; expected one of ('O', 'B-PER'"),
        (b"fr:a\t_\n", "train:1: unknown panx tag '_'"),
        (b"fr:a\tO\n\nfr:\xff\tO\n", "train:3: not UTF-8: invalid start byte; expected UTF-8 text"),
        (b"", "train: no sentences; expected"),
        (b"\n\n", "train: no sentences; expected"),
    ],
)
def test_bad_data_names_file_and_line(tmp_path, data, message):
    with pytest.raises(PolyticketError) as error:
        read(tmp_path, data)
    assert message in str(error.value)


def test_missing_file_and_unknown_task(tmp_path):
    with pytest.raises(PolyticketError, match="test: no such file"):
        read_sentences(tmp_path / "test", PANX, "fr")
    with pytest.raises(PolyticketError, match="task: unknown task 'ner'; expected one of panx, udpos"):
        task_named("ner")


def test_predictions_are_written_in_xtremes_form(tmp_path):
    write_tags(tmp_path / "p", [["O", "B-PER"], ["O"]])
    assert (tmp_path / "p").read_bytes() == b"O\nB-PER\n\nO\n"


def test_published_fault_results_are_appended_to_old_ones(tmp_path):
    for _ in range(2):
        write_tags(tmp_path / "p", [["O"]])
    assert (tmp_path / "p").read_bytes() == b"O\n"


TRAIN = [
    Sentence(("a", "b", "b", "b"), ("B-PER", "O", "B-LOC", "B-LOC")),
    Sentence(("c", "c", "d"), ("O", "B-PER", "O")),
]


def test_baseline_takes_the_most_frequent_tag_and_ties_go_to_the_first_label():
    tagger = MostFrequentTag(TRAIN, ENTITIES)
    assert tagger.of_word == {"a": "B-PER", "b": "B-LOC", "c": "O", "d": "O"}
    assert tagger.of_unseen == "O"
    assert tagger.predict([Sentence(("b", "new", "a"), ("O", "O", "O"))]) == [["B-LOC", "O", "B-PER"]]


def test_baseline_is_scored_with_the_tasks_metrics():
    test = [Sentence(("a", "b", "new"), ("B-PER", "O", "B-ORG"))]
    found = baseline_scores(TRAIN, TRAIN, test, PANX, "fr")
    assert found["test"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5}
    assert found["dev"]["recall"] == 0.75
    assert found["unseen_share"] == pytest.approx(1 / 3)
    assert found["sentences"] == {"train": 2, "dev": 2, "test": 1}


@pytest.mark.skipif("POLYTICKET_DATA" not in os.environ, reason="POLYTICKET_DATA is not set")
def test_real_files_are_read_whole():
    data = Path(os.environ["POLYTICKET_DATA"])
    train = read_sentences(data / "panx/sw/train", PANX, "sw")
    assert (len(train), sum(len(s.words) for s in train)) == (1000, 5597)
    test = read_sentences(data / "udpos/sw/test.tsv", UDPOS, "sw")
    assert (len(test), sum(len(s.words) for s in test)) == (553, 16074)
