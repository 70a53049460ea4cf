"""Tokenizer folders as they are handed round: what is read from where, and what is refused."""

import json
import logging
from pathlib import Path

import pytest
import sentencepiece
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer

from polyticket.core.errors import PolyticketError
from polyticket.core.files import write_json
from polyticket.model.settings import check_settings, read_settings
from polyticket.tasks.tokenizer import TaskTokenizer
from polyticket.tokenizer.folder import special_names
from polyticket.tokenizer.vocabulary import Alphabet
from polyticket.tokenizer.wordpiece import SPECIAL_TOKENS, load_fast, wordpiece

TEXTS = (
    "The Old Bridge, built in 1871; École d'été à Zürich über Ångström.",
    "Das Straßenfest fällt aus! Élève naïve, Œuvre — «français».",
    "وقف المُعلِّم أمام المدرسة في ٢٠٢٠.",
    "یہ ایک کتاب ہے، جو پُرانی ہے۔",
    "Đường phố Hà Nội rất đông người.",
    "我們在北京，学习中文。Ａ１",
    "Mto ulifurika mwaka 1998 (Ng'ombe).",
    "ΚΑΛΗΜΕΡΑ Ελλάδα, Россия Ёлка, İstanbul ıl",
)
MODEL = {"model_type": "bert", "vocab_size": 500}


def letters(*, lower: bool = False, accents: bool = True) -> list[str]:
    """Every character of the texts, alone and within a word, as BERT's normaliser writes it."""
    normal = normalizers.BertNormalizer(clean_text=True, strip_accents=not accents, lowercase=lower)
    found = sorted({char for text in TEXTS for char in normal.normalize_str(text) if not char.isspace()})
    return [*found, *(f"##{char}" for char in found)]


def write_vocabulary(folder: Path, tokens: list[str], *, end: str = "\n", **files: dict) -> Path:
    """A folder with vocab.txt, config.json and further JSON files."""
    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_bytes("".join(f"{token}{end}" for token in tokens).encode())
    for name, content in ({"config": MODEL} | files).items():
        write_json(folder / f"{name}.json", content)
    return folder


def require_same_as_transformers(folder: Path, **extra: bool) -> TaskTokenizer:
    """Check that the pieces of all texts are those of `AutoTokenizer`, told what the folder does not state."""
    theirs, ours = AutoTokenizer.from_pretrained(str(folder), **extra), TaskTokenizer(folder)
    assert len(ours) == len(theirs)
    for text in TEXTS:
        assert ours.of_texts([text]) == [theirs.encode(text, add_special_tokens=False)]
    return ours


@pytest.mark.parametrize(
    ("lower", "accents", "told"),
    [
        (False, True, {"do_lower_case": False}),
        (True, True, {"do_lower_case": True, "strip_accents": False}),
        (True, False, {}),
    ],
)
def test_a_vocabulary_alone_is_read_as_it_was_written(lower, accents, told, tmp_path):
    folder = write_vocabulary(tmp_path / "m", [*SPECIAL_TOKENS, *letters(lower=lower, accents=accents)])
    pieces = require_same_as_transformers(folder, **told)
    assert all(pieces.special("unk") not in ids for ids in pieces.of_texts(TEXTS))


@pytest.mark.parametrize("where", ["tokenizer_config", "config"])
@pytest.mark.parametrize(
    "said",
    [
        {"do_lower_case": False},
        {"do_lower_case": True},
        {"do_lower_case": True, "strip_accents": False},
        {"do_lower_case": False, "strip_accents": True},
        {"do_lower_case": True, "tokenize_chinese_chars": False},
    ],
)
def test_what_is_stated_of_case_is_obeyed_whatever_the_vocabulary(where, said, tmp_path):
    tokens = [*SPECIAL_TOKENS, *letters(), *(one for one in letters(lower=True, accents=False) if one not in letters())]
    content = said | (MODEL if where == "config" else {"tokenizer_class": "BertTokenizer"})
    folder = write_vocabulary(tmp_path / "m", tokens, **{where: content})
    require_same_as_transformers(folder, **said)
    needed = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    check_settings(read_settings(folder) | needed, "bert", folder)  # a model's folder may state it as well


def test_tokenizer_json_states_case_and_tokenizer_config_restates_it(tmp_path):
    write_json(tmp_path / "config.json", MODEL)
    tokenizer = wordpiece([*SPECIAL_TOKENS, *letters()])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    alone = TaskTokenizer(tmp_path).of_texts(TEXTS)
    assert alone == [one.ids for one in tokenizer.encode_batch(list(TEXTS), add_special_tokens=False)]
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "model_max_length": 512})
    assert TaskTokenizer(tmp_path).of_texts(TEXTS) == alone
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "BertTokenizerFast", "do_lower_case": True})
    assert require_same_as_transformers(tmp_path).of_texts(TEXTS) != alone
    write_json(tmp_path / "tokenizer_config.json", {"do_lower_case": True})
    assert require_same_as_transformers(tmp_path).of_texts(TEXTS) != alone
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})
    assert require_same_as_transformers(tmp_path).of_texts(TEXTS) == alone


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_byte_order_mark_line_ends_and_blank_end_are_no_pieces(end, tmp_path):
    tokens = [*SPECIAL_TOKENS, *letters()]
    plain = write_vocabulary(tmp_path / "plain", tokens)
    other = write_vocabulary(tmp_path / "other", tokens, end=end)
    file = other / "vocab.txt"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes() + 2 * end.encode())
    assert TaskTokenizer(other).of_texts(TEXTS) == TaskTokenizer(plain).of_texts(TEXTS)
    assert len(TaskTokenizer(other)) == len(tokens)


def named_otherwise(folder: Path) -> None:
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *letters()]
    made = Tokenizer(models.WordPiece({token: number for number, token in enumerate(tokens)}, unk_token="<unk>"))
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(lowercase=False), pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    made.add_special_tokens([AddedToken(token, special=True) for token in tokens[:5]])
    made.save(str(folder / "tokenizer.json"))
    write_json(folder / "config.json", MODEL)
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})


NAMES = {"cls_token": "<s>", "sep_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>"}
OBJECTS = {key: {"content": name, "lstrip": False, "normalized": False} for key, name in NAMES.items()}


@pytest.mark.parametrize("said", [NAMES, OBJECTS], ids=["strings", "objects"])
@pytest.mark.parametrize("file", ["tokenizer_config", "special_tokens_map", None])
def test_special_tokens_are_found_wherever_they_are_named(file, said, tmp_path):
    named_otherwise(tmp_path)
    if file:
        write_json(tmp_path / f"{file}.json", {"tokenizer_class": "PreTrainedTokenizerFast"} | said)
    pieces = TaskTokenizer(tmp_path)
    assert [pieces.special(role) for role in ("cls", "pad", "sep", "unk", "mask")] == [0, 1, 2, 3, 4]
    assert pieces.all_special() == [0, 1, 2, 3, 4]


def test_special_tokens_of_a_vocabulary_file_keep_their_names(tmp_path):
    tokens = ["<pad>", "<unk>", "<s>", "</s>", "<mask>", *letters()]
    folder = write_vocabulary(tmp_path / "m", tokens, special_tokens_map=NAMES)
    pieces = require_same_as_transformers(folder, do_lower_case=False)
    assert [pieces.special(role) for role in ("pad", "unk", "cls", "sep", "mask")] == [0, 1, 2, 3, 4]
    (folder / "special_tokens_map.json").unlink()
    with pytest.raises(PolyticketError, match=r"vocab\.txt: no \[PAD\], \[UNK\], \[CLS\], \[SEP\], \[MASK\]"):
        TaskTokenizer(folder)


@pytest.mark.parametrize("form", ["added_tokens", "added_tokens_decoder"])
def test_added_tokens_are_pieces(form, tmp_path):
    tokens = [*SPECIAL_TOKENS, *letters()]
    said = {"tokenizer_class": "BertTokenizer", "do_lower_case": False}
    if form == "added_tokens":
        folder = write_vocabulary(tmp_path / "m", tokens, tokenizer_config=said, added_tokens={"Zürich": len(tokens)})
    else:
        told = {"content": "Zürich", "normalized": True, "special": False, "lstrip": False, "rstrip": False}
        said["added_tokens_decoder"] = {str(len(tokens)): told | {"single_word": False}}
        folder = write_vocabulary(tmp_path / "m", tokens, tokenizer_config=said)
    pieces = require_same_as_transformers(folder)
    assert pieces.of_texts(["Zürich"]) == [[len(tokens)]]


def write_sentencepiece(path: Path) -> list[str]:
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 20), model_prefix=str(path.with_suffix("")), vocab_size=190, minloglevel=2,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, pad_piece="<pad>", eos_piece="</s>", unk_piece="<unk>",
        character_coverage=1.0, hard_vocab_limit=False,
    )  # fmt: skip
    path.with_suffix(".vocab").unlink()
    read = sentencepiece.SentencePieceProcessor(model_file=str(path))
    return [read.id_to_piece(number) for number in range(read.get_piece_size())]


def test_sentencepiece_alone_has_no_more_pieces_than_the_model_has_rows(tmp_path):
    count = len(write_sentencepiece(tmp_path / "spiece.model"))
    write_json(tmp_path / "config.json", {"model_type": "mt5", "vocab_size": count + 12})
    pieces = TaskTokenizer(tmp_path)
    theirs = AutoTokenizer.from_pretrained(str(tmp_path), extra_ids=0)
    assert len(pieces) == count == len(theirs)
    assert pieces.of_texts(TEXTS) == [theirs.encode(text, add_special_tokens=False) for text in TEXTS]
    assert [pieces.special(role) for role in ("pad", "eos", "unk")] == [0, 1, 2]
    write_json(tmp_path / "config.json", {"model_type": "mt5", "vocab_size": count + 100})
    assert len(TaskTokenizer(tmp_path)) == count + 100  # T5's own, whose 100 sentinels have rows


@pytest.mark.parametrize("name", ["MT5Tokenizer", "MT5TokenizerFast", "T5Tokenizer"])
def test_both_names_of_an_mt5s_tokenizer_are_known(name, tmp_path):
    pieces = write_sentencepiece(tmp_path / "spiece.model")
    write_json(tmp_path / "config.json", {"model_type": "mt5", "vocab_size": len(pieces)})
    alone = TaskTokenizer(tmp_path)
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": name, "extra_ids": 0})
    named = TaskTokenizer(tmp_path)
    assert len(named) == len(pieces)
    assert named.of_texts(TEXTS) == alone.of_texts(TEXTS)


@pytest.mark.parametrize("file", ["config", "tokenizer_config", "special_tokens_map", "added_tokens", "tokenizer"])
@pytest.mark.parametrize("kind", ["bert", "mt5"])
def test_a_byte_order_mark_before_any_file_of_a_tokenizer_is_passed_over(kind, file, tmp_path):
    if kind == "bert":
        write_vocabulary(tmp_path, [*SPECIAL_TOKENS, *letters()], special_tokens_map={"unk_token": "[UNK]"})
    else:
        count = len(write_sentencepiece(tmp_path / "spiece.model"))
        write_json(tmp_path / "config.json", {"model_type": "mt5", "vocab_size": count})
        write_json(tmp_path / "special_tokens_map.json", {"unk_token": "<unk>"})
    write_json(tmp_path / "tokenizer_config.json", {"do_lower_case": False, "extra_ids": 0})
    write_json(tmp_path / "added_tokens.json", {})
    if file == "tokenizer":
        TaskTokenizer(tmp_path).backend.save(str(tmp_path / "tokenizer.json"))
    before, path = TaskTokenizer(tmp_path).of_texts(TEXTS), tmp_path / f"{file}.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert TaskTokenizer(tmp_path).of_texts(TEXTS) == before


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"word_tokenizer_type": "mecab"}, r"tokenizer_config\.json: word_tokenizer_type 'mecab'; expected basic"),
        ({"subword_tokenizer_type": "character"}, r"subword_tokenizer_type 'character'; expected wordpiece"),
        ({"tokenizer_class": "BertJapaneseTokenizer"}, "BertJapaneseTokenizer, which reads words that another program"),
        ({"tokenizer_class": "PhobertTokenizer"}, "PhobertTokenizer, which reads words that another program segments"),
        (
            {"tokenizer_class": "CanineTokenizer"},
            "a CanineTokenizer; expected a tokenizer that Hugging Face runs as a fast",
        ),
        (
            {"tokenizer_class": "RobertaTokenizer"},
            r"no files of .* RobertaTokenizer; expected merges\.txt or tokenizer\.json",
        ),
        ({"tokenizer_class": "NoTokenizer"}, "no tokenizer of class NoTokenizer: "),
        ({"do_basic_tokenize": False}, "text is not split as BERT does"),
        ({"auto_map": {"AutoTokenizer": ["mine.Mine", None]}}, "auto_map: a tokenizer with code of its own"),
    ],
)
def test_what_cuts_text_otherwise_is_refused_by_name(said, message, tmp_path):
    folder = write_vocabulary(tmp_path / "m", [*SPECIAL_TOKENS, *letters()], tokenizer_config=said)
    with pytest.raises(PolyticketError, match=message) as told:
        TaskTokenizer(folder)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", ["DistilBertTokenizer", "ElectraTokenizerFast", "ConvBertTokenizer"])
def test_classes_that_are_bert_s_take_what_is_missing_from_the_vocabulary(name, tmp_path):
    tokens = [*SPECIAL_TOKENS, *letters(lower=True)]
    folder = write_vocabulary(tmp_path / "m", tokens, tokenizer_config={"tokenizer_class": name})
    pieces = require_same_as_transformers(folder, strip_accents=False)
    assert [pieces.special(role) for role in ("pad", "unk", "cls", "sep", "mask")] == [0, 1, 2, 3, 4]


def test_a_token_that_is_stated_to_be_none_need_not_be_there(tmp_path):
    said = {"do_lower_case": False, "mask_token": None}
    folder = write_vocabulary(tmp_path / "m", [*SPECIAL_TOKENS[:4], *letters()], tokenizer_config=said)
    pieces = require_same_as_transformers(folder)
    with pytest.raises(PolyticketError, match=r"no token \[MASK\]"):
        pieces.special("mask")


def test_a_class_of_config_json_counts(tmp_path):
    folder = write_vocabulary(
        tmp_path / "m", [*SPECIAL_TOKENS, *letters()], config=MODEL | {"tokenizer_class": "BertJapaneseTokenizer"}
    )
    with pytest.raises(PolyticketError, match="BertJapaneseTokenizer"):
        TaskTokenizer(folder)


def test_words_segmented_before_are_refused(tmp_path):
    folder = write_vocabulary(tmp_path / "m", [*SPECIAL_TOKENS, *letters()])
    (folder / "bpe.codes").write_text("a b 1\n")
    with pytest.raises(PolyticketError, match=r"bpe\.codes of fastBPE, for text whose words are segmented before"):
        TaskTokenizer(folder)


@pytest.mark.parametrize(
    ("name", "kind", "other"),
    [
        ("spiece.model", "T5Tokenizer", "XLMRobertaTokenizer"),
        ("sentencepiece.bpe.model", "XLMRobertaTokenizer", "AlbertTokenizer"),
    ],
)
def test_sentencepiece_without_a_class_is_refused_for_a_bert(name, kind, other, tmp_path):
    write_sentencepiece(tmp_path / name)
    write_json(tmp_path / "config.json", MODEL)
    with pytest.raises(
        PolyticketError, match=rf"{name}, but no file states its tokenizer class; expected tokenizer_class"
    ):
        TaskTokenizer(tmp_path)
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": other})
    with pytest.raises(PolyticketError, match=rf"no files of a tokenizer of class {other}; expected .*\.model"):
        TaskTokenizer(tmp_path)
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": kind, "extra_ids": 0})
    require_same_as_transformers(tmp_path)


SPOILT = (lambda held: held[: len(held) // 2], lambda held: b"", lambda held: b"<!doctype html>", lambda held: bytes(9))


@pytest.mark.parametrize("spoil", SPOILT)
@pytest.mark.parametrize(("name", "kind"), [("spiece.model", "mt5"), ("sentencepiece.bpe.model", "xlm-roberta")])
def test_a_damaged_sentencepiece_model_is_named(name, kind, spoil, tmp_path):
    write_sentencepiece(tmp_path / name)
    write_json(tmp_path / "config.json", {"model_type": kind})
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "XLMRobertaTokenizer"} if kind[0] == "x" else {})
    assert TaskTokenizer(tmp_path).of_texts(TEXTS)
    (tmp_path / name).write_bytes(spoil((tmp_path / name).read_bytes()))
    with pytest.raises(PolyticketError, match=rf"{tmp_path}/{name}: not a SentencePiece model"):
        TaskTokenizer(tmp_path)


def test_files_that_contradict_each_other_are_refused(tmp_path):
    tokens = [*SPECIAL_TOKENS, "a", "b"]
    folder = write_vocabulary(tmp_path / "m", tokens)
    wordpiece(tokens).save(str(folder / "tokenizer.json"))
    assert len(TaskTokenizer(folder)) == 7
    wordpiece([*SPECIAL_TOKENS, "b", "a"]).save(str(folder / "tokenizer.json"))
    with pytest.raises(
        PolyticketError, match=r"vocab\.txt:6: 'a', but tokenizer\.json has 'b' there; expected the same"
    ):
        TaskTokenizer(folder)
    wordpiece([*SPECIAL_TOKENS, "a"]).save(str(folder / "tokenizer.json"))
    with pytest.raises(PolyticketError, match=r"vocab\.txt:7: 'b', but tokenizer\.json has nothing there"):
        TaskTokenizer(folder)


def test_bytes_in_a_bert_are_read_from_tokenizer_json_and_contradict_its_class(tmp_path):
    made = Tokenizer(
        models.BPE({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "[PAD]": 3, "a": 4, "b": 5, "ab": 6}, [("a", "b")])
    )
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    made.save(str(tmp_path / "tokenizer.json"))
    write_json(tmp_path / "config.json", MODEL)
    assert TaskTokenizer(tmp_path).of_texts(["abba"]) == [[6, 5, 4]]
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer"})
    with pytest.raises(PolyticketError, match=r"BertTokenizer, but tokenizer\.json holds a BPE model"):
        TaskTokenizer(tmp_path)


@pytest.mark.parametrize("line", ["the 1203", "the\t1203", "the\t-3.25"])
def test_a_count_beside_a_piece_is_refused_by_line(line, tmp_path):
    folder = write_vocabulary(tmp_path / "m", [*SPECIAL_TOKENS, line])
    with pytest.raises(PolyticketError, match=r"vocab\.txt:6: .* is a token and a number; expected one token a line"):
        TaskTokenizer(folder)


def test_an_uncased_folder_makes_no_records(tmp_path):
    said = {"tokenizer_class": "BertTokenizer", "do_lower_case": True}
    folder = write_vocabulary(tmp_path / "m", [*SPECIAL_TOKENS, *letters()], tokenizer_config=said)
    with pytest.raises(PolyticketError, match="loses case or accents; expected a cased tokenizer"):
        load_fast(folder)
    write_json(folder / "tokenizer_config.json", said | {"do_lower_case": False})
    assert load_fast(folder).encode("École", add_special_tokens=False).tokens == ["É", "##c", "##o", "##l", "##e"]
    (folder / "tokenizer_config.json").unlink()
    write_json(folder / "config.json", MODEL | {"do_lower_case": True})
    with pytest.raises(PolyticketError, match="loses case or accents; expected a cased tokenizer"):
        load_fast(folder)


@pytest.mark.parametrize(
    ("own", "kept"),
    [
        ([normalizers.Lowercase()], False),
        ([normalizers.NFD(), normalizers.StripAccents()], False),
        ([normalizers.NFKC(), normalizers.Replace("É", "E")], False),
        ([normalizers.NFD()], True),
        ([normalizers.NFKC(), normalizers.Prepend("▁")], True),
    ],
)
def test_a_tokenizer_file_that_loses_case_makes_no_records_whatever_its_normaliser(own, kept, tmp_path):
    tokenizer = wordpiece([*SPECIAL_TOKENS, *letters()])
    tokenizer.normalizer = normalizers.Sequence(own)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    if kept:
        assert load_fast(tmp_path).normalizer.normalize_str("a") == own[-1].normalize_str("a")
        return
    with pytest.raises(PolyticketError, match="loses case or accents; expected a cased tokenizer"):
        load_fast(tmp_path)


def test_more_pieces_than_rows_are_refused_and_fewer_are_told(tmp_path, caplog):
    pieces = TaskTokenizer(write_vocabulary(tmp_path / "m", [*SPECIAL_TOKENS, "a", "b"]))
    pieces.require_rows(7)
    with caplog.at_level(logging.INFO, "polyticket"):
        pieces.require_rows(8)
    assert caplog.records[-1].getMessage().endswith("m: 1 of 8 rows of word embeddings are no token's")
    with pytest.raises(PolyticketError, match="a tokenizer of 7 tokens; expected at most 6, the model's rows"):
        pieces.require_rows(6)


def test_alphabet():
    assert not Alphabet(["[CLS]", "<s>", "the", "##s"]).has_capitals
    assert Alphabet(["[CLS]", "中", "1"]).has_capitals  # no letter that could be one
    assert Alphabet(["A", "a"]).as_written("ÉA") == "ÉA"
    assert Alphabet(["a", "b"]).as_written("ÉA") == "ea"
    assert Alphabet(["a", "é"]).as_written("ÉA") == "éa"
    assert "ab" in Alphabet(["a", "##b"])
    assert "ac" not in Alphabet(["a", "##b"])


def test_names_of_a_file_are_those_its_tokenizer_shows(tmp_path):
    named_otherwise(tmp_path)
    found = special_names(tmp_path / "tokenizer.json", load_fast(tmp_path / "tokenizer.json", of_model=True))
    assert {f"{role}_token": name for role, name in found.items() if role != "eos"} == NAMES
    assert json.loads((tmp_path / "tokenizer.json").read_text())["model"]["unk_token"] == found["unk"]
