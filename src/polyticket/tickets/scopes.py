"""Scopes (the neurons that compete for one budget), granularity (neurons that are kept as a whole), and budgets."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from polyticket.core.errors import PolyticketError
from polyticket.core.ranking import keep_count

Key = tuple[str, int]  # a site's name and a language's row
Pools = list[list[Key]]
Align = int | str
HEADED = ("attention.self.attention_mask", "attention.self.value_attention_mask")  # sites made of attention heads


class Granularity(NamedTuple):
    """The granularity of the decisions at one site.

    Attributes:
        size: The site's neurons.
        unit: Neurons that are kept or dropped together: 1, a block, or a head.
        floor: Units that every language keeps.
        contiguous: Whether a unit is a fixed group of neighbours (a head), not any neurons in order of score.
    """

    size: int
    unit: int = 1
    floor: int = 0
    contiguous: bool = False


def pools_global(keys: Sequence[Key]) -> Pools:
    """One pool over all languages and sites: languages compete for the budget (Lee & Hwang 2023)."""
    return [list(keys)]


def pools_language(keys: Sequence[Key]) -> Pools:
    """One pool per language: every language gets the same budget."""
    pools: dict[int, list[Key]] = {}
    for key in keys:
        pools.setdefault(key[1], []).append(key)
    return [pools[row] for row in sorted(pools)]


def pools_site(keys: Sequence[Key]) -> Pools:
    """One pool per site and language: the same density everywhere."""
    return [[key] for key in keys]


SCOPES: dict[str, Callable[[Sequence[Key]], Pools]] = {
    "global": pools_global,
    "language": pools_language,
    "site": pools_site,
}


def pools_of(scope: str, sites: Iterable[str], rows: int) -> Pools:
    """The pools of a scope. A pool is in order of site name, then language.

    Raises:
        PolyticketError: There is no such scope.
    """
    if scope not in SCOPES:
        raise PolyticketError(f"unknown scope {scope!r}", where="ticket.scope", expected=", ".join(SCOPES))
    return SCOPES[scope]([(site, row) for site in sorted(sites) for row in range(rows)])


def granularities_of(
    sizes: Mapping[str, int], *, align: Align = 1, heads: int | None = None, floor: float = 0
) -> dict[str, Granularity]:
    """The granularity of each site.

    Args:
        sizes: Site to its neurons.
        align: Kept counts are multiples of this number. With `heads`, sites of query·key and value keep whole heads,
            each site on its own, and the other sites any count.
        heads: Attention heads of the model; needed with `heads`.
        floor: The least that each language keeps of each site: a whole number of neurons, or a share as a decimal
            (1 is one neuron, 1.0 all), rounded up to whole units.

    Raises:
        PolyticketError: A site cannot be divided like that; names the site.
    """
    return {site: _granularity(site, size, align, heads, floor) for site, size in sorted(sizes.items())}


def _granularity(site: str, size: int, align: Align, heads: int | None, floor: float) -> Granularity:
    whole = align == "heads" and site.endswith(HEADED)
    if align != "heads" and (type(align) is not int or align < 1):
        raise PolyticketError(
            f"alignment {align!r}", where="ticket.align", expected="a count such as 8 or 64, or heads"
        )
    if whole and not heads:
        raise PolyticketError("whole heads of an unknown number", where="ticket.align", expected="the model's heads")
    parts = heads if whole and heads else 1
    unit = size // parts if whole else align if isinstance(align, int) else 1
    if not unit or size % unit or (whole and size % parts):
        raise PolyticketError(
            f"{site} has {size} neurons, which are no whole {'heads' if whole else f'multiple of {align}'}",
            where="ticket.align",
            expected="an alignment that divides every site",
        )
    if isinstance(floor, bool) or not 0 <= floor <= (size if isinstance(floor, int) else 1):
        raise PolyticketError(
            f"floor {floor!r} of {site}, which has {size} neurons",
            where="ticket.floor",
            expected="a whole number of neurons, or a share as a decimal",
        )
    least = floor if isinstance(floor, int) else -int(-size * Fraction(str(floor)) // 1)
    return Granularity(size, unit, -(-least // unit), whole)


def budget_of(granularities: Mapping[str, Granularity], rows: int, ratio: float, scope: str) -> tuple[int, int]:
    """The number of neurons that a ticket is asked to keep, and the number that it can keep.

    Every pool is asked for floor(n · ratio) of its n neurons. It keeps the largest number not above this that its units
    and floors allow, which is the same number if units are single neurons.

    Raises:
        PolyticketError: The ratio is not in (0, 1], or floors are above a budget.
    """
    if isinstance(ratio, bool) or not 0 < ratio <= 1:
        raise PolyticketError(f"remain ratio {ratio!r}", where="remain_ratio", expected="a number in (0, 1]")
    asked = reached = 0
    for pool in pools_of(scope, granularities, rows):
        members = [granularities[site] for site, _ in pool]
        budget = keep_count(sum(granularity.size for granularity in members), ratio)
        asked, reached = asked + budget, reached + largest_total(members, budget)
    return asked, reached


def largest_total(members: Sequence[Granularity], budget: int) -> int:
    """The largest number of neurons not above the budget that a pool can keep.

    The pool's units are single neurons, groups of one size g, or both. With S single neurons and k groups, the largest
    possible total is k·g + S, and it never falls as k grows.

    Raises:
        PolyticketError: The floors are above the budget.
    """
    least = sum(granularity.floor * granularity.unit for granularity in members)
    if least > budget:
        raise PolyticketError(
            f"the floor keeps {least} where the budget is {budget}",
            where="ticket.floor",
            expected="a lower floor or a higher remain_ratio",
        )
    groups = [granularity for granularity in members if granularity.unit > 1]
    single = sum(granularity.size for granularity in members if granularity.unit == 1)
    if not groups:
        return budget
    size = groups[0].unit
    if any(granularity.unit != size for granularity in groups):
        raise ValueError("groups of several sizes")
    fixed = sum(granularity.floor for granularity in members if granularity.unit == 1)
    most = min(sum(granularity.size // size for granularity in groups), (budget - fixed) // size)
    return min(budget, most * size + single)
