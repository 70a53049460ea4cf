"""`make audit`: licences of all pinned packages, what they require of each other, and known vulnerabilities.

The advisories are those of OSV (osv.dev), asked once for all packages. Where it cannot be reached, that is said, and
with `--online` it is an error.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterable

import requests

from release.packages import POLICY, Package, is_allowed, packages, policy

OSV = "https://api.osv.dev/v1/querybatch"
SECONDS = 20


def licence_faults(found: Iterable[Package]) -> list[str]:
    """A line for each package whose licence is unknown or not allowed."""
    known, faults = policy(), []
    for package in found:
        if package.name in known["separate"]:
            continue
        if package.licence is None:
            faults.append(f"{package.name} {package.version}: states no licence that is known; see {POLICY.name}")
        elif not is_allowed(package.licence, known["allowed"]):
            faults.append(f"{package.name} {package.version}: {package.licence} is not allowed by {POLICY.name}")
    return faults


def requirement_faults() -> list[str]:
    """What `pip check` finds: packages that lack another, or have it in a version that they refuse."""
    command = [sys.executable, "-m", "pip", "check", "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode else []


def advisories(found: Iterable[Package], url: str = OSV) -> dict[str, list[str]] | None:
    """Identifiers of known vulnerabilities by package, accepted ones left out; null if the source is not reached."""
    listed, accepted = list(found), policy()["vulnerabilities"]
    asked = [{"package": {"ecosystem": "PyPI", "name": one.name}, "version": one.version} for one in listed]
    try:
        answer = requests.post(url, json={"queries": asked}, timeout=SECONDS)
        answer.raise_for_status()
        results = answer.json()["results"]
    except (requests.RequestException, ValueError, KeyError):
        return None
    known = (
        (one.name, [vulnerability["id"] for vulnerability in result.get("vulns", [])])
        for one, result in zip(listed, results, strict=True)
    )
    return {name: left for name, found_ in known if (left := [one for one in found_ if one not in accepted])}


def main() -> int:
    """Print what is at fault; 0 if nothing is."""
    parser = argparse.ArgumentParser(prog="python -m release.audit", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--online", action="store_true", help="fail where no advisories can be had")
    parser.add_argument("--url", default=OSV, help="where advisories are asked for")
    given = parser.parse_args()
    found = packages()
    faults = licence_faults(found) + requirement_faults()
    print(f"licences: {len(found)} packages")
    for name, separate in policy()["separate"].items():
        print(f"  {name}: {separate['licence']}; {separate['reason']}")
    known = advisories(found, given.url)
    if known is None:
        print(f"vulnerabilities: not checked, {given.url} cannot be reached")
        faults += ["no advisories could be had"] if given.online else []
    else:
        print(f"vulnerabilities: {len(found)} packages checked")
        faults += [f"{name}: {', '.join(identifiers)}" for name, identifiers in known.items()]
    for fault in faults:
        print(f"at fault: {fault}", file=sys.stderr)
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
