"""The configuration's schema: a YAML file in which `<task>` stands for every task of the registry."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from polyticket.core.files import Pathlike
from polyticket.tasks.table import TASKS, Task

LOADER = getattr(
    yaml, "CSafeLoader", yaml.SafeLoader
)  # in C where PyYAML was built with it: every job reads the schema
EACH = "<task>"
"""A key: one key for every task. An item of a list: all their names."""


def read_schema(path: Pathlike) -> dict[str, Any]:
    """Read a JSON schema written as YAML, with all tasks in their places.

    In what stands below the key `<task>`, `<title>` is a task's name in words and `<place>` says where its data may be.
    """
    text = Path(path).read_text(encoding="utf-8")
    found: dict[str, Any] = _filled(LOADER(text).get_single_data(), TASKS.values())
    return found


def _filled(part: Any, tasks: Collection[Task]) -> Any:
    if isinstance(part, Mapping):
        found = {}
        for key, value in part.items():
            each = {task.name: _told(value, task) for task in tasks} if key == EACH else {key: _filled(value, tasks)}
            found.update(each)
        return found
    if isinstance(part, list):
        return [task.name for task in tasks] if part == [EACH] else [_filled(one, tasks) for one in part]
    return part


def _told(part: Any, task: Task) -> Any:
    """A part of the schema, about one task."""
    if isinstance(part, Mapping):
        return {key: _told(value, task) for key, value in part.items()}
    if isinstance(part, str):
        return part.replace("<title>", task.title).replace("<place>", task.place)
    return part
