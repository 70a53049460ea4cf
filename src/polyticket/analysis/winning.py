"""Winning sub-networks: how far pruning goes until the score falls below the full model's, by the spread over seeds.

A level wins if its mean score over seeds is not worse than the full model's mean by more than one standard deviation of
the full model's scores over seeds: mean(level) >= mean(full) − sd(full), or mean(level) <= mean(full) + sd(full) where
lower is better. The standard deviation is the sample's (n − 1); of one seed it is unknown, and so is what wins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import NamedTuple

from polyticket.analysis.tidy import Row, read_rows
from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike

FULL = 0.0
LEVEL_COLUMNS = ("sparsity", "seeds", "mean", "sd", "threshold", "wins")
WINNING_COLUMNS = ("winning", "unbroken", "threshold", "full_mean", "full_sd", "full_seeds", "note")
Scores = Mapping[float, Sequence[float]]


class Level(NamedTuple):
    """The scores of one sparsity.

    Attributes:
        sparsity: In percent; 0 is the full model.
        seeds: How many scores there are.
        mean: Over seeds.
        sd: Sample standard deviation over seeds; None of one seed.
        wins: Whether it is a winning one; None where the full model's spread is unknown.
    """

    sparsity: float
    seeds: int
    mean: float
    sd: float | None
    wins: bool | None


@dataclass(frozen=True)
class Winning:
    """How far pruning goes.

    Attributes:
        levels: All sparsities, ascending; the first is the full model.
        threshold: What a mean must reach: the full model's mean less (plus, where lower is better) one standard
            deviation; None where that is unknown.
        sparsity: The highest level that wins, 0 where no pruned one does; None where the threshold is unknown.
        unbroken: The highest level up to which every level wins; lower than `sparsity` where scores go up and down.
        note: Why something is unknown; empty otherwise.
    """

    levels: tuple[Level, ...]
    threshold: float | None
    sparsity: float | None
    unbroken: float | None
    note: str = ""

    @property
    def full(self) -> Level:
        """The full model."""
        return self.levels[0]


def winning(scores: Scores, *, higher_is_better: bool = True, where: object = "scores") -> Winning:
    """The highest winning sparsity.

    Args:
        scores: Sparsity in percent to the scores of its seeds; 0 is the full model, trained the same way.
        higher_is_better: False for perplexities and losses.
        where: What the scores are of, for errors.

    Raises:
        PolyticketError: There is no full model, or a level without scores.
    """
    if not scores.get(FULL):
        raise PolyticketError("no score of the full model", where=where, expected="scores at sparsity 0")
    if empty := [level for level, found in scores.items() if not found]:
        raise PolyticketError(f"no score at sparsity {empty[0]}", where=where, expected="at least one seed")
    threshold = _threshold(scores[FULL], higher_is_better)
    levels = tuple(_level(sparsity, scores[sparsity], threshold, higher_is_better) for sparsity in sorted(scores))
    if threshold is None:
        return Winning(levels, None, None, None, "one seed of the full model: its standard deviation is unknown")
    unbroken = FULL
    for level in levels:
        if not level.wins:
            break
        unbroken = level.sparsity
    return Winning(levels, threshold, max(level.sparsity for level in levels if level.wins), unbroken)


def at_sparsity(found: Winning, sparsity: float) -> Level:
    """The level of a sparsity, in percent, to within 1e-6.

    Raises:
        PolyticketError: There is no such level.
    """
    for level in found.levels:
        if abs(level.sparsity - sparsity) <= 1e-6:
            return level
    known = ", ".join(f"{level.sparsity:g}" for level in found.levels)
    raise PolyticketError(f"no level of sparsity {sparsity:g}", where="scores", expected=known)


def _threshold(full: Sequence[float], higher_is_better: bool) -> float | None:
    if len(full) < 2:
        return None
    return fmean(full) - stdev(full) if higher_is_better else fmean(full) + stdev(full)


def _level(sparsity: float, found: Sequence[float], threshold: float | None, higher_is_better: bool) -> Level:
    mean, wins = fmean(found), None
    if threshold is not None:
        wins = mean >= threshold if higher_is_better else mean <= threshold
    return Level(sparsity, len(found), mean, stdev(found) if len(found) > 1 else None, wins)


def read_scores(
    paths: Sequence[Pathlike], metric: str, by: Sequence[str]
) -> dict[tuple[str, ...], dict[float, list[float]]]:
    """Read scores per level and seed from tidy CSV files.

    Columns are `seed`, `sparsity` (in percent, 0 for the full model), the metric and those of `by`.

    Args:
        paths: The files; their rows are taken together.
        metric: The column of the score.
        by: The columns that tell lines apart, such as `pruner`, `task` and `language`.

    Returns:
        Values of `by`, in order of appearance, to sparsity to the scores of its seeds, by seed.

    Raises:
        PolyticketError: A file is no such table, a score is missing, or a seed scores one level twice; names the line.
    """
    found: dict[tuple[str, ...], dict[float, dict[str, float]]] = {}
    for path in paths:
        for number, row in enumerate(read_rows(path, (*by, "seed", "sparsity", metric), ("sparsity", metric)), 2):
            _add(found, row, metric, by, f"{path}:{number}")
    if not found:
        raise PolyticketError("no scores", where=", ".join(map(str, paths)), expected="a row per level and seed")
    return {
        key: {sparsity: [seeds[seed] for seed in sorted(seeds)] for sparsity, seeds in levels.items()}
        for key, levels in found.items()
    }


def _add(
    found: dict[tuple[str, ...], dict[float, dict[str, float]]], row: Row, metric: str, by: Sequence[str], where: str
) -> None:
    sparsity, score = round(row["sparsity"], 6), row[metric]
    if not 0 <= sparsity < 100:
        raise PolyticketError(f"sparsity {row['sparsity']}", where=where, expected="percent, from 0 to below 100")
    if not abs(score) < float("inf"):
        raise PolyticketError(f"{metric} is {score}", where=where, expected="a number")
    seeds = found.setdefault(tuple(row[column] for column in by), {}).setdefault(sparsity, {})
    if row["seed"] in seeds:
        raise PolyticketError(f"seed {row['seed']} at sparsity {sparsity:g} is there twice", where=where)
    seeds[row["seed"]] = score


def winning_rows(found: Mapping[tuple[str, ...], Winning], by: Sequence[str]) -> list[Row]:
    """A row per line: the columns of `by` and `WINNING_COLUMNS`."""
    return [
        dict(zip(by, key, strict=True))
        | {"winning": one.sparsity, "unbroken": one.unbroken, "threshold": one.threshold, "note": one.note}
        | {"full_mean": one.full.mean, "full_sd": one.full.sd, "full_seeds": one.full.seeds}
        for key, one in found.items()
    ]


def level_rows(found: Mapping[tuple[str, ...], Winning], by: Sequence[str]) -> list[Row]:
    """A row per line and level: the columns of `by` and `LEVEL_COLUMNS`."""
    return [
        dict(zip(by, key, strict=True)) | {"threshold": one.threshold} | level._asdict()
        for key, one in found.items()
        for level in one.levels
    ]
