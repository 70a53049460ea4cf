"""What a task is: its examples, its labels, its metric, and the forms in which models do it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyticket.tasks.examples import Example

Scores = dict[str, float]
ClassScores = dict[str, dict[str, float]]
"""Class to its `precision`, `recall`, `f1`, and `support`: how often it is right."""
Counts = NDArray[np.float64]
Prediction = Any
"""What is predicted for one example: a tuple of tags, a label, or sums over predicted pieces; see the task."""


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


@dataclass(frozen=True)
class Task:
    """A task; another one is another small file and a line in `registry.py`.

    Attributes:
        name: As in paths and in the configuration.
        title: What it is about, in words.
        place: Where its data may be, for the configuration's documentation.
        examples: What one example is; see `examples.py`.
        metric: How predictions are scored.
        selection: The score, higher is better, that chooses the best step on dev and that tables show.
        forms: Kind of model (`bert`, `mt5`) to the form in which it does the task; see `forms.py`.
        labels: All labels, in the order of the classifier's outputs; empty where there are none. A configuration may
            put others in their place, see `inventory.py`.
        entities: Whether they are IOB2 tags: `O`, and `B-X` and `I-X` of every type X of entities.
        aliases: Labels as some files spell them.
        prefixed: Whether words may be written `language:word`.
        dropped: Tags whose words are left out.
        columns: What the columns of Hugging Face datasets may be called, for each field of an example.
        shown: The selection score in words, for figures.
        of_corpus: Whether the run's own corpus serves where no data are given.
    """

    name: str
    title: str
    place: str
    examples: type[Example]
    metric: Metric
    selection: str
    forms: Mapping[str, str]
    labels: tuple[str, ...] = ()
    entities: bool = False
    aliases: Mapping[str, str] = field(default_factory=dict)
    prefixed: bool = False
    dropped: frozenset[str] = frozenset()
    columns: tuple[tuple[str, ...], ...] = ()
    shown: str = "score"
    of_corpus: bool = False
