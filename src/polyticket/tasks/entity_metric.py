"""Entities: micro precision, recall and F1 as XTREME reports them.

seqeval is imported where it is used, so that the table of tasks stays light to read.
"""

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from polyticket.tasks.examples import Sentence
from polyticket.tasks.task import ClassScores, Counts, Metric, Scores

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

    gold, found = paired_tags(examples, predictions)
    with any_tags():
        precision, recall, f1, _ = precision_recall_fscore_support(gold, found, average="micro", zero_division=0)
    return {"precision": float(precision), "recall": float(recall), "f1": float(f1)}


def entity_counts(examples: Sequence[Sentence], predictions: Sequence[Tags]) -> Counts:
    """Entities that are right, that were found, and that are there to find, float64 [sentences, 3]."""
    from seqeval.metrics.sequence_labeling import get_entities

    counts = np.zeros((len(examples), 3))
    with any_tags():
        for row, (gold, found) in enumerate(zip(*paired_tags(examples, predictions), strict=True)):
            there, seen = set(get_entities(gold)), set(get_entities(found))
            counts[row] = len(there & seen), len(seen), len(there)
    return counts


def entity_classes(examples: Sequence[Sentence], predictions: Sequence[Tags]) -> ClassScores:
    """Precision, recall and F1 of the entities of each type, as seqeval reports them, and how many there are."""
    from seqeval.metrics.sequence_labeling import get_entities

    right, seen, there = Counter[str](), Counter[str](), Counter[str]()
    with any_tags():
        for gold, found in zip(*paired_tags(examples, predictions), strict=True):
            own, guessed = set(get_entities(gold)), set(get_entities(found))
            for counter, entities in ((right, own & guessed), (seen, guessed), (there, own)):
                counter.update(entity[0] for entity in entities)
    return class_scores(right, seen, there)


def class_scores(right: Mapping[str, int], found: Mapping[str, int], there: Mapping[str, int]) -> ClassScores:
    """Scores of each class that is there, sorted; 0 where none was found.

    Args:
        right: How many predictions of a class are right; no key is none.
        found: How many there are.
        there: How many there are to find.
    """
    made = {}
    for name in sorted(there):
        hits, guesses, support = float(right.get(name, 0)), found.get(name, 0), there[name]
        scores = {"precision": hits / guesses if guesses else 0.0, "recall": hits / support}
        made[name] = {**scores, "f1": 2 * hits / (guesses + support), "support": float(support)}
    return made


def f1_of(right: Counts, found: Counts, there: Counts) -> Counts:
    """F1 = 2 · right / (found + there), element by element; 0 where there is neither."""
    whole = found + there
    return np.divide(2 * right, whole, out=np.zeros_like(whole), where=whole > 0)


def _of_counts(totals: Counts) -> Counts:
    return f1_of(*np.moveaxis(totals, -1, 0))


def paired_tags(examples: Sequence[Sentence], predictions: Sequence[Tags]) -> tuple[list[list[str]], list[list[str]]]:
    """Right and predicted tags of each sentence, as seqeval takes them.

    Raises:
        ValueError: The numbers of sentences or words differ.
    """
    gold, found = [list(sentence.tags) for sentence in examples], [list(tags) for tags in predictions]
    if [len(tags) for tags in gold] != [len(tags) for tags in found]:
        raise ValueError("gold and predicted tags differ in number")
    return gold, found


@contextmanager
def any_tags() -> Iterator[None]:
    """Keep seqeval silent about tags that are no chunks."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* seems not to be NE tag", category=UserWarning)
        yield


ENTITIES = Metric(score=entity_scores, counts=entity_counts, of_counts=_of_counts, by_class=entity_classes)
