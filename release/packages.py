"""The pinned packages as they are installed here: versions, licences, and what each requires."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
POLICY = Path(__file__).with_name("licences.yaml")

WORDS = {
    "Apache-2.0": r"apache(-| software)?( license)?,?( version)?( 2\.0)?( license)?",
    "BSD-3-Clause": r"(3-clause )?bsd(-3-clause| 3-clause)?( license)?",
    "BSD-2-Clause": r"bsd-2-clause",
    "ISC": r"isc( license)?( \(iscl\))?",
    "MIT": r"mit( license)?",
    "MPL-2.0": r"(mpl-2\.0|mozilla public license 2\.0 \(mpl 2\.0\))",
    "PSF-2.0": r"(psfl|python software foundation license)",
}
"""SPDX identifiers, and how packages without an SPDX expression write them."""


class Package(NamedTuple):
    """A pinned package: name, version, SPDX licence expression (null if unknown), and the names that it requires."""

    name: str
    version: str
    licence: str | None
    requires: tuple[str, ...]


@cache
def policy() -> dict[str, Any]:
    """What `licences.yaml` says."""
    return yaml.safe_load(POLICY.read_text(encoding="utf-8"))


def pin_files(kind: str) -> list[Path]:
    """The files of pins of the stack that is installed: `lock` for all packages, `in` for those that are asked for."""
    told = ROOT / ".venv/stack"
    stack = told.read_text(encoding="utf-8").strip() if told.is_file() else "cpu"
    return [ROOT / f"requirements.{kind}", ROOT / f"requirements-{stack}.{kind}"]


def pins(kind: str = "lock") -> dict[str, str]:
    """Name and version of each pinned package of `pin_files`, in the order of names."""
    lines = [line for path in pin_files(kind) for line in path.read_text(encoding="utf-8").splitlines()]
    found = dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {name: found[name] for name in sorted(found, key=canonicalize_name)}


def packages() -> list[Package]:
    """The pinned packages.

    Raises:
        SystemExit: One is not installed here, or in another version.
    """
    pinned = pins()
    names = set(map(canonicalize_name, pinned))
    return [_package(name, version, names) for name, version in pinned.items()]


def _package(name: str, version: str, names: set[str]) -> Package:
    try:
        found = distribution(name)
    except PackageNotFoundError:
        raise SystemExit(f"{name} is pinned and not installed; `make install` installs it") from None
    if found.version.partition("+")[0] != version:  # torch's build for the processor is named after a plus
        raise SystemExit(f"{name} is {found.version} here, and pinned at {version}; `make install` installs it")
    return Package(name, version, licence_of(found, policy()), tuple(sorted(set(_required(found)) & names)))


def licence_of(found: Distribution, known: Mapping[str, Any]) -> str | None:
    """The SPDX expression of a package: what was found out by hand, what it states, or its classifier; or null."""
    metadata, name = found.metadata, canonicalize_name(found.metadata["Name"])
    for table in (known["stated"], known["separate"]):
        if name in table:
            return table[name]["licence"]
    if expression := metadata.get("License-Expression"):
        return expression
    classifiers = [one for one in metadata.get_all("Classifier") or [] if one.startswith("License ::")]
    texts = [metadata.get("License") or "", *(one.rpartition(" :: ")[2] for one in classifiers)]
    return next((spdx for text in texts if (spdx := spdx_of(text))), None)


def spdx_of(text: str) -> str | None:
    """The SPDX identifier of a licence in a package's own words, or in the first line of its text; null if unknown."""
    title = text.strip().partition("\n")[0].strip()
    parts = re.split(r" (?:AND|OR) ", title)
    if all(part in policy()["allowed"] for part in parts):
        return title
    return next((spdx for spdx, words in WORDS.items() if re.fullmatch(words, title, re.IGNORECASE)), None)


def is_allowed(expression: str, allowed: Mapping[str, str]) -> bool:
    """Whether one choice of an SPDX expression has allowed licences alone; AND binds before OR, as SPDX has it."""
    choices = re.split(r"\s+OR\s+", expression)
    return any(all(one.strip() in allowed for one in re.split(r"\s+AND\s+", choice)) for choice in choices)


def _required(found: Distribution) -> Iterator[str]:
    environment = {**default_environment(), "extra": ""}
    for line in found.requires or []:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            yield canonicalize_name(requirement.name)
