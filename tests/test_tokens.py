"""The store of tokens: what is written, how it is cut for processes, and what is refused."""

import json
import os
import random
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from polyticket.core.errors import PolyticketError
from polyticket.core.files import folder_sha256
from polyticket.records.tokens import open_tokens, tokenize_corpus, vocabulary_sha256
from polyticket.tokenizer.wordpiece import load_for_text
from polyticket.tokenizer.wordpiece import write_tokenizer as write_vocabulary
from tests.support.records_sample import (
    FILES,
    IDS,
    lists,
    make_documents,
    split_pieces,
    write_sentences,
    write_tokenizer,
)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> Path:
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture
def store(tmp_path, tokenizer) -> Path:
    tokenize_corpus(write_sentences(tmp_path / "s.txt", make_documents(7)), tokenizer, tmp_path / "t", language="xx")
    return tmp_path / "t"


def tokenized(tmp_path: Path, tokenizer: Path, text: str | bytes, **options) -> tuple[Path, dict]:
    path = tmp_path / "text.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    folder = tmp_path / "tokens"
    return folder, tokenize_corpus(path, tokenizer, folder, **{"language": "xx"} | options)


def test_documents_and_sentences_as_written(store):
    expected = [[[IDS[piece] for piece in sentence] for sentence in d] for d in split_pieces(make_documents(7))]
    assert lists(store) == expected
    assert sorted(path.name for path in store.iterdir()) == FILES
    found = open_tokens(store)
    assert [array.dtype for array in (found.ids, found.sentences, found.documents)] == [np.uint16, np.int64, np.int64]
    assert all(isinstance(array, np.memmap) and not array.flags.writeable for array in (found.ids, found.sentences))


def test_statistics(tmp_path, tokenizer):
    text = "ba ke.\n\u0915 é ba\n\n\n \n\x07\n\nmi"
    folder, stats = tokenized(tmp_path, tokenizer, text)
    unknown = IDS["[UNK]"]
    assert lists(folder) == [[[IDS["ba"], IDS["ke"], IDS["."]], [unknown, unknown, IDS["ba"]]], [[IDS["mi"]]]]
    assert stats == {
        "language": "xx",
        "documents": 2,
        "sentences": 3,
        "tokens": 7,
        "unknown_tokens": 2,
        "characters": 6 + 6 + 1 + 1 + 2,
        "bytes": len(text.encode()),
        "unknown_rate": 2 / 7,
        "vocab_size": len(IDS),
        "vocabulary_sha256": vocabulary_sha256(load_for_text(tokenizer)),
        "dtype": "uint16",
    }
    assert json.loads((folder / "stats.json").read_text()) == stats


def test_odd_lines(tmp_path, tokenizer):
    unknown = IDS["[UNK]"]
    cases = {
        "\n\nba\n \n\u3000\n\nke\n\n": [[[IDS["ba"]]], [[IDS["ke"]]]],
        "ba\r\n\r\nke": [[[IDS["ba"]]], [[IDS["ke"]]]],
        "ba\x0bke\u2028mi\x85no\nke": [[[IDS[piece] for piece in ("ba", "##ke", "mi", "##no")], [IDS["ke"]]]],
        "ba\n\x07\nke": [[[IDS["ba"]], [IDS["ke"]]]],  # a line of removed characters ends no document
        "ba\n\x1c\nke": [[[IDS["ba"]]], [[IDS["ke"]]]],
        "b\x00a [SEP]": [[[IDS["ba"], IDS["["], IDS["SE"], IDS["##P"], IDS["]"]]]],
        f"{'ba' * 50} {'ba' * 50}b": [[[IDS["ba"]] + [IDS["##ba"]] * 49 + [unknown]]],
    }
    for text, expected in cases.items():
        assert lists(tokenized(tmp_path, tokenizer, text)[0]) == expected, repr(text)


def test_bytes_do_not_depend_on_processes_or_on_how_the_text_is_cut(tmp_path, tokenizer):
    rng = random.Random(5)
    lines = ["\n".join(document) for document in make_documents(60)]
    text = "".join(line + rng.choice(["\n\n", "\n\n\n", "\n \n", "\n\n\x07\n"]) for line in lines)
    folder, stats = tokenized(tmp_path, tokenizer, text)
    whole = folder_sha256(folder)
    assert stats["documents"] == 60
    for ranges, blocks, processes in ((1 << 24, 64, 1), (700, 100, 1), (7, 3, 1), (1500, 200, 2), (4000, 1 << 20, 3)):
        sizes = {"range_bytes": ranges, "block_bytes": blocks}
        assert tokenized(tmp_path, tokenizer, text, processes=processes, **sizes)[1] == stats
        assert folder_sha256(folder) == whole, (ranges, blocks, processes)


def test_large_vocabularies_have_wide_ids(tmp_path):
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"x{n}" for n in range(1 << 16))]
    for count, kind in ((1 << 16, "uint16"), ((1 << 16) + 1, "uint32")):
        write_vocabulary(pieces[:count], tmp_path / "vocabulary")
        folder, stats = tokenized(tmp_path, tmp_path / "vocabulary", f"x0 x{count - 6}")
        assert stats["dtype"] == open_tokens(folder).ids.dtype == kind
        assert lists(folder) == [[[5, count - 1]]]


def test_other_tokenizers(tmp_path):
    made = Tokenizer(models.Unigram([("[UNK]", 0.0), ("▁ba", -1.0), ("▁", -2.0), ("ke", -1.0)], unk_id=0))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.save(str(tmp_path / "tokenizer.json"))
    folder, stats = tokenized(tmp_path, tmp_path, "  ba bake \n\nke")
    assert lists(folder) == [[[1, 1, 3]], [[2, 3]]]
    assert stats["unknown_tokens"] == 0


@pytest.mark.parametrize("processes", [1, 2])
def test_text_that_is_not_utf8_is_named_by_line(tmp_path, tokenizer, processes):
    with pytest.raises(PolyticketError, match=r"text\.txt:42: not UTF-8: invalid start byte"):
        tokenized(
            tmp_path, tokenizer, b"ba ke mi\n" * 41 + b"ba \xff\n" + b"ba\n" * 30, processes=processes, range_bytes=50
        )
    assert not (tmp_path / "tokens").exists()


@pytest.mark.parametrize("text", ["", "\n\n", "\x07\n\n \n"])
def test_no_sentence_is_an_error_and_leaves_nothing(tmp_path, tokenizer, text):
    with pytest.raises(PolyticketError, match=r"text\.txt: no sentence in the file"):
        tokenized(tmp_path, tokenizer, text)
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]


def test_no_file(tmp_path, tokenizer):
    with pytest.raises(PolyticketError, match=r"none\.txt: cannot be read"):
        tokenize_corpus(tmp_path / "none.txt", tokenizer, tmp_path / "t", language="xx")


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 2)


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0\0")


def shorten(path: Path) -> None:
    np.save(path, np.load(path, allow_pickle=False)[:-1])


def widen(path: Path) -> None:
    np.save(path, np.load(path, allow_pickle=False).astype(np.int32))


def empty(path: Path) -> None:
    np.save(path, np.load(path, allow_pickle=False)[:0])


def overwrite(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04 not an array")


@pytest.mark.parametrize("name", ["ids", "sentences", "documents"])
@pytest.mark.parametrize("damage", [cut, lengthen, shorten, widen, empty, overwrite, Path.unlink])
def test_a_damaged_store_is_refused(store, name, damage):
    damage(store / f"{name}.npy")
    with pytest.raises(PolyticketError, match=r"^\S+/t/\w+\.(npy|json): "):
        open_tokens(store)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"dtype": "object"}', '{"dtype": "uint32"}', '{"dtype": "uint16"}'])
def test_damaged_statistics_are_refused(store, text):
    (store / "stats.json").write_text(text)
    with pytest.raises(PolyticketError, match=r"/t/(stats\.json|ids\.npy)"):
        open_tokens(store)


def test_a_store_of_two_is_refused(store, tmp_path, tokenizer):
    other, _ = tokenized(tmp_path, tokenizer, "ba ke\nmi")
    (store / "sentences.npy").write_bytes((other / "sentences.npy").read_bytes())
    with pytest.raises(PolyticketError, match=r"sentences\.npy: not the sentences of \d+ tokens"):
        open_tokens(store)


def test_the_digest_tells_vocabularies_apart(tmp_path):
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"]
    digests = set()
    for number, entries in enumerate([pieces, pieces[:-1], [*pieces[:-2], "b", "a"], [*pieces[:-2], "ab"]]):
        write_vocabulary(entries, tmp_path / str(number))
        digests.add(vocabulary_sha256(load_for_text(tmp_path / str(number))))
    assert len(digests) == 4
