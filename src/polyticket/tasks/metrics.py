"""Metrics of tasks: entities, tags of words, labels of pairs, masked tokens.

seqeval and scikit-learn are imported where they are used, so that the table of tasks stays light to read.
"""

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyticket.tasks.examples import Pair, Sentence, Text

Scores = dict[str, float]
ClassScores = dict[str, dict[str, float]]
"""Class to its `precision`, `recall`, `f1`, and `support`: how often it is right."""
Counts = NDArray[np.float64]
Prediction = Any
"""What is predicted for one example: a tuple of tags, a label, or sums over predicted tokens; see the task."""


class Metric(NamedTuple):
    """How predictions are scored.

    Attributes:
        score: Examples and a prediction for each of them to named scores.
        counts: The same to sums float64 [examples, K], whose totals decide the selection score.
        of_counts: Totals [..., K] to the selection score [...]; of all examples it is what `score` says.
        by_class: The same to the scores of each class that occurs in the examples, sorted: an entity's type, a word's
            tag, a pair's label. None where there are no classes.
    """

    score: Callable[[Sequence[Any], Sequence[Prediction]], Scores]
    counts: Callable[[Sequence[Any], Sequence[Prediction]], Counts]
    of_counts: Callable[[Counts], Counts]
    by_class: Callable[[Sequence[Any], Sequence[Prediction]], ClassScores] | None = None


Tags = Sequence[str]


def entity_scores(examples: Sequence[Sentence], predictions: Sequence[Tags]) -> Scores:
    """Entity-level micro precision, recall and F1 (seqeval, default mode).

    An entity counts when its type and both ends are right. Broken IOB2 is read as CoNLL does: an `I-X` that follows
    `O` or another type begins an entity.

    Args:
        examples: Sentences with the right tags.
        predictions: As many tags for each of them.

    Returns:
        `precision`, `recall`, `f1` in [0, 1]; 0 where nothing was predicted or nothing is there to find.

    Raises:
        ValueError: The numbers of sentences or words differ.
    """
    from seqeval.metrics.sequence_labeling import precision_recall_fscore_support

    gold, predicted = paired_tags(examples, predictions)
    with any_tags():
        precision, recall, f1, _ = precision_recall_fscore_support(gold, predicted, average="micro", zero_division=0)
    return {"precision": float(precision), "recall": float(recall), "f1": float(f1)}


def entity_counts(examples: Sequence[Sentence], predictions: Sequence[Tags]) -> Counts:
    """Entities that are right, that were found, and that are there to find, float64 [sentences, 3]."""
    from seqeval.metrics.sequence_labeling import get_entities

    counts = np.zeros((len(examples), 3))
    with any_tags():
        for row, (gold, predicted) in enumerate(zip(*paired_tags(examples, predictions), strict=True)):
            gold_entities, predicted_entities = set(get_entities(gold)), set(get_entities(predicted))
            counts[row] = len(gold_entities & predicted_entities), len(predicted_entities), len(gold_entities)
    return counts


def entity_classes(examples: Sequence[Sentence], predictions: Sequence[Tags]) -> ClassScores:
    """Precision, recall and F1 of the entities of each type, as seqeval reports them, and how many there are."""
    from seqeval.metrics.sequence_labeling import get_entities

    right, predicted_counts, gold_counts = Counter[str](), Counter[str](), Counter[str]()
    with any_tags():
        for gold, predicted in zip(*paired_tags(examples, predictions), strict=True):
            gold_entities, predicted_entities = set(get_entities(gold)), set(get_entities(predicted))
            for counter, entities in (
                (right, gold_entities & predicted_entities),
                (predicted_counts, predicted_entities),
                (gold_counts, gold_entities),
            ):
                counter.update(entity[0] for entity in entities)
    return class_scores(right, predicted_counts, gold_counts)


def class_scores(right: Mapping[str, int], predicted: Mapping[str, int], gold: Mapping[str, int]) -> ClassScores:
    """Scores of each class that is there, sorted; 0 where none was found.

    Args:
        right: How many predictions of a class are right; no key is none.
        predicted: How many there are.
        gold: How many there are to find.
    """
    scores_of = {}
    for name in sorted(gold):
        hits, guesses, support = float(right.get(name, 0)), predicted.get(name, 0), gold[name]
        scores = {"precision": hits / guesses if guesses else 0.0, "recall": hits / support}
        scores_of[name] = {**scores, "f1": 2 * hits / (guesses + support), "support": float(support)}
    return scores_of


def f1_of(right: Counts, predicted: Counts, gold: Counts) -> Counts:
    """F1 = 2 · right / (found + there), element by element; 0 where there is neither."""
    whole = predicted + gold
    return np.divide(2 * right, whole, out=np.zeros_like(whole), where=whole > 0)


def _f1_of_counts(totals: Counts) -> Counts:
    return f1_of(*np.moveaxis(totals, -1, 0))


def paired_tags(examples: Sequence[Sentence], predictions: Sequence[Tags]) -> tuple[list[list[str]], list[list[str]]]:
    """Right and predicted tags of each sentence, as seqeval takes them.

    Raises:
        ValueError: The numbers of sentences or words differ.
    """
    gold, predicted = [list(sentence.tags) for sentence in examples], [list(tags) for tags in predictions]
    if [len(tags) for tags in gold] != [len(tags) for tags in predicted]:
        raise ValueError("gold and predicted tags differ in number")
    return gold, predicted


@contextmanager
def any_tags() -> Iterator[None]:
    """Keep seqeval silent about tags that are no chunks."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* seems not to be NE tag", category=UserWarning)
        yield


ENTITIES = Metric(score=entity_scores, counts=entity_counts, of_counts=_f1_of_counts, by_class=entity_classes)


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

    gold, predicted = (list(chain.from_iterable(tags)) for tags in paired_tags(examples, predictions))
    precision, recall, f1, _ = precision_recall_fscore_support(
        gold, predicted, labels=sorted(set(gold)), average="macro", zero_division=0
    )
    return {
        "accuracy": float(accuracy_score(gold, predicted)),
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
    gold, predicted = paired_tags(examples, predictions)
    column = {tag: number for number, tag in enumerate(sorted(set(chain.from_iterable(gold))))}
    counts = np.zeros((len(gold), 3, len(column)))
    for row, (right, guesses) in enumerate(zip(gold, predicted, strict=True)):
        for tag, guess in zip(right, guesses, strict=True):
            counts[row, 2, column[tag]] += 1
            if guess in column:
                counts[row, 1, column[guess]] += 1
                counts[row, 0, column[tag]] += guess == tag
    return counts.reshape(len(gold), -1)


def token_classes(examples: Sequence[Sentence], predictions: Sequence[Tags]) -> ClassScores:
    """Precision, recall and F1 of each tag, and how many tokens have it."""
    gold, predicted = (list(chain.from_iterable(tags)) for tags in paired_tags(examples, predictions))
    right = Counter(tag for tag, guess in zip(gold, predicted, strict=True) if tag == guess)
    return class_scores(right, Counter(predicted), Counter(gold))


def _macro_f1_of_counts(totals: Counts) -> Counts:
    """F1 averaged over the tags that are there in the totals; 0 where none is."""
    right, predicted, gold = np.moveaxis(totals.reshape(*totals.shape[:-1], 3, -1), -2, 0)
    known = gold > 0
    tags = known.sum(-1)
    return np.divide((f1_of(right, predicted, gold) * known).sum(-1), tags, out=np.zeros(tags.shape), where=tags > 0)


TOKENS = Metric(score=token_scores, counts=token_counts, of_counts=_macro_f1_of_counts, by_class=token_classes)


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

        gold = paired_labels(examples, predictions)
        return {
            "accuracy": float(np.mean([right == answer for right, answer in zip(gold, predictions, strict=True)])),
            "macro_f1": float(f1_score(gold, predictions, labels=list(labels), average="macro", zero_division=0)),
            "invalid": float(sum(answer not in labels for answer in predictions)),
        }

    return Metric(score=score, counts=label_counts, of_counts=_accuracy_of_counts, by_class=label_classes)


def label_classes(examples: Sequence[Pair], predictions: Sequence[str]) -> ClassScores:
    """Precision, recall and F1 of each label, and how many examples have it."""
    gold = paired_labels(examples, predictions)
    right = Counter(label for label, answer in zip(gold, predictions, strict=True) if label == answer)
    return class_scores(right, Counter(predictions), Counter(gold))


def label_counts(examples: Sequence[Pair], predictions: Sequence[str]) -> Counts:
    """Whether each answer is right, and one; float64 [examples, 2]."""
    gold = paired_labels(examples, predictions)
    right = [right == answer for right, answer in zip(gold, predictions, strict=True)]
    return np.stack([np.array(right, dtype=np.float64), np.ones(len(right))], axis=1)


def _accuracy_of_counts(totals: Counts) -> Counts:
    right, whole = np.moveaxis(totals, -1, 0)
    return np.divide(right, whole, out=np.zeros_like(whole), where=whole > 0)


def paired_labels(examples: Sequence[Pair], predictions: Sequence[str]) -> list[str]:
    """The right label of each example.

    Raises:
        ValueError: The numbers of examples and answers differ.
    """
    if len(examples) != len(predictions):
        raise ValueError("examples and answers differ in number")
    return [example.label for example in examples]


ACCURACY = accuracy_of(("entailment", "neutral", "contradiction"))


Sums = tuple[float, int, int]
MOST_NATS = 700  # nats; beyond it a float overflows


def masked_scores(examples: Sequence[Text], predictions: Sequence[Sums]) -> Scores:
    """Means over all masked tokens of all articles.

    Args:
        examples: The articles.
        predictions: For each the sum of log-likelihoods [nats], hits and the number of its masked tokens.

    Returns:
        `log_likelihood` [nats, at most 0] = Σ log-likelihoods / Σ masked; `accuracy` = Σ hits / Σ masked;
        `perplexity` = exp(−log_likelihood), at most exp(700).

    Raises:
        ValueError: The numbers of articles differ, or nothing was masked.
    """
    total, hits, masked = masked_counts(examples, predictions).sum(0).tolist()
    if masked == 0:
        raise ValueError("no token was masked")
    mean = total / masked
    return {"log_likelihood": mean, "perplexity": math.exp(min(-mean, MOST_NATS)), "accuracy": hits / masked}


def masked_counts(examples: Sequence[Text], predictions: Sequence[Sums]) -> Counts:
    """The predictions themselves, float64 [articles, 3]."""
    if len(examples) != len(predictions):
        raise ValueError("articles and predictions differ in number")
    return np.array(predictions, dtype=np.float64).reshape(-1, 3)


def _mean_of_counts(totals: Counts) -> Counts:
    total, _, masked = np.moveaxis(totals, -1, 0)
    return np.divide(total, masked, out=np.zeros_like(masked), where=masked > 0)


MASKED = Metric(score=masked_scores, counts=masked_counts, of_counts=_mean_of_counts)
