"""Digests of the code that computes a result: an edit of this code reruns the rule, other edits do not."""

import ast
import hashlib
import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from polyticket.core.files import Pathlike, write_text

PACKAGE = Path(__file__).parents[1]
PLUMBING = (
    *("cli", "config/", "store/", "core/code_digest", "core/errors", "core/files", "core/gpus", "core/logs"),
    *("core/processes", "core/processor", "core/provenance", "core/tables", "core/text"),
    "dumps/http",
    *("pretraining/checkpoints", "pretraining/job", "pruning/resume_state"),
)
"""Modules that carry results and compute none, whole directories with a slash; all others count."""
SPEAKING = {"PolyticketError", "Progress"}
"""Calls whose arguments are for a reader's eyes, whatever is called."""
SPEAKERS = {"log", "progress", "warnings"}
"""Objects whose methods, called for no value, only speak."""
SILENT_FIELDS = {"ctx", "kind", "type_comment", "type_ignores"}
KEPT_IN_CACHE = 2000

Tokens = list[Any]


class Module(NamedTuple):
    """What counts of a module.

    Attributes:
        meaning: A digest of what it computes.
        imports: The dotted names that it imports of this package, or names in a string.
    """

    meaning: str
    imports: list[str]


class Code:
    """Digests of scripts by the modules of this package that they use.

    A change of comments, docstrings, layout, messages (of errors, logs and progress) or plumbing changes no digest.

    Args:
        cache: A file where what was read is kept by the digest of its text, so that nothing in it can be stale; it may
            be removed at any time. None keeps nothing.
        package: The package's directory.
    """

    def __init__(self, cache: Pathlike | None = None, package: Path = PACKAGE) -> None:
        self.cache, self.package = cache, package
        self._salt = Path(__file__).read_bytes()
        self._known: dict[str, Module] = _read_cache(cache)
        self._modules: dict[Path, Module] = {}
        self._used: dict[str, Module] = {}
        paths = {path.relative_to(package).with_suffix("").as_posix(): path for path in package.rglob("*.py")}
        self._counted = {name: path for name, path in paths.items() if not is_plumbing(name)}
        self._direct: dict[str, list[str]] = {}

    def digest(self, script: Pathlike) -> str:
        """A digest of a Python file and of all modules that it imports, directly or through others, plumbing left out.

        Returns:
            16 hexadecimal digits, the same for all versions of Python.
        """
        known, script = len(self._known), Path(script)
        modules = ((name, self._counted[name]) for name in sorted(self.modules(script)))
        meanings = [self._read(script).meaning, *(f"{name} {self._read(path).meaning}" for name, path in modules)]
        if self.cache is not None and len(self._known) > known:
            self._write_cache(self.cache)
        return hashlib.sha256("\n".join(meanings).encode()).hexdigest()[:16]

    def modules(self, script: Pathlike) -> set[str]:
        """The modules of the package that compute what a Python file is for: paths in the package, without endings."""
        found: set[str] = set()
        waiting = self._imported(Path(script))
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                if name not in self._direct:
                    self._direct[name] = self._imported(self._counted[name])
                waiting += self._direct[name]
        return found

    def _imported(self, path: Path) -> list[str]:
        names = {name.partition(".")[2].replace(".", "/") for name in self._read(path).imports}
        return [name for name in names if name in self._counted]

    def _read(self, path: Path) -> Module:
        if path not in self._modules:
            text = path.read_bytes()
            key = hashlib.sha256(self._salt + text).hexdigest()
            if key not in self._known:
                self._known[key] = read_module(text)
            self._modules[path] = self._used[key] = self._known[key]
        return self._modules[path]

    def _write_cache(self, path: Pathlike) -> None:
        if len(self._known) > KEPT_IN_CACHE:
            self._known = dict(self._used)
        with suppress(OSError):  # without it the next start takes a second longer
            write_text(path, json.dumps(self._known))


def is_plumbing(name: str) -> bool:
    """Whether a module, by its path in the package, computes nothing that a result holds."""
    return name in PLUMBING or f"{name.partition('/')[0]}/" in PLUMBING


@cache
def code_digest(script: Pathlike) -> str:
    """As `Code.digest`, once in a process."""
    return Code().digest(script)


def _read_cache(path: Pathlike | None) -> dict[str, Module]:
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8")) if path else {}
        return {key: Module(str(meaning), list(imports)) for key, (meaning, imports) in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):  # absent, or not what is written here
        return {}


def read_module(text: bytes) -> Module:
    """What counts of a module's text.

    Raises:
        SyntaxError: It is not Python.
    """
    tree = ast.parse(text)
    tokens: Tokens = []
    _tell(tree, tokens)
    told = "\n".join(_flat(tokens))
    return Module(hashlib.sha256(told.encode()).hexdigest()[:32], sorted(set(_imports(tree))))


def _imports(tree: ast.Module) -> Iterable[str]:
    """Names of this package that are imported anywhere, or stand in a string to be imported when they are needed."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").startswith("polyticket"):
            yield from (str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names))
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("polyticket."))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("polyticket."):
            yield node.value


def _tell(value: Any, tokens: Tokens) -> None:
    """Append what a syntax tree says to tokens; what differs between versions of Python is left out."""
    if isinstance(value, ast.AST):
        if special := SPECIAL.get(type(value)):
            special(value, tokens)
        else:
            _tell_fields(value, tokens)
    elif isinstance(value, list):
        tokens.append("[")
        for one in value:
            _tell(one, tokens)
        tokens.append("]")
    else:
        tokens.append(ascii(value))


def _tell_fields(node: ast.AST, tokens: Tokens) -> None:
    tokens.append(f"({type(node).__name__}")
    for field in node._fields:
        value = getattr(node, field, None)
        if value is not None and value != [] and field not in SILENT_FIELDS:
            tokens.append(field)
            _tell(value, tokens)
    tokens.append(")")


def _tell_name(node: ast.Name, tokens: Tokens) -> None:
    tokens.append(f"{'uses' if isinstance(node.ctx, ast.Load) else 'sets'} {node.id}")


def _tell_call(node: ast.Call, tokens: Tokens) -> None:
    if isinstance(node.func, ast.Name) and node.func.id in SPEAKING:
        tokens.append(f"says {node.func.id}")
    else:
        _tell_fields(node, tokens)


def _tell_raise(node: ast.Raise, tokens: Tokens) -> None:
    """The kind of an error, which may be caught; not its message."""
    tokens.append("raise")
    _tell(node.exc.func if isinstance(node.exc, ast.Call) else node.exc, tokens)


def _tell_expression(node: ast.Expr, tokens: Tokens) -> None:
    """A statement that is one expression, unless it is a docstring or only speaks."""
    value = node.value
    if isinstance(value, ast.Constant):
        return
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        speaker = value.func.value
        if isinstance(speaker, ast.Name) and speaker.id in SPEAKERS:
            return
    _tell_fields(node, tokens)


def _tell_assign(node: ast.Assign, tokens: Tokens) -> None:
    """An assignment; of texts, apart, since they may be parts of messages alone."""
    own: Tokens = []
    _tell_fields(node, own)
    if _is_text(node.value) and all(_is_name(target) for target in node.targets):
        tokens.append(own)
    else:
        tokens += own


def _is_text(node: ast.AST) -> bool:
    if isinstance(node, ast.Tuple):
        return all(map(_is_text, node.elts))
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _is_name(node: ast.AST) -> bool:
    return all(map(_is_name, node.elts)) if isinstance(node, ast.Tuple) else isinstance(node, ast.Name)


def _tell_function(node: ast.AST, tokens: Tokens) -> None:
    """A function, without the texts that nothing but messages uses."""
    own: Tokens = []
    _tell_fields(node, own)
    said = {token for token in own if isinstance(token, str)}
    for token in own:
        if isinstance(token, str):
            tokens.append(token)
        elif any(part.replace("sets ", "uses ", 1) in said for part in token if part.startswith("sets ")):
            tokens += token


def _flat(tokens: Tokens) -> Iterable[str]:
    for token in tokens:
        yield from [token] if isinstance(token, str) else token


SPECIAL: dict[type, Callable[[Any, Tokens], None]] = {
    ast.Name: _tell_name,
    ast.Call: _tell_call,
    ast.Raise: _tell_raise,
    ast.Expr: _tell_expression,
    ast.Assign: _tell_assign,
    ast.FunctionDef: _tell_function,
    ast.AsyncFunctionDef: _tell_function,
    ast.Lambda: _tell_function,
}
