"""The configuration: defaults, and one clear line for everything that is wrong."""

import copy
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from polyticket.config import complete, placed, run_config
from polyticket.config_schema import read_schema
from polyticket.config_table import config_table
from polyticket.errors import PolyticketError
from polyticket.tasks.registry import TASKS

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = read_schema(ROOT / "workflow/schemas/config.schema.yaml")
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
    return complete(with_values(values), SCHEMA)


def properties(schema: dict, at: str = "") -> Iterator[tuple[str, dict, bool]]:
    """Dotted key, schema and whether it must be given, of every key that a user can set."""
    for name, part in schema.get("properties", {}).items():
        yield f"{at}{name}", part, name in schema.get("required", ())
        yield from properties(part, f"{at}{name}.")


def test_defaults_are_filled_in_at_all_depths():
    config = complete(LEAST, SCHEMA)
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
    assert complete(config, SCHEMA) == config


def test_neither_what_is_given_nor_the_schema_is_changed():
    given, schema = copy.deepcopy(LEAST), copy.deepcopy(SCHEMA)
    complete(given, schema)["pretraining"]["phases"].append(1)
    complete(given, schema)["evaluate"]["panx"].append("fr")
    assert (given, schema) == (LEAST, SCHEMA)


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


WRONG = {
    "unknown key": (
        {"remain_ration": 1},
        "config remain_ration: unknown key; expected one of languages, extra_languages",
    ),
    "unknown nested key": (
        {"pretraining.batchsize": 1},
        "config pretraining.batchsize: unknown key; expected one of phases, batch_size, learning_rate",
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
        "pretraining.sampling_ratios: no ratio for sw; expected every language",
    ),
    "an unknown store": ({"store": "s3://bucket"}, "config store: 's3://bucket' is not allowed; expected string"),
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
        "https://127.0.0.1/{lang}wiki-{date}.xml.bz2: no date is given; expected YYYYMMDD",
    ),
    "a URL of another kind": (
        {"data.dumps": "ftp://127.0.0.1/{lang}.xml.bz2"},
        "ftp://127.0.0.1/{lang}.xml.bz2: a scheme that is not read: ftp; expected a URL such as https",
    ),
    "two ways of drawing": (
        {"pretraining.sampling_ratios": {"fr": 1, "sw": 2}, "pretraining.sampling_temperature": 3},
        "pretraining: sampling_temperature is 3 beside sampling_ratios; expected one of the two",
    ),
    "a floor above the budget": (
        {"ticket.floor": 0.9},
        "ticket.floor: ",
    ),
    "heads that are not": ({"ticket.align": "head"}, "config ticket.align: 'head' is not allowed; expected 1 or"),
    "blocks that do not fit": ({"ticket.align": 64, "model.intermediate_size": 96}, "ticket.align: "),
    "ratio of zero": ({"remain_ratio": 0}, "config remain_ratio: 0 is not allowed; expected number > 0, ≤ 1"),
    "ratio above one": ({"remain_ratio": 1.5}, "config remain_ratio: 1.5 is not allowed; expected number > 0, ≤ 1"),
    "ratio as a word": ({"remain_ratio": "abc"}, "config remain_ratio: 'abc' is not allowed; expected number > 0, ≤ 1"),
    "ratio not a number": ({"remain_ratio": math.nan}, "config remain_ratio: nan is not allowed; expected number > 0"),
    "infinite rate": (
        {"finetuning.learning_rate": "Infinity"},
        "config finetuning.learning_rate: inf is not allowed; expected number > 0",
    ),
    "mask method": ({"mask_method": "foo"}, "config mask_method: 'foo' is not allowed; expected linear or constant"),
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
        "config data.udpos: not set; expected the place of udpos data",
    ),
}


@pytest.mark.parametrize(("values", "line"), WRONG.values(), ids=WRONG.keys())
def test_a_mistake_is_one_line_that_names_key_value_and_what_is_allowed(values, line):
    with pytest.raises(PolyticketError) as caught:
        complete(with_values(values), SCHEMA)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["languages", "data"])
def test_a_key_that_must_be_given_is_named(key):
    with pytest.raises(PolyticketError, match=f"^config {key}: the key is missing; expected W"):
        complete({name: value for name, value in LEAST.items() if name != key}, SCHEMA)


def test_a_variant_differs_in_its_own_keys_alone():
    config = completed(variants={"naive": {"mask_method": "constant"}, "same": {}}, remain_ratio=0.5)
    assert run_config(config, None) == run_config(config, "same") == config
    naive = run_config(config, "naive")
    assert (naive.pop("mask_method"), config["mask_method"]) == ("constant", "linear")
    assert naive.items() <= config.items()


def test_places_hold_the_language_and_environment_variables(monkeypatch):
    monkeypatch.setenv("SOME_DATA", "/data")
    assert placed("$SOME_DATA/{lang}/${SOME_DATA}x-{lang}", key="data.panx", lang="fr") == "/data/fr//datax-fr"
    assert placed("a/{lang}", key="vocabulary.path") == "a/{lang}"
    monkeypatch.delenv("SOME_DATA")
    with pytest.raises(PolyticketError) as caught:
        placed("$SOME_DATA/{lang}", key="data.panx", lang="fr")
    assert str(caught.value) == "config data.panx: environment variable SOME_DATA is not set; expected a folder"


def test_every_key_of_the_schema_is_described_and_has_a_default():
    found = list(properties(SCHEMA))
    assert len(found) > 60
    assert [key for key, part, _ in found if not part.get("description", "").endswith(".")] == []
    assert [key for key, part, required in found if not required and "default" not in part] == []


def test_a_task_of_the_registry_stands_wherever_the_schema_names_tasks(monkeypatch):
    tagged = replace(TASKS["udpos"], name="morphology", title="morphological tags", place="A folder.")
    monkeypatch.setitem(TASKS, tagged.name, tagged)
    schema = read_schema(ROOT / "workflow/schemas/config.schema.yaml")
    named = {"evaluate": {tagged.name: ["fr"]}, "task_data": {"splits": {tagged.name: {"test": "dev"}}},
             "finetuning": {"per_task": {tagged.name: {"epochs": 3}}}, "subnetworks": {"find": {tagged.name: ["fr"]}},
             "variants": {"half": {"tasks": [tagged.name]}}, "zero_shot": {tagged.name: ["fr", "sw"]}}  # fmt: skip
    given = {**LEAST, **named, "data": {**LEAST["data"], tagged.name: "data/{lang}"}}
    config = complete(given, schema)
    assert config["predict_also"][tagged.name] == []
    assert config["finetuning"]["per_task"] == {tagged.name: {"epochs": 3}}
    assert schema["properties"]["data"]["properties"][tagged.name]["description"].startswith("A folder. Or a table")
    assert "<" not in "".join(part["description"] for key, part, _ in properties(schema) if tagged.name in key)


def test_a_mix_has_no_mask_of_its_own():
    mixed = {"subnetworks": {"mixes": {"both": ["fr", "sw"]}, "find": {"panx": ["both"]}}}
    with pytest.raises(PolyticketError, match=r"subnetworks.find.panx: mix 'both' has no mask; expected a lang"):
        completed(**mixed)
    for given in ({"mask_method": "constant"}, {"finetune_from": "a/b"}):
        assert completed(**mixed, **given)["subnetworks"]["find"] == {"panx": ["both"]}


def test_retrieval_with_masks_needs_those_of_english():
    with pytest.raises(PolyticketError, match=r"subnetworks.retrieval: 'en' has no mask; expected English"):
        completed(subnetworks={"retrieval": "pairs/{lang}-en"})
    completed(subnetworks={"retrieval": "pairs/{lang}-en"}, mask_method="constant")


def test_every_section_of_the_schema_refuses_unknown_keys():
    sections = [(key, part) for key, part, _ in properties(SCHEMA) if "properties" in part]
    assert len(sections) >= 10
    assert [key for key, part in [("", SCHEMA), *sections] if part.get("additionalProperties") is not False] == []


@pytest.mark.parametrize("path", [ROOT / "config/config.yaml", *PRESETS], ids=lambda path: path.name)
def test_shipped_configurations_are_right_on_top_of_the_default_one(path):
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    merge(config, yaml.safe_load(path.read_text(encoding="utf-8")))
    assert complete(config, SCHEMA)["languages"] == config["languages"]


def merge(config: dict, other: dict) -> None:
    """As Snakemake lays one configuration file over another."""
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(config.get(key), dict):
            merge(config[key], value)
        else:
            config[key] = value


def test_the_documented_table_is_that_of_the_schema():
    table = config_table(SCHEMA)
    assert (ROOT / "config/README.md").read_text(encoding="utf-8").endswith(f"<!-- table -->\n{table}")
    assert "| `remain_ratio` | number | `0.75` |" in table
