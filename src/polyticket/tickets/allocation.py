"""Which units of a pool are kept: the highest, in exact number, with a written rule for ties."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyticket.core.errors import PolyticketError
from polyticket.saliency.score_files import Scores, divisor
from polyticket.tickets.masks import Bits
from polyticket.tickets.scopes import Align, Grain, Key, budget_of, grains_of, keep_count, pools_of

Array = NDArray[np.float64]
BLOCK = 1 << 16


class Units(NamedTuple):
    """One site's scores, unit by unit.

    Attributes:
        scores: float64 [L, U], the mean score of each unit's neurons.
        spread: Turns bool [L, U], which units are kept, into bool [L, size], which neurons are.
    """

    scores: Array
    spread: Callable[[Bits], Bits]


def neurons(scores: Array, _: int) -> Units:
    """Every neuron on its own."""
    return Units(scores, lambda kept: kept)


def blocks(scores: Array, unit: int) -> Units:
    """Neurons in order of score (ties by position), `unit` at a time, so that kept counts are its multiples.

    A site's blocks fall in score, so the best blocks of a pool are the best aligned choice: no other with these counts
    has a higher sum of scores.
    """
    rows, size = scores.shape
    order = np.argsort(-scores, axis=1, kind="stable")
    means = np.take_along_axis(scores, order, 1).reshape(rows, size // unit, unit).mean(2)

    def spread(kept: Bits) -> Bits:
        found = np.zeros((rows, size), np.bool_)
        np.put_along_axis(found, order, kept.repeat(unit, 1), 1)
        return found

    return Units(means, spread)


def heads(scores: Array, unit: int) -> Units:
    """Attention heads: `unit` neighbours together."""
    rows, size = scores.shape
    return Units(scores.reshape(rows, size // unit, unit).mean(2), lambda kept: kept.repeat(unit, 1))


SELECTIONS: dict[str, Callable[[Array, int], Units]] = {"neuron": neurons, "block": blocks, "head": heads}


def units_of(scores: Array, grain: Grain) -> Units:
    """A site's scores [L, size] unit by unit, as its grain says."""
    kind = "neuron" if grain.unit == 1 else "head" if grain.whole else "block"
    return SELECTIONS[kind](scores, grain.unit)


class Kept(NamedTuple):
    """bool [n], and the lowest score that competed and was kept: infinite if none was."""

    bits: Bits
    lowest: float


def keep_highest(scores: Array, count: int) -> Kept:
    """Keep exactly `count` entries, the highest; among equal scores the earlier position is kept.

    Args:
        scores: float64 [n], finite.
        count: How many, from 0 to n.
    """
    if not count:
        return Kept(np.zeros(scores.size, np.bool_), np.inf)
    if count == scores.size:
        return Kept(np.ones(scores.size, np.bool_), float(scores.min()))
    threshold = nth_lowest(scores, scores.size - count)
    kept = scores >= threshold
    if surplus := int(np.count_nonzero(kept)) - count:
        kept[np.flatnonzero(scores == threshold)[-surplus:]] = False
    return Kept(kept, threshold)


def nth_lowest(scores: Array, n: int) -> float:
    """The score that would stand at place n, from 0, if all were sorted.

    A sample says between which scores it lies; the others are counted and not moved, block by block as the cache likes.
    """
    if scores.size < 64 * BLOCK:
        return float(np.partition(scores, n)[n])
    sample = np.sort(scores[:: scores.size // BLOCK])
    place, near = n * sample.size // scores.size, 4 * math.isqrt(sample.size)
    low, high = sample[max(place - near, 0)], sample[min(place + near, sample.size - 1)]
    below, within = 0, []
    for first in range(0, scores.size, BLOCK):
        block = scores[first : first + BLOCK]
        enough = block >= low
        below += block.size - int(np.count_nonzero(enough))
        within.append(block[enough & (block <= high)])
    between = np.concatenate(within)
    if not below <= n < below + between.size:  # the sample misled
        between, below = scores, 0
    return float(np.partition(between, n - below)[n - below])


def keep_fitting(scores: Array, sizes: NDArray[np.int64], budget: int) -> Kept:
    """Keep units of size 1 and of one other size: the largest total not above the budget, the highest first.

    Units are taken in order of score (ties by position) until one does not fit. Single ones then fill the room that is
    left. If they do not suffice, one more group takes the place of the lowest single ones, when that fills the budget.

    Args:
        scores: float64 [n], the mean score of each unit.
        sizes: int64 [n], 1 or one other number.
        budget: The largest sum of sizes.
    """
    order = np.argsort(-scores, kind="stable")
    ordered = sizes[order]
    ends = np.cumsum(ordered)
    kept = ends <= budget
    room = budget - int(ordered[kept].sum())
    kept[np.flatnonzero(~kept & (ordered == 1))[:room]] = True
    room = budget - int(ordered[kept].sum())
    groups, singles = np.flatnonzero(~kept & (ordered > 1)), np.flatnonzero(kept & (ordered == 1))
    if room and groups.size and singles.size >= (lack := int(ordered[groups[0]]) - room):
        kept[groups[0]] = True
        kept[singles[singles.size - lack :]] = False
    found = np.zeros(scores.size, np.bool_)
    found[order] = kept
    return Kept(found, float(scores[order[np.flatnonzero(kept)[-1]]]) if kept.any() else np.inf)


def keep_units(scores: Array, sizes: NDArray[np.int64] | int, budget: int, forced: Bits | None = None) -> Kept:
    """Keep the forced units and, within what is left of the budget, the highest of the others.

    Args:
        scores: float64 [n], the mean score of each unit.
        sizes: The size of all units, or of each one, int64 [n].
        budget: The largest number of neurons.
        forced: bool [n], units that are kept whatever their scores.
    """
    if forced is not None and forced.any():
        free = ~forced
        of_free = sizes if isinstance(sizes, int) else sizes[free]
        spent = int(forced.sum()) * sizes if isinstance(sizes, int) else int(sizes[forced].sum())
        found = keep_units(scores[free], of_free, budget - spent)
        kept = forced.copy()
        kept[free] = found.bits
        return Kept(kept, found.lowest)
    if isinstance(sizes, int):
        return keep_highest(scores, min(budget // sizes, scores.size))
    return keep_fitting(scores, sizes, budget)


class Allocation(NamedTuple):
    """What each language keeps.

    Attributes:
        masks: Site to bool [L, size], True where kept.
        asked: The budget: floor(n · ratio) neurons of every pool.
        kept: What the masks keep: `asked`, or with an alignment the largest number not above it.
        threshold: The lowest score (of a unit: the mean of its neurons) that won a place in the one pool of all
            languages; None for other scopes, and if floors took all places.
    """

    masks: dict[str, Bits]
    asked: int
    kept: int
    threshold: float | None


def allocate(
    scores: Collection[Scores],
    ratio: float,
    *,
    scope: str,
    normalise: bool = True,
    floor: float = 0,
    align: Align = 1,
    heads: int | None = None,
    languages: Sequence[str] | None = None,
    where: Sequence[object] | None = None,
) -> Allocation:
    """Decide which neurons each language keeps (Lee & Hwang 2023).

    Args:
        scores: For each of the L languages, site name to score vector [size]; the same sites and sizes for all. They
            are gone through once.
        ratio: The remain ratio, in (0, 1].
        scope: `global`, `language` or `site`: which entries compete for one budget.
        normalise: Divide each vector by its L2 norm first, as published.
        floor: The least that each language keeps of each site: neurons (1) or a share (0.1), up to whole units.
        align: Kept counts of each site and language are multiples of this; or `heads`, see `grains_of`.
        heads: Attention heads of the model, for `align="heads"`.
        languages: Their names, for errors.
        where: Where the scores of each are from, such as their files, for errors; `saliency` if None.

    Returns:
        The masks. Each pool keeps exactly floor(n · ratio) entries, or the largest aligned number not above; ties rank
        by site name, then language, then position.

    Raises:
        PolyticketError: Languages differ in their sites, scores are no numbers, all scores of a language are zero, or
            floor and alignment cannot be met.
    """
    _check(scores)
    rows = len(scores)
    flat, table = ranked(scores, normalise=normalise, languages=languages, where=where)
    grains = grains_of({site: part.shape[1] for site, part in table.items()}, align=align, heads=heads, floor=floor)
    asked, reached = budget_of(grains, rows, ratio, scope)
    units = {site: units_of(table[site], grain) for site, grain in grains.items()}
    if any(grain.unit > 1 for grain in grains.values()):
        flat = np.concatenate([units[site].scores.ravel() for site in grains])
    forced = _forced(flat, grains, rows) if any(grain.floor for grain in grains.values()) else None
    chosen, lowest = _choose(flat, forced, grains, pools_of(scope, grains, rows), ratio)
    masks = {site: units[site].spread(kept) for site, kept in _by_site(chosen, grains, rows).items()}
    kept = sum(int(np.count_nonzero(bits)) for bits in masks.values())
    if kept != reached:
        raise AssertionError(f"{kept} neurons kept, {reached} were to be")
    return Allocation(masks, asked, kept, lowest if scope == "global" and lowest < math.inf else None)


def ranked(
    scores: Collection[Scores],
    *,
    normalise: bool,
    languages: Sequence[str] | None = None,
    where: Sequence[object] | None = None,
) -> tuple[Array, dict[str, Array]]:
    """Scores of all languages in the order that breaks ties: by site name, language, position.

    They are gone through once, so that they may be read from files meanwhile.

    Returns:
        float64 [n], and the part of each site as a view of it, [L, size].

    Raises:
        PolyticketError: Languages differ in their sites, scores are no numbers, or all are zero; names the language
            and where its scores are from.
    """
    flat, table = _layout({}, 0)
    sizes: dict[str, tuple[int, ...]] = {}
    names: Sequence[object] = languages or range(len(scores))
    places = where or ["saliency"] * len(scores)
    for row, one in enumerate(scores):
        found = {site: values.shape for site, values in one.items()}
        if not row:
            sizes = found
            flat, table = _layout(sizes, len(scores))
        if found != sizes:
            line = f"the sites of language {names[row]} are not those of language {names[0]}"
            raise PolyticketError(line, where=places[row])
        with np.errstate(over="ignore"):
            _rank(one, {site: part[row] for site, part in table.items()}, normalise, names[row], places[row])
    return flat, table


def _layout(sizes: Mapping[str, tuple[int, ...]], rows: int) -> tuple[Array, dict[str, Array]]:
    ends = np.cumsum([0, *(rows * math.prod(sizes[site]) for site in sorted(sizes))]).tolist()
    flat = np.empty(ends[-1])
    parts = {site: flat[ends[at] : ends[at + 1]] for at, site in enumerate(sorted(sizes))}
    return flat, {site: part.reshape(rows, -1) for site, part in parts.items()}


def _rank(scores: Scores, places: Mapping[str, Array], normalise: bool, language: object, where: object) -> None:
    largest = 0.0
    for site, place in places.items():
        by = divisor(scores[site])
        if not math.isfinite(by):
            line = f"{site} of language {language} holds NaN or infinite scores"
            raise PolyticketError(line, where=where, expected="finite scores")
        np.divide(scores[site], by if normalise else 1.0, out=place)
        largest = max(largest, by)
    if largest <= 1e-20 and not any(values.any() for values in scores.values()):
        raise PolyticketError(f"all scores of language {language} are zero", where=where)


def _choose(
    flat: Array, forced: Bits | None, grains: Mapping[str, Grain], pools: list[list[Key]], ratio: float
) -> tuple[Bits, float]:
    """Which units are kept, in the order of the scores, and the lowest score that a pool kept without a floor."""
    chosen, lowest = np.zeros(flat.size, np.bool_), math.inf
    counts = {site: grain.size // grain.unit for site, grain in grains.items()}
    rows = flat.size // sum(counts.values())
    starts = dict(zip(grains, np.cumsum([0, *(rows * count for count in counts.values())]).tolist(), strict=False))
    for pool in pools:
        members = [grains[site] for site, _ in pool]
        parts = [slice(a := starts[site] + row * counts[site], a + counts[site]) for site, row in pool]
        units = np.array([grain.unit for grain in members])
        kept, least = keep_units(
            _taken(flat, parts),
            int(units[0]) if (units == units[0]).all() else units.repeat([counts[site] for site, _ in pool]),
            keep_count(sum(grain.size for grain in members), ratio),
            None if forced is None else _taken(forced, parts),
        )
        lowest = min(lowest, least)
        _put(chosen, parts, kept)
    return chosen, lowest


def _taken(flat: NDArray[Any], parts: list[slice]) -> NDArray[Any]:
    if sum(part.stop - part.start for part in parts) == flat.size:  # the one pool of all, in their order
        return flat
    return np.concatenate([flat[part] for part in parts])


def _put(flat: Bits, parts: list[slice], bits: Bits) -> None:
    at = 0
    for part in parts:
        flat[part] = bits[at : (at := at + part.stop - part.start)]


def _forced(flat: Array, grains: Mapping[str, Grain], rows: int) -> Bits:
    parts = _by_site(flat, grains, rows)
    return np.concatenate([keep_highest(row, grains[site].floor)[0] for site, part in parts.items() for row in part])


def _by_site(flat: NDArray[Any], grains: Mapping[str, Grain], rows: int) -> dict[str, NDArray[Any]]:
    found, at = {}, 0
    for site, grain in grains.items():
        count = rows * grain.size // grain.unit
        found[site] = flat[at : at + count].reshape(rows, -1)
        at += count
    return found


def _check(scores: Collection[Scores]) -> None:
    if not len(scores):
        raise PolyticketError("no scores", where="saliency", expected="scores of at least one language")
