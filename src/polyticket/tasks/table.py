"""The four tasks: their examples, labels, metrics and task heads. A configuration may give other labels."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from polyticket.core.errors import PolyticketError
from polyticket.tasks.examples import Example, Pair, Sentence, Text
from polyticket.tasks.metrics import ACCURACY, ENTITIES, MASKED, TOKENS, Metric, accuracy_of


@dataclass(frozen=True)
class Task:
    """A task. A new task is one more `Task` in this module and in `TASKS`.

    Attributes:
        name: Its name in paths and in the configuration.
        examples: The kind of its examples; see `examples.py`.
        metric: How predictions are scored.
        selection: The score, higher is better, that chooses the best step on dev and that tables show.
        heads: Kind of backbone (`bert`, `mt5`) to the task head that is put on it; see `heads/registry.py`.
        labels: All labels, in the order of the classifier's outputs; empty if there are none. A configuration may
            give others, see `with_inventory`.
        entities: Whether labels are IOB2 tags: `O`, and `B-X` and `I-X` of every type X of entities.
        aliases: Labels as some files spell them.
        prefixed: Whether words may be written `language:word`.
        dropped: Tags whose words are left out.
        columns: For each field of an example, the possible names of its column in Hugging Face data sets.
        shown: The selection score in words, for figures.
        of_corpus: Whether the run's own corpus is used if no data are given.
    """

    name: str
    examples: type[Example]
    metric: Metric
    selection: str
    heads: Mapping[str, str]
    labels: tuple[str, ...] = ()
    entities: bool = False
    aliases: Mapping[str, str] = field(default_factory=dict)
    prefixed: bool = False
    dropped: frozenset[str] = frozenset()
    columns: tuple[tuple[str, ...], ...] = ()
    shown: str = "score"
    of_corpus: bool = False


FROM_DATA = "from_data"
"""The value that stands for the sorted labels of the training split."""
LABELS_KEY = "config task_data.labels"
IOB2 = re.compile(r"O|[BI]-\S+")
_OF_OTHER_SCHEMES = re.compile(r"[A-Z][-_].+|.+[-_][A-Z]")
_TYPE = re.compile(r"\S+")


def labels_of_types(types: Iterable[str]) -> tuple[str, ...]:
    """`O`, and `B-X` and `I-X` of every type X of entities, in the order given."""
    return ("O", *(f"{prefix}-{kind}" for kind in types for prefix in "BI"))


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
    where = f"{LABELS_KEY}.{task.name}"
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


def found_inventory(task: Task, train_labels: Iterable[str]) -> Task:
    """The task with the labels that its training data show, sorted; of entities those of all types that occur."""
    labels = sorted(set(train_labels))
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
    if label in ("-", "") and task.examples is Pair:  # annotators of SNLI and MultiNLI did not agree
        raise PolyticketError("no label", where=f"{where}:{number}", expected="rows with labels alone")
    known = f"one of {', '.join(task.labels)}, or others in task_data.labels" if task.labels else f"a {word}"
    if task.entities and not IOB2.fullmatch(label) and (_OF_OTHER_SCHEMES.fullmatch(label) or not task.labels):
        known = (
            f"IOB2 ({'|'.join(task.labels) or 'O|B-X|I-X'}): other schemes (BIOES, BILOU, IO, B_X) are not converted"
        )
    raise PolyticketError(f"unknown {task.name} {word} {label!r}", where=f"{where}:{number}", expected=known)


PANX = Task(
    name="panx",
    examples=Sentence,
    labels=("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"),
    entities=True,
    metric=ENTITIES,
    selection="f1",
    shown="F1 of entities (micro)",
    heads={"bert": "tagging"},
    prefixed=True,
    columns=(("tokens",), ("ner_tags",)),
)


UDPOS = Task(
    name="udpos",
    examples=Sentence,
    labels=(
        *("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM"),
        *("PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X"),
    ),
    metric=TOKENS,
    selection="f1",
    shown="F1 of tags (macro)",
    heads={"bert": "tagging"},
    dropped=frozenset("_"),
    columns=(("tokens",), ("upos", "pos_tags")),
)


XNLI = Task(
    name="xnli",
    examples=Pair,
    labels=("entailment", "neutral", "contradiction"),
    aliases={"contradictory": "contradiction"},
    metric=ACCURACY,
    selection="accuracy",
    shown="accuracy",
    heads={"bert": "pair_classification", "mt5": "text_to_text"},
    columns=(("premise",), ("hypothesis",), ("label", "gold_label")),
)


MLM = Task(
    name="mlm",
    examples=Text,
    metric=MASKED,
    selection="log_likelihood",
    shown="mean log-likelihood of masked tokens",
    heads={"bert": "masked_lm"},
    columns=(("text",),),
    of_corpus=True,
)


TASKS = {task.name: task for task in (PANX, UDPOS, XNLI, MLM)}


def task_named(name: str) -> Task:
    """Look a task up.

    Raises:
        PolyticketError: There is none of that name.
    """
    if name not in TASKS:
        raise PolyticketError(f"unknown task {name!r}", where="task", expected=f"one of {', '.join(TASKS)}")
    return TASKS[name]
