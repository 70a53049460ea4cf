"""Allocation: from scores to masks, with exact counts and a fixed rule for ties."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyticket.core.errors import PolyticketError
from polyticket.core.files import Pathlike, folder_sha256, sha256, write_json
from polyticket.core.ranking import Highest, keep_count, keep_highest
from polyticket.model.settings import CONFIG, read_settings
from polyticket.model.shape import BertShape
from polyticket.saliency.score_files import ScoreFiles, Scores, divisor
from polyticket.tickets.masks import Bits
from polyticket.tickets.scopes import Align, Granularity, Key, budget_of, granularities_of, pools_of
from polyticket.tickets.ticket import Ticket, write_ticket

Array = NDArray[np.float64]


class Allocation(NamedTuple):
    """What each language keeps.

    Attributes:
        masks: Site to bool [L, size], True where kept.
        asked: The budget: floor(n · ratio) neurons of every pool.
        kept: The neurons that the masks keep: `asked`, or with an alignment the largest possible number not above it.
        threshold: The lowest score (of a unit: the mean of its neurons) that is kept in the one pool of all languages;
            None for other scopes, and if floors use the whole budget.
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
        scores: For each of the L languages, site name to score vector [size], with the same sites and sizes for all.
            They are iterated over once.
        ratio: The remain ratio, in (0, 1].
        scope: `global`, `language` or `site`: the entries that compete for one budget.
        normalise: Divide each vector by its L2 norm first, as published.
        floor: The least that each language keeps of each site: neurons (1) or a share (0.1), rounded up to whole units.
        align: Kept counts of each site and language are multiples of this; or `heads`, see `granularities_of`.
        heads: Attention heads of the model, for `align="heads"`.
        languages: The names of the languages, for errors.
        where: The source of each language's scores, such as its file, for errors; `saliency` if None.

    Returns:
        The masks. Each pool keeps exactly floor(n · ratio) entries, or the largest aligned number not above it; ties
        rank by site name, then language, then position.

    Raises:
        PolyticketError: Languages differ in their sites, scores are NaN or infinite, all scores of a language are zero,
            or floor and alignment cannot be met.
    """
    _check(scores)
    rows = len(scores)
    flat, table = ranked(scores, normalise=normalise, languages=languages, where=where)
    sizes = {site: columns.shape[1] for site, columns in table.items()}
    granularities = granularities_of(sizes, align=align, heads=heads, floor=floor)
    asked, reached = budget_of(granularities, rows, ratio, scope)
    units = {site: units_of(table[site], granularity) for site, granularity in granularities.items()}
    if any(granularity.unit > 1 for granularity in granularities.values()):
        flat = np.concatenate([units[site].scores.ravel() for site in granularities])
    has_floor = any(granularity.floor for granularity in granularities.values())
    forced = _forced(flat, granularities, rows) if has_floor else None
    chosen, lowest = _choose(flat, forced, granularities, pools_of(scope, granularities, rows), ratio)
    masks = {site: units[site].spread(kept) for site, kept in _by_site(chosen, granularities, rows).items()}
    kept = sum(int(np.count_nonzero(bits)) for bits in masks.values())
    if kept != reached:
        raise AssertionError(f"{kept} neurons kept instead of {reached}")
    return Allocation(masks, asked, kept, lowest if scope == "global" and lowest < math.inf else None)


def allocate_files(
    scores: Sequence[Pathlike],
    model: Pathlike,
    ticket: Pathlike,
    stats: Pathlike,
    *,
    languages: Sequence[str],
    saliency: str,
    scope: str,
    remain_ratio: float,
    seed: int,
    options: Mapping[str, Any],
) -> None:
    """Allocate a ticket from the saliency files of all languages, and write it with its statistics.

    Args:
        scores: The saliency file of each language.
        model: The folder of the initial model that was scored.
        ticket: The ticket to write.
        stats: The statistics to write: the provenance, and densities by language and by site.
        languages: The languages, in the order of the files.
        saliency: The saliency method.
        scope: See `allocate`.
        remain_ratio: The share of neurons to keep.
        seed: The run's seed.
        options: `floor` and `align` of `allocate`.

    Raises:
        PolyticketError: The files do not belong together, or see `allocate`.
    """
    files = ScoreFiles(scores, languages)
    provenance: dict[str, Any] = {"scope": scope, "saliency": saliency, "remain_ratio": remain_ratio, "seed": seed}
    # scores of random_uniform keep one density everywhere only if sites of different width are not rescaled
    provenance |= {**options, "normalise": saliency != "random_uniform"}
    provenance["heads"] = BertShape.from_config(read_settings(model), Path(model) / CONFIG).num_attention_heads
    settings = {key: provenance[key] for key in ("scope", "normalise", "heads", *options)}
    allocation = allocate(files, remain_ratio, **settings, languages=languages, where=files.paths)
    provenance |= {"scoring": files.settings(), "initial": folder_sha256(model), "threshold": allocation.threshold}
    files.check_initial(provenance["initial"])
    budget = {"asked": allocation.asked, "kept": allocation.kept}
    allocated = Ticket(languages, allocation.masks, provenance | {"budget": budget, "scores": files.digests()})
    write_ticket(allocated, ticket)
    by_site = {site: bits.mean(1).tolist() for site, bits in allocation.masks.items()}
    densities = {"density": allocated.densities(), "density_by_site": by_site}
    write_json(stats, {"sha256": sha256(ticket), **provenance, "budget": budget, **densities})


def ranked(
    scores: Collection[Scores],
    *,
    normalise: bool,
    languages: Sequence[str] | None = None,
    where: Sequence[object] | None = None,
) -> tuple[Array, dict[str, Array]]:
    """Scores of all languages in the order that breaks ties: by site name, language, position.

    The scores are iterated over once, so they may be read from files meanwhile.

    Returns:
        float64 [n], and for each site its columns, a view [L, size] of it.

    Raises:
        PolyticketError: Languages differ in their sites, scores are NaN or infinite, or all are zero; names the
            language and the source of its scores.
    """
    flat, table = _layout({}, 0)
    sizes: dict[str, tuple[int, ...]] = {}
    names: Sequence[object] = languages or range(len(scores))
    sources = where or ["saliency"] * len(scores)
    for row, own in enumerate(scores):
        own_sizes = {site: values.shape for site, values in own.items()}
        if not row:
            sizes = own_sizes
            flat, table = _layout(sizes, len(scores))
        if own_sizes != sizes:
            line = f"the sites of language {names[row]} are not those of language {names[0]}"
            raise PolyticketError(line, where=sources[row])
        with np.errstate(over="ignore"):
            _rank(own, {site: columns[row] for site, columns in table.items()}, normalise, names[row], sources[row])
    return flat, table


def _layout(sizes: Mapping[str, tuple[int, ...]], rows: int) -> tuple[Array, dict[str, Array]]:
    ends = np.cumsum([0, *(rows * math.prod(sizes[site]) for site in sorted(sizes))]).tolist()
    flat = np.empty(ends[-1])
    spans = {site: slice(*ends[index : index + 2]) for index, site in enumerate(sorted(sizes))}
    return flat, {site: flat[span].reshape(rows, -1) for site, span in spans.items()}


def _rank(scores: Scores, targets: Mapping[str, Array], normalise: bool, language: object, where: object) -> None:
    largest = 0.0
    for site, target in targets.items():
        by = divisor(scores[site])
        if not math.isfinite(by):
            line = f"{site} of language {language} holds NaN or infinite scores"
            raise PolyticketError(line, where=where, expected="finite scores")
        np.divide(scores[site], by if normalise else 1.0, out=target)
        largest = max(largest, by)
    if largest <= 1e-20 and not any(values.any() for values in scores.values()):
        raise PolyticketError(f"all scores of language {language} are zero", where=where)


def _choose(
    flat: Array, forced: Bits | None, granularities: Mapping[str, Granularity], pools: list[list[Key]], ratio: float
) -> tuple[Bits, float]:
    """The units that are kept, in the order of the scores, and the lowest score that a pool kept without a floor."""
    chosen, lowest = np.zeros(flat.size, np.bool_), math.inf
    counts = {site: granularity.size // granularity.unit for site, granularity in granularities.items()}
    rows = flat.size // sum(counts.values())
    offsets = np.cumsum([0, *(rows * count for count in counts.values())]).tolist()
    starts = dict(zip(granularities, offsets, strict=False))
    for pool in pools:
        members = [granularities[site] for site, _ in pool]
        spans = [slice(a := starts[site] + row * counts[site], a + counts[site]) for site, row in pool]
        units = np.array([granularity.unit for granularity in members])
        kept, least = keep_units(
            _taken(flat, spans),
            int(units[0]) if (units == units[0]).all() else units.repeat([counts[site] for site, _ in pool]),
            keep_count(sum(granularity.size for granularity in members), ratio),
            None if forced is None else _taken(forced, spans),
        )
        lowest = min(lowest, least)
        _put(chosen, spans, kept)
    return chosen, lowest


def _taken(flat: NDArray[Any], spans: list[slice]) -> NDArray[Any]:
    if sum(span.stop - span.start for span in spans) == flat.size:  # the one pool of all, in order: no copy
        return flat
    return np.concatenate([flat[span] for span in spans])


def _put(flat: Bits, spans: list[slice], bits: Bits) -> None:
    begin = 0
    for span in spans:
        flat[span] = bits[begin : (begin := begin + span.stop - span.start)]


def _forced(flat: Array, granularities: Mapping[str, Granularity], rows: int) -> Bits:
    tables = _by_site(flat, granularities, rows)
    return np.concatenate(
        [keep_highest(row, granularities[site].floor).chosen for site, table in tables.items() for row in table]
    )


def _by_site(flat: NDArray[Any], granularities: Mapping[str, Granularity], rows: int) -> dict[str, NDArray[Any]]:
    tables, begin = {}, 0
    for site, granularity in granularities.items():
        count = rows * granularity.size // granularity.unit
        tables[site] = flat[begin : begin + count].reshape(rows, -1)
        begin += count
    return tables


def _check(scores: Collection[Scores]) -> None:
    if not len(scores):
        raise PolyticketError("no scores", where="saliency", expected="scores of at least one language")


class Units(NamedTuple):
    """One site's scores by unit, a unit being the neurons that are kept or dropped together.

    Attributes:
        scores: float64 [L, U], the mean score of each unit's neurons.
        spread: Turns bool [L, U], the units that are kept, into bool [L, size], the neurons that are kept.
    """

    scores: Array
    spread: Callable[[Bits], Bits]


def units_of(scores: Array, granularity: Granularity) -> Units:
    """A site's scores [L, size] by unit."""
    if granularity.unit == 1:
        return Units(scores, lambda kept: kept)
    return (heads if granularity.contiguous else blocks)(scores, granularity.unit)


def blocks(scores: Array, unit: int) -> Units:
    """Blocks of `unit` neurons in order of score (ties by position), so that kept counts are multiples of `unit`.

    A site's blocks fall in score, so the best blocks of a pool are the best aligned choice: no other choice with these
    counts has a higher sum of scores.
    """
    rows, size = scores.shape
    order = np.argsort(-scores, axis=1, kind="stable")
    means = np.take_along_axis(scores, order, 1).reshape(rows, size // unit, unit).mean(2)

    def spread(kept: Bits) -> Bits:
        neurons = np.zeros((rows, size), np.bool_)
        np.put_along_axis(neurons, order, kept.repeat(unit, 1), 1)
        return neurons

    return Units(means, spread)


def heads(scores: Array, unit: int) -> Units:
    """Attention heads of `unit` neighbouring neurons."""
    rows, size = scores.shape
    return Units(scores.reshape(rows, size // unit, unit).mean(2), lambda kept: kept.repeat(unit, 1))


def keep_fitting(scores: Array, sizes: NDArray[np.int64], budget: int) -> Highest:
    """Keep units of size 1 and of one other size: the largest total not above the budget, the highest first.

    Units are taken in order of score (ties by position) until one does not fit. Single neurons then fill the remaining
    room. If they do not suffice, one more group replaces the lowest single neurons, if that fills the budget.

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
    chosen = np.zeros(scores.size, np.bool_)
    chosen[order] = kept
    return Highest(chosen, float(scores[order[np.flatnonzero(kept)[-1]]]) if kept.any() else np.inf)


def keep_units(scores: Array, sizes: NDArray[np.int64] | int, budget: int, forced: Bits | None = None) -> Highest:
    """Keep the forced units and, within the remaining budget, the highest of the others.

    Args:
        scores: float64 [n], the mean score of each unit.
        sizes: The size of all units, or of each one, int64 [n].
        budget: The largest number of neurons.
        forced: bool [n], units that are kept whatever their scores; None forces none.
    """
    if forced is not None and forced.any():
        free = ~forced
        of_free = sizes if isinstance(sizes, int) else sizes[free]
        spent = int(forced.sum()) * sizes if isinstance(sizes, int) else int(sizes[forced].sum())
        found = keep_units(scores[free], of_free, budget - spent)
        kept = forced.copy()
        kept[free] = found.chosen
        return Highest(kept, found.lowest)
    if isinstance(sizes, int):
        return keep_highest(scores, min(budget // sizes, scores.size))
    return keep_fitting(scores, sizes, budget)
