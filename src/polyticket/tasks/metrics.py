"""Scores of tagging: entity-level for named entities, token-level for parts of speech.

scikit-learn and seqeval are imported where they are used, so that the table of tasks stays light to read.
"""

import warnings
from collections.abc import Sequence
from itertools import chain

Tags = Sequence[Sequence[str]]
Scores = dict[str, float]


def entity_scores(gold: Tags, predicted: Tags) -> Scores:
    """Entity-level micro precision, recall and F1 as XTREME reports them (seqeval, default mode).

    An entity counts when its type and both ends are right. Broken IOB2 is read as CoNLL does: an `I-X` that follows
    `O` or another type begins an entity.

    Args:
        gold: Tags of the sentences.
        predicted: As many tags for each of them.

    Returns:
        `precision`, `recall`, `f1` in [0, 1]; 0 where nothing was predicted or nothing is there to find.
    """
    from seqeval.metrics.sequence_labeling import precision_recall_fscore_support

    _check(gold, predicted)
    lists = [list(tags) for tags in gold], [list(tags) for tags in predicted]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* seems not to be NE tag", category=UserWarning)
        precision, recall, f1, _ = precision_recall_fscore_support(*lists, average="micro", zero_division=0)
    return {"precision": float(precision), "recall": float(recall), "f1": float(f1)}


def token_scores(gold: Tags, predicted: Tags) -> Scores:
    """Token accuracy, and precision, recall and F1 averaged over the tags that occur in `gold` (macro).

    `seqeval_f1` is what XTREME reports for parts of speech. It merges runs of one tag into an entity and reads the
    first letter of `SCONJ` as a chunk prefix, so it is given for comparison only.

    Args:
        gold: Tags of the sentences.
        predicted: As many tags for each of them.

    Returns:
        `accuracy`, `precision`, `recall`, `f1`, `seqeval_f1` in [0, 1].
    """
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    _check(gold, predicted)
    truth, found = list(chain.from_iterable(gold)), list(chain.from_iterable(predicted))
    precision, recall, f1, _ = precision_recall_fscore_support(
        truth, found, labels=sorted(set(truth)), average="macro", zero_division=0
    )
    return {
        "accuracy": float(accuracy_score(truth, found)),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "seqeval_f1": entity_scores(gold, predicted)["f1"],
    }


def _check(gold: Tags, predicted: Tags) -> None:
    if [len(tags) for tags in gold] != [len(tags) for tags in predicted]:
        raise ValueError("gold and predicted tags differ in number")
