"""Print a lock: the versions that pip resolves, less those of `requirements.lock` where it is included.

Usage: `python envs/lock.py requirements-gpu.in`. Nothing is installed, but pip downloads wheels to read what they need.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

RESOLVE = ("install", "--quiet", "--disable-pip-version-check", "--dry-run", "--ignore-installed", "--report", "-")
INCLUDE = "-r requirements.lock"


def resolved(requirements: Path) -> list[str]:
    """The pins of everything that is required, directly or not, sorted by name."""
    command = [sys.executable, "-m", "pip", *RESOLVE, "--requirement", str(requirements)]
    report = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    found = [(one["metadata"]["name"], one["metadata"]["version"]) for one in report["install"]]
    return sorted(f"{canonical(name)}=={version.partition('+')[0]}" for name, version in found)


def canonical(name: str) -> str:
    """A package's name as PyPI normalises it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def lock(requirements: Path) -> str:
    """The text of the lock that belongs to a file of requirements."""
    pins, included = resolved(requirements), []
    if INCLUDE in requirements.read_text(encoding="utf-8").splitlines():
        shared = requirements.with_name("requirements.lock").read_text(encoding="utf-8").splitlines()
        pins, included = [pin for pin in pins if pin not in shared], [INCLUDE]
    stack = requirements.stem.partition("-")[2] or "cpu"
    made = f"# made from {requirements.name} by `make lock STACK={stack}`"
    return "".join(f"{line}\n" for line in [made, *included, *pins])


if __name__ == "__main__":
    print(lock(Path(sys.argv[1])), end="")
