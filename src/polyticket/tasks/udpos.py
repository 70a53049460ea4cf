"""Universal Dependencies: parts of speech, 17 universal tags (Nivre et al. 2018), as in XTREME."""

from polyticket.tasks.examples import Sentence
from polyticket.tasks.task import Task
from polyticket.tasks.token_metric import TOKENS

UDPOS = Task(
    name="udpos",
    title="parts of speech",
    place="Parts of speech: a directory with `{split}.tsv` or `{split}-{lang}.tsv`, directories or files of UD "
    "treebanks (`ud/UD_*/{lang}_*-ud-*.conllu`), or `hf://…`.",
    examples=Sentence,
    labels=(
        *("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM"),
        *("PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X"),
    ),
    metric=TOKENS,
    selection="f1",
    shown="F1 of tags (macro)",
    forms={"bert": "tagging"},
    dropped=frozenset("_"),
    columns=(("tokens",), ("upos", "pos_tags")),
)
