"""What a result depends on: digests of code and of settings, versions of packages, the processor."""

import ast
import hashlib
import json
import platform
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from polyticket.processor import processor

PACKAGE = Path(__file__).parent


def code_digest(script: str | Path) -> str:
    """A digest of all modules of this package that a script imports, directly or through others.

    Comments, docstrings and layout do not count: only a change that can change a result changes the digest.

    Args:
        script: A Python file; its own text is not part of the digest.

    Returns:
        16 hexadecimal digits.
    """
    found: set[Path] = set()
    waiting = list(_imported(Path(script)))
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += _imported(module)
    lines = [f"{module.relative_to(PACKAGE).as_posix()} {_meaning(module)}\n" for module in sorted(found)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def package_digest() -> str:
    """A digest of all modules of this package, as `code_digest` reads them: 16 hexadecimal digits."""
    modules = sorted(PACKAGE.rglob("*.py"))
    return digest([[module.relative_to(PACKAGE).as_posix(), _meaning(module)] for module in modules])


def digest(value: Any) -> str:
    """A digest of any JSON value, whatever the order of its keys: 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of Python, of this package and of the named ones that are installed."""
    found = {"python": platform.python_version()}
    for name in ("polyticket", *packages):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def made_with(packages: Iterable[str], threads: int) -> dict[str, Any]:
    """What a result says of how it was computed: `versions` of packages, and the `processor`."""
    return {"versions": versions(packages), "processor": processor(threads)}


@cache
def _tree(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"), module.name)


@cache
def _meaning(module: Path) -> str:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _imported(module: Path) -> list[Path]:
    names: set[str] = set()
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("polyticket."):
            names.add(node.value)  # a module that is imported by its name, when it is needed
    paths = (
        PACKAGE.joinpath(*name.split(".")[1:]).with_suffix(".py") for name in names if name.startswith("polyticket.")
    )
    return [path for path in paths if path.is_file()]
