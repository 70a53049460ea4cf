"""What a result was made of: digests of settings, versions of packages, the processor."""

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
