"""`make sbom`: a release's software bill of materials, CycloneDX 1.6 in JSON; the same pins give the same bytes."""

import json
import sys
import uuid
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from polyticket import __version__
from polyticket.core.files import write_json
from release.packages import Package, packages, pins

SPACE = uuid.UUID("4b1f7c0e-6f0a-5d5e-9d52-6a5f1c1f2a10")


def bill(found: list[Package]) -> dict[str, Any]:
    """The bill: this package, the pinned ones with their licences, and which requires which."""
    own = f"pkg:pypi/polyticket@{__version__}"
    references = {canonicalize_name(one.name): reference(one) for one in found}
    direct = sorted(references[canonicalize_name(name)] for name in pins("in"))
    serial = uuid.uuid5(SPACE, " ".join([__version__, *references.values()]))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": component("application", "polyticket", __version__, "Apache-2.0", own)},
        "components": [component("library", one.name, one.version, one.licence, reference(one)) for one in found],
        "dependencies": [
            {"ref": own, "dependsOn": direct},
            *({"ref": reference(one), "dependsOn": [references[name] for name in one.requires]} for one in found),
        ],
    }


def reference(package: Package) -> str:
    """The package URL."""
    return f"pkg:pypi/{canonicalize_name(package.name)}@{package.version}"


def component(kind: str, name: str, version: str, licence: str | None, url: str) -> dict[str, Any]:
    """A component, which its package URL names; one identifier and an expression of several are told apart."""
    stated = {} if licence is None else {"licenses": [licences(licence)]}
    return {"type": kind, "bom-ref": url, "name": name, "version": version, "purl": url, **stated}


def licences(expression: str) -> dict[str, Any]:
    """A licence choice."""
    return {"expression": expression} if " " in expression else {"license": {"id": expression}}


def main(path: str) -> None:
    """Write the bill of the packages that are installed here."""
    write_json(path, bill(packages()))
    print(f"{path}: {len(json.loads(Path(path).read_text(encoding='utf-8'))['components'])} components")


if __name__ == "__main__":
    main(*sys.argv[1:])
