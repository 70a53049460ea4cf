"""Summaries of results: means over seeds, and the matrix of transfer between languages."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.core.tables import write_cells
from polyticket.tasks.table import Task

Result = Mapping[str, Any]
SAME = (
    *("task", "language", "backbone", "selection", "labels", "options"),
    *("remain_ratio", "mask_method", "mask_language", "saliency", "finetune_from", "prune_model"),
)
OF_SEED = ("seed", "dev", "test", "best_step", "steps", "stopped", "wall_seconds")
SPLITS = ("dev", "test")


def summarize(results: Sequence[Result]) -> dict[str, Any]:
    """Means of scores over seeds.

    Args:
        results: One for each seed, of the same task, language and options.

    Returns:
        Fields that all results share, as they are; `dev` and `test`, means; `sd`, the sample standard deviations
        √(Σ (x − x̄)² / (n − 1)) of both, None with one seed; `by_class`, the means of each class of both, with the
        deviation of F1 as `f1_sd`, where there are classes; `seeds`, the values of each seed; `wall_seconds`,
        the sum; `sentences_per_second`, the mean. Other fields that differ are left out.

    Raises:
        PolyticketError: There is no result, a seed occurs twice, or the results are not of the same.
    """
    if not results:
        raise PolyticketError("no results", where="seeds", expected="at least one")
    first = results[0]
    where = f"results of {first['task']} {first['language']}"
    _check(results, where)
    shared = {key: value for key, value in first.items() if all(key in r and r[key] == value for r in results)}
    scores = {split: [result[split] for result in results] for split in SPLITS}
    return {
        **{key: value for key, value in shared.items() if key not in (*OF_SEED, "by_class")},
        **{split: _each(each, fmean) for split, each in scores.items()},
        **_by_class([result["by_class"] for result in results if "by_class" in result]),
        "sd": {split: _each(each, deviation) for split, each in scores.items()},
        "seeds": [{key: result[key] for key in OF_SEED} for result in results],
        "sentences_per_second": fmean(result["sentences_per_second"] for result in results),
        "wall_seconds": round(sum(result["wall_seconds"] for result in results), 3),
    }


def deviation(values: Sequence[float]) -> float | None:
    """The sample standard deviation; None of one value."""
    return stdev(values) if len(values) > 1 else None


def _each(scores: Sequence[Mapping[str, float]], reduced: Any) -> dict[str, Any]:
    return {name: reduced([values[name] for values in scores]) for name in scores[0]}


def _by_class(results: Sequence[Mapping[str, Mapping[str, Mapping[str, float]]]]) -> dict[str, Any]:
    if not results:
        return {}
    classes_of: dict[str, dict[str, Any]] = {}
    for split, classes in results[0].items():
        of_seeds = {name: [result[split][name] for result in results] for name in classes}
        classes_of[split] = {
            name: _each(each, fmean) | {"f1_sd": deviation([scores["f1"] for scores in each])}
            for name, each in of_seeds.items()
        }
    return {"by_class": classes_of}


def _check(results: Sequence[Result], where: str) -> None:
    for key in SAME:
        for result in results[1:]:
            if result.get(key) != results[0].get(key):
                what = f"{key} {result.get(key)!r} of seed {result['seed']}"
                raise PolyticketError(what, where=where, expected=f"{results[0].get(key)!r} as of the first seed")
    seeds = [result["seed"] for result in results]
    if len(set(seeds)) < len(seeds):
        raise PolyticketError(f"seeds {seeds}", where=where, expected="each seed once")


def tabulate(task: Task, results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Collect the scores of all sources, seeds and targets.

    Args:
        task: Its selection score is tabulated.
        results: For each source and seed `task`, `source`, `seed` and `targets`, named scores by language. All have
            the same targets, and all sources the same seeds.

    Returns:
        JSON values: `task`, `score`, `sources`, `targets`, number of `seeds`; `mean` over seeds [sources][targets],
        and `sd`, the sample standard deviations, None with one seed. `in_language` is the mean over the languages that
        are both source and target of the score in the language itself, `zero_shot` that of the mean over its other
        sources, and `gap` their difference; all None if no language is both.

    Raises:
        PolyticketError: A source lacks a seed or a target, or one is of another task.
    """
    sources, seeds = (list(dict.fromkeys(result[key] for result in results)) for key in ("source", "seed"))
    targets = list(results[0]["targets"])
    by_run = {(result["source"], result["seed"]): result for result in results}
    for source in sources:
        for seed in seeds:
            _check_targets(
                task, by_run.get((source, seed)), f"zero-shot {task.name} from {source}, seed {seed}", targets
            )
    scores = np.array(
        [[[by_run[s, n]["targets"][t][task.selection] for t in targets] for n in seeds] for s in sources], np.float64
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


def _check_targets(task: Task, result: Mapping[str, Any] | None, where: str, targets: Sequence[str]) -> None:
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
    rows = zip(matrix["sources"], matrix["mean"], strict=True)
    lines = ([source, *(f"{value:.4f}" for value in row)] for source, row in rows)
    write_cells(path, [["trained on", *matrix["targets"]], *lines])
