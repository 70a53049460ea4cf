"""Scores of sub-networks in rows, for tables and figures."""

from collections.abc import Mapping
from typing import Any

COLUMNS = ("pruning", "task", "language", "seed", "sparsity", "kept", "loss", "dev", "score")


def level_rows(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for each level of a search.

    Args:
        found: What a search says of its levels.

    Returns:
        Rows of `COLUMNS`: `sparsity` in percent, `dev` and `score` the selection score of the task on dev and test. The
        pruning of a search from random weights is called `reinitialized`.
    """
    fresh, chosen = found["weights"] == "random", found["selection"]
    about = {
        "pruning": "reinitialized" if fresh else found["pruning"],
        "task": found["task"],
        "language": found["source"],
        "seed": found["seed"],
    }
    return [
        {
            **about,
            **{key: level[key] for key in ("sparsity", "kept", "loss")},
            "dev": level["dev"][chosen],
            "score": level["test"][chosen],
        }
        for level in found["levels"]
    ]
