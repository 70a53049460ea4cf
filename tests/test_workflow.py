"""The workflow as a user runs it: what it makes, what it makes again, and what it survives."""

import bz2
import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from polyticket.store.directories import owner_of
from tests.support.dump_server import DumpServer, Fault
from tests.support.workflow import PANX, ROOT, SMALL, TARGETS, UDPOS, UMASK, Workflow

pytestmark = pytest.mark.workflow

ALL_JOBS = {
    "load_task": 2,
    "collect_templates": 2,
    "extract_articles": 2,
    "split_sentences": 2,
    "check_text": 2,
    "build_vocabulary": 1,
    "tokenize_corpus": 2,
    "make_records": 4,
    "make_initial_model": 1,
    "score_saliency": 2,
    "allocate_ticket": 1,
    "build_checkpoint": 1,
    "upload_checkpoint": 1,
    "pretrain_phase": 2,
    "convert_model": 1,
    "finetune_task": 2,
    "summarize_seeds": 2,
}
FINETUNED = {"finetune_task": 2, "summarize_seeds": 2}
TIMES = ("wall_seconds", "sentences_per_second")
RULES = list(ALL_JOBS)


def jobs_from(first: str) -> dict[str, int]:
    """All jobs of a rule and of those that follow it in `RULES`."""
    return {rule: ALL_JOBS[rule] for rule in RULES[RULES.index(first) :]}


def without(jobs: dict[str, int], *rules: str) -> dict[str, int]:
    return {rule: count for rule, count in jobs.items() if rule not in rules}


def result(workflow: Workflow, path: str = PANX) -> dict:
    """A result without what may differ between two equal runs: the time it took."""
    found = json.loads((workflow.folder / path).read_text(encoding="utf-8"))
    for part in (found, *found["seeds"]):
        assert all(part.pop(key) > 0 for key in TIMES if key in part)
    return found


def digests(workflow: Workflow) -> dict[str, str]:
    """What two runs must have in common, to the byte."""
    paths = (
        "results/ticket.safetensors",
        "results/ticket.stats.json",
        "results/model/model.safetensors",
        "results/pretraining/phase_1.losses.csv",
        "results/pretraining/phase_2.losses.csv",
        "results/panx/fr/seed_42.curve.csv",
        "results/panx/fr/seed_42.safetensors",
        "results/predictions/seed_42/panx/test-fr.tsv",
    )
    return {path: workflow.sha256(path) for path in paths}


def test_a_second_run_has_nothing_to_do(finished):
    assert finished.planned(*TARGETS) == {}
    assert "Nothing to be done" in finished.run(*TARGETS)


def test_the_result_tells_how_it_came_about(finished):
    found, ticket = result(finished), json.loads((finished.folder / "results/ticket.stats.json").read_text())
    assert found.keys() >= {"dev", "test", "sd", "seeds", "examples", "data", "density", "digests", "versions"}
    pretrained = json.loads((finished.folder / "results/pretraining/phase_2.json").read_text())
    for made, threads in ((found, 1), (pretrained, 2)):
        assert made["processor"]["name"]
        assert made["processor"]["threads"] == threads
        assert made["processor"]["settings"]["TF_ENABLE_ONEDNN_OPTS"] == "1"
    assert found["test"].keys() == found["dev"].keys() == {"precision", "recall", "f1"}
    assert (found["task"], found["language"], [one["seed"] for one in found["seeds"]]) == ("panx", "fr", [42])
    assert (found["mask_method"], found["remain_ratio"], found["saliency"]) == ("linear", 0.75, "snip")
    assert found["examples"] == {"train": 60, "dev": 150, "test": 150}
    assert found["data"]["duplicates"].keys() == {"train", "dev", "test"}
    assert found["density"] == ticket["density"]["fr"]
    assert found["digests"]["ticket"] == ticket["sha256"] == finished.sha256("results/ticket.safetensors")
    assert found["versions"].keys() >= {"python", "polyticket", "torch", "seqeval"}
    assert "accuracy" in result(finished, UDPOS)["test"]


def test_every_job_leaves_a_log_and_a_benchmark(finished):
    logs = {p.relative_to(finished.folder / "logs").with_suffix("") for p in finished.found("logs/**/*.log")}
    times = finished.folder / "results/benchmarks"
    assert logs == {p.relative_to(times).with_suffix("") for p in times.rglob("*.tsv")}
    jobs = [path.parts[0] for path in logs]
    assert {rule: jobs.count(rule) for rule in set(jobs)} == ALL_JOBS
    for path in times.rglob("*.tsv"):
        head, row = path.read_text().splitlines()
        assert head.startswith("s\th:m:s\tmax_rss")
        assert float(row.split("\t")[0]) > 0


def test_long_steps_show_progress_in_their_logs(finished):
    said = {rule: "".join(p.read_text() for p in finished.found(f"logs/{rule}/*.log")) for rule in RULES}
    assert re.search(r"saliency fr: 3,0\d\d/3,000 tokens|saliency fr: 3,000/3,000 tokens", said["score_saliency"])
    assert re.search(r"pretraining: 40/40 steps, [\d.]+ steps/s, loss [\d.]+", said["pretrain_phase"])
    assert re.search(r"fine-tuning panx fr: (\d+)/\1 steps, [\d.]+ steps/s, loss [\d.]+", said["finetune_task"])


def test_nothing_is_left_beside_the_results(finished, fresh):
    assert [path for path in finished.found("**/*") if path.name.endswith(".part")] == []
    before, after = ({path.name for path in one.folder.iterdir()} - {".snakemake"} for one in (fresh, finished))
    assert after - before == {"logs", "results", "store"}


def test_all_that_is_made_has_the_umasks_mode(finished):
    """Weights, tickets, Arrow files, records, tokenizers, live checkpoints, logs: a colleague reads and writes them."""
    made = finished.found("results/**/*") + finished.found("logs/**/*")
    assert {path.suffix for path in made} >= {".safetensors", ".arrow", ".json", ".npz", ".npy", ".tfrecord", ".log"}
    wanted = {path: 0o777 & ~UMASK if path.is_dir() else 0o666 & ~UMASK for path in made}
    assert {path: stat.S_IMODE(path.stat().st_mode) for path in made} == wanted


def test_another_remain_ratio_reruns_the_ticket_and_what_follows(finished):
    assert finished.planned(*TARGETS, "--config", "remain_ratio=0.85") == jobs_from("allocate_ticket")
    assert finished.planned("results/ticket.safetensors", "--config", "remain_ratio=0.85") == {"allocate_ticket": 1}


@pytest.mark.parametrize(
    ("change", "jobs"),
    [
        ("finetuning={learning_rate: 1e-4}", FINETUNED),
        ("finetuning={per_task: {udpos: {epochs: 2}}}", {"finetune_task": 1, "summarize_seeds": 1}),
        ("task_data={drop_duplicates: true}", {"load_task": 2, **FINETUNED}),
        ("finetuning={seeds: [42, 43]}", FINETUNED),
        ("saliency_options={token_budget: 4000}", jobs_from("score_saliency")),
        ("text={max_residual_markup: 60}", {"check_text": 2}),
        ("unknown_words={max_share: 0.95, max_misread_share: null}", {}),
        ("ticket={scope: language}", jobs_from("allocate_ticket")),
        ("pretraining={learning_rate: 0.002}", jobs_from("pretrain_phase")),
        ("records={masked_lm_prob: 0.2}", without(jobs_from("make_records"), "make_initial_model")),
        ("records={held_out_share: 0.1}", without(jobs_from("tokenize_corpus"), "make_initial_model")),
        ("pretraining={held_out_instances: 10}", {}),
        ("pretraining={compute: compact}", jobs_from("pretrain_phase")),
        ("pretraining={conflict: {mode: sketch, width: 101}}", jobs_from("pretrain_phase")),
        ("evaluate={panx: [fr, sw]}", {}),
        ("store_options={user_project: my-project}", {}),
        ("variants={other: {remain_ratio: 0.5}}", {}),
    ],
)
def test_a_changed_setting_reruns_what_it_decides(finished, change, jobs):
    assert finished.planned(*TARGETS, "--config", change) == jobs


HELD_OUT = "results/pretraining/phase_2.held_out.json"


def test_held_out_records_are_made_where_their_scores_are_wanted(finished):
    assert finished.planned(HELD_OUT) == {"make_records": 2, "score_held_out": 1}
    figure = "results/report/held_out.svg"
    assert finished.planned(figure) == {"make_records": 4, "score_held_out": 2, "plot_held_out": 1}
    assert figure in finished.run("--dry-run")
    assert figure not in finished.run("--dry-run", "--config", "records={held_out_share: 0}")


def test_held_out_records_are_scored_with_the_last_checkpoint(copy):
    copy.run(HELD_OUT)
    found = json.loads((copy.folder / HELD_OUT).read_text(encoding="utf-8"))
    assert (found["phase"], found["step"], found["mask_method"]) == (2, 40, "linear")
    assert found["digests"]["checkpoint"] == result(copy)["digests"]["checkpoint"]
    for lang in ("fr", "sw"):
        parts = [
            json.loads((copy.folder / f"results/{part}tokens/{lang}/stats.json").read_text())
            for part in ("", "held_out/")
        ]
        assert parts[1]["documents"] == round(0.05 * parts[1]["whole"]["documents"]) == 14
        assert parts[0]["documents"] + parts[1]["documents"] == parts[1]["whole"]["documents"]
        assert found["languages"][lang]["instances"] > 14
        assert 0 <= found["languages"][lang]["mlm_accuracy"] < 0.3
        assert found["languages"][lang]["perplexity"] < 500  # of 500 pieces, untrained or nearly so
    first = copy.sha256(HELD_OUT)
    copy.run(HELD_OUT, "--forcerun", "score_held_out")
    assert copy.sha256(HELD_OUT) == first
    assert copy.planned(HELD_OUT, "--config", "pretraining={held_out_instances: 10}") == {"score_held_out": 1}


def test_conflict_is_tabulated_at_the_steps_at_which_it_was_measured(copy):
    table = "results/conflict/updates/12.csv"
    assert copy.planned(table) == {"tabulate_conflict": 1}
    copy.run(table, "results/conflict/gradients/40.csv")
    rows = [line.split(",") for line in (copy.folder / table).read_text(encoding="utf-8").splitlines()]
    assert rows[0] == ["language", "fr", "sw"]
    assert (rows[1][1], rows[2][2]) == ("1.000000", "1.000000")
    assert rows[1][2] == rows[2][1] != "0.000000"
    about = json.loads((copy.folder / table.replace("csv", "json")).read_text(encoding="utf-8"))
    assert (about["step"], about["since"], sum(about["steps"].values())) == (12, 0, 12)
    code, said = copy.tried("--cores", "2", "results/conflict/updates/13.csv")
    assert code != 0
    assert "conflict was not measured at step 13; expected a multiple of 2 up to 40" in said


@pytest.fixture(scope="module")
def edited(finished, tmp_path_factory) -> Workflow:
    return finished.copied(tmp_path_factory.mktemp("workflow") / "edited")


@pytest.mark.parametrize(
    ("module", "old", "new", "jobs"),
    [
        ("tickets/allocation.py", "largest <= 1e-20", "largest <= 1e-21", jobs_from("allocate_ticket")),
        ("tasks/training.py", "eps=1e-8", "eps=1e-7", FINETUNED),
        ("pretraining/optimizer.py", "beta_1: float = 0.9", "beta_1: float = 0.8", jobs_from("pretrain_phase")),
        (
            "records/masking.py",
            "def ",
            "UNUSED = 1\n\n\ndef ",
            without(jobs_from("make_records"), "make_initial_model"),
        ),
        ("cli.py", "import sys\n", "import re\nimport sys\n", {}),
        ("tickets/allocation.py", '"""Allocation: from', '"""Allocation, all the way from', {}),
        ("tickets/allocation.py", "    _check(scores)\n", "    # first of all\n    _check(scores)\n", {}),
        ("core/logs.py", "every: float = 5.0", "every: float = 2.0", {}),
        ("pretraining/run.py", '"pretraining from', '"training from', {}),
        ("../../workflow/scripts/finetune_task.py", '"""', '"""Now: ', {}),
        ("../../workflow/scripts/finetune_task.py", "with logged(", "UNUSED = 1\nwith logged(", FINETUNED),
    ],
    ids=[
        *("allocation", "training", "optimizer", "masking", "command", "docstring", "comment"),
        *("logs", "message", "docstring of a script", "script"),
    ],
)
def test_an_edited_module_reruns_what_uses_it(edited, module, old, new, jobs):
    path = edited.folder / "src/polyticket" / module
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    try:
        assert edited.planned(*TARGETS) == jobs
    finally:
        path.write_text(text, encoding="utf-8")


def test_phases_of_edited_code_are_found_at_the_store_and_not_trained_again(copy):
    losses = [f"results/pretraining/phase_{phase}.losses.csv" for phase in (1, 2)]
    before = [copy.sha256(path) for path in losses]
    path = copy.folder / "src/polyticket/pretraining/feed.py"
    path.write_text(path.read_text(encoding="utf-8") + "\n\nUNUSED = 1\n", encoding="utf-8")
    assert copy.planned(losses[1]) == {"pretrain_phase": 2}
    copy.run(losses[1])
    assert [copy.sha256(path) for path in losses] == before
    for phase, step in ((1, 12), (2, 40)):
        said = (copy.folder / f"logs/pretrain_phase/{phase}.log").read_text(encoding="utf-8")
        assert f"pretraining from step {step} to {step}" in said


MISTAKES = {
    "remain_ratio=1.5": "config remain_ratio: 1.5 is not allowed; expected number > 0, ≤ 1",
    "remain_ratio=nan": "config remain_ratio: nan is not allowed; expected number > 0, ≤ 1",
    "remain_ration=0.5": "config remain_ration: unknown key; expected one of languages, extra_languages, ",
    "languages=[fr,xx]": "config languages: unknown language 'xx'; expected an entry 'xx' in extra_languages",
    'data={dumps: "none/{lang}/*.bz2"}': "config data.dumps: no dump of 'fr' at none/fr/*.bz2; expected a glob of",
    'data={dumps: "$NO_SUCH/{lang}/*"}': "config data.dumps: environment variable NO_SUCH is not set; expected a",
}


@pytest.mark.parametrize(("change", "line"), MISTAKES.items())
def test_a_mistake_in_the_configuration_ends_in_one_line_before_anything_runs(fresh, change, line):
    code, said = fresh.tried("--cores", "2", PANX, "--config", change)
    assert code != 0
    (told,) = [row for row in said.splitlines() if "polyticket: error:" in row]
    assert told.startswith(f"polyticket: error: {line}")
    assert "Traceback" not in said
    assert not {"results", "store", "logs"} & {path.name for path in fresh.folder.iterdir()}


def test_a_mistake_in_data_ends_in_one_line_and_leaves_nothing(fresh, tmp_path):
    bad = fresh.copied(tmp_path / "bad")
    (bad.folder / "panx/fr").mkdir(parents=True)
    for split in ("train", "dev", "test"):
        (bad.folder / "panx/fr" / split).write_text("fr:Paris\tB-LOC\nfr:brille\n", encoding="utf-8")
    code, said = bad.tried("--cores", "2", "results/baseline/panx/fr.json", "--config", 'data={panx: "panx/{lang}"}')
    assert code != 0
    (told,) = [row for row in said.splitlines() if "polyticket: error:" in row]
    assert told == "polyticket: error: panx/fr/train:2: 1 column where two are needed; expected word<TAB>tag"
    assert "Traceback" not in said
    assert "Traceback" in (bad.folder / "logs/load_task/panx.fr.log").read_text(encoding="utf-8")
    assert [path for path in bad.found("results/**/*") if path.is_file()] == []


def steps_at(workflow: Workflow, phase: int) -> list[int]:
    """The steps of the complete checkpoints of a phase at the store."""
    found = workflow.found(f"store/pretraining/phase_{phase}/run-*/*/manifest.json")
    return [int(path.parent.name.removeprefix("step-")) for path in found]


def moments(workflow: Workflow) -> Iterator[tuple[str, object, object]]:
    """When to kill, and what must be true of such a moment: a name, what is waited for, what must not be there yet."""
    results = workflow.folder / "results"
    yield "records", lambda: workflow.found("results/records/phase_*/.*.part"), results / "saliency/snip/fr.safetensors"
    yield "first phase", lambda: steps_at(workflow, 1), results / "pretraining/phase_1.json"
    yield "second phase", lambda: len(steps_at(workflow, 2)) > 1, results / "pretraining/phase_2.json"
    yield "fine-tuning", lambda: finetuning_began(workflow), results / "panx/fr/seed_42.json"


def finetuning_began(workflow: Workflow) -> bool:
    log = workflow.folder / "logs/finetune_task/panx.fr.42.log"
    return log.is_file() and "dev at step 1" in log.read_text(encoding="utf-8")


def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bytes(finished, copy):
    for part in ("records", "saliency", "checkpoint", "pretraining", "model", "panx", "benchmarks"):
        shutil.rmtree(copy.folder / "results" / part)
    for part in ("results/ticket.safetensors", "results/ticket.stats.json", "results/upload.json"):
        (copy.folder / part).unlink()
    shutil.rmtree(copy.folder / "store")
    shutil.rmtree(copy.folder / "logs")

    for name, reached, not_yet in moments(copy):
        copy.killed_when(reached, PANX)
        assert not not_yet.exists(), f"{name}: killed too late"
        if name == "records":  # Snakemake says what a hard kill leaves, and the way out
            code, said = copy.tried("--cores", "2", PANX)
            assert (code, "--unlock" in said) == (1, True)
            copy.run("--unlock")
        shutil.rmtree(copy.folder / ".snakemake/locks", ignore_errors=True)  # as --unlock does, but at once
    copy.run(PANX, "--cores", "1")

    assert digests(copy) == digests(finished)
    assert result(copy) == result(finished)
    first, second = ((copy.folder / f"logs/pretrain_phase/{phase}.log").read_text() for phase in (1, 2))
    assert re.search(r"pretraining from step (?!0\b)\d+ to 12", first)
    assert re.search(r"pretraining from step (?!12\b)\d+ to 40", second)
    assert copy.planned(*TARGETS) == {"finetune_task": 1, "summarize_seeds": 1}


@pytest.mark.parametrize("store", ["results/model", "file://results/model/x"])
def test_a_store_that_a_rule_would_remove_is_refused(finished, store):
    code, said = finished.tried("--cores", "1", "--dry-run", PANX, "--config", f"store={store}")
    assert code == 1
    assert "would be removed with results/model, which rule convert_model writes; expected a folder of its own" in said


def test_two_runs_with_one_store_keep_apart(finished, copy, tmp_path):
    """The second one is a copy of the first, results and all, with another ticket; each job stands between others'."""
    other, at = copy.copied(tmp_path / "other"), f"store=file://{tmp_path}/shared"
    start, phase, losses = (f"results/{name}" for name in ("upload.json", "pretraining/phase_1.json", LOSSES))
    copy.run(start, "--config", at)
    other.run(start, "--config", at, "remain_ratio=0.5")
    copy.run(phase, "--config", at)
    other.run(phase, "--config", at, "remain_ratio=0.5")
    assert copy.sha256(losses) == finished.sha256(losses) != other.sha256(losses)
    receipts = {
        path: json.loads(path.read_text()) for one in (copy, other) for path in (one.folder / start, one.folder / phase)
    }
    assert {receipt["url"] for receipt in receipts.values()} <= stored(tmp_path / "shared")
    first, second = (
        {url for url in stored(tmp_path / "shared") if owner_of(one.folder / "results") in url} for one in (copy, other)
    )
    assert first | second == stored(tmp_path / "shared")
    other.run(phase, "--config", at)  # now equal to the first one: it has nothing to train, and keeps its own alone
    assert "pretraining from step 12 to 12" in (other.folder / "logs/pretrain_phase/1.log").read_text()
    assert other.sha256(losses) == copy.sha256(losses)
    third = {json.loads((other.folder / name).read_text())["url"] for name in (start, phase)}
    assert stored(tmp_path / "shared") == first | third
    assert not second & third


LOSSES = "pretraining/phase_1.losses.csv"


def stored(store: Path) -> set[str]:
    """The URLs of the complete folders of a store."""
    return {f"file://{path.parent}" for path in store.rglob("manifest.json")}


def test_dumps_in_pieces_give_the_same_corpus(finished, copy):
    """The sample's dumps are of one stream, so a second language file is cut at streams of its own."""
    (dump,) = copy.folder.glob("resources/sample/wiki/fr/*.bz2")
    streams = copy.folder / "streams/fr"
    streams.mkdir(parents=True)
    text = bz2.decompress(dump.read_bytes())
    cuts = range(0, len(text), 1 + len(text) // 5)
    packed = b"".join(bz2.compress(text[cut : cut + cuts.step]) for cut in cuts)
    (streams / "fr.xml.bz2").write_bytes(packed)
    copy.run("results/corpus/fr/ledger.json", "--config", "extraction={ranges: 3}", 'data={dumps: "streams/{lang}/*"}')
    assert len(copy.found("results/corpus/fr/articles/*.jsonl")) == 3
    for name in ("sentences.txt", "ledger.json"):
        assert copy.sha256(f"results/corpus/fr/{name}") == finished.sha256(f"results/corpus/fr/{name}")


def test_dumps_by_url_are_downloaded_and_extracted(finished, fresh, tmp_path):
    (dump,) = fresh.folder.glob("resources/sample/wiki/sw/*.bz2")
    whole, name = dump.read_bytes(), "swwiki-20261101-pages-articles.xml.bz2"
    sums = f"{hashlib.sha1(whole).hexdigest()}  {name}\n".encode()
    online = fresh.copied(tmp_path / "online")
    with DumpServer(
        {f"/swwiki/20261101/{name}": whole, "/swwiki/20261101/swwiki-20261101-sha1sums.txt": sums}
    ) as server:
        url = f"{server.url}/{{lang}}wiki/{{date}}/{{lang}}wiki-{{date}}-pages-articles.xml.bz2"
        change = ("--config", f'data={{dumps: "{url}"}}', 'download={date: "20261101"}')
        server.faults[f"/swwiki/20261101/{name}"] = [Fault(cut=1000)]
        online.run("results/corpus/sw/ledger.json", *change)
        assert online.planned("results/corpus/sw/ledger.json", *change) == {}
        assert (online.folder / "downloads/sw" / name).read_bytes() == whole
        assert online.sha256("results/corpus/sw/sentences.txt") == finished.sha256("results/corpus/sw/sentences.txt")
        code, said = online.tried("--cores", "2", "results/corpus/fr/ledger.json", *change)
    assert code != 0
    assert "polyticket: error:" in said
    assert "fr" in said.split("polyticket: error:")[1].splitlines()[0]


VARIANTS = "variants={naive: {mask_method: constant}, noise: {saliency: random}}"


def test_variants_compute_again_only_what_differs(finished):
    wanted = [*TARGETS, *(f"results/variants/{name}/panx/fr.json" for name in ("naive", "noise"))]
    assert finished.planned(*wanted, "--config", VARIANTS) == {
        "score_random": 2,
        "allocate_ticket": 1,
        "build_checkpoint": 2,
        "upload_checkpoint": 2,
        "pretrain_phase": 4,
        "convert_model": 2,
        **FINETUNED,
    }


def test_a_variant_leaves_the_main_run_as_it_is(copy):
    main = {path: path.stat().st_mtime_ns for path in copy.found("results/**/*") if path.is_file()}
    copy.run("results/variants/naive/panx/fr.json", "--config", VARIANTS)
    assert {path: path.stat().st_mtime_ns for path in main} == main
    assert copy.planned(*TARGETS, "--config", VARIANTS) == copy.planned(*TARGETS) == {}
    naive, found = result(copy, "results/variants/naive/panx/fr.json"), result(copy)
    assert (naive["mask_method"], naive["density"], "ticket" in naive["digests"]) == ("constant", 1.0, False)
    assert naive["digests"]["checkpoint"] != found["digests"]["checkpoint"]
    assert not (copy.folder / "results/variants/naive/ticket.safetensors").exists()


@pytest.mark.skipif("POLYTICKET_DATA" not in os.environ, reason="POLYTICKET_DATA names no folder of real data")
def test_real_data_from_dumps_to_a_score(tmp_path):
    preset = ROOT / "config/presets/real-small.yaml"
    own = re.sub(r"^(vocabulary: .*\n|data:\n(  .*\n)+)", "", SMALL, flags=re.MULTILINE)
    cut = own.replace("languages: [fr, sw]", "languages: [sw, ur]").replace("panx: [fr]", "panx: [sw]")
    cut = cut.replace("save_steps: 2\n", "save_steps: 20\n").replace("save_steps: 1\n", "save_steps: 4\n")
    made = Workflow.made(tmp_path / "real")
    (made.folder / "small.yaml").write_text(cut, encoding="utf-8")
    made.arguments = ("--configfile", str(preset), "small.yaml")
    made.environment["POLYTICKET_DATA"] = os.environ["POLYTICKET_DATA"]
    made.run("results/panx/sw.json")
    found = result(made, "results/panx/sw.json")
    assert (found["language"], found["examples"]["train"]) == ("sw", 60)
    assert found["examples"]["test"] > 300
    assert 0.5 < found["density"] < 1
    assert made.planned("results/panx/sw.json", "--config", "remain_ratio=0.85") == {
        **jobs_from("allocate_ticket"),
        "finetune_task": 1,
        "summarize_seeds": 1,
    }
