"""What a search leaves behind: a file for each level, and the table of their scores."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from polyticket.core.files import Pathlike
from polyticket.pruning.files import made_by, write_subnetwork
from polyticket.pruning.rounds import Rounds
from polyticket.pruning.search import Found, SearchOptions


def write_levels(
    found: Iterable[Found],
    paths: Sequence[Pathlike],
    rounds: Rounds,
    options: SearchOptions,
    made: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Write each level's sub-network as it is found.

    Args:
        found: The levels in order, the full model first.
        paths: The files of all levels but the full model.
        rounds: The model.
        options: How they are found.
        made: What led here, for the files' provenance; `task`, `source` and `seed` name the sub-network.

    Returns:
        A row for each level: `sparsity` in percent, the `share` and number of weights `kept`, and `in_search`, its
        metrics after its round, under a head that went on through all rounds before it unless that is rewound.
    """
    rows = []
    name = "/".join(str(made[key]) for key in ("task", "source", "seed"))
    for level, masks, metrics in found:
        kept = int(masks.counts().sum())
        rows.append({"sparsity": level.sparsity, "share": level.share, "kept": kept, "in_search": dict(metrics)})
        if level.number:
            how = made_by(masks, method=options.pruning, share=level.share, kind=rounds.kind, together=options.together)
            provenance = {**made, **how, "in_search": dict(metrics)}
            write_subnetwork(paths[level.number - 1], masks, name=name, provenance=provenance)
    return rows
