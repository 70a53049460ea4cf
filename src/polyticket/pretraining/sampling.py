"""Which language each step trains on."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from polyticket.errors import PolyticketError


def smoothed_ratios(sizes: Sequence[int], exponent: float) -> NDArray[np.float64]:
    """Sampling ratios p_l ∝ n_l^α from corpus sizes; α = 1 is proportional, 0 uniform.

    Returns:
        float64 [L], summing to one.
    """
    if min(sizes) <= 0:
        raise PolyticketError(f"corpus sizes {list(sizes)}", where="sampling", expected="records for every language")
    weights = np.asarray(sizes, np.float64) ** exponent
    return weights / weights.sum()


def table_ratios(table: Mapping[str, float], languages: Sequence[str]) -> NDArray[np.float64]:
    """Sampling ratios [L] from an explicit table, scaled to sum to one."""
    if missing := [language for language in languages if language not in table]:
        raise PolyticketError(
            f"no ratio for {', '.join(missing)}", where="pretraining.sampling_ratios", expected="every language"
        )
    weights = np.array([table[language] for language in languages], np.float64)
    return weights / weights.sum()


def draw_languages(ratios: NDArray[np.float64], steps: int, seed: int) -> NDArray[np.int64]:
    """The language index of each step from 0: a function of the ratios, the seed and the step's number alone.

    A longer schedule begins with the draws of a shorter one.
    """
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 0x5A3B1E])))
    edges = np.cumsum(ratios)
    return np.minimum(np.searchsorted(edges, random.random(steps), side="right"), len(ratios) - 1)
