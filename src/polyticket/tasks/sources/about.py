"""What a set of examples holds, in numbers."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from polyticket.tasks.examples import Pair, Sentence


def describe(splits: Mapping[str, Sequence[Any]], labels: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Numbers of ``examples``, ``words`` and ``labels`` of each split; labels in the given order."""
    order = tuple(labels)
    return {
        "examples": {split: len(examples) for split, examples in splits.items()},
        "words": {split: count_words(examples) for split, examples in splits.items()},
        "labels": {split: count_labels(examples, order) for split, examples in splits.items()},
    }


def count_words(examples: Sequence[Any]) -> int:
    """Number of words: as given in sentences, else what stands between white space."""
    if examples and isinstance(examples[0], Sentence):
        return sum(len(sentence.words) for sentence in examples)
    return sum(len(text.split()) for example in examples for text in unlabelled(example))


def count_labels(examples: Sequence[Any], order: Iterable[str]) -> dict[str, int]:
    """How often each label stands in the examples: in the given order, those that never do left out."""
    found = Counter(label for example in examples for label in labels_of(example))
    return {label: found[label] for label in order if found[label]}


def labels_of(example: Any) -> Sequence[str]:
    """All labels of one example; texts have none."""
    if isinstance(example, Sentence):
        return example.tags
    return (example.label,) if isinstance(example, Pair) else ()


def unlabelled(example: Any) -> tuple[str, ...]:
    """An example without its labels: words, premise and hypothesis, or text."""
    if isinstance(example, Sentence):
        return example.words
    return (example.premise, example.hypothesis) if isinstance(example, Pair) else (example.text,)
