"""The configuration: defaults, and one clear line for everything that is wrong."""

import copy
import datetime
import json
import math
import os
import pwd
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from polyticket.config.completion import (
    LANGUAGE_SECTIONS,
    complete,
    finetuning_of,
    path_variables,
    placed,
    read_config,
    require_plain,
    run_config,
)
from polyticket.config.sample import is_of_sample, names_data, over_sample_data
from polyticket.config.schema import config_table, read_schema
from polyticket.core.errors import PolyticketError
from polyticket.tasks.table import TASKS
from tests.support.growth import cpu_seconds

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = read_schema()
PRESETS = sorted((ROOT / "config/presets").glob("*.yaml"))
LEAST = {"languages": ["fr", "sw"], "data": {"dumps": "dumps/{lang}/*.bz2", "panx": "panx/{lang}"}}
PHASE = {"max_seq_length": 128, "max_predictions": 20, "until_step": 10}
SOURCE = "vocabulary.source"


def with_values(values: dict) -> dict:
    """The least configuration with values at dotted keys."""
    config = copy.deepcopy(LEAST)
    for key, value in values.items():
        *parts, last = key.split(".")
        place = config
        for part in parts:
            place = place.setdefault(part, {})
        place[last] = value
    return config


def completed(**values: object) -> dict:
    return complete(with_values(values))


def properties(schema: dict, at: str = "") -> Iterator[tuple[str, dict, bool]]:
    """Dotted key, schema and whether it must be given, of every key that a user can set."""
    for name, part in schema.get("properties", {}).items():
        yield f"{at}{name}", part, name in schema.get("required", ())
        yield from properties(part, f"{at}{name}.")


def test_defaults_are_filled_in_at_all_depths():
    config = complete(LEAST)
    assert {name: config[name] for name in ("seed", "remain_ratio", "mask_method", "saliency", "variants")} == {
        "seed": 42,
        "remain_ratio": 0.75,
        "mask_method": "linear",
        "saliency": "snip",
        "variants": {},
    }
    assert config["data"] == {**LEAST["data"], "udpos": None, "xnli": None, "mlm": None}
    assert config["evaluate"] == {"panx": [], "udpos": [], "xnli": [], "mlm": []}
    assert config["vocabulary"]["size"] == 119547
    assert config["pretraining"]["phases"] == [
        {"max_seq_length": 128, "max_predictions": 20, "until_step": 900000},
        {"max_seq_length": 512, "max_predictions": 80, "until_step": 1000000},
    ]
    assert config["threads"] == {"saliency": 1, "pretraining": 2, "finetuning": 2}


def test_what_is_given_is_kept_beside_the_defaults():
    config = completed(**{"finetuning.learning_rate": 0.5, "evaluate.panx": ["sw"]})
    assert (config["finetuning"]["learning_rate"], config["finetuning"]["epochs"]) == (0.5, 2)
    assert config["evaluate"] == {"panx": ["sw"], "udpos": [], "xnli": [], "mlm": []}
    assert complete(config) == config


def test_neither_what_is_given_nor_the_schema_is_changed():
    given, schema = copy.deepcopy(LEAST), copy.deepcopy(SCHEMA)
    complete(given)["pretraining"]["phases"].append(1)
    complete(given)["evaluate"]["panx"].append("fr")
    assert (given, SCHEMA) == (LEAST, schema)


def test_a_number_among_words_may_come_as_text():
    for given, meant in (("8", 8), (8.0, 8), ("heads", "heads"), (1, 1)):
        found = completed(**{"ticket.align": given, "model.intermediate_size": 3072})["ticket"]["align"]
        assert (found, type(found)) == (meant, type(meant))


def test_numbers_that_yaml_or_the_command_line_give_as_text_are_numbers():
    config = completed(
        **{
            "finetuning.learning_rate": "1e-4",
            "finetuning.epochs": "3",
            "records.shards": 4.0,
            "pretraining.jit": "false",
            "pretraining.phases": [{"max_seq_length": "16", "max_predictions": "2", "until_step": 1e3}],
            "model.scaled_heads": "null",
            "variants": {"half": {"remain_ratio": "0.5"}},
        }
    )
    assert config["finetuning"]["learning_rate"] == 1e-4
    assert repr((config["finetuning"]["epochs"], config["records"]["shards"])) == "(3, 4)"
    assert (config["pretraining"]["jit"], config["model"]["scaled_heads"]) == (False, None)
    assert repr(config["pretraining"]["phases"][0]["until_step"]) == "1000"
    assert config["variants"] == {"half": {"remain_ratio": 0.5}}


@pytest.mark.parametrize(
    ("key", "texts", "meant"),
    [
        ("finetune_from", ["null", "Null", "None"], None),
        ("finetune_from", ["models/null", "~"], "same"),
        ("variants.a.finetune_from", ["null", "None"], None),
        ("data.mlm", ["null", "None"], None),
        ("finetuning.patience", ["null", "~", None], None),
        ("pretraining.conflict.layers", ["null"], None),
        ("pretraining.sampling_ratios", ["null"], None),
        ("subnetworks.transfer_sparsity", ["null"], None),
        ("prune_model", ["True", "true", "yes", "on", True], True),
        ("variants.a.prune_model", ["False", "false", "no", "OFF"], False),
        ("task_data.drop_duplicates", ["true"], True),
        ("finetuning.per_task.mlm.epochs", ["3", 3.0, "3.0"], 3),
        ("task_data.max_examples.dev", ["1000"], 1000),
        ("model.layer_norm_eps", ["1e-5", "1E-5", 1e-5], 1e-5),
        ("finetuning.seeds", [["1", "2"], "[1, 2]"], [1, 2]),
        ("ticket.align", ["heads"], "heads"),
        ("ticket.align", ["8", 8.0], 8),
        ("download.date", [20260101, "20260101"], "20260101"),
        ("download.date", [datetime.date(2026, 1, 1)], "2026-01-01"),
        ("store", ["null", "true"], "same"),
        ("subnetworks.model", [2026], "2026"),
        ("pathvars.results", ["/disk/results"], "same"),
    ],
)
def test_a_value_is_read_as_its_key_means_it_however_it_is_written(key, texts, meant):
    for text in texts:
        found = completed(**{key: text})
        for part in key.split("."):
            found = found[part]
        assert repr(found) == repr(text if meant == "same" else meant)


def test_norwegian_is_a_language_wherever_languages_stand():
    given = yaml.safe_load("""
        languages: [en, no, fr]
        data: {dumps: "wiki/{lang}", panx: {no: places/no, en: places/en, fr: places/fr}}
        extra_languages: {no: {scripts: [Latin]}}
        evaluate: {panx: [no]}
        zero_shot: {panx: [en, no]}
        predict_also: {panx: [no]}
        extraction: {ranges: {no: 3}}
        pretraining: {sampling_ratios: {no: 1, en: 2, fr: 1}}
        mask_method: constant
        subnetworks: {find: {panx: [no, both]}, mixes: {both: [no, fr]}}
    """)
    config = complete(given)
    assert (config["languages"], config["evaluate"]["panx"]) == (["en", "no", "fr"], ["no"])
    assert (config["zero_shot"]["panx"], config["predict_also"]["panx"]) == (["en", "no"], ["no"])
    assert (config["data"]["panx"]["no"], config["extraction"]["ranges"]) == ("places/no", {"no": 3})
    assert (list(config["extra_languages"]), config["pretraining"]["sampling_ratios"]["no"]) == (["no"], 1)
    assert (config["subnetworks"]["find"]["panx"], config["subnetworks"]["mixes"]) == (
        ["no", "both"],
        {"both": ["no", "fr"]},
    )


def test_keys_that_yaml_reads_as_numbers_or_dates_are_text():
    given = yaml.safe_load("{85: {remain_ratio: 0.85}, 2026-01-01: {saliency: random}, -1: {}}")
    variants = completed(variants=given)["variants"]
    assert variants == {"85": {"remain_ratio": 0.85}, "2026-01-01": {"saliency": "random"}, "-1": {}}


def test_a_block_of_text_has_no_line_end():
    given = yaml.safe_load('store: |\n  file://a b\ndata:\n  panx: >\n    panx/{lang}\nvariants: {"a\\n": {}}')
    found = complete({**LEAST, **given})
    assert (found["store"], found["data"]["panx"], list(found["variants"])) == ("file://a b", "panx/{lang}", ["a"])


def test_a_table_may_have_languages_that_the_run_has_not():
    given = {"panx": {"fr": "a", "no": "b"}, "dumps": "x/{lang}"}
    assert completed(data=given)["data"]["panx"] == given["panx"]
    assert completed(**{"extraction.ranges": {"de": 2}})["extraction"]["ranges"] == {"de": 2}


def test_path_variables_are_filled_in_and_may_have_others_in_them(monkeypatch):
    monkeypatch.setenv("HOME", "/disk/me")
    monkeypatch.setenv("DISK", "/disk")
    given = {"results": "<mine>/résultats [1]/", "mine": "$DISK/a b", "logs": "~/logs", "benchmarks": "<results>/times"}
    assert path_variables(given) == {
        "results": "<mine>/résultats [1]",
        "mine": "/disk/a b",
        "logs": "/disk/me/logs",
        "benchmarks": "<results>/times",
    }
    assert path_variables({"results": "/"}) == {"results": "/"}


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"result": "x"}, "config pathvars.result: unknown path variable; expected one of results, resources, logs"),
        ({"results": "<disk>/x"}, "config pathvars.results: no path variable <disk>; expected one of pathvars"),
        ({"logs": "a{lang}"}, "config pathvars.logs: Snakemake reads {lang} in 'a{lang}'; expected a path without"),
        ({"results": "$NO_SUCH/x"}, "config pathvars.results: environment variable NO_SUCH is not set"),
    ],
)
def test_path_variables_that_nothing_reads_or_nobody_sets_are_told(given, line):
    with pytest.raises(PolyticketError) as caught:
        path_variables(given)
    assert str(caught.value).startswith(line)


def test_path_variables_are_written_as_snakemake_reads_targets():
    assert path_variables({"results": "./R//x/", "logs": "a/../L"}) == {"results": "R/x", "logs": "L"}
    behind = {"disk": "/mnt/a", "results": "<disk>/../R/"}
    assert path_variables(behind) == {"disk": "/mnt/a", "results": "<disk>/../R"}


MEANT_AS_TEXT = {
    "a variant that YAML reads as false": ("variants: {no: {}}", "config variants: the key False is not text"),
    "a variant that YAML reads as true": ("variants: {on: {}}", "config variants: the key True is not text"),
    "a variant without a name": ("variants: {null: {}}", "config variants: the key None is not text"),
    "a variant with a point": ("variants: {0.5: {}}", "config variants: '0.5' is not allowed; expected value like ^"),
    "the same variant twice": ("variants: {85: {}, '85': {}}", "config variants.85: the key is there twice"),
    "a section without a name": ("~: 1", "config: the key None is not text; expected text, in quotes"),
    "true as a language": ("languages: [fr, on]", "config languages.1: True is not allowed; expected string, in"),
    "false for a text": ("store: off", "config store: False is not allowed; expected string like file://directory"),
    "nothing in a section": ("pretraining:", "config pretraining: None is not allowed; expected object"),
    "nothing in data": ("data:", "config data: None is not allowed; expected object"),
    "a list for a section": ("model: [1]", "config model: [1] is not allowed; expected object"),
    "a table for a list": ("languages: {fr: 1}", "config languages: {'fr': 1} is not allowed; expected array"),
    "a table for a number": ("seed: {a: 1}", "config seed: {'a': 1} is not allowed; expected integer"),
    "a list in a list": ("evaluate: {panx: [[fr]]}", "config evaluate.panx.0: ['fr'] is not allowed; expected string"),
    "null in a list": ("finetuning: {seeds: [null]}", "config finetuning.seeds.0: None is not allowed; expected integ"),
    "nothing in a variant": ("variants: {a: }", "config variants.a: None is not allowed; expected object"),
    "a number that is too large": (f"seed: {10**400}", "config seed: 1000000"),
    "a path of nothing": ("data: {panx: ''}", "config data.panx: '' is not allowed; expected text with letters"),
    "a path of blanks": ("vocabulary: {path: '  '}", "config vocabulary.path: ' ' is not allowed; expected text"),
    "a tab in a path": ('store: "a\\tb"', "config store: 'a\\tb' has '\\t' in it; expected text in one line"),
    "two lines": (
        "data:\n  panx: |\n    a\n    b\n",
        "config data.panx: 'a\\nb' has '\\n' in it; expected text in one line",
    ),
    "a variable of Snakemake without text": ("pathvars: {results: }", "config pathvars.results: None is not allowed"),
}


@pytest.mark.parametrize(("text", "line"), MEANT_AS_TEXT.values(), ids=MEANT_AS_TEXT.keys())
def test_what_is_no_text_or_table_is_told_in_one_line(text, line):
    with pytest.raises(PolyticketError) as caught:
        complete({**LEAST, **yaml.safe_load(text)})
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("config", [None, [], ["fr"], "fr", 1])
def test_a_configuration_that_is_no_table_is_told(config):
    with pytest.raises(PolyticketError, match=r"^config: .* is not a table; expected keys and values$"):
        complete(config)


SHAPES = [None, {"a": None}, [[1]], "{x}", {None: 1}, -1, True, {1: 2}, [], 0.5, {"panx": "fr"}, [None], "", {}]
KEYS = [key for key, *_ in properties(SCHEMA)]


@pytest.mark.parametrize("shape", SHAPES, ids=repr)
def test_every_key_takes_or_refuses_a_shape_in_one_line(shape):
    for key in KEYS[SHAPES.index(shape) % 4 :: 4]:
        *parts, last = key.split(".")
        config = copy.deepcopy(LEAST)
        place = config
        for part in parts:
            place = place.setdefault(part, {})
        place[last] = shape
        assert "\n" not in told(config)


def told(config: object) -> str:
    try:
        complete(config)
    except PolyticketError as error:
        return str(error)
    return ""


WRITTEN = {
    "a shorter model": (
        {"model.max_position_embeddings": 128},
        "config model.max_position_embeddings: 128 is less than pretraining.phases.1.max_seq_length 512; expected at",
    ),
    "other heads": (
        {"model.num_attention_heads": 5},
        "config model.num_attention_heads: model.hidden_size 768 is not divisible by 5; expected whole heads",
    ),
    "fewer levels": (
        {"subnetworks.levels": 4},
        "config subnetworks.levels: 50 is no level; expected transfer_sparsity one of 10, 20, 30, or null",
    ),
    "other steps": ({"subnetworks.step": 0.04}, "config subnetworks.step: 50 is no level"),
    "a variant's length": (
        {"variants": {"a": {"finetuning": {"max_seq_length": 600}}}},
        "config variants.a.finetuning.max_seq_length: 600 exceeds model.max_position_embeddings; expected at most 512",
    ),
}


@pytest.mark.parametrize(("values", "line"), WRITTEN.values(), ids=WRITTEN.keys())
def test_an_error_names_a_key_that_its_author_wrote(values, line):
    with pytest.raises(PolyticketError) as caught:
        complete(with_values(values))
    assert str(caught.value).startswith(line)


WRONG = {
    "a control's old name": (
        {"subnetworks.controls": ["random", "oneshot"]},
        "config subnetworks.controls: unknown 'oneshot'; expected finetuned, its new name",
    ),
    "a control that there is not": (
        {"subnetworks.controls": ["lottery"]},
        "config subnetworks.controls: unknown 'lottery'; expected some of magnitude, finetuned, random, component, re",
    ),
    "unknown key": (
        {"remain_ration": 1},
        "config remain_ration: unknown key; expected one of languages, extra_languages",
    ),
    "unknown nested key": (
        {"pretraining.batchsize": 1},
        "config pretraining.batchsize: unknown key; expected one of phases, batch_size, languages_per_step",
    ),
    "unknown key of a phase": (
        {"pretraining.phases": [{**PHASE, "x": 1}]},
        "config pretraining.phases.0.x: unknown key; expected one of max_seq_length, max_predictions, until_step",
    ),
    "one dump for all": (
        {"data.dumps": "dumps/all.xml"},
        "config data.dumps: 'dumps/all.xml' is the same for all languages; expected a path with {lang}",
    ),
    "a ratio missing": (
        {"pretraining.sampling_ratios": {"fr": 1}},
        "config pretraining.sampling_ratios: no ratio for sw; expected every language",
    ),
    "a bucket that Amazon disallows": (
        {"store": "s3://Bad_Bucket/x"},
        "config store: 's3://Bad_Bucket/x' is not allowed",
    ),
    "a bucket that Google disallows": ({"store": "gs://Bad Bucket"}, "config store: 'gs://Bad Bucket' is not allowed"),
    "an unknown store": ({"store": "ftp://bucket"}, "config store: 'ftp://bucket' is not allowed; expected string"),
    "a language to score twice": ({"evaluate.panx": ["fr", "fr"]}, "config evaluate.panx: ['fr', 'fr'] is not allowed"),
    "unknown task": ({"evaluate.ner": ["fr"]}, "config evaluate.ner: unknown key; expected one of panx, udpos, xnli"),
    "text for a number": ({"seed": "x"}, "config seed: 'x' is not allowed; expected integer ≥ 0, ≤ 2147483647"),
    "truth for a number": ({"seed": True}, "config seed: True is not allowed; expected integer ≥ 0, ≤ 2147483647"),
    "fraction for an integer": (
        {"records.shards": 1.5},
        "config records.shards: 1.5 is not allowed; expected integer ≥ 1",
    ),
    "value for a section": ({"model": None}, "config model: None is not allowed; expected object"),
    "value for a list": (
        {"languages": "fr"},
        "config languages: 'fr' is not allowed; expected array at least 1 items, no item twice",
    ),
    "no language": (
        {"languages": []},
        "config languages: [] is not allowed; expected array at least 1 items, no item twice",
    ),
    "a language twice": (
        {"languages": ["fr", "sw", "fr"]},
        "config languages: ['fr', 'sw', 'fr'] is not allowed; expected array at least 1 items, no item twice",
    ),
    "unknown language": (
        {"languages": ["fr", "xx"]},
        "config languages: unknown language 'xx'; expected an entry 'xx' in extra_languages",
    ),
    "a URL without its date": (
        {"data.dumps": "https://127.0.0.1/{lang}wiki-{date}.xml.bz2"},
        "config download.date: https://127.0.0.1/{lang}wiki-{date}.xml.bz2: no date is given; expected YYYYMMDD",
    ),
    "an unknown script": (
        {"extra_languages": {"xx": {"scripts": ["Klingon"]}}},
        "config extra_languages.xx.scripts: unknown script 'Klingon'; expected one of Arabic",
    ),
    "an unknown key of an added language": (
        {"extra_languages": {"xx": {"scripts": ["Latin"], "label": "X"}}},
        "config extra_languages.xx.label: unknown key; expected one of scripts, name",
    ),
    "an empty name": (
        {"extra_languages": {"xx": {"scripts": ["Latin"], "name": ""}}},
        "config extra_languages.xx.name: '' is not allowed; expected text with letters",
    ),
    "a name that does not begin with a letter": (
        {"extra_languages": {"xx": {"scripts": ["Latin"], "name": " X"}}},
        "config extra_languages.xx.name: ' X'; expected a name, for example Latgalian",
    ),
    "a name that YAML reads as false": (
        {"extra_languages": {"xx": {"scripts": ["Latin"], "name": False}}},
        "config extra_languages.xx.name: False is not allowed; expected string, in quotes",
    ),
    "byte ranges of an unknown language": (
        {"extraction.ranges": {"fr": 2, "fra": 3}},
        "config extraction.ranges: unknown language 'fra'; expected some of fr, sw",
    ),
    "data of an unknown language": (
        {"data.panx": {"fr": "a", "swa": "b"}},
        "config data.panx: unknown language 'swa'; expected some of fr, sw",
    ),
    "a vocabulary that would not be read": (
        {"vocabulary.path": "vocab.txt"},
        "config vocabulary.source: 'train' does not read vocabulary.path; expected file or tokenizer",
    ),
    "a table of ratios that is not there": (
        {"pretraining.sampling_ratios": "none.csv"},
        "config pretraining.sampling_ratios: none.csv: no such file",
    ),
    "a URL of another kind": (
        {"data.dumps": "ftp://127.0.0.1/{lang}.xml.bz2"},
        "config data.dumps: ftp://127.0.0.1/{lang}.xml.bz2: unknown scheme ftp; expected a URL",
    ),
    "two ways of drawing": (
        {"pretraining.sampling_ratios": {"fr": 1, "sw": 2}, "pretraining.sampling_temperature": 3},
        "config pretraining: sampling_temperature is 3 beside sampling_ratios; expected one of the two",
    ),
    "a floor above the budget": (
        {"ticket.floor": 0.9},
        "config ticket.floor: ",
    ),
    "heads that are not": ({"ticket.align": "head"}, "config ticket.align: 'head' is not allowed; expected 1 or"),
    "blocks that do not fit": ({"ticket.align": 64, "model.intermediate_size": 96}, "config ticket.align: "),
    "ratio of zero": ({"remain_ratio": 0}, "config remain_ratio: 0 is not allowed; expected number > 0, ≤ 1"),
    "ratio above one": ({"remain_ratio": 1.5}, "config remain_ratio: 1.5 is not allowed; expected number > 0, ≤ 1"),
    "ratio as a word": ({"remain_ratio": "abc"}, "config remain_ratio: 'abc' is not allowed; expected number > 0, ≤ 1"),
    "ratio not a number": ({"remain_ratio": math.nan}, "config remain_ratio: nan is not allowed; expected number > 0"),
    "infinite rate": (
        {"finetuning.learning_rate": "Infinity"},
        "config finetuning.learning_rate: inf is not allowed; expected number > 0",
    ),
    "mask method": ({"mask_method": "foo"}, "config mask_method: 'foo' is not allowed; expected linear or constant"),
    "mask method of a site": (
        {"mask_method": {"pool": "off"}},
        "config mask_method.pool: 'off' is not allowed; expected linear or constant",
    ),
    "mask of a language that is not there": (
        {"finetuning": {"per_task": {"panx": {"mask_language": "de"}}}},
        "config finetuning.per_task.panx.mask_language: language 'de' has no mask; expected one of",
    ),
    "mask of a language where none is used": (
        {"variants": {"a": {"mask_method": "constant"}}, "finetuning": {"mask_language": "fr"}},
        "config finetuning.mask_language: 'fr' has no mask that is used; expected null, where `mask_method` is const",
    ),
    "site": (
        {"variants": {"a": {"mask_method": {"output": "constant"}}}},
        "config variants.a.mask_method: 'output' is not allowed; expected attention or value or intermediate or pool",
    ),
    "ratio of a variant": (
        {"variants": {"a": {"remain_ratio": 2}}},
        "config variants.a.remain_ratio: 2 is not allowed; expected number > 0, ≤ 1",
    ),
    "key of a variant": (
        {"variants": {"a": {"seed": 2}}},
        "config variants.a.seed: unknown key; expected one of mask_method, remain_ratio, saliency",
    ),
    "name of a variant": (
        {"variants": {"a/b": {}}},
        "config variants: 'a/b' is not allowed; expected value like ^",
    ),
    "a variant called as the main run is": (
        {"variants": {"main": {}}},
        "config variants: 'main' is not allowed; expected value like ^",
    ),
    "phases that do not grow": (
        {"pretraining.phases": [PHASE, PHASE]},
        "config pretraining.phases: until_step [10, 10]; expected steps that grow from phase to phase",
    ),
    "phases in the wrong order": (
        {"pretraining.phases": [PHASE, {**PHASE, "until_step": 5}]},
        "config pretraining.phases: until_step [10, 5]; expected steps that grow from phase to phase",
    ),
    "a phase without its end": (
        {"pretraining.phases": [{"max_seq_length": 8, "max_predictions": 1}]},
        "config pretraining.phases.0.until_step: the key is missing; expected ",
    ),
    "a phase longer than the model": (
        {"pretraining.phases": [{**PHASE, "max_seq_length": 513}]},
        "config pretraining.phases.0.max_seq_length: 513 exceeds model.max_position_embeddings; expected at most 512",
    ),
    "fine-tuning longer than the model": (
        {"finetuning.max_seq_length": 513},
        "config finetuning.max_seq_length: 513 exceeds model.max_position_embeddings; expected at most 512",
    ),
    "labels on all tokens of a task without tags": (
        {"finetuning.per_task": {"xnli": {"label_all_tokens": True}}},
        "config finetuning.per_task.xnli.label_all_tokens: xnli labels no tokens; expected a task of panx, udpos",
    ),
    "languages that do not divide a batch": (
        {"pretraining": {"batch_size": 32, "languages_per_step": 5}},
        "config pretraining.languages_per_step: 5; expected a divisor of pretraining.batch_size 32",
    ),
    "micro-batches that do not divide a part": (
        {"pretraining": {"batch_size": 32, "languages_per_step": 8, "accumulation": 8}},
        "config pretraining.batch_size: 32 is not divisible by 8 languages_per_step × 8 accumulation; expected a "
        "multiple of 64",
    ),
    "half a head": (
        {"model.hidden_size": 770},
        "config model.hidden_size: 770 is not divisible by model.num_attention_heads 12; expected whole heads",
    ),
    "no vocabulary file": (
        {SOURCE: "file"},
        "config vocabulary.path: no path is set; expected the file to take",
    ),
    "no tokenizer": (
        {SOURCE: "tokenizer"},
        "config vocabulary.path: no path is set; expected the tokenizer to take",
    ),
    "evaluation of another language": (
        {"evaluate.panx": ["de"]},
        "config evaluate.panx: language 'de' is not among `languages`; expected some of fr, sw",
    ),
    "evaluation without data": (
        {"evaluate.udpos": ["fr"]},
        "config data.udpos: not set; expected the path of udpos data",
    ),
}


@pytest.mark.parametrize(("values", "line"), WRONG.values(), ids=WRONG.keys())
def test_a_mistake_is_one_line_that_names_key_value_and_what_is_allowed(values, line):
    with pytest.raises(PolyticketError) as caught:
        complete(with_values(values))
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


def test_the_one_key_that_must_be_given_is_named():
    with pytest.raises(PolyticketError, match=r"^config languages: the key is missing; expected Wikipedia codes of"):
        complete({"data": LEAST["data"]})
    assert complete({"languages": ["fr"]})["data"] == dict.fromkeys(("dumps", *TASKS))


def test_a_variant_differs_in_its_own_keys_alone():
    config = completed(variants={"naive": {"mask_method": "constant"}, "same": {}}, remain_ratio=0.5)
    assert run_config(config, None) == run_config(config, "same") == config
    naive = run_config(config, "naive")
    assert (naive.pop("mask_method"), config["mask_method"]) == ("constant", "linear")
    assert naive.items() <= config.items()


def test_mask_methods_by_site_are_completed():
    whole = {"attention": "linear", "value": "linear", "intermediate": "linear", "pool": "constant"}
    config = completed(
        mask_method={"pool": "constant"}, variants={"a": {"mask_method": {}}, "b": {"prune_model": True}}
    )
    assert config["mask_method"] == whole
    assert [run_config(config, name)["mask_method"] for name in ("a", "b")] == ["linear", whole]
    tuning = {"mask_method": {"pool": "constant"}, "mask_language": "fr"}
    config = completed(variants={"a": {"finetuning": tuning}}, finetuning={"per_task": {"xnli": {"epochs": 7}}})
    found = finetuning_of(config, "a", "xnli")
    assert (found["mask_method"], found["mask_language"], found["epochs"]) == (whole, "fr", 7)
    assert finetuning_of(config, None, "xnli")["mask_method"] is None
    assert complete(config) == config


def test_places_hold_the_language_and_environment_variables(monkeypatch):
    monkeypatch.setenv("SOME_DATA", "/data")
    assert placed("$SOME_DATA/{lang}/${SOME_DATA}x-{lang}", key="data.panx", lang="fr") == "/data/fr//datax-fr"
    assert placed("a/{lang}", key="vocabulary.path") == "a/{lang}"
    monkeypatch.setenv("HOME", "/mine")
    monkeypatch.setenv("MINE", "~/data")
    assert placed("~/{lang}/~", key="data.panx", lang="fr") == "/mine/fr/~"
    assert placed("~", key="finetune_from") == "/mine"
    assert placed("$MINE/x", key="finetune_from") == "/mine/data/x"
    assert placed("~root/x", key="finetune_from") == f"{pwd.getpwnam('root').pw_dir}/x"
    assert placed("file://~/store", key="store") == "file:///mine/store"
    assert placed("gs://bucket/~", key="store") == "gs://bucket/~"
    with pytest.raises(PolyticketError, match=r"^config store: ~nobody-such has no home directory; expected a path"):
        placed("~nobody-such/store", key="store")
    monkeypatch.delenv("SOME_DATA")
    with pytest.raises(PolyticketError) as caught:
        placed("$SOME_DATA/{lang}", key="data.panx", lang="fr")
    assert str(caught.value) == "config data.panx: environment variable SOME_DATA is not set; expected a directory"


def test_a_path_that_snakemake_would_read_otherwise_is_refused():
    for path in ("/données [v2]/a b", "a{", "}{", "<V>", "a < b > c"):
        require_plain(path, key="data.panx")
    for path, part in (("/my {final} models", "{final}"), ("a/{lang}", "{lang}"), ("x <v2>", "<v2>")):
        with pytest.raises(PolyticketError) as caught:
            require_plain(path, key="data.panx")
        line = f"config data.panx: Snakemake reads {part} in {path!r}; expected a path without them, for example by way"
        assert str(caught.value).startswith(line)


def test_every_key_of_the_schema_is_described_and_has_a_default():
    found = list(properties(SCHEMA))
    assert len(found) > 60
    assert [key for key, part, _ in found if not part.get("description", "").endswith(".")] == []
    assert [key for key, part, required in found if not required and "default" not in part] == []


def test_the_schema_names_the_tasks_of_the_registry():
    sections = SCHEMA["properties"]
    assert SCHEMA["$defs"]["task"]["enum"] == list(TASKS)
    for section in LANGUAGE_SECTIONS:
        assert list(sections[section]["properties"]) == list(TASKS)
    assert list(sections["data"]["properties"]) == ["dumps", *TASKS]


def test_a_mix_has_no_mask_of_its_own():
    mixed = {"subnetworks": {"mixes": {"both": ["fr", "sw"]}, "find": {"panx": ["both"]}}}
    with pytest.raises(PolyticketError, match=r"subnetworks.find.panx: mix 'both' has no mask; expected a lang"):
        completed(**mixed)
    for given in ({"mask_method": "constant"}, {"finetune_from": "a/b"}):
        assert completed(**mixed, **given)["subnetworks"]["find"] == {"panx": ["both"]}


def test_retrieval_with_masks_needs_those_of_both_languages():
    retrieval = {"parallel": "pairs/{lang}-{other}"}
    with pytest.raises(PolyticketError, match=r"subnetworks.retrieval.pivot: 'en' has no mask; expected one of `lang"):
        completed(subnetworks={"retrieval": retrieval})
    completed(subnetworks={"retrieval": retrieval}, mask_method="constant")
    completed(subnetworks={"retrieval": retrieval | {"pairs": [["fr", "sw"]]}})


def test_languages_are_paired_with_the_pivot_of_retrieval():
    retrieval = {"parallel": "pairs/{lang}-{other}", "pivot": "sw"}
    assert completed(subnetworks={"retrieval": retrieval})["subnetworks"]["retrieval"]["pairs"] is None


def test_the_family_tree_is_of_a_kind_of_distance():
    expected = "config subnetworks.mantel.family: unknown 'areal'; expected a kind of `distances`: genetic"
    with pytest.raises(PolyticketError, match=expected):
        completed(subnetworks={"mantel": {"family": "areal"}, "distances": {"genetic": "genetic.csv"}})
    assert completed()["subnetworks"]["mantel"] == {
        **{"measure": "jaccard_beyond_chance", "method": "pearson", "permutations": 10000, "family": None}
    }


def test_the_masks_of_retrieval_are_mask_sources():
    masks = ["full", "panx-{lang}-50", ["panx-{lang}-50", "panx-{other}-50"]]
    retrieval = {"parallel": "pairs", "pairs": [["sw", "fr"]], "masks": masks}
    assert completed(subnetworks={"retrieval": retrieval})["subnetworks"]["retrieval"]["masks"] == masks
    with pytest.raises(PolyticketError, match=r"retrieval.masks: 'panx-fr-55': unknown sparsity '55'"):
        completed(subnetworks={"retrieval": retrieval | {"masks": [["full", "panx-{other}-55"]]}})


def integers(part: object) -> Iterator[dict]:
    """The parts of a schema, at any depth, that take whole numbers."""
    if isinstance(part, dict):
        if "integer" in part.get("type", ()) and "enum" not in part:
            yield part
        part = list(part.values())
    for inner in part if isinstance(part, list) else ():
        yield from integers(inner)


def test_every_whole_number_has_bounds():
    assert [part for part in integers(SCHEMA) if not {"minimum", "maximum"} <= part.keys()] == []


LOOPED: list = []
LOOPED.append(LOOPED)
BOMB: object = "x"
for _ in range(12):
    BOMB = [BOMB] * 10
MANY = [f"l{number}" for number in range(100_000)]
LARGE = {
    "levels": {"subnetworks": {"levels": 10**9}},
    "width": {"pretraining": {"conflict": {"width": 10**18}}},
    "layers": {"model": {"num_hidden_layers": 10**9}},
    "layers of a variant": {"variants": {"a": {"model": {"num_hidden_layers": 10**9}}}},
    "heads": {"model": {"hidden_size": 10**12, "num_attention_heads": 10**12}},
    "ranges": {"extraction": {"ranges": 10**9}},
    "shards": {"records": {"shards": 10**9}},
    "phases": {"pretraining": {"phases": [{"max_seq_length": 8, "max_predictions": 1, "until_step": 1}] * 100_000}},
    "languages": {"languages": MANY},
    "more languages": {"extra_languages": {code: {"scripts": ["Latin"]} for code in MANY}},
    "variants": {"variants": {code: {} for code in MANY}},
    "unlike entries": {"subnetworks": {"transfer_sparsity": [n if n % 2 else str(n) for n in range(100_000)]}},
    "depth": {"data": json.loads("[" * 500 + "]" * 500)},
    "a loop": {"data": LOOPED},
    "aliases": {"data": BOMB},
    "a long text": {"store": "x" * 10**6},
    "a long key": {"x" * 10**6: 1},
    "a long name": {"variants": {"x" * 150: {}}},
    "a long number": {"seed": 16**5000},
    "a device": {"pretraining": {"sampling_ratios": "/dev/zero"}},
}


@pytest.mark.parametrize("values", LARGE.values(), ids=LARGE)
def test_what_is_too_large_is_refused_in_one_line_at_once(values):
    line = told(LEAST | values)
    assert line.startswith(("config", "/dev/zero"))
    assert "\n" not in line
    assert len(line) < 600
    usual = cpu_seconds(lambda: complete(LEAST))
    assert min(cpu_seconds(lambda: told(LEAST | values)) for _ in range(3)) < 200 * usual


def test_a_large_file_of_ratios_is_refused(tmp_path):
    with (tmp_path / "ratios.csv").open("wb") as stream:
        stream.truncate(10**12)
    os.mkfifo(tmp_path / "pipe.csv")
    line = told(LEAST | {"pretraining": {"sampling_ratios": str(tmp_path / "ratios.csv")}})
    assert "1,000,000,000,000 bytes; expected a file of at most 1,048,576" in line
    line = told(LEAST | {"pretraining": {"sampling_ratios": str(tmp_path / "pipe.csv")}})
    assert "a device or a pipe; expected a file" in line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[" * 100_000, "not YAML that can be read: too deep"),
        ("languages: [fr]\nseed: " + "9" * 5000, "not YAML that can be read: Exceeds the limit"),
        ("languages: [fr]\ndownload: {date: 2026-13-45}", "not YAML that can be read: month must be in 1..12"),
        ("languages: [fr]\nseed: !!timestamp soon", "not YAML that can be read: a value that does not fit its tag"),
        ("languages: [fr]\nseed: !!bool maybe", "not YAML that can be read: a value that does not fit its tag"),
    ],
    ids=["depth", "digits", "date", "timestamp", "truth"],
)
def test_yaml_that_cannot_be_read_is_one_line(tmp_path, text, line):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(PolyticketError, match=re.escape(line)):
        read_config(tmp_path / "config.yaml")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "finetuning: {epochs: 5}\nfinetuning: {patience: 3}\n",
            ":2: the key 'finetuning' is there twice; the last one counts",
        ),
        ("a:\n  b: {c: 1}\n  'b': {d: 2}\n", ":3: the key 'b' is there twice"),
        ("x: [{on: 1, yes: 2}]", ":1: the key 'yes' is there twice"),
        ('{"a": 1,\n "a": 2}', ":2: the key 'a' is there twice"),
        ('{\n\t"a": {"b": 1, "b": 2}}', ": the key 'b' is there twice"),
    ],
)
def test_a_key_that_is_there_twice_is_named(tmp_path, caplog, text, line):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    read_config(path)
    assert f"{path}{line}" in caplog.text


def test_a_merge_may_bring_a_key_again_and_json_may_have_tabs(tmp_path, caplog):
    path = tmp_path / "config.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: &b\n  <<: *a\n  x: 3\nc: {<<: *b, x: 4}\n")
    assert read_config(path) == {"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}, "c": {"x": 4, "y": 2}}
    path.write_text('{\n\t"a": 1\n}')
    assert read_config(path) == {"a": 1}
    assert caplog.text == ""


ELSEWHERE = ["../x", "/x", "a/b", "..", ".", "a\nb", "a\\b", "a\x00", "-", "é"]


@pytest.mark.parametrize("name", ELSEWHERE, ids=ascii)
def test_no_name_of_a_configuration_leads_elsewhere(name):
    for values in (
        {"languages": [name]},
        {"extra_languages": {name: {"scripts": ["Latin"]}}, "languages": [name]},
        {"evaluate": {name: ["fr"]}},
        {"evaluate": {"panx": [name]}, "data": {"panx": "x"}},
        {"zero_shot": {"panx": [name]}, "data": {"panx": "x"}},
        {"data": {"panx": {name: "x"}}},
        {"finetuning": {"mask_language": name}},
        {"finetuning": {"per_task": {name: {}}}},
        {"saliency": name},
        {"subnetworks": {"find": {"panx": [name]}}, "data": {"panx": "x"}},
        {"subnetworks": {"find": {name: ["fr"]}}},
        {"subnetworks": {"mixes": {name: ["fr", "en"]}}, "languages": ["fr", "en"]},
        {"subnetworks": {"mask_sources": {name: {"file": "x.pt"}}}},
        {"subnetworks": {"distances": {name: "x.csv"}}},
        {"subnetworks": {"retrieval": {"pivot": name, "parallel": "x"}}, "finetune_from": "a/b"},
        {"subnetworks": {"retrieval": {"pairs": [["fr", name]], "parallel": "x"}}, "finetune_from": "a/b"},
    ):
        line = told(LEAST | values)
        assert line.startswith(("config", "extra_languages")), values
        assert "\n" not in line
    if name not in ("-", "é"):
        assert told(LEAST | {"variants": {name: {}}})
        assert told(LEAST | {"task_data": {"splits": {"panx": {"test": name}}}})


def test_every_section_of_the_schema_refuses_unknown_keys():
    sections = [(key, part) for key, part, _ in properties(SCHEMA) if "properties" in part]
    assert len(sections) >= 10
    assert [key for key, part in [("", SCHEMA), *sections] if part.get("additionalProperties") is not False] == []


@pytest.mark.parametrize("path", [ROOT / "config/config.yaml", *PRESETS], ids=lambda path: path.name)
def test_shipped_configurations_are_right_by_themselves(path):
    given = yaml.safe_load(path.read_text(encoding="utf-8"))
    config = complete(given)
    assert config["languages"] == given["languages"]
    assert config["data"]["xnli"] == given["data"].get("xnli")


SAMPLE = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("file", "line", "expected"),
    [
        ({"languages": ["en", "fr"]}, {}, True),
        ({"languages": ["en", "fr"]}, {"data": {"panx": "own/{lang}"}}, True),
        ({"languages": ["en", "fr"]}, {"data": {"dumps": "own/{lang}"}}, False),
        ({"languages": ["en", "de"]}, {}, False),
        ({"languages": ["en"], "data": {"panx": "own/{lang}"}}, {}, False),
        ({"languages": ["en"], "data": None}, {}, False),
        ({"languages": None}, {}, False),
        ({}, {}, False),
    ],
)
def test_only_a_file_of_the_samples_languages_that_leaves_out_data_reads_the_samples(file, line, expected):
    config = file | line
    assert (not names_data(config, [file]) and is_of_sample(config, SAMPLE)) is expected


def test_data_stand_over_those_of_the_sample_wherever_the_run_is(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    config = {"languages": ["fr"], "data": {"panx": "own/{lang}", "xnli": None}}
    data = over_sample_data(config, SAMPLE, ROOT)["data"]
    assert data == SAMPLE["data"] | {"panx": "own/{lang}", "xnli": None}
    monkeypatch.chdir(tmp_path)
    elsewhere = over_sample_data(config, SAMPLE, ROOT)["data"]
    assert elsewhere["dumps"] == f"{ROOT}/resources/sample/wiki/{{lang}}/*.xml.bz2"
    assert (elsewhere["panx"], elsewhere["xnli"]) == ("own/{lang}", None)
    assert over_sample_data({"data": "x"}, SAMPLE, ROOT) == {"data": "x"}


def test_the_documented_table_is_that_of_the_schema():
    table = config_table(SCHEMA)
    assert (ROOT / "config/README.md").read_text(encoding="utf-8").endswith(f"<!-- table -->\n{table}")
    assert "| `remain_ratio` | number | `0.75` |" in table


def test_a_store_with_a_password_is_refused_before_any_job_and_not_repeated():
    with pytest.raises(PolyticketError, match=r"config store: 'gs://…@bucket/x' is not allowed") as error:
        complete({"languages": ["it"], "store": "gs://user:geheim@bucket/x"})
    assert "geheim" not in str(error.value)
    for store in (
        "gs://bucket",
        "gs://my_bucket.of/x",
        "s3://my-bucket/a/b",
        "s3://$BUCKET/x",
        "gs://a-${NAME}",
        "~/store",
    ):
        assert complete({"languages": ["it"], "store": store})["store"] == store
