"""The packages import in one direction, in the order of the table in docs/architecture.md."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src/polyticket"
LAYERS = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/architecture.md").read_text(encoding="utf-8"), re.MULTILINE)


def imports() -> Iterator[tuple[str, str, str]]:
    """Module, its package and an imported package, of every import within the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        module = path.relative_to(PACKAGE).with_suffix("")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module == "polyticket":
                names = [f"polyticket.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            else:
                continue
            for name in names:
                top, _, rest = name.partition(".")
                if top == "polyticket" and not rest.startswith("__"):
                    yield module.as_posix(), module.parts[0], rest.split(".")[0]


def test_the_table_has_every_package():
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert sorted(LAYERS) == sorted(packages | {"api", "cli"})


def test_no_import_runs_upwards():
    level = {name: number for number, name in enumerate(LAYERS)}
    upwards = {
        f"{module} imports {imported}"
        for module, package, imported in imports()
        if package in level and level[imported] > level[package]
    }
    assert upwards == set()
