"""From scores to a ticket: normalise, pool by scope, keep the highest. Counts are exact and ties are written down."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyticket.core.errors import PolyticketError
from polyticket.saliency.score_files import Scores, divisor
from polyticket.tickets.masks import Bits
from polyticket.tickets.scopes import Align, Grain, Key, budget_of, grains_of, keep_count, pools_of
from polyticket.tickets.selection import Array, keep_highest, keep_units, units_of


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
