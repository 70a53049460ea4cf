"""One label for each example: accuracy, and F1 averaged over labels.

scikit-learn is imported where it is used, so that the table of tasks stays light to read.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from polyticket.tasks.entity_metric import class_scores
from polyticket.tasks.examples import Pair
from polyticket.tasks.task import ClassScores, Counts, Metric, Scores


def accuracy_of(labels: Sequence[str]) -> Metric:
    """How answers among some labels are scored.

    Args:
        labels: All labels there are.

    Returns:
        A metric whose scores are `accuracy` and `macro_f1` (over `labels`) in [0, 1], and `invalid`: how many answers
        are none of `labels`. These are wrong, and count against the recall of the label that was right. Selection is
        by accuracy.
    """

    def score(examples: Sequence[Pair], predictions: Sequence[str]) -> Scores:
        from sklearn.metrics import f1_score

        gold = _gold(examples, predictions)
        return {
            "accuracy": float(np.mean([right == answer for right, answer in zip(gold, predictions, strict=True)])),
            "macro_f1": float(f1_score(gold, predictions, labels=list(labels), average="macro", zero_division=0)),
            "invalid": float(sum(answer not in labels for answer in predictions)),
        }

    return Metric(score=score, counts=_counts, of_counts=_of_counts, by_class=label_classes)


def label_classes(examples: Sequence[Pair], predictions: Sequence[str]) -> ClassScores:
    """Precision, recall and F1 of each label, and how many examples have it."""
    gold = _gold(examples, predictions)
    right = Counter(label for label, answer in zip(gold, predictions, strict=True) if label == answer)
    return class_scores(right, Counter(predictions), Counter(gold))


def _counts(examples: Sequence[Pair], predictions: Sequence[str]) -> Counts:
    """Whether each answer is right, and one; float64 [examples, 2]."""
    gold = _gold(examples, predictions)
    right = [right == answer for right, answer in zip(gold, predictions, strict=True)]
    return np.stack([np.array(right, dtype=np.float64), np.ones(len(right))], axis=1)


def _of_counts(totals: Counts) -> Counts:
    right, whole = np.moveaxis(totals, -1, 0)
    return np.divide(right, whole, out=np.zeros_like(whole), where=whole > 0)


def _gold(examples: Sequence[Pair], predictions: Sequence[str]) -> list[str]:
    if len(examples) != len(predictions):
        raise ValueError("examples and answers differ in number")
    return [example.label for example in examples]


ACCURACY = accuracy_of(("entailment", "neutral", "contradiction"))
