"""A few scenarios of `tests.faults.store`."""

import re

import pytest

from tests.faults.page import write_between
from tests.faults.store import PAIRS, PLACES, SERVERS, Scenario, scenarios, struck_all, table


def sampled() -> list[Scenario]:
    """A fault that passes at each place, another kind at each, and each pair once."""
    found = [one for one in scenarios() if not one.lasting]
    at_place = [[one for one in found if one.place == place.name] for place in PLACES]
    drawn = [of_place[5 * number % len(of_place)] for number, of_place in enumerate(at_place)]
    return [one for one in found if one.place in PAIRS and one.number == 1] + drawn  # what takes longest comes first


@pytest.mark.parametrize("scheme", SERVERS)
def test_transfers_survive_faults_that_pass_and_nothing_is_partial_or_lost(scheme):
    chosen = sampled()
    assert {one.place for one in chosen} == {place.name for place in PLACES} | set(PAIRS)
    outcomes = struck_all(scheme, chosen)
    assert [one for one in outcomes if one.end == "wrong"] == []
    assert [one for one in outcomes if one.end == "told" and one.scenario.place not in PAIRS] == []
    assert all(one.faults for one in outcomes if one.scenario.place not in PAIRS)
    said = table(outcomes)
    assert re.search(rf"^{len(chosen)} scenarios at `{scheme}://`, \d+ faults: .*, 0 otherwise", said, re.MULTILINE)


def test_a_part_of_a_page_is_replaced_between_its_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- x -->\nold\n<!-- end of x -->\nb\n")
    write_between(page, "x", "new\n")
    write_between(page, "x", "newer\n")
    assert page.read_text() == "a\n<!-- x -->\nnewer\n<!-- end of x -->\nb\n"
