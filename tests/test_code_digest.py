"""Digests of code: what may change a result changes them, and nothing else."""

import shutil
from pathlib import Path

import pytest

from polyticket.core.code_digest import PACKAGE, Code

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted((ROOT / "workflow/scripts").glob("*.py"))
MODULES = {
    "__init__": "",
    "direct": '"""Says what."""\n\nfrom polyticket.parts.deep import twice\n\n\ndef four(x):\n    """Says how."""\n'
    "    return twice(twice(x))  # why\n",
    "parts/__init__": "",
    "parts/deep": "def twice(x):\n    return 2 * x\n",
    "parts/whole": "ONE = 1\n",
    "named": "ONE = 1\n",
    "logs": "def say(x):\n    print(x)\n",
    "unrelated": "def half(x):\n    return x / 2\n",
}
SCRIPT = "from polyticket.direct import four\nfrom polyticket.parts import whole\n\nprint(four(1), whole.ONE)\n"


@pytest.fixture
def script(tmp_path) -> Path:
    """A script, and a package that it and its modules import."""
    for name, text in MODULES.items():
        (tmp_path / "polyticket" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "polyticket" / f"{name}.py").write_text(text, encoding="utf-8")
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    return tmp_path / "script.py"


def digest_of(script: Path, cache: Path | None = None) -> str:
    """The digest as a new process takes it."""
    return Code(cache, script.parent / "polyticket").digest(script)


def digest_after(script: Path, module: str, text: str) -> str:
    """The digest after a module was rewritten."""
    (script.parent / "polyticket" / f"{module}.py").write_text(text, encoding="utf-8")
    return digest_of(script)


def test_the_digest_is_the_same_on_all_machines_and_versions_of_python(script):
    assert digest_of(script) == "5f400d47669828c1"


def test_comments_docstrings_and_layout_do_not_count(script):
    before = digest_of(script)
    changed = MODULES["direct"].replace("what", "another thing").replace("how", "nothing").replace("why", "because")
    changed = changed.replace("twice(twice(x))", "twice(\n        (twice(x)),\n    )")
    assert digest_after(script, "direct", changed) == before
    bare = "from polyticket.parts.deep import twice\ndef four(x): return twice(twice(x))\n"
    assert digest_after(script, "direct", bare) == before
    script.write_text(f'"""Runs."""\n{SCRIPT}# ends\n', encoding="utf-8")
    assert digest_of(script) == before


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [("direct", "twice(twice(x))", "twice(x)"), ("parts/deep", "2 * x", "3 * x"), ("parts/whole", "1", "2")],
    ids=["imported", "imported by what is imported", "imported as a name of its package"],
)
def test_code_that_is_used_counts(script, module, old, new):
    before = digest_of(script)
    assert digest_after(script, module, MODULES[module].replace(old, new)) != before
    assert digest_after(script, module, MODULES[module]) == before


def test_a_script_counts(script):
    before = digest_of(script)
    script.write_text(SCRIPT.replace("four(1)", "four(2)"), encoding="utf-8")
    assert digest_of(script) != before


def test_code_that_is_not_used_does_not_count(script):
    before = digest_of(script)
    assert digest_after(script, "unrelated", "def half(x):\n    return x // 2\n") == before


def test_a_module_that_is_imported_by_its_name_counts(script):
    by_name = 'from importlib import import_module\n\nimport_module("polyticket.named")\n'
    before = digest_after(script, "direct", by_name)
    assert digest_after(script, "named", "ONE = 2\n") != before


def test_modules_that_import_each_other_end(script):
    before = digest_of(script)
    circle = f"import polyticket.direct\n\n{MODULES['parts/deep']}"
    assert len(digest_after(script, "parts/deep", circle)) == 16
    assert digest_after(script, "parts/deep", MODULES["parts/deep"]) == before


def test_an_added_module_counts_though_it_says_what_another_says(script):
    assert MODULES["named"] == MODULES["parts/whole"]
    before = digest_of(script)
    script.write_text(SCRIPT + "import polyticket.named\n", encoding="utf-8")
    assert digest_of(script) != before


def test_plumbing_does_not_count_but_that_it_is_used_does(script):
    using = f"from polyticket.core.logs import say\n\n{MODULES['direct']}"
    before = digest_after(script, "direct", using)
    assert digest_after(script, "logs", "def say(x):\n    print(x, x)\n") == before


LOUD = """
from polyticket.core.errors import PolyticketError
from polyticket.core.logs import Progress, log

def work(values, name):
    progress = Progress(f"work {name}", len(values), "values")
    if not values:
        said, expected = f"no values of {name}", "some"
        raise PolyticketError(said, where="values", expected=expected)
    if len(values) > 9:
        raise ValueError("too many")
    label = "sum of "
    for value in values:
        log.info("value %s", value)
        progress.add(value=value)
    return label + name, sum(values)
"""


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ('f"work {name}"', 'f"working on {name}"', False),
        ('f"no values of {name}"', 'f"{name} has no values"', False),
        ('"some"', '"at least one"', False),
        ('where="values"', 'where=f"config {name}"', False),
        ('"too many"', '"too many values"', False),
        ('"value %s", value', '"next: %s", value', False),
        ("        progress.add(value=value)\n", "        progress.add()\n", False),
        ('        log.info("value %s", value)\n', "", False),
        ("raise ValueError", "raise KeyError", True),
        ('"sum of "', '"total of "', True),
        ("if not values", "if values is None", True),
        ("> 9", "> 8", True),
        ("sum(values)", "max(values)", True),
        ("        progress.add(value=value)\n", "        value.add(value=value)\n", True),
    ],
)
def test_messages_do_not_count(script, old, new, counts):
    assert LOUD.count(old) == 1
    before = digest_after(script, "direct", LOUD)
    assert (digest_after(script, "direct", LOUD.replace(old, new)) != before) == counts


def test_what_is_kept_of_earlier_reading_changes_nothing(script, tmp_path):
    cache = tmp_path / "new" / "cache.json"
    found = digest_of(script)
    assert digest_of(script, cache) == found
    kept = cache.read_bytes()
    assert digest_of(script, cache) == found
    assert cache.read_bytes() == kept
    (script.parent / "polyticket/parts/deep.py").write_text("def twice(x):\n    return 3 * x\n", encoding="utf-8")
    changed = digest_of(script, cache)
    assert changed == digest_of(script) != found
    for text in ("", "{", "[]", '{"a": 1}', '{"a": [1]}'):
        cache.write_text(text, encoding="utf-8")
        assert digest_of(script, cache) == changed
    cache.unlink()
    cache.mkdir()  # where nothing can be written
    assert digest_of(script, cache) == changed


IMAGES = {path.stem for path in SCRIPTS if path.stem.startswith("plot_")}
EDITS = [
    ("core/logs", "max(time.monotonic() - self.started, 1e-9)", "time.monotonic() - self.started", set()),
    ("core/files", 'ensure_ascii=False, indent=2, allow_nan=False) + "\\n"', "ensure_ascii=False)", set()),
    ("core/errors", "class PolyticketError", "class Unused:\n    pass\n\n\nclass PolyticketError", set()),
    ("core/processes", "def ", "UNUSED = 1\n\n\ndef ", set()),
    ("core/provenance", "[:16]", "[:17]", set()),
    ("config/completion", "LANGUAGE_SECTIONS = (", "UNUSED = 1\nASKING = (", set()),
    ("store/directories", "def ", "UNUSED = 1\n\n\ndef ", set()),
    ("store/gcs", "def ", "UNUSED = 1\n\n\ndef ", set()),
    ("pretraining/checkpoints", "def ", "UNUSED = 1\n\n\ndef ", set()),
    ("pretraining/run", '"pretraining from step', '"training from step', set()),
    ("pretraining/run", 'expected="a lower learning rate; the', 'expected="less; the', set()),
    ("pruning/resume_state", "def ", "UNUSED = 1\n\n\ndef ", set()),
    ("pretraining/optimizer", "beta_1: float = 0.9", "beta_1: float = 0.8", {"pretrain_phase"}),
    ("pretraining/plan", "VERSION = ", "VERSION = 1 + ", {"pretrain_phase"}),
    ("pruning/search", "VERSION = ", "VERSION = 1 + ", {"find_subnetworks"}),
    ("pruning/search", "number + 2]", "number + 3]", {"find_subnetworks"}),
    ("corpus/split", "digest_size=8", "digest_size=9", {"split_sentences"}),
    ("tickets/allocation", "largest <= 1e-20", "largest <= 1e-21", {"allocate_ticket"}),
    ("pretraining/held_out", "def ", "UNUSED = 1\n\n\ndef ", {"score_held_out"}),
    ("figures/losses", "def ", "UNUSED = 1\n\n\ndef ", {"plot_losses"}),
]


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    """A copy of this package."""
    folder = tmp_path_factory.mktemp("package") / "polyticket"
    shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def all_digests(package: Path) -> dict[str, str]:
    code = Code(package.parent / "cache.json", package)
    return {script.stem: code.digest(script) for script in SCRIPTS}


@pytest.fixture(scope="module")
def before(package) -> dict[str, str]:
    return all_digests(package)


@pytest.mark.parametrize(("module", "old", "new", "rules"), EDITS, ids=[f"{one[0]} {one[1][:9]}" for one in EDITS])
def test_an_edited_module_counts_for_the_rules_that_it_computes_for(package, before, module, old, new, rules):
    path = package / f"{module}.py"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    try:
        after = all_digests(package)
    finally:
        path.write_text(text, encoding="utf-8")
    assert {rule for rule in before if after[rule] != before[rule]} == rules


def test_the_style_of_figures_counts_for_figures_and_the_page_of_ledgers(package, before):
    path = package / "figures/style.py"
    path.write_text(path.read_text(encoding="utf-8") + "\nUNUSED = 1\n", encoding="utf-8")
    after = all_digests(package)
    assert {rule for rule in before if after[rule] != before[rule]} == IMAGES | {"tabulate_corpus"}
