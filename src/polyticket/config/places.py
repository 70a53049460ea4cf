"""The places that a configuration names, checked before any job runs as far as that needs no file."""

from polyticket.config.completion import LANGUAGE_SECTIONS, Config, path_variables, placed, require_plain
from polyticket.core.errors import PolyticketError
from polyticket.dumps.sources import is_url
from polyticket.tasks.data.files import require_own
from polyticket.tasks.data.names import is_address
from polyticket.tasks.table import TASKS


def check_places(config: Config) -> None:
    """Check every place of a completed configuration.

    Raises:
        PolyticketError: A place has an unknown placeholder or a variable that is not set; a task has no place for a
            language that it is read in; or languages share a data set of Hugging Face.
    """
    for lang in config["languages"]:
        for key, place in {"data.dumps": config["data"]["dumps"], "download.directory": _directory(config)}.items():
            if place and not is_url(placed(place, key=key)):
                plain_place(place, key=key, lang=lang)
        for task in TASKS:
            if lang in _read_languages(config, task):
                task_place(config, task, lang)
    own, subnetworks = config["variants"], config["subnetworks"]
    others = {
        "store": config["store"],
        "vocabulary.path": config["vocabulary"]["path"],
        "finetune_from": config["finetune_from"],
        **{f"variants.{name}.finetune_from": part.get("finetune_from") for name, part in own.items()},
        "subnetworks.model": subnetworks["model"],
        **{f"subnetworks.distances.{kind}": path for kind, path in subnetworks["distances"].items()},
        **{f"subnetworks.mask_sources.{name}": part.get("file") for name, part in subnetworks["mask_sources"].items()},
    }
    for key, place in others.items():
        if place is not None:
            plain_place(place, key=key)
    if parallel := subnetworks["retrieval"]["parallel"]:
        first = config["languages"][0]
        plain_place(parallel.replace("{other}", first), key="subnetworks.retrieval.parallel", lang=first)
    path_variables(config["pathvars"])


def plain_place(place: str, *, key: str, lang: str | None = None) -> str:
    """A place with the language, environment variables and `~` filled in, and no other placeholder in it.

    Raises:
        PolyticketError: See `placed` and `require_plain`.
    """
    found = placed(place, key=key, lang=lang)
    require_plain(found, key=key)
    return found


def task_place(config: Config, task: str, lang: str) -> str | None:
    """The place of a language's examples, a path or a Hugging Face dataset; None for the run's own corpus.

    Raises:
        PolyticketError: There is none, see `plain_place`, or it is a dataset that languages share.
    """
    source, key = config["data"][task], f"data.{task}"
    place = source.get(lang) if isinstance(source, dict) else source
    if place is None and TASKS[task].of_corpus:
        return None
    if place is None:
        expected = "a folder of its data, or hf://owner/name"
        raise PolyticketError(f"no place for {lang!r}", where=f"config {key}", expected=expected)
    found = plain_place(place, key=key, lang=lang)
    if is_shared(config, task) and is_address(found):
        require_own([], lang, where=f"config {key}")
    return found


def is_shared(config: Config, task: str) -> bool:
    """Whether the place of a task's examples is the same for all of several languages."""
    place = config["data"][task]
    return len(config["languages"]) > 1 and isinstance(place, str) and "{lang}" not in place


def _directory(config: Config) -> str | None:
    """Where dumps go, if they are downloaded."""
    dumps = config["data"]["dumps"]
    return config["download"]["directory"] if dumps and is_url(placed(dumps, key="data.dumps")) else None


def _read_languages(config: Config, task: str) -> set[str]:
    """The languages in which the default target reads a task's examples."""
    named = {lang for section in LANGUAGE_SECTIONS for lang in config[section][task]}
    mixes = config["subnetworks"]["mixes"]
    found = config["subnetworks"]["find"].get(task, [])
    return named | {lang for source in found for lang in mixes.get(source, [source])}
