"""Rules of the house that no linter knows."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from polyticket.core.code_digest import PACKAGE, PLUMBING, Code, is_plumbing, read_module

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "src").rglob("*.py"))
SCRIPTS = sorted((ROOT / "workflow/scripts").glob("*.py"))
RULE_FILES = sorted((ROOT / "workflow/rules").glob("*.smk"))
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))
NEEDED = ("output", "log", "benchmark", "conda", "threads", "resources", "params", "script")
LONG_RULES = {
    *("score_saliency", "score_bake_off", "upload_checkpoint"),
    *("pretrain_phase", "score_held_out", "convert_model", "finetune_task"),
    *("find_subnetworks", "finetune_subnetwork"),
}
DISTRIBUTIONS = {  # what is imported, where it is not called as what is installed
    "faiss": "faiss-cpu",
    "google": "google-cloud-storage",
    "google.protobuf": "protobuf",
    "google_crc32c": "google-crc32c",
    "sklearn": "scikit-learn",
    "tensorflow": "tensorflow-cpu",
    "yaml": "pyyaml",
}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def rules() -> dict[str, tuple[Path, str]]:
    """Rule name to the file and the text of it."""
    found = {}
    for path in RULE_FILES:
        parts = re.split(r"^rule (\w+):\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            assert name not in found
            found[name] = (path, re.split(r"^\S", text, maxsplit=1, flags=re.MULTILINE)[0])
    return found


def part(name: str, keyword: str) -> str:
    """The text of a keyword of a rule; empty if the rule has none."""
    found = re.search(rf"^    {keyword}:(.*(?:\n(?: {{8}}.*)?)*)", rules()[name][1], re.MULTILINE)
    return found[1].strip() if found else ""


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_array_is_unpickled():
    """What ruff cannot ban: an argument, and a method of any object."""
    unpickles = re.compile(r"allow_pickle=(?!False\b)|\.to_pickle\(")
    assert [relative(path) for path in [*MODULES, *SCRIPTS] if unpickles.search(path.read_text(encoding="utf-8"))] == []


def test_the_library_never_sees_snakemake():
    seen = {
        relative(path): name
        for path in MODULES
        for name in imported(ast.parse(path.read_text(encoding="utf-8")))
        if name.split(".")[0].startswith("snakemake")
    }
    assert seen == {}


def test_every_rule_file_says_what_goes_in_and_out():
    for path in RULE_FILES:
        text = path.read_text(encoding="utf-8")
        assert re.match(r'"""\S.*[.:].*"""\n', text), relative(path)
        assert (" -> " in text.splitlines()[0]) == (path.stem not in ("common", "targets")), relative(path)


def test_every_rule_is_found():
    assert len(rules()) >= 18
    stated = sum(len(re.findall(r"^(?:rule|checkpoint) \w", p.read_text(), re.MULTILINE)) for p in RULE_FILES)
    assert len(rules()) == stated
    assert not re.search(
        r"^ +(run|shell|notebook|wrapper):", "".join(text for _, text in rules().values()), re.MULTILINE
    )


@pytest.mark.parametrize("name", rules())
def test_a_rule_has_all_that_every_rule_has(name):
    path, text = rules()[name]
    assert re.match(r'    """\S.*\."""\n', text)
    assert [keyword for keyword in NEEDED if not part(name, keyword)] == []
    assert part(name, "script") == f'"../scripts/{name}.py"'
    assert f'code=code_of("{name}"),' in part(name, "params")
    assert (path.parent / part(name, "conda").strip('"')).resolve() in ENVIRONMENTS
    assert bool(part(name, "retries")) == (name in LONG_RULES)
    log, benchmark = part(name, "log").strip('",'), part(name, "benchmark").strip('",')
    assert re.match(rf"<logs>/(\{{run\}})?{name}(/.+)?\.log$", log)
    assert benchmark == log.replace("<logs>", "<benchmarks>").replace(".log", ".tsv")


def test_every_script_is_that_of_a_rule():
    assert [path.stem for path in SCRIPTS] == sorted(rules())


def test_a_script_can_be_imported_and_takes_what_it_needs_from_its_rule():
    for path in SCRIPTS:
        text = path.read_text(encoding="utf-8")
        body = ast.parse(text).body
        assert ast.unparse(body[-1]).startswith("if __name__ == '__main__':\n    with logged(snakemake.log[0]):\n")
        assert "snakemake" not in {node.id for one in body[:-1] for node in ast.walk(one) if isinstance(node, ast.Name)}
        assert not re.search(r"import snakemake|from snakemake|__future__|snakemake\.config|open\(", text), path


def test_configuration_reaches_code_only_through_params():
    for path in MODULES:
        assert "config/config.yaml" not in path.read_text(encoding="utf-8"), relative(path)
    for name, (_, text) in rules().items():
        used = re.findall(r"^        (\w+)=(.*config\[.*)$", text, re.MULTILINE)
        allowed = part(name, "params") + part(name, "threads") + part(name, "input") + part(name, "resources")
        assert [key for key, value in used if f"{key}={value}" not in allowed] == [], name


def pins(lines: list[str]) -> dict[str, str]:
    found = [line.split("==") for line in lines if "==" in line and not line.startswith("#")]
    assert all(len(pair) == 2 for pair in found)
    names = [re.sub(r"[-_.]+", "-", name).lower() for name, _ in found]
    assert [name for name, count in Counter(names).items() if count > 1] == []
    return dict(zip(names, (version.strip() for _, version in found), strict=True))


STACKS = ("cpu", "gpu", "tpu")
INCLUDE = "-r requirements.lock"


def stated(name: str) -> list[str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def locked(stack: str = "cpu") -> dict[str, str]:
    """All pins of a stack; none stands in both of its locks."""
    return pins(stated("requirements.lock") + stated(f"requirements-{stack}.lock"))


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=relative)
def test_an_environment_pins_what_the_lock_pins(path):
    stated = yaml.safe_load(path.read_text(encoding="utf-8"))["dependencies"]
    assert stated[0] == "python=3.11"
    listed = next(one for one in stated if isinstance(one, dict))["pip"]
    assert len(pins(listed)) == len(listed)
    assert pins(listed).items() <= locked().items()


@pytest.mark.parametrize("name", rules())
def test_the_environment_of_a_rule_has_all_that_its_code_imports(name):
    environment = (rules()[name][0].parent / part(name, "conda").strip('"')).resolve()
    stated = yaml.safe_load(environment.read_text(encoding="utf-8"))["dependencies"]
    provided = {"polyticket", *pins(next(one for one in stated if isinstance(one, dict))["pip"])}
    missing = {}
    for path in used_modules(ROOT / f"workflow/scripts/{name}.py"):
        for module in imported(at_once(path)):
            top, two = module.split(".")[0], ".".join(module.split(".")[:2])
            wanted = DISTRIBUTIONS.get(two) or DISTRIBUTIONS.get(top, top)
            if top not in sys.stdlib_module_names and wanted not in provided:
                missing[relative(path)] = module
    assert missing == {}


@cache
def at_once(path: Path) -> ast.Module:
    """What a module does when it is imported, functions and what only type checkers read left out."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return ast.Module([node for node in body if isinstance(node, ast.Import | ast.ImportFrom)], [])


def used_modules(script: Path) -> set[Path]:
    """A script and all modules of the package that it imports, directly or through others, plumbing included."""
    found, waiting = set(), [script]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += imported_modules(path)
    return found


@cache
def imported_modules(path: Path) -> list[Path]:
    names = read_module(path.read_bytes()).imports
    paths = (PACKAGE.joinpath(*name.split(".")[1:]).with_suffix(".py") for name in names)
    return [path for path in paths if path.is_file()]


ARRAYS = {"numpy", "scipy", "torch", "tensorflow", "transformers", "sklearn", "pandas", "pyarrow", "tokenizers"}
LAYS_OUT_ARRAYS = {"pruning/resume_state"}


def module_name(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


def test_plumbing_is_there_and_computes_nothing():
    names = [*map(module_name, MODULES)]
    assert [one for one in PLUMBING if one not in names and not (PACKAGE / one).is_dir()] == []
    for path, name in zip(MODULES, names, strict=True):
        if is_plumbing(name) and name not in LAYS_OUT_ARRAYS:
            imports = {one.split(".")[0] for one in imported(ast.parse(path.read_text(encoding="utf-8")))}
            assert imports & ARRAYS == set(), f"{name} computes"


@pytest.mark.parametrize("path", SCRIPTS, ids=relative)
def test_nothing_that_computes_hides_behind_plumbing(path):
    counted = Code().modules(path)
    used = set(map(module_name, used_modules(path) - {path}))
    assert {name for name in used - counted if not is_plumbing(name)} == set()


@pytest.mark.parametrize("stack", STACKS)
def test_every_direct_pin_is_in_the_lock_of_a_stack(stack):
    shared, (include, *own) = stated("requirements.in"), stated(f"requirements-{stack}.in")
    assert include == INCLUDE
    direct = pins([re.sub(r"\[.*\]", "", line) for line in (*shared, *own)])
    assert len(direct) == len(shared) + len(own) > 20
    assert direct.items() <= locked(stack).items()


def test_a_lock_is_pins_alone():
    assert [line for line in stated("requirements.lock") if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    for stack in STACKS:
        include, *own = stated(f"requirements-{stack}.lock")
        assert include == INCLUDE
        assert [line for line in own if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []


def test_a_stack_has_its_own_builds_and_nothing_of_the_others():
    """Two builds of TensorFlow, or the libraries of two CUDAs, would overwrite each other's files."""
    builds = {"cpu": "tensorflow-cpu", "gpu": "tensorflow", "tpu": "tensorflow-tpu"}
    for stack, build in builds.items():
        found = locked(stack)
        assert {name for name in builds.values() if name in found} == {build}
        assert ("libtpu" in found) == (stack == "tpu")
        cuda = {name.rpartition("-")[2] for name in found if name.startswith("nvidia-")}
        assert cuda == ({"cu12"} if stack == "gpu" else set())


def test_a_lock_is_what_pip_resolves_less_what_is_shared(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "envs")
    lock = import_module("lock")
    monkeypatch.setattr(lock, "resolved", lambda _: ["numpy==1.0", "torch==2.0"])
    (tmp_path / "requirements.lock").write_text("numpy==1.0\n")
    asked = tmp_path / "requirements-gpu.in"
    asked.write_text(f"{INCLUDE}\ntorch==2.0\n")
    made = "# made from requirements-gpu.in by `make lock STACK=gpu`\n"
    assert lock.lock(asked) == f"{made}{INCLUDE}\ntorch==2.0\n"
    assert lock.canonical("Types_PyYAML") == "types-pyyaml"


def repository_files() -> list[Path]:
    """What is, or would be, under version control."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_places_of_one_machine():
    of_a_machine = re.compile(r"(?<![\w.$}{/*-])/(?:home|root|Users|work|workspace)/[\w.-]+")
    named = {}
    for path in repository_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if found := of_a_machine.findall(text):
            named[relative(path)] = found
    assert named == {}
