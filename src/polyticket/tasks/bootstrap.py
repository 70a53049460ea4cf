"""The paired bootstrap over test examples and seeds, which compares runs.

Test examples are resampled for both runs alike (Koehn 2004; Efron & Tibshirani 1993). Where each run has several seeds,
seeds are resampled as well, of each run by itself (hierarchical: a seed and an example are drawn each on its own).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyticket.tasks.metrics import Counts

RESAMPLES = 10_000
A_COMPARISON = 400
"""Resamples for each comparison of a family at least: then Holm's smallest p stays below 1 %."""
OF_EXAMPLES, OF_BOTH = "test examples", "test examples and seeds"
INTERVAL = 0.95
CELLS = 2**21  # weights that are held at a time
UNIT = 2.0**20  # counts are rounded to its inverse: then their sums are exact in whatever order they are made
OfCounts = Callable[[Counts], Counts]


class Difference(NamedTuple):
    """A run's score minus that of the run it is compared with.

    Attributes:
        difference: Of the means over seeds, on the test set as it is.
        low: Lower end of the 95 % confidence interval.
        high: Upper end of it.
        p: Two-sided p-value of this comparison alone, in (0, 1]; see `judged`.
    """

    difference: float
    low: float
    high: float
    p: float


def paired_bootstrap(
    base: Counts, other: Counts, of_counts: OfCounts, *, resamples: int = RESAMPLES, seed: Sequence[int] = (0,)
) -> Difference:
    """Compare two runs on the same test examples.

    Args:
        base: float64 [seeds, n, K], the counts of n examples (`Metric.counts`) for each seed of the first run.
        other: The same of the run that is compared with it; it may have more or fewer seeds.
        of_counts: Totals [..., K] to scores [...].
        resamples: The number of resamples of n examples, and of seeds, with replacement.
        seed: Seed of the draws.

    Returns:
        How `other` differs from `base`.

    Raises:
        ValueError: The runs have not the same examples and counts.
    """
    base_score, score = (mean_score(counts, of_counts) for counts in (base, other))
    return judged(score - base_score, resampled([base, other], of_counts, resamples=resamples, seed=seed)[0])


def mean_score(counts: Counts, of_counts: OfCounts) -> float:
    """The mean over seeds of the scores on all examples; counts are float64 [seeds, n, K]."""
    return float(of_counts(counts.sum(1)).mean())


def resampled(
    runs: Sequence[Counts], of_counts: OfCounts, *, resamples: int = RESAMPLES, seed: Sequence[int] = (0,)
) -> NDArray[np.float64]:
    """Differences of the mean scores of runs and the first run, on resampled test sets and seeds.

    A test set is n examples drawn with replacement, on which all runs and seeds are scored. Where every run has several
    seeds, a run's score is the mean over S − 1 of its S seeds, drawn with replacement, else over all of them. (S draws
    would give (S − 1) / S of the variance of a mean of S: Rao & Wu 1988.)

    Memory is bounded: the weights of the resamples that are made at a time are at most `CELLS` numbers, or those of one
    resample. The result does not depend on this bound.

    Args:
        runs: The counts of each run, float64 [seeds, n, K].
        of_counts: Totals [..., K] to scores [...].
        resamples: R, the number of resamples.
        seed: Seed of the draws.

    Returns:
        float64 [runs − 1, R].

    Raises:
        ValueError: The runs have not the same examples and counts.
    """
    n, wide = runs[0].shape[1:]
    if any(counts.shape[1:] != (n, wide) for counts in runs):
        raise ValueError("runs have not the same examples and counts")
    ends = np.cumsum([len(counts) for counts in runs])[:-1]
    columns = np.concatenate(list(runs)).transpose(1, 0, 2).reshape(n, -1)
    columns = np.round(columns * UNIT) / UNIT
    scores = []
    for weights in _draws(n, resamples, np.random.default_rng(list(seed))):
        totals = (weights @ columns).reshape(len(weights), -1, wide)
        scores.append(of_counts(totals))
    of_runs = np.split(np.concatenate(scores), ends, axis=1)  # each [R, seeds]
    means = [
        (found * of_seeds).sum(1) for found, of_seeds in zip(of_runs, _seed_shares(runs, resamples, seed), strict=True)
    ]
    return np.array([mean - means[0] for mean in means[1:]]).reshape(len(runs) - 1, resamples)


def resampled_of(seeds: Sequence[int]) -> str:
    """What is resampled, given the number of seeds of each run: `OF_EXAMPLES` or `OF_BOTH`."""
    return OF_BOTH if min(seeds) > 1 else OF_EXAMPLES


def _seed_shares(runs: Sequence[Counts], resamples: int, seed: Sequence[int]) -> Iterator[NDArray[np.float64]]:
    """How much each seed of a run weighs in each resample: float64 [R, S], rows add up to 1; run by run."""
    sizes = [len(counts) for counts in runs]
    if resampled_of(sizes) == OF_EXAMPLES:
        yield from (np.full((resamples, size), 1 / size) for size in sizes)
        return
    for number, size in enumerate(sizes):
        random = np.random.default_rng([*seed, number, size])
        drawn = random.integers(size, size=(resamples, size - 1))
        yield (drawn[:, :, None] == np.arange(size)).mean(1)


def resamples_for(comparisons: int) -> int:
    """The number of resamples for a family of N comparisons."""
    return max(RESAMPLES, A_COMPARISON * comparisons)


def holm(values: Sequence[float | None]) -> list[float | None]:
    """P-values adjusted for multiple comparisons (Holm 1979); None stays None."""
    known = sorted((value, position) for position, value in enumerate(values) if value is not None)
    adjusted: list[float | None] = [None] * len(values)
    reached = 0.0
    for rank, (value, position) in enumerate(known):
        reached = max(reached, min(1.0, value * (len(known) - rank)))
        adjusted[position] = reached
    return adjusted


def _draws(n: int, resamples: int, random: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    """How often each of n examples is in each resample: float64 [some, n], whose rows add up to n."""
    at_a_time = max(1, CELLS // n)
    for start in range(0, resamples, at_a_time):
        some = min(at_a_time, resamples - start)
        drawn = random.integers(n, size=(some, n))
        drawn += np.arange(some)[:, None] * n
        yield np.bincount(drawn.ravel(), minlength=some * n).reshape(some, n).astype(np.float64)


def judged(difference: float, differences: NDArray[np.float64]) -> Difference:
    """Confidence interval and p-value of a difference, from R resampled differences d*.

    The interval holds their middle 95 % (percentiles). p = min(1, 2 · (min(#{d* ≤ 0}, #{d* ≥ 0}) + 1) / (R + 1)): twice
    the share of resamples on which the runs are equal or the other way round, and never 0 (Davison & Hinkley 1997).

    Args:
        difference: The difference on the real test set.
        differences: float64 [R].
    """
    low, high = np.quantile(differences, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2]).tolist()
    rarer = int(min((differences <= 0).sum(), (differences >= 0).sum()))
    return Difference(difference, low, high, min(1.0, 2 * (rarer + 1) / (len(differences) + 1)))
