"""The forms of tasks by name, imported when they are needed: what a task file names, without what it takes to do it."""

from importlib import import_module
from typing import TYPE_CHECKING

from polyticket.core.errors import PolyticketError
from polyticket.tasks.options import FinetuneOptions
from polyticket.tasks.task import Task

if TYPE_CHECKING:
    from polyticket.tasks.form import Form

FORMS = {
    "tagging": "polyticket.tasks.tagging",
    "pair_classification": "polyticket.tasks.pair_classification",
    "masked_lm": "polyticket.tasks.masked_lm",
    "text_to_text": "polyticket.tasks.text_to_text",
}


def form_of(task: Task, kind: str, options: FinetuneOptions) -> "Form":
    """How a kind of model does a task.

    Args:
        task: The task.
        kind: `bert` or `mt5`.
        options: What of it is as wanted.

    Raises:
        PolyticketError: It does not.
    """
    if kind not in task.forms:
        raise PolyticketError(
            f"{task.name} is not done with {kind} models", where="task", expected=" or ".join(task.forms)
        )
    made: Form = import_module(FORMS[task.forms[kind]]).Form(task, options)
    return made
