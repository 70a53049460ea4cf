"""Where the inputs of rules are: the user's data, and what a run has made before."""

from glob import glob

from polyticket.config import placed


def dumps_of(wildcards):
    """The dump files of a language."""
    pattern = _placed("data", "dumps", wildcards.lang)
    found = sorted(glob(pattern))
    if not found:
        stop(
            PolyticketError(
                f"no dump of {wildcards.lang!r} at {pattern}",
                where="config data.dumps",
                expected="a glob of *.xml or *.xml.bz2 files",
            )
        )
    return found


def split_of(name):
    """An input function: a task's file of one split."""

    def path(wildcards):
        suffix = {"panx": "", "udpos": ".tsv"}[wildcards.task]
        if config["data"][wildcards.task] is None:
            stop(
                PolyticketError(
                    "not set",
                    where=f"config data.{wildcards.task}",
                    expected="the folder of its data",
                )
            )
        return f"{_placed('data', wildcards.task, wildcards.lang)}/{name}{suffix}"

    return path


def vocabulary_path():
    """The vocabulary file or tokenizer that the configuration names, if any."""
    path = config["vocabulary"]["path"]
    return None if path is None else _placed("vocabulary", "path", None)


def ticket_of(wildcards):
    """The run's ticket; a run that multiplies by a constant needs none."""
    linear = settings_of(wildcards.run)["mask_method"] == "linear"
    return "<results>/{run}ticket.safetensors" if linear else []


def checkpoint_before(wildcards):
    """The receipt of what a phase starts from: the uploaded initial checkpoint, or the phase before."""
    before = int(wildcards.phase) - 1
    return (
        f"<results>/{wildcards.run}pretraining/phase_{before}.json"
        if before
        else f"<results>/{wildcards.run}upload.json"
    )


def _placed(section, key, lang):
    try:
        return placed(config[section][key], key=f"{section}.{key}", lang=lang)
    except PolyticketError as error:
        stop(error)
