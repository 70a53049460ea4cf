"""The bundled sample: its part in a configuration, and the paths of its data when another directory is current."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from polyticket.core.files import Pathlike

HOME = "resources/sample/"
"""Where the sample's data are, in the workflow's folder."""


def names_data(config: Mapping[str, Any], files: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a configuration has dumps, or one of its files has data of its own; files are read only if need be."""
    data = config.get("data")
    return (isinstance(data, Mapping) and "dumps" in data) or any("data" in file for file in files)


def is_of_sample(config: Mapping[str, Any], sample: Mapping[str, Any]) -> bool:
    """Whether a configuration has no language that the sample's has not."""
    languages = config.get("languages")
    return isinstance(languages, list) and all(code in sample["languages"] for code in languages)


def over_sample_data(config: Mapping[str, Any], sample: Mapping[str, Any], folder: Pathlike) -> dict[str, Any]:
    """A configuration with its data over those of the sample.

    Args:
        config: A configuration that leaves out data, or stands over the whole sample.
        sample: The sample's configuration.
        folder: The workflow's folder; the sample's data are there where the working directory has none.
    """
    given = config.get("data", {})
    if not isinstance(given, Mapping):
        return dict(config)
    data = {**sample["data"], **given}
    if Path(HOME).exists():
        return {**config, "data": data}
    own = {key: f"{folder}/{place}" for key, place in data.items() if str(place).startswith(HOME)}
    return {**config, "data": data | own}


def in_languages(config: Mapping[str, Any], given: Mapping[str, Any], sections: Iterable[str]) -> dict[str, Any]:
    """The sample's configuration with the languages of the command line alone wherever the sample names languages.

    Args:
        config: The sample's configuration with that of the command line over it.
        given: What the command line gives.
        sections: The tables of task → languages; tasks that `given` names there stay as they are.
    """
    languages = given.get("languages")
    if not isinstance(languages, list):
        return dict(config)
    limited = {}
    for section in sections:
        named, tasks = given.get(section, {}), config.get(section, {})
        if isinstance(named, Mapping) and isinstance(tasks, Mapping):
            limited[section] = {
                task: codes if task in named else [code for code in codes if code in languages]
                for task, codes in tasks.items()
            }
    return {**config, **limited}
