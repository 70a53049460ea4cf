"""The provenance of a result: digests of settings, versions of packages, the processor."""

import hashlib
import json
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from polyticket.core.processor import processor


def digest(value: Any) -> str:
    """A digest of any JSON value, whatever the order of its keys: 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of Python, of this package, and of those named packages that are installed."""
    installed = {"python": platform.python_version()}
    for name in ("polyticket", *packages):
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    return installed


def made_with(packages: Iterable[str], threads: int) -> dict[str, Any]:
    """How a result was computed: `versions` of packages, and the `processor`."""
    return {"versions": versions(packages), "processor": processor(threads)}
