"""What a search for sub-networks computes: where it is the same, its rounds are continued."""

from collections.abc import Mapping
from typing import Any

from polyticket.core.provenance import digest

# Raise it when the same data, model and settings lead to other masks or scores: another update, schedule, loss, metric,
# pruning or order of the data, or rounds that are read otherwise. A refactoring, faster way or message is no reason.
# Raising it starts every unfinished search anew. `tests/test_arithmetic.py` says when it is due, and
# `python tests/goldens.py` then pins the new values.
VERSION = 4
HARMLESS = ("eval_batch_size",)


def identity(made: Mapping[str, Any]) -> str:
    """All that decides what a search computes, by content: no place, no version of a package, no number of threads.

    Args:
        made: The task, source, seed, digests of the data and the model, how is searched, and `options` of training.

    Returns:
        16 hexadecimal digits.
    """
    options = {key: value for key, value in made["options"].items() if key not in HARMLESS}
    return digest([{**made, "options": options}, VERSION])
