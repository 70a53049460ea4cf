"""PAN-X: named entities of Wikipedia, IOB2 (Pan et al. 2017; splits of Rahimi et al. 2019), as in XTREME."""

from polyticket.tasks.entity_metric import ENTITIES
from polyticket.tasks.examples import Sentence
from polyticket.tasks.task import Task

PANX = Task(
    name="panx",
    title="named entities",
    place="A language's PAN-X: a directory with `train`, `dev`, `test` or `{split}-{lang}.tsv`, a WikiANN `.tar.gz`, "
    "a glob of files, or `hf://unimelb-nlp/wikiann/{lang}`.",
    examples=Sentence,
    labels=("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"),
    entities=True,
    metric=ENTITIES,
    selection="f1",
    shown="F1 of entities (micro)",
    forms={"bert": "tagging"},
    prefixed=True,
    columns=(("tokens",), ("ner_tags",)),
)
