"""What holds days of work is keyed by what decides it, and by a version that is raised when the arithmetic changes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from polyticket.conflict.settings import Settings
from polyticket.core import files
from polyticket.pretraining import plan as arithmetic
from polyticket.pretraining.plan import Plan, Shards
from polyticket.pruning import search as searching
from tests.support import goldens
from tests.support.pretraining import make_plan

START = {
    "url": "file://store/initial",
    "files": [{"name": "a", "size": 1, "crc32c": "x"}, {"name": "b", "crc32c": "y"}],
}
MADE = {"task": "panx", "source": "fr", "seed": 1, "digests": {"train": "t", "model": "m"}, "levels": 10}
MADE |= {"options": {"learning_rate": 1e-4, "eval_batch_size": 64}}


@pytest.mark.parametrize("kind", goldens.KINDS)
def test_golden_values_change_with_the_version_of_the_arithmetic_alone(kind, tmp_path):
    pinned, module = json.loads(goldens.FILE.read_text(encoding="utf-8"))[kind], goldens.WHERE[kind]
    rewrite = "rewrite the golden values: python -m tests.support.goldens"
    assert pinned["version"] == goldens.VERSIONS[kind], f"VERSION in {module} is another: {rewrite}"
    changed = goldens.differing(goldens.KINDS[kind](tmp_path), pinned["values"])
    assert changed == [], f"the arithmetic has changed: raise VERSION in {module}, then {rewrite}"


def test_golden_values_are_not_rewritten_before_the_version_is_raised(tmp_path, monkeypatch):
    values = {"loss": 1.0, "a/kept/b": 10}
    monkeypatch.setattr(goldens, "FILE", tmp_path / "arithmetic.json")
    monkeypatch.setattr(goldens, "KINDS", {"search": lambda _: dict(values)})
    monkeypatch.setattr(goldens, "VERSIONS", {"search": 1})
    goldens.main()
    first = goldens.FILE.read_bytes()
    assert json.loads(first) == {"search": {"version": 1, "values": values}}
    values.update({"loss": 1.0 + 0.9e-5, "a/kept/b": 11})
    goldens.main()
    assert goldens.FILE.read_bytes() == first  # rounding
    for change in ({"loss": 1.0 + 1.1e-5}, {"a/kept/b": 12}, {"another": 1.0}):
        monkeypatch.setattr(goldens, "KINDS", {"search": lambda _, change=change: values | change})
        with pytest.raises(SystemExit, match=r"has changed: first raise VERSION in src/polyticket/pruning/sea"):
            goldens.main()
        assert goldens.FILE.read_bytes() == first
    monkeypatch.setattr(goldens, "VERSIONS", {"search": 2})
    goldens.main()
    assert json.loads(goldens.FILE.read_bytes()) == {"search": {"version": 2, "values": values | {"another": 1.0}}}


def identity(plan: Plan, start: dict = START) -> dict:
    return arithmetic.identity(start, plan)


DECISIVE = {
    "batch_size": 8,
    "learning_rate": 2e-3,
    "warmup_steps": 4,
    "weight_decay": 0.0,
    "total_steps": 21,
    "seed": 12,
    "jit": True,
    "compute": "compact",
    "precision": "bfloat16",
    "accumulation": 2,
    "languages_per_step": 2,
    "conflict": Settings("exact"),
}
HARMLESS = {
    "save_steps": 2,
    "keep_checkpoints": 5,
    "log_steps": 1,
    "threads": 8,
    "distribution": "tpu",
    "compact_multiple": 16,
}


def test_a_phase_is_known_by_what_decides_it(tmp_path):
    plan = make_plan(tmp_path)
    assert {*DECISIVE, *HARMLESS} == {*plan.options.__dataclass_fields__}
    before = identity(plan)
    changes = {name: replace(plan, options=replace(plan.options, **{name: value})) for name, value in DECISIVE.items()}
    changes["phase"] = replace(plan, phase=replace(plan.phase, until=13))
    changes["ratios"] = replace(plan, ratios={"en": 0.5, "fr": 0.5})
    assert [name for name, changed in changes.items() if identity(changed) == before] == []
    Path(plan.shards[1].files[0]).write_bytes(b"other records")
    assert identity(plan) != before


@pytest.mark.parametrize("name", HARMLESS)
def test_a_phase_is_not_known_by_where_and_how_often(tmp_path, name):
    plan = make_plan(tmp_path)
    assert identity(replace(plan, options=replace(plan.options, **{name: HARMLESS[name]}))) == identity(plan)


def test_save_points_decide_where_conflict_is_measured_at_them(tmp_path):
    plan = make_plan(tmp_path, conflict=Settings("exact"))
    assert identity(replace(plan, options=replace(plan.options, save_steps=2))) != identity(plan)


def test_a_phase_is_the_same_in_another_place_and_on_another_processor(tmp_path):
    one, other = make_plan(tmp_path / "one"), make_plan(tmp_path / "other")
    assert one.shards != other.shards
    assert identity(one) == identity(other)
    files.write_json(tmp_path / "one/en/stats.json", {"said": "beside the records"})
    assert identity(one) == identity(other)
    rounded = {lang: ratio * (1 + 2e-16) for lang, ratio in one.ratios.items()}
    assert rounded != one.ratios
    assert identity(replace(one, ratios=rounded)) == identity(one)
    moved = {"files": START["files"][::-1], "url": "gs://elsewhere/initial", "versions": {"polyticket": "9"}}
    assert identity(one, moved) == identity(one)
    assert identity(one, {"files": START["files"][:1]}) != identity(one)


def test_identities_are_the_same_on_all_machines_and_in_all_releases(tmp_path, monkeypatch):
    (tmp_path / "shard").write_bytes(b"records")
    plan = replace(make_plan(tmp_path), shards=(Shards((str(tmp_path / "shard"),), (1,)),))
    lost = "what earlier releases have stored would not be found: leave an option that is new out while it does nothing"
    found = {"start": "3c0b5eee5bd3bce6", "records": ["e4aadedcf09cf70d"], "plan": "23d6eb022bf95475"}
    assert identity(plan) == found | {"arithmetic": arithmetic.VERSION}, lost
    monkeypatch.setattr(searching, "VERSION", 4)
    assert searching.identity(MADE) == "1f88ad619c118b2e", lost
    renamed = {"options": {}, "step_of": "original", "lr_decay_over": "search", "joint_pool": False}
    assert searching.identity(renamed) == "33affe274c700251", lost


def test_another_version_of_the_arithmetic_is_another_phase_and_another_search(tmp_path, monkeypatch):
    plan = make_plan(tmp_path)
    before = identity(plan), searching.identity(MADE)
    monkeypatch.setattr(arithmetic, "VERSION", arithmetic.VERSION + 1)
    assert (identity(plan) != before[0], searching.identity(MADE) == before[1]) == (True, True)
    monkeypatch.setattr(searching, "VERSION", searching.VERSION + 1)
    assert searching.identity(MADE) != before[1]


def test_a_search_is_known_by_what_decides_it():
    before, options = searching.identity(MADE), MADE["options"]
    assert searching.identity({**dict(reversed(MADE.items())), "options": options | {"eval_batch_size": 8}}) == before
    changes = [{"seed": 2}, {"digests": {"train": "t", "model": "n"}}, {"levels": 9}]
    changes.append({"options": options | {"learning_rate": 1e-3}})
    assert [change for change in changes if searching.identity(MADE | change) == before] == []
