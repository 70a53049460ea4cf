"""The package as it is installed: what it declares, what its wheel holds, and what works without extras."""

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from polyticket.core.extras import EXTRAS

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def canonical(requirement: str) -> str:
    """The name of a requirement, as package indexes compare names."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


BASE = {canonical(one) for one in PROJECT["dependencies"]}
OPTIONAL = {name: {canonical(one) for one in listed} for name, listed in PROJECT["optional-dependencies"].items()}
DECLARED = BASE.union(*OPTIONAL.values()) - {"polyticket"}


def imported_modules() -> Iterator[str]:
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module


def distributions_of(module: str) -> set[str]:
    """The distributions that may provide a module; parts of `google` are told from each other by name."""
    top, _, rest = module.partition(".")
    if module.startswith("google.protobuf"):
        return {"protobuf"}
    if top == "google" and rest:
        return {"google-cloud-storage"}
    return {canonical(name) for name in packages_distributions().get(top, ())}


def test_every_import_is_declared():
    external = {
        name for name in imported_modules() if name.split(".")[0] not in {*sys.stdlib_module_names, "polyticket"}
    }
    assert len({name.split(".")[0] for name in external}) > 15
    assert sorted(name for name in external if not distributions_of(name) & DECLARED) == []


def test_everything_declared_is_pinned():
    lines = [
        line for name in ("", "-cpu") for line in (ROOT / f"requirements{name}.in").read_text("utf-8").splitlines()
    ]
    pinned = {canonical(line) for line in lines if "==" in line}
    assert sorted(DECLARED - pinned) == []


def test_a_missing_module_is_said_to_be_in_an_extra_that_has_it():
    assert {name for names in EXTRAS.values() for name in names if not distributions_of(name)} == set()
    for extra, modules in EXTRAS.items():
        for module in modules:
            assert distributions_of(module) & OPTIONAL[extra], f"{module} is not in polyticket[{extra}]"


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A directory where the wheel is installed by itself, built from a copy so that nothing appears in the checkout."""
    scratch = tmp_path_factory.mktemp("wheel")
    source = scratch / "source"
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    alone = ["--no-deps", "--no-index"]
    wheels = scratch / "wheels"
    run(*pip, "wheel", *alone, "--no-build-isolation", "--wheel-dir", wheels, source, cwd=scratch)
    run(*pip, "install", *alone, "--target", scratch / "site", *wheels.glob("*.whl"), cwd=scratch)
    return scratch / "site"


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


WITHOUT_EXTRAS = """
import json, sys
site, absent = sys.argv[1], set(json.loads(sys.argv[2]))


class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Absent())
sys.path.insert(0, site)
"""


def test_the_wheel_works_without_extras(installed, tmp_path):
    provided = packages_distributions()
    extras = {canonical(one) for one in DECLARED - BASE}
    absent = sorted(top for top, names in provided.items() if {canonical(name) for name in names} <= extras)
    assert {"torch", "tensorflow", "transformers", "matplotlib", "scipy", "snakemake"} <= {*absent}
    script = tmp_path / "script.py"
    script.write_text(WITHOUT_EXTRAS + BODY, encoding="utf-8")
    out = run(sys.executable, "-I", script, installed, json.dumps(absent), cwd=tmp_path)
    assert json.loads(out.splitlines()[-1]) == {"fr": 0.5, "jaccard": 1 / 3}
    assert (installed / "polyticket/py.typed").is_file()


BODY = """
import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import polyticket
from polyticket import cli
from polyticket.config.completion import complete
from polyticket.core.errors import PolyticketError
from polyticket.tickets.algebra import similarity
from polyticket.tickets.ticket import Ticket, read_ticket, write_ticket

assert polyticket.__file__.startswith(site), polyticket.__file__


def command(*arguments, code=0):
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            found = cli.main(arguments)
        except SystemExit as end:
            found = end.code
    assert found == code, (arguments, found, err.getvalue())
    return out.getvalue() + err.getvalue()


assert command("--version") == f"polyticket {polyticket.__version__}\\n"
assert "Swahili" in command("languages")

complete({"languages": ["fr", "sw"]})
try:
    complete({"langauges": ["fr"]})
except PolyticketError as error:
    assert "langauges" in str(error), error
else:
    raise AssertionError("an unknown key is not refused")

bits = np.array([[1, 1, 0, 0], [1, 0, 1, 0]], bool)
write_ticket(Ticket(("fr", "sw"), {"site": bits}), "ticket.safetensors")
ticket = read_ticket("ticket.safetensors")
assert "fr" in command("ticket", "show", "--by", "all", "ticket.safetensors")
assert "Jaccard" in command("ticket", "compare", "--by", "all", "ticket.safetensors").replace("jaccard", "Jaccard")
said = command("ticket", "prune", "model", "out.safetensors", "--sparsity", "50", code=1)
assert said == "polyticket: error: torch is not installed; install polyticket[torch]\\n", said
print(json.dumps({"fr": ticket.density("fr"), "jaccard": similarity(ticket).jaccard()[0, 0, 1].item()}))
"""
