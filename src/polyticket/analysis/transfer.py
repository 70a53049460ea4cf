"""Transfer of masks: a table of scores by mask source and language."""

from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.core.tables import write_rows


def transfer_table(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The transfer matrix, from the results of its cells.

    Args:
        results: JSON values of `finetune_subnetwork`, one per mask source, language and seed.

    Returns:
        `task`; `score`, the metric's name; `mask_sources` and `targets`; `sparsity` [mask_sources] in percent, the mean
        over seeds; `mean` [mask_sources][targets] of the scores on test; `sd` over seeds (None with one seed); `seeds`.

    Raises:
        PolyticketError: The results are of several tasks.
    """
    tasks = {result["task"] for result in results}
    if len(tasks) != 1:
        raise PolyticketError(f"results of {len(tasks)} tasks", where="transfer", expected="one")
    mask_sources = list(dict.fromkeys(result["mask_source"] for result in results))
    targets = list(dict.fromkeys(result["language"] for result in results))
    seeds = sorted({result["seed"] for result in results})
    metric = results[0]["selection"]
    scores = {(r["mask_source"], r["language"], r["seed"]): float(r["test"][metric]) for r in results}
    cells = [
        [[scores[mask_source, target, seed] for seed in seeds] for target in targets] for mask_source in mask_sources
    ]
    return {
        "task": results[0]["task"],
        "score": metric,
        "mask_sources": mask_sources,
        "targets": targets,
        "sparsity": [
            mean(100 * (1 - r["density"]) for r in results if r["mask_source"] == one) for one in mask_sources
        ],
        "mean": [[mean(cell) for cell in row] for row in cells],
        "sd": [[stdev(cell) for cell in row] for row in cells] if len(seeds) > 1 else None,
        "seeds": seeds,
    }


def write_transfer(table: Mapping[str, Any], path: Pathlike) -> None:
    """Write the means as CSV: a row for each mask source, a column for each target language; four decimals.

    `sparsity` is the share that the mask prunes, in percent; two decimals.
    """
    rows = [
        {"mask": mask_source, "sparsity": f"{percent:.2f}"}
        | {target: f"{value:.4f}" for target, value in zip(table["targets"], row, strict=True)}
        for mask_source, percent, row in zip(table["mask_sources"], table["sparsity"], table["mean"], strict=True)
    ]
    write_rows(path, ("mask", "sparsity", *table["targets"]), rows)
