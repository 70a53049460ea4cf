"""One result of several fine-tunings that differ in their seed."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from polyticket.core.errors import PolyticketError

Result = Mapping[str, Any]
SAME = (
    *("task", "language", "form", "selection", "labels", "options"),
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
        deviation of F1 as `f1_sd`, where there are classes; `seeds`, what each seed has of its own; `wall_seconds`,
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
        **{split: _each(found, fmean) for split, found in scores.items()},
        **_by_class([result["by_class"] for result in results if "by_class" in result]),
        "sd": {split: _each(found, deviation) for split, found in scores.items()},
        "seeds": [{key: result[key] for key in OF_SEED} for result in results],
        "sentences_per_second": fmean(result["sentences_per_second"] for result in results),
        "wall_seconds": round(sum(result["wall_seconds"] for result in results), 3),
    }


def deviation(values: Sequence[float]) -> float | None:
    """The sample standard deviation; None of one value."""
    return stdev(values) if len(values) > 1 else None


def _each(scores: Sequence[Mapping[str, float]], reduced: Any) -> dict[str, Any]:
    return {name: reduced([found[name] for found in scores]) for name in scores[0]}


def _by_class(results: Sequence[Mapping[str, Mapping[str, Mapping[str, float]]]]) -> dict[str, Any]:
    if not results:
        return {}
    found: dict[str, dict[str, Any]] = {}
    for split, classes in results[0].items():
        of_seeds = {name: [result[split][name] for result in results] for name in classes}
        found[split] = {
            name: _each(each, fmean) | {"f1_sd": deviation([one["f1"] for one in each])}
            for name, each in of_seeds.items()
        }
    return {"by_class": found}


def _check(results: Sequence[Result], where: str) -> None:
    for key in SAME:
        for result in results[1:]:
            if result.get(key) != results[0].get(key):
                what = f"{key} {result.get(key)!r} of seed {result['seed']}"
                raise PolyticketError(what, where=where, expected=f"{results[0].get(key)!r} as of the first seed")
    seeds = [result["seed"] for result in results]
    if len(set(seeds)) < len(seeds):
        raise PolyticketError(f"seeds {seeds}", where=where, expected="each seed once")
