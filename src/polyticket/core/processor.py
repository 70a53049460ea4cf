"""The processor: its name, its instruction sets, and the number of cores of this process.

Speed and rounding depend on them, so results and benchmarks record them.
"""

import math
import os
import platform
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from polyticket.core.errors import PolyticketError
from polyticket.core.logs import log

X86 = ("SSE", "AVX2", "AVX512", "AVX512-VNNI", "AVX512-BF16", "AMX")
"""Instruction sets by which libraries choose their kernels. Each includes those before it."""

FLAGS = {
    "AVX2": {"avx2", "fma"},
    "AVX512": {"avx512f", "avx512bw", "avx512vl", "avx512dq"},
    "AVX512-VNNI": {"avx512_vnni"},
    "AVX512-BF16": {"avx512_bf16"},
    "AMX": {"amx_bf16"},
}
OF_ONEDNN = {
    "SSE41": "SSE",
    "AVX": "SSE",
    "AVX2": "AVX2",
    "AVX2_VNNI": "AVX2",
    "AVX2_VNNI_2": "AVX2",
    "AVX512_CORE": "AVX512",
    "AVX512_CORE_VNNI": "AVX512-VNNI",
    "AVX512_CORE_BF16": "AVX512-BF16",
    "AVX512_CORE_FP16": "AVX512-BF16",
}
LIMITS = {
    "ONEDNN_MAX_CPU_ISA": OF_ONEDNN,
    "DNNL_MAX_CPU_ISA": OF_ONEDNN,  # its former name
    "ATEN_CPU_CAPABILITY": {"default": "SSE", "avx2": "AVX2"},
    "MKL_ENABLE_INSTRUCTIONS": {"SSE4_2": "SSE", "AVX": "SSE", "AVX2": "AVX2"},
}
"""Environment variable and value to the highest instruction set that a library then uses. Other values set no limit."""

SETTINGS = (
    *("TF_ENABLE_ONEDNN_OPTS", *LIMITS, "ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE"),
    *("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "NVIDIA_TF32_OVERRIDE", "OMP_NUM_THREADS"),
)
"""Environment variables that change how the libraries compute."""

SLOWER = {"AVX512": "two to three", "AVX512-VNNI": "two to three"}
"""How many times slower bfloat16 is than float32, measured with PyTorch; on other processors four to ten times."""


def processor(threads: int) -> dict[str, Any]:
    """The processor and its settings, for the provenance of a result.

    Args:
        threads: Compute threads.

    Returns:
        `name`; `instructions`, the highest instruction set that the libraries use, and `has`, where environment
        variables keep them below what the processor has; `threads`; `cores` that this process may use; `settings`,
        the variables that are set and change how the libraries compute.
    """
    found = {"name": name(), "instructions": usable()}
    if usable() != instructions():
        found["has"] = instructions()
    settings = {key: os.environ[key] for key in SETTINGS if key in os.environ}
    return {**found, "threads": threads, "cores": cores(), "settings": settings}


def described(threads: int) -> str:
    """The processor in one line, for messages."""
    more = f" of {instructions()}" if usable() != instructions() else ""
    return f"{name()}, {usable()}{more}, {threads} of {cores()} cores"


def name() -> str:
    """The processor's name, from the kernel."""
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


def instructions() -> str:
    """The highest of `X86` that the processor has. On other architectures their name, with `-BF16` if they have it."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return platform.machine() + ("-BF16" if "bf16" in _flags() else "")
    return highest(_flags())


def highest(flags: set[str]) -> str:
    """The highest of `X86` such that a processor has its flags and the flags of all sets before it."""
    best = X86[0]
    for one in X86[1:]:
        if not FLAGS[one] <= flags:
            break
        best = one
    return best


def usable(environment: Mapping[str, str] = os.environ) -> str:
    """The highest instruction set that all libraries may use: that of the processor, or a lower limit of a variable."""
    found = instructions()
    if found not in X86:
        return found
    return min([found, *filter(None, (_limit(variable, environment) for variable in LIMITS))], key=X86.index)


def _limit(variable: str, environment: Mapping[str, str]) -> str | None:
    """The highest instruction set that a variable allows. Only oneDNN ignores case."""
    values, value = LIMITS[variable], environment.get(variable, "")
    return values.get(value.upper() if values is OF_ONEDNN else value)


def has_bfloat16() -> bool:
    """Whether the processor has instructions for products of bfloat16."""
    return usable() == "AMX" or usable().endswith("-BF16")


def warn_of_bfloat16() -> None:
    """Warn once that bfloat16 is slow on a processor without instructions for it."""
    if not has_bfloat16():
        _warn_of_bfloat16(name(), usable())


@cache
def _warn_of_bfloat16(processor: str, found: str) -> None:
    times = SLOWER.get(found, "four to ten")
    log.warning(
        f"precision: bfloat16 is {times} times slower than float32 on this processor ({processor}, {found}); "
        "take float32 where it has neither AVX512-BF16 nor AMX"
    )


def check_bfloat16_of_tensorflow(environment: Mapping[str, str] = os.environ) -> None:
    """Refuse bfloat16 where it would crash: TensorFlow looks at the processor, and oneDNN at its variable.

    Raises:
        PolyticketError: ONEDNN_MAX_CPU_ISA (or DNNL_MAX_CPU_ISA) keeps oneDNN below AVX512 on a processor that has it.
    """
    if instructions() not in X86[X86.index("AVX512") :] or environment.get("TF_ENABLE_ONEDNN_OPTS") == "0":
        return
    for variable in (name for name, values in LIMITS.items() if values is OF_ONEDNN):
        if X86.index(_limit(variable, environment) or X86[-1]) < X86.index("AVX512"):
            what = f"bfloat16 in TensorFlow with {variable}={environment[variable]}"
            raise PolyticketError(what, where="precision", expected="float32, or AVX512_CORE and above there")


def cores() -> int:
    """The number of cores that this process may use, by its affinity and the quota of its container."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(allowed, _quota())))


def _quota(root: Path = Path("/sys/fs/cgroup")) -> float:
    """The cores that the control group (version 2, else 1) may use; infinite without a quota."""
    try:
        most, period = (root / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        try:
            most, period = ((root / f"cpu/cpu.cfs_{x}_us").read_text(encoding="ascii") for x in ("quota", "period"))
        except OSError:
            return math.inf
    return math.inf if most.strip() in ("max", "-1") else int(most) / int(period)


@cache
def _cpuinfo() -> dict[str, str]:
    """The kernel's description of the first processor; empty on systems other than Linux."""
    if not sys.platform.startswith("linux"):
        return {}
    first = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}


def _flags() -> set[str]:
    return set((_cpuinfo().get("flags") or _cpuinfo().get("Features") or "").split())
