"""Task heads by name, as `Task.heads` names them."""

from polyticket.core.errors import PolyticketError
from polyticket.tasks.heads.base import TaskHead
from polyticket.tasks.heads.masked_lm import MaskedLM
from polyticket.tasks.heads.pair_classification import PairClassification
from polyticket.tasks.heads.tagging import Tagging
from polyticket.tasks.heads.text_to_text import TextToText
from polyticket.tasks.options import FinetuneOptions
from polyticket.tasks.table import Task

HEADS: dict[str, type[TaskHead]] = {
    "tagging": Tagging,
    "pair_classification": PairClassification,
    "masked_lm": MaskedLM,
    "text_to_text": TextToText,
}


def head_of(task: Task, kind: str, options: FinetuneOptions) -> TaskHead:
    """The head that does a task on a kind of backbone.

    Args:
        task: The task.
        kind: `bert` or `mt5`.
        options: How to fine-tune; a head reads its own options among them.

    Raises:
        PolyticketError: No head does the task on this kind of backbone.
    """
    if kind not in task.heads:
        raise PolyticketError(
            f"{task.name} is not done with {kind} models", where="task", expected=" or ".join(task.heads)
        )
    return HEADS[task.heads[kind]](task, options)
