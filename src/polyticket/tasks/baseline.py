"""The floor that a fine-tuned model must beat: each word gets its most frequent tag of the training split."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from polyticket.tasks.data import Sentence, Task


class MostFrequentTag:
    """Tags each word alone with its most frequent training tag, an unseen word with the most frequent tag of all.

    Ties go to the tag that comes first in the task's list.

    Args:
        train: The training split.
        labels: The task's tags.
    """

    def __init__(self, train: Iterable[Sentence], labels: Sequence[str]) -> None:
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for sentence in train:
            for word, tag in zip(sentence.words, sentence.tags, strict=True):
                counts[word][tag] += 1
        self.of_word = {word: max(labels, key=counted.__getitem__) for word, counted in counts.items()}
        overall = sum(counts.values(), Counter())
        self.of_unseen = max(labels, key=overall.__getitem__)

    def predict(self, sentences: Iterable[Sentence]) -> list[list[str]]:
        """The tags of each sentence's words."""
        return [[self.of_word.get(word, self.of_unseen) for word in sentence.words] for sentence in sentences]


def baseline_scores(
    train: Sequence[Sentence], dev: Sequence[Sentence], test: Sequence[Sentence], task: Task, language: str
) -> dict[str, Any]:
    """Score the most-frequent-tag baseline with the task's own metrics.

    Returns:
        Task, language, method, scores on dev and test, and the share of test tokens whose word was not seen.
    """
    tagger = MostFrequentTag(train, task.labels)
    words = [word for sentence in test for word in sentence.words]
    scores = {
        name: task.score([sentence.tags for sentence in split], tagger.predict(split))
        for name, split in (("dev", dev), ("test", test))
    }
    return {
        "task": task.name,
        "language": language,
        "method": "most_frequent_tag",
        **scores,
        "sentences": {"train": len(train), "dev": len(dev), "test": len(test)},
        "unseen_share": sum(word not in tagger.of_word for word in words) / len(words),
        "unseen_tag": tagger.of_unseen,
    }
