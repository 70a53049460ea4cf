"""From scores to a ticket: normalise, pool by scope, keep the highest. Counts are exact and ties are written down."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from polyticket.errors import PolyticketError
from polyticket.tickets.scores import Scores
from polyticket.tickets.ticket import Bits

Key = tuple[str, int]  # a site's name and a language's row
Pools = list[list[Key]]


def normalised(scores: Scores) -> Scores:
    """Each site's vector divided by its L2 norm (+ 1e-20), so that sites of different scale can be compared."""
    return {site: values / (np.linalg.norm(values) + 1e-20) for site, values in scores.items()}


def keep_count(size: int, ratio: float) -> int:
    """floor(size · ratio), exact for the decimal that was written (0.29 of 100 is 29, not 28)."""
    return int(size * Fraction(str(ratio)))


def keep_highest(pool: Sequence[NDArray[np.float64]], ratio: float) -> list[Bits]:
    """Keep exactly floor(n · ratio) of the n entries of all arrays together, the highest first.

    Args:
        pool: Score vectors.
        ratio: The remain ratio, in (0, 1].

    Returns:
        A bool vector for each score vector. Among equal scores the earlier array, then the earlier position is kept.
    """
    flat = np.concatenate(pool)
    count = keep_count(flat.size, ratio)
    kept = np.zeros(flat.size, np.bool_)
    if count:
        threshold = -np.partition(-flat, count - 1)[count - 1]
        kept[flat > threshold] = True
        ties = np.flatnonzero(flat == threshold)
        kept[ties[: count - int(kept.sum())]] = True
    return np.split(kept, np.cumsum([len(vector) for vector in pool])[:-1])


def pools_global(keys: Sequence[Key]) -> Pools:
    """One pool over all languages and sites: languages compete for the budget (system A)."""
    return [list(keys)]


def pools_language(keys: Sequence[Key]) -> Pools:
    """One pool per language: every language gets the same budget."""
    return [[key for key in keys if key[1] == row] for row in sorted({row for _, row in keys})]


def pools_site(keys: Sequence[Key]) -> Pools:
    """One pool per site and language: the same rate everywhere."""
    return [[key] for key in keys]


SCOPES: dict[str, Callable[[Sequence[Key]], Pools]] = {
    "global": pools_global,
    "language": pools_language,
    "site": pools_site,
}


def allocate(scores: Sequence[Scores], ratio: float, *, scope: str, normalise: bool = True) -> dict[str, Bits]:
    """Decide which neurons each language keeps (Lee & Hwang 2023).

    Args:
        scores: For each of the L languages, site name to score vector [size]; the same sites and sizes for all.
        ratio: The remain ratio, in (0, 1].
        scope: `global`, `language` or `site`: which entries compete for one budget.
        normalise: Divide each vector by its L2 norm first, as published.

    Returns:
        Site to bool [L, size]. Each pool keeps exactly floor(n · ratio) entries; ties rank by site name, then
        language, then position.

    Raises:
        PolyticketError: Languages differ in their sites, or all of a language's scores are zero.
    """
    _check(scores)
    ranked = [normalised(one) for one in scores] if normalise else list(scores)
    keys = [(site, row) for site in sorted(scores[0]) for row in range(len(scores))]
    masks = {site: np.zeros((len(scores), values.size), np.bool_) for site, values in scores[0].items()}
    for pool in SCOPES[scope](keys):
        for (site, row), kept in zip(pool, keep_highest([ranked[r][s] for s, r in pool], ratio), strict=True):
            masks[site][row] = kept
    return masks


def _check(scores: Sequence[Mapping[str, NDArray[np.float64]]]) -> None:
    sizes = {site: values.shape for site, values in scores[0].items()}
    for row, one in enumerate(scores):
        if {site: values.shape for site, values in one.items()} != sizes:
            raise PolyticketError(f"the sites of language {row} are not those of language 0", where="saliency")
        if not any(values.any() for values in one.values()):
            raise PolyticketError(f"all scores of language {row} are zero", where="saliency")
