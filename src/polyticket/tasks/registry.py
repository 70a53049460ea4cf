"""All tasks by name. Light: no module of a deep-learning framework is imported."""

from polyticket.core.errors import PolyticketError
from polyticket.tasks.mlm import MLM
from polyticket.tasks.panx import PANX
from polyticket.tasks.task import Task
from polyticket.tasks.udpos import UDPOS
from polyticket.tasks.xnli import XNLI

TASKS = {task.name: task for task in (PANX, UDPOS, XNLI, MLM)}


def task_named(name: str) -> Task:
    """Look a task up.

    Raises:
        PolyticketError: There is none of that name.
    """
    if name not in TASKS:
        raise PolyticketError(f"unknown task {name!r}", where="task", expected=f"one of {', '.join(TASKS)}")
    return TASKS[name]
