"""The configuration: checked as a whole before anything runs, with defaults filled in."""

import copy
import json
import math
import os
import re
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from jsonschema.validators import extend

from polyticket.conflict.settings import Settings, check_settings
from polyticket.dumps.sources import is_url, url_of
from polyticket.errors import PolyticketError
from polyticket.languages import known_languages, require_languages
from polyticket.model.shape import BertShape
from polyticket.model.sites import prunable_sites
from polyticket.pretraining.sampling import ratios_of
from polyticket.subnetworks.settings import check_subnetworks
from polyticket.tasks.registry import TASKS
from polyticket.tickets.scopes import budget_of, grains_of

Config = dict[str, Any]
ASKING = ("evaluate", "zero_shot", "predict_also")
"""The sections that name languages to score, per task."""

# NaN and infinity are numbers to JSON schema, and NaN is within all bounds
Validator = extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
        "number",
        lambda _, value: (
            isinstance(value, int | float) and value is not True and value is not False and math.isfinite(value)
        ),
    ),
)


def complete(config: Mapping[str, Any], schema: Mapping[str, Any]) -> Config:
    """Check a configuration against its schema and fill in the defaults.

    Args:
        config: As the user gave it.
        schema: A JSON schema whose properties carry defaults.

    Returns:
        A new configuration with every key set.

    Raises:
        PolyticketError: An unknown key, a wrong type or value, an unknown language; one line that names the key, the
            value and what is allowed.
    """
    found = _with_defaults(copy.deepcopy(dict(config)), schema)
    error = best_match(Validator(schema).iter_errors(found))
    if error is not None:
        raise _readable(error)
    _check_languages(found)
    _check_data(found)
    _check_phases(found)
    _check_model(found)
    check_settings(Settings.of(found["pretraining"]["conflict"]), found["model"]["num_hidden_layers"])
    _check_vocabulary(found)
    _check_ticket(found)
    with_data = [task for task, place in found["data"].items() if place or (task in TASKS and TASKS[task].of_corpus)]
    own = not found["subnetworks"]["model"] and not found["finetune_from"]
    masked = own and found["mask_method"] == "linear"
    check_subnetworks(found["subnetworks"], found["languages"], with_data, masked=masked)
    return found


def run_config(config: Config, variant: str | None) -> Config:
    """The configuration of the main run (None) or of a variant: the same with the variant's keys in their place."""
    return config | (config["variants"][variant] if variant else {})


def placed(pattern: str, *, key: str, lang: str | None = None) -> str:
    """A path pattern with `{lang}` and environment variables (`$NAME`, `${NAME}`) filled in.

    Raises:
        PolyticketError: A variable is not set.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in os.environ:
            raise PolyticketError(f"environment variable {name} is not set", where=f"config {key}", expected="a folder")
        return os.environ[name]

    path = re.sub(r"\$(?:\{(\w+)\}|(\w+))", value, pattern)
    return path if lang is None else path.replace("{lang}", lang)


def _with_defaults(value: Any, schema: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        parts, others = schema.get("properties", {}), schema.get("additionalProperties")
        for key, part in parts.items():
            if key not in value and "default" in part:
                value[key] = copy.deepcopy(part["default"])
        unnamed = others if isinstance(others, dict) else {}
        return {key: _with_defaults(one, parts.get(key, unnamed)) for key, one in value.items()}
    if isinstance(value, list):
        return [_with_defaults(one, schema.get("items", {})) for one in value]
    return _typed(value, schema.get("type", "string"))


def _typed(value: Any, kinds: str | list[str]) -> Any:
    """Numbers as they are meant: YAML reads 1e-4 as text, and nested values of `--config` are all text."""
    if isinstance(value, str) and ("string" not in kinds or "integer" in kinds):
        try:
            meant = json.loads(value)
        except ValueError:
            return value
        return _typed(meant, kinds) if "string" not in kinds or isinstance(meant, int | float) else value
    return int(value) if "integer" in kinds and isinstance(value, float) and value.is_integer() else value


def _readable(error: Any) -> PolyticketError:
    key = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        unknown = next(name for name in error.instance if name not in known)
        where = f"config {key}.{unknown}" if key else f"config {unknown}"
        return PolyticketError("unknown key", where=where, expected=f"one of {', '.join(known)}")
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        where = f"config {key}.{missing}" if key else f"config {missing}"
        return PolyticketError(
            "the key is missing", where=where, expected=_description(error.schema["properties"][missing])
        )
    return PolyticketError(f"{error.instance!r} is not allowed", where=f"config {key}", expected=_allowed(error))


def _allowed(error: Any) -> str:
    part = error.schema
    if "enum" in part:
        return " or ".join(str(one) for one in part["enum"])
    kinds = part.get("type", "value")
    words = [" or ".join(kinds) if isinstance(kinds, list) else str(kinds)]
    for key, sign in (("exclusiveMinimum", ">"), ("minimum", "≥"), ("exclusiveMaximum", "<"), ("maximum", "≤")):
        if key in part:
            words.append(f"{sign} {part[key]}")
    for key, text in (("minItems", "at least {} items"), ("uniqueItems", "no item twice"), ("pattern", "like {}")):
        if key in part:
            words.append(text.format(part[key]))
    return " ".join(words[:1]) + (" " + ", ".join(words[1:]) if words[1:] else "")


def _description(part: Mapping[str, Any]) -> str:
    return str(part.get("description", "a value")).split(".")[0]


def _check_languages(config: Config) -> None:
    require_languages(config["languages"], known_languages(config["extra_languages"]))
    asked = [(key, task, code) for key in ASKING for task in config[key] for code in config[key][task]]
    for section, task, code in asked:
        if code not in config["languages"]:
            raise PolyticketError(
                f"language {code!r} is not among `languages`",
                where=f"config {section}.{task}",
                expected=f"some of {', '.join(config['languages'])}",
            )
        if not config["data"][task] and not TASKS[task].of_corpus:
            raise PolyticketError("not set", where=f"config data.{task}", expected=f"the place of {task} data")
    if any(config["zero_shot"].values()) and not config["finetuning"]["keep_models"]:
        raise PolyticketError(
            "false", where="config finetuning.keep_models", expected="true, since `zero_shot` names languages"
        )


def _check_data(config: Config) -> None:
    places = {"data.dumps": config["data"]["dumps"], "download.folder": config["download"]["folder"]}
    if len(config["languages"]) > 1:
        for key, path in places.items():
            if "{lang}" not in path:
                raise PolyticketError(
                    f"{path!r} is the same for all languages", where=f"config {key}", expected="a path with {lang}"
                )
    if is_url(config["data"]["dumps"]):
        pattern = placed(config["data"]["dumps"], key="data.dumps")
        for code in config["languages"]:
            url_of(pattern, code, config["download"]["date"])
    ratios_of(config["pretraining"], config["languages"], [1] * len(config["languages"]))


def _check_phases(config: Config) -> None:
    ends = [phase["until_step"] for phase in config["pretraining"]["phases"]]
    if sorted(set(ends)) != ends:
        raise PolyticketError(
            f"until_step {ends}", where="config pretraining.phases", expected="steps that grow from phase to phase"
        )


def _check_model(config: Config) -> None:
    width, heads = config["model"]["hidden_size"], config["model"]["num_attention_heads"]
    if width % heads:
        raise PolyticketError(
            f"{width} is not divisible by model.num_attention_heads {heads}",
            where="config model.hidden_size",
            expected="whole heads",
        )
    longest = config["model"]["max_position_embeddings"]
    lengths = {f"pretraining.phases.{n}": phase for n, phase in enumerate(config["pretraining"]["phases"])}
    if config["finetune_from"] is None:
        own = {f"finetuning.per_task.{task}": part for task, part in config["finetuning"]["per_task"].items()}
        lengths |= {"finetuning": config["finetuning"], **own}
    for key, part in lengths.items():
        if part.get("max_seq_length", 0) > longest:
            raise PolyticketError(
                f"{part['max_seq_length']} exceeds model.max_position_embeddings",
                where=f"config {key}.max_seq_length",
                expected=f"at most {longest}",
            )


def _check_vocabulary(config: Config) -> None:
    if config["vocabulary"]["source"] != "train" and not config["vocabulary"]["path"]:
        raise PolyticketError(
            "no path is set", where="config vocabulary.path", expected=f"the {config['vocabulary']['source']} to take"
        )


def _check_ticket(config: Config) -> None:
    model, ticket = config["model"], config["ticket"]
    sizes = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    shape = BertShape(vocab_size=1, **{key: model[key] for key in sizes})
    shape = shape.scaled(model["scaled_heads"]) if model["scaled_heads"] else shape
    sites = {site.name: site.size for site in prunable_sites(shape)}
    for run in (run_config(config, variant) for variant in (None, *config["variants"])):
        if run["mask_method"] == "linear":
            grains = grains_of(sites, align=ticket["align"], heads=shape.num_attention_heads, floor=ticket["floor"])
            budget_of(grains, len(config["languages"]), run["remain_ratio"], ticket["scope"])
