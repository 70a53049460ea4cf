"""Checks of the whole configuration before any job runs, and its defaults."""

import json
import math
import os
import re
from collections.abc import Hashable, Mapping
from contextlib import nullcontext, suppress
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from jsonschema.validators import extend

from polyticket.config.renamed import refuse_renamed
from polyticket.config.schema import read_schema
from polyticket.config.values import require_bounded, typed
from polyticket.conflict.settings import Settings, check_settings
from polyticket.core.errors import PolyticketError, at_key
from polyticket.core.languages import known_languages, require_languages
from polyticket.core.logs import log
from polyticket.core.text import Pathlike, read_text
from polyticket.dumps.sources import is_url, url_of
from polyticket.model.mask_methods import checked_method, masks_some
from polyticket.model.shape import BertShape, prunable_sites
from polyticket.pretraining.plan import check_languages_per_step
from polyticket.pretraining.sampling import ratios_of
from polyticket.pruning.settings import check_subnetworks
from polyticket.tasks.table import TASKS, with_inventory
from polyticket.tickets.scopes import budget_of, granularities_of

Config = dict[str, Any]
LANGUAGE_SECTIONS = ("evaluate", "zero_shot", "predict_also")
"""The sections that list languages per task."""
VARIANT_SECTIONS = ("model", "ticket")
"""The sections whose keys a variant may override, besides those of fine-tuning."""
LARGEST = 2**22
"""Bytes of a configuration file."""
PATH_VARIABLES = ("results", "resources", "logs", "benchmarks")
VARIABLE = "<([a-z][a-z0-9_]*)>"
"""The pattern of a path variable of Snakemake in a path."""


def _is_number(_: object, value: Any) -> bool:
    """Whether a value is a finite int64 or float64. JSON Schema allows NaN, infinity and 10^400."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return abs(value) < 2**63 if is_whole else isinstance(value, float) and math.isfinite(value)


Validator = extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"number": _is_number, "integer": lambda _, value: isinstance(value, int) and _is_number(_, value)}
    ),
)


_SPECIAL = ("tag:yaml.org,2002:merge", "tag:yaml.org,2002:value")
"""The tags of the keys `<<` and `=`."""


class _Loader(yaml.SafeLoader):
    """Warns of a key that stands twice in a table; what a merge (`<<`) brings may stand again."""

    def __init__(self, text: str, path: Pathlike) -> None:
        super().__init__(text)
        self.path = path

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """A table as PyYAML composes it."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag in _SPECIAL:
                continue
            name = self.construct_object(key)
            if isinstance(name, Hashable):
                if name in seen:
                    _warn_of_another(key.value, f"{self.path}:{key.start_mark.line + 1}")
                seen.add(name)
        return node


def _warn_of_another(key: str, where: object) -> None:
    log.warning("%s: the key %s is there twice; the last one counts", where, _shown(key))


def read_config(path: Pathlike) -> Any:
    """Read a configuration file, as it is written. The log has a warning of a key that stands twice in a table.

    Raises:
        PolyticketError: The file is missing or is neither YAML nor JSON in UTF-8; names file and line.
    """
    text = read_text(path, expected="YAML in UTF-8", most=LARGEST)
    try:
        return _Loader(text, path).get_single_data()
    except yaml.YAMLError as error:
        with suppress(ValueError, RecursionError):  # JSON may be indented by tabs
            return json.loads(text, object_pairs_hook=lambda pairs: _once(pairs, path))
        mark = getattr(error, "problem_mark", None)
        problem = error.problem if isinstance(error, yaml.MarkedYAMLError) else error
        raise PolyticketError(f"not YAML: {problem}", where=f"{path}:{mark.line + 1}" if mark else path) from None
    except RecursionError:
        raise PolyticketError("not YAML that can be read: too deep", where=path) from None
    except ValueError as error:  # a date that is none, or more digits than Python converts
        raise PolyticketError(f"not YAML that can be read: {str(error).partition(';')[0]}", where=path) from None
    except (AttributeError, LookupError, TypeError):  # PyYAML does not check what follows a tag
        what = "not YAML that can be read: a value that does not fit its tag"
        raise PolyticketError(what, where=path, expected="for example 3 after !!int, or no tag") from None


def _once(pairs: list[tuple[str, Any]], path: Pathlike) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for name, value in pairs:
        if name in table:
            _warn_of_another(name, path)
        table[name] = value
    return table


def complete(config: Any) -> Config:
    """Check a configuration against the schema and fill in the defaults.

    Args:
        config: The configuration as the user wrote it.

    Returns:
        A new configuration with every key set.

    Raises:
        PolyticketError: The configuration is no table, or has an unknown or renamed key, a wrong type or value, or an
            unknown language. The line names the key, the value and what is allowed.
    """
    if not isinstance(config, Mapping):
        raise PolyticketError(f"{_shown(config)} is not a table", where="config", expected="keys and values")
    require_bounded(config)
    refuse_renamed(config)
    schema = read_schema()
    completed: Config = typed(config, schema)
    error = best_match(Validator(schema).iter_errors(completed))
    if error is not None:
        raise _readable(error)
    variants = completed["variants"].values()
    tunings = [completed["finetuning"], *completed["finetuning"]["per_task"].values()]
    for part in (completed, *variants, *tunings, *(own.get("finetuning", {}) for own in variants)):
        if part.get("mask_method") is not None:
            part["mask_method"] = checked_method(part["mask_method"], "config")
    _check_languages(completed)
    _check_data(completed)
    for task, labels in completed["task_data"]["labels"].items():
        with_inventory(TASKS[task], labels)
    _check_phases(completed)
    _check_finetuning(completed)
    _check_masks(completed)
    _check_models(completed, config)
    for variant in (None, *completed["variants"]):
        layers = run_config(completed, variant)["model"]["num_hidden_layers"]
        check_settings(Settings.of(completed["pretraining"]["conflict"]), layers)
    _check_vocabulary(completed)
    _check_ticket(completed)
    with_data = [
        task for task, place in completed["data"].items() if place or (task in TASKS and TASKS[task].of_corpus)
    ]
    own = not completed["subnetworks"]["model"] and not completed["finetune_from"]
    masked = own and masks_some(completed["mask_method"])
    keys = [f"subnetworks.{key}" for key in ("transfer_sparsity", "levels", "step", "of")]
    blamed = _given(config, keys).removeprefix("subnetworks.")
    check_subnetworks(completed["subnetworks"], completed["languages"], with_data, masked=masked, schedule_key=blamed)
    return completed


def run_config(config: Config, variant: str | None) -> Config:
    """The configuration of the main run (None) or of a variant: that of the main run with the variant's overrides."""
    own = config["variants"][variant] if variant else {}
    return config | own | {section: config[section] | own[section] for section in VARIANT_SECTIONS if section in own}


def finetuning_of(config: Config, variant: str | None, task: str) -> Config:
    """The fine-tuning options of a task in a run: the general ones, overridden by the task and then by the variant."""
    own = config["variants"][variant].get("finetuning", {}) if variant else {}
    return config["finetuning"] | config["finetuning"]["per_task"].get(task, {}) | own


def placed(pattern: str, *, key: str, lang: str | None = None) -> str:
    """A path with `{lang}`, environment variables (`$NAME`, `${NAME}`) and a leading `~` or `~user` filled in.

    Raises:
        PolyticketError: A variable is not set, or a user has no home directory.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in os.environ:
            raise PolyticketError(
                f"environment variable {name} is not set", where=f"config {key}", expected="a directory"
            )
        return os.environ[name]

    path = re.sub(r"\$(?:\{(\w+)\}|(\w+))", value, pattern)
    scheme, path = ("file://", path[7:]) if path.startswith("file://~") else ("", path)
    path = os.path.expanduser(path)
    if path.startswith("~"):
        user = path.partition("/")[0]
        raise PolyticketError(
            f"{user} has no home directory", where=f"config {key}", expected="a path, with ./ before ~"
        )
    return scheme + (path if lang is None else path.replace("{lang}", lang))


def path_variables(given: Mapping[str, str]) -> dict[str, str]:
    """Snakemake's path variables, with environment variables and `~` filled in.

    Args:
        given: Name to path, as `pathvars` of the configuration. A path may contain variables, as `<disk>/results`.

    Raises:
        PolyticketError: A path contains an unknown variable or a wildcard, or nothing reads a variable.
    """
    paths = {name: placed(path, key=f"pathvars.{name}") for name, path in given.items()}
    read = set(PATH_VARIABLES)
    for name, path in paths.items():
        where, plain = f"pathvars.{name}", path
        for other in re.findall(VARIABLE, path):
            if other not in (*paths, *PATH_VARIABLES):
                raise PolyticketError(
                    f"no path variable <{other}>", where=f"config {where}", expected="one of pathvars"
                )
            plain = plain.replace(f"<{other}>", "")
            read.add(other)
        require_plain(plain, key=where)
    if unread := [name for name in paths if name not in read]:
        expected = f"one of {', '.join(PATH_VARIABLES)}, or one that another has in it"
        raise PolyticketError("unknown path variable", where=f"config pathvars.{unread[0]}", expected=expected)
    return {name: _as_target(path) for name, path in paths.items()}


def _as_target(path: str) -> str:
    """A path as Snakemake reads targets; what ``..`` behind a variable takes back is not known here."""
    return path.rstrip("/") if "<" in path and ".." in path else os.path.normpath(path)


def require_plain(path: str, *, key: str) -> None:
    """Check that a path has no wildcard (`{}`) or path variable (`<>`) of Snakemake.

    Raises:
        PolyticketError: It has one.
    """
    if match := re.search(rf"\{{[^{{}}]*\}}|{VARIABLE}", path):
        expected = "a path without them, for example by way of a link"
        raise PolyticketError(f"Snakemake reads {match[0]} in {path!r}", where=f"config {key}", expected=expected)


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
    is_word = isinstance(error.instance, bool) and "string" in error.schema.get("type", "string")
    expected = _allowed(error) + (", in quotes" if is_word else "")
    return PolyticketError(
        f"{_shown(error.instance)} is not allowed", where=f"config {key}".rstrip(), expected=expected
    )


def _shown(value: Any, most: int = 120) -> str:
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}…"


def _allowed(error: Any) -> str:
    part = error.schema
    if unit := {"maxItems": "items", "maxProperties": "entries", "maxLength": "characters"}.get(error.validator):
        return f"at most {error.validator_value:,} {unit}"
    if "enum" in part:
        return " or ".join(str(one) for one in part["enum"])
    if "examples" in part:
        return f"{part['type']} like {', '.join(part['examples'])}"
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
    with at_key("extra_languages"):
        known = known_languages(config["extra_languages"])
    require_languages(config["languages"], known)
    _check_tables(config, known)
    named = [(key, task, code) for key in LANGUAGE_SECTIONS for task in config[key] for code in config[key][task]]
    for section, task, code in named:
        if code not in config["languages"]:
            raise PolyticketError(
                f"language {code!r} is not among `languages`",
                where=f"config {section}.{task}",
                expected=f"some of {', '.join(config['languages'])}",
            )
        if not config["data"][task] and not TASKS[task].of_corpus:
            raise PolyticketError("not set", where=f"config data.{task}", expected=f"the path of {task} data")
    if any(config["zero_shot"].values()) and not config["finetuning"]["keep_models"]:
        raise PolyticketError(
            "false", where="config finetuning.keep_models", expected="true, since `zero_shot` names languages"
        )


def _check_finetuning(config: Config) -> None:
    """Check that the overrides of a task are options that the task reads."""
    for task, options in config["finetuning"]["per_task"].items():
        tagging = [name for name, known in TASKS.items() if "tagging" in known.heads.values()]
        if "label_all_tokens" in options and task not in tagging:
            where = f"config finetuning.per_task.{task}.label_all_tokens"
            raise PolyticketError(f"{task} labels no tokens", where=where, expected=f"a task of {', '.join(tagging)}")


def _check_masks(config: Config) -> None:
    """Check that a pretrained model has the mask of `mask_language`."""
    for variant in (None, *config["variants"]):
        run = run_config(config, variant)
        for task in TASKS if run["finetune_from"] is None else ():
            tuning = finetuning_of(config, variant, task)
            language, method = tuning["mask_language"], tuning["mask_method"] or run["mask_method"]
            if language is None:
                continue
            places = [f"variants.{variant}.finetuning", f"finetuning.per_task.{task}", "finetuning"]
            key = f"{_given(config, [f'{place}.mask_language' for place in places])}"
            if not (masks_some(run["mask_method"]) and masks_some(method)):
                expected = "null, where `mask_method` is constant"
                raise PolyticketError(
                    f"{language!r} has no mask that is used", where=f"config {key}", expected=expected
                )
            if language not in config["languages"]:
                expected = f"one of {', '.join(config['languages'])}, or null"
                raise PolyticketError(f"language {language!r} has no mask", where=f"config {key}", expected=expected)


def _check_tables(config: Config, known: Mapping[str, object]) -> None:
    """Check that tables by language have no unknown language. Languages that the run does not have are allowed."""
    tables = {"extraction.ranges": config["extraction"]["ranges"]}
    tables |= {f"data.{task}": config["data"][task] for task in TASKS}
    for key, table in tables.items():
        for code in table if isinstance(table, Mapping) else ():
            if code not in known and code not in config["languages"]:
                expected = f"some of {', '.join(config['languages'])}"
                raise PolyticketError(f"unknown language {code!r}", where=f"config {key}", expected=expected)


def _check_data(config: Config) -> None:
    dumps = config["data"]["dumps"]
    if len(config["languages"]) > 1 and dumps is not None:
        for key, path in {"data.dumps": dumps, "download.directory": config["download"]["directory"]}.items():
            if "{lang}" not in path:
                raise PolyticketError(
                    f"{path!r} is the same for all languages", where=f"config {key}", expected="a path with {lang}"
                )
    if dumps is not None and is_url(dumps):
        pattern, date = placed(dumps, key="data.dumps"), config["download"]["date"]
        with at_key("data.dumps"):
            url_of(pattern.replace("{date}", "20261101"), config["languages"][0], None)
        with at_key("download.date"):
            for code in config["languages"]:
                url_of(pattern, code, date)
    ratios = config["pretraining"]["sampling_ratios"]
    if isinstance(ratios, str):
        ratios = placed(ratios, key="pretraining.sampling_ratios")
    options = config["pretraining"] | {"sampling_ratios": ratios}
    with at_key("pretraining.sampling_ratios"):
        ratios_of(options, config["languages"], [1] * len(config["languages"]))


def _check_phases(config: Config) -> None:
    ends = [phase["until_step"] for phase in config["pretraining"]["phases"]]
    if sorted(set(ends)) != ends:
        raise PolyticketError(
            f"until_step {ends}", where="config pretraining.phases", expected="steps that grow from phase to phase"
        )
    options = config["pretraining"]
    check_languages_per_step(options["batch_size"], options["languages_per_step"], options["accumulation"])


def _check_models(config: Config, given: Mapping[str, Any]) -> None:
    """Check the model of the main run and of each variant that overrides it."""
    _check_model(config["model"], "model", _lengths(config, ""), given)
    for name, own in config["variants"].items():
        if "model" in own:
            at = f"variants.{name}."
            _check_model(run_config(config, name)["model"], f"{at}model", _lengths(config, at), given)


def _check_model(model: Config, at: str, lengths: Mapping[str, int], given: Mapping[str, Any]) -> None:
    width, heads = model["hidden_size"], model["num_attention_heads"]
    if width % heads:
        blamed = _given(given, [f"{at}.hidden_size", f"{at}.num_attention_heads"])
        mistake = f"{width} is not divisible by {at}.num_attention_heads {heads}"
        if blamed != f"{at}.hidden_size":
            mistake = f"{at}.hidden_size {width} is not divisible by {heads}"
        raise PolyticketError(mistake, where=f"config {blamed}", expected="whole heads")
    longest = model["max_position_embeddings"]
    for key, length in lengths.items():
        if length > longest:
            keys = [key, f"{at}.max_position_embeddings"]
            blamed = _given(given, keys if at == "model" else keys[::-1])
            mistake, expected = f"{length} exceeds {at}.max_position_embeddings", f"at most {longest}"
            if blamed != key:
                mistake, expected = f"{longest} is less than {key} {length}", f"at least {length}, or {key} {expected}"
            raise PolyticketError(mistake, where=f"config {blamed}", expected=expected)


def _lengths(config: Config, model: str) -> dict[str, int]:
    """Key to sequence length of all that the model of the main run (empty) or of `variants.<name>.` reads."""
    sections = {f"pretraining.phases.{n}": phase for n, phase in enumerate(config["pretraining"]["phases"])}
    runs = {"": config} | {f"variants.{name}.": run_config(config, name) for name in config["variants"]}
    models = {"": ""} | {
        f"variants.{name}.": f"variants.{name}." * ("model" in own) for name, own in config["variants"].items()
    }
    own = [prefix for prefix, run in runs.items() if run["finetune_from"] is None and models[prefix] == model]
    if own:
        tasks = {f"finetuning.per_task.{task}": part for task, part in config["finetuning"]["per_task"].items()}
        variants = {f"{prefix}finetuning": config["variants"][prefix.split(".")[1]].get("finetuning", {})
                    for prefix in own if prefix}  # fmt: skip
        sections |= {"finetuning": config["finetuning"], **tasks, **variants}
    return {
        f"{key}.max_seq_length": part["max_seq_length"] for key, part in sections.items() if "max_seq_length" in part
    }


def _given(config: Mapping[str, Any], keys: list[str]) -> str:
    """The first of the keys that the user wrote, or else the first key."""
    return next((key for key in keys if _stands(config, key.split("."))), keys[0])


def _stands(value: Any, parts: list[str]) -> bool:
    if not parts:
        return True
    if isinstance(value, list):
        return int(parts[0]) < len(value)
    return isinstance(value, Mapping) and parts[0] in value and _stands(value[parts[0]], parts[1:])


def _check_vocabulary(config: Config) -> None:
    if config["vocabulary"]["source"] != "train" and not config["vocabulary"]["path"]:
        raise PolyticketError(
            "no path is set", where="config vocabulary.path", expected=f"the {config['vocabulary']['source']} to take"
        )
    if config["vocabulary"]["source"] == "train" and config["vocabulary"]["path"]:
        raise PolyticketError(
            "'train' does not read vocabulary.path", where="config vocabulary.source", expected="file or tokenizer"
        )


def _check_ticket(config: Config) -> None:
    sizes = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    for variant in (None, *config["variants"]):
        run = run_config(config, variant)
        model, ticket, own = run["model"], run["ticket"], config["variants"].get(variant, {})
        with at_key(f"variants.{variant}.model") if "model" in own else nullcontext():
            shape = BertShape(vocab_size=1, **{key: model[key] for key in sizes})
            shape = shape.scaled(model["scaled_heads"]) if model["scaled_heads"] else shape
        sites = {site.name: site.size for site in prunable_sites(shape)}
        if masks_some(run["mask_method"]):
            with at_key(f"variants.{variant}.ticket" if "ticket" in own else "ticket"):
                granularities = granularities_of(
                    sites, align=ticket["align"], heads=shape.num_attention_heads, floor=ticket["floor"]
                )
                budget_of(granularities, len(config["languages"]), run["remain_ratio"], ticket["scope"])
