"""The Snakefile with the configurations that people give it: alone, over the sample, from elsewhere, as a module."""

import json
import os
import shutil
from pathlib import Path

import pytest
import yaml
from snakemake.cli import parse_config
from snakemake.iocontainers import Wildcards
from snakemake.logging import logger

from polyticket.config.completion import complete
from tests.support.snakefile import ROOT, read, written

SAMPLE = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
PRESETS = sorted((ROOT / "config/presets").glob("*.yaml"))
LEAST = "languages: [fr, sw]\ndata:\n  dumps: wiki/{lang}/*.bz2\n  panx: panx/{lang}\n"


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    for name in ("POLYTICKET_DATA", "POLYTICKET_ENCODER"):
        monkeypatch.setenv(name, str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    sizes = dict.fromkeys(("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"), 12)
    for name in ("config.json", "model.safetensors"):  # of a model, which the preset of sub-networks looks for
        config = {"model_type": "bert", "vocab_size": 100, **sizes}
        (tmp_path / "data" / name).write_text(json.dumps(config), encoding="utf-8")


@pytest.fixture
def here(tmp_path) -> Path:
    """A working directory with the sample's data where the sample's configuration says."""
    (tmp_path / "resources").symlink_to(ROOT / "resources")
    return tmp_path


def test_names_that_are_given_reach_jobs_and_redo_what_shows_them(here, monkeypatch):
    monkeypatch.setenv("POLYTICKET_LANGUAGE_NAMES", "")
    added = {"sw": {"name": "Kiswahili", "scripts": ["Latin"]}, "xx": {"scripts": ["Lao"]}}
    with read(here) as workflow:
        before = {name: workflow.get_rule(name).params.code({}) for name in ("plot_ledger", "split_sentences")}
        assert os.environ["POLYTICKET_LANGUAGE_NAMES"] == "{}"
    with read(here, extra_languages=added) as workflow:
        after = {name: workflow.get_rule(name).params.code({}) for name in before}
    assert os.environ["POLYTICKET_LANGUAGE_NAMES"] == '{"sw": "Kiswahili"}'
    assert [name for name in before if before[name] != after[name]] == ["plot_ledger"]


@pytest.fixture
def warnings(monkeypatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(logger, "warning", said.append)
    return said


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.name)
def test_a_preset_is_completed_the_same_with_and_without_the_sample_at_hand(here, path):
    alone = complete(yaml.safe_load(path.read_text(encoding="utf-8")))
    with read(here, path) as workflow:
        assert workflow.globals["config"] == alone


def test_a_preset_runs_where_there_is_no_sample(tmp_path):
    for part in ("workflow", "Snakefile"):
        (shutil.copytree if part == "workflow" else shutil.copy2)(ROOT / part, tmp_path / part)
    preset = ROOT / "config/presets/real-small.yaml"
    with read(tmp_path, preset, snakefile=tmp_path / "Snakefile") as workflow:
        assert workflow.globals["config"] == complete(yaml.safe_load(preset.read_text(encoding="utf-8")))


def test_a_file_of_four_lines_stands_alone(here, warnings):
    with read(here, written(here / "mine.yaml", LEAST)) as workflow:
        config = workflow.globals["config"]
    assert config == complete(yaml.safe_load(LEAST))
    assert (config["evaluate"]["panx"], config["vocabulary"]["size"], config["records"]["shards"]) == ([], 119547, 10)
    assert (config["data"]["xnli"], config["pretraining"]["conflict"]["mode"]) == (None, "none")
    assert warnings == []


def test_the_sample_runs_where_no_file_is_given(here):
    with read(here) as workflow:
        assert workflow.globals["config"] == complete(SAMPLE)
    with read(here, remain_ratio=0.85, data={"panx": "own/{lang}"}) as workflow:
        changed = {**SAMPLE, "remain_ratio": 0.85, "data": {**SAMPLE["data"], "panx": "own/{lang}"}}
        assert workflow.globals["config"] == complete(changed)


def test_the_sample_is_scored_in_the_languages_of_the_command_line(here):
    with read(here, languages=["fr", "sw"], evaluate={"mlm": ["sw"]}) as workflow:
        config = workflow.globals["config"]
    assert config["evaluate"] == {"panx": ["fr", "sw"], "udpos": ["fr", "sw"], "xnli": ["fr"], "mlm": ["sw"]}
    assert config["zero_shot"]["panx"] == ["fr", "sw"]
    with (
        pytest.raises(SystemExit, match=r"config evaluate\.udpos"),
        read(here, languages=["sw"], evaluate={"udpos": ["fr"]}),
    ):
        pass


def test_the_sample_is_found_from_another_folder(tmp_path):
    with read(tmp_path) as workflow:
        data = workflow.globals["config"]["data"]
        assert workflow.globals["local_dumps_of"]("fr") == [
            f"{ROOT}/resources/sample/wiki/fr/frwiki-sample-pages-articles.xml.bz2"
        ]
    assert data == {key: f"{ROOT}/{place}" for key, place in SAMPLE["data"].items()} | {"mlm": None}


def test_a_file_without_data_reads_those_of_the_sample_and_says_so(here, warnings):
    file = written(here / "small.yaml", {"languages": ["fr"], "vocabulary": {"alphabet": 100}})
    with read(here, file, data={"mlm": "null", "panx": "own/{lang}"}) as workflow:
        config = workflow.globals["config"]
    assert config["data"] == SAMPLE["data"] | {"mlm": None, "panx": "own/{lang}"}
    assert (config["vocabulary"]["size"], config["remain_ratio"]) == (119547, 0.75)
    assert warnings == ["No `data` are configured: those of the bundled sample are read."]


def test_a_file_of_other_languages_or_alone_reads_no_sample(here, warnings):
    for languages, replace in ((["fr", "de"], False), (["fr"], True)):
        file = written(here / "mine.yaml", {"languages": languages})
        with read(here, file, replace=replace) as workflow:
            assert set(workflow.globals["config"]["data"].values()) == {None}
            with pytest.raises(SystemExit, match=r"error: config data.dumps: not set; expected a glob of"):
                workflow.globals["local_dumps_of"]("fr")
    assert warnings == []


def test_later_files_stand_over_earlier_ones_and_the_command_line_over_all(here):
    first = written(here / "first.yaml", LEAST + "seed: 1\nremain_ratio: 0.5\nrecords: {shards: 3}\n")
    second = written(here / "second.yaml", "seed: 2\nrecords: {dupe_factor: 2}\n")
    with read(here, first, second, remain_ratio=0.9) as workflow:
        config = workflow.globals["config"]
    assert (config["seed"], config["remain_ratio"]) == (2, 0.9)
    assert (config["records"]["shards"], config["records"]["dupe_factor"]) == (3, 2)


def test_a_key_that_is_there_twice_is_named(here, caplog):
    file = written(here / "mine.yaml", LEAST + "finetuning: {epochs: 5}\nfinetuning: {patience: 3}\n")
    with read(here, file) as workflow:
        assert workflow.globals["config"]["finetuning"]["patience"] == 3
    assert "mine.yaml:6: the key 'finetuning' is there twice; the last one counts" in caplog.text


@pytest.mark.parametrize("line", [
    ["finetune_from=null", "variants={a: {finetune_from: null, prune_model: true}}", "prune_model=True"],
    ["data={mlm: null, panx: 'données [b]/{lang}'}", "finetuning={patience: null, learning_rate: 1e-4}"],
    ["finetune_from=", "download={date: 20260101}", "variants={85: {remain_ratio: 0.85}}"],
    ["evaluate={panx: [fr]}", "pathvars={results: out}", "subnetworks={transfer_sparsity: null}"],
])  # fmt: skip
def test_a_job_in_a_process_of_its_own_sees_the_same_configuration(here, line):
    file = written(here / "mine.yaml", LEAST)
    with read(here, file, **parse_config(line)) as workflow:
        whole, passed = dict(workflow.globals["config"]), workflow.config_settings.config_args
    bare = [f"{key}={value.strip(chr(39))}" for key, _, value in (one.partition("=") for one in passed)]
    with read(here, file, **parse_config(bare)) as workflow:
        assert workflow.globals["config"] == whole


MODULE = """
configfile: "own.yaml"
module polyticket:
    snakefile: "{root}/Snakefile"
    config: config["polyticket"]
    {how}
use rule * from polyticket as pt_*
"""


@pytest.mark.parametrize(
    ("how", "pathvars", "results"),
    [
        ('prefix: "pt"', {}, "pt/results/"),
        ('pathvars: results="out"', {}, "out/"),
        ("", {"results": "$POLYTICKET_DATA/out"}, "{here}/data/out/"),
    ],
)
def test_a_module_takes_its_own_configuration_alone(here, how, pathvars, results):
    own = {**yaml.safe_load(LEAST), "evaluate": {"panx": ["fr"]}, "pathvars": pathvars}
    written(here / "own.yaml", {"polyticket": own, "seed": 7})
    snakefile = written(here / "Snakefile", MODULE.format(root=ROOT, how=how))
    with read(here, snakefile=snakefile) as workflow:
        rule = workflow.get_rule("pt_summarize_seeds")
        assert str(rule.output[0]).partition("{")[0] == results.format(here=here)
        assert workflow.globals["config"]["polyticket"] == complete(own)


def test_a_home_folder_and_variables_stand_wherever_paths_do(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    paths = {
        "data": {"dumps": "~/wiki/{lang}/*.bz2", "panx": {"fr": "$HOME/panx", "sw": "~/sw"}, "xnli": "~/xnli/{lang}"},
        "vocabulary": {"source": "file", "path": "~/vocab.txt"},
        "store": "file://~/store",
        "download": {"directory": "~/down/{lang}"},
        "pretraining": {"sampling_ratios": "~/ratios.csv"},
        "subnetworks": {"retrieval": {"parallel": "~/pairs/{lang}"}, "distances": {"genetic": "${HOME}/genetic.csv"}},
        "mask_method": "constant",
        "pathvars": {"results": "~/results"},
    }
    for name in ("wiki/fr/a.bz2", "vocab.txt", "pairs/fr/fr.txt", "pairs/fr/en.txt", "genetic.csv"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).touch()
    (here / "ratios.csv").write_text("fr/*,1\nsw/*,1\n", encoding="utf-8")
    with read(here, written(here / "mine.yaml", {"languages": ["fr", "sw"], **paths})) as workflow:
        of, words = (
            workflow.globals,
            Wildcards(fromdict={"lang": "fr", "other": "en", "mask_source": "full", "run": ""}),
        )
        sources = [of["task_source"](Wildcards(fromdict={"task": task, "lang": "fr"})) for task in ("panx", "xnli")]
        assert [*of["local_dumps_of"]("fr"), *sources] == [f"{here}/wiki/fr/a.bz2", f"{here}/panx", f"{here}/xnli/fr"]
        assert (of["given_vocabulary"](words), of["download_folder"]("fr")) == (f"{here}/vocab.txt", f"{here}/down/fr")
        assert (of["STORE"], of["sampling_table"]()) == (f"file://{here}/store", [f"{here}/ratios.csv"])
        assert of["PRETRAINING"]["sampling_ratios"] == f"{here}/ratios.csv"
        assert of["retrieval_inputs"](words)["source"] == f"{here}/pairs/fr/fr.txt"
        assert of["distance_files"](words) == [f"{here}/genetic.csv"]
        assert workflow.pathvars.get("results") == f"{here}/results"
        with pytest.raises(
            SystemExit, match=r"error: config finetune_from: Snakemake reads {v2} in '/a {v2}/bert'; exp"
        ):
            of["model_place"]("/a {v2}/bert", "finetune_from")


WRONG = {
    "no home directory": (
        {"store": "~no-such-user/store"},
        "config store: ~no-such-user has no home directory",
    ),
    "a variable that is not set": ({"pathvars": {"results": "$NO_SUCH/x"}}, "config pathvars.results: environment var"),
    "braces": (
        {"store": "a {final} store"},
        "config store: Snakemake reads {final} in 'a {final} store'; expected a p",
    ),
    "a section without values": ({"model": None}, "config model: None is not allowed; expected object"),
    "data without values": ({"data": None}, "config data: None is not allowed; expected object"),
    "no languages": ({"languages": None}, "config languages: None is not allowed; expected array"),
    "a key that is true": ({"variants": {True: {}}}, "config variants: the key True is not text; expected text, in"),
}


@pytest.mark.parametrize(("values", "line"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_ends_in_one_line_before_anything_runs(here, values, line):
    file = written(here / "mine.yaml", {**yaml.safe_load(LEAST), **values})
    with pytest.raises(SystemExit) as ended, read(here, file):
        pass
    assert str(ended.value).startswith(f"polyticket: error: {line}")
    assert "\n" not in str(ended.value)


NEEDED = {
    "a vocabulary": (
        {"vocabulary": {"source": "file", "path": "none.txt"}},
        ("given_vocabulary", {}),
        "config vocabulary.path: no such file: none.txt; expected a vocab.txt",
    ),
    "a tokenizer": (
        {"vocabulary": {"source": "tokenizer", "path": "./none"}},
        ("given_vocabulary", {}),
        "config vocabulary.path: no such folder: ./none; expected a tokenizer's folder or name",
    ),
    "a model": (
        {"finetune_from": "my models/bert"},
        ("model_of", {"run": ""}),
        "config finetune_from: my models/bert: no such folder; expected a model",
    ),
    "the model of a variant": (
        {"variants": {"a": {"finetune_from": "./none"}}},
        ("model_of", {"run": "variants/a/"}),
        "config variants.a.finetune_from: none: no such folder; expected a model",
    ),
    "parallel sentences": (
        {"finetune_from": "a/b", "subnetworks": {"retrieval": {"parallel": "none/{lang}-{other}"}}},
        ("retrieval_inputs", {"lang": "fr", "other": "ur", "mask_source": "full", "run": ""}),
        "config subnetworks.retrieval.parallel: no such file: none/fr-ur/fr.txt; expected fr.txt and ur.txt, aligned",
    ),
    "distances": (
        {"subnetworks": {"distances": {"genetic": "none.csv"}}},
        ("distance_files", {}),
        "config subnetworks.distances.genetic: no such file: none.csv; expected a CSV file",
    ),
    "data": (
        {"data": {"dumps": "d/{lang}", "panx": "none/{lang}"}},
        ("task_files", {"task": "panx", "lang": "fr"}),
        "config data.panx: none/fr: no such folder or file; expected",
    ),
}


@pytest.mark.parametrize(("values", "asked", "line"), NEEDED.values(), ids=NEEDED.keys())
def test_what_is_needed_and_not_there_is_told_by_its_key_before_anything_runs(here, values, asked, line):
    name, words = asked
    file = written(here / "mine.yaml", {**yaml.safe_load(LEAST), **values})
    with read(here, file) as workflow, pytest.raises(SystemExit) as ended:
        workflow.globals[name](Wildcards(fromdict=words))
    assert str(ended.value).startswith(f"polyticket: error: {line}")


def test_retrieval_by_cls_of_an_mt5_is_refused_before_anything_runs(here):
    (here / "mt5").mkdir()
    (here / "mt5/model.safetensors").touch()
    sizes = dict.fromkeys(("vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_heads"), 8)
    (here / "mt5/config.json").write_text(json.dumps({"model_type": "mt5", **sizes}), encoding="utf-8")
    retrieval = {"parallel": "pairs", "pooling": "cls"}
    values = {"finetune_from": str(here / "mt5"), "subnetworks": {"retrieval": retrieval}}
    file = written(here / "mine.yaml", yaml.safe_load(LEAST) | values)
    with pytest.raises(SystemExit) as ended, read(here, file):
        pass
    said = "config subnetworks.retrieval.pooling: 'cls' of an mt5; expected mean: it has no [CLS]"
    assert str(ended.value) == f"polyticket: error: {said}"


def test_a_name_of_a_tokenizer_is_no_file(here):
    file = written(
        here / "mine.yaml", yaml.safe_load(LEAST) | {"vocabulary": {"source": "tokenizer", "path": "a/b@refs/pr/8"}}
    )
    with read(here, file) as workflow:
        assert workflow.globals["given_vocabulary"](Wildcards(fromdict={})) == []
