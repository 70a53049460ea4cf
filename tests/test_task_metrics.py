import warnings

import numpy as np
import pytest
from seqeval.metrics import classification_report, f1_score
from seqeval.metrics.sequence_labeling import get_entities

from polyticket.tasks.examples import Pair, Sentence, Text
from polyticket.tasks.metrics import accuracy_of
from polyticket.tasks.predictions import write_predictions
from polyticket.tasks.table import TASKS

LABELS = TASKS["xnli"].labels


def sentences(tags):
    return [Sentence(tuple("w" * len(row)), tuple(row)) for row in tags]


def entity_scores(gold, found):
    return TASKS["panx"].metric.score(sentences(gold), found)


def token_scores(gold, found):
    return TASKS["udpos"].metric.score(sentences(gold), found)


def pairs(labels):
    return [Pair("p", "h", label) for label in labels]


def test_entities_count_when_type_and_ends_are_right():
    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["B-ORG", "O"]]
    found = [["B-PER", "I-PER", "O", "B-ORG"], ["B-ORG", "I-ORG"]]
    assert entity_scores(gold, found) == pytest.approx({"precision": 1 / 3, "recall": 1 / 3, "f1": 1 / 3})


def test_broken_iob2_is_read_as_conll_does():
    # Gold: ORG(0-1), LOC(3), PER(4). Predicted: I-ORG after nothing begins ORG(0-1); I-LOC after O begins LOC(3);
    # I-PER after LOC begins PER(4); the stray I-ORG after PER is a fourth entity, which is wrong.
    gold = [["B-ORG", "I-ORG", "O", "B-LOC", "B-PER", "O"]]
    found = [["I-ORG", "I-ORG", "O", "I-LOC", "I-PER", "I-ORG"]]
    assert entity_scores(gold, found) == pytest.approx({"precision": 3 / 4, "recall": 1.0, "f1": 6 / 7})


def test_entities_are_scored_as_xtreme_scores_the_files(tmp_path):
    """XTREME reads both files, a tag a line and a blank line between sentences, and takes seqeval's f1_score."""
    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["B-ORG", "I-ORG", "I-ORG", "O"], ["B-LOC", "O", "B-PER"]]
    # I after O: PER(1), wrong, and LOC(3), right. B inside: ORG(0) and ORG(1-2), both wrong. I of another type: LOC(0),
    # right, and PER(1-2), wrong. So 2 are right of 6 that were found and 5 that are there.
    found = [["O", "I-PER", "O", "I-LOC"], ["B-ORG", "B-ORG", "I-ORG", "O"], ["I-LOC", "I-PER", "I-PER"]]
    read = []
    for name, tags in (("gold", gold), ("found", found)):
        write_predictions(tmp_path / name, tags, TASKS["panx"])
        read.append([part.split("\n") for part in (tmp_path / name).read_text().strip().split("\n\n")])
    assert f1_score(*read) == pytest.approx(4 / 11)
    assert entity_scores(gold, found) == pytest.approx({"precision": 1 / 3, "recall": 2 / 5, "f1": 4 / 11})
    assert TASKS["panx"].metric.counts(sentences(gold), found).tolist() == [[1, 2, 2], [0, 2, 1], [1, 2, 2]]


def test_entities_do_not_reach_over_sentences():
    gold = [["B-PER"], ["I-PER"]]
    assert entity_scores(gold, [["B-PER"], ["O"]]) == pytest.approx({"precision": 1, "recall": 0.5, "f1": 2 / 3})


@pytest.mark.parametrize(("gold", "found"), [("O", "B-PER"), ("B-PER", "O"), ("O", "O")])
def test_nothing_to_find_or_nothing_found_is_zero_without_a_warning(gold, found):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert entity_scores([[gold]], [[found]]) == {"precision": 0.0, "recall": 0.0, "f1": 0.0}


def test_tokens_are_averaged_over_the_tags_of_the_gold():
    gold = [["NOUN", "NOUN", "VERB"], ["NOUN"]]
    found = [["NOUN", "VERB", "VERB"], ["ADJ"]]
    # NOUN: precision 1, recall 1/3, F1 1/2. VERB: precision 1/2, recall 1, F1 2/3. ADJ does not occur in the gold.
    scores = token_scores(gold, found)
    assert scores["accuracy"] == 0.5
    assert scores["precision"] == pytest.approx(3 / 4)
    assert scores["recall"] == pytest.approx(2 / 3)
    assert scores["f1"] == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_counts_of_tokens_have_the_columns_of_the_examples():
    gold, found = [["NOUN", "NOUN", "VERB"], ["NOUN"]], [["NOUN", "VERB", "VERB"], ["ADJ"]]
    # NOUN and VERB that are right, that were found, that are there
    assert TASKS["udpos"].metric.counts(sentences(gold), found).tolist() == [[1, 1, 1, 2, 2, 1], [0, 0, 0, 0, 1, 0]]


def test_tags_that_are_not_there_in_a_resample_do_not_count():
    of_counts = TASKS["udpos"].metric.of_counts
    assert of_counts(np.array([[1.0, 0, 1, 3, 2, 0], [0.0, 0, 0, 0, 0, 0]])) == pytest.approx([2 / 3, 0])


def test_seqeval_on_tokens_merges_runs_and_is_silent():
    # As XTREME counts: gold has NOUN NOUN as one entity, and the prediction splits it.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = token_scores([["NOUN", "NOUN", "VERB"]], [["NOUN", "ADJ", "VERB"]])
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert scores["seqeval_f1"] == pytest.approx(2 * (1 / 3) * (1 / 2) / (1 / 3 + 1 / 2))


def test_the_warning_is_silenced_here_only():
    entity_scores([["NOUN"]], [["NOUN"]])
    with pytest.warns(UserWarning, match="NOUN seems not to be NE tag"):
        get_entities(["NOUN"])


def test_answers_that_are_no_label_are_wrong_and_counted():
    gold = ["neutral", "neutral", "entailment", "contradiction"]
    found = ["neutral", "entailment", "entailment", "contra"]
    # neutral: precision 1, recall 1/2, F1 2/3; entailment: precision 1/2, recall 1, F1 2/3; contradiction: 0.
    scores = TASKS["xnli"].metric.score(pairs(gold), found)
    assert scores == pytest.approx({"accuracy": 0.5, "macro_f1": 4 / 9, "invalid": 1.0})


def test_an_answer_must_be_the_label_to_the_letter():
    assert accuracy_of(["a", "b"]).score(pairs(["a", "b"]), [" a", "b"])["accuracy"] == 0.5


def test_masked_pieces_weigh_alike_whatever_their_article():
    scores = TASKS["mlm"].metric.score([Text("a"), Text("b")], [(-9.0, 1, 3), (-1.0, 1, 1)])
    assert scores == pytest.approx({"log_likelihood": -2.5, "perplexity": 12.182493960703473, "accuracy": 0.5})


def test_a_model_that_is_lost_has_a_perplexity_all_the_same():
    assert TASKS["mlm"].metric.score([Text("a")], [(-9e9, 0, 3)])["perplexity"] == pytest.approx(1.01423205e304)


@pytest.mark.parametrize(
    ("task", "examples", "predictions", "message"),
    [
        ("panx", sentences([["O", "O"], ["O"]]), [["O"], ["O", "O"]], "differ in number"),
        ("udpos", sentences([["X"]]), [], "differ in number"),
        ("xnli", pairs(["neutral"]), [], "differ in number"),
        ("mlm", [Text("a")], [], "differ in number"),
        ("mlm", [Text("a")], [(0.0, 0, 0)], "no token was masked"),
    ],
)
def test_numbers_must_agree(task, examples, predictions, message):
    with pytest.raises(ValueError, match=message):
        TASKS[task].metric.score(examples, predictions)


def drawn(task, random):
    """Random examples and predictions, broken IOB2 among them."""
    if task == "xnli":
        return pairs(random.choice(LABELS, 40)), list(random.choice([*LABELS, "?"], 40))
    if task == "mlm":
        masked = random.integers(1, 20, 40)
        return [Text("a")] * 40, [(-float(m * random.random()), int(m // 2), int(m)) for m in masked]
    rows = [[tuple(random.choice(TASKS[task].labels[:7], size)) for size in range(1, 40)] for _ in range(2)]
    return sentences(rows[0]), rows[1]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("task", TASKS)
def test_totals_of_counts_give_the_selection_score(task, seed):
    examples, predictions = drawn(task, np.random.default_rng(seed))
    metric = TASKS[task].metric
    counts = metric.counts(examples, predictions)
    assert len(counts) == len(examples)
    score = metric.score(examples, predictions)[TASKS[task].selection]
    assert float(metric.of_counts(counts.sum(0))) == pytest.approx(score, abs=1e-12)
    assert metric.of_counts(np.stack([counts.sum(0)] * 2)[None]).shape == (1, 2)


def test_entities_of_each_type_are_scored_as_seqeval_reports_them():
    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["B-ORG", "I-ORG", "I-ORG", "O"], ["B-LOC", "O", "B-PER"]]
    found = [["O", "I-PER", "O", "I-LOC"], ["B-ORG", "B-ORG", "I-ORG", "O"], ["I-LOC", "I-PER", "B-MISC"]]
    made = TASKS["panx"].metric.by_class(sentences(gold), found)
    assert made == {
        "LOC": {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 2.0},
        "ORG": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1.0},
        "PER": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 2.0},
    }
    reported = classification_report(gold, found, output_dict=True, zero_division=0)
    for name, scores in made.items():
        assert scores == pytest.approx({key.replace("f1-score", "f1"): value for key, value in reported[name].items()})


def test_tags_and_labels_are_scored_one_by_one():
    made = TASKS["udpos"].metric.by_class(
        sentences([["NOUN", "NOUN", "VERB"], ["NOUN"]]), [["NOUN", "VERB", "VERB"], ["ADJ"]]
    )
    noun = {"precision": 1.0, "recall": pytest.approx(1 / 3), "f1": 0.5, "support": 3.0}
    assert made == {"NOUN": noun, "VERB": {"precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3), "support": 1.0}}
    made = TASKS["xnli"].metric.by_class(pairs(["neutral", "neutral", "entailment"]), ["neutral", "?", "neutral"])
    assert made == {
        "entailment": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1.0},
        "neutral": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2.0},
    }
    assert TASKS["mlm"].metric.by_class is None
