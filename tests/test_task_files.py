"""Layouts that people have on disk: read whole, or refused in one line that names the file and the way out."""

import json
import os
from itertools import product
from pathlib import Path

import pytest

from polyticket.core.errors import PolyticketError
from polyticket.tasks.data.files import require_own, source_files
from polyticket.tasks.data.loading import load
from polyticket.tasks.data.names import is_same, language_in, splits_in
from polyticket.tasks.examples import Pair, Sentence, describe
from polyticket.tasks.table import TASKS

PANX, UDPOS, XNLI, MLM = (TASKS[name] for name in ("panx", "udpos", "xnli", "mlm"))
SPLITS = ("train", "dev", "test")
TAGGED, PAIR = "a\tO\n", "a\tb\tneutral\n"
TEST_ALONE = {"train": "test", "dev": "test"}


def lay(folder: Path, files: dict[str, str | bytes]) -> str:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return str(folder)


def treebank(count: int, word: str = "w") -> str:
    """Sentences of one word each; their words are numbered, but for `_`."""
    words = [word if word == "_" else f"{word}{number}" for number in range(count)]
    return "".join(f"1\t{one}\t_\tNOUN\t_\t_\t0\troot\t_\t_\n\n" for one in words)


def sizes(found) -> tuple[int, int, int]:
    train, dev, test = (len(found.splits[split]) for split in SPLITS)
    return train, dev, test


def refused(*args, **options) -> str:
    with pytest.raises(PolyticketError) as error:
        load(*args, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


# treebanks


@pytest.mark.parametrize(
    ("language", "stem", "parts"),
    [
        ("de", "UD_German-HDT/de_hdt", ["a-1", "a-2", "b-1", "b-2", "b-10"]),
        ("cs", "UD_Czech-PDT/cs_pdt", ["c", "l", "m", "v"]),
        ("ru", "UD_Russian-SynTagRus/ru_syntagrus", ["a", "b", "c"]),
    ],
)
def test_a_train_split_in_parts_is_read_whole_in_natural_order(tmp_path, language, stem, parts):
    files = {f"{stem}-ud-train-{part}.conllu": treebank(n + 1, f"{part}.") for n, part in enumerate(parts)}
    files |= {f"{stem}-ud-{split}.conllu": treebank(2, split) for split in ("dev", "test")}
    root = lay(tmp_path, files)
    folder = stem.split("/")[0]
    whole = len(parts) * (len(parts) + 1) // 2
    words = [f"{part}.{n}" for number, part in enumerate(parts) for n in range(number + 1)]
    for place in (f"{root}/{folder}", f"{root}/{folder}/*.conllu", f"{root}/UD_*/{language}_*-ud-*.conllu"):
        found = load(place, UDPOS, language)
        assert sizes(found) == (whole, 2, 2)
        assert [sentence.words[0] for sentence in found.splits["train"]] == words
        assert list(found.files.values()) == [*range(1, len(parts) + 1), 2, 2]
        assert source_files(place, UDPOS, language) == list(found.files)
    lay(tmp_path, {f"UD_Other/{language}_gsd-ud-{split}.conllu": treebank(3) for split in SPLITS})
    assert sizes(load(f"{root}/UD_*", UDPOS, language)) == (whole + 3, 5, 5)
    lay(tmp_path, {f"{stem}-ud-train.conllu": treebank(whole)})
    message = f"{root}/{stem}-ud-train-{parts[0]}.conllu: a part of a split that is there as a whole"
    for place in (f"{root}/{folder}", f"{root}/{folder}/*.conllu"):
        assert message in refused(place, UDPOS, language)


RELEASE = {
    "UD_French-PUD/fr_pud-ud-test.conllu": treebank(3),
    "UD_German-PUD/de_pud-ud-test.conllu": treebank(5),
    "UD_Chinese-PUD/zh_pud-ud-test.conllu": treebank(7),
    "UD_French-PUD/README.md": "x",
}


def test_a_release_of_many_languages_is_never_read_as_one(tmp_path):
    root = lay(tmp_path, RELEASE)
    narrower = f"expected files of one language: a glob such as {root}/*/fr_*-ud-*.conllu"
    for splits in ({}, TEST_ALONE):
        for place in (f"{root}/UD_*-PUD", f"{root}/UD_*/*.conllu"):
            message = refused(place, UDPOS, "fr", splits=splits)
            assert message.startswith(
                f"{root}/UD_Chinese-PUD/zh_pud-ud-test.conllu: a file of de, zh where 'fr' is read"
            )
            assert narrower in message
    found = load(f"{root}/*/fr_*-ud-*.conllu", UDPOS, "fr", splits=TEST_ALONE)
    assert (sizes(found), list(found.files.values())) == ((3, 3, 3), [3])
    assert f"no data that can be read (write {root}/UD_*/fr_*-ud-*.conllu)" in refused(root, UDPOS, "fr")
    flat = lay(tmp_path / "flat", {Path(name).name: data for name, data in RELEASE.items()})
    assert f"a glob such as {flat}/fr_*-ud-*.conllu" in refused(flat, UDPOS, "fr", splits=TEST_ALONE)
    assert sizes(load(f"{flat}/zh_*-ud-*.conllu", UDPOS, "zh", splits=TEST_ALONE)) == (7, 7, 7)
    alone = refused(f"{root}/UD_German-PUD", UDPOS, "fr", splits=TEST_ALONE)
    assert "de_pud-ud-test.conllu: a file of de where 'fr' is read" in alone


def test_a_treebank_with_test_alone_says_what_to_write(tmp_path):
    root = lay(tmp_path, RELEASE)
    for place in (f"{root}/UD_French-PUD", f"{root}/UD_French-PUD/fr_pud-ud-test.conllu"):
        message = refused(place, UDPOS, "fr")
        assert "no train and no dev split" in message
        assert "splits: {train: …, dev: …}), or the language in predict_also" in message


@pytest.mark.parametrize(
    ("code", "language", "same"),
    [
        *[("no", "nn", True), ("no", "no", True), ("gsw", "als", True), ("kmr", "ku", True), ("yue", "zh-yue", True)],
        *[("lzh", "zh-classical", True), ("en", "simple", True), ("cs", "sk", False), ("zh", "zh-yue", False)],
    ],
)
def test_codes_of_treebanks_and_of_wikipedias(tmp_path, code, language, same):
    assert is_same(code, language) is same
    root = lay(tmp_path, {f"{code}_x-ud-{split}.conllu": treebank(1) for split in SPLITS})
    if same:
        assert sizes(load(root, UDPOS, language)) == (1, 1, 1)
    else:
        assert f"a file of {code} where {language!r} is read" in refused(root, UDPOS, language)
    plain = lay(tmp_path / "plain", {f"{split}.conllu": treebank(2) for split in SPLITS})
    assert sizes(load(plain, UDPOS, language)) == (2, 2, 2)


def test_sentences_without_words_are_passed_over_and_counted(tmp_path):
    two = "".join(f"{number}\t_\t_\tX\t_\t_\t0\troot\t_\t_\n" for number in (1, 2)) + "\n"
    texts = {"train": treebank(5) + 2 * two, "dev": treebank(2), "test": treebank(1) + treebank(1, "_")}
    root = lay(tmp_path, {f"fr_x-ud-{split}.conllu": text for split, text in texts.items()})
    found = load(root, UDPOS, "fr")
    assert sizes(found) == (5, 2, 2)  # a word may be _
    assert found.passed_over == {f"{root}/fr_x-ud-train.conllu (in part)": "2 of 7 sentences have no words but _"}
    assert found.files[f"{root}/fr_x-ud-train.conllu"] == 5


def test_a_file_beside_a_treebank_is_refused_and_read_as_the_error_says(tmp_path):
    names = ("train", "dev", "test", "train_extra")
    root = lay(tmp_path, {f"cs_pdt-ud-{name}.conllu": treebank(1) for name in names})
    assert "train_extra.conllu: named as data of train, and not read" in refused(root, UDPOS, "cs")
    assert f"by a glob of files ({root}/*.conllu)" in refused(root, UDPOS, "cs")
    assert sizes(load(f"{root}/*.conllu", UDPOS, "cs")) == (2, 1, 1)


def test_words_without_tags_are_passed_over_and_counted(tmp_path):
    texts = {split: treebank(2) for split in SPLITS}
    texts["train"] += treebank(1).replace("NOUN", "_")
    root = lay(tmp_path, {f"fr_x-ud-{split}.conllu": text for split, text in texts.items()})
    path = f"{root}/fr_x-ud-train.conllu (in part)"
    assert load(root, UDPOS, "fr").passed_over == {path: "1 of 3 words have no tag but _"}


def test_treebanks_without_words_are_passed_over_among_others(tmp_path):
    bare = {f"UD_French-FTB/fr_ftb-ud-{split}.conllu": treebank(4, "_") for split in SPLITS}
    good = {f"UD_French-GSD/fr_gsd-ud-{split}.conllu": treebank(3) + treebank(1, "_") for split in SPLITS}
    root = lay(tmp_path, {**bare, **good, "UD_French-GSD/fr_gsd-ud-train.txt": "x", "UD_French-GSD/LICENSE.txt": "x"})
    for place in (f"{root}/UD_French-*", f"{root}/*/fr_*.conllu"):
        found = load(place, UDPOS, "fr")
        assert sizes(found) == (4, 4, 4)
        assert found.passed_over == {f"{root}/{name}": "4 of 4 words are _" for name in bare}
        assert list(found.files) == [f"{root}/{name}" for name in good]
    beside = [f"{root}/UD_French-GSD/{name}" for name in ("LICENSE.txt", "fr_gsd-ud-train.txt")]
    assert load(f"{root}/UD_French-*", UDPOS, "fr").unread == beside
    assert refused(f"{root}/UD_French-FTB", UDPOS, "fr") == (
        f"{root}/UD_French-FTB/fr_ftb-ud-train.conllu: 4 of 4 words are _; expected a treebank that is given with its "
        "words, or a glob that leaves this one out"
    )
    lay(tmp_path, {"UD_Arabic-NYUAD/ar_nyuad-ud-test.conllu": treebank(5, "_")})
    assert "5 of 5 words are _" in refused(f"{root}/UD_Arabic-NYUAD", UDPOS, "ar", splits=TEST_ALONE)


# what stands beside the files that are read


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["train.txt", "dev.txt", "test"], ": no test split (there is test); expected test.txt, or another split"),
        (["train", "dev", "test", "train2"], "/train2: named as data of train, and not read; expected train alone for"),
        (["train", "dev", "test", "test.txt"], "/test.txt: named as data of test, and not read"),
        (["train.tsv", "dev.tsv", "test.tsv", "train-extra.tsv"], "move this file away, or read it as well by a glob"),
        (["train.tsv", "dev.tsv", "test.tsv", "train-new.tsv"], "/train-new.tsv: named as data of train"),
        (["train-fr.tsv", "dev-fr.tsv", "test-fr.tsv", "dev-fr2.tsv"], "/dev-fr2.tsv: named as data of dev"),
        (["train", "dev", "test", "more-train.gz"], "/more-train.gz: named as data of train, and not read; expected"),
        (["train.txt", "valid.txt", "test.txt"], "(there is valid.txt); expected dev.txt, or another split in its "
         "place (splits: {dev: valid})"),
        (["train.tsv.gz", "dev.tsv.gz", "test.tsv.gz"], "among dev.tsv.gz, test.tsv.gz, train.tsv.gz (unpack them)"),
        (["train-1.tsv", "train-2.tsv", "dev-1.tsv", "test-1.tsv"], "/*.tsv); expected one of {split} |"),
        (["eng.train", "eng.testa", "eng.testb"], "/* with splits: {dev: testa, test: testb})"),
        (["fr/train", "fr/dev", "fr/test"], "/fr); expected one of"),
        (["hau/train.txt", "yor/train.txt"], "/hau, one for each language); expected one of"),
        (["data-00000.arrow", "dataset_dict.json"], "no data that can be read (of a Hugging Face data set write hf:///"),
        (["train-00000-of-00001.parquet"], "(of a Hugging Face data set write hf:///"),
        (["train.bert-base-multilingual-cased", "dev.bert-x"], "no data that can be read among dev"),
    ],
)  # fmt: skip
def test_files_that_match_a_layout_nearly_are_named(tmp_path, files, message):
    assert message in refused(lay(tmp_path, dict.fromkeys(files, TAGGED)), PANX, "fr")


def test_a_link_to_nothing_is_named(tmp_path):
    folder = lay(tmp_path, dict.fromkeys(("dev", "test"), TAGGED))
    (tmp_path / "train").symlink_to("gone")
    assert refused(folder, PANX, "fr") == f"{folder}/train: a broken link; expected a file"


def test_copies_documentation_and_other_languages_are_listed(tmp_path):
    own = [f"{split}-fr.tsv" for split in SPLITS]
    shared = [f"{split}-{code}.tsv" for split in SPLITS for code in ("sw", "yor", "zh-yue")]
    beside = ["README.md", "train-fr.tsv.bak", "train-fr.tsv.gz", "train-fr.tsv~"]
    folder = lay(tmp_path, dict.fromkeys([*own, *shared, *beside], TAGGED))
    found = load(folder, PANX, "fr")
    assert sizes(found) == (1, 1, 1)
    assert found.unread == [f"{folder}/{name}" for name in beside] + ["9 files of other languages: sw, yor, zh-yue"]
    wikiann = lay(tmp_path / "fr", dict.fromkeys(["train", "dev", "test", "extra", "fr.tar.gz"], TAGGED))
    assert load(wikiann, PANX, "fr").unread == [f"{wikiann}/extra", f"{wikiann}/fr.tar.gz"]


# files and globs of files


@pytest.mark.parametrize(
    ("task", "files", "pattern", "read"),
    [
        (PANX, {f"{s}.txt": "Abu B-PER\nda O\n\n \nKano B-LOC \n" for s in SPLITS}, "*.txt", (2, 2, 2)),
        (PANX, {"train": TAGGED, "train2": TAGGED, "dev": TAGGED, "test": TAGGED}, "*", (2, 1, 1)),
        (UDPOS, {f"{s}-{x}.tsv": "a\tX\n" for s in SPLITS for x in ("fr", "sw")}, "*-fr.tsv", (1, 1, 1)),
        (XNLI, {f"{s}-{x}.tsv": PAIR for s in SPLITS for x in ("fr", "sw")}, "*-fr.tsv", (1, 1, 1)),
        (XNLI, {f"xnli.{s}.{n}.tsv": PAIR for s in SPLITS for n in (1, 2)}, "*.tsv", (2, 2, 2)),
        (MLM, {f"{s}.jsonl": '{"text": "a"}\n' * 2 for s in SPLITS}, "*.jsonl", (2, 2, 2)),
    ],
)
def test_names_of_files_tell_their_splits(tmp_path, task, files, pattern, read):
    root = lay(tmp_path, files)
    found = load(f"{root}/{pattern}", task, "fr")
    assert sizes(found) == read
    assert sum(found.files.values()) == sum(read)


@pytest.mark.parametrize(
    ("task", "files", "pattern", "message"),
    [
        (PANX, ["train.txt", "valid.txt", "test.txt"], "*.txt", "valid.txt: no split in the name; expected one of "
         "train, dev, test in it, or another name for a split (splits: {dev: valid})"),
        (PANX, ["train_dev.tsv", "test.tsv"], "*.tsv", "train_dev.tsv: the splits train and dev in the name"),
        (PANX, ["train.tsv", "dev.txt"], "*", "train.tsv: a file *.tsv among files *.txt; expected files of one kind"),
        (PANX, ["train.tsv.gz"], "*", "train.tsv.gz: not a file of examples; expected it unpacked"),
        (PANX, ["train.tsv"], "*.tsv", "no dev and no test split (there is train.tsv); expected a file with the split"),
        (PANX, [f"{s}-{x}.tsv" for s in SPLITS for x in ("fr", "hau")], "*", "dev-hau.tsv: a file of hau where 'fr'"),
        (PANX, [f"{s}-sw.tsv" for s in SPLITS], "*", "dev-sw.tsv: a file of sw where 'fr' is read; expected files"),
        (PANX, ["fr/train", "sw/train"], "*/train", "directories of several languages: fr, sw; expected that of one"),
        (PANX, ["hau/train.txt", "yor/train.txt"], "*/*.txt", "directories of several languages: hau, yor"),
        (UDPOS, ["fr/train.tsv", "sw/train.tsv"], "*", "directories of several languages: fr, sw"),
        (XNLI, ["train.csv"], "*", "train.csv: not a file of examples; expected a directory or a file *.tsv or"),
        (MLM, ["train.jsonl", "dev.jsonl"], "*", "no test split (there is dev.jsonl, train.jsonl)"),
    ],
)  # fmt: skip
def test_globs_that_are_refused(tmp_path, task, files, pattern, message):
    root = lay(tmp_path, dict.fromkeys(files, TAGGED))
    assert message in refused(f"{root}/{pattern}", task, "fr")


def test_xtremes_pairs_of_a_language_without_a_train_split(tmp_path):
    files = [*(f"{split}-en.tsv" for split in SPLITS), "dev-fr.tsv", "test-fr.tsv"]
    folder = lay(tmp_path, dict.fromkeys(files, PAIR))
    assert sizes(load(folder, XNLI, "en")) == (1, 1, 1)
    assert sizes(load(folder, XNLI, "fr", splits=TEST_ALONE)) == (1, 1, 1)
    assert refused(folder, XNLI, "fr") == (
        f"{folder}: no train split (there is train-en.tsv); expected train-fr.tsv, or another split in its place "
        "(splits: {train: …}), or the language in predict_also, where it is only predicted"
    )


def test_what_names_tell():
    assert splits_in("fr_gsd-ud-train-a-1.conllu", SPLITS) == splits_in("Train2.txt", SPLITS) == ["train"]
    assert splits_in("latest-contest.tsv", SPLITS) == splits_in("training.tsv", SPLITS) == []
    assert [
        language_in(name, SPLITS) for name in ("fr_gsd-ud-dev.conllu", "fr-ud-dev.conllu", "all-ud-dev.conllu")
    ] == [
        *("fr", "fr"),
        None,
    ]
    assert [language_in(name, SPLITS) for name in ("dev-sw.tsv", "dev.tsv", "sw.tar.gz", "xy.tar")] == [
        *("sw", None),
        *("sw", None),
    ]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        *(("train_de.tsv", "de"), ("train.de.tsv", "de"), ("train-de.tsv", "de"), ("train_de_2.tsv", "de")),
        *(("de_train.tsv", "de"), ("de.train", "de"), ("de-train1.tsv", "de"), ("train_zh_yue.tsv", "zh-yue")),
        *(("udpos_train_de.tsv", "de"), ("udpos-de-train.tsv", "de"), ("zh-yue_dev.tsv", "zh-yue")),
        *(("train_a.tsv", None), ("train_1.tsv", None), ("train_full.tsv", None), ("train_no_copies.tsv", None)),
        *(("a_train.tsv", None), ("train_raw.tsv", None), ("trained_de.tsv", None), ("gold.train.tsv", None)),
    ],
)
def test_a_code_stands_beside_the_split(name, code):
    assert language_in(name, SPLITS) == code


@pytest.mark.parametrize("form", ["{split}_{code}.tsv", "{code}_{split}.tsv", "{split}.{code}.tsv", "{code}.{split}"])
@pytest.mark.parametrize("codes", [["fr", "de"], ["de"], ["fr", "hau"]])
def test_tables_of_other_languages_are_refused_however_a_code_is_joined(tmp_path, form, codes):
    for code, split in product(codes, SPLITS):
        (tmp_path / form.format(split=split, code=code)).write_text("a\tNOUN\n")
    line = refused(f"{tmp_path}/*", UDPOS, "fr")
    assert f"a file of {codes[-1]} where 'fr' is read" in line
    own = line.partition("a glob such as ")[2].partition(",")[0]
    if "fr" in codes:
        assert len(load(own, UDPOS, "fr").files) == 3


def test_other_short_words_beside_a_code_are_no_languages(tmp_path):
    for form, split in product(("{}_fr", "fr_{}_ner", "ner_{}_fr", "fr_gsd_{}"), SPLITS):
        (tmp_path / f"{form.format(split)}.tsv").write_text("a\tNOUN\n")
    assert len(load(f"{tmp_path}/*", UDPOS, "fr").files) == 12


def test_tables_that_tell_no_language_are_joined(tmp_path):
    for part, split in product(("old", "raw", "a", "1"), SPLITS):
        (tmp_path / f"{split}_{part}.tsv").write_text("a\tNOUN\n")
    assert len(load(f"{tmp_path}/*", UDPOS, "fr").files) == 12


def test_a_place_that_languages_share_needs_names_of_their_own():
    own = ("a/train-fr.tsv", "a/train-fr.conllu", "a/fr.tar.gz", "a/fr_gsd-ud-train.conllu", "a/test-fr.jsonl")
    for name in own:
        require_own([name], "fr", where="config data.x")
    require_own(["a/no_nynorsk-ud-train.conllu"], "nn", where="config data.x")
    for files in ([], ["a/train"], ["a/train-fr.tsv", "a/train.tsv"], ["a/train-sw.tsv"], ["a/frp_x-ud-train.conllu"]):
        with pytest.raises(PolyticketError, match=r"config data\.x: the same for all languages"):
            require_own(files, "fr", where="config data.x")


# text


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ("utf-8", None),
        ("utf-8-sig", None),
        ("utf-16", "train:1: not UTF-8: invalid start byte; expected UTF-8 text (iconv makes it of other encodings)"),
        ("utf-16-le", "train:1: not UTF-8: a zero byte, as UTF-16 has; expected UTF-8 text"),
        ("latin-1", "train:2: not UTF-8: invalid continuation byte; expected UTF-8 text"),
        ("cp1251", "train:2: not UTF-8: "),
    ],
)
def test_encodings(tmp_path, encoding, message):
    text = "a\tO\r\n" + ("é\tB-LOC\r\n" if encoding != "cp1251" else "ж\tB-LOC\r\n")
    folder = lay(tmp_path, dict.fromkeys(SPLITS, text.encode(encoding)))
    if message is None:
        assert load(folder, PANX, "fr").splits["dev"] == [Sentence(("a", "é"), ("O", "B-LOC"))]
    else:
        assert message in refused(folder, PANX, "fr")


@pytest.mark.parametrize(
    ("task", "text", "message"),
    [
        (
            PANX,
            "Le\nRhin\n",
            "test.tsv:1: 1 column where two are needed; expected word<TAB>tag; words without tags can't",
        ),
        (PANX, "EU NNP I-NP I-ORG\n", "4 columns where two are needed; expected word<TAB>tag; cut -f (with -d ' '"),
        (PANX, "a\tO\nb O\n", "test.tsv:2: 1 column where two are needed"),
        (PANX, "a O\nb\tO\n", "test.tsv:2: 1 column where two are needed"),
        (
            XNLI,
            "a\tb\n",
            "test.tsv:1: 2 columns where three are needed; expected premise<TAB>hypothesis<TAB>label; a file",
        ),
        (XNLI, "fr\tx\ta\tb\n", "4 columns where three are needed; expected premise<TAB>hypothesis<TAB>label; cut -f"),
    ],
)
def test_other_columns_say_the_way_out(tmp_path, task, text, message):
    good = TAGGED if task is PANX else PAIR
    folder = lay(tmp_path, {"train.tsv": good, "dev.tsv": good, "test.tsv": text})
    assert message in refused(folder, task, "fr")


def test_markers_of_documents_are_no_words(tmp_path):
    text = "-DOCSTART- O\n\nKano B-LOC\n\n -DOCSTART- -X- O O\n\nda O\n"
    folder = lay(tmp_path, dict.fromkeys([f"{split}.txt" for split in SPLITS], text))
    assert load(folder, PANX, "fr").splits["test"] == [Sentence(("Kano",), ("B-LOC",)), Sentence(("da",), ("O",))]


def test_json_lines_of_sentences_and_pairs(tmp_path):
    rows = {
        "panx": {"id": 1, "tokens": ["a", "Kano"], "ner_tags": ["O", "B-LOC"]},
        "xnli": {"premise": "a", "hypothesis": "b", "gold_label": "contradictory"},
    }
    for task, row in rows.items():
        lay(tmp_path / task, dict.fromkeys([f"{split}.jsonl" for split in SPLITS], f"{json.dumps(row)}\r\n\n"))
    assert load(f"{tmp_path}/panx", PANX, "fr").splits["dev"] == [Sentence(("a", "Kano"), ("O", "B-LOC"))]
    assert load(f"{tmp_path}/xnli", XNLI, "fr").splits["dev"] == [Pair("a", "b", "contradiction")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "train.jsonl:2: not JSON"),
        (
            "[1]",
            "train.jsonl:2: no JSON object; expected a JSON object a line, with premise, hypothesis, label or gold_l",
        ),
        ('{"sentence1": "a", "sentence2": "b"}', "train.jsonl:2: no premise among sentence1, sentence2; expected"),
        ('{"premise": "a", "hypothesis": null, "label": "neutral"}', "train.jsonl:2: None is no text"),
        ('{"premise": "a", "hypothesis": "b", "label": 1}', "train.jsonl:2: the label 1; expected its name"),
        ('{"premise": "a", "hypothesis": "b", "label": null}', "train.jsonl:2: no label; expected a labelled split"),
    ],
)
def test_bad_json_lines_of_pairs(tmp_path, line, message):
    good = '{"premise": "a", "hypothesis": "b", "label": "neutral"}\n'
    folder = lay(tmp_path, {"train.jsonl": good + line, "dev.jsonl": good, "test.jsonl": good})
    assert message in refused(folder, XNLI, "fr")


def test_rows_that_say_their_language_are_of_one_and_the_right_one(tmp_path):
    import datasets

    def rows(*codes: str) -> str:
        each = ({"language": code, "premise": "a", "hypothesis": "b", "label": "neutral"} for code in codes)
        return "".join(f"{json.dumps(row)}\n" for row in each)

    good = lay(tmp_path / "good", {f"{split}.jsonl": rows("fr", "fr") for split in SPLITS})
    assert sizes(load(good, XNLI, "fr")) == (2, 2, 2)
    assert "train.jsonl: rows of fr where 'sw' is read; expected its rows alone" in refused(good, XNLI, "sw")
    mixed = lay(tmp_path / "mixed", {f"{split}.jsonl": rows("fr", "sw") for split in SPLITS})
    assert "train.jsonl: rows of fr, sw where 'fr' is read" in refused(mixed, XNLI, "fr")
    for name, codes in {"hub": ["fr", "fr"], "hub2": ["fr", "sw"]}.items():
        part = datasets.Dataset.from_list([json.loads(row) for row in rows(*codes).splitlines()])
        datasets.DatasetDict(train=part, validation=part, test=part).save_to_disk(tmp_path / name)
    assert sizes(load(f"hf://{tmp_path}/hub", XNLI, "fr")) == (2, 2, 2)
    assert ":train: rows of fr, sw where 'fr' is read" in refused(f"hf://{tmp_path}/hub2", XNLI, "fr")


@pytest.mark.parametrize("codes", [["fr", "de"], ["de", "de"]])
def test_a_language_that_is_a_label_is_checked(tmp_path, codes):
    import datasets

    lang = datasets.ClassLabel(names=["de", "fr", "sw"])
    text = datasets.Value("large_string")
    for key, feature in {"lang": lang, "language": text}.items():
        rows = {"premise": ["a", "b"], "hypothesis": ["c", "d"], "label": ["neutral"] * 2, key: codes}
        features = {name: feature if name == key else datasets.Value("string") for name in rows}
        part = datasets.Dataset.from_dict(rows, features=datasets.Features(features))
        datasets.DatasetDict(train=part, validation=part, test=part).save_to_disk(tmp_path / key)
        shown = ", ".join(sorted(set(codes)))
        assert f":train: rows of {shown} where 'fr' is read" in refused(f"hf://{tmp_path}/{key}", XNLI, "fr")


def test_data_sets_that_were_saved_to_disk(tmp_path):
    import datasets

    names = datasets.ClassLabel(names=["O", "B-PER", "I-PER"])
    features = datasets.Features({"tokens": datasets.List(datasets.Value("string")), "ner_tags": datasets.List(names)})
    part = datasets.Dataset.from_dict({"tokens": [["a", "b"]], "ner_tags": [[1, 2]]}, features=features)
    datasets.DatasetDict(train=part, validation=part, test=part, more=part).save_to_disk(tmp_path / "fr")
    found = load(f"hf://{tmp_path}/fr", PANX, "fr")
    assert found.splits["dev"] == [Sentence(("a", "b"), ("B-PER", "I-PER"))]
    where = f"hf://{tmp_path}/fr"
    assert found.files == {f"{where}:train": 1, f"{where}:validation": 1, f"{where}:test": 1}
    assert found.unread == [f"{where}:more"]
    assert f"(of a Hugging Face data set write {where})" in refused(f"{tmp_path}/fr", PANX, "fr")
    part.save_to_disk(tmp_path / "alone")
    assert "one split that was saved by itself; expected the directory above" in refused(
        f"hf://{tmp_path}/alone", PANX, "fr"
    )


# real data

REAL = {
    "panx": {
        "ar": ((7000, 2000, 2000), 71558),
        "de": ((7000, 2000, 2000), 108053),
        "en": ((20000, 5000, 5000), 240930),
        "fr": ((20000, 5000, 5000), 205008),
        "sw": ((1000, 500, 500), 11206),
        "ur": ((20000, 500, 500), 106736),
        "vi": ((7000, 2000, 2000), 70883),
        "zh": ((7000, 2000, 2000), 234419),
    },
    "udpos": {
        "ar": ((6000, 909, 1680), 260883),
        "de": ((5000, 799, 977), 113944),
        "en": ((6000, 2000, 2000), 139560),
        "fr": ((8000, 2000, 2500), 270717),
        "sw": ((693, 138, 553), 40789),
        "ur": ((4043, 552, 535), 138077),
        "vi": ((1400, 800, 800), 43754),
        "zh": ((6000, 1000, 2000), 208653),
    },
}
"""Sentences of train, dev and test, and words in all, as `awk` counts them."""


@pytest.mark.skipif("POLYTICKET_DATA" not in os.environ, reason="POLYTICKET_DATA is not set")
@pytest.mark.parametrize("language", REAL["panx"])
def test_real_files_of_eight_languages_are_read_whole(language):
    root = os.environ["POLYTICKET_DATA"]
    for name, counts in REAL.items():
        found = load(f"{root}/{name}/{language}", TASKS[name], language, labels="from_data" if name == "panx" else None)
        words = describe(found.splits, ())["words"]
        assert (sizes(found), sum(words.values())) == counts[language]
        assert (found.passed_over, found.unread) == ({}, [])
        assert set(found.task.labels) == set(TASKS[name].labels)
    pairs = load(f"{root}/xnli/{language}", XNLI, language, splits={"test": "dev"})
    assert sizes(pairs) == (5010, 2490, 2490)
    assert describe(pairs.splits, XNLI.labels)["labels"]["dev"] == dict.fromkeys(XNLI.labels, 830)
