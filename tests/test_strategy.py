"""Several devices, several hosts, TPUs, and other ways to compute the same step."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from polyticket.cli import main
from polyticket.conflict.settings import Settings
from polyticket.conflict.sketch import projection_of, step_sums
from polyticket.core import processor
from polyticket.core.errors import PolyticketError
from polyticket.core.files import write_json
from polyticket.model.tf_checkpoint import model_variables, read_checkpoint, write_model_checkpoint
from polyticket.model.tf_fused import is_tpu
from polyticket.pretraining.feed import batches, next_batches
from polyticket.pretraining.job import (
    Job,
    check_records,
    job_name,
    plan_of_json,
    publish_job,
    read_job,
    retract_job,
    wait_for_job,
)
from polyticket.pretraining.optimizer import AdamWeightDecay
from polyticket.pretraining.plan import Plan
from polyticket.pretraining.strategy import HostDevices, is_chief, make_strategy, spread, task_of
from polyticket.pretraining.trainer import Computation, Trainer
from polyticket.store.base import open_store
from polyticket.store.directories import (
    StoredDirectory,
    list_directories,
    read_directory,
    stored_directory,
    upload_owned,
)
from tests.support.models import TINY, random_batch, trained_model, with_random_masks
from tests.support.pretraining import OWNER, make_plan
from tests.support.pretraining import run as run_alone

ROOT = Path(__file__).parents[1]
PLAIN = replace(TINY, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
SKETCH = Settings("sketch", None, 31)
CLUSTER = {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}
NOWHERE = StoredDirectory("file:///nowhere", "0" * 64, "upload.json")
OTHER = "live/job-other.json"


def is_refused(check: Callable[[], None]) -> bool:
    try:
        check()
    except PolyticketError:
        return True
    return False


needs_bfloat16 = pytest.mark.skipif(
    is_refused(processor.check_bfloat16_of_tensorflow), reason="a variable keeps oneDNN from bfloat16"
)


def started(module: str, *arguments: object, **environment: str) -> subprocess.Popen:
    command = [sys.executable, "-m", f"tests.support.{module}", *map(str, arguments)]
    flags = f"{os.environ['XLA_FLAGS']} --xla_backend_optimization_level=0"  # for what is compiled and hardly run
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "XLA_FLAGS": flags} | environment
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(process: subprocess.Popen, seconds: float = 600) -> tuple[int, str, str]:
    """The exit code, the last line of output, and what was said on standard error."""
    try:
        out, err = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return process.returncode, (out.splitlines() or [""])[-1], err


# several devices

WAYS = {
    2: [{"jit": True, "accumulation": 2}, {"languages_per_step": 4, "dropout": 0.1}],
    4: [{"languages_per_step": 2, "compute": "compact"}],
}


@pytest.fixture(scope="module")
def device_runs() -> Iterator[dict[int, subprocess.Popen]]:
    found = {devices: started("devices", devices, *map(json.dumps, ways)) for devices, ways in WAYS.items()}
    yield found
    for process in found.values():
        process.kill()


@pytest.mark.parametrize("devices", WAYS)
def test_several_devices_compute_what_one_computes(device_runs, devices):
    code, line, err = ended(device_runs[devices])
    assert code == 0, err[-2000:]
    found = json.loads(line)
    assert len(found) == len(WAYS[devices])
    for way, (one, several) in zip(WAYS[devices], found, strict=True):
        for kind in ("losses", "updates", "own", *(["gradients"] if "dropout" not in way else [])):
            largest = max(1, np.abs(one[kind]).max())
            np.testing.assert_allclose(several[kind], one[kind], atol=1e-5 * largest, err_msg=kind)
        assert np.shape(several["losses"]) == (4, 2)
        assert several["seen"] == one["seen"] == [2 * way.get("languages_per_step", 1)] * 2
        assert np.abs(one["updates"]).max() > 1e-2


@pytest.mark.parametrize("devices", [1, 2, 4, 8])
def test_every_language_has_one_language_batch_for_its_gradient(tmp_path, devices):
    plan = make_plan(tmp_path, batch_size=8, languages_per_step=4)
    alone = [one["input_ids"].numpy() for one in next_batches(plan, 3)]
    assert [len(one) for one in alone] == [2, 2]
    found = list(next_batches(plan, 3, HostDevices(devices, 0, devices)))
    assert [len(one["language"]) for one in found] == [2 if devices <= 4 else 1] * len(found)
    assert len(found) == {1: 2, 2: 2, 4: 4, 8: 8}[devices]
    kept = [one for one in found if int(one["language"][0, 0]) >= 0]
    np.testing.assert_array_equal(np.concatenate([one["input_ids"] for one in kept]), np.concatenate(alone))
    assert {int(row) for one in kept for row in one["language"].numpy().ravel()} == {0, 1}


@pytest.mark.parametrize(("make", "parts"), [(batches, 1), (batches, 4), (next_batches, 1)])
@pytest.mark.parametrize("hosts", [[(4, 0, 4)], [(4, 0, 2), (4, 2, 2)], [(2, 0, 1), (2, 1, 1)]])
def test_the_shares_of_all_hosts_are_the_batch(tmp_path, make, parts, hosts):
    plan = make_plan(tmp_path, batch_size=8, languages_per_step=parts)
    whole = list(make(plan, 3))
    if make is batches:
        drawn = plan.draws()[3:]
        assert [batch["language"][:: 8 // parts, 0].numpy().tolist() for batch in whole] == drawn.tolist()
    parts = [list(make(plan, 3, HostDevices(*host))) for host in hosts]
    assert len(whole) == {batches: 9, next_batches: 2}[make]
    for step, batch in enumerate(whole):
        mine = [part for (_, _, count), host in zip(hosts, parts, strict=True) for part in host[step * count :][:count]]
        assert {part["input_ids"].shape[0] for part in mine} == {8 // hosts[0][0]}
        for name in batch:
            np.testing.assert_array_equal(np.concatenate([part[name] for part in mine]), batch[name])


def test_one_device_gets_whole_batches(tmp_path):
    plan = make_plan(tmp_path)
    asked = []

    def make(part: HostDevices) -> tf.data.Dataset:
        asked.append(part)
        return batches(plan, 0, part)

    found = list(spread(tf.distribute.get_strategy(), make))
    assert asked == [(1, 0, 1)]
    np.testing.assert_array_equal(found[5]["input_ids"], list(batches(plan, 0))[5]["input_ids"])


# several hosts


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return found


def config(index: int, cluster: dict = CLUSTER, kind: str = "worker") -> str:
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


def upload_initial(folder: Path) -> Path:
    """The receipt of a start."""
    (folder / "initial").mkdir()
    shape = replace(PLAIN, num_hidden_layers=1)
    write_model_checkpoint(with_random_masks(trained_model(shape, scale=1)), folder / "initial")
    receipt = upload_owned(open_store(f"file://{folder}/store"), folder / "initial", "initial", OWNER)
    write_json(folder / "upload.json", receipt)
    return folder / "upload.json"


def pair(folder: Path, plan: Plan, initial: Path, cluster: dict, *, dies: int = 0) -> list[subprocess.Popen]:
    """The first host and another one, which ends after step `dies`."""
    roles, text = (("chief", 0), ("worker", dies)), json.dumps(asdict(plan))
    return [
        started("hosts", role, folder, text, initial, last, TF_CONFIG=config(index, cluster))
        for index, (role, last) in enumerate(roles)
    ]


def test_two_hosts_train_as_one_process_would_and_go_on_after_one_is_killed(tmp_path):
    plan, initial = make_plan(tmp_path, until=6, conflict=SKETCH, languages_per_step=2), upload_initial(tmp_path)
    shared = replace(plan, options=replace(plan.options, distribution="multiworker"))
    store = open_store(f"file://{tmp_path}/store")
    stale = Job(NOWHERE, "killed before", "another", replace(shared, phase=replace(shared.phase, until=5)))
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
    name = job_name("live", task_of({"TF_CONFIG": config(0, cluster)}).cluster)
    publish_job(store, name, stale)  # which no host may follow
    publish_job(store, OTHER, stale)  # of another run
    first, second = pair(tmp_path, shared, initial, cluster, dies=5)
    _, alone, expected = run_alone(tmp_path, plan, stored_directory(initial), prefix="alone")

    assert ended(second)[0] == -9
    code, _, err = ended(first)
    assert code == 1
    assert re.fullmatch(r"polyticket: error: 127.0.0.1:\d+: another host is gone: .*", err.splitlines()[-1])
    assert [folder.split("/")[-1] for folder in list_directories(store, "live")] == ["step-000000004"]

    found = []
    for process in pair(tmp_path, shared, initial, cluster):
        code, line, err = ended(process)
        assert code == 0, err[-2000:]
        found.append(json.loads(line))
    assert "pretraining from step 4 to 6" in (tmp_path / "worker.log").read_text()
    assert [one["receipt"] is None for one in found] == [False, True]
    assert found[0]["history"] == found[1]["history"]
    np.testing.assert_allclose(found[0]["history"], alone, atol=1e-5)
    state = read_directory(open_store(found[0]["receipt"]["url"]), "", read_checkpoint)
    assert state.keys() == expected.keys()
    for name in state:
        np.testing.assert_allclose(state[name], expected[name], atol=1e-5, err_msg=name)
    assert all("hosts would compute 2 different things" in one["disagreement"] for one in found)
    assert read_job(store, name) is None  # the phase is done
    assert read_job(store, OTHER) == stale


def test_a_plan_survives_json(tmp_path):
    plan = make_plan(tmp_path, learning_rate=0.1 + 0.2, conflict=Settings("sketch", (0, 1), 31))
    plan = replace(plan, ratios={"fr": 1 / 3, "en": 2 / 3})
    back = plan_of_json(json.loads(json.dumps(asdict(plan))))
    assert back == plan
    assert list(back.ratios) == ["fr", "en"]
    assert back.draws().tolist() == plan.draws().tolist()
    assert plan_of_json(json.loads(json.dumps(asdict(make_plan(tmp_path))))) == make_plan(tmp_path)


def test_a_job_is_read_back_and_replaced(tmp_path, url):
    store, plan = open_store(url), make_plan(tmp_path)
    assert read_job(store, OTHER) is None
    for identity in ("one", {"two": [1.5, None]}):
        job = Job(NOWHERE, identity, OWNER, plan)
        publish_job(store, OTHER, job)
        assert wait_for_job(store, OTHER, seconds=0) == job
    retract_job(store, OTHER, Job(NOWHERE, "one", OWNER, plan))  # not what stands there
    assert read_job(store, OTHER) == job
    retract_job(store, OTHER, job)
    assert store.names() == []
    retract_job(store, OTHER, job)


def test_a_host_waits_for_the_first_one_and_says_so_in_the_end(tmp_path):
    store = open_store(f"file://{tmp_path}/store")
    began = time.monotonic()
    with pytest.raises(PolyticketError, match=r"store/live/job-1.json: no job after 0.3 s; expected a first host that"):
        wait_for_job(store, "live/job-1.json", seconds=0.3, pause=0.1)
    assert 0.3 <= time.monotonic() - began < 5


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"format": 1}', b'{"format": 2, "initial": "x"}'])
def test_what_is_no_job_is_refused(tmp_path, text):
    store = open_store(f"file://{tmp_path}/store")
    store.write(OTHER, text)
    with pytest.raises(
        PolyticketError, match=r"live/job-other.json: not a job: .*; expected a job that the first host"
    ):
        read_job(store, OTHER)


def test_records_must_be_on_every_host(tmp_path):
    plan = make_plan(tmp_path)
    check_records(plan)
    Path(plan.shards[1].files[0]).unlink()
    with pytest.raises(PolyticketError, match=r"fr/00000-of-00001.tfrecord: no such file on this host; expected "):
        check_records(plan)


def test_a_task_is_read_from_the_environment():
    first, second = task_of({"TF_CONFIG": config(0)}), task_of({"TF_CONFIG": config(1)})
    assert first[:3] == (True, "127.0.0.1:1", 2)
    assert second[:3] == (False, "127.0.0.1:2", 2)
    both = CLUSTER | {"chief": ["127.0.0.1:3"]}
    third = task_of({"TF_CONFIG": config(0, both)})
    assert third[:3] == (False, "127.0.0.1:1", 3)
    assert task_of({"TF_CONFIG": config(0, both, "chief")})[:3] == (True, "127.0.0.1:3", 3)
    assert first.cluster == second.cluster != third.cluster


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "{}", config(2), config(-1), config(0, kind="chief"), config(0, {"worker": ["a"]})),
        *(config(0, {"worker": "a:1"}), config(0, CLUSTER | {"ps": ["a:1"]}), config(0, {"worker": [1]})),
    ],
)
def test_what_names_no_cluster_is_refused_with_an_example(text):
    with pytest.raises(PolyticketError, match=r'pretraining.distribution: TF_CONFIG is .*expected .*"task": {"type": '):
        task_of({"TF_CONFIG": text} if text else {})


def test_slurm_without_a_cluster_is_told_how_to_name_it():
    with pytest.raises(PolyticketError, match=r"not set; Slurm does not set it: `scontrol show hostnames`"):
        task_of({"SLURM_JOB_ID": "7"})
    with pytest.raises(PolyticketError, match="SLURM_PROCID is the index; expected on each host, with its own index"):
        task_of({"SLURM_JOB_ID": "7"})


def test_another_host_than_the_first_does_not_lead(tmp_path, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config(1))
    plan, initial = make_plan(tmp_path, distribution="multiworker"), upload_initial(tmp_path)
    with pytest.raises(
        PolyticketError, match=r"127.0.0.1:2 is not the first host; expected `polyticket worker file://"
    ):
        run_alone(tmp_path, plan, stored_directory(initial))
    assert list_directories(open_store(f"file://{tmp_path}/store"), "live") == []
    assert not list(tmp_path.glob("store/live/job*"))


def test_the_worker_command_ends_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TF_CONFIG", config(0))
    assert main(["worker", f"file://{tmp_path}", "live"]) == 1
    assert "127.0.0.1:1 is the first host; expected another index" in capsys.readouterr().err
    monkeypatch.setenv("TF_CONFIG", config(1))
    assert main(["worker", f"file://{tmp_path}", "live", "--wait", "0"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"polyticket: error: file://{tmp_path}/{job_name('live', task_of({'TF_CONFIG': config(1)}).cluster)}: "
        "no job after 0 s; expected a first host that has started this phase, with the same hosts in TF_CONFIG"
    )


# TPUs


def test_without_a_tpu_one_line_says_so(monkeypatch):
    monkeypatch.delenv("TPU_NAME", raising=False)
    with pytest.raises(PolyticketError, match=r"^pretraining.distribution: no TPU found: .+; expected a TPU host$"):
        make_strategy("tpu")


def test_one_process_is_the_chief_and_no_tpu():
    strategy = make_strategy("default")
    assert is_chief(strategy)
    assert not is_tpu(strategy)


def trainer_of(shape=PLAIN, *, conflict: bool = False, **how: object) -> Trainer:
    variables = model_variables(with_random_masks(trained_model(shape, scale=1)))
    masks = {name: array for name, array in variables.items() if name.endswith("_mask")}
    trainer = Trainer(
        shape,
        masks,
        AdamWeightDecay(5e-3, warmup_steps=0, total_steps=30),
        seed=1,
        strategy=tf.distribute.get_strategy(),
        computation=Computation(**how),
        conflict=(lambda: step_sums(projection_of(SKETCH, shape, 5), 2)) if conflict else None,
    )
    trainer.load(variables)
    return trainer


def tensors(**batch: object) -> dict[str, tf.Tensor]:
    return {name: tf.constant(array) for name, array in random_batch(**batch).items()}


HALF = {"compute": "compact", "precision": "bfloat16"}


@pytest.mark.parametrize(
    "how", [{"languages_per_step": 2, "accumulation": 2}, pytest.param(HALF, marks=needs_bfloat16)], ids=str
)
def test_the_whole_step_of_a_device_is_one_program_without_host_calls_or_dynamic_shapes(how):
    shape = replace(TINY, num_hidden_layers=1, hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1)
    plain, whole = (trainer_of(shape, conflict=True, **how) for _ in range(2))
    whole.whole = True  # as on a TPU
    compiled = tf.function(whole._update, jit_compile=True, autograph=False)
    program = compiled.experimental_get_compiler_ir(tensors())(stage="hlo")
    assert "HloModule" in program
    assert re.findall(r"custom-call|infeed|outfeed|send\(|recv\(|host_compute|set-dimension-size", program) == []
    assert "<=" not in re.sub(r'metadata=\{[^}]*\}|"[^"]*"', "", program)
    tolerance = 2e-2 if how.get("precision") == "bfloat16" else 1e-5
    for step in range(3):
        batch = tensors(language=step % 2, seed=step)
        np.testing.assert_allclose(compiled(batch), plain.step(batch), atol=tolerance)
    for one, other in zip(whole.conflict, plain.conflict, strict=True):
        for summed, wanted in zip(one.take(), other.take(), strict=True):
            np.testing.assert_allclose(summed, wanted, atol=10 * tolerance)


# ways to compute


def losses(steps: int = 6, **how: object) -> np.ndarray:
    trainer = trainer_of(**how)
    return np.array([trainer.step(tensors(size=8, language=n % 2, seed=n % 3)).numpy()[:2] for n in range(steps)])


@pytest.mark.parametrize("count", [2, 4])
def test_micro_batches_compute_what_the_whole_batch_computes(count):
    np.testing.assert_allclose(losses(accumulation=count), losses(), atol=1e-5)


def test_micro_batches_draw_dropout_of_their_own():
    trainer = trainer_of(replace(TINY, num_hidden_layers=1, hidden_dropout_prob=0.5), accumulation=2)
    one = {name: np.repeat(array[:1], 2, 0) for name, array in random_batch().items()}
    same = trainer.step({name: tf.constant(array) for name, array in one.items()}).numpy()
    alone = trainer_of(replace(TINY, num_hidden_layers=1, hidden_dropout_prob=0.5))
    first = alone.step({name: tf.constant(array[:1]) for name, array in one.items()}).numpy()
    assert abs(same[0] - first[0]) > 1e-4


@needs_bfloat16
def test_a_step_in_bfloat16_says_what_it_costs_on_a_processor_without_it(monkeypatch, caplog):
    processor._warn_of_bfloat16.cache_clear()
    monkeypatch.setattr(processor, "usable", lambda: "AVX2")
    trainer_of(precision="bfloat16")
    assert [text.partition(" on this")[0] for text in caplog.messages] == [
        "precision: bfloat16 is four to ten times slower than float32"
    ]
    caplog.clear()
    trainer_of(precision="float32")
    assert caplog.messages == []


@needs_bfloat16
def test_bfloat16_stays_near_float32_and_learns():
    trainer = trainer_of(precision="bfloat16")
    batch = tensors(size=8)
    found = np.array([trainer.step(batch).numpy()[:2] for _ in range(12)])
    exact = trainer_of()
    expected = np.array([exact.step(batch).numpy()[:2] for _ in range(12)])
    np.testing.assert_allclose(found, expected, atol=0.05)  # 8 bits of mantissa, on losses of 4 and 0.7
    assert np.abs(found - expected).max() > 1e-5  # it is another arithmetic
    assert found[-1].sum() < found[0].sum() - 0.5
    assert {array.dtype for name, array in trainer.state().items() if name != "global_step"} == {np.dtype("f4")}
