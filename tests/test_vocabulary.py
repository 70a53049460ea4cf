"""Vocabulary training and the tokenizer loader."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from polyticket.core.errors import PolyticketError
from polyticket.tokenizer.training import train_vocabulary
from polyticket.tokenizer.wordpiece import (
    SPECIAL_TOKENS,
    load_fast,
    load_tokenizer,
    read_vocabulary,
    vocabulary_of,
    wordpiece,
    write_tokenizer,
)

DATA = os.environ.get("POLYTICKET_DATA")
PIECES = [*SPECIAL_TOKENS, *"aÉyو中国.,", *(f"##{c}" for c in "abyو"), "کتاب", "##ab", "École"]
TRAIN = (
    "import sys; from polyticket.tokenizer.training import train_vocabulary\n"
    "print('\\n'.join(train_vocabulary(sys.argv[2:], int(sys.argv[1]), limit_alphabet=60)))"
)


def write_corpus(folder: Path) -> list[str]:
    """Two languages full of ties: every word is drawn with the same weight."""
    draw = random.Random(5)
    paths = []
    for name, letters in (("a", "abcdefghijklmnopqrstuvwxyzÉÀ"), ("b", "ابتثجحخدذرزسشصضطظعغفقکلمنوی中国人民")):
        words = ["".join(draw.choices(letters, k=draw.randint(2, 8))) for _ in range(400)]
        lines = (" ".join(draw.choices(words, k=8)) + "." for _ in range(300))
        paths.append(folder / f"{name}.txt")
        paths[-1].write_text("\n".join(lines) + "\n\n", encoding="utf-8")
    return [str(path) for path in paths]


def test_published_fault_trained_vocabulary_differs_between_processes(tmp_path):
    command = [sys.executable, "-c", TRAIN, "900", *write_corpus(tmp_path)]
    outputs = {
        subprocess.run(
            command,
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": str(seed), "RAYON_NUM_THREADS": str(threads)},
        ).stdout
        for seed, threads in ((1, 1), (2, 2), (3, 4))
    }
    assert len(outputs) == 1
    tokens = outputs.pop().decode().split()
    assert len(tokens) == len(set(tokens)) == 900
    assert tokens[:5] == list(SPECIAL_TOKENS)


def test_tokens_that_no_text_has_are_counted(tmp_path, caplog):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join([*SPECIAL_TOKENS, "a", "b ", "c\0"]), encoding="utf-8")
    assert read_vocabulary(path)[-2:] == ["b ", "c\0"]
    assert f"{path}: 2 tokens hold white space or a zero byte, such as 'b '; they match no text" in caplog.text


def test_trained_pieces(tmp_path):
    path = tmp_path / "s.txt"
    path.write_text("Été été été.\n\nété 中国 中国\nété\n", encoding="utf-8")
    tokens = train_vocabulary([path], 30)
    assert tokens == [
        *SPECIAL_TOKENS,
        *["é", "t", "中", "国", ".", "É"],
        *["##é", "##t", "##É"],
        *["##té", "été"],
    ]
    pieces = wordpiece(tokens).encode("Été, 中国.", add_special_tokens=False).tokens
    assert pieces == ["É", "##té", "[UNK]", "中", "国", "."]


def test_sentences_per_language_are_spread_over_the_file(tmp_path):
    (tmp_path / "s.txt").write_text("".join(f"{c}{c}\n" for c in "abcdefgh"))
    tokens = train_vocabulary([tmp_path / "s.txt"], 50, sentences_per_language=4)
    assert [token for token in tokens[5:] if not token.startswith("##") and len(token) == 1] == list("bdfh")


def test_alphabet_limit_and_size(tmp_path):
    (tmp_path / "s.txt").write_text("aaa bb c\n")
    tokens = train_vocabulary([tmp_path / "s.txt"], 40, limit_alphabet=2, min_frequency=1)
    assert tokens[5:9] == ["a", "b", "##a", "##b"]
    assert not any("c" in token for token in tokens[5:])
    with pytest.raises(PolyticketError, match="a vocabulary of 8 cannot hold 11 special tokens and characters"):
        train_vocabulary([tmp_path / "s.txt"], 8)
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(PolyticketError, match="no text"):
        train_vocabulary([tmp_path / "empty.txt"], 40)
    with pytest.raises(PolyticketError, match=r"none\.txt: no such file"):
        train_vocabulary([tmp_path / "none.txt"], 40)


def test_folder_gives_the_same_tokens_everywhere(tmp_path):
    write_tokenizer(PIECES, tmp_path / "tok")
    names = sorted(path.name for path in (tmp_path / "tok").iterdir())
    assert names == ["tokenizer.json", "tokenizer_config.json", "vocab.txt"]
    assert read_vocabulary(tmp_path / "tok/vocab.txt") == PIECES
    from transformers import AutoTokenizer

    text = "École aab, éÉ 中国کتاب."
    tokens = ["[CLS]", "École", "a", "##ab", ",", "[UNK]", "中", "国", "کتاب", ".", "[SEP]"]
    (tmp_path / "vocab.txt").write_text("".join(f"{piece}\n" for piece in PIECES), encoding="utf-8")
    for loaded in (
        AutoTokenizer.from_pretrained(tmp_path / "tok", local_files_only=True),
        load_tokenizer(tmp_path / "tok"),
        load_tokenizer(tmp_path / "vocab.txt"),
    ):
        assert len(loaded) == len(PIECES)
        assert loaded.convert_ids_to_tokens(loaded(text)["input_ids"]) == tokens
        assert loaded("a", "中")["token_type_ids"] == [0, 0, 0, 1, 1]
        assert (loaded.pad_token_id, loaded.mask_token_id) == (0, 4)
    for source in (tmp_path / "tok", tmp_path / "vocab.txt", tmp_path / "tok/tokenizer.json"):
        assert load_fast(source).encode(text).tokens == tokens
    write_tokenizer(tmp_path / "tok", tmp_path / "again")
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "tok" / name).read_bytes()


def test_published_fault_vocab_file_ignored_by_transformers(tmp_path):
    from transformers import BertTokenizerFast

    write_tokenizer(PIECES, tmp_path / "tok")
    assert len(BertTokenizerFast(vocab_file=str(tmp_path / "tok/vocab.txt"))) == 5
    assert len(load_tokenizer(tmp_path / "tok/vocab.txt")) == len(PIECES)


def test_words_of_up_to_200_characters_are_cut():
    tokenizer = wordpiece(PIECES)
    assert len(tokenizer.encode("a" + "b" * 199, add_special_tokens=False)) == 200
    assert tokenizer.encode("a" + "b" * 200, add_special_tokens=False).tokens == ["[UNK]"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([*PIECES, "a"], r"vocab\.txt:21: 'a' is on line 6 already; expected each token once"),
        ([p for p in PIECES if p not in ("[CLS]", "[MASK]")], r"vocab\.txt: no \[CLS\], \[MASK\]; expected \[PAD\]"),
        ([*PIECES, "", "z"], r"vocab\.txt:21: an empty token"),
    ],
)
def test_bad_vocabulary(tmp_path, lines, message):
    (tmp_path / "vocab.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    with pytest.raises(PolyticketError, match=message):
        load_fast(tmp_path / "vocab.txt")


def test_bad_sources(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(PolyticketError, match=r"tokenizer\.json: cannot be read as a tokenizer"):
        load_fast(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(PolyticketError, match="no tokenizer in this folder; expected"):
        load_fast(tmp_path / "empty")
    for source in (tmp_path / "none", "none.txt"):
        with pytest.raises(PolyticketError, match="no such file or folder"):
            load_tokenizer(source)


def test_uncased_or_gappy_tokenizer_is_refused(tmp_path):
    settings = json.loads(wordpiece(PIECES).to_str())
    settings["normalizer"]["lowercase"] = True
    Tokenizer.from_str(json.dumps(settings)).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(PolyticketError, match="loses case or accents; expected a cased tokenizer"):
        load_fast(tmp_path)
    settings["normalizer"]["lowercase"] = False
    settings["model"]["vocab"]["gap"] = 99
    (tmp_path / "tokenizer.json").write_text(json.dumps(settings))
    with pytest.raises(PolyticketError, match="21 entries have ids up to 99"):
        load_fast(tmp_path)


def test_name_out_of_reach_is_one_error_and_fast_loading_needs_no_transformers(tmp_path):
    write_tokenizer(PIECES, tmp_path / "tok")
    code = (
        "import sys\nfrom polyticket.tokenizer.wordpiece import load_fast\n"
        "from polyticket.core.errors import PolyticketError\n"
        "load_fast(sys.argv[1])\nassert 'transformers' not in sys.modules\n"
        "try: load_fast('bert-nowhere-cased')\nexcept PolyticketError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "tok")],
        capture_output=True,
        check=True,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
    )
    assert done.stdout.startswith("bert-nowhere-cased: no such folder, and no tokenizer from Hugging Face: ")
    assert done.stdout.count("\n") == 1


@pytest.mark.skipif(not DATA, reason="POLYTICKET_DATA is unset")
def test_multilingual_bert():
    tokenizer = load_fast(Path(DATA or "", "mbert", "vocab.txt"))
    assert tokenizer.get_vocab_size() == len(vocabulary_of(tokenizer)) == 119547
    tokens = tokenizer.encode("Élève à Zürich, 你好 دنیا", add_special_tokens=False).tokens
    assert tokens == ["Él", "##ève", "à", "Zürich", ",", "你", "好", "دنیا"]
