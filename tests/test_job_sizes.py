"""What jobs request: sizes of models by hand, every preset's largest jobs, and what finished runs measured."""

import csv
import json
import re
import struct
from pathlib import Path

import pytest
import yaml
from snakemake.iocontainers import InputFiles, Wildcards

from polyticket.config.job_sizes import MBERT, ModelSize, folder_size, guessed_size, minutes, vocabulary_size
from tests.support.snakefile import ROOT, read, requests, written
from tests.support.workflow import Workflow

TINY = ModelSize(8, 2, 4, 16, 100)
CONFIG = {
    "model_type": "bert",
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "vocab_size": 119_547,
}


def header(path: Path, **shapes: list[int]) -> None:
    """A safetensors file without its bytes of tensors."""
    said = {name: {"dtype": "F16", "shape": shape, "data_offsets": [0, 0]} for name, shape in shapes.items()}
    text = json.dumps({"__metadata__": {"format": "pt"}, **said}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)


def index(path: Path, *names: str) -> None:
    path.write_text(json.dumps({"weight_map": {str(number): name for number, name in enumerate(names)}}))


def folder(path: Path, config: dict | str, **files: int) -> Path:
    """A model folder with files of so many bytes, which take no place."""
    path.mkdir()
    (path / "config.json").write_text(config if isinstance(config, str) else json.dumps(config), encoding="utf-8")
    for name, size in files.items():
        with (path / name).open("wb") as stream:
            stream.truncate(size)
    return path


def test_sizes_by_hand():
    layer = 4 * 8 * 8 + 2 * 8 * 16
    assert TINY.layer_weights() == layer == 512
    assert TINY.parameters() == 2 * layer + 100 * 8 == 1824
    assert ModelSize(8, 2, 4, 16, 100, weights=2**20).parameter_mb() == 4
    per_token = 16 * 8 + 4 * 16 + 5 * 4 * 32
    assert TINY.activation_mb(64, 32) == -(-4 * 2 * 64 * 32 * per_token // 2**20) == 13
    assert TINY.activation_mb(64, 32, predictions=2**20) == -(-4 * (2 * 64 * 32 * per_token + 300 * 2**20) // 2**20)
    assert TINY.reading_mb(64, 32) == -(-4 * 64 * 32 * (4 * 8 + 2 * 16 + 2 * 4 * 32) // 2**20) == 3
    assert TINY.training_operations(1000, 32) == 6 * 1000 * 2 * (layer + 2 * 32 * 8)
    assert TINY.training_operations(1000, 32, predicted_share=0.5) == 6 * 1000 * (2 * (layer + 512) + 0.5 * 800)


def test_minutes_by_hand():
    assert minutes(0, threads=2, accelerated=False, most=720) == 30
    assert minutes(40e9 * 60 * 5, threads=2, accelerated=False, most=720) == 35
    assert minutes(20e12 * 60 * 5, threads=2, accelerated=True, most=720, least=60) == 65
    assert minutes(1e30, threads=2, accelerated=False, most=720) == 720


def test_a_given_model_is_as_large_as_its_files_say(tmp_path):
    one = folder(tmp_path / "one", CONFIG)
    header(one / "model.safetensors", a=[768, 100], b=[200])
    (one / "pytorch_model.bin").write_bytes(b"x" * 100)
    assert folder_size(one) == ModelSize(768, 12, 12, 3072, 119_547, weights=77_000)
    shards = folder(tmp_path / "shards", CONFIG)
    for number in (1, 2):
        header(shards / f"model-0000{number}-of-00002.safetensors", a=[10, 10])
    index(
        shards / "model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    )
    assert folder_size(shards).weights == 200
    older = folder(tmp_path / "older", CONFIG, **{"pytorch_model.bin": 4_000_000})
    assert folder_size(older).weights == 1_000_000
    half = folder(tmp_path / "half", {**CONFIG, "torch_dtype": "float16"}, **{"pytorch_model.bin": 4_000_000})
    assert folder_size(half).weights == 2_000_000
    parts = {"pytorch_model-00001-of-00002.bin": 4_000, "pytorch_model-00002-of-00002.bin": 8_000}
    older = folder(tmp_path / "parts", CONFIG, **parts)
    index(older / "pytorch_model.bin.index.json", *parts)
    assert folder_size(older).weights == 3_000


def test_a_given_model_without_weights_or_sizes_is_reckoned(tmp_path):
    assert folder_size(folder(tmp_path / "bert", CONFIG)) == MBERT
    assert MBERT.parameter_mb() == 675  # mBERT's file has 681 MB of the encoder, with positions and norms
    assert folder_size(folder(tmp_path / "empty", {})) == guessed_size("")
    assert folder_size(folder(tmp_path / "list", "[1]")) == guessed_size("")
    assert folder_size(folder(tmp_path / "broken", "{")) == guessed_size("")
    assert folder_size(tmp_path / "none") == guessed_size("")
    mt5 = {"d_model": 512, "num_layers": 8, "num_decoder_layers": 8, "num_heads": 6, "d_ff": 1024, "vocab_size": 250112}
    assert folder_size(folder(tmp_path / "mt5", mt5)) == ModelSize(512, 16, 6, 1024, 250_112)
    del mt5["num_decoder_layers"]
    assert folder_size(folder(tmp_path / "mt5b", mt5)).num_hidden_layers == 16
    bad = folder(tmp_path / "bad", CONFIG, **{"model.safetensors": 4_000})
    assert folder_size(bad).weights == 1_000


def test_a_hugging_face_name_is_guessed():
    assert guessed_size("google/mt5-base@main").weights == 582_401_280
    assert guessed_size("FacebookAI/xlm-roberta-large").hidden_size == 1024
    assert guessed_size("google-bert/bert-base-multilingual-cased") == ModelSize(768, 12, 12, 3072, 250_002)


def test_a_vocabulary_is_as_large_as_its_file_says(tmp_path):
    tokens = "".join(f"t{number}\n" for number in range(119_546)) + "last"
    (tmp_path / "vocab.txt").write_text(tokens, encoding="utf-8")
    assert vocabulary_size(tmp_path / "vocab.txt") == vocabulary_size(tmp_path) == 119_547
    assert vocabulary_size(folder(tmp_path / "config", {"vocab_size": 30_522})) == 30_522
    quick = folder(tmp_path / "quick", {})
    (quick / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {"a": 0, "b": 1}}}), encoding="utf-8")
    assert vocabulary_size(quick) == 2
    assert vocabulary_size("google-bert/bert-base-multilingual-cased") == 119_547
    assert vocabulary_size(tmp_path / "none") == 119_547


JOBS = {
    "make_initial_model": {"run": ""},
    "tokenize_corpus": {"lang": "en"},
    "score_saliency": {"run": "", "saliency": "snip", "lang": "en"},
    "score_bake_off": {"lang": "en"},
    "allocate_ticket": {"run": ""},
    "build_checkpoint": {"run": ""},
    "pretrain_phase 1": {"run": "", "phase": "1"},
    "pretrain_phase 2": {"run": "", "phase": "2"},
    "score_held_out": {"run": "", "phase": "2"},
    "convert_model": {"run": ""},
    "export_language": {"run": "", "lang": "en"},
    "finetune_task panx": {"run": "", "task": "panx", "lang": "en", "seed": "1"},
    "finetune_task mlm": {"run": "", "task": "mlm", "lang": "en", "seed": "1"},
    "find_subnetworks panx": {"search": "", "task": "panx", "source": "en"},
    "find_subnetworks mlm": {"search": "", "task": "mlm", "source": "en"},
    "finetune_subnetwork": {"task": "panx", "source": "en", "mask_source": "full", "seed": "1"},
    "score_retrieval": {"lang": "fr", "other": "en", "mask_source": "full"},
}
LARGEST: dict[str, dict[str, str]] = {
    "config.yaml": {
        "make_initial_model": "1009 MB 30 min",
        "tokenize_corpus": "1015 MB 10 min",
        "score_saliency": "2040 MB 31 min",
        "score_bake_off": "2040 MB 31 min",
        "allocate_ticket": "1000 MB 10 min",
        "build_checkpoint": "2012 MB 30 min",
        "pretrain_phase 1": "3056 MB 61 min",
        "pretrain_phase 2": "3063 MB 61 min",
        "score_held_out": "3067 MB 31 min",
        "convert_model": "2024 MB 60 min",
        "export_language": "2024 MB 30 min",
        "finetune_task panx": "2128 MB 32 min",
        "finetune_task mlm": "2134 MB 30 min",
    },
    "neutral-paper.yaml": {
        "finetune_task panx": "16504 MB 310 min",
        "find_subnetworks panx": "18618 MB 2880 min",
        "finetune_subnetwork": "18618 MB 720 min",
        "find_subnetworks mlm": "36823 MB 2880 min",
    },
    "neutral-small.yaml": {
        "finetune_task panx": "8788 MB 306 min",
        "find_subnetworks panx": "10152 MB 295 min",
        "finetune_subnetwork": "10152 MB 97 min",
        "score_retrieval": "6810 MB 120 min",
    },
    "real-small.yaml": {
        "make_initial_model": "1387 MB 30 min",
        "tokenize_corpus": "2195 MB 10 min",
        "score_saliency": "3216 MB 34 min",
        "score_bake_off": "3216 MB 35 min",
        "allocate_ticket": "1000 MB 10 min",
        "build_checkpoint": "2516 MB 30 min",
        "pretrain_phase 1": "4915 MB 64 min",
        "pretrain_phase 2": "5322 MB 61 min",
        "score_held_out": "4855 MB 33 min",
        "convert_model": "3032 MB 60 min",
        "export_language": "3032 MB 30 min",
        "finetune_task panx": "3200 MB 37 min",
    },
    "tickets-paper.yaml": {
        "make_initial_model": "4129 MB 30 min",
        "tokenize_corpus": "2195 MB 10 min",
        "score_saliency": "12579 MB 1440 min",
        "score_bake_off": "12579 MB 1440 min",
        "allocate_ticket": "1396 MB 10 min",
        "build_checkpoint": "6238 MB 30 min",
        "pretrain_phase 1": "15582 MB 10080 min",
        "pretrain_phase 2": "15582 MB 10080 min",
        "score_held_out": "12569 MB 1440 min",
        "convert_model": "10344 MB 60 min",
        "export_language": "10344 MB 30 min",
        "finetune_task panx": "12360 MB 524 min",
    },
}


@pytest.fixture
def places(tmp_path, monkeypatch) -> Path:
    """Where presets find a vocabulary and a model of mBERT's size, of which no byte is read."""
    (tmp_path / "mbert").mkdir()
    (tmp_path / "mbert/vocab.txt").write_text("token\n" * 119_547, encoding="utf-8")
    encoder = folder(tmp_path / "encoder", CONFIG)
    header(encoder / "model.safetensors", all=[178_566_653])
    monkeypatch.setenv("POLYTICKET_DATA", str(tmp_path))
    monkeypatch.setenv("POLYTICKET_ENCODER", str(encoder))
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.mark.parametrize("name", sorted(LARGEST))
def test_the_largest_jobs_request_what_their_model_and_data_take(places, name):
    file = ROOT / "config" / name if name == "config.yaml" else ROOT / "config/presets" / name
    with read(places, file) as workflow:
        found = {job: requests(workflow, job.split()[0], **JOBS[job]) for job in LARGEST[name]}
    assert found == LARGEST[name]


def test_every_preset_is_in_the_table():
    assert {*LARGEST} == {"config.yaml", *(path.name for path in (ROOT / "config/presets").glob("*.yaml"))}


def test_every_rule_requests_more_memory_at_a_further_attempt_and_needs_no_profile(places):
    words = {"run": "", "lang": "en", "task": "panx", "phase": "2", "seed": "1", "part": "", "saliency": "snip"}
    words |= {"search": "", "source": "en", "mask_source": "full", "other": "fr", "picture": "saliency", "name": "a"}
    (places / "resources").symlink_to(ROOT / "resources")
    read_files = InputFiles(fromdict=dict.fromkeys(("dumps", "source"), str(ROOT / "Snakefile")))
    words |= {"compared": "tickets", "kind": "own", "step": "1", "range": "1"}
    with read(places, ROOT / "config/config.yaml") as workflow:
        for rule in workflow.rules:
            if rule.norun:
                continue
            attempts = [rule.expand_resources(Wildcards(fromdict=words), read_files, number) for number in (1, 2, 3)]
            assert {"mem_mb", "disk_mb", "runtime"} <= {*attempts[0].keys()}, rule.name
            first, *later = [found["mem_mb"] for found in attempts]
            assert later == [first * 3 // 2, first * 2], rule.name
    assert len(workflow._localrules) > 5


def test_gpus_and_the_tpu_are_requested_where_the_configuration_names_them(places):
    rules = ("score_saliency", "pretrain_phase", "score_held_out", "finetune_task", "score_zero_shot")

    def accelerators(workflow):
        words = Wildcards(fromdict={"run": "", "lang": "en", "task": "panx", "phase": "1", "seed": "1"})
        found = [workflow.get_rule(rule).expand_resources(words, InputFiles(), 1) for rule in rules]
        return [(one.get("gpu"), one.get("tpu")) for one in found]

    file = ROOT / "config/config.yaml"
    with read(places, file) as workflow:
        assert accelerators(workflow) == [(None, None)] * 5
    with read(places, file, gpus={"saliency": 1, "pretraining": 4, "finetuning": 1}) as workflow:
        assert accelerators(workflow) == [(1, None), (4, None), (4, None), (1, None), (1, None)]
    with read(places, file, pretraining={"distribution": "tpu"}) as workflow:
        assert accelerators(workflow)[1] == (None, 1)


def test_requests_follow_batch_length_parts_conflict_and_examples(places):
    small = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    with read(places, written(places / "small.yaml", small)) as workflow:
        before = requests(workflow, "pretrain_phase", run="", phase="2")
    small["pretraining"] |= {"batch_size": 32, "accumulation": 2}
    small["pretraining"]["conflict"] = {"mode": "exact"}
    with read(places, written(places / "exact.yaml", small)) as workflow:
        exact = requests(workflow, "pretrain_phase", run="", phase="2")
        examples = places / "train.arrow"
        examples.write_bytes(b"0" * 12_000_000)
        panx = {"run": "", "task": "panx", "lang": "en", "seed": "1"}
        tuned = requests(workflow, "finetune_task", {"train": str(examples)}, **panx)
    layers = 2 * (4 * 128**2 + 2 * 128 * 512)
    assert (before, exact) == ("3063 MB 61 min", f"{3062 + 4 * 10 * 4 * layers // 2**20} MB 61 min")
    assert tuned == f"{2128 + 8 * 12_000_000 // 2**20} MB 49 min"


def jobs(said: str) -> dict[str, tuple[int, int]]:
    """Benchmark file to MB and minutes requested, of all jobs that a dry run lists."""
    found = {}
    for job in re.split(r"^rule ", said, flags=re.MULTILINE)[1:]:
        file = re.search(r"^    benchmark: (\S+)$", job, re.MULTILINE)
        if file:
            found[file[1]] = tuple(int(re.search(rf"\b{key}=(\d+)", job)[1]) for key in ("mem_mb", "runtime"))
    return found


SURELY_SAMPLED = 5
"""Seconds that a job takes at least for its peak to be seen: Snakemake looks every few."""
MOST_OVER, OTHER_MACHINES_MB = 4, 1000
"""A request is at most so many times what was measured, and this much for software that loads more elsewhere (CUDA)."""


def hold_against_measured(workflow: Workflow, said: str) -> set[str]:
    """Compare what a dry run requests with what jobs measured when they ran; gives the rules that ran long enough."""
    sampled = set()
    for name, (most_mb, most_minutes) in jobs(said).items():
        path = workflow.folder / name
        if not path.exists():
            continue
        with path.open(encoding="utf-8") as stream:
            (row,) = csv.DictReader(stream, delimiter="\t")
        seconds, peak = float(row["s"]), 0 if row["max_rss"] in ("-", "NA") else float(row["max_rss"])
        assert seconds <= 60 * most_minutes, name
        assert peak <= most_mb, name
        if seconds >= SURELY_SAMPLED:
            assert most_mb <= MOST_OVER * peak + OTHER_MACHINES_MB, name
            sampled.add(Path(name).relative_to("results/benchmarks").parts[0])
    return sampled


@pytest.mark.workflow
def test_finished_jobs_measured_no_more_than_they_request_and_not_much_less(finished):
    said = finished.run("--dry-run", "--forceall", "results/panx/fr.json", "results/udpos/fr.json")
    assert hold_against_measured(finished, said) >= {"pretrain_phase"}


@pytest.mark.workflow
@pytest.mark.skipif(not (ROOT / "results/panx/fr.json").exists(), reason="the sample has not been run here")
def test_the_sample_measured_no_more_than_it_requests_and_not_much_less():
    sample = Workflow(ROOT, ())
    assert hold_against_measured(sample, sample.run("--dry-run", "--forceall")) >= {"pretrain_phase", "finetune_task"}
