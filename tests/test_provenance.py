"""Digests of settings and versions of packages."""

from polyticket.core.provenance import digest, versions


def test_digests_of_settings_do_not_depend_on_the_order_of_keys():
    assert digest({"a": 1, "b": [1, {"c": "é", "d": None}]}) == digest({"b": [1, {"d": None, "c": "é"}], "a": 1})
    found = {digest(value) for value in ({"a": [1, 2]}, {"a": [2, 1]}, {"a": [1, 2.5]}, {"a": "1"}, {}, [], None)}
    assert len(found) == 7
    # printf '{"a": 1}' | sha256sum | cut -c -16
    assert digest({"a": 1}) == "f9d86028c6e0d64e"


def test_versions_name_what_is_installed():
    found = versions(["numpy", "no-such-package"])
    assert list(found) == ["python", "polyticket", "numpy"]
    assert found["numpy"].count(".") == 2
