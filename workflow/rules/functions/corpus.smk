"""Inputs, parameters and resources of the rules in corpus.smk."""

from os.path import exists

from polyticket.core.errors import PolyticketError
from polyticket.model.hub import is_local

TEXT_FILTERS = {key: value for key, value in config["text"].items() if key != "max_residual_markup"}


def all_ranges(pattern):
    """An input function: a file of every byte range of a language, in order."""
    return lambda wildcards: [
        pattern.format(lang=wildcards.lang, range=number) for number in range(ranges_of(wildcards.lang))
    ]


def training_text(name):
    """A file of every language's corpus, where the vocabulary is trained on them."""
    if config["vocabulary"]["source"] != "train":
        return []
    return expand(f"<results>/corpus/{{lang}}/{name}", lang=config["languages"])


def given_vocabulary(wildcards):
    """The vocabulary file or tokenizer folder that is taken; none of a Hugging Face name."""
    path = vocabulary_path()
    is_file = config["vocabulary"]["source"] == "file"
    if not path or not (is_file or is_local(path)):
        return []
    if not exists(path):
        what = f"no such {'file' if is_file else 'folder'}: {path}"
        expected = "a vocab.txt" if is_file else "a tokenizer's folder or name"
        stop(PolyticketError(what, where="config vocabulary.path", expected=expected))
    return path


def vocabulary_mb(wildcards, input):
    """Memory to train a vocabulary: every distinct word of all text, or of `sentences_per_language`."""
    most = config["vocabulary"]["sentences_per_language"]
    text = size_mb(input) if most is None else len(config["languages"]) * most * 300e-6
    return int(2000 + 4 * min(text, size_mb(input)))
