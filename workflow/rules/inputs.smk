"""Where the inputs of rules are: the user's data, and what a run has made before."""

from functools import cache
from os.path import exists, getsize

from polyticket.dumps.sources import is_url, local_dumps
from polyticket.model.hub import is_place

BYTES_PER_PIECE = 256 * 10**6


def dumps_of(wildcards):
    """The dump files of a language, or the receipt of those that are downloaded."""
    if dumps_url():
        return [f"<results>/dumps/{wildcards.lang}.json"]
    return local_dumps_of(wildcards.lang)


def dumps_url():
    """The URL of the dumps, `{lang}` and `{date}` left as they are; null where they are on disk, or none are configured."""
    pattern = config["data"]["dumps"]
    try:
        pattern = pattern and placed(pattern, key="data.dumps")
    except PolyticketError as error:
        stop(error)
    return pattern if pattern and is_url(pattern) else None


def download_folder(lang):
    """Where the downloaded dumps of a language are."""
    return placed_or_stop(config["download"]["folder"], "download.folder", lang)


@cache
def local_dumps_of(lang):
    """The dump files of a language on disk, part 2 before part 10."""
    pattern = placed_or_stop(config["data"]["dumps"], "data.dumps", lang)
    try:
        found = [] if pattern is None else local_dumps(pattern)
    except PolyticketError as error:
        stop(error)
    if not found:
        stop(
            PolyticketError(
                f"no dump of {lang!r} at {pattern}" if pattern else "not set",
                where="config data.dumps",
                expected="a glob of *.xml or *.xml.bz2 files",
            )
        )
    return found


def templates_of(wildcards):
    """The language's templates, unless they are dropped."""
    wanted = config["extraction"]["templates"]
    return "<results>/corpus/{lang}/templates.xml" if wanted else []


@cache
def pieces_of(lang):
    """Into how many jobs the extraction of a language is cut: as the configuration says, or by the size of its dumps."""
    pieces = config["extraction"]["pieces"]
    if isinstance(pieces, dict):
        return pieces.get(lang, 1)
    if pieces is None and not dumps_url():
        pieces = 1 + sum(map(getsize, local_dumps_of(lang))) // BYTES_PER_PIECE
    return pieces or 1


def all_pieces(pattern):
    """An input function: a file of every piece of a language, in order."""
    return lambda wildcards: [
        pattern.format(lang=wildcards.lang, piece=piece) for piece in range(pieces_of(wildcards.lang))
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
    if not path or not (is_file or is_place(path)):
        return []
    if not exists(path):
        what = f"no such {'file' if is_file else 'folder'}: {path}"
        expected = "a vocab.txt" if is_file else "a tokenizer's folder or name"
        stop(PolyticketError(what, where="config vocabulary.path", expected=expected))
    return path


def vocabulary_path():
    """The vocabulary file or tokenizer that the configuration names, if any."""
    return placed_or_stop(config["vocabulary"]["path"], "vocabulary.path")


def sampling_table():
    """The CSV file of sampling ratios, where the configuration names one."""
    return [SAMPLING_TABLE] if isinstance(SAMPLING_TABLE, str) else []


def ticket_file(wildcards):
    """The ticket that a run uses; a run that multiplies by a constant needs none."""
    run = ticket_of(wildcards.run)
    return [] if run is None else f"<results>/{run}ticket.safetensors"


def initial_model(wildcards):
    """The initial model that a run uses."""
    return f"<results>/{initial_of(wildcards.run)}initial"


def checkpoint_before(wildcards):
    """The receipt of what a phase starts from: the uploaded initial checkpoint, or the phase before."""
    before = int(wildcards.phase) - 1
    return (
        f"<results>/{wildcards.run}pretraining/phase_{before}.json"
        if before
        else f"<results>/{wildcards.run}upload.json"
    )


def trace_output():
    """The further output of a phase where conflict is measured."""
    measured = config["pretraining"]["conflict"]["mode"] != "none"
    return {"conflict": "<results>/{run}pretraining/phase_{phase}.conflict.npz"} if measured else {}
