"""Words looked up give the tokens of whole lines, whatever stands in them."""

import bz2
import os
import random
from pathlib import Path

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from polyticket.tokenizer.fast_wordpiece.cutting import LINE, LONE, ODD, SPACE, WORD, cutter
from polyticket.tokenizer.fast_wordpiece.encoding import LineEncoder, WordEncoder, encoder_of, is_by_word
from polyticket.tokenizer.fast_wordpiece.matching import Matcher, WordTable, code_points, keys_of
from polyticket.tokenizer.wordpiece import SPECIAL_TOKENS, load_for_text, wordpiece

ROOT = Path(__file__).resolve().parents[1]
LETTERS = [
    *"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789éüñçß",
    *"абвгдежзийклмноп",
    *"ابتثجحخدرسعلمنوي",
]
OTHERS = [*"กขคงจชซดตนบปพมยรลวสหอาิีุูเแโใไ่้", *"あいうえおかきくけこ", *"中文字国人大日本語𠀀", *"हिन्दीकरमल", "😀", "𐍈"]
MARKS = [*"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", *"«»¿¡“”‘’—–…、。「」,।،؛؟"]
LONGER = ["the", "ing", "tion", "word", "SE", "SEP", "##", "#", "internationalization", "ова", "การ", "##การ"]
TRAPS = [
    *("ab\x07c", "a\x00b", "\x00", "a\u200bb", "a\u200db", "a\ufeffb", "a\u00adb", "\ufffd", "a\ufffdb", "\u202eabc"),
    *("a\x85b", "\x85", "a\x1cb\x1db\x1eb\x1fb", "\x1c", "a\x0bb\x0cb", "a\tb", "a\rb", "\r", "a\u2028b\u2029b"),
    *("a\u00a0b", "a\u3000b", "a\u1680b", "a\u180eb", "a\u2003b", "a\u202fb", "\u3000\u3000"),
    *("a" * 199, "a" * 200, "a" * 201, "é" * 200, "é" * 201, "中" * 300, "𠀀" * 300, "," * 500, "a\u200b" * 150),
    *("[SEP]", "[CLS] [MASK]", "a[UNK]b", "[PAD", "##ing", "## ing", "the##ing", "[SEP]" * 50),
    *(
        "中文abc字",
        "a、b。c",
        "abc,def;ghi",
        "l’eau «x»",
        "كلمة،كلمة",
        "हिन्दी।",
        "ภาษาไทยไม่เว้นวรรค",
        "日本語のテキスト",
    ),
    *(
        "e\u0301",
        "\u0301",
        "a\u0301\u0302",
        "ﬁ",
        "\u1e9e",
        "İ",
        "ǅ",
        "😀😀",
        "👩\u200d👩\u200d👧",
        "𐍈𐍈",
        "\U000e0041",
        "\U0010ffff",
    ),
    *("\ue000", "a\ue000b", "\ufdd0", "\uffff", "\u0378", "abcdefgh", "abcdefghi", "a" * 16, "a" * 17, "ab" * 8 + "c"),
    *("", " ", "   a   b  ", "\x07", "\x07 \x07", " \x1f "),
]


def vocabulary() -> list[str]:
    characters = [*LETTERS, *OTHERS]
    pieces = [*SPECIAL_TOKENS, *characters, *(f"##{c}" for c in characters), *MARKS, *LONGER, "##s", "##ing", "##tion"]
    return list(dict.fromkeys(pieces))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    made = wordpiece(vocabulary())
    made.encode_special_tokens = True
    return made


def joined(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def plainly(tokenizer: Tokenizer, lines: list[str]) -> list[list[int] | None]:
    """What the tokenizer gives for each line by itself; None for a line of white space."""
    return [tokenizer.encode(line.strip(), add_special_tokens=False).ids if line.strip() else None for line in lines]


def by_line(found: tuple[np.ndarray, np.ndarray]) -> list[list[int] | None]:
    ids, lengths = found
    parts = np.split(ids, np.cumsum(np.maximum(lengths, 0)))
    assert len(parts.pop()) == 0
    return [None if length < 0 else part.tolist() for part, length in zip(parts, lengths, strict=True)]


def random_lines(seed: int, count: int) -> list[str]:
    """Lines of characters from all planes, of words of the vocabulary, and of traps, in all mixtures."""
    rng = random.Random(seed)

    def anything() -> str:
        last = rng.choice([0x80, 0x300, 0x800, 0x3100, 0x10000, 0x30000, 0x110000])
        code = rng.randrange(last)
        return "?" if code == 10 or 0xD800 <= code < 0xE000 else chr(code)

    sources = [anything, anything, *(lambda c=c: rng.choice(c) for c in (LETTERS, OTHERS, MARKS, LONGER, TRAPS, [" "]))]
    lines = []
    for _ in range(count):
        chosen = rng.choices(sources, k=rng.randint(1, 3))
        lines.append("".join(rng.choice(chosen)() for _ in range(rng.randint(0, 40))))
    return lines


def test_traps_give_the_tokenizers_own_tokens(tokenizer):
    lines = [*TRAPS, *(f"the {trap}, word" for trap in TRAPS), *(f"ab{trap}ing" for trap in TRAPS)]
    encoder = WordEncoder(tokenizer)
    for line, expected in zip(lines, plainly(tokenizer, lines), strict=True):
        assert by_line(encoder.encode(joined([line]))) == [expected], repr(line)
    together = [line for line in lines if "\0" not in line]
    assert by_line(encoder.encode(joined(together))) == plainly(tokenizer, together)


@pytest.mark.parametrize("seed", range(2))
def test_random_text_of_all_planes_gives_the_tokenizers_own_tokens(tokenizer, seed):
    lines = [line.replace("\0", "") for line in random_lines(seed, 2000)]
    expected = plainly(tokenizer, lines)
    encoder = WordEncoder(tokenizer)
    assert by_line(encoder.encode(joined(lines))) == expected
    assert by_line(encoder.encode(joined(lines))) == expected
    assert sum(ids is not None and any(i != 1 for i in ids) for ids in expected) > 1200


def test_every_character_gives_the_tokenizers_own_tokens(tokenizer):
    codes = [c for c in range(1, 0x30000) if not 0xD800 <= c < 0xE000 and c != 10]
    lines = ["a".join(map(chr, codes[n : n + 64])) for n in range(0, len(codes), 64)]
    assert by_line(WordEncoder(tokenizer).encode(joined(lines))) == plainly(tokenizer, lines)


@pytest.mark.parametrize("path", sorted((ROOT / "resources/sample/wiki").rglob("*.bz2")), ids=lambda p: p.parent.name)
def test_the_sample_gives_the_tokenizers_own_tokens(tokenizer, path):
    with bz2.open(path, "rt", encoding="utf-8", newline="\n") as stream:
        lines = stream.read(1 << 18).split("\n")
    assert by_line(WordEncoder(tokenizer).encode(joined(lines))) == plainly(tokenizer, lines)


def test_a_full_cache_is_started_anew_and_changes_nothing(tokenizer):
    lines = [line.replace("\0", "") for line in random_lines(9, 1200)]
    large = WordEncoder(tokenizer, step_bytes=500)
    small = WordEncoder(tokenizer, cached_bytes=20_000, step_bytes=500)
    held = []
    for begin in range(0, len(lines), 100):
        block = joined(lines[begin : begin + 100])
        assert by_line(small.encode(block)) == by_line(large.encode(block)) == plainly(tokenizer, lines[begin:][:100])
        held.append(small.words)
    assert large.words > 3 * max(held)
    assert sorted(held) != held


def test_not_utf8_is_an_error_with_its_place(tokenizer):
    for encoder in (WordEncoder(tokenizer), LineEncoder(tokenizer)):
        with pytest.raises(UnicodeDecodeError) as caught:
            encoder.encode("é word\n".encode() + b"a \xff\n")
        assert caught.value.start == 10


def test_nothing_gives_nothing(tokenizer):
    for encoder in (WordEncoder(tokenizer), LineEncoder(tokenizer)):
        ids, lengths = encoder.encode(b"")
        assert (ids.dtype, len(ids), lengths.dtype, len(lengths)) == (np.uint32, 0, np.int64, 0)
        assert encoder.encode(b"\n \n\x07\n")[1].tolist() == [-1, -1, 0]


def changed(**settings) -> Tokenizer:
    made = wordpiece(vocabulary())
    made.encode_special_tokens = True
    for name, value in settings.items():
        setattr(made, name, value)
    return made


def with_entry() -> Tokenizer:
    made = changed()
    made.add_tokens([AddedToken("the word", special=False)])
    return made


def unigram() -> Tokenizer:
    made = Tokenizer(models.Unigram([("[UNK]", 0.0), ("a", -1.0), ("▁", -2.0)], unk_id=0))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    return made


LOWERED = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
OTHER_TOKENIZERS = {
    "lower-cased": lambda: changed(normalizer=LOWERED),
    "stripped of accents": lambda: changed(normalizer=normalizers.BertNormalizer(lowercase=False, strip_accents=True)),
    "Chinese left whole": lambda: changed(
        normalizer=normalizers.BertNormalizer(handle_chinese_chars=False, lowercase=False)
    ),
    "no normalizer": lambda: changed(normalizer=normalizers.Sequence([])),
    "white space alone": lambda: changed(pre_tokenizer=pre_tokenizers.WhitespaceSplit()),
    "special tokens in text": lambda: changed(encode_special_tokens=False),
    "entries of two words": with_entry,
    "another model": unigram,
}


@pytest.mark.parametrize("name", OTHER_TOKENIZERS)
def test_any_other_tokenizer_is_given_whole_lines(name):
    made = OTHER_TOKENIZERS[name]()
    assert not is_by_word(made)
    encoder = encoder_of(made)
    assert isinstance(encoder, LineEncoder)
    lines = ["The word, É [SEP]", "", "中文 aa"]
    assert by_line(encoder.encode(joined(lines))) == plainly(made, lines)


def test_berts_cased_wordpiece_is_known_by_its_settings(tokenizer):
    assert isinstance(encoder_of(tokenizer), WordEncoder)
    assert is_by_word(changed(normalizer=normalizers.BertNormalizer(lowercase=False)))  # accents follow the case


def test_kinds_of_characters():
    kinds = cutter().kinds
    expected = {
        WORD: "aé中"[:2] + "กあ\u0301\ue001"[:3],
        LONE: ",#$«、,中，।،’",
        SPACE: " \t\r\n\u00a0\u3000\u2028",
        ODD: "\x07\x00\x85\u200b\ufeff",
    }
    assert {kind: {int(kinds[ord(c)]) for c in text} for kind, text in expected.items()} == {k: {k} for k in expected}


def test_parts_of_a_text():
    block = "a b,c «x» 中文、ж\n".encode()
    starts, sizes, kinds = cutter().cut(block, np.frombuffer(block + bytes(16), np.uint8))
    parts = [block[start : start + size].decode() for start, size in zip(starts, sizes, strict=True)]
    assert parts == ["a", "b", ",", "c", "«", "x", "»", "中", "文", "、", "ж", "\n"]
    assert kinds.tolist() == [WORD, WORD, LONE, WORD, LONE, WORD, LONE, LONE, LONE, LONE, WORD, LINE]


def test_pieces_of_words():
    pieces = {"[UNK]": 0, "un": 1, "##aff": 2, "##able": 3, "##a": 4, "una": 5, "b": 6}
    model = {"vocab": pieces, "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 9}
    words = ["unaffable", "unable", "una", "unaffx", "affable", "b", "unaffables", "unaaff"]
    owners, ids = Matcher(model).match(code_points("".join(f"{word}\0" for word in words)), np.arange(len(words)))
    found = [ids[owners == word].tolist() for word in range(len(words))]
    assert found == [[0], [0], [5], [0], [0], [6], [0], [5, 2]]
    model["vocab"] = {piece: number for piece, number in pieces.items() if piece != "una"}
    owners, ids = Matcher(model).match(code_points("unaffable\0unable\0"), np.arange(2))
    assert [ids[owners == word].tolist() for word in range(2)] == [[1, 2, 3], [1, 3]]


def test_a_table_finds_what_was_put_in_and_nothing_else():
    rng = random.Random(3)
    words = list({bytes(rng.choices(b"ab\xff", k=rng.randint(1, 16))) for _ in range(9000)})
    text = np.frombuffer(b"".join(words) + bytes(16), np.uint8)
    sizes = np.array([len(word) for word in words])
    low, high = keys_of(text, np.cumsum(sizes) - sizes, sizes)
    table, half = WordTable(4), len(words) // 2
    numbers = np.arange(1, len(words) + 1)
    for begin in range(0, half, 700):
        some = slice(begin, min(begin + 700, half))
        table.insert((low[some], high[some]), numbers[some])
    assert table.find((low, high)).tolist() == [*numbers[:half], *[0] * (len(words) - half)]


@pytest.mark.skipif("POLYTICKET_DATA" not in os.environ, reason="POLYTICKET_DATA names no folder of real text")
@pytest.mark.parametrize("language", ["ar", "de", "en", "fr", "sw", "ur", "vi", "zh"])
def test_real_text_gives_the_tokenizers_own_tokens(language):
    data = Path(os.environ["POLYTICKET_DATA"])
    real = load_for_text(data / "mbert/vocab.txt")
    paths = sorted((data / "wiki" / language).glob("*.bz2"))
    assert paths
    encoder, plain = WordEncoder(real), LineEncoder(real)
    for path in paths:
        with bz2.open(path) as stream:
            block = stream.read(1 << 20).rpartition(b"\n")[0] + b"\n"
        assert by_line(encoder.encode(block)) == by_line(plain.encode(block))
