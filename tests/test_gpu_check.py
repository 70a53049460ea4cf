"""The check of a GPU runs on a CPU with tiny sizes, and where little but PyTorch is installed."""

import json
import math
import subprocess
import sys
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "benchmarks/gpu"
ABSENT = (
    *("tensorflow", "keras", "snakemake", "datasets", "seqeval", "faiss", "sklearn", "scipy", "pandas", "matplotlib"),
    *("onnx", "onnxruntime", "google", "google_crc32c", "jsonschema", "sentencex", "defusedxml", "wikiextractor"),
    *("tenacity", "sentencepiece", "accelerate"),
)
"""What the machine with the GPU need not have."""

sys.path.insert(0, str(FOLDER))
check, sides = import_module("check"), import_module("sides")


def test_all_of_it_runs_with_tiny_sizes_where_little_is_installed(tmp_path):
    out = tmp_path / "check.json"
    script = FOLDER / "check.py"
    code = f"import runpy, sys; sys.modules.update(dict.fromkeys({ABSENT})); sys.argv = sys.argv[1:]\n"
    code += "runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-I", "-c", code, str(script), "--tiny", "--out", str(out)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(out.read_text(encoding="utf-8"))
    assert (found["ok"], found["tiny"], found["device"]) == (True, True, "cpu")
    assert list(found["parts"]) == list(check.PARTS)
    for name, part in found["parts"].items():
        assert part["figures"], name
        assert all(math.isfinite(value) for value in part["figures"].values()), name
    figures = {name: part["figures"] for name, part in found["parts"].items()}
    assert figures["pruning is right"]["pruned weights"] > 0
    assert figures["saliency, BERT-base"]["operations of plain by ours"] > 1
    assert figures["a pruning step"]["8 k, weights"] == 4 * 32 * 32 + 2 * 32 * 64
    assert {"bfloat16, share of the peak", "float32, times plain"} <= figures["saliency, 1024/16"].keys()


def fails(_place, _part):
    raise ValueError("broken")


def misses(_place, part):
    part.most("a difference", math.nan, 1)
    part.least("a ratio", 2.5, 3)


def takes_long(_place, part):
    part.note("begun", 1)
    time.sleep(5)


def test_a_part_that_fails_hides_no_other_and_the_exit_code_tells(tmp_path, monkeypatch, capsys):
    parts = {"one": (fails, 9), "two": (takes_long, 9), "three": (misses, 9)}
    monkeypatch.setattr(check, "PARTS", parts)
    monkeypatch.setattr(check, "prepare_torch", lambda _: None)
    monkeypatch.setattr(check, "PATIENT", 0.05)
    out = tmp_path / "check.json"
    assert check.main(["--tiny", "--out", str(out)]) == 1
    found = json.loads(out.read_text(encoding="utf-8"))
    assert not found["ok"]
    one, two, three = found["parts"].values()
    assert one["error"].endswith("ValueError: broken\n")
    assert "OutOfTime: more than 0 s" in two["error"]
    assert two["figures"] == {"begun": 1}
    assert three["missed"] == ["a difference: nan; at most 1", "a ratio: 2.5; at least 3"]
    assert "FAILED ValueError: broken" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["check.json"]


def test_without_a_gpu_one_line_says_so(monkeypatch, capsys):
    monkeypatch.setattr(check.torch.cuda, "is_available", lambda: False)
    assert check.main([]) == 2
    assert capsys.readouterr().err == "no GPU is found\n"


def test_budgets_fit_eight_minutes():
    assert sum(budget for _, budget in check.PARTS.values()) <= 60 * check.MINUTES


@pytest.mark.parametrize(("plain", "wanted"), [(True, 1), (False, 0)])
def test_operations_are_those_of_the_products(plain, wanted):
    """Of a model of one layer and one token a sequence, by hand: forward all, backward all but what feeds the layer."""
    shape = sides.BertShape(11, 4, 1, 1, 6)
    sizes = replace(sides.TINY, records=1, length=4, predictions=1)
    rows, predicted = (4, 4) if wanted else (2, 1)
    layer = (rows + 8) * 16 + 2 * rows * (16 + 48) + 6 * rows * 4 * 4
    assert sides.operations(sizes, shape, plain=plain) == 2 * (layer + 2 * predicted * (16 + 44))
