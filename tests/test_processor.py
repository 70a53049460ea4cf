"""What is said of the processor, what decides how it is used, and what it costs to ask it for bfloat16."""

import json
import logging
import os
import subprocess
import sys
from contextlib import nullcontext

import pytest
import torch

from polyticket.core import processes, processor
from polyticket.core.errors import PolyticketError
from polyticket.core.processes import limit_tokenizers, set_for_jobs, set_for_libraries
from polyticket.core.provenance import made_with, versions
from polyticket.model.torch_setup import precision_of, prepare_torch

CPU = torch.device("cpu")
AVX2 = {"avx", "avx2", "fma"}
AVX512 = AVX2 | {"avx512f", "avx512bw", "avx512vl", "avx512dq"}
FLAGS = {
    "SSE": {"sse4_2", "avx"},
    "AVX2": AVX2,
    "AVX512": AVX512,
    "AVX512-VNNI": AVX512 | {"avx512_vnni"},
    "AVX512-BF16": AVX512 | {"avx512_vnni", "avx512_bf16"},
    "AMX": AVX512 | {"avx512_vnni", "avx512_bf16", "amx_bf16", "amx_tile"},
}
ON_AN_OLD_ONE = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
KEYS = ("TF_ENABLE_ONEDNN_OPTS", *processor.SETTINGS)


def python(code: str, **variables: str) -> str:
    """What a fresh interpreter prints, without the variables that this process has set."""
    own = {key: value for key, value in os.environ.items() if key not in KEYS}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=own | variables, capture_output=True, text=True, check=True).stdout.strip()


SAID = "import os; print(os.environ.get('TF_ENABLE_ONEDNN_OPTS'))"


def test_the_package_has_tensorflow_use_onednn_wherever_it_is_imported():
    assert python(f"import polyticket.core.languages; {SAID}") == "1"
    assert python(f"import polyticket; {SAID}", TF_ENABLE_ONEDNN_OPTS="0") == "0"  # a user's own
    late = f"import sys; sys.modules['tensorflow'] = None; import polyticket; {SAID}"
    assert python(late) == "None"  # TensorFlow has read its environment: what is not so is not said


def test_tensorflow_computes_with_onednn_and_is_imported_without_keras():
    code = "import sys, polyticket, tensorflow\nheavy = {'keras', 'matplotlib', 'pandas', 'sklearn'} & {*sys.modules}\n"
    code += "from tensorflow.python.framework.test_util import IsMklEnabled\nprint(IsMklEnabled(), *heavy)"
    assert python(code) == "True"


def test_tests_run_in_the_environment_of_jobs():
    wanted = {"TF_ENABLE_ONEDNN_OPTS", "TF_USE_LEGACY_KERAS", "TF_CPP_MIN_LOG_LEVEL", "OMP_WAIT_POLICY", "PYTHONPATH"}
    assert wanted <= os.environ.keys()


def test_jobs_inherit_what_is_set_for_them(monkeypatch):
    names = ("TF_ENABLE_ONEDNN_OPTS", "TF_USE_LEGACY_KERAS", "TF_CPP_MIN_LOG_LEVEL", "OMP_WAIT_POLICY")
    for name in names:
        monkeypatch.delenv(name)
    set_for_jobs()
    assert [os.environ[name] for name in names] == ["1", "1", "3", "PASSIVE"]


def test_what_the_user_has_set_stays(monkeypatch):
    given = {"TF_CPP_MIN_LOG_LEVEL": "0", "OMP_WAIT_POLICY": "ACTIVE", "TF_ENABLE_ONEDNN_OPTS": "0"}
    given |= {"RAYON_NUM_THREADS": "7", "ORT_DISABLE_TELEMETRY": "0"}
    for key, value in given.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr(processes.sys, "modules", {})
    set_for_libraries()
    set_for_jobs()
    limit_tokenizers(2)
    assert {key: os.environ[key] for key in given} == given


def test_jobs_are_told_who_pays_for_the_store(monkeypatch):
    monkeypatch.setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "of-the-shell")
    set_for_jobs()
    assert os.environ["GOOGLE_CLOUD_QUOTA_PROJECT"] == "of-the-shell"
    set_for_jobs(user_project="of-the-configuration")
    assert os.environ["GOOGLE_CLOUD_QUOTA_PROJECT"] == "of-the-configuration"


def test_torch_keeps_tokenizers_and_float32_to_what_is_asked(monkeypatch):
    monkeypatch.delenv("RAYON_NUM_THREADS", raising=False)
    torch.set_float32_matmul_precision("medium")  # computes float32 in bfloat16 where the processor can
    prepare_torch(1)
    assert os.environ["RAYON_NUM_THREADS"] == "1"
    assert torch.get_float32_matmul_precision() == "highest"


def test_onnxruntime_keeps_no_identifier_in_the_user_s_home(tmp_path):
    """Nor does it report anything; by itself it does both, unless it finds a variable such as CI."""
    nowhere = "http://127.0.0.1:9"
    environment = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH") if name in os.environ}
    environment |= {"HOME": str(tmp_path), "HTTPS_PROXY": nowhere, "https_proxy": nowhere}
    subprocess.run([sys.executable, "-c", "import polyticket, onnxruntime"], env=environment, check=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FLAGS)
def test_the_highest_instruction_set_is_named(name):
    assert processor.highest(FLAGS[name]) == name


def test_an_instruction_set_needs_those_before_it():
    assert processor.highest(FLAGS["AMX"] - {"avx512_vnni"}) == "AVX512"
    assert processor.highest(FLAGS["AVX512"] - {"fma"}) == "SSE"


@pytest.mark.parametrize(
    ("has", "variables", "uses"),
    [
        ("AMX", {}, "AMX"),
        ("AMX", ON_AN_OLD_ONE, "AVX2"),
        ("AMX", {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"}, "AVX512-BF16"),
        ("AMX", {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI"}, "AVX512-VNNI"),
        ("AMX", {"DNNL_MAX_CPU_ISA": "AVX512_CORE"}, "AVX512"),
        ("AMX", {"ONEDNN_MAX_CPU_ISA": "avx2"}, "AVX2"),
        ("AMX", {"DNNL_MAX_CPU_ISA": "avx512_Core_vnni"}, "AVX512-VNNI"),
        ("AMX", {"ATEN_CPU_CAPABILITY": "avx512"}, "AMX"),
        ("AMX", {"ATEN_CPU_CAPABILITY": "AVX2"}, "AMX"),
        ("AVX512", {"MKL_ENABLE_INSTRUCTIONS": "AVX2"}, "AVX2"),
        ("AVX512", {"ATEN_CPU_CAPABILITY": "default"}, "SSE"),
        ("AVX2", {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI"}, "AVX2"),
        ("AVX2", {"ONEDNN_MAX_CPU_ISA": "ALL"}, "AVX2"),
        ("arm64", ON_AN_OLD_ONE, "arm64"),
    ],
)
def test_variables_keep_the_libraries_below_what_the_processor_has(monkeypatch, has, variables, uses):
    monkeypatch.setattr(processor, "instructions", lambda: has)
    assert processor.usable(variables) == uses


def test_the_record_names_processor_instructions_threads_and_settings(monkeypatch):
    for key in processor.SETTINGS:
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")
    monkeypatch.setattr(processor, "_cpuinfo", lambda: {"model name": "A 7", "flags": " ".join(FLAGS["AVX512-BF16"])})
    monkeypatch.setattr(processor.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(processor, "cores", lambda: 8)
    said = {"name": "A 7", "instructions": "AVX512-BF16", "threads": 2, "cores": 8}
    assert processor.processor(2) == said | {"settings": {"TF_ENABLE_ONEDNN_OPTS": "1"}}
    assert processor.described(2) == "A 7, AVX512-BF16, 2 of 8 cores"
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    found = processor.processor(2)
    assert (found["instructions"], found["has"], found["settings"]["ONEDNN_MAX_CPU_ISA"]) == (
        *("AVX2", "AVX512-BF16"),
        "AVX2",
    )
    assert processor.described(2) == "A 7, AVX2 of AVX512-BF16, 2 of 8 cores"


def test_an_arm_processor_is_named_by_its_architecture(monkeypatch):
    monkeypatch.setattr(processor.platform, "machine", lambda: "aarch64")
    for features, name, able in (("fp asimd bf16", "aarch64-BF16", True), ("fp asimd", "aarch64", False)):
        monkeypatch.setattr(processor, "_cpuinfo", lambda features=features: {"Features": features})
        assert (processor.usable({}), processor.has_bfloat16()) == (name, able)


def test_results_say_versions_and_processor():
    made = made_with(["torch"], 1)
    assert made == {"versions": versions(["torch"]), "processor": processor.processor(1)}
    assert json.loads(json.dumps(made)) == made
    assert made["processor"]["name"]


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, float("inf")),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4.0),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, float("inf")),
        ({}, float("inf")),
    ],
)
def test_a_containers_quota_counts(tmp_path, files, cores):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert processor._quota(tmp_path) == cores


def test_cores_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr(processor.os, "sched_getaffinity", lambda process: {0, 2, 5})
    for quota, cores in ((float("inf"), 3), (1.5, 2), (0.1, 1), (9.0, 3)):
        monkeypatch.setattr(processor, "_quota", lambda quota=quota: quota)
        assert processor.cores() == cores


@pytest.mark.parametrize(
    ("found", "times"),
    [("SSE", "four to ten"), ("AVX2", "four to ten"), ("AVX512", "two to three"), ("AVX512-VNNI", "two to three")],
)
def test_bfloat16_without_instructions_for_it_is_warned_of_once(monkeypatch, caplog, found, times):
    processor._warn_of_bfloat16.cache_clear()
    monkeypatch.setattr(processor, "usable", lambda: found)
    monkeypatch.setattr(processor, "name", lambda: "A 7")
    with caplog.at_level(logging.WARNING, "polyticket"):
        assert [precision_of(CPU, "bfloat16") for _ in range(3)] == ["bfloat16"] * 3
    wanted = f"precision: bfloat16 is {times} times slower than float32 on this processor (A 7, {found}); "
    assert caplog.messages == [wanted + "take float32 where it has neither AVX512-BF16 nor AMX"]


@pytest.mark.parametrize("found", ["AVX512-BF16", "AMX", "aarch64-BF16"])
def test_bfloat16_is_not_warned_of_where_the_processor_has_it(monkeypatch, caplog, found):
    processor._warn_of_bfloat16.cache_clear()
    monkeypatch.setattr(processor, "usable", lambda: found)
    assert precision_of(CPU, "bfloat16") == "bfloat16"
    assert caplog.messages == []


@pytest.mark.parametrize("found", FLAGS)
def test_auto_takes_float32_on_every_processor(monkeypatch, found):
    monkeypatch.setattr(processor, "usable", lambda: found)
    assert precision_of(CPU, "auto") == "float32"


@pytest.mark.parametrize(
    ("has", "limit", "onednn", "refused"),
    [
        ("AVX512-BF16", "AVX2", "1", True),
        ("AVX512-BF16", "avx2", "1", True),
        ("AVX512", "SSE41", "1", True),
        ("AVX512-BF16", "AVX2", "0", False),
        ("AVX512-BF16", "AVX512_CORE", "1", False),
        ("AVX512-BF16", "ALL", "1", False),
        ("AVX2", "AVX2", "1", False),
        ("aarch64", "AVX2", "1", False),
    ],
)
def test_bfloat16_that_would_end_the_process_is_refused(monkeypatch, has, limit, onednn, refused):
    monkeypatch.setattr(processor, "instructions", lambda: has)
    variables = {"ONEDNN_MAX_CPU_ISA": limit, "TF_ENABLE_ONEDNN_OPTS": onednn}
    said = f"precision: bfloat16 in TensorFlow with ONEDNN_MAX_CPU_ISA={limit}; expected float32, or AVX512_CORE and "
    with pytest.raises(PolyticketError, match=said) if refused else nullcontext():
        processor.check_bfloat16_of_tensorflow(variables)
