"""Masked language modelling on articles, all of whose text is used (Devlin et al. 2019)."""

from polyticket.tasks.examples import Text
from polyticket.tasks.masked_metric import MASKED
from polyticket.tasks.task import Task

MLM = Task(
    name="mlm",
    title="masked language modelling",
    place="Articles for masked language modelling: JSON lines with `text`, by split or all in one set. null: the "
    "corpus of the run.",
    examples=Text,
    metric=MASKED,
    selection="log_likelihood",
    shown="mean log-likelihood of masked pieces",
    forms={"bert": "masked_lm"},
    columns=(("text",),),
    of_corpus=True,
)
