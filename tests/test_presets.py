"""The presets of both papers, value by value: what was published, what is ours, and nothing that neither says."""

from pathlib import Path

import pytest
import yaml
from snakemake.iocontainers import Wildcards

from polyticket.config.completion import complete
from polyticket.core.languages import LANGUAGES
from tests.support.snakefile import ROOT, read

FOUND_FOR = {
    "panx": ["en", "fr", "de", "zh", "ru", "es", "fa", "ur", "ar"],
    "xnli": ["en", "fr", "de", "zh", "ru", "es", "ur", "ar", "hi", "sw"],
    "mlm": ["en", "fr", "de", "zh", "ru", "es", "fa", "ur", "ar", "hi", "sw"],
}
ROUND = {"panx": 1875, "xnli": 36813, "mlm": 10000}
TRANSFER = {"panx": 1875, "xnli": 36813, "mlm": 20000}
RATE = {"panx": 2e-5, "xnli": 5e-5, "mlm": 2e-5}
BATCH = {"panx": 32, "xnli": 32, "mlm": 16}
LENGTH = {"panx": 128, "xnli": 128, "mlm": 512}
TRANSFER_LENGTH = {"panx": 128, "xnli": 128, "mlm": 128}
MIXED = 20_000
"""Of WikiANN, the examples of each of these languages; of the mix, those of all its languages together."""

SEARCH = {
    "lr_decay_over": "search",
    "levels": 10,
    "step": 0.1,
    "step_of": "original",
    "rewind_head": False,
    "joint_pool": False,
    "pruning": "magnitude",
    "weights": "pretrained",
}
TRAINING = {
    "accumulation": 1,
    "eval_batch_size": 64,
    "label_all_tokens": False,
    "lr_schedule": "linear",
    "max_grad_norm": 1.0,
    "mlm_probability": 0.15,
    "num_beams": 1,
    "optimizer": "adamw",
    "precision": "auto",
    "warmup_steps": 0,
    "weight_decay": 0.0,
}
RETRIEVAL = {"neighbours": 5, "pooling": "mean", "sentences": 3003, "margins": ["ratio", "distance", "absolute"]}


@pytest.fixture(scope="module")
def neutral(tmp_path_factory) -> dict:
    """The globals of the workflow, as the preset of language-neutral sub-networks makes them."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("POLYTICKET_DATA", "/data")
        here = tmp_path_factory.mktemp("neutral")
        with read(here, ROOT / "config/presets/neutral-paper.yaml") as workflow:
            return dict(workflow.globals)


@pytest.mark.parametrize("task", FOUND_FOR)
def test_sub_networks_of_a_task_are_found_as_published(neutral, task):
    job = Wildcards(fromdict={"task": task, "search": "", "source": "en"})
    most = {"panx": MIXED, "xnli": None, "mlm": 500_000}[task]
    training = TRAINING | {"learning_rate": RATE[task], "batch_size": BATCH[task], "max_train_examples": most}
    assert neutral["search_options"](job) == SEARCH | {"steps_per_round": ROUND[task]}
    assert neutral["subnetwork_options"](job) == training | {"max_seq_length": LENGTH[task]}
    assert neutral["transfer_steps"](job) == TRANSFER[task]
    assert neutral["transfer_options"](job) == training | {"max_seq_length": TRANSFER_LENGTH[task]}
    assert neutral["found_languages"](task) == FOUND_FOR[task]


def test_rounds_and_transfers_of_tasks_with_labels_are_three_epochs():
    assert 3 * MIXED / BATCH["panx"] == ROUND["panx"] == TRANSFER["panx"]
    assert 3 * (392_702 // BATCH["xnli"]) == ROUND["xnli"] == TRANSFER["xnli"]


def test_what_all_tasks_share_is_as_published(neutral):
    config, section = neutral["config"], neutral["SUBNETWORKS"]
    assert config["languages"] == FOUND_FOR["mlm"]
    assert config["finetune_from"] == "google-bert/bert-base-multilingual-cased"
    assert neutral["SPARSITIES"] == ["10", "20", "30", "40", "50", "60", "70", "80", "90"]
    assert section["mixes"] == {"en_fa_fr_zh": ["en", "fa", "fr", "zh"]}
    assert [task for task, sources in section["find"].items() if "en_fa_fr_zh" in sources] == ["panx"]
    assert [f"{pair[0]}-{pair[1]}" for pair in section["retrieval"]["pairs"]] == ["en-fr"]
    assert {key: section["retrieval"][key] for key in RETRIEVAL} == RETRIEVAL
    assert (section["transfer_sparsity"], section["seeds"], section["controls"]) == (
        50,
        [1, 2, 3],
        ["magnitude", "random"],
    )


TICKETS = {
    "seed": 42,
    "remain_ratio": 0.75,
    "mask_method": "linear",
    "saliency": "snip",
    "finetune_from": None,
    "prune_model": False,
    "extra_languages": {},
    "ticket": {"scope": "global", "floor": 0, "align": 1},
    "records": {
        "dupe_factor": 5,
        "short_seq_prob": 0.1,
        "masked_lm_prob": 0.15,
        "whole_word_masking": False,
        "shards": 10,
        "held_out_share": 0.01,
        "held_out_documents": 500,
    },
    "model": {
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "max_position_embeddings": 512,
        "scaled_heads": 16,
        "initializer_range": 0.02,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "dropout": 0.1,
    },
    "saliency_options": {
        "token_budget": 2_500_000,
        "batch_size": 8,
        "dropout": True,
        "batches_at_once": 1,
        "precision": "float32",
        "device": "auto",
        "agreement_ratio": 0.75,
        "stop_when_stable": None,
        "bake_off": ["snip", "grasp", "synflow", "fisher", "magnitude"],
    },
    "pretraining": {
        "phases": [
            {"max_seq_length": 128, "max_predictions": 20, "until_step": 900_000},
            {"max_seq_length": 512, "max_predictions": 80, "until_step": 1_000_000},
        ],
        "batch_size": 256,
        "languages_per_step": 8,
        "learning_rate": 1e-4,
        "warmup_steps": 10_000,
        "weight_decay": 0.01,
        "sampling_exponent": 0.7,
        "sampling_temperature": None,
        "sampling_ratios": None,
        "save_steps": 25_000,
        "keep_checkpoints": 2,
        "log_steps": 50,
        "jit": True,
        "held_out_instances": 1000,
        "distribution": "tpu",
        "compute": "masked",
        "compact_multiple": 8,
        "precision": "float32",
        "accumulation": 1,
        "conflict": {"mode": "none", "layers": None, "matrices": None, "width": 16381},
    },
    "finetuning": {
        "max_seq_length": 128,
        "batch_size": 8,
        "accumulation": 4,
        "learning_rate": 2e-5,
        "lr_schedule": "linear",
        "optimizer": "adamw",
        "mlm_probability": 0.15,
        "num_beams": 1,
        "warmup_steps": 0,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "epochs": 2,
        "adaptive_least_seen": 10_000,
        "max_steps": None,
        "max_train_examples": None,
        "save_steps": 1000,
        "eval_batch_size": 64,
        "patience": None,
        "precision": "auto",
        "label_all_tokens": False,
        "seeds": None,
        "keep_models": True,
        "mask_method": None,
        "mask_language": None,
        "per_task": {},
    },
    "vocabulary": {
        "source": "tokenizer",
        "path": "bert-base-multilingual-cased",
        "size": 119_547,
        "alphabet": 6000,
        "sentences_per_language": None,
    },
    "text": {
        "drop_duplicates": False,
        "min_characters": 0,
        "min_script_share": 0,
        "formula": None,
        "max_residual_markup": 50,
    },
    "variants": {
        "dense": {"mask_method": "constant", "model": {"scaled_heads": None}},
        "constant": {"mask_method": "constant"},
        "random": {"saliency": "random"},
    },
    "evaluate": {"panx": ["en", "fr", "ur", "sw"], "udpos": ["en", "fr", "ur"], "xnli": [], "mlm": []},
}
PLACES = {
    *("data", "download", "store", "store_options", "extraction", "threads", "gpus", "pathvars", "unknown_words"),
    *("task_data", "predict_also", "zero_shot", "subnetworks", "export", "languages"),
}
"""Where things are and how much of a machine is taken; sections of other systems and of tasks that are not run."""


def test_every_value_of_the_preset_of_multilingual_tickets_is_stated():
    text = Path(ROOT / "config/presets/tickets-paper.yaml").read_text(encoding="utf-8")
    config = complete(yaml.safe_load(text))
    assert {*config} == {*TICKETS, *PLACES}
    assert {key: config[key] for key in TICKETS} == TICKETS
    assert sorted(config["languages"]) == sorted(LANGUAGES)
    assert len(config["languages"]) == 103
