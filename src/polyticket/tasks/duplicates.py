"""What makes scores of splits mislead: examples that stand in several of them, and labels that train never shows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from polyticket.core.errors import PolyticketError
from polyticket.tasks.sources.about import labels_of, unlabelled


def count_duplicates(splits: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, float]]:
    """Count examples that come again. Two are the same if they are without their labels: the same words or texts.

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
        split: {**found, **{f"{name}_share": count / max(1, len(keys[split])) for name, count in found.items()}}
        for split, found in counts.items()
    }


def without_duplicates(splits: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """Drop from train what stands in dev or test, then from dev what stands in test; test is never changed.

    Where dev and test are the same examples, one standing in for the other, dev stays as it is.

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
    """Labels of dev and test that train never shows, and how often they stand there: no model can learn them."""
    seen = {label for example in splits["train"] for label in labels_of(example)}
    return {
        split: dict(sorted(Counter(x for one in splits[split] for x in labels_of(one) if x not in seen).items()))
        for split in ("dev", "test")
    }
