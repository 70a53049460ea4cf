"""The audit of the pinned packages, and the bill of materials."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import Distribution

import pytest
from packaging.utils import canonicalize_name
from release.audit import advisories, licence_faults, main
from release.packages import Package, is_allowed, licence_of, packages, pins, policy, spdx_of
from release.sbom import bill


@pytest.fixture(scope="module")
def found() -> list[Package]:
    return packages()


class Advisories(BaseHTTPRequestHandler):
    """An advisory source that knows of two vulnerabilities of numpy."""

    def do_POST(self) -> None:
        queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        known = [
            {"vulns": [{"id": "A-1"}, {"id": "A-2"}]} if one["package"]["name"] == "numpy" else {} for one in queries
        ]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"results": known}).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def source():
    with HTTPServer(("127.0.0.1", 0), Advisories) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


NOWHERE = "http://127.0.0.1:9"


def test_every_pinned_package_has_a_licence_that_is_allowed(found):
    assert {one.name for one in found} == set(pins())
    assert licence_faults(found) == []
    assert [one.name for one in found if one.licence and "AGPL" in one.licence] == ["wikiextractor"]


def test_what_stands_in_the_policy_is_pinned_and_has_a_reason():
    names = set(map(canonicalize_name, pins()))
    assert set(policy()["stated"]) | set(policy()["separate"]) <= names
    assert all(isinstance(reason, str) and reason for reason in policy()["allowed"].values())
    assert all(entry["where"] for entry in policy()["stated"].values())
    assert all(entry["reason"] for entry in policy()["separate"].values())


def test_other_licences_are_refused_by_name():
    bad = [Package("a", "1", "GPL-3.0-only", ()), Package("b", "2", None, ()), Package("c", "3", "MIT", ())]
    assert licence_faults(bad) == [
        "a 1: GPL-3.0-only is not allowed by licences.yaml",
        "b 2: states no licence that is known; see licences.yaml",
    ]


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("GPL-2.0-only OR MIT", True),
        ("MIT AND GPL-2.0-only", False),
        ("MIT AND BSD-3-Clause OR GPL-2.0-only", True),
        ("Apache-2.0 WITH LLVM-exception", False),
        ("(MIT)", False),
    ],
)
def test_an_expression_is_allowed_if_one_of_its_choices_is(expression, allowed):
    assert is_allowed(expression, {"MIT": "", "BSD-3-Clause": ""}) is allowed


@pytest.mark.parametrize(
    ("words", "spdx"),
    [
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("Apache 2.0", "Apache-2.0"),
        ("Apache-2.0", "Apache-2.0"),
        ("BSD 3-Clause License\n\nRedistribution AND use", "BSD-3-Clause"),
        ("MPL-2.0 AND MIT", "MPL-2.0 AND MIT"),
        ("MIT AND GPL-3.0-only", None),
        ("GNU General Public License (GPL)", None),
        ("", None),
    ],
)
def test_licences_are_known_in_packages_own_words(words, spdx):
    assert spdx_of(words) == spdx


def test_a_licence_is_read_from_the_expression_before_the_classifier(tmp_path):
    folder = tmp_path / "a-1.dist-info"
    folder.mkdir()
    lines = ["Metadata-Version: 2.4", "Name: a", "Version: 1", "Classifier: License :: OSI Approved :: MIT License"]
    (folder / "METADATA").write_text("\n".join(lines))
    nothing = {"stated": {}, "separate": {}}
    assert licence_of(Distribution.at(folder), nothing) == "MIT"
    (folder / "METADATA").write_text("\n".join([*lines, "License-Expression: ISC"]))
    assert licence_of(Distribution.at(folder), nothing) == "ISC"
    assert licence_of(Distribution.at(folder), {"stated": {"a": {"licence": "0BSD"}}, "separate": {}}) == "0BSD"


def test_vulnerabilities_are_asked_for_and_accepted_ones_left_out(found, source, monkeypatch):
    assert advisories(found, source) == {"numpy": ["A-1", "A-2"]}
    monkeypatch.setitem(policy(), "vulnerabilities", {"A-1": "not reached from here"})
    assert advisories(found, source) == {"numpy": ["A-2"]}
    monkeypatch.setitem(policy(), "vulnerabilities", {"A-1": "", "A-2": ""})
    assert advisories(found, source) == {}


def test_an_audit_says_what_it_could_not_check(monkeypatch, capsys):
    monkeypatch.setattr("release.audit.requirement_faults", list)  # `pip check` takes seconds
    monkeypatch.setattr("sys.argv", ["audit", "--url", NOWHERE])
    assert main() == 0
    assert f"vulnerabilities: not checked, {NOWHERE} cannot be reached" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["audit", "--url", NOWHERE, "--online"])
    assert main() == 1
    assert "at fault: no advisories could be had" in capsys.readouterr().err


def test_the_bill_names_every_package_once_and_what_each_requires(found):
    made = bill(found)
    assert (made["bomFormat"], made["specVersion"]) == ("CycloneDX", "1.6")
    own = made["metadata"]["component"]["bom-ref"]
    urls = [one["bom-ref"] for one in made["components"]]
    assert len(urls) == len(set(urls)) == len(found)
    assert f"pkg:pypi/numpy@{pins()['numpy']}" in urls
    assert all(one["licenses"] for one in made["components"])
    requires = {one["ref"]: one["dependsOn"] for one in made["dependencies"]}
    assert set(requires) == {own, *urls}
    assert {url for needed in requires.values() for url in needed} <= set(urls)
    (scipy,) = (url for url in urls if "/scipy@" in url)
    assert requires[scipy] == [f"pkg:pypi/numpy@{pins()['numpy']}"]
    assert scipy in requires[own]
    assert bill(packages()) == made
