"""Old names of configuration keys: one line names the new key."""

from copy import deepcopy

import pytest

from polyticket.config.completion import complete
from polyticket.config.renamed import RENAMED, refuse_renamed
from polyticket.core.errors import PolyticketError

TABLE = {
    "text.most_old": "text.max_new",
    "fine.old": "fine.new",
    "old": "new",
    "sources.*.path": "sources.*.file",
    "fine.gone": "no key: `fine.new` decides it",
}


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ({"text": {"most_old": 3}}, "config text.most_old: renamed; expected text.max_new"),
        ({"old": {"a": 1}}, "config old: renamed; expected new"),
        ({"variants": {"v": {"old": 1}}}, "config variants.v.old: renamed; expected variants.v.new"),
        (
            {"variants": {"v": {"fine": {"old": 1}}}},
            "config variants.v.fine.old: renamed; expected variants.v.fine.new",
        ),
        (
            {"fine": {"per_task": {"panx": {"old": 1}}}},
            "config fine.per_task.panx.old: renamed; expected fine.per_task.panx.new",
        ),
        ({"sources": {"a": {"path": 1}}}, "config sources.a.path: renamed; expected sources.a.file"),
        ({"fine": {"gone": 1}}, "config fine.gone: renamed; expected no key: `fine.new` decides it"),
    ],
)
def test_an_old_key_ends_in_one_line_that_names_the_new_one(config, line):
    with pytest.raises(PolyticketError) as caught:
        refuse_renamed(config, TABLE)
    assert str(caught.value) == line


@pytest.mark.parametrize(
    "config",
    [
        {"text": {"max_new": 3}, "new": 1, "fine": {"old_too": 1}, "variants": {"old": {"new": 1}}},
        {False: 1, "fine": None, "sources": {"path": 1}},
    ],
)
def test_other_keys_pass_unchanged(config):
    given = deepcopy(config)
    refuse_renamed(config, TABLE)
    assert config == given


def test_completion_refuses_every_old_key_before_it_reads_the_schema():
    for old in RENAMED:
        config = 1
        for part in reversed(old.replace("*", "name").split(".")):
            config = {part: config}
        with pytest.raises(PolyticketError, match="renamed; expected"):
            complete(config)
