"""The label inventory of a task: given, or read from the training data; from files to scores."""

import json
import random
import runpy
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from polyticket.config.completion import complete
from polyticket.core.errors import PolyticketError
from polyticket.core.logs import log
from polyticket.model.folder import Model, write_model
from polyticket.model.initial import initial_model
from polyticket.model.shape import BertShape
from polyticket.tasks.baseline import baseline_scores
from polyticket.tasks.data.loading import load
from polyticket.tasks.example_files import labelled_task, read_examples, read_labels, require_labels, write_examples
from polyticket.tasks.examples import Pair, Sentence
from polyticket.tasks.predictions import read_predictions
from polyticket.tasks.table import FROM_DATA, TASKS, found_inventory, with_inventory

ROOT = Path(__file__).resolve().parents[1]
PANX, UDPOS, XNLI, MLM = (TASKS[name] for name in ("panx", "udpos", "xnli", "mlm"))
MASAKHANER = ["PER", "ORG", "LOC", "DATE"]
TAGS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-DATE", "I-DATE")
SPLITS = ("train", "dev", "test")


def test_types_of_entities_become_tags_in_their_order():
    assert with_inventory(PANX, MASAKHANER).labels == TAGS
    assert with_inventory(PANX, ["LOC"]).labels == ("O", "B-LOC", "I-LOC")
    assert with_inventory(PANX, None) is PANX
    assert with_inventory(UDPOS, ["X", "ADJ"]).labels == ("X", "ADJ")


def test_labels_of_pairs_decide_what_an_invalid_answer_is():
    task = with_inventory(XNLI, ["entailment", "not_entailment"])
    examples = [Pair("a", "b", "entailment"), Pair("a", "b", "not_entailment")]
    found = task.metric.score(examples, ["entailment", "neutral"])
    assert found == {"accuracy": 0.5, "macro_f1": 0.5, "invalid": 1.0}
    assert task.aliases == {}
    assert with_inventory(XNLI, ["neutral", "contradiction"]).aliases == XNLI.aliases


@pytest.mark.parametrize(
    ("task", "given", "message"),
    [
        (PANX, ["PER", "B-LOC"], "config task_data.labels.panx: the tag 'B-LOC'; expected types of entities alone"),
        (PANX, ["PER", "O"], "the tag 'O'; expected types"),
        (PANX, ["PER", "PER"], "'PER'; expected every label once"),
        (UDPOS, ["NOUN", ""], "''; expected every label once, as text without white space"),
        (UDPOS, ["NOUN x"], "'NOUN x'; expected every label once"),
        (XNLI, [], "an empty list; expected a list of labels, or from_data"),
        (XNLI, 3, "3; expected a list of labels, or from_data"),
        (PANX, {"PER": 1}, "{'PER': 1}; expected a list of labels, or from_data"),
        (XNLI, "data", "'data'; expected a list of labels, or from_data"),
        (MLM, ["a"], "config task_data.labels.mlm: mlm has no labels; expected no entry"),
        (MLM, FROM_DATA, "mlm has no labels"),
    ],
)
def test_bad_inventories(task, given, message):
    with pytest.raises(PolyticketError) as error:
        with_inventory(task, given)
    assert message in str(error.value)


def test_a_configuration_is_checked_before_anything_runs():
    given = {"languages": ["fr"], "data": {"dumps": "{lang}.xml"}}
    made = complete({**given, "task_data": {"labels": {"panx": MASAKHANER, "udpos": "from_data"}}})
    assert made["task_data"]["labels"] == {"panx": MASAKHANER, "udpos": "from_data"}
    for labels, message in (
        ({"panx": "all"}, "config task_data.labels.panx: 'all' is not allowed"),
        ({"panx": [["PER"]]}, "config task_data.labels.panx.0: ['PER'] is not allowed; expected string"),
        ({"panx": ["B-PER"]}, "config task_data.labels.panx: the tag 'B-PER'"),
        ({"mlm": ["A"]}, "config task_data.labels.mlm: mlm has no labels"),
    ):
        with pytest.raises(PolyticketError) as error:
            complete({**given, "task_data": {"labels": labels}})
        assert message in str(error.value)


def test_labels_of_data_are_sorted_and_whole():
    assert found_inventory(PANX, ["I-LOC", "O", "B-DATE"]).labels == ("O", "B-DATE", "I-DATE", "B-LOC", "I-LOC")
    assert found_inventory(UDPOS, ["VERB", "ADJ", "VERB"]).labels == ("ADJ", "VERB")


# MasakhaNER's layout: made-up words whose first letter tells the type


def sentences(count: int, seed: int, types: str = "PGLD") -> list[Sentence]:
    """A word's first letter decides the type of entity; entities have one or two words."""
    draw, names = random.Random(seed), {"P": "PER", "G": "ORG", "L": "LOC", "D": "DATE"}
    found = []
    for _ in range(count):
        words, tags = [], []
        for letter in draw.choices(types + "oo", k=draw.randint(2, 6)):
            for number in range(draw.randint(1, 2)):
                part = "B" if number == 0 else "I"
                words.append((letter if number == 0 else letter.lower()) + "".join(draw.choices("abcdefgh", k=3)))
                tags.append("O" if letter == "o" else f"{part}-{names[letter]}")
        found.append(Sentence(tuple(words), tuple(tags)))
    return found


def masakhaner(folder: Path, **splits: list[Sentence]) -> str:
    """Files `train.txt`, `dev.txt`, `test.txt`: word and tag with a blank between them."""
    folder.mkdir(parents=True)
    for split, made in splits.items():
        blocks = ("\n".join(map(" ".join, zip(*sentence, strict=True))) for sentence in made)
        (folder / f"{split}.txt").write_text("\n\n".join(blocks) + "\n\n")
    return str(folder)


def ran(script: str, tmp_path: Path, inputs, outputs, params, **wildcards) -> None:
    """Run a rule's script as Snakemake does."""

    class Files(SimpleNamespace):
        get = __getitem__ = lambda self, name, default=None: getattr(self, name, default)
        __len__ = lambda self: len(vars(self))  # noqa: E731

    snakemake = SimpleNamespace(
        log=[str(tmp_path / "log")],
        input=Files(**inputs),
        output=Files(**outputs),
        params=SimpleNamespace(**params),
        resources=Files(unknown_words="0.1 None"),
        wildcards=SimpleNamespace(**wildcards),
    )
    runpy.run_path(str(ROOT / f"workflow/scripts/{script}.py"), {"snakemake": snakemake}, run_name="__main__")


def loaded(tmp_path: Path, source: str, language: str, labels, task="panx", test_alone=False) -> tuple[dict, dict]:
    """Paths and `data.json` of what the rule makes of a source."""
    folder = tmp_path / f"tasks/{task}/{language}"
    outputs = {split: str(folder / f"{split}.arrow") for split in SPLITS} | {"about": str(folder / "data.json")}
    params = {"source": source, "labels": labels, "splits": {}, "drop_duplicates": False, "most": {}}
    params |= {"test_alone": test_alone, "dev_share": 0.1, "seed": 1}
    ran("load_task", tmp_path, {"source": source}, outputs, params, task=task, lang=language)
    return outputs, json.loads(Path(outputs["about"]).read_text())


PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"PGLDopgld", *(f"##{letter}" for letter in "abcdefgh")]
MASKING = {"mask_method": None, "mask_language": None}
OUTPUTS = ("predictions", "dev_predictions", "curve", "tuned", "result")
OPTIONS = {"learning_rate": 5e-3, "epochs": 8, "adaptive_least_seen": 0, "max_seq_length": 64, "save_steps": 20}
MADE = {"train": sentences(200, 1), "dev": sentences(20, 2), "test": sentences(40, 3)}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("model")
    made = Tokenizer(models.WordPiece({piece: n for n, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.save(str(folder / "tokenizer.json"))
    shape = BertShape(len(PIECES), 32, 2, 2, 64, max_position_embeddings=64)
    weights: Model = initial_model(shape, 7)
    (folder / "model").mkdir()
    write_model(weights, folder / "model", tokenizer=folder)
    return str(folder / "model")


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setattr(log, "handlers", [])


@pytest.mark.parametrize("labels", [MASAKHANER, FROM_DATA])
def test_masakhaner_runs_from_files_to_scores(tmp_path, model, labels):
    order = TAGS if labels == MASAKHANER else ("O", *(f"{b}-{t}" for t in sorted(MASAKHANER) for b in "BI"))
    source = masakhaner(tmp_path / "hau", **MADE)
    paths, about = loaded(tmp_path, source, "fr", labels)
    assert about["inventory"] == list(order)
    assert about["examples"] == {"train": 200, "dev": 20, "test": 40}
    tags = Counter(tag for sentence in MADE["train"] for tag in sentence.tags)
    assert list(about["labels"]["train"].items()) == [(tag, tags[tag]) for tag in order]
    assert read_examples(paths["test"], Sentence) == MADE["test"]
    out = {name: str(tmp_path / name) for name in OUTPUTS}
    run = {"prune_model": False}
    params = {"source": model, "options": OPTIONS, "masking": MASKING, "compute_threads": 1, "run": run}
    ran("finetune_task", tmp_path, paths, out, params, task="panx", lang="fr", seed="1")
    result = json.loads(Path(out["result"]).read_text())
    task = labelled_task(PANX, [paths["test"]])
    assert task.labels == order
    assert result["labels"] == result["data"]["inventory"] == list(order)
    baseline = baseline_scores({split: read_examples(paths[split], Sentence) for split in SPLITS}, task, "fr")
    assert baseline["test"]["f1"] < 0.6
    assert result["test"]["f1"] > 0.9
    predictions = read_predictions(out["predictions"], task, MADE["test"])
    assert task.metric.score(MADE["test"], predictions) == result["test"]
    assert {tag for tags in predictions for tag in tags} >= {"B-DATE", "I-DATE"}


def test_transfer_writes_predictions_and_wants_one_inventory(tmp_path, model):
    source = masakhaner(tmp_path / "hau", **MADE)
    paths, _ = loaded(tmp_path, source, "fr", MASAKHANER)
    target, _ = loaded(tmp_path, source, "sw", MASAKHANER)
    alone, about = loaded(tmp_path, masakhaner(tmp_path / "yor", test=MADE["dev"]), "ur", FROM_DATA, test_alone=True)
    assert (about["inventory"], read_labels(alone["test"])) == (None, None)
    out = {name: str(tmp_path / name) for name in OUTPUTS}
    run = {"prune_model": False}
    params = {"source": model, "options": OPTIONS, "masking": MASKING, "compute_threads": 1, "run": run}
    ran("finetune_task", tmp_path, paths, out, params, task="panx", lang="fr", seed="1")

    def transferred(name: str, **tests: str) -> dict:
        inputs = {"tuned": out["tuned"], "tests": list(tests.values())}
        outputs = {"result": str(tmp_path / f"{name}.json"), "predictions": str(tmp_path / name)}
        targets = {key: params[key] for key in ("source", "options", "compute_threads")} | {"targets": list(tests)}
        ran("score_zero_shot", tmp_path, inputs, outputs, targets, task="panx", lang="fr", seed="1")
        return json.loads((tmp_path / f"{name}.json").read_text())

    found = transferred("zero", fr=paths["test"], sw=target["test"], ur=alone["test"])
    result = json.loads(Path(out["result"]).read_text())
    assert found["labels"] == list(TAGS)
    assert found["targets"]["fr"] == found["targets"]["sw"] == pytest.approx(result["test"])
    assert (tmp_path / "zero/test-fr.tsv").read_text() == Path(out["predictions"]).read_text()
    task = labelled_task(PANX, [paths["test"]])
    predictions = read_predictions(tmp_path / "zero/test-ur.tsv", task, MADE["dev"])
    assert task.metric.score(MADE["dev"], predictions) == found["targets"]["ur"]
    other, _ = loaded(
        tmp_path, masakhaner(tmp_path / "wol", **dict.fromkeys(SPLITS, sentences(9, 4, "PL"))), "sw", None
    )
    with pytest.raises(SystemExit):
        transferred("none", sw=other["test"])
    assert not (tmp_path / "none.json").exists()
    assert "fine-tuned on O, B-PER, I-PER" in (tmp_path / "log").read_text()


def test_files_carry_the_inventory_and_must_agree(tmp_path):
    one, two, none = (tmp_path / f"{name}.arrow" for name in ("one", "two", "none"))
    write_examples(one, [Sentence(("a",), ("B-DATE",))], Sentence, TAGS)
    write_examples(two, [Sentence(("a",), ("O",))], Sentence, PANX.labels)
    write_examples(none, [Sentence(("a",), ("B-DATE",))], Sentence)
    assert [read_labels(path) for path in (one, two, none)] == [TAGS, PANX.labels, None]
    assert labelled_task(PANX, [one]).labels == TAGS
    assert labelled_task(PANX, [two]) is labelled_task(PANX, [none]) is PANX
    with pytest.raises(PolyticketError, match=r"two\.arrow: the labels O, B-PER.*labels O, B-PER|the same, given as"):
        labelled_task(PANX, [one, two])
    require_labels(one, read_examples(one, Sentence), labelled_task(PANX, [one]))
    for path in (one, none):
        with pytest.raises(PolyticketError, match=r"B-DATE.*, and the model was fine-tuned on O, B-PER"):
            require_labels(path, read_examples(path, Sentence), PANX)
    with pytest.raises(PolyticketError, match=r"gone\.arrow: no such file"):
        read_labels(tmp_path / "gone.arrow")
    (tmp_path / "bad.arrow").write_bytes(b"x")
    with pytest.raises(PolyticketError, match=r"bad\.arrow: cannot be read as examples"):
        read_labels(tmp_path / "bad.arrow")


@pytest.mark.parametrize(
    ("labels", "files", "message"),
    [
        (MASAKHANER, {"train": "a B-MISC\n"}, "train.txt:1: unknown panx tag 'B-MISC'; expected one of O, B-PER"),
        (
            FROM_DATA,
            {"dev": "a O\nb B-DATE\n"},
            "dev.txt:2: unknown panx tag 'B-DATE'; expected one of O, B-PER",
        ),
        (FROM_DATA, {"train": "a PER\n"}, "train.txt:1: unknown panx tag 'PER'; expected IOB2 (O|B-X|I-X)"),
        (MASAKHANER, {"train": "a O\nb S-PER\n"}, "train.txt:2: unknown panx tag 'S-PER'; expected IOB2 (O|B-PER|"),
        (FROM_DATA, {"train": "a E-PER\n"}, "train.txt:1: unknown panx tag 'E-PER'; expected IOB2"),
        (None, {"train": "a B_PER\n"}, "train.txt:1: unknown panx tag 'B_PER'; expected IOB2"),
        (None, {"train": "a PER-B\n"}, "unknown panx tag 'PER-B'; expected IOB2"),
        (
            FROM_DATA,
            {"train": "a I-PER\nb I-PER\nc O\nd I-LOC\ne B-LOC\n"},
            ", train: 2 of 3 entities begin with I-, as in IOB1 or IO; expected IOB2: B-X begins every entity",
        ),
        (None, {"test": "a I-PER\n"}, ", test: 1 of 1 entities begin with I-"),
    ],
)
def test_tags_that_are_refused(tmp_path, labels, files, message):
    for split in SPLITS:
        (tmp_path / f"{split}.txt").write_text(files.get(split, "a B-PER\nb I-PER\n"))
    with pytest.raises(PolyticketError) as error:
        load(str(tmp_path), PANX, "fr", labels=labels)
    assert message in str(error.value)


def test_tags_of_words_and_labels_of_pairs_can_be_read_from_data(tmp_path):
    for split, text in {"train": "a\tV.x\nb\tN\n", "dev": "c\tN\n", "test": "d\t_\nc\tN\n"}.items():
        (tmp_path / f"{split}.tsv").write_text(text)
    found = load(str(tmp_path), UDPOS, "fr", labels=FROM_DATA)
    assert (found.task.labels, found.splits["test"]) == (("N", "V.x"), [Sentence(("c",), ("N",))])
    pairs = tmp_path / "pairs"
    pairs.mkdir()
    for split in SPLITS:
        (pairs / f"{split}.tsv").write_text("premise\thypothesis\tgold_label\na\tb\tyes\nc\td\tno\n")
    read = load(str(pairs), XNLI, "fr", labels=FROM_DATA)
    assert (read.task.labels, read.splits["dev"]) == (("no", "yes"), [Pair("a", "b", "yes"), Pair("c", "d", "no")])
