"""What a phase of pretraining computes: where it is the same, live checkpoints are continued."""

from collections.abc import Mapping
from typing import Any

from polyticket.core.files import sha256
from polyticket.core.provenance import digest
from polyticket.pretraining.plan import Plan

# Raise it when the same records, checkpoint and settings lead to other weights: another update, schedule, loss, dropout
# or order of the data, or a checkpoint that is read otherwise. A refactoring, a faster way or a message is no reason.
# Raising it starts every unfinished phase anew. `tests/test_arithmetic.py` says when it is due, and
# `python -m tests.support.goldens` then pins the new values.
VERSION = 2


def identity(start: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """All that decides what the phase computes, by content: no place, no version of a package, no text of code.

    Args:
        start: The receipt of the checkpoint that the phase begins with.
        plan: The phase; its record files are read.
    """
    records = [digest([sha256(file) for file in shards.files]) for shards in plan.shards]
    content = sorted([file["name"], file["crc32c"]] for file in start["files"])
    return {"start": digest(content), "records": records, "plan": digest(plan.decisive()), "arithmetic": VERSION}
