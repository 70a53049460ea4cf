"""Tags of tokens: accuracy, and precision, recall and F1 averaged over tags.

scikit-learn is imported where it is used, so that the table of tasks stays light to read.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import chain

import numpy as np

from polyticket.tasks.entity_metric import Tags, class_scores, entity_scores, f1_of, paired_tags
from polyticket.tasks.examples import Sentence
from polyticket.tasks.task import ClassScores, Counts, Metric, Scores


def token_scores(examples: Sequence[Sentence], predictions: Sequence[Tags]) -> Scores:
    """Token accuracy, and precision, recall and F1 averaged over the tags that occur in the examples (macro).

    `seqeval_f1` is what XTREME reports for parts of speech. It merges runs of one tag into an entity and reads the
    first letter of `SCONJ` as a chunk prefix, so it is given for comparison only.

    Args:
        examples: Sentences with the right tags.
        predictions: As many tags for each of them.

    Returns:
        `accuracy`, `precision`, `recall`, `f1`, `seqeval_f1` in [0, 1].

    Raises:
        ValueError: The numbers of sentences or words differ.
    """
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    truth, found = (list(chain.from_iterable(tags)) for tags in paired_tags(examples, predictions))
    precision, recall, f1, _ = precision_recall_fscore_support(
        truth, found, labels=sorted(set(truth)), average="macro", zero_division=0
    )
    return {
        "accuracy": float(accuracy_score(truth, found)),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "seqeval_f1": entity_scores(examples, predictions)["f1"],
    }


def token_counts(examples: Sequence[Sentence], predictions: Sequence[Tags]) -> Counts:
    """For each of the T tags that occur in the examples, sorted: tokens that are right, found and there.

    The columns are those of the examples, whatever was predicted: two predictions have comparable counts.

    Returns:
        float64 [sentences, 3 · T]: all tags' right ones, then all found, then all there.
    """
    gold, found = paired_tags(examples, predictions)
    column = {tag: number for number, tag in enumerate(sorted(set(chain.from_iterable(gold))))}
    counts = np.zeros((len(gold), 3, len(column)))
    for row, (right, guesses) in enumerate(zip(gold, found, strict=True)):
        for tag, guess in zip(right, guesses, strict=True):
            counts[row, 2, column[tag]] += 1
            if guess in column:
                counts[row, 1, column[guess]] += 1
                counts[row, 0, column[tag]] += guess == tag
    return counts.reshape(len(gold), -1)


def token_classes(examples: Sequence[Sentence], predictions: Sequence[Tags]) -> ClassScores:
    """Precision, recall and F1 of each tag, and how many tokens have it."""
    truth, found = (list(chain.from_iterable(tags)) for tags in paired_tags(examples, predictions))
    right = Counter(tag for tag, guess in zip(truth, found, strict=True) if tag == guess)
    return class_scores(right, Counter(found), Counter(truth))


def _of_counts(totals: Counts) -> Counts:
    """F1 averaged over the tags that are there in the totals; 0 where none is."""
    right, found, there = np.moveaxis(totals.reshape(*totals.shape[:-1], 3, -1), -2, 0)
    known = there > 0
    tags = known.sum(-1)
    return np.divide((f1_of(right, found, there) * known).sum(-1), tags, out=np.zeros(tags.shape), where=tags > 0)


TOKENS = Metric(score=token_scores, counts=token_counts, of_counts=_of_counts, by_class=token_classes)
