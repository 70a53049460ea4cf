"""Winning sub-networks: the highest sparsity at which the score is still that of the full model, within its spread.

A level wins if its mean score over seeds is at least mean(full) − sd(full), where lower is better at most mean(full) +
sd(full), with the mean and standard deviation of the full model's scores over seeds. The standard deviation is the
sample's (n − 1). With one seed it is unknown, and so is which levels win.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any, NamedTuple

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike
from polyticket.core.tables import Row, read_rows
from polyticket.pruning.mask_sources import FOUND, FULL, REINITIALIZED, MaskSource, mask_source_of

FULL_MODEL = 0.0
ITERATIVE = "iterative"
"""The name of iterative magnitude pruning beside those of its controls."""
SCORE_COLUMNS = ("pruning", "task", "language", "seed", "sparsity", "kept", "loss", "dev", "score")
LEVEL_COLUMNS = ("sparsity", "seeds", "mean", "sd", "threshold", "wins")
WINNING_COLUMNS = ("winning", "unbroken", "threshold", "full_mean", "full_sd", "full_seeds", "note")
Scores = Mapping[float, Sequence[float]]


class Level(NamedTuple):
    """The scores at one sparsity.

    Attributes:
        sparsity: In percent; 0 is the full model.
        seeds: The number of scores.
        mean: Over seeds.
        sd: Sample standard deviation over seeds; None with one seed.
        wins: Whether the level wins; None where the full model's standard deviation is unknown.
    """

    sparsity: float
    seeds: int
    mean: float
    sd: float | None
    wins: bool | None


@dataclass(frozen=True)
class Winning:
    """The winning sparsity of one line of scores.

    Attributes:
        levels: All sparsities, ascending; the first is the full model.
        threshold: The mean that a level must reach: the full model's mean less one standard deviation, where lower is
            better plus one; None where that is unknown.
        sparsity: The highest level that wins, 0 if no pruned level does; None where the threshold is unknown.
        unbroken: The highest level up to which every level wins; below `sparsity` where scores go up and down.
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


def find_winning(scores: Scores, *, higher_is_better: bool = True, where: object = "scores") -> Winning:
    """The highest winning sparsity.

    Args:
        scores: Sparsity in percent to the scores of its seeds; 0 is the full model, trained in the same way.
        higher_is_better: False for perplexities and losses.
        where: What to name in an error.

    Raises:
        PolyticketError: There is no score of the full model, or a level has no score.
    """
    if not scores.get(FULL_MODEL):
        raise PolyticketError("no score of the full model", where=where, expected="scores at sparsity 0")
    if empty := [sparsity for sparsity, values in scores.items() if not values]:
        raise PolyticketError(f"no score at sparsity {empty[0]}", where=where, expected="at least one seed")
    threshold = _threshold(scores[FULL_MODEL], higher_is_better)
    levels = tuple(_level(sparsity, scores[sparsity], threshold, higher_is_better) for sparsity in sorted(scores))
    if threshold is None:
        return Winning(levels, None, None, None, "one seed of the full model: its standard deviation is unknown")
    unbroken = FULL_MODEL
    for level in levels:
        if not level.wins:
            break
        unbroken = level.sparsity
    return Winning(levels, threshold, max(level.sparsity for level in levels if level.wins), unbroken)


def _threshold(full: Sequence[float], higher_is_better: bool) -> float | None:
    if len(full) < 2:
        return None
    return fmean(full) - stdev(full) if higher_is_better else fmean(full) + stdev(full)


def _level(sparsity: float, scores: Sequence[float], threshold: float | None, higher_is_better: bool) -> Level:
    mean, wins = fmean(scores), None
    if threshold is not None:
        wins = mean >= threshold if higher_is_better else mean <= threshold
    return Level(sparsity, len(scores), mean, stdev(scores) if len(scores) > 1 else None, wins)


def score_rows(results: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The scores of fine-tunings under masks: a row for each pruning, language, seed and sparsity (`SCORE_COLUMNS`).

    Args:
        results: JSON values of `finetune_subnetwork`, of one task, for the mask sources of `own_mask_sources`.

    Returns:
        Rows in the order of the results: `sparsity` in percent, `dev` and `score` the task's selection score on dev and
        test. The full model is sparsity 0 of every pruning.
    """
    read = [(mask_source_of(result["mask_source"]), result) for result in results]
    prunings = list(dict.fromkeys(_pruning_of(source) for source, _ in read if source.kind != FULL))
    return [
        _score_row(pruning, source, result)
        for pruning in prunings
        for source, result in read
        if (source.kind == FULL and source.reinitialized == (pruning == REINITIALIZED))
        or _pruning_of(source) == pruning
    ]


def _pruning_of(source: MaskSource) -> str:
    """How a mask was pruned: `iterative`, or the control's name."""
    return (source.control or ITERATIVE) if source.kind == FOUND else source.kind


def _score_row(pruning: str, source: MaskSource, result: Mapping[str, Any]) -> Row:
    metric = result["selection"]
    return {
        "pruning": pruning,
        "sparsity": source.sparsity,
        "dev": result["dev"][metric],
        "score": result["test"][metric],
        **{key: result[key] for key in ("task", "language", "seed", "kept", "loss")},
    }


def read_scores(
    paths: Sequence[Pathlike], metric: str, by: Sequence[str]
) -> dict[tuple[str, ...], dict[float, list[float]]]:
    """Read scores per level and seed from tidy CSV files.

    The columns are `seed`, `sparsity` (in percent, 0 for the full model), the metric and those of `by`.

    Args:
        paths: The files; all their rows are read.
        metric: The column of the score.
        by: The columns that separate the lines, such as `pruning`, `task` and `language`.

    Returns:
        Values of `by`, in order of appearance, to sparsity to the scores of its seeds, by seed.

    Raises:
        PolyticketError: A file is no such table, a score is missing, or a seed has two scores at one level; names the
            line.
    """
    lines: dict[tuple[str, ...], dict[float, dict[str, float]]] = {}
    for path in paths:
        for number, row in enumerate(read_rows(path, (*by, "seed", "sparsity", metric), ("sparsity", metric)), 2):
            _add(lines, row, metric, by, f"{path}:{number}")
    if not lines:
        raise PolyticketError("no scores", where=", ".join(map(str, paths)), expected="a row per level and seed")
    return {
        key: {sparsity: [seeds[seed] for seed in sorted(seeds)] for sparsity, seeds in levels.items()}
        for key, levels in lines.items()
    }


def _add(
    lines: dict[tuple[str, ...], dict[float, dict[str, float]]], row: Row, metric: str, by: Sequence[str], where: str
) -> None:
    sparsity, score = round(row["sparsity"], 6), row[metric]
    if not 0 <= sparsity < 100:
        raise PolyticketError(f"sparsity {row['sparsity']}", where=where, expected="percent, from 0 to below 100")
    if not abs(score) < float("inf"):
        raise PolyticketError(f"{metric} is {score}", where=where, expected="a number")
    seeds = lines.setdefault(tuple(row[column] for column in by), {}).setdefault(sparsity, {})
    if row["seed"] in seeds:
        raise PolyticketError(f"seed {row['seed']} at sparsity {sparsity:g} is there twice", where=where)
    seeds[row["seed"]] = score


def winning_rows(lines: Mapping[tuple[str, ...], Winning], by: Sequence[str]) -> list[Row]:
    """A row per line: the columns of `by` and `WINNING_COLUMNS`."""
    return [
        dict(zip(by, key, strict=True))
        | {"winning": line.sparsity, "unbroken": line.unbroken, "threshold": line.threshold, "note": line.note}
        | {"full_mean": line.full.mean, "full_sd": line.full.sd, "full_seeds": line.full.seeds}
        for key, line in lines.items()
    ]


def level_rows(lines: Mapping[tuple[str, ...], Winning], by: Sequence[str]) -> list[Row]:
    """A row per line and level: the columns of `by` and `LEVEL_COLUMNS`."""
    return [
        dict(zip(by, key, strict=True)) | {"threshold": line.threshold} | level._asdict()
        for key, line in lines.items()
        for level in line.levels
    ]
