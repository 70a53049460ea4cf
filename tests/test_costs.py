"""The plan of a run: which jobs, what they do, what they cost, and how far it is from what a run took."""

import bz2
import math
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from polyticket.cli import main
from polyticket.core.errors import PolyticketError
from polyticket.costs.benchmarks import benchmarks_csv, compare, cpu_seconds, last_reading, read_benchmarks
from polyticket.costs.jobs import Job, Listing, list_jobs
from polyticket.costs.measure import features_of, start_seconds, tensorflow_step, text_rates, torch_step
from polyticket.costs.plan import TOTAL, Cost, added, core_seconds, cost_of, csv_text, plan_of, table_text
from polyticket.costs.sizes import Sizes, counted_examples, unpacked_ratio, updates
from polyticket.costs.table import Table, default_text, filled, read_table
from polyticket.costs.work import Work, is_modelled, work_of
from polyticket.model.shape import BertShape
from tests.support.workflow import ROOT

RULES = re.findall(
    r"^rule (\w+):",
    "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "workflow/rules").glob("*.smk"))),
    re.MULTILINE,
)
TINY = BertShape(50, 8, 1, 2, 8, 16)


@pytest.fixture(scope="module")
def listing(tmp_path_factory) -> Listing:
    """The jobs of the bundled sample, without any results."""
    return list_jobs(ROOT, ["--directory", str(tmp_path_factory.mktemp("run"))])


def job(**given) -> Job:
    """A job with little in it."""
    empty = {"wildcards": {}, "threads": 2, "resources": {"mem_mb": 700}, "benchmark": None, "params": {}, "given": {}}
    return Job(**{"rule": "check_text", "needed": True, **empty, **given})


def simple(**changed) -> Table:
    """A table in which a core does one of everything in a second, after a start of 10 seconds."""
    own = read_table()
    starts, rates = dict.fromkeys(own.start_seconds, 10.0), dict.fromkeys(own.per_core_second, 1.0)
    return replace(own, **{"start_seconds": starts, "per_core_second": rates, **changed})


def test_the_work_of_every_rule_is_known():
    assert len(RULES) > 40
    assert [rule for rule in RULES if not is_modelled(rule)] == []
    assert not is_modelled("bake_a_cake")


def test_jobs_are_those_of_snakemake(listing):
    found = Counter(one.rule for one in listing.jobs)
    some = {"collect_templates": 4, "make_records": 16, "finetune_task": 10, "pretrain_phase": 2, "score_zero_shot": 4}
    assert {rule: found[rule] for rule in some} == some
    assert all(one.needed for one in listing.jobs)
    assert "all" not in found
    (second,) = (one for one in listing.jobs if one.rule == "pretrain_phase" and one.wildcards["phase"] == "2")
    assert second.benchmark == "results/benchmarks/pretrain_phase/2.tsv"
    assert second.threads == 2
    assert second.resources["mem_mb"] > 3000


def test_sizes_follow_from_the_files_that_are_there(listing):
    sizes = Sizes(listing, read_table())
    (dump,) = (ROOT / "resources/sample/wiki/fr").glob("*.bz2")
    assert sizes.xml_mb["fr"] == pytest.approx(len(bz2.decompress(dump.read_bytes())) / 1e6)
    train = (ROOT / "resources/sample/panx/fr/train").read_text(encoding="utf-8").strip().split("\n\n")
    found = sizes.examples("panx", "fr", "train")
    assert found.count == len(train)
    words = sum(len(sentence.split("\n")) for sentence in train) / len(train)
    assert found.tokens == pytest.approx(2 + 1.6 * words, rel=0.02)


def test_a_packed_file_is_unpacked_only_at_its_beginning(tmp_path):
    text = b"".join(b"%d squared is %d\n" % (n, n * n) for n in range(200_000))
    whole, broken = tmp_path / "whole.bz2", tmp_path / "broken.bz2"
    whole.write_bytes(bz2.compress(text))
    broken.write_bytes(bytes(1000))
    assert whole.stat().st_size > 400_000
    assert unpacked_ratio(str(whole), 0) == pytest.approx(len(text) / whole.stat().st_size, rel=0.1)
    assert unpacked_ratio(str(broken), 4.5) == 4.5


@pytest.mark.parametrize(
    ("name", "text", "tagging", "found"),
    [
        ("train", "fr:oui\tO\nfr:bon\tO\n\nfr:non\tO\n\n", True, (2, 3 * 1.6)),
        ("zh.tsv", "好\tADJ\n人\tNOUN\n", True, (1, 2)),
        ("train.tsv", "one\ttwo\tneutral\nthree\tfour\tneutral\n", False, (2, 35 / 4)),
    ],
)
def test_examples_are_counted(tmp_path, name, text, tagging, found):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert counted_examples(str(path), path.stat().st_size, tagging=tagging, bytes_per_token=4) == found
    examples, tokens = counted_examples(str(tmp_path / "fr.tar.gz"), 3000, tagging=tagging, bytes_per_token=4)
    assert examples < tokens


@pytest.mark.parametrize(
    ("examples", "options", "steps"),
    [
        (100, {}, 40),  # ten epochs of four
        (10_000, {}, 626),  # two epochs of 313
        (10_000, {"max_train_examples": 64}, 32),
        (10_000, {"max_steps": 7}, 7),
    ],
)
def test_updates_of_a_fine_tuning(examples, options, steps):
    given = {"epochs": 2, "adaptive_least_seen": 1000, "batch_size": 8, "accumulation": 4}
    assert updates(examples, given | options) == steps


def test_the_cost_of_a_job_on_cores():
    table = simple(prices={"core_hour": 2.0, "gpu_hour": None, "tpu_hour": None, "gb_month": 0.5, "gb_out": 0.1})
    work = Work("plain", {"instances": 3000.0, "token_mb": 590.0}, stored_gb=4.0, fetched_gb=10.0, disk_gb=1.0)
    cost = cost_of(job(), work, table)
    assert core_seconds(work, table) == 3600
    assert (cost.core_hours, cost.gpu_hours, cost.longest_hours, cost.memory_mb) == (1.0, 0.0, 0.5, 700)
    assert (cost.store_in_gb, cost.store_out_gb, cost.disk_gb) == (4.0, 10.0, 1.0)
    assert cost.money == 2.0 + 0.5 * 4 + 0.1 * 10


def test_an_accelerator_spares_the_cores_but_holds_them():
    table = simple(accelerators={"gpu_gflop": 1000.0, "tpu_gflop": 1.0})
    work = Work("torch", {"torch_gflop": 3.6e6, "torch_layers": 1e9}, "gpu")
    cost = cost_of(job(), work, table)
    assert cost.gpu_hours == 1.0
    assert cost.core_hours == 2 + 10 / 3600
    assert cost.money == 0


def test_costs_add_up_but_peaks_do_not():
    one, other = Cost(jobs=1, core_hours=1.5, memory_mb=100), Cost(jobs=2, core_hours=0.5, memory_mb=300)
    assert added([one, other]) == Cost(jobs=3, core_hours=2.0, memory_mb=300)
    assert added([]) == Cost()


def test_a_plan_shows_every_rule_and_the_total(listing):
    plan = plan_of(listing, read_table())
    assert plan.unknown == ()
    total = plan.total()
    assert total.jobs == len(listing.jobs) == sum(cost.jobs for cost in plan.rules.values())
    assert total.gpu_hours == total.tpu_hours == total.money == 0
    lines = csv_text(plan).splitlines()
    assert lines[0].startswith("rule,jobs,core_hours,gpu_hours,tpu_hours,longest_hours,memory_mb,")
    assert [line.split(",")[0] for line in lines[1:]] == [*plan.rules, TOTAL]
    text = table_text(plan, money=False).splitlines()
    assert len(text) == len(lines)
    assert "money" not in text[0]
    with_gpus = plan_of(listing, read_table(), gpu=True).rules
    assert with_gpus["finetune_task"].gpu_hours > 0
    assert with_gpus["make_records"] == plan.rules["make_records"]


def test_only_what_is_left_to_do_counts_unless_all_is_asked_for(listing):
    done = Listing(listing.config, [replace(one, needed=one.rule == "plot_scores") for one in listing.jobs])
    assert list(plan_of(done, read_table()).rules) == ["plot_scores"]
    assert plan_of(done, read_table(), whole=True) == plan_of(listing, read_table())


def test_twice_the_steps_are_twice_the_work(listing):
    (first,) = (one for one in listing.jobs if one.rule == "pretrain_phase" and one.wildcards["phase"] == "1")
    phases = listing.config["pretraining"]["phases"]
    longer = [{**phases[0], "until_step": 2 * phases[0]["until_step"]}, phases[1]]
    config = {**listing.config, "pretraining": {**listing.config["pretraining"], "phases": longer}}
    amounts = [work_of(first, Sizes(one, read_table())).amounts for one in (listing, Listing(config, listing.jobs))]
    assert {unit: 2 * amount for unit, amount in amounts[0].items()} == pytest.approx(amounts[1])


def test_the_last_reading_of_a_benchmark_and_what_follows_it():
    assert [last_reading(seconds) for seconds in (0.3, 0.7, 14.9, 15.0, 44.9, 46.0, 80.0)] == [
        0,
        0.5,
        14.5,
        15,
        15,
        45,
        75,
    ]
    assert cpu_seconds(30, 15) == 30
    assert cpu_seconds(0.3, 0.1) == 0.1


def write_benchmark(path: Path, seconds: float, read: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\tmax_rss\tcpu_time\n{seconds}\t0:00:00\t1.0\t{read}\n", encoding="utf-8")


def test_benchmark_files_are_read_and_become_a_table(tmp_path):
    write_benchmark(tmp_path / "run/score/fr.tsv", 30, 15)
    write_benchmark(tmp_path / "run/short.tsv", 0.1, "NA")
    assert read_benchmarks(tmp_path / "run") == {"score/fr": 30}
    (tmp_path / "table.csv").write_text(benchmarks_csv({"score/fr": 30.0}), encoding="utf-8")
    assert read_benchmarks(tmp_path / "table.csv") == {"score/fr": 30}
    for name, mistake in (("nothing", "no benchmark files"), ("bad", "not a benchmark file")):
        (tmp_path / name).mkdir()
        (tmp_path / "bad/one.tsv").write_text("a\tb\n1\t2\n") if name == "bad" else None
        with pytest.raises(PolyticketError, match=mistake):
            read_benchmarks(tmp_path / name)


def test_a_plan_is_compared_with_the_jobs_that_were_measured(listing):
    measured = {"finetune_task/panx.fr.42": 1000.0, "plot_scores": 1.0, "of/another/run": 5.0}
    *rows, total = compare(listing, simple(), measured)
    assert [(row.rule, row.jobs, row.measured) for row in rows] == [("finetune_task", 1, 1000), ("plot_scores", 1, 1)]
    assert rows[1].factor == 10
    assert (total.rule, total.jobs, total.measured) == (TOTAL, 2, 1001)
    assert total.planned == rows[0].planned + 10
    with pytest.raises(PolyticketError, match="no benchmark is of a job of this run"):
        compare(listing, simple(), {"of/another/run": 5.0})


def test_a_run_of_the_sample_took_what_was_planned(listing):
    """`sample_benchmarks.csv` is what `python -m polyticket.costs.benchmarks results/benchmarks` said after a run."""
    *rows, total = compare(listing, read_table(), read_benchmarks(ROOT / "tests/data/sample_benchmarks.csv"))
    assert total.jobs >= 57
    assert 1 / 1.5 <= total.factor <= 1.5, rows


def test_a_table_of_the_user_stands_over_that_of_the_package(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("prices: {core_hour: 0.04}\nper_core_second: {torch_gflop: 12}\nmeasured: my laptop\n")
    table, own = read_table(path), read_table()
    assert table.per_core_second == {**own.per_core_second, "torch_gflop": 12}
    assert (table.price("core_hour"), table.price("gpu_hour"), table.measured) == (0.04, 0, "my laptop")
    assert table.has_prices()
    assert not own.has_prices()


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("speed: 1\n", " speed: unknown key; expected one of measured, "),
        ("sizes: {text: 1}\n", " sizes.text: unknown key"),
        ("per_core_second: {torch_gflop: 0}\n", " per_core_second.torch_gflop: 0; expected a number above 0"),
        ("per_core_second: {torch_gflop: fast}\n", " per_core_second.torch_gflop: 'fast'; expected a number"),
        ("accelerators: {gpu_gflop: null}\n", " accelerators.gpu_gflop: None; expected a number"),
        ("prices: 3\n", " prices: 3 is not a table"),
        ("- 1\n", ": [1] is not a table"),
    ],
)
def test_a_bad_table_ends_in_one_line(tmp_path, text, mistake):
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PolyticketError) as error:
        read_table(path)
    assert str(error.value).startswith(f"{path}{mistake}")


def test_what_is_measured_is_filled_in_and_comments_stay():
    own = yaml.safe_load(default_text())
    values = {section: dict.fromkeys(own[section], 1.25) for section in ("start_seconds", "per_core_second")}
    text = filled(default_text(), "that 'old' machine", values)
    assert yaml.safe_load(text) == {**own, "measured": "that 'old' machine", **values}
    assert text.count("#") == default_text().count("#")


def test_this_machine_is_measured(tmp_path):
    rates = text_rates(ROOT, tmp_path, ["fr"])
    assert set(rates) < set(read_table().per_core_second)
    assert all(0 < rate < math.inf for rate in rates.values())
    assert start_seconds("json") > 0


@pytest.mark.parametrize("step_of", [torch_step, tensorflow_step])
def test_a_step_that_is_measured_trains(step_of):
    step = step_of(TINY, 2, 8)
    losses = [step() for _ in range(3)]
    assert losses[0] == pytest.approx(math.log(50) + math.log(2), rel=0.05)
    assert len(set(losses)) == 3
    assert features_of(TINY, 2, 8)["masked_lm_ids"].shape == (2, 8)


def test_the_command_prints_a_plan_and_a_comparison(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_benchmark(tmp_path / "old/load_task/panx.fr.tsv", 0.6, 0.5)
    assert main(["plan", "--workflow", str(ROOT), "--csv", "--against", "old", "results/baseline/panx/fr.json"]) == 0
    rows = [line.split(",") for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["rule", "jobs", "planned_core_seconds", "measured_core_seconds", "factor"]
    assert [row[:2] for row in rows[1:]] == [["load_task", "1"], [TOTAL, "1"]]


def test_a_mistake_ends_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.yaml").write_text("sede: 1\n", encoding="utf-8")
    assert main(["plan", "--workflow", str(ROOT), "--configfile", "bad.yaml"]) == 1
    assert main(["plan"]) == 1
    assert main(["plan", "--measure"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("polyticket: error: config sede: unknown key; expected one of languages, ")
    assert lines[1:] == [
        "polyticket: error: .: no workflow/list_jobs.py; expected the folder of the workflow, see --workflow",
        "polyticket: error: --table: no file; expected the table to write, with --measure",
    ]
