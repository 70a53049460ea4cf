"""XNLI: does a premise entail a hypothesis, contradict it, or neither (Conneau et al. 2018)."""

from polyticket.tasks.examples import Pair
from polyticket.tasks.label_metric import ACCURACY
from polyticket.tasks.task import Task

XNLI = Task(
    name="xnli",
    title="inference between sentences",
    place="XNLI: a directory with `{split}.tsv` or `{split}-{lang}.tsv` (premise, hypothesis, label), or "
    "`hf://facebook/xnli/{lang}`.",
    examples=Pair,
    labels=("entailment", "neutral", "contradiction"),
    aliases={"contradictory": "contradiction"},
    metric=ACCURACY,
    selection="accuracy",
    shown="accuracy",
    forms={"bert": "pair_classification", "mt5": "text_to_text"},
    columns=(("premise",), ("hypothesis",), ("label", "gold_label")),
)
