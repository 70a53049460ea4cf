import io
import json
import os
import runpy
import shutil
import subprocess
import sys
import tarfile
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import pytest

from polyticket.core.errors import PolyticketError
from polyticket.core.logs import log
from polyticket.tasks.data.files import source_files
from polyticket.tasks.data.hub import open_dataset
from polyticket.tasks.data.loading import load, load_splits, read_members
from polyticket.tasks.data.names import Address, address_of
from polyticket.tasks.data.text_files import divided
from polyticket.tasks.example_files import read_examples
from polyticket.tasks.examples import (
    Pair,
    Sentence,
    Text,
    count_duplicates,
    describe,
    unseen_labels,
    without_duplicates,
)
from polyticket.tasks.table import TASKS, task_named

PANX, UDPOS, XNLI, MLM = (TASKS[name] for name in ("panx", "udpos", "xnli", "mlm"))
TAGGED = b"fr:a\tO\n"
A = Sentence(("a",), ("O",))


def lay(folder: Path, **files: bytes | str) -> str:
    """Write files, in whose names `_` is for `.` and `__` for `-`; the folder."""
    for name, data in files.items():
        path = folder / name.replace("__", "-").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return str(folder)


def read(tmp_path: Path, data: bytes, task=PANX, language="fr", name="train") -> list:
    """What is read of a train file."""
    other = {Sentence: b"a\tO\n" if task is PANX else b"a\tX\n", Pair: b"a\tb\tneutral\n", Text: b'{"text": "a"}\n'}
    for split in ("train", "dev", "test"):
        (tmp_path / name.replace("train", split)).write_bytes(data if split == "train" else other[task.examples])
    return load_splits(str(tmp_path), task, language)["train"]


def refused(*args, **options) -> str:
    with pytest.raises(PolyticketError) as error:
        load_splits(*args, **options)
    return str(error.value)


# words and tags


def test_labels_are_the_published_ones():
    assert PANX.labels == ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")
    assert len(UDPOS.labels) == len(set(UDPOS.labels)) == 17


def test_unknown_task():
    with pytest.raises(PolyticketError, match="task: unknown task 'ner'; expected one of panx, udpos"):
        task_named("ner")


def test_prefix_is_stripped_only_if_it_is_the_language_and_a_colon(tmp_path):
    data = b"fr:Paris\tB-LOC\nfra:x\tO\nfr\tO\nfr:\tO\nfr:fr:y\tO\nbare\tO\n"
    words = ("Paris", "fra:x", "fr", "", "fr:y", "bare")
    assert read(tmp_path, data) == [Sentence(words, ("B-LOC", "O", "O", "O", "O", "O"))]


def test_udpos_has_no_prefix_and_drops_underscore_rows(tmp_path):
    data = b"fr:a\tNOUN\ndu\t_\nle\tDET\n\ndu\t_\n\nfin\tX\n"
    assert read(tmp_path, data, UDPOS, name="train.tsv") == [
        Sentence(("fr:a", "le"), ("NOUN", "DET")),
        Sentence(("fin",), ("X",)),
    ]


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
    assert read(folder, TAGGED) == [A]


def test_only_newlines_end_a_line(tmp_path):
    data = "fr:a\u2028b\tO\nfr:\x85\tO\nfr:\u3000\tO\nfr:\x0b\tO\nfr:c\rd\tO\n".encode()
    assert read(tmp_path, data)[0].words == ("a\u2028b", "\x85", "\u3000", "\x0b", "c\rd")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"fr:a\tO\nfr:b\n", "train:2: 1 column where two are needed; expected word<TAB>tag"),
        (b"\r\nfr:a\tO\tO\r\n", "train:2: 3 columns where two are needed; expected word<TAB>tag"),
        (b"fr:a\tB-MISC\n", "train:1: unknown panx tag 'B-MISC'; expected one of O, B-PER, I-PER, B-ORG"),
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


# layouts


@pytest.mark.parametrize("layout", ["{}", "{}-fr.tsv", "{}.tsv"])
def test_xtremes_layouts(tmp_path, layout):
    for split in ("train", "dev", "test"):
        (tmp_path / layout.format(split)).write_text(f"fr:{split}\tO\n")
    found = load_splits(str(tmp_path), PANX, "fr")
    assert found == {split: [Sentence((split,), ("O",))] for split in ("train", "dev", "test")}
    files = [str(tmp_path / layout.format(split)) for split in ("train", "dev", "test")]
    assert source_files(str(tmp_path), PANX, "fr") == files


def test_of_several_layouts_the_first_with_all_splits_is_read(tmp_path):
    for name in ("train.tsv", "dev.tsv", "test.tsv", "train-fr.tsv", "dev-fr.tsv", "test-fr.tsv"):
        (tmp_path / name).write_text(f"{name}\tO\n")
    assert load_splits(str(tmp_path), PANX, "fr")["train"][0].words == ("train-fr.tsv",)
    assert load_splits(str(tmp_path), PANX, "sw")["train"][0].words == ("train.tsv",)
    for name in ("train", "dev", "test"):
        (tmp_path / name).write_text(f"{name}\tO\n")
    found = load(str(tmp_path), PANX, "fr")
    assert found.splits["train"][0].words == ("train",)
    others = ("dev-fr.tsv", "dev.tsv", "test-fr.tsv", "test.tsv", "train-fr.tsv", "train.tsv")
    assert found.unread == [f"{tmp_path}/{name}" for name in others]


def test_a_missing_split_is_named_and_another_may_stand_in(tmp_path):
    source = lay(tmp_path, train_tsv="a\tb\tneutral\n", dev_tsv="c\td\tcontradictory\n")
    message = f"{source}: no test split; expected test.tsv, or another split in its place (splits: {{test: dev}})"  #
    assert refused(source, XNLI, "fr") == message
    with pytest.raises(PolyticketError, match="no test split"):
        source_files(source, XNLI, "fr")
    found = load_splits(source, XNLI, "fr", splits={"test": "dev"})
    assert found["dev"] == found["test"] == [Pair("c", "d", "contradiction")]
    assert source_files(source, XNLI, "fr", splits={"test": "dev"}) == [f"{source}/train.tsv", f"{source}/dev.tsv"]
    assert "splits: unknown split 'tset'; expected some of train, dev, test" in refused(
        source, XNLI, "fr", splits={"tset": "dev"}
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{}/none", "none: no such folder or file"),
        ("{}/UD_*", "UD_*: no such folder or file"),
        ("", "source: no such folder or file"),
        ([], "source: no place is given"),
        (
            "{}",
            "no data that can be read among a.tar, b.tar, notes.txt; expected one of {{split}} | {{split}}-fr.tsv | ",
        ),
        ("{}/notes.txt", "notes.txt: no split in the name; expected one of train, dev, test in it"),
        (["{}", "{}/notes.txt"], "notes.txt: a file among folders"),
        (["{}", "hf://a/b"], "hf://a/b: one of several sources; expected a data set by itself"),
        (["{}/a.tar", "{}/b.tar"], "b.tar: a second archive"),
    ],
)
def test_places_without_data(tmp_path, source, message):
    lay(tmp_path, notes_txt="", a_tar="", b_tar="")
    place = source.format(tmp_path) if isinstance(source, str) else [one.format(tmp_path) for one in source]
    assert message.format() in refused(place, PANX, "fr")


def test_files_are_found_without_any_heavy_module():
    code = "import sys, polyticket.tasks.data.files as p; print(sorted(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"'pyarrow'", "'numpy'", "'torch'", "'datasets'"} & set(ran.stdout.strip("[]\n").split(", "))


# archives


def archive(path: Path, members: dict[str, bytes | str], mode="w:gz") -> str:
    """Write a tar file; a member that is text is a link to that place."""
    with tarfile.open(path, mode) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(data, str):
                info.type, info.linkname = tarfile.SYMTYPE, data
                tar.addfile(info)
            else:
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return str(path)


WIKIANN = {"dev": b"fr:d\tO\n", "extra": b"x\n", "test": b"fr:t\tB-PER\n", "train": b"fr:a\tO\n\nfr:b\tO"}


@pytest.mark.parametrize("folder", ["", "./", "fr/", "./fr/"])
def test_hidden_members_of_an_archive_are_ignored(tmp_path, folder):
    members = {f"{folder}{hidden}{name}": data for name, data in WIKIANN.items() for hidden in ("._", "", ".git/")}
    path = archive(tmp_path / "fr.tar.gz", {"./._fr": b"\0", **members})
    found = load(path, PANX, "fr")
    assert [len(found.splits[split]) for split in ("train", "dev", "test")] == [2, 1, 1]
    assert found.unread == [f"{path}/{folder}extra"]


@pytest.mark.parametrize("folder", ["", "fr/", "./fr/", "./"])
def test_wikianns_archive_is_read_in_place(tmp_path, folder):
    path = archive(tmp_path / "fr.tar.gz", {folder + name: data for name, data in WIKIANN.items()})
    for source in (path, str(tmp_path)):
        assert load_splits(source, PANX, "fr") == {
            "train": [A, Sentence(("b",), ("O",))],
            "dev": [Sentence(("d",), ("O",))],
            "test": [Sentence(("t",), ("B-PER",))],
        }
        assert source_files(source, PANX, "fr") == [path]
    assert sorted(tmp_path.iterdir()) == [Path(path)]


def test_an_unpacked_archive_and_a_split_in_place_of_another(tmp_path):
    path = archive(tmp_path / "fr.tar", {name: WIKIANN[name] for name in ("train", "dev")}, "w")
    assert load_splits(path, PANX, "fr", splits={"test": "dev"})["test"] == [Sentence(("d",), ("O",))]
    assert f"{path}: no test split among train, dev; expected a member test" in refused(path, PANX, "fr")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": "/etc/passwd"}, "fr.tar.gz/train: no plain file"),
        ({"fr/train": b"fr:a\tO\n"}, "fr.tar.gz/fr/train: a second train"),
        ({"dev": b"fr:a\tO\nfr:b\n"}, "fr.tar.gz/dev:2: 1 column where two are needed"),
        ({"dev": b""}, "fr.tar.gz/dev: no sentences"),
    ],
)
def test_archives_that_are_refused(tmp_path, change, message):
    assert message in refused(archive(tmp_path / "fr.tar.gz", {**WIKIANN, **change}), PANX, "fr")


def test_deeper_members_are_no_splits(tmp_path):
    path = archive(tmp_path / "fr.tar.gz", {f"a/../{name}": data for name, data in WIKIANN.items()})
    assert "no train split among a/../dev, a/../extra" in refused(path, PANX, "fr")


def test_archives_are_bounded_and_whole(tmp_path):
    path = archive(tmp_path / "fr.tar.gz", WIKIANN)
    assert read_members(path, ["dev"], lambda lines, _: list(lines), limit=7) == (
        {"dev": [b"fr:d\tO\n"]},
        ["extra", "test", "train"],
    )
    with pytest.raises(PolyticketError, match=r"fr\.tar\.gz/dev: 7 bytes; expected at most 6"):
        read_members(path, ["dev"], lambda lines, _: list(lines), limit=6)
    Path(path).write_bytes(Path(path).read_bytes()[:100])
    assert "fr.tar.gz: cannot be read as a whole tar file" in refused(path, PANX, "fr")
    Path(path).write_bytes(b"no archive")
    assert "fr.tar.gz: cannot be read as a whole tar file" in refused(path, PANX, "fr")


# treebanks


def conllu(*rows: str) -> str:
    """Rows `ID FORM UPOS`; an empty one ends a sentence, other lines stand as they are."""
    found = []
    for row in rows:
        parts = row.split(" ")
        found.append("\t".join([parts[0], parts[1], "_", parts[2], *"______"]) if len(parts) == 3 else row)
    return "\n".join(found) + "\n"


FRENCH = conllu(
    "# text = du vin", "1-2 du _", "1 de ADP", "2 le DET", "3 vin NOUN", "3.1 bu VERB", "", "1 ! PUNCT", "2 x _"
)


def test_treebanks_are_joined_in_the_order_of_their_names(tmp_path):
    lay(tmp_path / "UD_French-GSD", **{f"fr_gsd__ud__{split}_conllu": FRENCH for split in ("train", "dev", "test")})
    for path in (tmp_path / "UD_French-GSD").iterdir():
        path.rename(path.with_name(path.name.replace("fr.gsd", "fr_gsd")))
    lay(
        tmp_path / "UD_French-ALL",
        **{"all__ud__train_conllu": conllu("1 a X"), "all__ud__test_conllu": conllu("1 b X")},
    )
    found = load_splits(f"{tmp_path}/UD_French-*", UDPOS, "fr")
    gsd = [Sentence(("de", "le", "vin"), ("ADP", "DET", "NOUN")), Sentence(("!",), ("PUNCT",))]
    assert found == {
        "train": [Sentence(("a",), ("X",)), *gsd],
        "dev": gsd,
        "test": [Sentence(("b",), ("X",)), *gsd],
    }
    assert load_splits(f"{tmp_path}/UD_French-GSD", UDPOS, "fr")["dev"] == gsd
    assert refused(f"{tmp_path}/UD_French-ALL", UDPOS, "fr") == (
        f"{tmp_path}/UD_French-ALL: no dev split; expected *-ud-dev.conllu, or another split in its place "
        "(splits: {dev: train})"
    )


def test_a_folder_that_adds_nothing_is_refused(tmp_path):
    one = lay(tmp_path / "one", **{f"x__ud__{split}_conllu": FRENCH for split in ("train", "dev", "test")})
    two = lay(tmp_path / "two", train_tsv="a\tX\n")
    assert f"{two}: no file that can be joined; expected files like" in refused([one, two], UDPOS, "fr")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\ta\n", "x-ud-train.conllu:1: 2 columns where ten are needed; expected a line of CoNLL-U"),
        (conllu("# c", "x a X"), "x-ud-train.conllu:2: bad ID 'x'; expected 3, 3-4 or 8.1"),
        (conllu("1 a X", "2 b X", "1 c X"), "x-ud-train.conllu:3: ID 1 after 2; expected 3, or a blank line between"),
        (conllu("1 a X", "1 b X"), "x-ud-train.conllu:2: ID 1 after 1; expected 2"),
        (conllu("1 a X", "3 b X"), "x-ud-train.conllu:2: ID 3 after 1; expected 2"),
        (conllu("2 a X"), "x-ud-train.conllu:1: ID 2 first; expected 1"),
        ("1\t\t_\tX\t_\t_\t_\t_\t_\t_\n", "x-ud-train.conllu:1: no word (FORM); expected _ where there is none"),
        (conllu("1 a X", f"{9 * '9'}9 b X"), "x-ud-train.conllu:2: bad ID"),
        (conllu("1 a X", "2 a NN"), "x-ud-train.conllu:2: unknown udpos tag 'NN'; expected one of ADJ, ADP"),
        (
            conllu("1 _ X", "2 _ DET"),
            "x-ud-train.conllu: 2 of 2 words are _; expected a treebank that is given with its words, or a glob",
        ),
        ("# nothing\n", "x-ud-train.conllu: no sentences"),
        (
            conllu("1 a _", "2 b _"),
            "x-ud-train.conllu: none of 2 words has a tag; expected words with tags in the fourth",
        ),
    ],
)
def test_bad_treebanks(tmp_path, text, message):
    good = {f"x__ud__{split}_conllu": FRENCH for split in ("dev", "test")}
    assert message in refused(lay(tmp_path, x__ud__train_conllu=text, **good), UDPOS, "fr")


# pairs


def test_a_header_is_skipped_and_labels_are_spelt_as_the_task_does(tmp_path):
    data = b'\xef\xbb\xbfpremise\thypo\tlabel\r\n\r\na\tb\tcontradictory\r\n"c\tlabel\tentailment'
    pairs = [Pair("a", "b", "contradiction"), Pair('"c', "label", "entailment")]
    assert read(tmp_path, data, XNLI, name="train-fr.tsv") == pairs


def test_a_header_names_the_columns_in_any_order(tmp_path):
    data = b"label\thypothesis\tpremise\nneutral\tb\ta\n"
    assert read(tmp_path, data, XNLI, name="train-fr.tsv") == [Pair("a", "b", "neutral")]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a\tb\tneutral\na\tb\t-\n", "train.tsv:2: no label; expected rows with labels alone"),
        (b"a\tb\tneutral\n\na\tb\n", "train.tsv:3: 2 columns where three are needed; expected premise<TAB>hypothesis"),
        (b"a\tb\n", "; a file without labels can't be scored, splits: {test: dev} takes another in its place"),
        (b"a\tb\tc\tneutral\n", "train.tsv:1: 4 columns where three are needed"),
        (
            b"a\tb\tneutral\nx\ty\tlabel\n",
            "train.tsv:2: unknown xnli label 'label'; expected one of entailment, neutral",
        ),
        (b"premise\thypothesis\tlabel\n", "train.tsv: no pairs; expected at least one line premise"),
        (b"a\tb\tneutral\n\xc3\tb\tneutral\n", "train.tsv:2: not UTF-8"),
    ],
)
def test_bad_pairs(tmp_path, data, message):
    with pytest.raises(PolyticketError) as error:
        read(tmp_path, data, XNLI, name="train.tsv")
    assert message in str(error.value)


# articles


def articles(count: int, start: int = 0) -> str:
    return "".join(json.dumps({"id": n, "text": f"{n}\n"}) + "\n" for n in range(start, start + count))


def test_articles_that_are_given_in_splits(tmp_path):
    data = '{"text": "a\\nb", "title": "x"}\r\n\r\n{"text": " "}\n{"text": "\u2028"}\n{"text": "c\u2028d"}'.encode()
    assert read(tmp_path, data, MLM, name="train.jsonl") == [Text("a\nb"), Text("c\u2028d")]
    folder = tmp_path / "lines"
    lay(folder, train_txt="\na b.\nc.\r\n\n \n\nd\n", dev_txt="e", test_txt="f")
    assert load_splits(str(folder), MLM, "fr")["train"] == [Text("a b. c."), Text("d")]
    source = lay(tmp_path / "two", train_jsonl=articles(2), dev_jsonl=articles(1))
    assert "no test split; expected test.jsonl" in refused(source, MLM, "fr")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "a.jsonl:2: not JSON: Expecting property name"),
        ("[]", "a.jsonl:2: no text; expected a JSON object a line"),
        ('"text"', "a.jsonl:2: no text"),
        ('{"title": "x"}', "a.jsonl:2: no text"),
        ('{"text": null}', "a.jsonl:2: no text"),
        ('{"text": "\\ud800"}', "a.jsonl:2: not Unicode: surrogates not allowed"),
    ],
)
def test_bad_articles(tmp_path, line, message):
    assert message in refused(lay(tmp_path, a_jsonl=f'{{"text": "x"}}\n{line}\n'), MLM, "fr")


def test_articles_are_divided_by_seed_and_order_whatever_files_hold_them(tmp_path):
    one = lay(tmp_path / "one", all_jsonl=articles(40))
    many = lay(tmp_path / "many", **{f"part{n}_jsonl": articles(4, 4 * n) for n in range(10)})
    lay(tmp_path / "many", **{"part10_jsonl": ""})
    found = load_splits(one, MLM, "fr", dev_share=0.1, seed=7)
    listed = [f"{many}/part{n}.jsonl" for n in range(11)]
    for source in (f"{one}/all.jsonl", many, listed, f"{many}/*.jsonl"):
        assert load_splits(source, MLM, "fr", dev_share=0.1, seed=7) == found
    assert source_files(many, MLM, "fr") == listed
    assert {split: len(part) for split, part in found.items()} == {"train": 32, "dev": 4, "test": 4}
    numbers = {split: [int(text) for (text,) in part] for split, part in found.items()}
    assert sorted(chain(*numbers.values())) == list(range(40))
    assert all(part == sorted(part) for part in numbers.values())
    assert load_splits(one, MLM, "fr", dev_share=0.1, seed=8) != found
    assert load_splits(one, MLM, "fr", dev_share=0.1, seed=7, splits={"test": "dev"})["test"] == found["dev"]


def test_sentences_of_a_corpus_are_divided_by_article(tmp_path):
    source = lay(tmp_path, sentences_txt="a\nb\n\nc\n\n\nd\ne")
    found = load_splits(source, MLM, "fr", dev_share=0.01)
    assert sorted(chain(*found.values())) == [Text("a b"), Text("c"), Text("d e")]
    assert {len(part) for part in found.values()} == {1}
    assert load_splits(f"{source}/sentences.txt", MLM, "fr", dev_share=0.01) == found


def test_too_few_articles_and_bad_shares():
    with pytest.raises(PolyticketError, match="x: 2 articles; expected at least three"):
        divided([Text("a")] * 2, "x", dev_share=0.1, seed=0)
    for share in (0, 0.5, -1, float("nan")):
        with pytest.raises(PolyticketError, match=r"dev_share: .* is not allowed; expected a share > 0 and < 0\.5"):
            divided([Text("a")] * 9, "x", dev_share=share, seed=0)


# Hugging Face data sets


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ("hf://unimelb-nlp/wikiann", Address("unimelb-nlp/wikiann", None, None, local=False)),
        ("hf://google/xtreme/PAN-X.fr", Address("google/xtreme", "PAN-X.fr", None, local=False)),
        ("hf://facebook/xnli@b8dd5d7/fr", Address("facebook/xnli", "fr", "b8dd5d7", local=False)),
        ("hf://a/b@refs/convert/parquet/fr", Address("a/b", "fr", "refs/convert/parquet", local=False)),
        ("hf://a/b@refs/pr/4", Address("a/b", None, "refs/pr/4", local=False)),
    ],
)
def test_addresses(source, address):
    assert address_of(source) == address
    assert source_files(source, PANX, "fr") == []


@pytest.mark.parametrize("source", ["hf://", "hf://xnli", "hf://a/b/c/d", "hf://a/b@", "hf://a/../b", "hf://a/b@1@2"])
def test_bad_addresses(source):
    with pytest.raises(PolyticketError, match=r"no address of a data set; expected hf://owner/name\[@revision\]"):
        address_of(source)


def test_a_folder_never_passes_for_a_data_set_of_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "facebook/xnli").mkdir(parents=True)
    with pytest.raises(PolyticketError, match=r"a local folder has the name .* hf://\./facebook/xnli for the folder"):
        address_of("hf://facebook/xnli")
    assert address_of("hf://./facebook/xnli") == Address("facebook/xnli", None, None, local=True)


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Path:
    """A folder for local data sets, with a cache of its own."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return tmp_path / "sets"


def dataset(folder: Path, configs: dict[str, dict[str, tuple[dict, dict]]]) -> str:
    """Parquet files and a README.md, as the hub keeps a data set: configuration to split to columns and features."""
    import datasets

    lines = ["---", "configs:"]
    for config, splits in configs.items():
        (folder / config).mkdir(parents=True)
        lines += [f"- config_name: {config}", "  data_files:"]
        for split, (columns, features) in splits.items():
            table = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
            table.to_parquet(folder / config / f"{split}-00000-of-00001.parquet")
            lines += [f"  - split: {split}", f"    path: {config}/{split}-*"]
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]))
    return f"hf://{folder}"


def tagged(tag_column: str, names: list[str] | None, *rows: tuple[list, list]) -> tuple[dict, dict]:
    from datasets import ClassLabel, List, Value

    tags = ClassLabel(names=names) if names else Value("string" if isinstance(rows[0][1][0], str) else "int64")
    columns = {"tokens": [row[0] for row in rows], tag_column: [row[1] for row in rows], "langs": ["fr"] * len(rows)}
    return columns, {"tokens": List(Value("string")), tag_column: List(tags), "langs": Value("string")}


def test_a_data_set_with_named_labels_is_read(hub):
    names = ["O", "B-LOC"]
    splits = {
        "train": tagged("ner_tags", names, (["fr:a", "Paris"], [0, 1]), ([], []), (["b"], [0])),
        "validation": tagged("ner_tags", names, (["d"], [0])),
        "test": tagged("ner_tags", names, (["t"], [1])),
    }
    place = dataset(hub, {"fr": splits, "en": {"train": splits["test"]}})
    found = load_splits(f"{place}/fr", PANX, "fr")
    assert found == {
        "train": [Sentence(("fr:a", "Paris"), ("O", "B-LOC")), Sentence(("b",), ("O",))],
        "dev": [Sentence(("d",), ("O",))],
        "test": [Sentence(("t",), ("B-LOC",))],
    }
    files = source_files(f"{place}/fr", PANX, "fr")
    assert [Path(path).name for path in files[:2]] == ["README.md", "train-00000-of-00001.parquet"]
    where = f"hf://{hub}"
    assert refused(place, PANX, "fr") == f"{where}: no configuration is named; expected one of en, fr"
    assert refused(f"{place}/xx", PANX, "fr") == f"{where}: no configuration 'xx'; expected one of en, fr"
    assert refused(f"{place}/en", PANX, "fr") == (
        f"{where}/en: no dev split; expected another one in its place (splits), of train"
    )


def test_treebanks_of_data_sets_and_their_dropped_words(hub):
    words = (["du", "de", "le"], ["_", "ADP", "DET"])
    alone = (["du"], ["_"])
    splits = {split: tagged("upos", None, words, alone) for split in ("train", "dev", "test")}
    place = dataset(hub, {"fr_gsd": splits})
    loaded = load(place, UDPOS, "fr")
    assert loaded.splits["dev"] == [Sentence(("de", "le"), ("ADP", "DET"))]
    assert loaded.passed_over[f"{place}:dev (in part)"] == "2 of 4 words have no tag but _"


def paired(*rows: tuple, names=("entailment", "neutral", "contradiction")) -> tuple[dict, dict]:
    from datasets import ClassLabel, Value

    columns = {name: [row[n] for row in rows] for n, name in enumerate(("premise", "hypothesis", "label"))}
    label = ClassLabel(names=list(names)) if names else Value("int64")
    return columns, {"premise": Value("string"), "hypothesis": Value("string"), "label": label}


def test_pairs_of_data_sets(hub):
    good = paired(("a", "b", 2))
    place = dataset(hub, {"fr": {"train": good, "validation": paired(("a", "b", 1)), "test": good}})
    assert load_splits(place, XNLI, "fr")["dev"] == [Pair("a", "b", "neutral")]
    assert refused(place, PANX, "fr") == (
        f"{place}:train: no words among premise, hypothesis, label; expected a column tokens"
    )


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (lambda: paired(("a", "b", 2), ("a", "b", -1)), ":train:1: no label; expected a labelled split"),
        (lambda: paired(("a", "b", None)), ":train:0: no label"),
        (lambda: paired(("a", None, 1)), ":train:0: None is no text"),
        (lambda: paired(("a", "b", 1), names=None), ":train:0: the label 1; expected its name, or a column that"),
        (lambda: paired(("a", "b", 0), names=["maybe"]), ":train:0: unknown xnli label 'maybe'; expected one of"),
    ],
)
def test_bad_rows_of_data_sets(hub, columns, message):
    good = paired(("a", "b", 2))
    assert message in refused(dataset(hub, {"fr": {"train": columns(), "dev": good, "test": good}}), XNLI, "fr")


def test_words_and_tags_of_a_row_must_be_as_many(hub):
    splits = dict.fromkeys(("train", "dev", "test"), tagged("ner_tags", ["O"], (["a", "b"], [0])))
    message = ":train:0: ['a', 'b'] and [0]; expected two lists of one length, words and tags"
    assert message in refused(dataset(hub, {"fr": splits}), PANX, "fr")


def test_articles_of_a_data_set_without_splits_are_divided(hub):
    from datasets import Value

    columns = {"title": ["t"] * 7, "text": ["0", "1", " ", "2", None, "3", "4"]}
    place = dataset(hub, {"20231101.fr": {"train": (columns, {"title": Value("string"), "text": Value("string")})}})
    found = load_splits(place, MLM, "fr", dev_share=0.2, seed=3)
    assert found == divided([Text(str(n)) for n in range(5)], "x", dev_share=0.2, seed=3)


def test_data_sets_that_cannot_be_had(hub, monkeypatch):
    assert "no such folder; expected hf://./folder[/config]" in refused(f"hf://{hub}/none", PANX, "fr")
    hub.mkdir(exist_ok=True)
    (hub / "README.md").write_text("# A project\n")
    assert "no such folder; expected hf://./folder[/config]" in refused(f"hf://{hub}/none", PANX, "fr")
    (hub / "empty").mkdir(parents=True)
    assert "can't be read: EmptyDatasetError" in refused(f"hf://{hub}/empty", PANX, "fr")
    (hub / "old").mkdir()
    (hub / "old/old.py").write_text("")
    assert "scripts are no longer supported, but found old.py; expected parquet" in refused(
        f"hf://{hub}/old", PANX, "fr"
    )
    (hub / "bad").mkdir()
    (hub / "bad/train.parquet").write_text("x")
    assert f"hf://{hub}/bad: can't be read: ArrowInvalid" in refused(f"hf://{hub}/bad", PANX, "fr")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    message = refused("hf://unimelb-nlp/wikiann@abc/fr", PANX, "fr")
    assert message.startswith("hf://unimelb-nlp/wikiann@abc: the hub can't be reached: ")
    assert "expected a network, or a copy: HF_HOME with a filled cache, or hf:///folder" in message


def test_a_local_copy_is_read_as_it_stands_now(hub):
    def read(place):
        shutil.rmtree(hub, ignore_errors=True)
        splits = dict.fromkeys(("train", "dev", "test"), paired((place, "b", 2)))
        return load_splits(dataset(hub / place.partition(" ")[0], {"fr": splits}), XNLI, "fr")["train"][0].premise

    assert [read(place) for place in ("one", "one again", "two")] == ["one", "one again", "two"]


def test_bars_and_levels_are_as_before(hub):
    import datasets

    before = datasets.are_progress_bars_disabled(), datasets.logging.get_verbosity()
    with pytest.raises(PolyticketError):
        open_dataset(Address(str(hub), None, None, local=True))
    assert (datasets.are_progress_bars_disabled(), datasets.logging.get_verbosity()) == before


# what stands twice


def sentence(word: str, tag: str = "O") -> Sentence:
    return Sentence((word,), (tag,))


SPLITS = {
    "train": [sentence("a"), sentence("b"), sentence("a", "B-PER"), sentence("c"), sentence("d")],
    "dev": [sentence("a"), sentence("x", "B-ORG"), sentence("y"), sentence("x")],
    "test": [sentence("b", "I-PER"), sentence("y", "B-ORG"), sentence("b", "B-ORG"), sentence("z")],
}


def test_duplicates_are_counted_without_their_labels():
    assert count_duplicates(SPLITS) == {
        "train": {"repeated": 1, "repeated_share": 0.2},
        "dev": {"in_train": 1, "in_train_share": 0.25},
        "test": {"in_train": 2, "in_train_share": 0.5, "in_dev": 1, "in_dev_share": 0.25},
    }


def test_duplicates_are_dropped_from_train_then_from_dev():
    found = without_duplicates(SPLITS)
    assert [s.words[0] for s in found["train"]] == ["c", "d"]
    assert [s.words[0] for s in found["dev"]] == ["a", "x", "x"]
    assert found["test"] == SPLITS["test"]
    again = count_duplicates(found)
    assert (again["dev"]["in_train"], again["test"]["in_train"], again["test"]["in_dev"]) == (0, 0, 0)


def test_dev_stays_where_it_stands_in_for_test():
    found = without_duplicates({**SPLITS, "test": list(SPLITS["dev"])})
    assert found["dev"] == found["test"] == SPLITS["dev"]
    assert [s.words[0] for s in found["train"]] == ["b", "c", "d"]
    with pytest.raises(PolyticketError, match="all examples of train stand in dev or test"):
        without_duplicates({**SPLITS, "test": SPLITS["train"]})


def test_labels_that_train_lacks():
    assert unseen_labels(SPLITS) == {"dev": {"B-ORG": 1}, "test": {"B-ORG": 2, "I-PER": 1}}


def test_pairs_and_texts_are_told_apart_by_all_that_is_no_label():
    pairs = {
        "train": [Pair("a", "b", "neutral")],
        "dev": [Pair("a", "c", "neutral")],
        "test": [Pair("a", "b", "entailment")],
    }
    assert [count_duplicates(pairs)[split]["in_train"] for split in ("dev", "test")] == [0, 1]
    assert describe(pairs, XNLI.labels)["labels"]["test"] == {"entailment": 1}
    texts = {"train": [Text("a b\nc")], "dev": [Text("a")], "test": [Text("a b\nc")]}
    assert [count_duplicates(texts)[split]["in_train"] for split in ("dev", "test")] == [0, 1]
    assert describe(texts, ())["words"] == {"train": 3, "dev": 1, "test": 3}
    assert unseen_labels(texts) == {"dev": {}, "test": {}}


# the rule's script


def run_script(tmp_path: Path, source: str | None, capsys, task="panx", made="", **options) -> tuple[dict, str]:
    outputs = {name: str(tmp_path / "out" / f"{name}.arrow") for name in ("train", "dev", "test")}
    outputs["about"] = str(tmp_path / "out/data.json")
    params = {
        "source": source,
        "splits": {},
        "labels": None,
        "drop_duplicates": False,
        "most": {},
        "test_alone": False,
        "dev_share": 0.05,
        "seed": 1,
        **options,
    }
    snakemake = SimpleNamespace(
        log=[str(tmp_path / "log")],
        input=SimpleNamespace(source=made),
        output=SimpleNamespace(**outputs),
        params=SimpleNamespace(**params),
        wildcards=SimpleNamespace(task=task, lang="fr"),
    )
    script = Path(__file__).resolve().parents[1] / "workflow/scripts/load_task.py"
    runpy.run_path(str(script), {"snakemake": snakemake}, run_name="__main__")
    return json.loads(Path(outputs["about"]).read_text()), capsys.readouterr().err


def test_the_script_writes_examples_and_what_is_in_them(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(log, "handlers", [])
    source = lay(tmp_path / "data", train="fr:a\tO\nfr:b\tB-PER\n\nfr:t\tO\n", dev="d\tO\n", test="fr:t\tB-LOC\n")
    about, said = run_script(tmp_path, source, capsys)
    duplicates = {
        "train": {"repeated": 0, "repeated_share": 0.0},
        "dev": {"in_train": 0, "in_train_share": 0.0},
        "test": {"in_train": 1, "in_dev": 0, "in_train_share": 1.0, "in_dev_share": 0.0},
    }
    assert about == {
        "source": source,
        "files": {f"{source}/train": 2, f"{source}/dev": 1, f"{source}/test": 1},
        "passed_over": {},
        "unread": [],
        "inventory": list(PANX.labels),
        "examples": {"train": 2, "dev": 1, "test": 1},
        "words": {"train": 3, "dev": 1, "test": 1},
        "labels": {"train": {"O": 2, "B-PER": 1}, "dev": {"O": 1}, "test": {"B-LOC": 1}},
        "duplicates": duplicates,
        "unseen_labels": {"dev": {}, "test": {"B-LOC": 1}},
    }
    assert "panx fr: 1 of test's examples (100.0%) are also in train\n" in said
    assert "panx fr: labels that are not in train: B-LOC (0 in dev, 1 in test)\n" in said
    assert read_examples(tmp_path / "out/test.arrow", Sentence) == [Sentence(("t",), ("B-LOC",))]
    about, said = run_script(tmp_path, source, capsys, drop_duplicates=True)
    assert about["examples"] == {"train": 1, "dev": 1, "test": 1}
    assert (about["dropped"], about["duplicates"]) == ({"train": 1, "dev": 0}, duplicates)
    assert "are also in train" not in said
    assert "panx fr: 1 of train, 1 of dev, 1 of test, of 3 files\n" in said
    assert read_examples(tmp_path / "out/train.arrow", Sentence) == [Sentence(("a", "b"), ("O", "B-PER"))]


def test_the_script_says_what_is_passed_over_and_what_is_not_read(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(log, "handlers", [])
    root = tmp_path / "ud"
    for folder, row in (("UD_French-FTB", "1 _ X"), ("UD_French-GSD", "1 mot X")):
        (root / folder).mkdir(parents=True)
        for split in ("train", "dev", "test"):
            (root / folder / f"fr_x-ud-{split}.conllu").write_text(conllu(row))
    (root / "UD_French-GSD/README.md").write_text("x")
    about, said = run_script(tmp_path, f"{root}/UD_*", capsys, "udpos")
    files = [f"fr_x-ud-{split}.conllu" for split in ("train", "dev", "test")]
    bare, good = ([f"{root}/UD_French-{name}/{file}" for file in files] for name in ("FTB", "GSD"))
    assert about["files"] == dict.fromkeys(good, 1)
    assert about["passed_over"] == dict.fromkeys(bare, "1 of 1 words are _")
    assert about["unread"] == [f"{root}/UD_French-GSD/README.md"]
    assert f"udpos fr: {bare[0]} is skipped: 1 of 1 words are _\n" in said
    assert f"udpos fr: not read: {root}/UD_French-GSD/README.md\n" in said
    assert "labels that are not in train" not in said  # ADJ and others occur nowhere


def test_the_script_reads_the_corpus_of_the_run_where_no_source_is_given(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(log, "handlers", [])
    made = lay(tmp_path, sentences_txt="a b.\nc.\n\nd\n\ne") + "/sentences.txt"
    about, _ = run_script(tmp_path, None, capsys, "mlm", made)
    assert (about["source"], about["examples"]) == (made, {"train": 1, "dev": 1, "test": 1})
    assert sum(about["words"].values()) == 5
    assert about["labels"] == {"train": {}, "dev": {}, "test": {}}


# real data


@pytest.mark.skipif("POLYTICKET_DATA" not in os.environ, reason="POLYTICKET_DATA is not set")
def test_real_files_are_read_whole():
    data = Path(os.environ["POLYTICKET_DATA"])
    panx = load_splits(str(data / "panx/sw"), PANX, "sw")
    assert (describe(panx, ())["examples"]["train"], describe(panx, ())["words"]["train"]) == (1000, 5597)
    udpos = load_splits(str(data / "udpos/sw"), UDPOS, "sw")
    assert (describe(udpos, ())["examples"]["test"], describe(udpos, ())["words"]["test"]) == (553, 16074)
    xnli = load_splits(str(data / "xnli/sw"), XNLI, "sw", splits={"test": "dev"})
    assert describe(xnli, ())["examples"] == {"train": 5010, "dev": 2490, "test": 2490}
