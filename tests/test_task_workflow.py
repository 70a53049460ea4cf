"""Tasks and sub-networks as a user runs them: transfer, comparisons, pruning round by round."""

import csv
import json
import re
import shutil

import numpy as np
import pytest

from polyticket.model.folder import Model, read_model, write_model
from polyticket.pruning.files import read_subnetwork
from polyticket.tasks.example_files import read_examples
from polyticket.tasks.examples import Sentence
from polyticket.tasks.predictions import read_predictions
from polyticket.tasks.table import TASKS
from tests.support.workflow import PANX, TARGETS, Workflow

pytestmark = pytest.mark.workflow

SMALLER = "variants={smaller: {prune_model: true}}"
SEARCH = "subnetworks={find: {panx: [fr, sw]}, levels: 4, step: 0.2, steps_per_round: 3, transfer_sparsity: 40}"


def read(workflow: Workflow, path: str):
    return json.loads((workflow.folder / path).read_text(encoding="utf-8"))


def rows(workflow: Workflow, path: str) -> list[dict[str, str]]:
    with open(workflow.folder / path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_variant_that_only_prunes_fine_tunes_the_main_runs_model(finished):
    wanted = "results/variants/smaller/panx/fr.json"
    assert finished.planned(wanted, "--config", SMALLER) == {"finetune_task": 1, "summarize_seeds": 1}


def test_runs_are_compared_language_by_language(copy):
    copy.run("results/compare/panx.svg", "--config", SMALLER, "finetuning={seeds: [1, 2]}")
    assert read(copy, "results/compare/panx.json")["runs"] == ["main", "smaller"]
    row, mean = rows(copy, "results/compare/panx.csv")
    variant = read(copy, "results/variants/smaller/panx/fr.json")
    assert (row["language"], mean["language"]) == ("fr", "mean")
    assert float(row["smaller mean"]) == pytest.approx(variant["test"]["f1"], abs=1e-4)
    assert [one["seed"] for one in variant["seeds"]] == [1, 2]
    assert variant["sd"]["test"]["f1"] >= 0
    assert 0 < float(row["smaller p"]) <= 1
    assert copy.planned(*TARGETS) == {"summarize_seeds": 1}  # of the seed that is the default


def test_transfer_between_languages_is_scored_from_what_was_fine_tuned(copy):
    wanted = "results/zero_shot/panx.svg"
    change = ("--config", "zero_shot={panx: [fr]}", "predict_also={panx: [sw]}", 'data={panx: "own/{lang}"}')
    shutil.copytree(copy.folder / "resources/sample/panx/fr", copy.folder / "own/fr")
    (copy.folder / "own/sw").mkdir()
    shutil.copy(copy.folder / "resources/sample/panx/sw/test", copy.folder / "own/sw/test")
    planned = copy.planned(wanted, *change)
    assert planned == {
        "load_task": 2,
        "finetune_task": 1,
        "score_zero_shot": 1,
        "tabulate_zero_shot": 1,
        "plot_zero_shot": 1,
    }
    copy.run(wanted, *change)
    matrix = read(copy, "results/zero_shot/panx.json")
    assert (matrix["sources"], matrix["targets"], matrix["score"]) == (["fr"], ["fr", "sw"], "f1")
    assert matrix["mean"][0][0] == pytest.approx(read(copy, "results/panx/fr/seed_42.json")["test"]["f1"])
    by_class = read(copy, "results/zero_shot/panx/fr/seed_42.json")["by_class"]
    assert by_class["fr"] == read(copy, "results/panx/fr/seed_42.json")["by_class"]["test"]
    place = "results/zero_shot/predictions/fr/seed_42/panx"
    own = "results/predictions/seed_42/panx/test-fr.tsv"
    assert [path.name for path in copy.found(f"{place}/*.tsv")] == ["test-fr.tsv", "test-sw.tsv"]
    assert copy.sha256(f"{place}/test-fr.tsv") == copy.sha256(own)
    examples = read_examples(copy.folder / "results/tasks/panx/sw/test.arrow", Sentence)
    predictions = read_predictions(copy.folder / place / "test-sw.tsv", TASKS["panx"], examples)
    assert TASKS["panx"].metric.score(examples, predictions)["f1"] == matrix["mean"][0][1]
    assert copy.planned(wanted, *change) == {}


def test_a_given_model_is_fine_tuned_and_nothing_is_pretrained(copy):
    (copy.folder / "given").symlink_to(copy.folder / "results/model")
    change = ("--config", "finetune_from=given")
    assert copy.planned(PANX, *change) == {"finetune_task": 1, "summarize_seeds": 1}
    code, said = copy.tried("--cores", "2", PANX, "--config", "finetune_from=./none")
    assert code != 0
    assert "none: no such folder; expected a model's folder, or a Hugging Face name" in said


def test_words_that_a_given_tokenizer_misreads_stop_the_run(copy):
    assert read(copy, "results/panx/fr/seed_42.json")["unknown_words"]["test"]["misread"] == 0
    given = copy.folder / "given"
    shutil.copytree(copy.folder / "results/model", given)
    (given / "vocab.txt").unlink()
    tokenizer = json.loads((given / "tokenizer.json").read_text(encoding="utf-8"))
    pieces = tokenizer["model"]["vocab"]
    special = {token["content"] for token in tokenizer["added_tokens"]}
    tokenizer["model"]["vocab"] = {
        piece if piece == piece.lower() or piece in special else f"[unused{number}]": number
        for piece, number in pieces.items()
    }
    (given / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    code, said = copy.tried("--cores", "1", PANX, "--config", "finetune_from=given", "--retries", "0")
    assert code != 0
    (told,) = {row for row in said.splitlines() if "polyticket: error:" in row}
    assert re.fullmatch(
        r"polyticket: error: given: \d\d% of the words of fr are unknown to the tokenizer, such as .*; the text has"
        r" capitals and the vocabulary none, .*; expected a share of at most 0\.1, or another"
        r" unknown_words\.max_misread_share .*",
        told,
    )
    assert not (copy.folder / "results/panx/fr/seed_42.json").exists()


def test_a_file_of_languages_and_data_alone_runs(copy):
    data = "{dumps: 'resources/sample/wiki/{lang}/*.bz2', panx: 'resources/sample/panx/{lang}'}"
    least = f"languages: [fr, sw]\ndata: {data}\n"
    (copy.folder / "least.yaml").write_text(least, encoding="utf-8")
    copy.arguments = ("--configfile", "least.yaml")
    planned = copy.planned(PANX, "--forceall")
    assert (planned["pretrain_phase"], planned["make_records"], planned["finetune_task"]) == (2, 4, 1)
    (copy.folder / "results/model").rename(copy.folder / "given")
    shutil.rmtree(copy.folder / "results")
    change = ("--config", "finetune_from=./given", "finetuning={adaptive_least_seen: 60, epochs: 1}")
    copy.run(PANX, *change)
    assert read(copy, PANX)["examples"]["train"] == 600
    assert copy.planned(PANX, *change) == {}


def test_every_other_task_runs(copy):
    wanted = ["results/xnli/fr.json", "results/mlm/fr.json", "results/baseline/xnli/fr.json"]
    copy.run(*wanted)
    assert read(copy, wanted[0])["test"]["invalid"] == 0
    assert read(copy, wanted[1])["test"]["perplexity"] < 500  # of 500 pieces
    assert read(copy, wanted[1])["examples"]["test"] == read(copy, wanted[1])["examples"]["dev"] > 5


def test_sub_networks_are_found_transferred_and_compared(copy):
    wanted = [
        "results/transfer/panx.svg",
        "results/subnetworks/panx.winning.svg",
        "results/subnetworks/panx.winning.csv",
        "results/overlap/subnetworks/overlap.svg",
    ]
    copy.run(*wanted, "--config", SEARCH)
    levels = read(copy, "results/subnetworks/panx/fr/levels.json")
    assert [level["sparsity"] for level in levels["levels"]] == ["0", "20", "40", "60"]
    total = levels["levels"][0]["kept"]
    assert [level["kept"] for level in levels["levels"]] == [
        total,
        int(0.8 * total),
        int(0.6 * total),
        int(0.4 * total),
    ]
    masks = read_subnetwork(copy.folder / "results/subnetworks/panx/fr/40.safetensors")
    assert masks.languages == ("panx/fr/42",)
    assert int(np.sum(masks.masks.counts())) == levels["levels"][2]["kept"]
    transfer = rows(copy, "results/transfer/panx.csv")
    assert [row["mask"] for row in transfer] == ["full", "panx-fr-40", "panx-sw-40", "magnitude-40", "random-40"]
    assert transfer[0].keys() == {"mask", "sparsity", "fr", "sw"}
    assert {row["pruning"] for row in rows(copy, "results/subnetworks/panx.winning.csv")} == {"iterative"}
    afresh = {(row["language"], row["sparsity"]): row for row in rows(copy, "results/subnetworks/panx.levels.csv")}
    assert [*afresh] == [(lang, sparsity) for lang in ("fr", "sw") for sparsity in ("0", "20", "40", "60")]
    for lang, mask in (("fr", "panx-fr-40"), ("sw", "panx-sw-40")):  # the diagonal of the transfer table
        own = next(row for row in transfer if row["mask"] == mask)
        assert float(afresh[lang, "40"]["score"]) == pytest.approx(float(own[lang]), abs=1e-4)
    assert levels["levels"][3]["in_search"].keys() == {"loss", "dev", "test"}
    (pair,) = (row for row in rows(copy, "results/overlap/subnetworks/pairs.csv") if row["by"] == "all")
    assert float(pair["expected_jaccard"]) < float(pair["jaccard"]) < 1
    assert copy.planned(*wanted, "--config", SEARCH) == {}
    assert not copy.found("results/subnetworks/panx/fr/.rounds/*")


def test_a_search_that_is_killed_goes_on_after_its_last_round(copy):
    wanted, change = "results/subnetworks/panx/fr/60.safetensors", ("--config", SEARCH)
    rounds = "results/subnetworks/panx/fr/.rounds/*/round_002.safetensors"
    copy.killed_when(lambda: copy.found(rounds), wanted, *change)
    assert not (copy.folder / wanted).exists()
    copy.run("--unlock")
    copy.run(wanted, *change)
    assert "rounds are done" in (copy.folder / "logs/find_subnetworks/panx.fr.log").read_text(encoding="utf-8")
    first = copy.sha256(wanted)
    copy.run(wanted, *change, "--forcerun", "find_subnetworks")
    assert copy.sha256(wanted) == first


def test_retrieval_reads_the_encoder_that_its_mask_source_names(copy):
    place = copy.folder / "parallel" / "fr-en"
    place.mkdir(parents=True)
    text = (copy.folder / "results/corpus/fr/sentences.txt").read_text(encoding="utf-8")
    sentences = [line.split() for line in text.split("\n") if line][:60]
    for name, words in (("fr", sentences), ("en", [sentence[::2] for sentence in sentences])):
        (place / f"{name}.txt").write_text("\n".join(map(" ".join, words)) + "\n", encoding="utf-8")
    masked, plain = read_model(copy.folder / "results/model"), copy.folder / "plain"
    plain.mkdir()
    write_model(Model(masked.shape, masked.weights), plain, tokenizer=copy.folder / "results/model")
    mask_sources = ("full", "random-40", "full-reinitialized", "full+random-40")
    wanted = [f"results/retrieval/fr/en/{mask_source}.json" for mask_source in mask_sources]
    choice = "retrieval: {parallel: 'parallel/{lang}-{other}', neighbours: 3, sentences: 50}, model: ./plain}"
    copy.run(*wanted, "--config", f"{SEARCH[:-1]}, {choice}")
    found = [read(copy, path) for path in wanted]
    assert [(one["neighbours"], one["sentences"], one["density"][0]) for one in found[::3]] == [(3, 50, 1.0)] * 2
    assert all(found[0]["layers"] != one["layers"] for one in found[1:])
    assert found[1]["density"] == found[3]["density"][1:] * 2 == [pytest.approx(0.6, abs=1e-4)] * 2


def test_what_small_choices_of_sub_networks_plan(finished, tmp_path):
    constant, mixed = "mask_method=constant", "mixes: {both: [fr, sw]}, find: {panx: [both]}"
    planned = finished.planned("results/transfer/panx.csv", "--config", constant, f"subnetworks={{{mixed}}}")
    assert planned["find_subnetworks"] == 1
    assert planned["finetune_subnetwork"] == 2 * len(("full", "both", "magnitude", "random"))
    alone = "subnetworks={find: {panx: [fr], udpos: [sw]}, distances: {syntactic: none.csv}}"
    assert "compare_subnetworks" not in finished.planned("--config", alone)
    winning, table = "results/subnetworks/panx.winning.csv", "results/transfer/panx.csv"
    assert finished.planned(winning, "--config", SEARCH)["finetune_subnetwork"] == 2 * len((0, 20, 40, 60))
    both = finished.planned(winning, table, "--config", SEARCH)["finetune_subnetwork"]
    assert both == 8 + 2 * len(("the other's", "magnitude", "random"))
    others = "subnetworks={find: {panx: [fr]}, controls: [random, magnitude, reinitialized]}"
    planned = finished.planned(winning, "--config", others)
    assert (planned["find_subnetworks"], planned["finetune_subnetwork"]) == (2, 4 * 9 + len(("full", "reinitialized")))
    control = ("results/transfer/panx/fr/finetuned-panx-sw-40/seed_42.json", "--config", SEARCH)
    assert finished.planned(*control)["find_subnetworks"] == 1
