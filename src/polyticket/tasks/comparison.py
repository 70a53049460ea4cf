"""The comparison of all runs: scores of a task in each language, and significance of the differences."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.core.tables import write_cells
from polyticket.tasks.bootstrap import RESAMPLES, holm, judged, mean_score, resampled, resampled_of
from polyticket.tasks.metrics import Counts, Prediction
from polyticket.tasks.summary import deviation
from polyticket.tasks.table import Task

TOLERANCE = 1e-6  # between a score as it is reported and as it is made of counts
OF_RUN = ("mean", "sd", "seeds", "density")
OF_PAIR = ("difference", "low", "high", "p", "p_holm")
Draws = NDArray[np.float64]


class Compared(NamedTuple):
    """Results of all runs in one language.

    Attributes:
        language: Its code.
        examples: The n test examples.
        results: The summary of each run, see `summarize`.
        predictions: Of each run, for each seed, n predictions.
    """

    language: str
    examples: Sequence[Any]
    results: Sequence[Mapping[str, Any]]
    predictions: Sequence[Sequence[Sequence[Prediction]]]


def compare(
    task: Task, runs: Sequence[str], languages: Iterable[Compared], *, seed: int, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """Compare runs with the first one by the paired bootstrap over test examples and, if there are several, seeds.

    The mean over languages is compared likewise: each language's test set and seeds are resampled on their own, which
    takes the languages themselves as given. P values are adjusted by Holm's method for all comparisons of the task,
    variants × languages; those of the mean over languages, another question, for the number of variants.

    Args:
        task: Its selection score is compared.
        runs: Their names, the main run first.
        languages: One at a time, to hold no more predictions than those of one.
        seed: Draws the resamples, for each language its own.
        resamples: How many; see `resamples_for`.

    Returns:
        JSON values: `task`, `score`, `runs`, `resamples`; `resampled`, what was: test examples, or seeds too;
        `comparisons`, the number that Holm's method adjusts for; `languages`, for each `language`, `examples` and
        `runs`: by name `mean`, `sd` and number of `seeds`, `density`, and `difference` (`difference`, `low`, `high`,
        `p`, `p_holm`; None of the main run); `mean`, the same over languages.

    Raises:
        PolyticketError: Predictions do not score what the result says.
    """
    rows: list[dict[str, Any]] = []
    draws, every = [], []
    for compared in languages:
        counts = [_counts(task, compared, number) for number in range(len(runs))]
        for run, values, result in zip(runs, counts, compared.results, strict=True):
            _check(task, run, values, result)
        differences = resampled(
            counts, task.metric.of_counts, resamples=resamples, seed=(seed, *compared.language.encode())
        )
        draws.append(differences)
        scores = [_scores(task, result) for result in compared.results]
        every.append(scores)
        rows.append(
            {
                "language": compared.language,
                "examples": len(compared.examples),
                "runs": _judged(runs, scores, differences),
            }
        )
    overall = [_over_languages(scores) for scores in zip(*every, strict=True)]
    mean = {"runs": _judged(runs, overall, np.mean(draws, axis=0))}
    _adjust(rows)
    _adjust([mean])
    return {
        "task": task.name,
        "score": task.selection,
        "runs": list(runs),
        "resamples": resamples,
        "resampled": resampled_of([run["seeds"] for row in rows for run in row["runs"].values()]),
        "comparisons": (len(runs) - 1) * len(rows),
        "languages": rows,
        "mean": mean,
    }


def _adjust(rows: Sequence[Mapping[str, Any]]) -> None:
    """Add `p_holm` to the differences of rows, which are one family."""
    differences = [run["difference"] for row in rows for run in row["runs"].values() if run["difference"]]
    for difference, adjusted in zip(differences, holm([difference["p"] for difference in differences]), strict=True):
        difference["p_holm"] = adjusted


def _counts(task: Task, compared: Compared, run: int) -> Counts:
    return np.stack([task.metric.counts(compared.examples, predictions) for predictions in compared.predictions[run]])


def _check(task: Task, run: str, counts: Counts, result: Mapping[str, Any]) -> None:
    score, reported = mean_score(counts, task.metric.of_counts), result["test"][task.selection]
    if len(counts) != len(result["seeds"]) or abs(score - reported) > TOLERANCE:
        problem = f"predictions of {len(counts)} seeds score {score:.6f}"
        expected = f"{reported:.6f} of {len(result['seeds'])} seeds, as the result says"
        raise PolyticketError(problem, where=f"{task.name} {result['language']} of {run}", expected=expected)


class _Scores(NamedTuple):
    """Of one run: the score of each seed, and the density of its mask."""

    of_seeds: list[float]
    density: float


def _scores(task: Task, result: Mapping[str, Any]) -> _Scores:
    return _Scores([one["test"][task.selection] for one in result["seeds"]], result["density"])


def _over_languages(scores: Sequence[_Scores]) -> _Scores:
    of_seeds = [fmean(values) for values in zip(*(one.of_seeds for one in scores), strict=True)]
    return _Scores(of_seeds, fmean(one.density for one in scores))


def _judged(runs: Sequence[str], scores: Sequence[_Scores], draws: Draws) -> dict[str, dict[str, Any]]:
    means = [fmean(run_scores.of_seeds) for run_scores in scores]
    found_differences = [judged(mean - means[0], drawn) for mean, drawn in zip(means[1:], draws, strict=True)]
    return {
        run: {
            "mean": mean,
            "sd": deviation(run_scores.of_seeds),
            "seeds": len(run_scores.of_seeds),
            "density": run_scores.density,
            "difference": difference and difference._asdict(),
        }
        for run, mean, run_scores, difference in zip(runs, means, scores, [None, *found_differences], strict=True)
    }


def write_comparison(table: Mapping[str, Any], path: Pathlike) -> None:
    """Write the result of `compare` as CSV, a row per language and one of the mean; numbers have four digits."""
    base, *others = table["runs"]
    rows = [*table["languages"], {"language": "mean", **table["mean"]}]
    lines = [[row["language"], *(cell for run in table["runs"] for cell in _cells(row["runs"][run]))] for row in rows]
    header = [f"{base} {name}" for name in OF_RUN] + [f"{run} {name}" for run in others for name in (*OF_RUN, *OF_PAIR)]
    write_cells(path, [["language", *header], *lines])


def _cells(run: Mapping[str, Any]) -> list[str]:
    difference = run["difference"]
    numbers = [run["mean"], run["sd"], run["density"], *(difference[name] for name in OF_PAIR if difference)]
    mean, sd, *others = ("" if number is None else f"{number:.4f}" for number in numbers)
    return [mean, sd, str(run["seeds"]), *others]
