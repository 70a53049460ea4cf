"""Examples of tasks: their kinds, numbers, duplicates and random subsets."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from polyticket.core.errors import PolyticketError


class Sentence(NamedTuple):
    """Words and, for each of them, its tag."""

    words: tuple[str, ...]
    tags: tuple[str, ...]


class Pair(NamedTuple):
    """A premise, a hypothesis and their label."""

    premise: str
    hypothesis: str
    label: str


class Text(NamedTuple):
    """An article; paragraphs end with a line feed."""

    text: str


Example = Sentence | Pair | Text


def text_of(example: Example) -> str:
    """The text of an example as one string."""
    match example:
        case Sentence(words=words):
            return " ".join(words)
        case Pair(premise=premise, hypothesis=hypothesis):
            return f"{premise} {hypothesis}"
        case Text(text=text):
            return text


def describe(splits: Mapping[str, Sequence[Any]], labels: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Numbers of ``examples``, ``words`` and ``labels`` of each split; labels in the given order."""
    order = tuple(labels)
    return {
        "examples": {split: len(examples) for split, examples in splits.items()},
        "words": {split: count_words(examples) for split, examples in splits.items()},
        "labels": {split: count_labels(examples, order) for split, examples in splits.items()},
    }


def count_words(examples: Sequence[Any]) -> int:
    """The number of words: those of sentences, else separated by white space."""
    if examples and isinstance(examples[0], Sentence):
        return sum(len(sentence.words) for sentence in examples)
    return sum(len(text.split()) for example in examples for text in unlabelled(example))


def count_labels(examples: Sequence[Any], order: Iterable[str]) -> dict[str, int]:
    """Count each label, in the given order; labels that do not occur are left out."""
    counts = Counter(label for example in examples for label in labels_of(example))
    return {label: counts[label] for label in order if counts[label]}


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


def count_duplicates(splits: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, float]]:
    """Count duplicates: examples with the same words or texts, whatever their labels.

    Args:
        splits: train, dev and test.

    Returns:
        For train ``repeated``, the examples that an earlier one of train equals; for dev and test ``in_train``; for
        test ``in_dev``; and each of these as a share of the split's examples (``repeated_share`` and so on).
    """
    keys = {split: [unlabelled(example) for example in examples] for split, examples in splits.items()}
    train, dev = set(keys["train"]), set(keys["dev"])
    counts = {
        "train": {"repeated": len(keys["train"]) - len(train)},
        "dev": {"in_train": sum(key in train for key in keys["dev"])},
        "test": {
            "in_train": sum(key in train for key in keys["test"]),
            "in_dev": sum(key in dev for key in keys["test"]),
        },
    }
    return {
        split: {**of_split, **{f"{name}_share": count / max(1, len(keys[split])) for name, count in of_split.items()}}
        for split, of_split in counts.items()
    }


def without_duplicates(splits: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """Remove examples of dev and test from train, then examples of test from dev; test does not change.

    If dev and test are the same examples, because one replaces the other, dev does not change.

    Raises:
        PolyticketError: Nothing is left of train or dev.
    """
    train, dev, test = (list(splits[split]) for split in ("train", "dev", "test"))
    of_dev, of_test = ({unlabelled(example) for example in part} for part in (dev, test))
    kept = {
        "train": [example for example in train if unlabelled(example) not in of_dev | of_test],
        "dev": dev if dev == test else [example for example in dev if unlabelled(example) not in of_test],
        "test": test,
    }
    for split, others in (("train", "dev or test"), ("dev", "test")):
        if not kept[split]:
            expected = "other splits, or drop_duplicates: false"
            raise PolyticketError(f"all examples of {split} stand in {others}", where="splits", expected=expected)
    return kept


def unseen_labels(splits: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, int]]:
    """Count the labels of dev and test that do not occur in train: no model can learn them."""
    seen = {label for example in splits["train"] for label in labels_of(example)}
    return {
        split: dict(
            sorted(Counter(x for example in splits[split] for x in labels_of(example) if x not in seen).items())
        )
        for split in ("dev", "test")
    }


def sampled(examples: Sequence[Any], most: int | None, seed: Sequence[int]) -> Sequence[Any]:
    """All examples in order, or at most N random ones in random order.

    Args:
        examples: All.
        most: N; None for all.
        seed: Seed of the draw.
    """
    if most is None:
        return examples
    order = np.random.default_rng(list(seed)).permutation(len(examples))[:most]
    return [examples[number] for number in order]


def thinned(examples: Sequence[Any], most: int | None, seed: Sequence[int]) -> Sequence[Any]:
    """All examples, or at most N random ones, in order."""
    if most is None or len(examples) <= most:
        return examples
    order = np.random.default_rng(list(seed)).permutation(len(examples))[:most]
    return [examples[number] for number in sorted(order.tolist())]
