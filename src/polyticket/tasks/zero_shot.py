"""The matrix of transfer: scores of models that are fine-tuned on one language and predict another."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, write_text
from polyticket.tasks.task import Task


def tabulate(task: Task, results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Put the scores of all sources, seeds and targets together.

    Args:
        task: Its selection score is tabulated.
        results: For each source and seed `task`, `source`, `seed` and `targets`, named scores by language. All have
            the same targets, and all sources the same seeds.

    Returns:
        JSON values: `task`, `score`, `sources`, `targets`, number of `seeds`; `mean` over seeds [sources][targets],
        and `sd`, the sample standard deviations, None with one seed. `in_language` is the mean over the languages that
        are both source and target of the score in the language itself, `zero_shot` that of the mean over its other
        sources, and `gap` the first less the second; all None if no language has both.

    Raises:
        PolyticketError: A source lacks a seed or a target, or one is of another task.
    """
    sources, seeds = (list(dict.fromkeys(result[key] for result in results)) for key in ("source", "seed"))
    targets = list(results[0]["targets"])
    found = {(result["source"], result["seed"]): result for result in results}
    for source in sources:
        for seed in seeds:
            _check(task, found.get((source, seed)), f"zero-shot {task.name} from {source}, seed {seed}", targets)
    scores = np.array(
        [[[found[s, n]["targets"][t][task.selection] for t in targets] for n in seeds] for s in sources], np.float64
    )
    mean = scores.mean(1)
    return {
        "task": task.name,
        "score": task.selection,
        "sources": sources,
        "targets": targets,
        "seeds": len(seeds),
        "mean": mean.tolist(),
        "sd": scores.std(1, ddof=1).tolist() if len(seeds) > 1 else None,
        **_gap(mean, sources, targets),
    }


def _check(task: Task, result: Mapping[str, Any] | None, where: str, targets: Sequence[str]) -> None:
    if result is None:
        raise PolyticketError("no result", where=where, expected="the same seeds of all sources")
    if result["task"] != task.name:
        raise PolyticketError(f"a result of {result['task']}", where=where, expected=task.name)
    if list(result["targets"]) != list(targets):
        raise PolyticketError(f"targets {list(result['targets'])}", where=where, expected=f"{list(targets)}")


def _gap(mean: NDArray[np.float64], sources: Sequence[str], targets: Sequence[str]) -> dict[str, float | None]:
    pairs = [(sources.index(language), targets.index(language)) for language in targets if language in sources]
    if len(sources) < 2 or not pairs:
        return {"in_language": None, "zero_shot": None, "gap": None}
    own = [float(mean[pair]) for pair in pairs]
    others = [float(np.delete(mean[:, column], row).mean()) for row, column in pairs]
    within, across = float(np.mean(own)), float(np.mean(others))
    return {"in_language": within, "zero_shot": across, "gap": within - across}


def write_matrix(matrix: Mapping[str, Any], path: Pathlike) -> None:
    """Write the means of `tabulate` as CSV: a row for what was trained on, a column for each target; four digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trained on", *matrix["targets"]])
    for source, row in zip(matrix["sources"], matrix["mean"], strict=True):
        writer.writerow([source, *(f"{value:.4f}" for value in row)])
    write_text(path, text.getvalue())
