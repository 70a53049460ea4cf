"""Digests of code and settings: what may change a result changes them, and nothing else."""

from pathlib import Path

import pytest

from polyticket import provenance
from polyticket.provenance import code_digest, digest, versions

MODULES = {
    "__init__": "",
    "direct": '"""Says what."""\n\nfrom polyticket.parts.deep import twice\n\n\ndef four(x):\n    """Says how."""\n'
    "    return twice(twice(x))  # why\n",
    "parts/__init__": "",
    "parts/deep": "def twice(x):\n    return 2 * x\n",
    "parts/whole": "ONE = 1\n",
    "named": "ONE = 1\n",
    "unrelated": "def half(x):\n    return x / 2\n",
}
SCRIPT = "from polyticket.direct import four\nfrom polyticket.parts import whole\n\nprint(four(1), whole.ONE)\n"


@pytest.fixture
def script(tmp_path, monkeypatch) -> Path:
    """A script, and a package that it and its modules import."""
    for name, text in MODULES.items():
        (tmp_path / "polyticket" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "polyticket" / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "polyticket")
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    return tmp_path / "script.py"


def digest_after(script: Path, module: str, text: str) -> str:
    """The digest as a new process takes it, after a module was rewritten."""
    (script.parent / "polyticket" / f"{module}.py").write_text(text, encoding="utf-8")
    provenance._tree.cache_clear()
    provenance._meaning.cache_clear()
    return code_digest(script)


def test_comments_docstrings_and_layout_do_not_count(script):
    before = code_digest(script)
    changed = MODULES["direct"].replace("what", "another thing").replace("how", "nothing").replace("why", "because")
    changed = changed.replace("twice(twice(x))", "twice(\n        twice(x)\n    )")
    assert digest_after(script, "direct", changed) == before
    bare = "from polyticket.parts.deep import twice\ndef four(x): return twice(twice(x))\n"
    assert digest_after(script, "direct", bare) == before


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [("direct", "twice(twice(x))", "twice(x)"), ("parts/deep", "2 * x", "3 * x"), ("parts/whole", "1", "2")],
    ids=["imported", "imported by what is imported", "imported as a name of its package"],
)
def test_code_that_is_used_counts(script, module, old, new):
    before = code_digest(script)
    assert digest_after(script, module, MODULES[module].replace(old, new)) != before
    assert digest_after(script, module, MODULES[module]) == before


def test_code_that_is_not_used_does_not_count(script):
    before = code_digest(script)
    assert digest_after(script, "unrelated", "def half(x):\n    return x // 2\n") == before


def test_a_module_that_is_imported_by_its_name_counts(script):
    by_name = 'from importlib import import_module\n\nimport_module("polyticket.named")\n'
    before = digest_after(script, "direct", by_name)
    assert digest_after(script, "named", "ONE = 2\n") != before


def test_modules_that_import_each_other_end(script):
    before = code_digest(script)
    circle = f"import polyticket.direct\n\n{MODULES['parts/deep']}"
    assert len(digest_after(script, "parts/deep", circle)) == 16
    assert digest_after(script, "parts/deep", MODULES["parts/deep"]) == before


def test_the_scripts_own_text_is_not_counted(script):
    before = code_digest(script)
    script.write_text(SCRIPT + "print(2)\n", encoding="utf-8")
    provenance._tree.cache_clear()
    assert code_digest(script) == before


def test_an_added_module_counts_though_it_says_what_another_says(script):
    assert (MODULES["named"], code_digest(script)) == (MODULES["parts/whole"], code_digest(script))
    before = code_digest(script)
    script.write_text(SCRIPT + "import polyticket.named\n", encoding="utf-8")
    provenance._tree.cache_clear()
    assert code_digest(script) != before


def test_digests_of_settings_do_not_depend_on_the_order_of_keys():
    assert digest({"a": 1, "b": [1, {"c": "é", "d": None}]}) == digest({"b": [1, {"d": None, "c": "é"}], "a": 1})
    found = {digest(value) for value in ({"a": [1, 2]}, {"a": [2, 1]}, {"a": [1, 2.5]}, {"a": "1"}, {}, [], None)}
    assert len(found) == 7
    # printf '{"a": 1}' | sha256sum | cut -c -16
    assert digest({"a": 1}) == "f9d86028c6e0d64e"


def test_versions_name_what_is_installed():
    found = versions(["numpy", "no-such-package"])
    assert list(found) == ["python", "polyticket", "numpy"]
    assert found["numpy"].count(".") == 2
