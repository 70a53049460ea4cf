import warnings

import pytest
from seqeval.metrics.sequence_labeling import get_entities

from polyticket.tasks.metrics import entity_scores, token_scores


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


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="differ in number"):
        entity_scores([["O", "O"], ["O"]], [["O"], ["O", "O"]])
