"""The label inventory of a task: its own, the one that a configuration gives, or that of the training data."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from polyticket.core.errors import PolyticketError
from polyticket.tasks.examples import Pair
from polyticket.tasks.label_metric import accuracy_of
from polyticket.tasks.task import Task

FROM_DATA = "from_data"
"""Given in place of an inventory: the sorted labels of the training split."""
KEY = "config task_data.labels"
IOB2 = re.compile(r"O|[BI]-\S+")
_OF_OTHER_SCHEMES = re.compile(r"[A-Z][-_].+|.+[-_][A-Z]")
_TYPE = re.compile(r"\S+")


def labels_of_types(types: Iterable[str]) -> tuple[str, ...]:
    """`O`, and `B-X` and `I-X` of every type X of entities, in the order given."""
    return ("O", *(f"{part}-{one}" for one in types for part in "BI"))


def with_labels(task: Task, labels: Sequence[str]) -> Task:
    """The task with other labels, in the order of the classifier's outputs; none at all takes any label."""
    aliases = {name: label for name, label in task.aliases.items() if label in labels and name not in labels}
    metric = accuracy_of(labels) if task.examples is Pair else task.metric
    return replace(task, labels=tuple(labels), aliases=aliases, metric=metric)


def with_inventory(task: Task, given: Sequence[str] | str | None) -> Task:
    """The task with the inventory that a configuration gives.

    Args:
        task: The task.
        given: Types of entities where the task's labels are IOB2 tags, else labels; `FROM_DATA` takes any label until
            the training data are read, see `found_inventory`; None keeps the task's own.

    Raises:
        PolyticketError: The task has no labels; a label is empty, has white space in it or comes twice; or tags are
            given where types of entities are due.
    """
    if given is None:
        return task
    where = f"{KEY}.{task.name}"
    if not task.labels:
        raise PolyticketError(f"{task.name} has no labels", where=where, expected="no entry")
    if isinstance(given, str):
        if given != FROM_DATA:
            raise PolyticketError(f"{given!r}", where=where, expected=f"a list of labels, or {FROM_DATA}")
        return with_labels(task, ())
    if not isinstance(given, (list, tuple)):
        raise PolyticketError(f"{given!r}", where=where, expected=f"a list of labels, or {FROM_DATA}")
    if not given:
        raise PolyticketError("an empty list", where=where, expected=f"a list of labels, or {FROM_DATA}")
    for number, label in enumerate(given):
        if not isinstance(label, str) or not _TYPE.fullmatch(label) or label in given[:number]:
            expected = "every label once, as text without white space"
            raise PolyticketError(f"{label!r}", where=where, expected=expected)
        if task.entities and IOB2.fullmatch(label):
            expected = "types of entities alone, such as [PER, ORG, LOC, DATE]: O, B-X and I-X follow from them"
            raise PolyticketError(f"the tag {label!r}", where=where, expected=expected)
    return with_labels(task, labels_of_types(given) if task.entities else given)


def found_inventory(task: Task, found: Iterable[str]) -> Task:
    """The task with the labels that its training data show, sorted; of entities those of all types that occur."""
    labels = sorted(set(found))
    if not task.entities:
        return with_labels(task, labels)
    return with_labels(task, labels_of_types(sorted({label[2:] for label in labels if label != "O"})))


def known_label(label: str, task: Task, where: str, number: int) -> str:
    """A label as the task spells it.

    Args:
        label: As it was read.
        task: Gives the labels that are known; one without labels takes all, of entities all IOB2 tags.
        where: The file.
        number: The line.

    Raises:
        PolyticketError: The task neither knows nor drops it.
    """
    label = task.aliases.get(label, label)
    if label in task.labels or label in task.dropped:
        return label
    if not task.labels and _TYPE.fullmatch(label) and (not task.entities or IOB2.fullmatch(label)):
        return label
    word = "label" if task.examples is Pair else "tag"
    known = f"one of {', '.join(task.labels)}, or others in task_data.labels" if task.labels else f"a {word}"
    if task.entities and not IOB2.fullmatch(label) and (_OF_OTHER_SCHEMES.fullmatch(label) or not task.labels):
        known = (
            f"IOB2 ({'|'.join(task.labels) or 'O|B-X|I-X'}): other schemes (BIOES, BILOU, IO, B_X) are not converted"
        )
    raise PolyticketError(f"unknown {task.name} {word} {label!r}", where=f"{where}:{number}", expected=known)
