import json
import runpy
from types import SimpleNamespace

import pytest

from polyticket.core.errors import PolyticketError
from polyticket.tasks.baseline import MostFrequentLabel, MostFrequentTag, baseline_scores
from polyticket.tasks.example_files import write_examples
from polyticket.tasks.examples import Pair, Sentence, Text
from polyticket.tasks.table import task_named

PANX, UDPOS, XNLI, MLM = (task_named(name) for name in ("panx", "udpos", "xnli", "mlm"))
TRAIN = [
    Sentence(("a", "b", "b", "b"), ("B-PER", "O", "B-LOC", "B-LOC")),
    Sentence(("c", "c", "d"), ("O", "B-PER", "O")),
]
TEST = [Sentence(("a", "b", "new"), ("B-PER", "O", "B-ORG"))]
PAIRS = [Pair("a", "b", label) for label in ("neutral", "contradiction", "contradiction", "entailment", "neutral")]


def test_the_most_frequent_tag_is_taken_and_ties_go_to_the_first_label():
    tagger = MostFrequentTag(TRAIN, PANX.labels)
    assert tagger.of_word == {"a": "B-PER", "b": "B-LOC", "c": "O", "d": "O"}
    assert tagger.of_unseen == "O"
    assert tagger.predict([Sentence(("b", "new", "a"), ("O", "O", "O"))]) == [("B-LOC", "O", "B-PER")]


def test_tagging_is_scored_with_the_tasks_metrics():
    found = baseline_scores({"train": TRAIN, "dev": TRAIN, "test": TEST}, PANX, "fr")
    assert list(found) == [
        *("task", "language", "method", "dev", "test", "sentences", "unseen_share", "unseen_tag"),
    ]
    assert (found["task"], found["language"], found["method"]) == ("panx", "fr", "most_frequent_tag")
    assert found["test"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5}
    assert found["dev"]["recall"] == 0.75
    assert found["unseen_share"] == pytest.approx(1 / 3)
    assert found["unseen_tag"] == "O"
    assert found["sentences"] == {"train": 2, "dev": 2, "test": 1}


def test_parts_of_speech_have_their_own_metric():
    train = [Sentence(("a", "b", "c"), ("NOUN", "VERB", "NOUN"))]
    test = [Sentence(("a", "b", "new", "c"), ("NOUN", "VERB", "ADJ", "ADJ"))]
    found = baseline_scores({"train": train, "dev": train, "test": test}, UDPOS, "fr")
    assert found["test"]["accuracy"] == 0.5
    assert found["dev"]["f1"] == 1.0
    assert found["unseen_tag"] == "NOUN"


def test_pairs_all_get_the_most_frequent_label():
    assert MostFrequentLabel(PAIRS, XNLI.labels).label == "neutral"  # a tie, and first in the task's list
    test = [Pair("a", "b", label) for label in ("neutral", "entailment", "contradiction", "neutral")]
    found = baseline_scores({"train": PAIRS, "dev": PAIRS[:1], "test": test}, XNLI, "sw")
    assert list(found) == ["task", "language", "method", "dev", "test", "sentences", "label"]
    assert (found["method"], found["label"]) == ("most_frequent_label", "neutral")
    assert found["test"]["accuracy"] == 0.5
    assert found["dev"]["accuracy"] == 1.0
    assert found["sentences"] == {"train": 5, "dev": 1, "test": 4}


def test_articles_have_no_baseline():
    with pytest.raises(PolyticketError, match="mlm has no baseline; expected tagging or pairs"):
        baseline_scores({"train": [Text("a")], "dev": [Text("a")], "test": [Text("a")]}, MLM, "fr")


@pytest.mark.parametrize(("task", "splits"), [(PANX, (TRAIN, TRAIN, TEST)), (XNLI, (PAIRS, PAIRS, PAIRS))])
def test_the_script_scores_arrow_files(tmp_path, request, task, splits):
    names = ("train", "dev", "test")
    for name, split in zip(names, splits, strict=True):
        write_examples(tmp_path / f"{name}.arrow", split, task.examples)
    job = SimpleNamespace(
        input={name: str(tmp_path / f"{name}.arrow") for name in names},
        output=SimpleNamespace(result=str(tmp_path / "baseline.json")),
        log=[str(tmp_path / "job.log")],
        wildcards=SimpleNamespace(task=task.name, lang="fr"),
    )
    script = request.config.rootpath / "workflow/scripts/score_baseline.py"
    runpy.run_path(str(script), {"snakemake": job}, run_name="__main__")
    found = json.loads((tmp_path / "baseline.json").read_text(encoding="utf-8"))
    assert found == baseline_scores(dict(zip(names, splits, strict=True)), task, "fr")
