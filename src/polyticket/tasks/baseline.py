"""Baselines: always predict the most frequent tag or label of the training split."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from polyticket.core.errors import PolyticketError
from polyticket.tasks.examples import Pair, Sentence
from polyticket.tasks.table import Task


class MostFrequentTag:
    """Tags each word alone with its most frequent training tag, an unseen word with the most frequent tag of all.

    Ties go to the tag that comes first in the task's list.

    Args:
        train: The training split.
        labels: The task's tags.
    """

    method = "most_frequent_tag"

    def __init__(self, train: Iterable[Sentence], labels: Sequence[str]) -> None:
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for sentence in train:
            for word, tag in zip(sentence.words, sentence.tags, strict=True):
                counts[word][tag] += 1
        self.of_word = {word: max(labels, key=counted.__getitem__) for word, counted in counts.items()}
        overall = sum(counts.values(), Counter())
        self.of_unseen = max(labels, key=overall.__getitem__)

    def predict(self, sentences: Iterable[Sentence]) -> list[tuple[str, ...]]:
        """The tags of each sentence's words."""
        return [tuple(self.of_word.get(word, self.of_unseen) for word in sentence.words) for sentence in sentences]

    def facts(self, test: Iterable[Sentence]) -> dict[str, Any]:
        """The share of test words that do not occur in train, and their predicted tag."""
        words = [word for sentence in test for word in sentence.words]
        unseen = sum(word not in self.of_word for word in words)
        return {"unseen_share": unseen / len(words), "unseen_tag": self.of_unseen}


class MostFrequentLabel:
    """Gives every pair the most frequent training label; ties go to the label that comes first in the task's list.

    Args:
        train: The training split.
        labels: The task's labels.
    """

    method = "most_frequent_label"

    def __init__(self, train: Iterable[Pair], labels: Sequence[str]) -> None:
        counts = Counter(pair.label for pair in train)
        self.label = max(labels, key=counts.__getitem__)

    def predict(self, pairs: Sequence[Pair]) -> list[str]:
        """The label of each pair."""
        return [self.label] * len(pairs)

    def facts(self, test: Iterable[Pair]) -> dict[str, Any]:  # noqa: ARG002
        """The label."""
        return {"label": self.label}


BASELINES: dict[type, Any] = {Sentence: MostFrequentTag, Pair: MostFrequentLabel}


def baseline_scores(splits: Mapping[str, Sequence[Any]], task: Task, language: str) -> dict[str, Any]:
    """Score the baseline of a task with its own metric.

    Args:
        splits: Examples of `train`, `dev` and `test`.
        task: What is predicted.
        language: Of the examples.

    Returns:
        `task`, `language`, `method`; scores on `dev` and `test`; `sentences`: how many examples each split has; for
        tagging `unseen_share`, the share of test words that training did not see, and `unseen_tag`, for pairs `label`.

    Raises:
        PolyticketError: The task has no baseline.
    """
    if task.examples not in BASELINES:
        raise PolyticketError(f"{task.name} has no baseline", where="task", expected="tagging or pairs")
    baseline = BASELINES[task.examples](splits["train"], task.labels)
    scores = {name: task.metric.score(splits[name], baseline.predict(splits[name])) for name in ("dev", "test")}
    return {
        "task": task.name,
        "language": language,
        "method": baseline.method,
        **scores,
        "sentences": {name: len(splits[name]) for name in ("train", "dev", "test")},
        **baseline.facts(splits["test"]),
    }
