import bz2
import csv
import hashlib
import json
import runpy
import subprocess
import sys
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

import pytest
import yaml
from defusedxml.ElementTree import fromstring
from seqeval.metrics import f1_score

SAMPLE = Path(__file__).resolve().parents[1] / "resources" / "sample"
LANGUAGES = ("en", "fr", "ur", "sw")
SIZES = {"train": 600, "dev": 150, "test": 150}
EXPORT = "{http://www.mediawiki.org/xml/export-0.11/}"
UPOS_LINE = "ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X"
UPOS = set(UPOS_LINE.split())
LABELS = {"O", *(f"{side}-{kind}" for side in "BI" for kind in ("PER", "ORG", "LOC"))}
MANIFEST = json.loads((SAMPLE / "manifest.json").read_text(encoding="utf-8"))


def dump(lang):
    return SAMPLE / "wiki" / lang / f"{lang}wiki-sample-pages-articles.xml.bz2"


def wiki_text(lang):
    return bz2.decompress(dump(lang).read_bytes()).decode("utf-8")


def blocks(path, prefix=""):
    """The sentences of a tagged file as lists of (token, tag); every line must have just these two."""
    sentences = []
    for block in path.read_text(encoding="utf-8").removesuffix("\n\n").split("\n\n"):
        rows = [line.split("\t") for line in block.split("\n")]
        assert all(len(row) == 2 and row[0].startswith(prefix) and all(row) for row in rows)
        sentences.append([(token.removeprefix(prefix), tag) for token, tag in rows])
    return sentences


def panx(lang):
    return {split: blocks(SAMPLE / "panx" / lang / split, f"{lang}:") for split in SIZES}


def udpos(lang):
    return {split: blocks(SAMPLE / "udpos" / lang / f"{split}.tsv") for split in SIZES}


def xnli(lang):
    files = {split: (SAMPLE / "xnli" / lang / f"{split}.tsv").open(encoding="utf-8", newline="") for split in SIZES}
    return {
        split: [tuple(r) for r in csv.reader(f, delimiter="\t", quoting=csv.QUOTE_NONE)] for split, f in files.items()
    }


def commonest(train):
    """The most frequent tag of each token, and of all tokens for those that are not in train."""
    counts, total = defaultdict(Counter), Counter(tag for s in train for _, tag in s)
    for sentence in train:
        for token, tag in sentence:
            counts[token][tag] += 1
    return lambda token: (counts.get(token) or total).most_common(1)[0][0]


def disjoint(splits):
    return all(not set(a) & set(b) for a, b in combinations(splits, 2)) and all(len(set(s)) == len(s) for s in splits)


def test_generator_writes_the_same_bytes_again():
    done = subprocess.run([sys.executable, SAMPLE / "generate.py", "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_manifest_lists_every_data_file():
    found = {
        p.relative_to(SAMPLE).as_posix()
        for d in ("wiki", "panx", "udpos", "xnli", "tatoeba")
        for p in SAMPLE.glob(f"{d}/*/*")
    }
    assert set(MANIFEST["sha256"]) == found
    assert len(found) == 4 * (1 + 3 + 3 + 3) + 3 * 2
    for path, digest in MANIFEST["sha256"].items():
        assert hashlib.sha256((SAMPLE / path).read_bytes()).hexdigest() == digest


def test_sample_is_small():
    sizes = [p.stat().st_size for p in SAMPLE.rglob("*") if p.is_file() and "cache" not in str(p.relative_to(SAMPLE))]
    assert sum(sizes) < 2_500_000
    assert max(sizes) < 900_000


def test_lexicons_have_the_same_keys():
    lexicons = [yaml.safe_load((SAMPLE / "lexicon" / f"{lang}.yaml").read_text(encoding="utf-8")) for lang in LANGUAGES]
    frames = [{name for name in data["frames"] if not name.startswith("own_")} for data in lexicons]
    assert frames[0] == frames[1] == frames[2] == frames[3]
    assert all(len(data["frames"]) >= 40 and len(data["xnli"]) == 8 for data in lexicons)
    assert all(set(data["wiki"]) == set(lexicons[0]["wiki"]) for data in lexicons)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_dump_is_well_formed_and_counted(lang):
    root = fromstring(wiki_text(lang))
    spaces = {int(n.get("key")): n.text or "" for n in root.iter(f"{EXPORT}namespace")}
    assert root.find(f"{EXPORT}siteinfo/{EXPORT}dbname").text == f"{lang}wiki"
    assert spaces[0] == ""
    assert spaces[10] == {"en": "Template", "fr": "Modèle", "ur": "سانچہ", "sw": "Kigezo"}[lang]

    marker = yaml.safe_load((SAMPLE / "lexicon" / f"{lang}.yaml").read_text(encoding="utf-8"))["wiki"]["disambig"]
    counts, ids = Counter(), []
    for page in root.iter(f"{EXPORT}page"):
        title, space = page.find(f"{EXPORT}title").text, int(page.find(f"{EXPORT}ns").text)
        text = page.find(f"{EXPORT}revision/{EXPORT}text").text or ""
        ids.append(page.find(f"{EXPORT}id").text)
        prose = any(line and not line.startswith("[[") for line in text.splitlines())
        if space:
            assert title.startswith(f"{spaces[space]}:")
            counts["other_namespaces"] += 1
        elif page.find(f"{EXPORT}redirect") is not None:
            assert text.startswith("#")
            counts["redirects"] += 1
        elif f"{{{{{marker}}}}}" in text:
            counts["disambiguations"] += 1
        else:
            counts["articles" if prose else "empty"] += 1
    assert len(ids) == len(set(ids))
    wanted = MANIFEST["languages"][lang]["wiki"]
    assert {**counts, "pages": len(ids)} == {k: n for k, n in wanted.items() if k != "article_sentences"}
    assert wanted["articles"] == 290
    assert 2500 <= wanted["article_sentences"] <= 3100


@pytest.mark.parametrize("lang", LANGUAGES)
def test_dump_holds_all_kinds_of_markup(lang):
    text = wiki_text(lang)
    marks = (
        "'''",
        "\n* [[",
        "\n# ",
        "\n{| class=",
        "\n== ",
        "\n=== ",
        "|thumb|",
        "&lt;ref&gt;{{",
        "&lt;!-- ",
        "&amp;nbsp;",
    )
    local = {"fr": {"|thumb|": "|vignette|"}, "ur": {"|thumb|": "|تصغیر|"}}.get(lang, {})
    assert [mark for mark in marks if local.get(mark, mark) not in text] == []


@pytest.mark.parametrize("lang", LANGUAGES)
def test_wikiextractor_finds_text_in_every_article(lang, tmp_path):
    command = [sys.executable, "-m", "wikiextractor.WikiExtractor", dump(lang), "--json", "-o", "-", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True, cwd=tmp_path)
    pages = [json.loads(line) for line in done.stdout.splitlines()]
    counts = MANIFEST["languages"][lang]["wiki"]
    assert len(pages) == counts["articles"] + counts["disambiguations"] + counts["empty"]
    assert sum(bool(p["text"].strip()) for p in pages) == counts["articles"] + counts["disambiguations"]
    assert not [p["title"] for p in pages if any(mark in p["text"] for mark in ("{{", "}}", "[[", "'''", "<ref"))]
    assert sum(len(p["text"].encode()) for p in pages) > 150_000


@pytest.mark.parametrize("lang", LANGUAGES)
def test_panx_labels(lang):
    splits = panx(lang)
    assert {split: len(s) for split, s in splits.items()} == SIZES
    assert {tag for s in splits["train"] for _, tag in s} == LABELS
    for sentence in (s for rows in splits.values() for s in rows):
        for (_, before), (_, tag) in zip([("", "O"), *sentence], sentence, strict=False):
            assert tag in LABELS
            assert not tag.startswith("I-") or before[2:] == tag[2:]
    assert disjoint([[tuple(token for token, _ in s) for s in rows] for rows in splits.values()])
    assert any(all(tag == "O" for _, tag in s) for s in splits["test"])


@pytest.mark.parametrize("lang", LANGUAGES)
def test_panx_is_neither_trivial_nor_hopeless_for_a_lookup(lang):
    splits = panx(lang)
    tag_of = commonest(splits["train"])
    gold = [[tag for _, tag in s] for s in splits["test"]]
    assert 0.2 < f1_score(gold, [[tag_of(token) for token, _ in s] for s in splits["test"]]) < 0.6


@pytest.mark.parametrize("lang", LANGUAGES)
def test_names_of_panx_occur_in_the_wiki(lang):
    text = wiki_text(lang)
    names = {token for rows in panx(lang).values() for s in rows for token, tag in s if tag != "O"}
    assert sum(name in text for name in names) / len(names) > 0.95


@pytest.mark.parametrize("lang", LANGUAGES)
def test_udpos_tags(lang):
    splits = udpos(lang)
    assert {split: len(s) for split, s in splits.items()} == SIZES
    used = {tag for rows in splits.values() for s in rows for _, tag in s}
    assert used <= UPOS
    assert len(used) >= 15
    assert disjoint([[tuple(token for token, _ in s) for s in rows] for rows in splits.values()])
    tags = defaultdict(set)
    for sentence in splits["train"]:
        for token, tag in sentence:
            tags[token].add(tag)
    words = {token for s in splits["test"] for token, _ in s}
    assert sum(len(tags[w]) > 1 for w in words if w in tags) >= 5
    assert sum(w not in tags for w in words) >= 50


@pytest.mark.parametrize("lang", LANGUAGES)
def test_xnli_is_balanced_and_premises_stay_in_one_split(lang):
    splits = xnli(lang)
    for split, rows in splits.items():
        third = SIZES[split] // 3
        assert Counter(label for _, _, label in rows) == dict.fromkeys(
            ("entailment", "neutral", "contradiction"), third
        )
        assert len({premise for premise, _, _ in rows}) == third
    assert disjoint(list(splits.values()))
    assert disjoint([list(dict.fromkeys(premise for premise, _, _ in rows)) for rows in splits.values()])


@pytest.mark.parametrize("lang", ["fr", "ur", "sw"])
def test_tatoeba_is_aligned(lang):
    folder = SAMPLE / "tatoeba" / f"{lang}-en"
    here, english = ((folder / f"{x}.txt").read_text(encoding="utf-8").splitlines() for x in (lang, "en"))
    assert len(here) == len(english) == MANIFEST["languages"][lang]["tatoeba"] == 200
    assert len(set(here)) == len(set(english)) == 200
    for line, other in zip(here, english, strict=True):
        assert sorted(c for c in line if c.isdigit()) == sorted(c for c in other if c.isdigit())


@pytest.mark.parametrize(("accuracy", "f1", "code"), [(0.21, 0.81, 0), (0.2, 0.81, 1), (0.21, 0.8, 1)])
def test_scores_of_a_model_that_has_not_learnt_are_refused(tmp_path, capsys, accuracy, f1, code):
    mean = {"mlm_accuracy": accuracy, "most_frequent_accuracy": 0.1}
    files = {
        "pretraining/phase_1.held_out.json": {"mean": mean, "languages": {"en": {}, "fr": {}}},
        **{f"udpos/{lang}.json": {"test": {"f1": score}} for lang, score in (("en", 0.9), ("fr", f1))},
        **{f"baseline/udpos/{lang}.json": {"test": {"f1": 0.8}} for lang in ("en", "fr")},
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    assert runpy.run_path(str(SAMPLE / "check_scores.py"))["main"](tmp_path) == code
    assert capsys.readouterr().out.splitlines() == [
        f"masked LM, mean: {accuracy:.3f}, needed more than 0.200",
        "udpos en: 0.900, needed more than 0.800",
        f"udpos fr: {f1:.3f}, needed more than 0.800",
    ]
