"""Files of examples: Arrow, a column for each field, with the label inventory of the task."""

import json
from collections.abc import Sequence
from typing import Any, TypeVar

import pyarrow as pa
from pyarrow import ipc

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, written_beside
from polyticket.core.text import parsed_json, read_as
from polyticket.tasks.examples import Example, Pair, Sentence, Text, labels_of
from polyticket.tasks.table import Task, with_labels

One = TypeVar("One", Sentence, Pair, Text)
TYPES: dict[str, pa.DataType] = {"words": pa.list_(pa.string()), "tags": pa.list_(pa.string())}


LABELS = b"labels"


def write_examples(
    path: Pathlike, examples: Sequence[Any], kind: type[Example], labels: Sequence[str] | None = None
) -> None:
    """Write examples as an Arrow file, a column for each field; complete or absent.

    Args:
        path: The file.
        examples: What it holds.
        kind: What they are.
        labels: All labels that the examples may have; None where that is not known.
    """
    fields = [pa.field(name, TYPES.get(name, pa.string())) for name in kind._fields]
    columns = list(zip(*examples, strict=True)) or [()] * len(fields)
    table = pa.table([pa.array(column, f.type) for column, f in zip(columns, fields, strict=True)], pa.schema(fields))
    if labels is not None:
        table = table.replace_schema_metadata({LABELS: json.dumps(list(labels), ensure_ascii=False)})
    with written_beside(path) as place, ipc.new_file(str(place), table.schema) as writer:
        writer.write_table(table)


def read_examples(path: Pathlike, kind: type[One]) -> list[One]:
    """Read what `write_examples` wrote.

    Raises:
        PolyticketError: The file is missing, or is no Arrow file of such examples.
    """
    with read_as(f"{kind.__name__.lower()}s", path):
        with pa.memory_map(str(path)) as stream:
            table = ipc.open_file(stream).read_all()
            table.validate(full=True)
            columns = [table[name].to_pylist() for name in kind._fields]
        frozen = [
            [tuple(x) for x in column] if n in TYPES else column
            for n, column in zip(kind._fields, columns, strict=True)
        ]
        return [kind(*values) for values in zip(*frozen, strict=True)]


def read_labels(path: Pathlike) -> tuple[str, ...] | None:
    """The label inventory of a file that `write_examples` wrote; None where it has none.

    Raises:
        PolyticketError: The file is missing, or is no Arrow file.
    """
    with read_as("examples", path), pa.memory_map(str(path)) as stream:
        labels = (ipc.open_file(stream).schema.metadata or {}).get(LABELS)
        return None if labels is None else tuple(parsed_json(labels, path))


def labelled_task(task: Task, paths: Sequence[Pathlike]) -> Task:
    """The task with the label inventory that files of its examples share.

    Raises:
        PolyticketError: Two files have different inventories, as those of languages may that were read from data.
    """
    inventories = {path: read_labels(path) for path in paths}
    for path, labels in inventories.items():
        if labels != inventories[paths[0]]:
            raise PolyticketError(
                f"the labels {_listed(labels)}, and {_listed(inventories[paths[0]])} in {paths[0]}",
                where=path,
                expected=f"the same, given as a list in config task_data.labels.{task.name}",
            )
    labels = inventories[paths[0]]
    return task if labels is None or labels == task.labels else with_labels(task, labels)


def require_labels(path: Pathlike, examples: Sequence[Any], task: Task) -> None:
    """Check that examples of a file have the label inventory of a task that was learned elsewhere.

    A file without an inventory, as of a language that is only predicted, must have no label that the task lacks.

    Raises:
        PolyticketError: They have another.
    """
    labels = read_labels(path)
    unknown = {label for example in examples for label in labels_of(example)} - set(task.labels)
    if unknown or (labels is not None and set(labels) != set(task.labels)):
        what = f"the label {min(unknown)}" if labels is None else f"the labels {_listed(labels)}"
        raise PolyticketError(
            f"{what}, and the model was fine-tuned on {_listed(task.labels)}",
            where=path,
            expected=f"the same for all languages, given as a list in config task_data.labels.{task.name}",
        )


def _listed(labels: Sequence[str] | None) -> str:
    return "that are not known" if labels is None else ", ".join(labels)


def read_mixed(paths: Sequence[Pathlike], kind: type[One]) -> list[One]:
    """Read several files one after the other, such as those of languages that are mixed."""
    return [example for path in paths for example in read_examples(path, kind)]
